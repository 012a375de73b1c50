// A strategy for tests, as its author would write it: it reads the tape row by row and signals at every n-th
// trade, from nothing but the rows. So its signals do not depend on where batches are cut. By parameters it
// also counts its reports into its signals, takes its time, throws, or never comes back.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const SOURCE = `
import * as z from 'zod/mini';
import { BID, BUY, ROW, SELL, defineStrategy } from 'trackseal/strategy';

const count = z._default(z.int().check(z.minimum(0)), 0);
const parameters = z.strictObject({
  symbol: z.string(),
  market: z._default(z.string(), 'spot'),
  /** Signals at every n-th trade. */
  every: z.int().check(z.minimum(1)),
  quantity: z.int().check(z.minimum(1)),
  ttl_ms: z._default(z.int().check(z.minimum(1)), 500),
  /** Largest random addition to the quantity. */
  spread: count,
  /** 1 to add the reports so far to the quantity: then it depends on the execution. */
  count_reports: count,
  /** Rounds of arithmetic in each batch. */
  work: count,
  /** Throws, or loops, at this trade; 0 is never. */
  crash_at: count,
  loop_at: count,
});

export default defineStrategy({
  parameters,
  subscribe: ({ symbol, market }) => [{ venue: 'binance', symbol, market }],
  start: () => ({ trades: 0, reports: 0, waste: 0 }),
  onBatch(batch, context) {
    const { parameters: asked, state } = context;
    state.reports += context.reports.length * asked.count_reports;
    for (let round = 0; round < asked.work; round++) state.waste = (state.waste * 31 + round) % 65521;
    for (let row = 0; row < batch.length; row++) {
      if (batch.kind[row] !== ROW.trade) continue;
      state.trades++;
      if (state.trades === asked.crash_at) throw new Error('as asked');
      if (state.trades === asked.loop_at) for (;;);
      if (state.trades % asked.every !== 0) continue;
      context.signal({
        instrument: batch.instrument[row] ?? 0,
        side: batch.side[row] === BID ? BUY : SELL,
        quantity: asked.quantity + state.reports + Math.floor(context.random() * asked.spread),
        limit: batch.price[row] ?? 0,
        ttlMs: asked.ttl_ms,
      });
    }
  },
});
`;

export interface TapeParameters {
  readonly symbol: string;
  readonly market?: string;
  readonly every: number;
  readonly quantity: number;
  readonly ttl_ms?: number;
  readonly spread?: number;
  readonly count_reports?: 0 | 1;
  readonly work?: number;
  readonly crash_at?: number;
  readonly loop_at?: number;
}

/** Writes `tape.ts` into the folder and answers its path. */
export async function writeTapeStrategy(folder: string): Promise<string> {
  const path = join(folder, 'tape.ts');
  await writeFile(path, SOURCE);
  return path;
}
