// The prices of one pair or contract in the order of time. At one time there is one price: of several sources the one
// whose name sorts first, of one source the one that is dated earlier, so that the order in which rows came in does not matter.

import type { Fixed } from '../../../wire/fixed.ts';
import type { PriceRow } from './contract.ts';
import { shownSource } from './shown-source.ts';

export interface SeriesRow {
  readonly atMs: number;
  readonly price: Fixed;
  readonly told: PriceRow;
  /** What digests are of: kind, symbol, time, price as it was told and source, tabs between. */
  readonly line: string;
  /** The source as it may be shown. */
  readonly shown: string;
}

/** A price of one moment, and what it rests on; none for the dollar itself. */
export interface Valuation {
  readonly price: Fixed;
  readonly rows: readonly SeriesRow[];
}

function isBefore(a: PriceRow, b: PriceRow): boolean {
  return a.source < b.source || (a.source === b.source && a.tradedMs < b.tradedMs);
}

export class PriceSeries {
  readonly #symbol: string;
  readonly #rows: SeriesRow[] = [];
  #source = '';
  #shown = '';
  #valuation: Valuation | null = null;
  /** Where the last question was answered: questions come in the order of time, mostly. */
  #cursor = 0;

  constructor(symbol: string) {
    this.#symbol = symbol;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** `told` is of this symbol, and `price` what its text says. */
  add(told: PriceRow, price: Fixed): void {
    const { kind, symbol, atMs, source } = told;
    if (source !== this.#source) {
      this.#source = source;
      this.#shown = shownSource(source, this.#symbol);
    }
    const line = `${kind}\t${symbol}\t${atMs}\t${told.price}\t${source}\n`;
    this.#put({ atMs, price, told, line, shown: this.#shown });
  }

  #put(row: SeriesRow): void {
    const rows = this.#rows;
    const last = rows.at(-1);
    if (last === undefined || last.atMs < row.atMs) {
      rows.push(row);
      return;
    }
    const at = this.#indexAt(row.atMs);
    const there = rows[at];
    if (there?.atMs !== row.atMs) rows.splice(at + 1, 0, row);
    else if (isBefore(row.told, there.told)) rows[at] = row;
  }

  /** The last row at or before `atMs`, if it is not older than `maxAgeMs`. */
  last(atMs: number, maxAgeMs: number): SeriesRow | null {
    const row = this.#rows[this.#indexAt(atMs)];
    return row === undefined || atMs - row.atMs > maxAgeMs ? null : row;
  }

  /** Of that row alone. */
  valuation(atMs: number, maxAgeMs: number): Valuation | null {
    const row = this.last(atMs, maxAgeMs);
    if (row === null) return null;
    if (this.#valuation?.rows[0] !== row) this.#valuation = { price: row.price, rows: [row] };
    return this.#valuation;
  }

  /** The first millisecond after `atMs` in which last() may answer otherwise; Infinity: none. */
  changesMs(atMs: number, maxAgeMs: number): number {
    const at = this.#indexAt(atMs);
    const tooOldMs = (this.#rows[at]?.atMs ?? -Infinity) + maxAgeMs + 1;
    const nextMs = this.#rows[at + 1]?.atMs ?? Infinity;
    return tooOldMs > atMs ? Math.min(nextMs, tooOldMs) : nextMs;
  }

  /** Of the last row at or before `atMs`; -1 if there is none. */
  #indexAt(atMs: number): number {
    const rows = this.#rows;
    if (this.#isAt(this.#cursor, atMs)) return this.#cursor;
    if (this.#isAt(this.#cursor + 1, atMs)) return ++this.#cursor;
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((rows[middle]?.atMs ?? Infinity) <= atMs) low = middle + 1;
      else high = middle;
    }
    if (low > 0) this.#cursor = low - 1;
    return low - 1;
  }

  #isAt(index: number, atMs: number): boolean {
    const next = this.#rows[index + 1];
    const isBefore = (this.#rows[index]?.atMs ?? Infinity) <= atMs;
    return isBefore && (next === undefined || next.atMs > atMs);
  }
}
