// One backtest: captures through the host's reader and batcher, the strategy's process and the host's
// execution, to a record. The same strategy, parameters, seed, captures and cuts give the same record on
// every machine, but for the times that the machine took.

import { performance } from 'node:perf_hooks';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { BatchCuts, CaptureEnd, CaptureOptions } from './capture-batches.ts';
import { CaptureBatches } from './capture-batches.ts';
import type { TradingOptions } from '../../host-proxy/execution/trading.ts';
import type { LocalEpochOptions } from './local-epoch.ts';
import { LocalEpoch } from './local-epoch.ts';
import { Recorder } from './recorder.ts';

export interface BacktestOptions {
  readonly epoch: LocalEpochOptions & { readonly trading: TradingOptions };
  readonly captures: readonly CaptureOptions[];
  readonly cuts: BatchCuts;
  readonly onProgress?: (batch: { readonly timeNs: bigint; readonly rows: number }) => void;
}

export interface BacktestRun {
  readonly recorder: Recorder;
  readonly subscribed: readonly number[];
  readonly captures: readonly CaptureEnd[];
  /** What the strategy ended with, and at which of its batches, from 0; null when it ran to the end. */
  readonly ended: { readonly code: RefusalCode; readonly batch: number } | null;
  readonly outputsSha256: string;
  /** Of the run's own log: it commits to inputs, outputs and reports. */
  readonly leaves: number;
  readonly root: Uint8Array;
  /** Of this machine. */
  readonly seconds: number;
  readonly slowestMs: number;
}

/** Refuses what the strategy's process refuses at its start. Throws a CaptureFailure. */
export async function runBacktest(options: BacktestOptions): Promise<Result<BacktestRun>> {
  const sinceMs = performance.now();
  const started = await LocalEpoch.start(options.epoch);
  if (!started.ok) return started;
  const epoch = started.value;
  const { account } = epoch;
  if (account === null) throw new Error('a backtest trades');
  const recorder = new Recorder(account, options.epoch.instruments);
  const batches = new CaptureBatches(options.captures, options.cuts);
  const { subscribed } = epoch;
  let ended: BacktestRun['ended'] = null;
  try {
    for await (const batch of batches) {
      recorder.addBatch(await epoch.batch(batch), batch.rows, batch.timeNs);
      options.onProgress?.(batch);
      if (epoch.ended === null) continue;
      ended = { code: epoch.ended, batch: recorder.batches - 1 };
      break;
    }
  } finally {
    recorder.addReports(await epoch.close());
  }
  return accept({
    recorder,
    subscribed,
    captures: batches.ends,
    ended,
    outputsSha256: recorder.outputsDigest(),
    leaves: epoch.log.size,
    root: epoch.log.root,
    seconds: (performance.now() - sinceMs) / 1000,
    slowestMs: epoch.slowestMs,
  });
}
