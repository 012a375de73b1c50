// Trades against short stretches of the price away from its recent average, in AssemblyScript.
//
// - The average is the volume-weighted price of the last complete bars, each bar at its typical price
//   (high + low + close) / 3; the stretch is how far the middle of best bid and ask is from it.
// - The filter is the trade imbalance of the last complete bar, (bought − sold) / volume by the side that
//   took: a stretch is only traded against once that side presses no longer. Order-flow imbalance moves
//   prices (Cont, Kukanov, Stoikov 2014), so that fading it while it lasts is the classic way to lose.
// - A position is opened patiently, with a limit at the best price of its own side, and closed at once,
//   across the spread: when the price is back, or after the holding time. Inventory is what the reports say.
//   At most one order is in flight; quantity and inventory are capped.
//
// All in integers. What it is not: tested against fees. It shows a second language on the same interface.

export { input, version } from './trackseal';
import {
  BUY,
  Book,
  FILLED,
  Parameters,
  SELL,
  batch,
  keepBars,
  reports,
  signal,
  subscribe,
} from './trackseal';

/** Six times a price distance, and a bar's volume: beyond them 64 bars could leave 64 bits, and nothing is done. */
const MAX_DISTANCE: i64 = 1 << 20;
const MAX_VOLUME: i64 = (1 << 37) - 1;
const NONE: i64 = -1;

/** Smallest price step, scaled. */
let tick: i64 = 1;
/** Complete bars that the average is made of. */
let windowBars: i32 = 0;
/** Distance from the average that opens a position, and that within which it is closed; thousandths of a tick. */
let entryStretch: i64 = 0;
let exitStretch: i64 = 0;
/** Imbalance in the direction of the stretch up to which it counts as spent; thousandths of the volume. */
let spentImbalance: i64 = 0;
/** Quantity of one order and the largest position, scaled. */
let quantity: i64 = 0;
let maxPosition: i64 = 0;
/** Ticks beyond the best opposite price that a closing order may pay. */
let slippageTicks: i64 = 0;
/** Life of an opening and of a closing order. */
let patientMs: i32 = 0;
let urgentMs: i32 = 0;
/** A position is closed after this time. */
let holdMs: i64 = 0;
/** Pause after an order before the next may open a position. */
let cooldownMs: i64 = 0;

/** The order in flight, and when nothing can come of it any more. */
let order: i64 = NONE;
let orderUntilMs: i64 = 0;
let lastOrderMs: i64 = 0;
let openedMs: i64 = 0;
let book: Book = new Book(0);

export function configure(): bool {
  const parameters = new Parameters();
  tick = parameters.integer('tick', 1, 1_000_000);
  const barMs = <i32>parameters.integer('bar_ms', 1, 86_400_000);
  windowBars = <i32>parameters.integer('window_bars', 1, 64);
  entryStretch = parameters.integer('entry_stretch', 1, 1_000_000_000);
  exitStretch = parameters.integer('exit_stretch', 0, 1_000_000_000);
  spentImbalance = parameters.integer('spent_imbalance', -1000, 1000);
  quantity = parameters.integer('quantity', 1, 1_000_000_000_000);
  maxPosition = parameters.integer('max_position', 1, 1_000_000_000_000);
  slippageTicks = parameters.integer('slippage_ticks', 0, 1_000_000);
  patientMs = <i32>parameters.integer('patient_ms', 1, 60_000);
  urgentMs = <i32>parameters.integer('urgent_ms', 1, 60_000);
  holdMs = parameters.integer('hold_ms', 1, 86_400_000);
  cooldownMs = parameters.integer('cooldown_ms', 0, 86_400_000);
  const venue = parameters.text('venue');
  const symbol = parameters.text('symbol');
  const market = parameters.text('market');
  if (!parameters.accepted) return false;
  keepBars(barMs);
  subscribe(venue, symbol, market);
  return true;
}

export function start(): void {}

/** An order is over when a report says so, or when nothing can come of it any more. */
function readReports(timeMs: i64): void {
  for (let index = 0; index < reports.count(); index++) {
    const isOver = reports.status(index) >= FILLED;
    if (reports.signal(index) == order && isOver) order = NONE;
  }
  if (order != NONE && timeMs >= orderUntilMs) order = NONE;
}

function send(side: i32, size: i64, limit: i64, ttlMs: i32, timeMs: i64): void {
  if (limit < 1 || size < 1) return;
  order = signal(book.instrument, side, size, limit, ttlMs);
  // Reports of an order that expired come a little after its time.
  orderUntilMs = timeMs + 2 * <i64>ttlMs;
  lastOrderMs = timeMs;
}

function close(position: i64, timeMs: i64): void {
  const slippage = slippageTicks * tick;
  const size = min(abs(position), maxPosition);
  if (position > 0) send(SELL, size, book.bidPrice - slippage, urgentMs, timeMs);
  else send(BUY, size, book.askPrice + slippage, urgentMs, timeMs);
}

export function onBatch(): void {
  const timeMs = batch.timeMs();
  readReports(timeMs);
  const position = book.position;
  if (position == 0) openedMs = timeMs;
  if (order != NONE || !book.valid || book.bidPrice < 1 || book.askPrice < 1) return;
  if (position != 0 && timeMs - openedMs >= holdMs) return close(position, timeMs);

  // Six times the middle and six times a typical price are integers.
  const middle = 3 * (book.bidPrice + book.askPrice);
  let weighted: i64 = 0;
  let volume: i64 = 0;
  let imbalance: i64 = 0;
  for (let back = 1; back <= windowBars; back++) {
    const bar = book.bar(0, back);
    if (bar == null) return;
    const distance = middle - 2 * (bar.high + bar.low + bar.close);
    if (abs(distance) > MAX_DISTANCE || bar.volume > MAX_VOLUME || bar.volume < 1) return;
    weighted += bar.volume * distance;
    volume += bar.volume;
    if (back == 1) imbalance = ((2 * bar.buyVolume - bar.volume) * 1000) / bar.volume;
  }
  const stretch = ((weighted / volume) * 1000) / (6 * tick);

  if (position != 0) {
    const against = position > 0 ? -stretch : stretch;
    if (against <= exitStretch) close(position, timeMs);
    return;
  }
  if (timeMs - lastOrderMs < cooldownMs) return;
  const size = min(quantity, maxPosition);
  if (stretch >= entryStretch && imbalance <= spentImbalance) {
    send(SELL, size, book.askPrice, patientMs, timeMs);
  } else if (stretch <= -entryStretch && -imbalance <= spentImbalance) {
    send(BUY, size, book.bidPrice, patientMs, timeMs);
  }
}
