// A strategy to start from: buys when a trade prints above all of the last ones, and sells what it has after
// some time. It is small on purpose; replace what is in it, and keep the parts that every strategy has:
//
// - parameters: a schema. What does not fit it is refused before the first batch.
// - subscribe: the instruments whose rows and books it gets.
// - start: the state. All state is here; it starts empty in each epoch.
// - onBatch: called once for each batch, in order. Synchronous; it asks for orders with `context.signal`.
//
// There is no clock, no Math.random, no I/O: time is the batch's, random numbers come from `context.random()`.
// So the same inputs give the same signals, byte for byte. Prices and quantities are whole numbers, scaled as
// the instrument says: at a price scale of 2, 268380 is 2683.80.

import * as z from 'zod/mini';
import type { BatchView, Strategy, StrategyContext } from 'trackseal/strategy';
import { BUY, ORDER, ROW, SELL, defineStrategy } from 'trackseal/strategy';

const positive = z.int().check(z.minimum(1));

const parameterSchema = z.strictObject({
  venue: z.string(),
  symbol: z.string(),
  market: z.enum(['spot', 'linear', 'inverse']),
  /** Trades to look back at. */
  lookback: z.int().check(z.minimum(1), z.maximum(10_000)),
  /** How far above all of them a trade must be, in price units. */
  margin: z.int().check(z.minimum(0)),
  /** Of one order; also the largest position. */
  quantity: positive,
  /** Price units beyond the best opposite price that an order may pay. */
  slippage: z.int().check(z.minimum(0)),
  /** Life of an order. */
  ttl_ms: z.int().check(z.minimum(1), z.maximum(60_000)),
  /** A position is sold after this time. */
  hold_ms: positive,
});
type Parameters = z.infer<typeof parameterSchema>;

interface State {
  /** The last trades' prices, a ring; `seen` counts all trades. */
  readonly prices: number[];
  seen: number;
  /** The order in flight and when nothing can come of it any more, or null. */
  order: { readonly signal: number; readonly untilMs: number } | null;
  boughtMs: number;
}

function start(): State {
  return { prices: [], seen: 0, order: null, boughtMs: 0 };
}

/** True when this trade is above all of the last ones; remembers it. */
function breaksOut(state: State, price: number, { lookback, margin }: Parameters): boolean {
  const { prices } = state;
  const full = prices.length === lookback;
  const above = full && prices.every((earlier) => price >= earlier + margin);
  prices[state.seen % lookback] = price;
  state.seen++;
  return above;
}

/** An order is over when a report says so, or when its time is. Reports may come some batches late. */
function followOrder({ state, reports, timeMs }: StrategyContext<Parameters, State>): void {
  for (const { signal, status } of reports) {
    if (signal === state.order?.signal && status >= ORDER.filled) state.order = null;
  }
  if (state.order !== null && timeMs >= state.order.untilMs) state.order = null;
}

function onBatch(batch: BatchView, context: StrategyContext<Parameters, State>): void {
  const { parameters, state, timeMs } = context;
  const [{ id: instrument } = { id: 0 }] = context.instruments;
  followOrder(context);
  let breakout = false;
  for (let row = 0; row < batch.length; row++) {
    if (batch.kind[row] !== ROW.trade || batch.instrument[row] !== instrument) continue;
    if (breaksOut(state, batch.price[row] ?? 0, parameters)) breakout = true;
  }
  const { valid, bidPrice, askPrice } = context.book(instrument);
  if (!valid || state.order !== null) return;
  const position = context.position(instrument);
  if (position === 0) state.boughtMs = timeMs;
  const { quantity, slippage, ttl_ms: ttlMs, hold_ms: holdMs } = parameters;
  const buys = position === 0 && breakout;
  const sells = position > 0 && timeMs - state.boughtMs >= holdMs;
  if (!buys && !sells) return;
  const signal = context.signal({
    instrument,
    side: buys ? BUY : SELL,
    quantity: buys ? quantity : position,
    limit: buys ? askPrice + slippage : Math.max(bidPrice - slippage, 1),
    ttlMs,
  });
  state.order = { signal, untilMs: timeMs + 2 * ttlMs };
}

const strategy: Strategy = defineStrategy({
  parameters: parameterSchema,
  subscribe: ({ venue, symbol, market }) => [{ venue, symbol, market }],
  start,
  onBatch,
});

export default strategy;
