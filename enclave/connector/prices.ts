// Prices of markets, for no account: what a venue's finished candles of an hour or a minute closed at, of spot markets or as
// the venue marks derivatives, in its own digits, at their end: nothing that came later is in it. A candle without deals
// says the price of the last deal, and how old that is. What a venue does not have, or does not show any more, is a line
// of coverage, and no price is ever made from another one.

import type { Exchange } from '../../node_modules/ccxt/js/src/base/Exchange.js';
import type { Adapter } from './adapter.ts';
import { CallError } from './call-error.ts';
import type { CoverageReason, Venue } from './classes.ts';
import type { ExchangeOptions } from './exchange.ts';
import { closeExchange, openExchange } from './exchange.ts';
import type { PriceItem } from './job.ts';
import { HOUR_MS } from './job.ts';
import { decimalAt, timeAt } from './raw.ts';
import type { Price, PriceKind } from './records.ts';
import { isSound } from './sound.ts';
import type { Run } from './run.ts';
import type { Span, Walker } from './source.ts';
import { failureOf, reasonOf } from './source.ts';
import { alpacaBars } from './venues/alpaca.ts';
import { binanceOptions } from './venues/binance/binance.ts';
import { bitgetOptions } from './venues/bitget.ts';
import { BYBIT } from './venues/bybit.ts';
import { COINBASE } from './venues/coinbase.ts';
import { KRAKEN } from './venues/kraken.ts';
import { KRAKEN_FUTURES } from './venues/krakenfutures.ts';
import { mexcOptions } from './venues/mexc.ts';
import { OKX } from './venues/okx.ts';

type Options = ExchangeOptions<Exchange>;
type Markets = Readonly<Partial<Record<PriceKind, Options>>>;

/** Where the markets of each kind are; a venue without a line has none that connectors ask for. */
const MARKETS: Readonly<Partial<Record<Venue, Markets>>> = {
  binance: { spot: binanceOptions('spot') },
  binancemargin: { spot: binanceOptions('margin') },
  binanceusdm: { mark: binanceOptions('linear') },
  binancecoinm: { mark: binanceOptions('inverse') },
  bybit: { spot: BYBIT, mark: BYBIT },
  bitget: { spot: bitgetOptions(false), mark: bitgetOptions(true) },
  mexc: { spot: mexcOptions(false), mark: mexcOptions(true) },
  kraken: { spot: KRAKEN },
  krakenfutures: { mark: KRAKEN_FUTURES },
  coinbase: { spot: COINBASE },
  okx: { spot: OKX, mark: OKX },
};

/** Of one question; the fewest that a venue gives are those of OKX's marks. */
const PAGE = 100;
/** Candles before those that are asked for, in which the last deal is looked for. */
const LOOK_BACK = 24;

/** Of a span that is longer than an answer; so its end has to be said. */
const SHOW_NEWEST: ReadonlySet<string> = new Set(['bitget', 'bybit', 'mexc']);

export interface Candle {
  /** Its begin. */
  readonly fromMs: number | null;
  /** Of its last deal, or of the last one before it. */
  readonly close: string | null;
  /** Null: not told. */
  readonly volume: string | null;
}

interface Rows {
  readonly source: string;
  readonly rows: readonly Candle[];
  readonly lastMs: number;
  readonly dealtMs: number;
}

type Ask = (span: Span) => Promise<readonly Candle[]>;

export function openPrices(run: Run): Promise<Adapter> {
  const exchanges = new Map<Options, Promise<Exchange>>();
  const find = async (item: PriceItem): Promise<Ask | null> => {
    const { kind, symbol, stepMs } = item;
    const { venue } = run.job;
    if (venue === 'alpaca') return (span) => alpacaBars(run, symbol, span, stepMs);
    const options = MARKETS[venue]?.[kind];
    if (options === undefined) return null;
    const opened = exchanges.get(options) ?? openExchange(run, options);
    exchanges.set(options, opened);
    const exchange = await opened;
    return exchange.markets?.[symbol] === undefined
      ? null
      : (span) => candles(exchange, item, span);
  };
  return Promise.resolve({
    check: () => Promise.reject(new CallError('not_supported')),
    phases: [
      () =>
        Promise.resolve(
          run.job.prices.map((item) => ({
            type: 'whole',
            walk: (walker) => walkItem(item, walker, run, find),
          })),
        ),
    ],
    close: () => {
      for (const opened of exchanges.values()) void opened.then(closeExchange, () => undefined);
    },
  });
}

