// An epoch of the enclave core with strategies in WebAssembly and in JavaScript beside each other, real
// processes over a real capture, and its log, replayed.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStrategy } from '../../../enclave/strategy/process.ts';
import { bundleStrategy } from '../../../scripts/strategy-bundle.ts';
import { writePack } from '../../../scripts/strategy-pack.ts';
import { run } from '../../../verifier/commands/replay.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import { parseHeader } from '../../../wire/header.ts';
import { KIND } from '../../../wire/leaf.ts';
import type { Item } from '../../../wire/messages.ts';
import { FRAME, parseRelease } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import type { Signal } from '../../../wire/payloads.ts';
import { CLOSE_REASON, clientOrderIdOf, parseSignal } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { ETH, ROOT, reportOf } from '../../enclave/strategy/support.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { commitmentOf, startHost } from '../../helpers/enclave-host.ts';
import { compliance, measurements, simulatedRoot } from '../../helpers/epoch-builder.ts';
import { filesOf, writeFiles } from '../../helpers/epoch-files.ts';
import { strategyOf, watSignal } from '../../helpers/wat.ts';
import type { Venue } from '../../strategies/capture.ts';
import { loadCapture, paperVenue } from '../../strategies/capture.ts';

const INSTRUMENT: Instrument = { ...ETH, quantity_scale: 5 };
const BATCHES = 600;
const VERSION = '1.0.0';
const SALT = new Uint8Array(32).fill(5);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Tested {
  readonly name: string;
  readonly bundle: Uint8Array;
  readonly parameters: Uint8Array;
}

async function testedStrategies(): Promise<readonly Tested[]> {
  const file = join(ROOT, 'strategies/mean-reversion.ethusdt.json');
  const given = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  // More signals in less time.
  const changes = { window_bars: 3, entry_stretch: 2000, exit_stretch: 500, cooldown_ms: 0 };
  const parameters = utf8(JSON.stringify({ ...given, ...changes }));
  const crashing = await strategyOf({
    onBatch: `(global.set $n (i32.add (global.get $n) (i32.const 1)))
      ${watSignal()} (if (i32.eq (global.get $n) (i32.const 3)) (then (unreachable)))`,
    more: '(global $n (mut i32) (i32.const 0))',
  });
  return [
    {
      name: 'assembly',
      bundle: await bundleStrategy(join(ROOT, 'strategies/assembly/mean-reversion.ts')),
      parameters,
    },
    {
      name: 'script',
      bundle: await bundleStrategy(join(ROOT, 'test/strategies/twins/mean-reversion.ts')),
      parameters,
    },
    { name: 'crashing', bundle: crashing, parameters: utf8('{}') },
  ];
}

function itemsOf({ name, bundle, parameters }: Tested): readonly [Item, Item] {
  const common = { name, version: VERSION, salt: SALT };
  return [
    // The enclave wipes what it gets.
    { ...common, purpose: 'strategy', bytes: bundle.slice() },
    { ...common, purpose: 'parameters', bytes: parameters.slice() },
  ];
}

async function startWith(tested: readonly Tested[]): Promise<TestHost> {
  const items = tested.map((one) => itemsOf(one));
  const strategies = items.map(([item]) => ({
    name: item.name,
    version: VERSION,
    commitment: commitmentOf(item),
    time_budget_ms: 20_000,
  }));
  const host = await startHost({
    configuration: {
      instruments: [INSTRUMENT],
      streams: [{ id: 1, name: 'capture' }],
      strategies,
    },
    items: items.flat(),
    startStrategy,
    strategyRunner: findRunner(ROOT),
  });
  await host.ready();
  await host.connectFeed();
  return host;
}

interface Released {
  readonly signal: Signal;
  readonly leafIndex: number;
  readonly stream: number;
}

