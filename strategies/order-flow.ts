// Takes liquidity when order flow and queues at the best prices agree about the next move.
//
// Two well-known short-horizon signals on order-book data, both in integers:
// - Order flow imbalance (Cont, Kukanov, Stoikov, "The Price Impact of Order Book Events", Journal of
//   Financial Econometrics 12(1), 2014): every change of the best bid and ask counts as buying or selling
//   pressure; summed over a window, divided by twice the usual depth at the best prices, it is the price
//   move in ticks that the flow accounts for.
// - The microprice's first-order term (Stoikov, "The micro-price: a high-frequency estimator of future
//   prices", Quantitative Finance 18(12), 2018): the weighted mid, that is how far the queues lean.
// A position is opened when both pass their thresholds to the same side, and closed after its holding
// time or when the flow turns. At most one order is in flight; quantity and inventory are capped.
//
// What it is not: at a taker's fees of some basis points against a spread of a hundredth of one, it pays
// for its trades. It shows the path from data to orders with decisions that can be checked by hand.

import * as z from 'zod/mini';
import type { BatchView, Strategy, StrategyContext } from '../enclave/strategy/sdk.ts';
import { ASK, BID, BUY, ORDER, ROW, SELL, defineStrategy } from '../enclave/strategy/sdk.ts';

const positive = z.int().check(z.minimum(1));

const parameterSchema = z.strictObject({
  venue: z.string(),
  symbol: z.string(),
  market: z.enum(['spot', 'linear', 'inverse']),
  /** Smallest price step, scaled. */
  tick: positive,
  /** Order flow is summed over this many ms, in buckets of `bucket_ms`. */
  window_ms: positive,
  bucket_ms: positive,
  /** Price move that the flow must account for, in thousandths of a tick. */
  entry_impact: positive,
  /** The flow against a position that closes it, in the same unit. */
  exit_impact: positive,
  /** Lean of the queues: (bid − ask) / (bid + ask) quantity at the best prices, in thousandths. */
  entry_lean: z.int().check(z.minimum(0), z.maximum(999)),
  /** Quantity of one order and the largest position, scaled. */
  quantity: positive,
  max_position: positive,
  /** Ticks beyond the best opposite price that an order may pay. */
  slippage_ticks: z.int().check(z.minimum(0)),
  /** Life of an order. */
  ttl_ms: z.int().check(z.minimum(1), z.maximum(60_000)),
  /** A position is closed after this time. */
  hold_ms: positive,
  /** Pause after an order before the next may open a position. */
  cooldown_ms: positive,
});
type Parameters = z.infer<typeof parameterSchema>;

/** Depth is averaged over about this many quotes. */
const DEPTH_QUOTES = 512;

interface Quote {
  bidPrice: number;
  bidQuantity: number;
  askPrice: number;
  askQuantity: number;
}

interface State {
  readonly quote: Quote;
  /** Order flow by time, a ring; quantities bought less sold. */
  readonly buckets: number[];
  bucket: number;
  flow: number;
  /** Mean quantity at a best price; 0 before the first quote. */
  depth: number;
  quotes: number;
  /** The order in flight and when it is certainly over, or null. */
  order: { readonly signal: number; readonly untilMs: number } | null;
  lastOrderMs: number;
  openedMs: number;
}

function start(parameters: Parameters): State {
  const buckets = Math.ceil(parameters.window_ms / parameters.bucket_ms);
  return {
    quote: { bidPrice: 0, bidQuantity: 0, askPrice: 0, askQuantity: 0 },
    buckets: Array.from({ length: buckets }, () => 0),
    bucket: 0,
    flow: 0,
    depth: 0,
    quotes: 0,
    order: null,
    lastOrderMs: 0,
    openedMs: 0,
  };
}

/** Moves the ring on to the bucket of this time; flow that is older than the window leaves the sum. */
function advance(state: State, bucket: number): void {
  const { buckets } = state;
  const steps = Math.min(bucket - state.bucket, buckets.length);
  for (let step = 1; step <= steps; step++) {
    const slot = (bucket - steps + step) % buckets.length;
    state.flow -= buckets[slot] ?? 0;
    buckets[slot] = 0;
  }
  if (steps > 0) state.bucket = bucket;
}

/** The contribution e_n of one change of the best prices, equation 4 of Cont, Kukanov and Stoikov. */
function flowOf(before: Quote, now: Quote): number {
  let flow = 0;
  if (now.bidPrice >= before.bidPrice) flow += now.bidQuantity;
  if (now.bidPrice <= before.bidPrice) flow -= before.bidQuantity;
  if (now.askPrice <= before.askPrice) flow -= now.askQuantity;
  if (now.askPrice >= before.askPrice) flow += before.askQuantity;
  return flow;
}

