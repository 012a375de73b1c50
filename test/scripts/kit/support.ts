// What the tests of the kit share: the committed capture, a bundle of the tape strategy, and runs over both.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { PaperOptions } from '../../../host-proxy/execution/paper-broker.ts';
import type { RiskLimits } from '../../../host-proxy/execution/risk.ts';
import type { BacktestOptions } from '../../../scripts/kit/backtest.ts';
import { bundleStrategy } from '../../../scripts/strategy-bundle.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import { ROOT, SEED } from '../../enclave/strategy/support.ts';
import type { TapeParameters } from '../../helpers/tape-strategy.ts';
import { writeTapeStrategy } from '../../helpers/tape-strategy.ts';

export const CAPTURE: string = join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz');
export const ETH: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
};

/** A capture of ../shared, or null and one line where it is not there. */
export function sharedCapture(name: string): string | null {
  const path = join(ROOT, '../shared/data/binance-2024-08', name);
  if (existsSync(path)) return path;
  console.log(`skipped: ${name} is not in ../shared`);
  return null;
}

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** Removed after the tests of the file. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-kit-'));
  folders.push(folder);
  return folder;
}

let tape: Promise<Uint8Array> | null = null;

export function tapeBundle(): Promise<Uint8Array> {
  tape ??= newFolder().then(async (folder) => bundleStrategy(await writeTapeStrategy(folder)));
  return tape;
}

export const PAPER: PaperOptions = {
  latencyMs: 5,
  takerFeePpm: 500,
  makerFeePpm: 100,
  slippageTicks: 1,
};
const LARGE = 10n ** 26n;
export const LIMITS: RiskLimits = {
  maxOrderNotional: LARGE,
  maxPositionNotional: LARGE,
  maxOrders: Number.MAX_SAFE_INTEGER,
  orderWindowMs: 1,
  priceBandPpm: Number.MAX_SAFE_INTEGER,
  maxDailyLoss: LARGE,
};

export interface TapeRun {
  readonly parameters?: Partial<TapeParameters>;
  readonly seed?: Uint8Array;
  readonly cuts?: Partial<BacktestOptions['cuts']>;
  readonly capture?: string;
  readonly instrument?: Instrument;
  readonly timeBudgetMs?: number;
}

/** Options of a backtest of the tape strategy over the first rows of the committed capture. */
export async function tapeOptions(run: TapeRun = {}): Promise<BacktestOptions> {
  const { capture = CAPTURE, instrument = ETH } = run;
  const { symbol, market } = instrument;
  const parameters = { symbol, market, every: 40, quantity: 100, spread: 50, ...run.parameters };
  return {
    epoch: {
      crypto: nodeCrypto,
      program: findRunner(ROOT),
      name: 'tape',
      bundle: await tapeBundle(),
      parameters: utf8(JSON.stringify(parameters)),
      seed: run.seed ?? SEED,
      instruments: [instrument],
      timeBudgetMs: run.timeBudgetMs ?? 20_000,
      trading: { paper: PAPER, limits: LIMITS },
    },
    captures: [{ path: capture, instruments: [instrument] }],
    cuts: { closeRows: 256, closeMs: 50, limitEvents: 30_000, ...run.cuts },
  };
}
