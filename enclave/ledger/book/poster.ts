// Enters the events of an hour: in quantities into the ledger, at their price of that moment into both lot methods, and
// into the sums of the hour. Every dollar amount is worked out once and entered on both sides, so that the sums
// explain the change of equity to the last digit.

import type { Fixed } from '../../../wire/fixed.ts';
import {
  absolute,
  divideFixed,
  FIXED_ONE,
  multiplyFixed,
  multiplyThree,
  shareOf,
} from '../../../wire/fixed.ts';
import type { FigureMarket } from '../../../wire/track/figures.ts';
import { FIGURE_MARKETS } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import type { BookOptions } from './contract.ts';
import type { Amount, BookEvent, ContractTrade, FundingPaid, Movement, Trade } from './event.ts';
import type { HourPrices, Price } from './hour-prices.ts';
import { EVENT_MAX_AGE_MS, VALUATION_MAX_AGE_MS } from './hour-prices.ts';
import type { LedgerAccount } from './ledger.ts';
import type { Roles } from './pairs.ts';
import { REPORTING_CURRENCY } from './price-table.ts';
import type { Tally } from './tally.ts';
import { isExcluded, valueOf } from './valuation.ts';

interface Dollars {
  readonly dollars: Fixed;
  readonly known: boolean;
}

const INCOME_ACCOUNTS: Partial<Record<Movement['type'], LedgerAccount>> = {
  interest: 'interest',
  dividend: 'dividends',
  rebate: 'rebates',
};

/** What may be told by another account, too. */
const TRANSFERS: ReadonlySet<Movement['type']> = new Set([
  'deposit',
  'withdrawal',
  'transfer_in',
  'transfer_out',
]);

export class Poster {
  readonly #state: BookState;
  readonly #prices: HourPrices;
  readonly #tally: Tally;
  readonly #roles: Roles;
  readonly #referenceOf: BookOptions['referenceOf'];

  constructor(
    state: BookState,
    prices: HourPrices,
    tally: Tally,
    roles: Roles,
    referenceOf?: BookOptions['referenceOf'],
  ) {
    this.#state = state;
    this.#prices = prices;
    this.#tally = tally;
    this.#roles = roles;
    this.#referenceOf = referenceOf;
  }

  post(event: BookEvent): void {
    if (event.kind === 'trade') this.#trade(event);
    else if (event.kind === 'contract') this.#contract(event);
    else if (event.kind === 'funding') this.#funding(event);
    else this.#movement(event);
  }

  /** What `amount` of an asset was worth. */
  dollarsOf(asset: string, amount: Fixed, atMs: number): Dollars {
    const price = this.#price(asset, atMs);
    return { dollars: multiplyFixed(amount, price.price), known: price.known };
  }

  /** By both lot methods, into the sums of the market that it is of; the ledger is moved by the caller. */
  addAsset(asset: string, amount: Fixed, dollars: Fixed, known: boolean): void {
    const { fifo, average } = this.#state;
    const market = this.#state.marketOf(asset);
    const realised = fifo.addAsset(asset, amount, dollars);
    this.#tally.realise(market, realised, average.addAsset(asset, amount, dollars), known);
    this.#tally.pay(market, dollars, known);
  }

  /** Contracts that changed hands at `cost`; what that realised is in the wallet then. */
  addContracts(
    instrument: ContractTrade['instrument'],
    contracts: Fixed,
    cost: Fixed,
    price: Price,
  ): void {
    const { symbol, settle, market } = instrument;
    const { fifo, average } = this.#state;
    fifo.defer(settle, market, fifo.addContracts(symbol, contracts, cost), price.price);
    average.defer(settle, market, average.addContracts(symbol, contracts, cost), price.price);
    this.#tally.realise(market, 0n, 0n, price.known);
    this.#tally.pay(market, 0n, price.known);
  }

  /** Remembers assets that have never had one. */
  #price(asset: string, atMs: number): Price {
    if (asset === REPORTING_CURRENCY) return { price: FIXED_ONE, known: true, old: false };
    const price = this.#prices.dollars(asset, atMs, EVENT_MAX_AGE_MS);
    if (!price.known && !this.#prices.hasEverHad(asset)) this.#state.unbased.add(asset);
    return price;
  }

