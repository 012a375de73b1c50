// A strategy to start from, in AssemblyScript: buys when a trade prints above all of the last ones, and sells
// what it has after some time. It is small on purpose; replace what is in it, and keep the parts that every
// strategy has:
//
// - configure: reads the parameters and subscribes. False refuses them, before the first batch.
// - start: called once after that. State is in global variables; it starts empty in each epoch.
// - onBatch: called once for each batch, in order; it asks for orders with `signal`.
//
// There is no clock, no randomness and no I/O but what ./trackseal has: time is the batch's, random numbers come
// from a logged seed. So the same inputs give the same signals, byte for byte. Prices and quantities are whole
// numbers (i64), scaled as the instrument says: at a price scale of 2, 268380 is 2683.80.

export { input, version } from './trackseal';
import {
  BUY,
  Book,
  FILLED,
  Parameters,
  SELL,
  TRADE,
  batch,
  reports,
  signal,
  subscribe,
} from './trackseal';

const NONE: i64 = -1;

/** Trades to look back at. */
let lookback: i32 = 1;
/** How far above all of them a trade must be, in price units. */
let margin: i64 = 0;
/** Of one order; also the largest position. */
let quantity: i64 = 0;
/** Price units beyond the best opposite price that an order may pay. */
let slippage: i64 = 0;
/** Life of an order. */
let ttlMs: i32 = 0;
/** A position is sold after this time. */
let holdMs: i64 = 0;

/** The last trades' prices, a ring; `seen` counts all trades. */
let prices: i64[] = [];
let seen: i32 = 0;
/** The order in flight, and when nothing can come of it any more. */
let order: i64 = NONE;
let orderUntilMs: i64 = 0;
let boughtMs: i64 = 0;
/** The only instrument that is subscribed. */
let book: Book = new Book(0);

export function configure(): bool {
  const parameters = new Parameters();
  lookback = <i32>parameters.integer('lookback', 1, 10_000);
  margin = parameters.integer('margin', 0, 1_000_000_000);
  quantity = parameters.integer('quantity', 1, 1_000_000_000_000);
  slippage = parameters.integer('slippage', 0, 1_000_000_000);
  ttlMs = <i32>parameters.integer('ttl_ms', 1, 60_000);
  holdMs = parameters.integer('hold_ms', 1, 86_400_000);
  const venue = parameters.text('venue');
  const symbol = parameters.text('symbol');
  const market = parameters.text('market');
  if (!parameters.accepted) return false;
  subscribe(venue, symbol, market);
  return true;
}

export function start(): void {}

/** True when this trade is above all of the last ones; remembers it. */
function breaksOut(price: i64): bool {
  const full = prices.length == lookback;
  let above = full;
  for (let at = 0; at < prices.length; at++) if (price < prices[at] + margin) above = false;
  if (full) prices[seen % lookback] = price;
  else prices.push(price);
  seen++;
  return above;
}

/** An order is over when a report says so, or when its time is. Reports may come some batches late. */
function followOrder(timeMs: i64): void {
  for (let index = 0; index < reports.count(); index++) {
    if (reports.signal(index) == order && reports.status(index) >= FILLED) order = NONE;
  }
  if (order != NONE && timeMs >= orderUntilMs) order = NONE;
}

export function onBatch(): void {
  const timeMs = batch.timeMs();
  followOrder(timeMs);
  let breakout = false;
  for (let row = 0; row < batch.rows(); row++) {
    if (batch.kind(row) != TRADE || batch.instrument(row) != book.instrument) continue;
    if (breaksOut(batch.price(row))) breakout = true;
  }
  if (!book.valid || order != NONE) return;
  const position = book.position;
  if (position == 0) boughtMs = timeMs;
  const buys = position == 0 && breakout;
  const sells = position > 0 && timeMs - boughtMs >= holdMs;
  if (!buys && !sells) return;
  const size = buys ? quantity : position;
  const limit = buys ? book.askPrice + slippage : max(book.bidPrice - slippage, 1);
  order = signal(book.instrument, buys ? BUY : SELL, size, limit, ttlMs);
  orderUntilMs = timeMs + 2 * <i64>ttlMs;
}
