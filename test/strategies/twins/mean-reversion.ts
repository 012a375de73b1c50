// The twin of strategies/assembly/mean-reversion.ts in TypeScript: the same decisions by other code.

import * as z from 'zod/mini';
import type { BatchView, Strategy, StrategyContext } from '../../../enclave/strategy/sdk.ts';
import { BUY, ORDER, SELL, defineStrategy } from '../../../enclave/strategy/sdk.ts';

function integer(minimum: number, maximum: number) {
  return z.int().check(z.minimum(minimum), z.maximum(maximum));
}

const parameterSchema = z.strictObject({
  venue: z.string(),
  symbol: z.string(),
  market: z.string(),
  tick: integer(1, 1_000_000),
  bar_ms: z.literal(1000),
  window_bars: integer(1, 64),
  entry_stretch: integer(1, 1_000_000_000),
  exit_stretch: integer(0, 1_000_000_000),
  spent_imbalance: integer(-1000, 1000),
  quantity: integer(1, 1e12),
  max_position: integer(1, 1e12),
  slippage_ticks: integer(0, 1_000_000),
  patient_ms: integer(1, 60_000),
  urgent_ms: integer(1, 60_000),
  hold_ms: integer(1, 86_400_000),
  cooldown_ms: integer(0, 86_400_000),
});
type Parameters = z.infer<typeof parameterSchema>;

interface State {
  order: { readonly signal: number; readonly untilMs: number } | null;
  lastOrderMs: number;
  openedMs: number;
}
type Context = StrategyContext<Parameters, State>;

/** Distance of the price from its average in thousandths of a tick, and the last bar's imbalance. */
function measure(
  context: Context,
  instrument: number,
): { stretch: bigint; imbalance: bigint } | null {
  const { window_bars: bars, tick } = context.parameters;
  const book = context.book(instrument);
  const middle = 3n * BigInt(book.bidPrice + book.askPrice);
  let [weighted, volume, imbalance] = [0n, 0n, 0n];
  for (let back = 1; back <= bars; back++) {
    const bar = book.bar(0, back);
    if (bar === null) return null;
    const distance = middle - 2n * BigInt(bar.high + bar.low + bar.close);
    if (distance > 1n << 20n || distance < -(1n << 20n)) return null;
    if (bar.volume >= 1n << 37n || bar.volume < 1n) return null;
    weighted += bar.volume * distance;
    volume += bar.volume;
    if (back === 1) imbalance = ((2n * bar.buyVolume - bar.volume) * 1000n) / bar.volume;
  }
  return { stretch: ((weighted / volume) * 1000n) / (6n * BigInt(tick)), imbalance };
}

function send(
  context: Context,
  instrument: number,
  side: 1 | 2,
  size: number,
  limit: number,
  ttlMs: number,
) {
  if (limit < 1 || size < 1) return;
  const signal = context.signal({ instrument, side, quantity: size, limit, ttlMs });
  context.state.order = { signal, untilMs: context.timeMs + 2 * ttlMs };
  context.state.lastOrderMs = context.timeMs;
}

function close(context: Context, instrument: number, position: number): void {
  const { parameters } = context;
  const { bidPrice, askPrice } = context.book(instrument);
  const slippage = parameters.slippage_ticks * parameters.tick;
  const size = Math.min(Math.abs(position), parameters.max_position);
  const [side, limit] =
    position > 0 ? ([SELL, bidPrice - slippage] as const) : ([BUY, askPrice + slippage] as const);
  send(context, instrument, side, size, limit, parameters.urgent_ms);
}

function onBatch(_: BatchView, context: Context): void {
  const { parameters, state, timeMs, reports } = context;
  for (const { signal, status } of reports) {
    if (signal === state.order?.signal && status >= ORDER.filled) state.order = null;
  }
  if (state.order !== null && timeMs >= state.order.untilMs) state.order = null;

  const instrument = context.instruments[0]?.id ?? 0;
  const { valid, bidPrice, askPrice } = context.book(instrument);
  const position = context.position(instrument);
  if (position === 0) state.openedMs = timeMs;
  if (state.order !== null || !valid || bidPrice < 1 || askPrice < 1) return;
  if (position !== 0 && timeMs - state.openedMs >= parameters.hold_ms) {
    close(context, instrument, position);
    return;
  }
  const measured = measure(context, instrument);
  if (measured === null) return;
  const { stretch, imbalance } = measured;
  if (position !== 0) {
    const against = position > 0 ? -stretch : stretch;
    if (against <= parameters.exit_stretch) close(context, instrument, position);
    return;
  }
  if (timeMs - state.lastOrderMs < parameters.cooldown_ms) return;
  const size = Math.min(parameters.quantity, parameters.max_position);
  const spent = parameters.spent_imbalance;
  if (stretch >= parameters.entry_stretch && imbalance <= spent) {
    send(context, instrument, SELL, size, askPrice, parameters.patient_ms);
  } else if (stretch <= -parameters.entry_stretch && -imbalance <= spent) {
    send(context, instrument, BUY, size, bidPrice, parameters.patient_ms);
  }
}

const strategy: Strategy = defineStrategy({
  parameters: parameterSchema,
  subscribe: ({ venue, symbol, market }) => [{ venue, symbol, market }],
  barsMs: [1000],
  start: (): State => ({ order: null, lastOrderMs: 0, openedMs: 0 }),
  onBatch,
});

export default strategy;
