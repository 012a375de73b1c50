// What is often written in place of a ledger, as the baseline: floating point, first in first out with arrays that are
// shifted, no postings, no second lot method, no observation to hold against it, no digests. Open
// profit in USDT passes for dollars. It is not wrong about much; it only cannot say so.

import type { BookRecord, PriceRow } from '../../enclave/ledger/book/contract.ts';

interface FloatLot {
  quantity: number;
  price: number;
}

export class NaiveAccount {
  readonly #cash = new Map<string, number>();
  readonly #lots = new Map<string, FloatLot[]>();
  readonly #prices = new Map<string, number>();
  #equity: number | null = null;
  realised = 0;

  open(currency: string, amount: string): void {
    this.#add(currency, Number(amount));
  }

  price({ symbol, price }: PriceRow): void {
    this.#prices.set(symbol, Number(price));
  }

  /** Gives what came from outside, in dollars. */
  apply(record: BookRecord): number {
    if (record.kind === 'funding') {
      this.#add(record.currency, Number(record.amount));
      return 0;
    }
    if (record.kind === 'flow') {
      const amount = Number(record.amount) * (record.direction === 'in' ? 1 : -1);
      this.#add(record.currency, amount);
      return amount * this.#dollars(record.currency);
    }
    const amount = Number(record.amount) * (record.side === 'buy' ? 1 : -1);
    const price = Number(record.price);
    for (const fee of record.fees ?? []) this.#add(fee.currency, -Number(fee.amount));
    const gain = this.#deal(record.symbol, amount, price);
    this.realised += gain;
    if (record.market === 'swap') this.#add(record.settle ?? '', gain);
    else {
      this.#add(record.base ?? '', amount);
      this.#add(record.quote ?? '', -amount * price);
    }
    return 0;
  }

  /** Equity, and the return of the hour. */
  close(flows: number): { readonly equity: number; readonly ratio: number | null } {
    let equity = 0;
    for (const [currency, amount] of this.#cash) equity += amount * this.#dollars(currency);
    for (const [symbol, lots] of this.#lots) {
      if (!symbol.includes(':')) continue;
      const mark = this.#prices.get(symbol) ?? 0;
      for (const { quantity, price } of lots) equity += quantity * (mark - price);
    }
    const before = this.#equity;
    this.#equity = equity;
    return { equity, ratio: before === null ? null : (equity - before - flows) / before };
  }

  #dollars(currency: string): number {
    const usdt = this.#prices.get('USDT/USD') ?? 1;
    return currency === 'USDT' ? usdt : (this.#prices.get(`${currency}/USDT`) ?? 0) * usdt;
  }

  #add(currency: string, amount: number): void {
    this.#cash.set(currency, (this.#cash.get(currency) ?? 0) + amount);
  }

  #deal(symbol: string, amount: number, price: number): number {
    const lots = this.#lots.get(symbol) ?? [];
    this.#lots.set(symbol, lots);
    let left = amount;
    let gain = 0;
    while (left !== 0) {
      const [first] = lots;
      if (first === undefined || first.quantity > 0 === left > 0) {
        lots.push({ quantity: left, price });
        break;
      }
      const taken = Math.min(Math.abs(first.quantity), Math.abs(left)) * Math.sign(first.quantity);
      gain += taken * (price - first.price);
      first.quantity -= taken;
      left += taken;
      if (Math.abs(first.quantity) < 1e-12) lots.shift();
    }
    return gain;
  }
}
