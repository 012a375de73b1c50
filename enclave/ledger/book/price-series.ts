// The prices of one pair or contract in the order of time. At one time there is one price: of several sources the one
// whose name sorts first, of one source the one that is dated earlier, so that the order in which rows came in does not matter.

import type { Fixed } from '../../../wire/fixed.ts';

export interface SeriesRow {
  readonly kind: 'spot' | 'mark';
  readonly symbol: string;
  readonly atMs: number;
  readonly price: Fixed;
  /** The price as it was told, canonical. */
  readonly text: string;
  readonly source: string;
  /** When it was dealt, at the latest then. */
  readonly tradedMs: number;
}

export class PriceSeries {
  readonly #rows: SeriesRow[] = [];
  /** Where the last question was answered: questions come in the order of time, mostly. */
  #cursor = 0;

  get size(): number {
    return this.#rows.length;
  }

  add(row: SeriesRow): void {
    const rows = this.#rows;
    const last = rows.at(-1);
    if (last === undefined || last.atMs < row.atMs) {
      rows.push(row);
      return;
    }
    const at = this.#indexAt(row.atMs);
    const there = rows[at];
    if (there?.atMs !== row.atMs) rows.splice(at + 1, 0, row);
    else if (row.source < there.source) rows[at] = row;
    else if (row.source === there.source && row.tradedMs < there.tradedMs) rows[at] = row;
  }

  /** The last row at or before `atMs`, if it is not older than `maxAgeMs`. */
  last(atMs: number, maxAgeMs: number): SeriesRow | null {
    const row = this.#rows[this.#indexAt(atMs)];
    return row === undefined || atMs - row.atMs > maxAgeMs ? null : row;
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
