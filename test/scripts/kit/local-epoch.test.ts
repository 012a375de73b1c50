// The kit's epoch against the enclave's: the core of the enclave with a real strategy process, driven by a
// host that waits for each batch, and the same batches in the kit. Leaf by leaf they are the same, and every
// output is, byte for byte, with the leaf indexes that it names.

import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { startStrategy } from '../../../enclave/strategy/process.ts';
import { Execution } from '../../../host-proxy/execution/execution.ts';
import { JournalState } from '../../../host-proxy/execution/journal-state.ts';
import { KillSwitch } from '../../../host-proxy/execution/kill-switch.ts';
import type { LogReader } from '../../../host-proxy/epoch-log.ts';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import { CaptureBatches } from '../../../scripts/kit/capture-batches.ts';
import type { LocalEpochOptions } from '../../../scripts/kit/local-epoch.ts';
import { LocalEpoch, noFile } from '../../../scripts/kit/local-epoch.ts';
import { bundleStrategy } from '../../../scripts/strategy-bundle.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import { parseHeader } from '../../../wire/header.ts';
import { KIND } from '../../../wire/leaf.ts';
import type { Item } from '../../../wire/messages.ts';
import { FRAME, parseProgress, parseRelease } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import { CLOSE_REASON, parseSeed } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { inclusionProof } from '../../../wire/tlog/merkle.ts';
import { ROOT } from '../../enclave/strategy/support.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { commitmentOf, startHost, testItems } from '../../helpers/enclave-host.ts';
import { CAPTURE, ETH, LIMITS, PAPER, tapeOptions } from './support.ts';

const ROWS = 20_000;

async function readBatches(instrument: Instrument): Promise<readonly EncodedBatch[]> {
  const cuts = { closeRows: 256, closeMs: 50, limitEvents: ROWS };
  const all: EncodedBatch[] = [];
  for await (const batch of new CaptureBatches(
    [{ path: CAPTURE, instruments: [instrument] }],
    cuts,
  )) {
    all.push(batch);
  }
  return all;
}

/** Kind, stream and causes of each leaf, and the plaintext where both logs must have the same. */
interface Line {
  readonly kind: number;
  readonly stream: number;
  readonly causes: readonly number[];
  readonly plaintext: string;
}

function logReader(host: TestHost): LogReader {
  return {
    leaf: (index) => host.leaves[index] ?? null,
    inclusion: (index) => {
      const { size } = host.tree;
      const proof = inclusionProof(nodeCrypto, host.tree, index, size);
      return { proof, size, root: host.tree.root() };
    },
  };
}

const SHOWN: ReadonlySet<number> = new Set([KIND.input, KIND.gap, KIND.output, KIND.seed]);

function linesOf(host: TestHost): readonly Line[] {
  return host.parsedLeaves().map(({ kind, stream, causes }, index) => {
    const plaintext = SHOWN.has(kind) ? toHex(host.open(index)) : '';
    return { kind, stream, causes, plaintext };
  });
}

