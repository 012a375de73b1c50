// Which symbols to ask for, where a venue shows fills per symbol only (Binance, MEXC, Bitget spot): those of the
// settings, those seen before, those with open orders, and the pairs of every asset whose balance has
// changed since the last job. What was bought and sold again between two jobs in a pair never seen, leaving
// all balances as they were, stays unknown, and the coverage says so.

import type { Exchange } from '../../node_modules/ccxt/js/src/base/Exchange.js';
import type { Cursors } from './cursors.ts';
import { MAX_SEEN_SYMBOLS } from './cursors.ts';
import { at, isRaw, textAt } from './raw.ts';
import type { Balance } from './records.ts';

/** Quotes that a pair of a changed asset may have, beside other assets of the account. */
const QUOTES: ReadonlySet<string> = new Set([
  'USDT',
  'USDC',
  'FDUSD',
  'TUSD',
  'USD',
  'EUR',
  'BTC',
  'ETH',
  'BNB',
]);
/** Of one job; the longest unasked first. */
export const MAX_SYMBOLS_PER_JOB = 250;

/** Assets with another total than in the job before, gone ones included; remembers the new totals. */
export function changedAssets(cursors: Cursors, balances: readonly Balance[]): ReadonlySet<string> {
  const totals = new Map(balances.map(({ currency, total }) => [currency, total] as const));
  const changed = new Set<string>();
  for (const [asset, total] of totals) if (cursors.totals.get(asset) !== total) changed.add(asset);
  for (const asset of cursors.totals.keys()) if (!totals.has(asset)) changed.add(asset);
  cursors.totals.clear();
  for (const [asset, total] of totals) cursors.totals.set(asset, total);
  return changed;
}

/** Pairs of the venue's list with such an asset as base. */
export function pairsOf(
  exchange: Exchange,
  changed: ReadonlySet<string>,
  held: ReadonlySet<string>,
): readonly string[] {
  const markets: unknown = exchange.markets;
  if (!isRaw(markets)) return [];
  const pairs: string[] = [];
  for (const [symbol, market] of Object.entries(markets)) {
    const base = textAt(market, 'base') ?? '';
    const quote = textAt(market, 'quote') ?? '';
    if (at(market, 'spot') !== true || !changed.has(base)) continue;
    if (QUOTES.has(quote) || held.has(quote)) pairs.push(symbol);
  }
  return pairs;
}

/** Listed ones only, the least recently asked first, at most MAX_SYMBOLS_PER_JOB. */
export function symbolsToAsk(
  exchange: Exchange,
  cursors: Cursors,
  keyOf: (symbol: string) => string,
  ...lists: readonly Iterable<string>[]
): readonly string[] {
  const markets: unknown = exchange.markets;
  const all = new Set<string>();
  for (const list of lists)
    for (const symbol of list) if (isRaw(at(markets, symbol))) all.add(symbol);
  const doneOf = (symbol: string): number => cursors.sources.get(keyOf(symbol))?.doneToMs ?? 0;
  return [...all].sort((a, b) => doneOf(a) - doneOf(b)).slice(0, MAX_SYMBOLS_PER_JOB);
}

export function noteSymbol(cursors: Cursors, symbol: string): void {
  if (cursors.symbols.size < MAX_SEEN_SYMBOLS) cursors.symbols.add(symbol);
}
