// The prices of one hour as the book uses them: each use is noted with its age, for the list of sources and the digest
// that are published. Where there is no price the last known one stands in, so that the books go on in one piece; what was
// figured with it is not known, and says so (`known: false`).

import type { KeyObject } from 'node:crypto';
import { createHmac, createSecretKey } from 'node:crypto';
import type { Fixed } from '../../../wire/fixed.ts';
import { multiplyFixed } from '../../../wire/fixed.ts';
import type { PriceSource } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import type { PriceRow } from './contract.ts';
import type { Instrument } from './instrument.ts';
import type { SeriesRow, Valuation } from './price-series.ts';
import type { PriceTable } from './price-table.ts';

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

const NO_KEY = createSecretKey(new Uint8Array());
const UNKNOWN: Price = { price: 0n, known: false, old: false };

interface Used {
  /** At the end of the hour most are. */
  lastMs: number;
  /** While no row of it is old. */
  readonly price: Price;
}

/**
 * What an hour asked of its table rests on. A table of these rows gives the same answers to the same questions: a way to the
 * dollar that had no rows still has none, and each answer finds its own rows, which are the last ones before their moment.
 */
export interface UsedPrices {
  readonly rows: readonly PriceRow[];
  readonly unlisted: readonly string[];
}

/** What of a state prices rest on, and are remembered in. */
export type PricedState = Pick<BookState, 'instruments' | 'last' | 'lastMarks'>;

export class HourPrices {
  readonly #table: PriceTable;
  readonly #last: Map<string, Fixed>;
  readonly #lastMarks: Map<string, Fixed>;
  readonly #instruments: ReadonlyMap<string, Instrument>;
  readonly #used = new Map<Valuation, Used>();
  readonly #unlisted = new Set<string>();
  readonly #copies: HourPrices[] = [];
  #known: ReadonlyMap<SeriesRow, number> | null = null;
  readonly #digestKey: KeyObject;

  constructor(
    table: PriceTable,
    { instruments, last, lastMarks }: PricedState,
    digestKey: KeyObject = NO_KEY,
  ) {
    this.#digestKey = digestKey;
    this.#table = table;
    this.#last = last;
    this.#lastMarks = lastMarks;
    this.#instruments = instruments;
  }

  /** The same prices for a copy of the state; what is used of them is in no digest. */
  of(state: PricedState): HourPrices {
    const copy = new HourPrices(this.#table, state);
    this.#copies.push(copy);
    return copy;
  }

  /** By copies as well. */
  used(): UsedPrices {
    const rows = new Set<PriceRow>();
    const unlisted = new Set<string>();
    for (const one of [this, ...this.#copies]) {
      for (const { told } of one.#ages().keys()) rows.add(told);
      for (const asset of one.#unlisted) unlisted.add(asset);
    }
    return { rows: [...rows], unlisted: [...unlisted] };
  }

  /** Of one unit of a coin, a currency or a security, in dollars. */
  dollars(asset: string, atMs: number, maxAgeMs: number): Price {
    const security = this.#instruments.get(asset);
    if (security === undefined) {
      const valuation = this.#table.lookup(asset, atMs, maxAgeMs);
      if (valuation === null) return { ...UNKNOWN, price: this.#last.get(asset) ?? 0n };
      this.#last.set(asset, valuation.price);
      return this.#use(valuation, atMs, false);
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
    const valuation = this.#table.mark(symbol, atMs, ageMs);
    if (valuation === null) return { ...UNKNOWN, price: this.#lastMarks.get(symbol) ?? 0n };
    this.#lastMarks.set(symbol, valuation.price);
    return this.#use(valuation, atMs, isSecurity);
  }

  /** What a deal has told, in dollars. */
  remember(asset: string, price: Fixed): void {
    if (price > 0n) this.#last.set(asset, price);
  }

  /** The same of a contract, in what it settles in. */
  rememberMark(symbol: string, price: Fixed): void {
    if (price > 0n) this.#lastMarks.set(symbol, price);
  }

  hasEverHad(asset: string): boolean {
    return this.#last.has(asset) || this.#instruments.has(asset);
  }

  isUnlisted(asset: string): boolean {
    const isUnlisted = this.#table.isUnlisted(asset);
    if (isUnlisted) this.#unlisted.add(asset);
    return isUnlisted;
  }

  sources(): readonly PriceSource[] {
    const sources = new Map<string, PriceSource>();
    for (const [{ shown: source }, ageMs] of this.#ages()) {
      const known = sources.get(source) ?? { source, rows: 0, oldestAgeMs: 0 };
      const oldestAgeMs = Math.max(known.oldestAgeMs, ageMs);
      sources.set(source, { source, rows: known.rows + 1, oldestAgeMs });
    }
    return [...sources.values()].sort((a, b) => (a.source < b.source ? -1 : 1));
  }

  /** HMAC-SHA256 over one line for each row: kind, symbol, time, price and source, tabs between; lines sorted. */
  digest(): Uint8Array {
    const lines: string[] = [];
    for (const { line } of this.#ages().keys()) lines.push(line);
    const all = lines.sort().join('');
    return new Uint8Array(createHmac('sha256', this.#digestKey).update(all).digest());
  }

  #use(valuation: Valuation, atMs: number, mayBeOld: boolean): Price {
    this.#known = null;
    let used = this.#used.get(valuation);
    if (used === undefined) {
      used = { lastMs: atMs, price: { price: valuation.price, known: true, old: false } };
      this.#used.set(valuation, used);
    }
    if (atMs > used.lastMs) used.lastMs = atMs;
    for (const { told } of valuation.rows) {
      if (!mayBeOld && atMs - told.tradedMs > VALUATION_MAX_AGE_MS)
        return { ...used.price, old: true };
    }
    return used.price;
  }

  /** Of each row that was used, when it was oldest. */
  #ages(): ReadonlyMap<SeriesRow, number> {
    if (this.#known !== null) return this.#known;
    const ages = new Map<SeriesRow, number>();
    for (const [{ rows }, { lastMs }] of this.#used) {
      for (const row of rows) {
        const ageMs = lastMs - row.told.tradedMs;
        if (ageMs >= (ages.get(row) ?? 0)) ages.set(row, ageMs);
      }
    }
    this.#known = ages;
    return ages;
  }
}
