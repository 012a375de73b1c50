// Over every capture: the same run in other processes is the same run, byte for byte, for strategies in both
// languages; and a strategy that reads the tape row by row signals the same wherever batches are cut, the batch
// that it names being the one in which the deciding row then lies.

import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { BacktestOptions } from '../../scripts/kit/backtest.ts';
import { runBacktest } from '../../scripts/kit/backtest.ts';
import type { BatchCuts } from '../../scripts/kit/capture-batches.ts';
import { CaptureBatches } from '../../scripts/kit/capture-batches.ts';
import { LocalEpoch } from '../../scripts/kit/local-epoch.ts';
import { packStrategy } from '../../scripts/strategy-pack.ts';
import { bundleStrategy } from '../../scripts/strategy-bundle.ts';
import { parseBatch, ROW } from '../../wire/batch.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import type { Signal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { ROOT, SEED } from '../enclave/strategy/support.ts';
import { writeTapeStrategy } from '../helpers/tape-strategy.ts';
import { LIMITS, newFolder, PAPER } from '../scripts/kit/support.ts';
import {
  EVERYTHING,
  instrumentOf,
  jsonBytes,
  LIMIT,
  parametersFor,
  testedCaptures,
  TIMEOUT_MS,
} from './captures.ts';

vi.setConfig({ testTimeout: TIMEOUT_MS, hookTimeout: TIMEOUT_MS });

const EVERY = 17;
const CUTS: Readonly<Record<string, Omit<BatchCuts, 'limitEvents'>>> = {
  '1 row': { closeRows: 1, closeMs: 50 },
  '7 rows': { closeRows: 7, closeMs: 50 },
  '512 rows': { closeRows: 512, closeMs: 60_000 },
  '1,024 rows': { closeRows: 1024, closeMs: 60_000 },
  '1 ms': { closeRows: 1024, closeMs: 1 },
  '20 ms': { closeRows: 1024, closeMs: 20 },
  '1 s': { closeRows: 1024, closeMs: 1000 },
};
const HOST_CUTS = { closeRows: 256, closeMs: 50 };

interface Tested {
  readonly name: string;
  readonly source: string;
  readonly bundle: Uint8Array;
  readonly parameters: (instrument: Instrument) => Promise<unknown>;
}

let strategies: readonly Tested[] = [];

function tapeParameters({ symbol, market }: Instrument): Promise<unknown> {
  return Promise.resolve({ symbol, market, every: EVERY, quantity: 10, spread: 90 });
}

beforeAll(async () => {
  const sources: readonly (readonly [string, string, Tested['parameters']])[] = [
    [
      'order-flow',
      join(ROOT, 'strategies/order-flow.ts'),
      (one) => parametersFor('order-flow', one),
    ],
    [
      'mean-reversion in WebAssembly',
      join(ROOT, 'strategies/assembly/mean-reversion.ts'),
      (one) => parametersFor('mean-reversion', one),
    ],
    ['tape', await writeTapeStrategy(await newFolder()), tapeParameters],
  ];
  strategies = await Promise.all(
    sources.map(async ([name, source, parameters]): Promise<Tested> => {
      return { name, source, bundle: await bundleStrategy(source), parameters };
    }),
  );
});

function strategyOf(name: string): Tested {
  const found = strategies.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

async function optionsOf(
  { bundle, parameters }: Tested,
  path: string,
  cuts: Omit<BatchCuts, 'limitEvents'>,
): Promise<BacktestOptions> {
  const instrument = await instrumentOf(path);
  return {
    epoch: {
      crypto: nodeCrypto,
      program: findRunner(ROOT),
      name: 'tested',
      bundle,
      parameters: jsonBytes(await parameters(instrument)),
      seed: SEED,
      instruments: [instrument],
      timeBudgetMs: 60_000,
      trading: { paper: PAPER, limits: LIMITS },
    },
    captures: [{ path, instruments: [instrument] }],
    cuts: { ...cuts, limitEvents: LIMIT },
  };
}

/** A signal without what names its batch: the decision time and the causes. */
function contentOf({ id, instrument, side, quantity, limit, ttlMs }: Signal): string {
  return [id, instrument, side, quantity, limit, ttlMs].join(' ');
}

interface Cut {
  readonly contents: readonly string[];
  readonly batches: number;
}

/**
 * Plays a capture without execution. Each signal must name the time and the leaf of the batch that holds its
 * deciding trade, which is every 17th.
 */
async function playCut(path: string, cuts: Omit<BatchCuts, 'limitEvents'>): Promise<Cut> {
  const options = await optionsOf(strategyOf('tape'), path, cuts);
  const epoch = assertAccepted(await LocalEpoch.start({ ...options.epoch, trading: null }));
  const contents: string[] = [];
  let [trades, batches] = [0, 0];
  const wrong: string[] = [];
  for await (const batch of new CaptureBatches(options.captures, options.cuts)) {
    const { outputs, leafIndex } = await epoch.batch(batch);
    const { rows, kind } = assertAccepted(parseBatch(batch.bytes));
    const before = Math.floor(trades / EVERY);
    for (let row = 0; row < rows; row++) if (kind[row] === ROW.trade) trades++;
    batches++;
    const { timeNs } = batch;
    const due = Math.floor(trades / EVERY) - before;
    const fits = outputs.every(
      ({ signal }) => signal.decisionNs === timeNs && signal.causes.join() === String(leafIndex),
    );
    if (!fits || outputs.length !== due) wrong.push(`batch ${batch.sequence}`);
    contents.push(...outputs.map(({ signal }) => contentOf(signal)));
  }
  expect(epoch.ended).toBe(null);
  await epoch.close();
  expect(wrong).toEqual([]);
  return { contents, batches };
}

describe.each(testedCaptures())('$name', ({ path }) => {
  it.each(['order-flow', 'mean-reversion in WebAssembly', 'tape'])(
    '%s: the same outputs, reports and log in other processes',
    async (name) => {
      const options = await optionsOf(strategyOf(name), path, HOST_CUTS);
      const [first, second] = await Promise.all([runBacktest(options), runBacktest(options)]);
      const [one, other] = [assertAccepted(first), assertAccepted(second)];
      expect(one.ended).toBe(null);
      expect(one.recorder.outputs).toBeGreaterThan(EVERYTHING ? 10 : 0);
      expect(other.outputsSha256).toBe(one.outputsSha256);
      expect(toHex(other.root)).toBe(toHex(one.root));
      expect(one.recorder.gaps).toBe(0);
    },
  );

  it('tape: the same signals wherever batches are cut', async () => {
    const expected = await playCut(path, HOST_CUTS);
    expect(expected.contents.length).toBeGreaterThan(50);
    const counts = new Map([['host', expected.batches]]);
    for (const [name, cuts] of Object.entries(CUTS)) {
      const cut = await playCut(path, cuts);
      expect(cut.contents, name).toEqual(expected.contents);
      counts.set(name, cut.batches);
    }
    // They were cut differently.
    expect(new Set(counts.values()).size).toBe(counts.size);
    console.log(`batches: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`);
  });
});

describe('a second build', () => {
  it.each(['order-flow', 'mean-reversion in WebAssembly', 'tape'])(
    'of %s has the same commitment',
    async (name) => {
      const { source, bundle } = strategyOf(name);
      const salt = new Uint8Array(32).fill(3);
      const again = await packStrategy(source, name, '1.0.0', salt);
      expect(toHex(again.bundle)).toBe(toHex(bundle));
      expect(again.commitment.commitment).toBe(toHex(nodeCrypto.sha256(salt, bundle)));
    },
  );
});