/** Feeds the capture, executes what is released, and reports it; answers all that was released. */
async function play(
  host: TestHost,
  venues: ReadonlyMap<number, Venue>,
): Promise<readonly Released[]> {
  const path = join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz');
  const batches = (await loadCapture(path, INSTRUMENT)).slice(0, BATCHES);
  const released: Released[] = [];
  let reports = 0;
  for (const [sequence, batch] of batches.entries()) {
    host.feed?.send(FRAME.batch, batch.bytes);
    await host.until(() => host.feedOf(FRAME.progress).length === sequence + 1);
    const now = host
      .feedOf(FRAME.release)
      .slice(released.length)
      .map((bytes): Released => {
        const { leafIndex, plaintext } = assertAccepted(parseRelease(bytes));
        const signal = assertAccepted(parseSignal(plaintext));
        return { signal, leafIndex, stream: host.leaf(leafIndex).stream };
      });
    released.push(...now);
    for (const [stream, venue] of venues) {
      const signals = now.filter((one) => one.stream === stream).map((one) => one.signal);
      for (const { signal, report } of venue.play(batch, signals)) {
        const of = released.find((one) => one.stream === stream && one.signal.id === signal);
        const output = of?.leafIndex ?? -1;
        const hash = leafHash(nodeCrypto, host.leaves[output] ?? new Uint8Array());
        const named = { output, clientOrderId: clientOrderIdOf(hash) };
        host.feed?.send(FRAME.report, reportOf({ ...report, ...named, timeNs: batch.timeNs }));
        reports++;
      }
    }
  }
  await host.until(() => host.leavesOf(KIND.report).length === reports);
  return released;
}

async function writeLog(host: TestHost): Promise<string> {
  const log = join(folder, 'log');
  const notes = host.commits.map(({ note, firstIndex, leaves }) => ({
    note,
    size: firstIndex + leaves.length,
  }));
  const blobs = new Map(host.blobs.map((blob) => [toHex(nodeCrypto.sha256(blob)), blob]));
  const header = assertAccepted(parseHeader(host.open(0)));
  const checkpoint = notes.at(-1)?.note ?? new Uint8Array();
  const { leaves, tree } = host;
  await writeFiles(log, filesOf({ notes, leaves, tree, blobs, header, checkpoint }));
  return log;
}

async function replay(log: string, tested: readonly Tested[]): Promise<unknown> {
  const packs: string[] = [];
  for (const { name, bundle, parameters } of tested) {
    const pack = join(folder, 'packs', name);
    const commitment = { name, version: VERSION, commitment: '' };
    await writePack(pack, { bundle, salt: SALT, commitment });
    await writeFile(join(pack, 'parameters.json'), parameters);
    await writeFile(join(pack, 'parameters.salt'), toHex(SALT));
    packs.push('--strategy', pack);
  }
  const key = join(folder, 'key.pem');
  await writeFile(key, compliance.pem);
  const root = join(folder, 'root.pem');
  const der = Buffer.from((await simulatedRoot()).certificateDer).toString('base64');
  const lines = der.replaceAll(/.{64}/gu, '$&\n');
  await writeFile(root, `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`);
  const pcrs = [measurements.pcr0, measurements.pcr1, measurements.pcr2];
  const policy = pcrs.flatMap((pcr, index) => [`--pcr${index}`, toHex(pcr)]);
  let out = '';
  await run([log, ...packs, '--all', '--key', key, '--unsafe-root', root, ...policy, '--json'], {
    stdout: (text) => (out += text),
    stderr: () => undefined,
    isTerminal: false,
    env: {},
  });
  return JSON.parse(out);
}

function replayOf(name: string, outputs: number, ended: string | null): unknown {
  return expect.objectContaining({
    verdict: 'identical',
    name,
    inputs: ended === null ? BATCHES : 3,
    outputs,
    identical: outputs,
    not_logged: 0,
    ended: { logged: ended, replayed: ended },
  });
}

it('an epoch with strategies in both languages is logged, verified and replayed', async () => {
  const tested = await testedStrategies();
  const host = await startWith(tested);
  const venues = new Map([1000, 1001].map((stream) => [stream, paperVenue(INSTRUMENT)]));
  const released = await play(host, venues);
  host.enclave.close(CLOSE_REASON.signal);
  expect(await host.end).toEqual({ code: null });

  // The same logic decided the same, in the same epoch; the third one's two signals came before its end.
  const decisions = (stream: number): readonly unknown[] =>
    released
      .filter((one) => one.stream === stream)
      .map(({ signal: { id, side, quantity, limit, ttlMs, decisionNs } }) =>
        [id, side, quantity, limit, ttlMs, decisionNs].join(' '),
      );
  expect(decisions(1000).length).toBeGreaterThan(15);
  expect(decisions(1001)).toEqual(decisions(1000));
  expect(decisions(1002).length).toBe(2);
  expect(host.diagnostics.map(({ code }) => code)).toContain('strategy_crashed');

  const outputs = decisions(1000).length;
  expect(await replay(await writeLog(host), tested)).toMatchObject({
    verdict: 'identical',
    log_verified: true,
    end: 'clean',
    strategies: [
      replayOf('assembly', outputs, null),
      replayOf('script', outputs, null),
      replayOf('crashing', 2, 'strategy_crashed'),
    ],
  });
});
