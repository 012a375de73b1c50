// The books of the simulated exchange: every trade, fee, funding payment, deposit, withdrawal and transfer is one
// entry whose legs add up to zero in each currency. Balances that the venues report are sums of these legs, so
// that whatever a client adds up can be compared with it. An unbalanced entry is a bug and throws.

import type { Amount } from './amount.ts';

export type EntryKind =
  | 'trade'
  | 'fee'
  | 'pnl'
  | 'funding'
  | 'deposit'
  | 'withdrawal'
  | 'transfer'
  | 'interest'
  | 'dividend'
  | 'rebate'
  | 'other';

export interface Leg {
  /** `account/<id>/<wallet>`, or one of the venue's own: `market`, `fees`, `funding`, `chain`. */
  readonly book: string;
  readonly currency: string;
  readonly amount: Amount;
}

export interface Entry {
  /** From 1, over the whole exchange. */
  readonly number: number;
  readonly timeMs: number;
  readonly kind: EntryKind;
  /** The record that caused it: a fill's or a flow's number. */
  readonly reference: number;
  readonly legs: readonly Leg[];
}

/** One leg in an account's wallet, with the balance after it. */
export interface Row {
  /** From 1, over all wallets. */
  readonly number: number;
  readonly timeMs: number;
  readonly kind: EntryKind;
  readonly reference: number;
  readonly wallet: string;
  readonly currency: string;
  readonly amount: Amount;
  readonly balance: Amount;
}

export function walletBook(account: string, wallet: string): string {
  return `account/${account}/${wallet}`;
}

export class Ledger {
  readonly entries: Entry[] = [];
  readonly #balances = new Map<string, Map<string, Amount>>();
  readonly #rows = new Map<string, Row[]>();
  #legs = 0;

  post(timeMs: number, kind: EntryKind, reference: number, legs: readonly Leg[]): Entry {
    const sums = new Map<string, Amount>();
    for (const { currency, amount } of legs) {
      sums.set(currency, (sums.get(currency) ?? 0n) + amount);
    }
    for (const [currency, sum] of sums) {
      if (sum !== 0n)
        throw new Error(`unbalanced entry: ${kind} leaves ${String(sum)} ${currency}`);
    }
    const number = this.entries.length + 1;
    const entry = { number, timeMs, kind, reference, legs };
    this.entries.push(entry);
    for (const leg of legs) this.#apply(entry, leg);
    return entry;
  }

  #apply(entry: Entry, leg: Leg): void {
    const book = this.#balances.get(leg.book) ?? new Map<string, Amount>();
    this.#balances.set(leg.book, book);
    const balance = (book.get(leg.currency) ?? 0n) + leg.amount;
    book.set(leg.currency, balance);
    const [type, account = '', wallet = ''] = leg.book.split('/');
    if (type !== 'account') return;
    const rows = this.#rows.get(account) ?? [];
    this.#rows.set(account, rows);
    this.#legs += 1;
    const number = this.#legs;
    const { timeMs, kind, reference } = entry;
    const { currency, amount } = leg;
    rows.push({ number, timeMs, kind, reference, wallet, currency, amount, balance });
  }

  balance(account: string, wallet: string, currency: string): Amount {
    return this.#balances.get(walletBook(account, wallet))?.get(currency) ?? 0n;
  }

  /** By currency, those at zero included. */
  balances(account: string, wallet: string): ReadonlyMap<string, Amount> {
    return this.#balances.get(walletBook(account, wallet)) ?? new Map<string, Amount>();
  }

  /** In the order in which they were posted. */
  rows(account: string): readonly Row[] {
    return this.#rows.get(account) ?? [];
  }
}
