// The prices of one hour as the book uses them: each use is noted with its age, for the list of sources and the digest
// that are published. Where there is no price the last known one stands in, so that the books go on in one piece; what was
// figured with it is not known, and says so (`known: false`).

import { createHmac } from 'node:crypto';
import type { Fixed } from '../../../wire/fixed.ts';
import { multiplyFixed } from '../../../wire/fixed.ts';
import type { PriceSource } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import type { Instrument } from './instrument.ts';
import type { SeriesRow } from './price-series.ts';
import type { PriceTable, Valuation } from './price-table.ts';

/** Of the whole account at flows; at the end of an hour older ones are named as such. */
export const VALUATION_MAX_AGE_MS = 300_000;
/** Of what a trade, a fee or a payment was worth: the price at the last full hour, or a later one. */
export const EVENT_MAX_AGE_MS = 3_900_000;
/** Of shares and options: exchanges are closed at night, at weekends and on holidays. */
export const SECURITY_MAX_AGE_MS = 432_000_000;

export interface Price {
  readonly price: Fixed;
  readonly known: boolean;
  /** A row of it was older than VALUATION_MAX_AGE_MS, and that is not because the market is closed. */
  readonly old: boolean;
}

const NO_KEY = new Uint8Array();
const UNKNOWN: Price = { price: 0n, known: false, old: false };

export class HourPrices {
  readonly #table: PriceTable;
  /** Of assets and securities in dollars, and of contracts (`mark SYMBOL`) in what they settle in. */
  readonly #last: Map<string, Fixed>;
  readonly #instruments: ReadonlyMap<string, Instrument>;
  readonly #ages = new Map<SeriesRow, number>();
  readonly #digestKey: Uint8Array;

  constructor(
    table: PriceTable,
    last: Map<string, Fixed>,
    instruments: ReadonlyMap<string, Instrument>,
    digestKey: Uint8Array = NO_KEY,
  ) {
    this.#digestKey = digestKey;
    this.#table = table;
    this.#last = last;
    this.#instruments = instruments;
  }

  /** The same prices for a copy of the state; what is used of them is not noted here. */
  of({ last, instruments }: Pick<BookState, 'last' | 'instruments'>): HourPrices {
    return new HourPrices(this.#table, last, instruments);
  }

  /** Of one unit of a coin, a currency or a security, in dollars. */
  dollars(asset: string, atMs: number, maxAgeMs: number): Price {
    const security = this.#instruments.get(asset);
    if (security === undefined) {
      return this.#use(asset, this.#table.lookup(asset, atMs, maxAgeMs), atMs, false);
    }
    if (security.style !== 'security') return UNKNOWN;
    const mark = this.mark(security, atMs, maxAgeMs);
    const settle = this.dollars(security.settle, atMs, maxAgeMs);
    const worth = multiplyFixed(multiplyFixed(mark.price, security.size), settle.price);
    return { price: worth, known: mark.known && settle.known, old: mark.old || settle.old };
  }

  /** Of one contract or share, in what it settles in. */
  mark({ symbol, style }: Instrument, atMs: number, maxAgeMs: number): Price {
    const isSecurity = style === 'security';
    const ageMs = isSecurity ? Math.max(maxAgeMs, SECURITY_MAX_AGE_MS) : maxAgeMs;
    return this.#use(`mark ${symbol}`, this.#table.mark(symbol, atMs, ageMs), atMs, isSecurity);
  }

  /** A price that a deal or the venue itself has told. */
  remember(name: string, price: Fixed): void {
    if (price > 0n) this.#last.set(name, price);
  }

  hasEverHad(asset: string): boolean {
    return this.#last.has(asset) || this.#instruments.has(asset);
  }

  isUnlisted(asset: string): boolean {
    return this.#table.isUnlisted(asset);
  }

  sources(): readonly PriceSource[] {
    const sources = new Map<string, PriceSource>();
    for (const [row, ageMs] of this.#ages) {
      const source = shownOf(row);
      const known = sources.get(source) ?? { source, rows: 0, oldestAgeMs: 0 };
      const oldestAgeMs = Math.max(known.oldestAgeMs, ageMs);
      sources.set(source, { source, rows: known.rows + 1, oldestAgeMs });
    }
    return [...sources.values()].sort((a, b) => (a.source < b.source ? -1 : 1));
  }

  /** HMAC-SHA256 over one line for each row: kind, symbol, time, price and source, tabs between; lines sorted. */
  digest(): Uint8Array {
    const lines: string[] = [];
    for (const { kind, symbol, atMs, text, source } of this.#ages.keys()) {
      lines.push(`${kind}\t${symbol}\t${atMs}\t${text}\t${source}\n`);
    }
    const all = lines.sort().join('');
    return new Uint8Array(createHmac('sha256', this.#digestKey).update(all).digest());
  }

  #use(name: string, valuation: Valuation | null, atMs: number, mayBeOld: boolean): Price {
    if (valuation === null) return { ...UNKNOWN, price: this.#last.get(name) ?? 0n };
    const { price, rows } = valuation;
    let old = false;
    for (const row of rows) {
      const ageMs = atMs - row.tradedMs;
      if (ageMs > VALUATION_MAX_AGE_MS && !mayBeOld) old = true;
      if (ageMs >= (this.#ages.get(row) ?? 0)) this.#ages.set(row, ageMs);
    }
    this.#last.set(name, price);
    return { price, known: true, old };
  }
}

/** Sources as they are shown, by what they are of: there are few, and each is used in every hour. */
const shown = new Map<string, string>();
const MAX_SHOWN = 1000;

function shownOf(row: SeriesRow): string {
  const key = `${row.source} ${row.symbol}`;
  let source = shown.get(key);
  if (source === undefined) {
    source = withoutNames(row);
    if (shown.size >= MAX_SHOWN) shown.clear();
    shown.set(key, source);
  }
  return source;
}

const WORD = /[a-z0-9]+/gu;

/** Host and endpoint; parts of a path that may name what is held are left out. */
function withoutNames({ source, symbol }: SeriesRow): string {
  const names = new Set<string>();
  const small = symbol.toLowerCase();
  for (let word = WORD.exec(small); word !== null; word = WORD.exec(small)) names.add(word[0]);
  let shown = '';
  for (const [at, part] of source.split('/').entries()) {
    const isHidden = at > 0 && mayName(part, names);
    shown += `${at > 0 ? '/' : ''}${isHidden ? '*' : part}`;
  }
  return shown;
}

function mayName(part: string, names: ReadonlySet<string>): boolean {
  if (/^[^a-z]*[A-Z][^a-z]*$/u.test(part)) return true;
  const small = part.toLowerCase();
  for (const name of names) if (small.includes(name)) return true;
  return false;
}
