// What everything that is held has cost in US dollars, by one lot method. Coins, currencies and securities have lots in
// dollars; contracts have lots in what they settle in, and what those realise becomes money in the wallet at that
// moment's price. The book keeps two of these: they split the same gain differently and agree on the sum.

import type { Fixed } from '../../../wire/fixed.ts';
import { divideRounded, FIXED_ONE } from '../../../wire/fixed.ts';
import type { FigureMarket } from '../../../wire/track/figures.ts';
import type { LotMethod } from './lots.ts';
import { Lots } from './lots.ts';
import { REPORTING_CURRENCY } from './price-table.ts';

interface Realised {
  readonly asset: string;
  readonly market: FigureMarket;
  amount: Fixed;
  /** Amounts times prices, with 36 digits after the point. */
  products: bigint;
}

export class Basis {
  readonly method: LotMethod;
  readonly #assets = new Map<string, Lots>();
  readonly #contracts = new Map<string, Lots>();
  /** What contracts have realised in this hour. */
  readonly #deferred: Realised[] = [];
  /** Of all assets, dollars included. */
  #cost: Fixed = 0n;

  constructor(method: LotMethod) {
    this.method = method;
  }

  /** Equity less this is what is not realised. */
  get cost(): Fixed {
    return this.#cost;
  }

  /** Of a wallet: with what contracts have realised, without what they have not. */
  quantity(asset: string): Fixed {
    let quantity = this.#assets.get(asset)?.quantity ?? 0n;
    for (const deferred of this.#deferred) {
      if (deferred.asset === asset) quantity += deferred.amount;
    }
    return quantity;
  }

  costOf(asset: string): Fixed {
    return this.#assets.get(asset)?.cost ?? 0n;
  }

  /** `amount` more (negative: less) for `dollars`; gives what that realised. */
  addAsset(asset: string, amount: Fixed, dollars: Fixed): Fixed {
    const lots = this.#lotsOf(this.#assets, asset);
    // A dollar has cost a dollar: one lot says it.
    if (asset === REPORTING_CURRENCY) {
      this.#assets.set(asset, dollarsOf(this.method, lots.quantity + amount));
      this.#cost += amount;
      return amount - dollars;
    }
    const realised = lots.add(amount, dollars);
    this.#cost += dollars + realised;
    return realised;
  }

  /**
   * Money that contracts have realised, at a price. It is in the wallet at once and in lots when the hour ends: gains and
   * losses of the parts of one deal then leave the same digits as the whole deal.
   */
  defer(asset: string, market: FigureMarket, amount: Fixed, price: Fixed): void {
    if (amount === 0n) return;
    const products = amount * price;
    for (const deferred of this.#deferred) {
      if (deferred.asset !== asset || deferred.market !== market) continue;
      deferred.amount += amount;
      deferred.products += products;
      return;
    }
    this.#deferred.push({ asset, market, amount, products });
  }

  /** Puts what was deferred into lots; gives what it was worth, and as `spot` what that realised of the money itself. */
  settle(): ReadonlyMap<FigureMarket, Fixed> {
    const realised = new Map<FigureMarket, Fixed>();
    for (;;) {
      const first = this.#deferred.shift();
      if (first === undefined) return realised;
      const { asset, market, amount, products } = first;
      const dollars = divideRounded(products, FIXED_ONE);
      realised.set(market, (realised.get(market) ?? 0n) + dollars);
      const gain = this.addAsset(asset, amount, dollars);
      realised.set('spot', (realised.get('spot') ?? 0n) + gain);
    }
  }

  contracts(symbol: string): Fixed {
    return this.#contracts.get(symbol)?.quantity ?? 0n;
  }

  /** In what they settle in, with the sign of Lots.add. */
  contractsCost(symbol: string): Fixed {
    return this.#contracts.get(symbol)?.cost ?? 0n;
  }

  /** Gives what that realised, in what they settle in; it is not in the wallet yet. */
  addContracts(symbol: string, contracts: Fixed, cost: Fixed): Fixed {
    const lots = this.#lotsOf(this.#contracts, symbol);
    const realised = lots.add(contracts, cost);
    if (lots.quantity === 0n) this.#contracts.delete(symbol);
    return realised;
  }

  get symbols(): Iterable<string> {
    return this.#contracts.keys();
  }

  /** An asset of which nothing is left. */
  forget(asset: string): void {
    this.#assets.delete(asset);
  }

  copy(): Basis {
    const copy = new Basis(this.method);
    for (const [asset, lots] of this.#assets) copy.#assets.set(asset, lots.copy());
    for (const [symbol, lots] of this.#contracts) copy.#contracts.set(symbol, lots.copy());
    for (const deferred of this.#deferred) copy.#deferred.push({ ...deferred });
    copy.#cost = this.#cost;
    return copy;
  }

  /** Pairs of all lots, sorted by name. */
  toRows(of: 'assets' | 'contracts'): readonly BasisRow[] {
    const rows = [...(of === 'assets' ? this.#assets : this.#contracts)];
    return rows
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, lots]) => [name, lots.toNumbers()] as const);
  }

  /** Null where a row is none of lots. */
  static of(
    method: LotMethod,
    assets: readonly BasisRow[],
    contracts: readonly BasisRow[],
  ): Basis | null {
    const basis = new Basis(method);
    for (const [rows, all] of [
      [assets, basis.#assets],
      [contracts, basis.#contracts],
    ] as const) {
      for (const [name, numbers] of rows) {
        const lots = Lots.of(method, numbers);
        if (lots === null) return null;
        all.set(name, lots);
        if (all === basis.#assets) basis.#cost += lots.cost;
      }
    }
    return basis;
  }

  #lotsOf(all: Map<string, Lots>, name: string): Lots {
    const known = all.get(name);
    if (known !== undefined) return known;
    const lots = new Lots(this.method);
    all.set(name, lots);
    return lots;
  }
}

/** A name and Lots.toNumbers. */
export type BasisRow = readonly [string, readonly Fixed[]];

function dollarsOf(method: LotMethod, dollars: Fixed): Lots {
  const lots = new Lots(method);
  lots.add(dollars, dollars);
  return lots;
}