async function candles(
  exchange: Exchange,
  { kind, symbol, stepMs }: PriceItem,
  { fromMs, toMs }: Span,
): Promise<readonly Candle[]> {
  const frame = stepMs === HOUR_MS ? '1h' : '1m';
  const count = (toMs - fromMs) / stepMs + 1;
  const rows: unknown = await exchange.fetchOHLCV(symbol, frame, fromMs, count, {
    ...(kind === 'mark' ? { price: 'mark' } : {}),
    ...(SHOW_NEWEST.has(exchange.id) ? { until: toMs + stepMs - 1 } : {}),
    // ccxt writes it in small letters, which the venue does not know.
    ...(exchange.id === 'bitget' && kind === 'mark' ? { kLineType: 'MARK' } : {}),
  });
  if (!Array.isArray(rows)) throw new CallError('bad_response');
  return rows.map((row: unknown) => {
    const candle = { ...(row as object) };
    const [fromMs, close] = [timeAt(candle, '0'), decimalAt(candle, '4')];
    // Marks are made, not dealt.
    return { fromMs, close, volume: kind === 'mark' ? null : decimalAt(candle, '5') };
  });
}

/** Of a market that was closed for a while, the last price before the span too; `dealtMs` is that of the last deal before `rows`. */
function pricesOf(
  { kind: of, symbol, fromMs, stepMs }: PriceItem,
  { source, rows, lastMs, dealtMs }: Rows,
): Price[] {
  const prices: Price[] = [];
  let tradedMs = dealtMs;
  for (const { fromMs: beginMs, close: price, volume } of rows) {
    if (beginMs === null || price === null || price === '0') continue;
    const atMs = beginMs + stepMs;
    if (atMs > lastMs) continue;
    if (volume !== '0') tradedMs = atMs;
    if (atMs <= fromMs) prices.length = 0;
    prices.push({ kind: 'price', of, symbol, atMs, price, source, stepMs, tradedMs });
  }
  return prices.filter(isSound);
}

async function walkItem(
  item: PriceItem,
  walker: Walker,
  run: Run,
  find: (item: PriceItem) => Promise<Ask | null>,
): Promise<CallError | null> {
  const { symbol: market, fromMs, toMs, stepMs } = item;
  const cover = (reason: CoverageReason | null): void => {
    walker.cover({ what: 'prices', market, fromMs, toMs, complete: reason === null, reason });
  };
  try {
    const ask = await find(item);
    if (ask === null) {
      cover('venue_lacks');
      return null;
    }
    let count = 0;
    const lastMs = Math.min(toMs, walker.nowMs());
    // Begins of candles: one ends at each moment that is asked for.
    const lastFromMs = Math.floor(lastMs / stepMs - 1) * stepMs;
    let atMs = (Math.ceil(fromMs / stepMs) - 1 - LOOK_BACK) * stepMs;
    let dealtMs = atMs;
    for (; atMs <= lastFromMs; atMs += PAGE * stepMs) {
      const endMs = Math.min(atMs + (PAGE - 1) * stepMs, lastFromMs);
      const rows = await ask({ fromMs: atMs, toMs: endMs });
      const prices = pricesOf(item, { source: run.source, rows, lastMs, dealtMs });
      dealtMs = prices.at(-1)?.tradedMs ?? dealtMs;
      count += prices.length;
      await walker.emit(prices);
    }
    cover(count === 0 ? 'history_limit' : null);
    return null;
  } catch (error) {
    const failure = failureOf(error);
    cover(reasonOf(failure));
    return failure instanceof CallError ? failure : null;
  }
}
