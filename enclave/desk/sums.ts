// Exact sums by currency, of at most so many currencies: the names come from outside.

import type { Decimal } from '../../wire/decimal.ts';
import {
  addDecimals,
  formatDecimal,
  MAX_DECIMAL_DIGITS,
  parseDecimal,
  ZERO,
} from '../../wire/decimal.ts';
import type { Amounts } from './accounts.ts';

export const MAX_CURRENCIES = 256;
/** Of what parseDecimal takes. */
const MOST: bigint = 10n ** BigInt(MAX_DECIMAL_DIGITS) - 1n;

export class Sums {
  readonly #sums = new Map<string, Decimal>();
  readonly #maxCurrencies: number;

  constructor(maxCurrencies: number = MAX_CURRENCIES) {
    this.#maxCurrencies = maxCurrencies;
  }

  /** False when there are too many currencies, or too many digits. */
  add(currency: string, amount: Decimal): boolean {
    const sum = this.#sums.get(currency);
    if (sum === undefined && this.#sums.size >= this.#maxCurrencies) return false;
    const next = addDecimals(sum ?? ZERO, amount);
    if (next.scale >= MAX_DECIMAL_DIGITS || next.units > MOST || next.units < -MOST) return false;
    this.#sums.set(currency, next);
    return true;
  }

  addAll(other: Sums): boolean {
    let fits = true;
    for (const [currency, amount] of other.#sums) fits = this.add(currency, amount) && fits;
    return fits;
  }

  get size(): number {
    return this.#sums.size;
  }

  toAmounts(): Amounts {
    const sorted = [...this.#sums].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([currency, sum]) => [currency, formatDecimal(sum)]));
  }

  /** Pairs, for the state. */
  toPairs(): readonly (readonly [string, string])[] {
    return Object.entries(this.toAmounts());
  }

  /** False when one of them is no amount, or there are too many. */
  addPairs(pairs: readonly (readonly [string, string])[]): boolean {
    return pairs.every(([currency, text]) => {
      const amount = parseDecimal(text);
      return amount !== null && this.add(currency, amount);
    });
  }
}
