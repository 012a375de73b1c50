// Folds everything that a strategy can see into one number and lets signals depend on it; the twin of
// assembly/probe.ts. Two strategies that see anything different part for good with their next signal.

import type {
  BatchView,
  BookView,
  Strategy,
  StrategyContext,
} from '../../../enclave/strategy/sdk.ts';
import { defineStrategy } from '../../../enclave/strategy/sdk.ts';

interface State {
  hash: number;
}

let hash = 0;

function fold(value: number): void {
  hash = Math.imul(hash ^ value, 16_777_619);
  hash = Math.imul(hash ^ Math.floor(value / 2 ** 32), 16_777_619);
}

function foldBig(value: bigint): void {
  hash = Math.imul(hash ^ Number(BigInt.asIntN(32, value)), 16_777_619);
  hash = Math.imul(hash ^ Number(BigInt.asIntN(32, value >> 32n)), 16_777_619);
}

function foldRows(batch: BatchView): void {
  for (let row = 0; row < batch.length; row++) {
    fold(batch.instrument[row] ?? 0);
    fold(batch.kind[row] ?? 0);
    fold(batch.side[row] ?? 0);
    fold(batch.flags[row] ?? 0);
    foldBig(batch.exchangeNs[row] ?? 0n);
    foldBig(batch.receiveNs[row] ?? 0n);
    fold(batch.price[row] ?? 0);
    fold(batch.quantity[row] ?? 0);
    fold(batch.id[row] ?? 0);
  }
}

function foldBar(book: BookView, interval: number, back: number): void {
  const bar = book.bar(interval, back);
  if (bar === null) return fold(-1);
  foldBig(bar.startNs);
  for (const price of [bar.open, bar.high, bar.low, bar.close]) fold(price);
  foldBig(bar.volume);
  foldBig(bar.buyVolume);
  fold(bar.trades);
}

function foldBook(book: BookView, position: number): void {
  fold(book.instrument.id);
  fold(book.instrument.priceScale);
  fold(book.instrument.quantityScale);
  fold(position);
  fold(book.valid ? 1 : 0);
  for (const top of [book.bidPrice, book.bidQuantity, book.askPrice, book.askQuantity]) fold(top);
  for (const top of [book.lastPrice, book.lastQuantity, book.trades]) fold(top);
  for (const side of [1, 2] as const) {
    for (const level of [-1, 0, 1, 2, 5, 19, 400, 100_000]) {
      fold(book.price(side, level));
      fold(book.quantity(side, level));
    }
  }
  for (const interval of [0, 1, 2]) {
    for (const back of [-1, 0, 1, 2, 40, 1024, 1025]) foldBar(book, interval, back);
  }
}

function foldReports({ reports }: StrategyContext<unknown, State>): void {
  fold(reports.length);
  for (const { signal, instrument, side, status, filledQuantity, reason, fills } of reports) {
    for (const value of [signal, instrument, side, status, filledQuantity]) fold(value);
    for (const letter of reason ?? '') fold(letter.charCodeAt(0));
    fold(fills.length);
    for (const fill of fills) {
      for (const value of [fill.price, fill.quantity, fill.fee]) fold(value);
      foldBig(fill.timeNs);
    }
  }
}

function onBatch(batch: BatchView, context: StrategyContext<unknown, State>): void {
  ({ hash } = context.state);
  fold(batch.stream);
  fold(batch.length);
  fold(batch.sequence);
  foldBig(context.timeNs);
  foldRows(batch);
  for (const { id } of context.instruments) foldBook(context.book(id), context.position(id));
  foldReports(context);
  for (let draws = hash & 3; draws >= 0; draws--) fold(context.random() * 2 ** 53);
  const last = context.instruments.at(-1)?.id ?? 0;
  for (let signals = (hash >>> 8) % 3; signals > 0; signals--) {
    const quantity = 1 + (hash >>> 0);
    const id = context.signal({
      instrument: last,
      side: (hash & 1) === 0 ? 1 : 2,
      quantity,
      limit: quantity * 1024,
      ttlMs: 1 + ((hash >>> 1) & 0xffff),
    });
    fold(id);
  }
  context.state.hash = hash;
}

const probe: Strategy = defineStrategy({
  parameters: { safeParse: (data: unknown) => ({ success: true, data }) },
  subscribe: () => [
    { venue: 'binance', symbol: 'ETHUSDT', market: 'spot' },
    { venue: 'binance', symbol: 'BTCUSDT', market: 'spot' },
  ],
  barsMs: [1000, 60],
  start: (_, instruments): State => ({ hash: instruments.length }),
  onBatch,
});

export default probe;
