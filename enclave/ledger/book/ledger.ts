// Double entry in quantities: every amount moves from one account to another, so that each currency sums to zero over
// all accounts at any moment. Nothing here knows prices or lots. A contract is entered as what it is worth when it is
// dealt: `wallet` is then cash as if all contracts had been paid for, and `trading` what is held against it.

import type { Fixed } from '../../../wire/fixed.ts';

export const LEDGER_ACCOUNTS = [
  'wallet',
  'trading',
  'fees',
  'funding',
  'interest',
  'dividends',
  'rebates',
  'conversion',
  'external',
  'transfer_pending',
  'unexplained',
  'other',
] as const;
export type LedgerAccount = (typeof LEDGER_ACCOUNTS)[number];

const ACCOUNT_INDEX: Readonly<Record<LedgerAccount, number>> = {
  wallet: 0,
  trading: 1,
  fees: 2,
  funding: 3,
  interest: 4,
  dividends: 5,
  rebates: 6,
  conversion: 7,
  external: 8,
  transfer_pending: 9,
  unexplained: 10,
  other: 11,
};

export class Ledger {
  /** By currency, or symbol of a security: one balance for each account. */
  readonly #balances = new Map<string, Fixed[]>();

  move(currency: string, amount: Fixed, from: LedgerAccount, to: LedgerAccount): void {
    if (amount === 0n) return;
    let row = this.#balances.get(currency);
    if (row === undefined) {
      row = LEDGER_ACCOUNTS.map(() => 0n);
      this.#balances.set(currency, row);
    }
    row[ACCOUNT_INDEX[from]] = (row[ACCOUNT_INDEX[from]] ?? 0n) - amount;
    row[ACCOUNT_INDEX[to]] = (row[ACCOUNT_INDEX[to]] ?? 0n) + amount;
  }

  balance(account: LedgerAccount, currency: string): Fixed {
    return this.#balances.get(currency)?.[ACCOUNT_INDEX[account]] ?? 0n;
  }

  get currencies(): Iterable<string> {
    return this.#balances.keys();
  }

  /** Of all accounts; zero. */
  sum(currency: string): Fixed {
    return (this.#balances.get(currency) ?? []).reduce((sum, balance) => sum + balance, 0n);
  }

  copy(): Ledger {
    const copy = new Ledger();
    for (const [currency, row] of this.#balances) copy.#balances.set(currency, copyOf(row));
    return copy;
  }

  /** Lets go of what is not held any more. */
  forget(currency: string): void {
    this.#balances.delete(currency);
  }

  toRows(): readonly (readonly [string, readonly Fixed[]])[] {
    return [...this.#balances].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Null for a row that does not sum to zero, or is not of this many accounts. */
  static of(rows: readonly (readonly [string, readonly Fixed[]])[]): Ledger | null {
    const ledger = new Ledger();
    for (const [currency, row] of rows) {
      ledger.#balances.set(currency, copyOf(row));
      if (row.length !== LEDGER_ACCOUNTS.length || ledger.sum(currency) !== 0n) return null;
    }
    return ledger;
  }
}

/** Of every row of every hour: with frozen intrinsics a spread takes ten times as long. */
function copyOf(row: readonly Fixed[]): Fixed[] {
  const copy: Fixed[] = [];
  for (const balance of row) copy.push(balance);
  return copy;
}