function addQuote(state: State, now: Quote, bucket: number): void {
  const { quote, buckets } = state;
  if (quote.bidPrice > 0) {
    advance(state, bucket);
    const flow = flowOf(quote, now);
    const slot = state.bucket % buckets.length;
    buckets[slot] = (buckets[slot] ?? 0) + flow;
    state.flow += flow;
  }
  Object.assign(quote, now);
  const depth = Math.floor((now.bidQuantity + now.askQuantity) / 2);
  state.quotes = Math.min(state.quotes + 1, DEPTH_QUOTES);
  state.depth += Math.trunc((depth - state.depth) / state.quotes);
}

/** Quotes come as two rows, the bid first. */
function readQuotes(batch: BatchView, state: State, instrument: number, bucketNs: bigint): void {
  let bidPrice = 0;
  let bidQuantity = 0;
  for (let row = 0; row < batch.length; row++) {
    if (batch.kind[row] !== ROW.best || batch.instrument[row] !== instrument) continue;
    const price = batch.price[row] ?? 0;
    const quantity = batch.quantity[row] ?? 0;
    if (batch.side[row] === BID) {
      bidPrice = price;
      bidQuantity = quantity;
    } else if (batch.side[row] === ASK && bidPrice > 0) {
      const now = { bidPrice, bidQuantity, askPrice: price, askQuantity: quantity };
      addQuote(state, now, Number((batch.receiveNs[row] ?? 0n) / bucketNs));
    }
  }
}

/** An order is over when a report says so, or when nothing can come of it any more. */
function readReports({ reports, state, timeMs }: StrategyContext<Parameters, State>): void {
  for (const { signal, status } of reports) {
    if (signal === state.order?.signal && status >= ORDER.filled) state.order = null;
  }
  if (state.order !== null && timeMs >= state.order.untilMs) state.order = null;
}

function send(
  context: StrategyContext<Parameters, State>,
  instrument: number,
  side: 1 | 2,
  quantity: number,
): void {
  const { parameters, state, timeMs } = context;
  const slippage = parameters.slippage_ticks * parameters.tick;
  const { bidPrice, askPrice } = state.quote;
  const limit = side === BUY ? askPrice + slippage : bidPrice - slippage;
  if (limit < 1 || quantity < 1) return;
  const signal = context.signal({ instrument, side, quantity, limit, ttlMs: parameters.ttl_ms });
  // Reports of an order that expired come a little after its time.
  state.order = { signal, untilMs: timeMs + 2 * parameters.ttl_ms };
  state.lastOrderMs = timeMs;
}

/** 1 to buy, -1 to sell, 0 for neither. */
function wanted(parameters: Parameters, impact: number, quote: Quote): number {
  const { bidQuantity, askQuantity } = quote;
  const lean = ((bidQuantity - askQuantity) * 1000) / (bidQuantity + askQuantity);
  if (impact >= parameters.entry_impact && lean >= parameters.entry_lean) return 1;
  if (impact <= -parameters.entry_impact && lean <= -parameters.entry_lean) return -1;
  return 0;
}

function onBatch(batch: BatchView, context: StrategyContext<Parameters, State>): void {
  const { parameters, state, timeMs } = context;
  const instrument = context.instruments[0]?.id ?? 0;
  readReports(context);
  readQuotes(batch, state, instrument, BigInt(parameters.bucket_ms) * 1_000_000n);
  const full = state.quotes === DEPTH_QUOTES && state.depth > 0;
  if (!full || state.order !== null || !context.book(instrument).valid) return;
  advance(state, Math.floor(timeMs / parameters.bucket_ms));

  // Thousandths of a tick.
  const impact = Math.trunc((state.flow * 1000) / (2 * state.depth));
  const position = context.position(instrument);
  if (position === 0) state.openedMs = timeMs;
  const against = position > 0 ? -impact : impact;
  const overdue = timeMs - state.openedMs >= parameters.hold_ms;
  if (position !== 0 && (overdue || against >= parameters.exit_impact)) {
    const size = Math.min(Math.abs(position), parameters.max_position);
    send(context, instrument, position > 0 ? SELL : BUY, size);
    return;
  }
  if (timeMs - state.lastOrderMs < parameters.cooldown_ms) return;
  const side = wanted(parameters, impact, state.quote);
  const room = parameters.max_position - side * position;
  if (side !== 0 && room > 0) {
    send(context, instrument, side > 0 ? BUY : SELL, Math.min(parameters.quantity, room));
  }
}

const strategy: Strategy = defineStrategy({
  parameters: parameterSchema,
  subscribe: ({ venue, symbol, market }) => [{ venue, symbol, market }],
  start,
  onBatch,
});

export default strategy;