/** Runs the enclave; a batch is sent when all that the one before led to is logged. */
async function runEnclave(
  options: LocalEpochOptions,
  batches: readonly EncodedBatch[],
): Promise<{ readonly lines: readonly Line[]; readonly seed: Uint8Array }> {
  const { name, bundle, parameters, instruments } = options;
  const [strategy, given] = testItems(name);
  const items: readonly Item[] = [
    { ...strategy, bytes: bundle.slice() },
    { ...given, bytes: parameters.slice() },
  ];
  const { version } = strategy;
  const commitment = commitmentOf(items[0] ?? strategy);
  const host = await startHost({
    configuration: {
      instruments,
      strategies: [{ name, version, commitment, time_budget_ms: 20_000 }],
    },
    items,
    startStrategy,
    strategyRunner: findRunner(ROOT),
  });
  await host.ready();
  await host.connectFeed();
  const reports: Uint8Array[] = [];
  const execution = new Execution({
    crypto: nodeCrypto,
    log: logReader(host),
    origin: assertAccepted(parseHeader(host.open(0))).origin,
    instruments,
    paper: PAPER,
    limits: LIMITS,
    killSwitch: new KillSwitch(null),
    journal: noFile(),
    state: new JournalState(instruments),
    onReport: (payload) => {
      reports.push(payload);
    },
  });
  let [released, reported] = [0, 0];
  for (const [at, { stream, sequence, bytes }] of batches.entries()) {
    execution.holdBatch({ stream, sequence, bytes });
    host.feed?.send(FRAME.batch, bytes);
    await host.until(() => host.feedOf(FRAME.progress).length === at + 1);
    const releases = host.feedOf(FRAME.release);
    for (const release of releases.slice(released)) {
      execution.release(assertAccepted(parseRelease(release)));
    }
    released = releases.length;
    const progress = host.feedOf(FRAME.progress)[at] ?? new Uint8Array();
    await execution.progress(assertAccepted(parseProgress(progress)));
    for (const report of reports.slice(reported)) host.feed?.send(FRAME.report, report);
    reported = reports.length;
    await host.until(() => host.leavesOf(KIND.report).length === reported);
  }
  expect(execution.summary().refused).toEqual({});
  const [seedLeaf = -1] = host.leavesOf(KIND.seed);
  const seed = assertAccepted(parseSeed(host.open(seedLeaf))).slice();
  const lines = linesOf(host);
  host.enclave.close(CLOSE_REASON.signal);
  expect(await host.end).toEqual({ code: null });
  return { lines, seed };
}

/** What the kit logs, by the same measure. */
async function runKit(
  options: LocalEpochOptions,
  batches: readonly EncodedBatch[],
): Promise<{
  readonly outputs: ReadonlyMap<number, string>;
  readonly inputs: readonly number[];
  readonly size: number;
  readonly reports: number;
}> {
  const epoch = assertAccepted(await LocalEpoch.start(options));
  const outputs = new Map<number, string>();
  const inputs: number[] = [];
  let reports = 0;
  for (const batch of batches) {
    const outcome = await epoch.batch(batch);
    inputs.push(outcome.leafIndex);
    for (const { leafIndex, bytes } of outcome.outputs) outputs.set(leafIndex, toHex(bytes));
    reports += outcome.reports.length;
  }
  const { size } = epoch.log;
  expect(epoch.ended).toBe(null);
  await epoch.close();
  return { outputs, inputs, size, reports };
}

async function exampleOptions(): Promise<LocalEpochOptions> {
  const { epoch } = await tapeOptions();
  const path = 'strategies/order-flow';
  return {
    ...epoch,
    name: 'order-flow',
    bundle: await bundleStrategy(`${ROOT}${path}.ts`),
    parameters: new Uint8Array(await readFile(`${ROOT}${path}.ethusdt.json`)),
  };
}

/** With `reports`: some of its signals come right after a report. */
const STRATEGIES: readonly [string, boolean, () => Promise<LocalEpochOptions>][] = [
  ['the example, which follows its reports', false, exampleOptions],
  [
    'a strategy with random numbers that counts its reports',
    true,
    async () => (await tapeOptions({ parameters: { count_reports: 1, every: 15 } })).epoch,
  ],
];

describe('an epoch of the kit', () => {
  it.each(STRATEGIES)(
    '%s: the same leaves and outputs as in an enclave',
    async (_, reports, make) => {
      const options = await make();
      const batches = await readBatches(ETH);
      const { lines, seed } = await runEnclave(options, batches);
      const kit = await runKit({ ...options, seed }, batches);

      const ofKind = (kind: number): readonly number[] =>
        lines.flatMap((line, index) => (line.kind === kind ? [index] : []));
      const outputs = ofKind(KIND.output).map((index) => [index, lines[index]?.plaintext ?? '']);
      expect(outputs.length).toBeGreaterThan(10);
      expect([...kit.outputs]).toEqual(outputs);
      expect(kit.inputs).toEqual(ofKind(KIND.input));
      // Nothing else was logged: no anchor, no heartbeat.
      expect(kit.size).toBe(lines.length);
      expect(kit.reports).toBe(ofKind(KIND.report).length);
      // Leaf indexes of reports are in the outputs, too.
      const causes = outputs.map(([index]) => lines[Number(index)]?.causes.length ?? 0);
      expect(Math.max(...causes)).toBeGreaterThanOrEqual(reports ? 2 : 1);
    },
  );
});
