// What assets were worth in US dollars, and from which rows that follows. A coin is valued through the pairs that there
// are, at most three of them; each leg is a price of its own, a stablecoin's and a currency's too: USDT is never one
// dollar by decree. A leg that is missing or too old is no price (null), and nothing is interpolated.

import type { Fixed } from '../../../wire/fixed.ts';
import { divideFixed, FIXED_ONE, multiplyFixed, parseFixed } from '../../../wire/fixed.ts';
import type { PriceRow } from './contract.ts';
import type { SeriesRow, Valuation } from './price-series.ts';
import { PriceSeries } from './price-series.ts';

/** One step from an asset to another: a pair, or a pair the other way round. */
interface Leg {
  readonly to: string;
  readonly inverted: boolean;
  readonly series: PriceSeries;
  readonly rank: string;
}

interface Question {
  readonly atMs: number;
  readonly maxAgeMs: number;
  /** From when on the answer may be another one. */
  untilMs: number;
}

interface Answer extends Readonly<Question> {
  readonly valuation: Valuation | null;
}

export const REPORTING_CURRENCY = 'USD';
const MAX_LEGS = 3;
const NO_LEGS: readonly Leg[] = [];
/** Of several ways to the dollar the first that has prices: directly, through stablecoins, through the rest by name. */
const PREFERRED: readonly string[] = ['USD', 'USDT', 'USDC', 'EUR', 'BTC', 'ETH'];
const DOLLAR: Valuation = { price: FIXED_ONE, rows: [] };

function rankOf({ to, inverted }: Omit<Leg, 'rank'>): string {
  const rank = PREFERRED.indexOf(to);
  return `${inverted ? 1 : 0}${rank < 0 ? PREFERRED.length : rank}${to}`;
}

export class PriceTable {
  readonly #spot = new Map<string, PriceSeries>();
  readonly #marks = new Map<string, PriceSeries>();
  readonly #legs = new Map<string, Leg[]>();
  readonly #unlisted = new Set<string>();
  /** The last one of each asset: within an hour the same is asked for with every fill. */
  readonly #answers = new Map<string, Answer>();

  static of(rows: readonly PriceRow[], unlisted: readonly string[] = []): PriceTable {
    const table = new PriceTable();
    table.add(rows);
    for (const asset of unlisted) table.declareUnlisted(asset);
    return table;
  }

  get size(): number {
    let rows = 0;
    for (const series of [...this.#spot.values(), ...this.#marks.values()]) rows += series.size;
    return rows;
  }

  /** Gives how many were left out because they are no price: not positive, not exact, or of a symbol that is no pair. */
  add(rows: readonly PriceRow[]): number {
    let refused = 0;
    this.#answers.clear();
    for (const row of rows) {
      const fixed = parseFixed(row.price);
      const series = fixed === null || fixed <= 0n ? null : this.#seriesOf(row.kind, row.symbol);
      if (fixed === null || series === null) refused++;
      else series.add(row, fixed);
    }
    return refused;
  }

  /** The venue lists nothing that would price this asset: it stays out of the value as long as it never had a price. */
  declareUnlisted(asset: string): void {
    this.#unlisted.add(asset);
  }

  isUnlisted(asset: string): boolean {
    return this.#unlisted.has(asset);
  }

  /** What one unit of `asset` was worth in US dollars at `atMs`, by rows that were not older than `maxAgeMs` then. */
  lookup(asset: string, atMs: number, maxAgeMs: number): Valuation | null {
    if (asset === REPORTING_CURRENCY) return DOLLAR;
    const known = this.#answers.get(asset);
    if (known?.maxAgeMs === maxAgeMs && known.atMs <= atMs && atMs < known.untilMs) {
      return known.valuation;
    }
    const question = { atMs, maxAgeMs, untilMs: Infinity };
    const rows: SeriesRow[] = [];
    const price = this.#walk(asset, question, [], rows);
    const valuation = price === null ? null : { price, rows };
    this.#answers.set(asset, { ...question, valuation });
    return valuation;
  }

  /** What one unit of a contract or share was worth, in what it settles in. */
  mark(symbol: string, atMs: number, maxAgeMs: number): Valuation | null {
    return this.#marks.get(symbol)?.valuation(atMs, maxAgeMs) ?? null;
  }

  /** `visited` and `rows` grow with the legs that lead to the dollar; without a way they are as they were. */
  #walk(asset: string, question: Question, visited: string[], rows: SeriesRow[]): Fixed | null {
    const { atMs, maxAgeMs } = question;
    visited.push(asset);
    for (const leg of this.#legs.get(asset) ?? NO_LEGS) {
      if (visited.includes(leg.to)) continue;
      const row = leg.series.last(atMs, maxAgeMs);
      question.untilMs = Math.min(question.untilMs, leg.series.changesMs(atMs, maxAgeMs));
      if (row === null) continue;
      const isLast = leg.to === REPORTING_CURRENCY;
      if (!isLast && visited.length >= MAX_LEGS) continue;
      rows.push(row);
      const rest = isLast ? FIXED_ONE : this.#walk(leg.to, question, visited, rows);
      if (rest !== null) {
        const price = leg.inverted ? divideFixed(FIXED_ONE, row.price) : row.price;
        return isLast ? price : multiplyFixed(price, rest);
      }
      rows.pop();
    }
    visited.pop();
    return null;
  }

  #seriesOf(kind: PriceRow['kind'], symbol: string): PriceSeries | null {
    const all = kind === 'spot' ? this.#spot : this.#marks;
    const known = all.get(symbol);
    if (known !== undefined) return known;
    const series = new PriceSeries(symbol);
    if (kind === 'spot') {
      const [base = '', quote = '', ...rest] = symbol.split('/');
      if (base === '' || quote === '' || rest.length > 0 || base === quote) return null;
      this.#addLeg(base, { to: quote, inverted: false, series });
      this.#addLeg(quote, { to: base, inverted: true, series });
    }
    all.set(symbol, series);
    return series;
  }

  #addLeg(asset: string, leg: Omit<Leg, 'rank'>): void {
    const legs = this.#legs.get(asset) ?? [];
    legs.push({ ...leg, rank: rankOf(leg) });
    if (legs.length === 1) this.#legs.set(asset, legs);
    else legs.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  }
}
