// The twin of ../probe.ts in AssemblyScript, value for value.

export { input, version } from '../../../../strategies/assembly/trackseal';
import {
  Book,
  Parameters,
  batch,
  keepBars,
  random,
  randomFraction,
  reports,
  signal,
  slots,
  subscribe,
} from '../../../../strategies/assembly/trackseal';

let hash: i32 = 0;

export function configure(): bool {
  subscribe('binance', 'ETHUSDT', 'spot');
  subscribe('binance', 'BTCUSDT', 'spot');
  keepBars(1000);
  keepBars(60);
  return new Parameters().accepted;
}

export function start(): void {
  hash = slots();
}

function fold(value: i64): void {
  hash = (hash ^ (<i32>value)) * 16_777_619;
  hash = (hash ^ (<i32>(value >> 32))) * 16_777_619;
}

function foldRows(): void {
  for (let row = 0; row < batch.rows(); row++) {
    fold(batch.instrument(row));
    fold(batch.kind(row));
    fold(batch.side(row));
    fold(batch.flags(row));
    fold(batch.exchangeNs(row));
    fold(batch.receiveNs(row));
    fold(batch.price(row));
    fold(batch.quantity(row));
    fold(batch.id(row));
  }
}

function foldBar(book: Book, interval: i32, back: i32): void {
  const bar = book.bar(interval, back);
  if (bar == null) return fold(-1);
  fold(bar.startNs);
  fold(bar.open);
  fold(bar.high);
  fold(bar.low);
  fold(bar.close);
  fold(bar.volume);
  fold(bar.buyVolume);
  fold(bar.trades);
}

const LEVELS: StaticArray<i32> = [-1, 0, 1, 2, 5, 19, 400, 100_000];
const BACKS: StaticArray<i32> = [-1, 0, 1, 2, 40, 1024, 1025];

function foldBook(book: Book): void {
  fold(book.instrument);
  fold(book.priceScale);
  fold(book.quantityScale);
  fold(book.position);
  fold(book.valid ? 1 : 0);
  fold(book.bidPrice);
  fold(book.bidQuantity);
  fold(book.askPrice);
  fold(book.askQuantity);
  fold(book.lastPrice);
  fold(book.lastQuantity);
  fold(book.trades);
  for (let side = 1; side <= 2; side++) {
    for (let at = 0; at < LEVELS.length; at++) {
      fold(book.price(side, LEVELS[at]));
      fold(book.quantity(side, LEVELS[at]));
    }
  }
  for (let interval = 0; interval < 3; interval++) {
    for (let at = 0; at < BACKS.length; at++) foldBar(book, interval, BACKS[at]);
  }
}

function foldReports(): void {
  fold(reports.count());
  for (let index = 0; index < reports.count(); index++) {
    fold(reports.signal(index));
    fold(reports.instrument(index));
    fold(reports.side(index));
    fold(reports.status(index));
    fold(reports.filledQuantity(index));
    const reason = reports.reason(index);
    for (let at = 0; at < reason.length; at++) fold(reason.charCodeAt(at));
    fold(reports.fills(index));
    for (let fill = 0; fill < reports.fills(index); fill++) {
      fold(reports.fillPrice(index, fill));
      fold(reports.fillQuantity(index, fill));
      fold(reports.fillFee(index, fill));
      fold(reports.fillTimeNs(index, fill));
    }
  }
}

export function onBatch(): void {
  fold(batch.stream());
  fold(batch.rows());
  fold(batch.sequence());
  fold(batch.timeNs());
  foldRows();
  for (let slot = 0; slot < slots(); slot++) foldBook(new Book(slot));
  foldReports();
  for (let draws = hash & 3; draws >= 0; draws--) {
    // The same number, whichever way it is asked for.
    fold((draws & 1) == 0 ? random() : <i64>(randomFraction() * 9007199254740992.0));
  }
  const last = new Book(slots() - 1).instrument;
  for (let signals = ((<u32>hash) >> 8) % 3; signals > 0; signals--) {
    const quantity: i64 = 1 + <i64>(<u32>hash);
    const side = (hash & 1) == 0 ? 1 : 2;
    const ttlMs = 1 + <i32>(((<u32>hash) >> 1) & 0xffff);
    fold(signal(last, side, quantity, quantity * 1024, ttlMs));
  }
}