  /** By the leg that is in dollars, else by what was paid, else by what was bought. */
  #worthOfTrade({ asset, amount, currency, cost, atMs }: Trade): Dollars {
    if (currency === REPORTING_CURRENCY) return { dollars: cost, known: true };
    if (asset === REPORTING_CURRENCY) return { dollars: amount, known: true };
    const paid = this.dollarsOf(currency, cost, atMs);
    if (paid.known) return paid;
    const price = this.#price(asset, atMs);
    return price.known ? { dollars: multiplyFixed(amount, price.price), known: true } : paid;
  }

  #trade(trade: Trade): void {
    const { asset, amount, currency, cost, atMs, market, instrument, fees } = trade;
    const { ledger, instruments, excluded } = this.#state;
    if (instrument !== null) instruments.set(asset, instrument);
    if (instrument?.style === 'opaque') this.#tally.gaps.add('contract_unknown');
    const { dollars, known } = this.#worthOfTrade(trade);
    if (known && amount !== 0n && !this.#prices.hasEverHad(asset)) {
      const isLeft = excluded.has(asset) || isExcluded(this.#prices, asset);
      this.#prices.remember(asset, absolute(divideFixed(dollars, amount)));
      if (isLeft) this.admit(asset, atMs);
    }
    // What was paid with came from somewhere, and was worth what it bought.
    if (known && cost !== 0n && !this.#prices.hasEverHad(currency)) {
      const isLeft = excluded.has(currency) || isExcluded(this.#prices, currency);
      this.#prices.remember(currency, absolute(divideFixed(dollars, cost)));
      if (isLeft) this.admit(currency, atMs);
    }
    // Fees in what was traded make less of it bought, or more of it paid, at the price of the trade itself.
    let got = amount;
    let gave = cost;
    let gotDollars = dollars;
    let gaveDollars = dollars;
    const worth = absolute(dollars);
    for (const fee of fees) {
      const isOfAsset = fee.currency === asset && amount !== 0n;
      if (!isOfAsset && (fee.currency !== currency || cost === 0n)) {
        this.#fee(market, fee, this.dollarsOf(fee.currency, fee.amount, atMs));
        continue;
      }
      const paid = shareOf(worth, fee.amount, absolute(isOfAsset ? amount : cost));
      if (isOfAsset) {
        got -= fee.amount;
        gotDollars -= paid;
      } else {
        gave += fee.amount;
        gaveDollars += paid;
      }
      this.#tally.fee(market, paid, known);
      ledger.move(fee.currency, fee.amount, 'wallet', 'fees');
    }
    this.addAsset(asset, got, gotDollars, known);
    this.addAsset(currency, -gave, -gaveDollars, known);
    ledger.move(asset, amount, 'trading', 'wallet');
    ledger.move(currency, cost, 'wallet', 'trading');
    this.#tally.trade(market, worth, known);
  }

  #contract({ instrument, contracts, price, cost, fees, atMs }: ContractTrade): void {
    const { ledger, instruments } = this.#state;
    const { symbol, settle, market, style, size, quote } = instrument;
    instruments.set(symbol, instrument);
    if (style === 'opaque') {
      this.#tally.gaps.add('contract_unknown');
      this.#tally.trade(market, 0n, false);
      this.#state.fifo.addContracts(symbol, contracts, 0n);
      this.#state.average.addContracts(symbol, contracts, 0n);
    } else {
      const settled = this.#price(settle, atMs);
      this.addContracts(instrument, contracts, cost, settled);
      ledger.move(settle, cost, 'wallet', 'trading');
      const counted = style === 'inverse' ? this.#price(quote, atMs) : settled;
      const notional =
        style === 'inverse'
          ? multiplyThree(absolute(contracts), size, counted.price)
          : absolute(multiplyFixed(cost, counted.price));
      this.#tally.trade(market, notional, counted.known);
      this.#prices.rememberMark(symbol, price);
    }
    ledger.move(symbol, contracts, 'trading', 'wallet');
    for (const fee of fees) {
      this.#fee(market, fee, this.dollarsOf(fee.currency, fee.amount, atMs));
    }
  }

  /** Paid: what it is taken from is sold at its price. */
  #fee(market: FigureMarket, { currency, amount }: Amount, { dollars, known }: Dollars): void {
    this.addAsset(currency, -amount, -dollars, known);
    this.#tally.fee(market, dollars, known);
    this.#state.ledger.move(currency, amount, 'wallet', 'fees');
  }

  #funding({ currency, amount, market, atMs }: FundingPaid): void {
    const { dollars, known } = this.dollarsOf(currency, amount, atMs);
    this.addAsset(currency, amount, dollars, known);
    this.#tally.market(market).funding.add(dollars, known);
    this.#state.ledger.move(currency, amount, 'funding', 'wallet');
  }

  #movement(movement: Movement): void {
    const { type, currency, amount, fee, atMs, key, market } = movement;
    const role = this.#roles.of.get(key);
    if (role === 'internal') this.#internal(movement);
    else if (role === 'conversion') this.#income(movement, 'conversion');
    else if (type === 'fee') {
      this.#fee(market, { currency, amount: -amount }, this.dollarsOf(currency, -amount, atMs));
    } else if (type === 'other' && this.#state.isSecurity(currency)) this.#reshaped(movement);
    else {
      const account = INCOME_ACCOUNTS[type];
      if (account !== undefined) this.#income(movement, account);
      // What the venue does not name never helps: what came is a flow, what went is a cost.
      else if (type === 'other' && amount < 0n) this.#income(movement, 'other');
      else this.#external(movement);
    }
    if (fee !== null) this.#fee('spot', fee, this.dollarsOf(fee.currency, fee.amount, atMs));
  }

  /** From one wallet of the account to another; its other half, if it is a record of its own, brings it back. */
  #internal({ from, to, currency, amount }: Movement): void {
    const { wallets, ledger } = this.#state;
    if (from !== null && to !== null && wallets.has(from) && wallets.has(to)) return;
    // Lots and cost stay as they are: the halves cancel.
    ledger.move(currency, amount, 'transfer_pending', 'wallet');
  }

  #income({ type, currency, amount, atMs, market }: Movement, account: LedgerAccount): void {
    const { dollars, known } = this.dollarsOf(currency, amount, atMs);
    this.addAsset(currency, amount, dollars, known);
    this.#state.ledger.move(currency, amount, account, 'wallet');
    // The legs of a conversion realise what lies between them.
    if (type === 'conversion') this.#tally.realise('spot', dollars, dollars, known);
    else this.#tally.earn(market, dollars, known);
  }

  /** Shares that came or went without money, as in a split: what they are worth was there before. */
  #reshaped({ currency, amount }: Movement): void {
    this.addAsset(currency, amount, 0n, true);
    this.#state.ledger.move(currency, amount, 'other', 'wallet');
  }

  #external(movement: Movement): void {
    const { currency, amount, atMs } = movement;
    const { ledger, unbased, excluded } = this.#state;
    if (isExcluded(this.#prices, currency)) {
      this.#tally.gaps.add('asset_unpriced');
      unbased.add(currency);
      excluded.add(currency);
      this.addAsset(currency, amount, 0n, true);
    } else {
      const before = valueOf(this.#state, this.#prices, atMs, VALUATION_MAX_AGE_MS);
      const isHalfway = this.#roles.halfway.some(([from, to]) => from <= atMs && atMs <= to);
      const { dollars, known } = this.dollarsOf(currency, amount, atMs);
      if (!known) this.#tally.gaps.add('flow_unpriced');
      this.addAsset(currency, amount, dollars, known);
      this.#tally.flow(
        {
          atMs,
          amount: known ? dollars : null,
          equityBefore: before.known && !isHalfway ? before.equity : null,
          reference: this.#nameOf(movement),
        },
        dollars,
      );
    }
    ledger.move(currency, amount, 'external', 'wallet');
  }

  /** Legs of a conversion have names of their own account. */
  #nameOf({ type, networkId }: Movement): Uint8Array | null {
    if (networkId === null || !TRANSFERS.has(type)) return null;
    return this.#referenceOf?.(networkId) ?? null;
  }

  /** An asset that was left out of the value has a price: from now on it counts, and came in at that price. */
  admit(asset: string, atMs: number): void {
    this.rebase(asset, atMs);
    const dollars = this.#state.fifo.costOf(asset);
    this.#state.excluded.delete(asset);
    if (dollars === 0n) return;
    this.#tally.flow({ atMs, amount: dollars, equityBefore: null, reference: null }, dollars);
  }

  /** What contracts have realised goes into lots. */
  settle(): void {
    const fifo = this.#state.fifo.settle();
    const average = this.#state.average.settle();
    for (const market of FIGURE_MARKETS) {
      const [gain, other] = [fifo.get(market) ?? 0n, average.get(market) ?? 0n];
      if (gain !== 0n || other !== 0n) this.#tally.realise(market, gain, other, true);
      this.#tally.pay(market, -gain, true);
    }
  }

  /** Gives an asset its first cost: what it is worth now. */
  rebase(asset: string, atMs: number): void {
    this.settle();
    const { fifo, average, unbased } = this.#state;
    for (const basis of [fifo, average]) {
      const amount = basis.quantity(asset);
      const { dollars } = this.dollarsOf(asset, amount, atMs);
      basis.addAsset(asset, -amount, -basis.costOf(asset));
      basis.addAsset(asset, amount, dollars);
    }
    unbased.delete(asset);
  }
}
