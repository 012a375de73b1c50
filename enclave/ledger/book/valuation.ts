// What the account is worth at a moment: cash as the ledger has it and every contract at its mark, each currency rounded
// once. Nothing of it depends on lots. A price that is missing makes the whole not known, and never smaller.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute, multiplyFixed } from '../../../wire/fixed.ts';
import type { FigureMarket } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import type { HourPrices, Price } from './hour-prices.ts';
import { worthOf } from './instrument.ts';

export interface Value {
  readonly equity: Fixed;
  /** False: a price is missing, and last known ones stand in. */
  readonly known: boolean;
  readonly gaps: readonly string[];
  readonly byMarket: ReadonlyMap<FigureMarket, MarketValue>;
  /** Of all contracts without their signs, in dollars. */
  readonly notional: Fixed;
  /** Assets that are left out because the venue lists no price and never did. */
  readonly excluded: readonly string[];
}

/** Null: a price is missing. */
export type MarketValue<Amount = Fixed | null> = Record<'equity' | 'unrealised', Amount>;

const UNKNOWN: MarketValue = { equity: null, unrealised: null };

class Valuer {
  readonly gaps = new Set<string>();
  readonly markets = new Map<FigureMarket, MarketValue<Fixed>>();
  /** What contracts are worth, by what they settle in. */
  readonly worth = new Map<string, Fixed>();
  readonly excluded: string[] = [];
  notional: Fixed = 0n;
  readonly #state: BookState;
  readonly #prices: HourPrices;
  readonly #atMs: number;
  readonly #maxAgeMs: number;

  constructor(state: BookState, prices: HourPrices, atMs: number, maxAgeMs: number) {
    this.#state = state;
    this.#prices = prices;
    this.#atMs = atMs;
    this.#maxAgeMs = maxAgeMs;
  }

  contracts(): void {
    const { fifo, instruments } = this.#state;
    for (const symbol of fifo.symbols) {
      const instrument = instruments.get(symbol);
      // Said of the ledger's row.
      if (instrument === undefined || instrument.style === 'opaque') continue;
      const mark = this.#prices.mark(instrument, this.#atMs, this.#maxAgeMs);
      this.#note(mark);
      const cost = fifo.contractsCost(symbol);
      const worth =
        mark.price === 0n ? cost : worthOf(instrument, fifo.contracts(symbol), mark.price);
      this.worth.set(instrument.settle, (this.worth.get(instrument.settle) ?? 0n) + worth);
      const price = this.#dollars(instrument.settle);
      const dollars = multiplyFixed(worth - cost, price);
      this.#add(instrument.market, dollars, dollars);
      this.notional += absolute(multiplyFixed(worth, price));
    }
  }

  assets(): Fixed {
    const { ledger, instruments, fifo } = this.#state;
    let equity = 0n;
    const names = new Set(ledger.currencies);
    for (const name of this.worth.keys()) names.add(name);
    for (const name of names) {
      if (this.#state.isContract(name)) {
        const isOpen = ledger.balance('wallet', name) !== 0n;
        if (isOpen && instruments.get(name)?.style === 'opaque') this.gaps.add('contract_unknown');
        continue;
      }
      // What is between two wallets of the account is there, whatever flow comes meanwhile.
      const held = ledger.balance('wallet', name) + ledger.balance('transfer_pending', name);
      const amount = held + (this.worth.get(name) ?? 0n);
      if (amount === 0n) continue;
      if (isExcluded(this.#prices, name)) {
        this.gaps.add('asset_unpriced');
        this.excluded.push(name);
        continue;
      }
      const dollars = multiplyFixed(amount, this.#dollars(name));
      equity += dollars;
      const security = instruments.get(name);
      if (security !== undefined) this.#add(security.market, dollars, dollars - fifo.costOf(name));
    }
    return equity;
  }

  #dollars(asset: string): Fixed {
    const price = this.#prices.dollars(asset, this.#atMs, this.#maxAgeMs);
    this.#note(price);
    return price.price;
  }

  #note({ known, old }: Price): void {
    if (!known) this.gaps.add('price_missing');
    if (old) this.gaps.add('price_old');
  }

  /** Positions of margin count as `spot`, which is what is left. */
  #add(market: FigureMarket, equity: Fixed, unrealised: Fixed): void {
    if (market === 'spot') return;
    const own = this.markets.get(market) ?? { equity: 0n, unrealised: 0n };
    own.equity += equity;
    own.unrealised += unrealised;
    this.markets.set(market, own);
  }
}

/** The venue lists no price for it, and it has never had one. */
export function isExcluded(prices: HourPrices, asset: string): boolean {
  return prices.isUnlisted(asset) && !prices.hasEverHad(asset);
}

/** By rows that were not older than `maxAgeMs`, but for shares and options, whose exchanges are closed at times. */
export function valueOf(
  state: BookState,
  prices: HourPrices,
  atMs: number,
  maxAgeMs: number,
): Value {
  const valuer = new Valuer(state, prices, atMs, maxAgeMs);
  valuer.contracts();
  const equity = valuer.assets();
  const { gaps, markets, notional, excluded } = valuer;
  const known = !gaps.has('price_missing') && !gaps.has('contract_unknown');
  const rest = { equity, unrealised: equity - state.fifo.cost };
  for (const own of markets.values()) {
    rest.equity -= own.equity;
    rest.unrealised -= own.unrealised;
  }
  if (rest.equity !== 0n || rest.unrealised !== 0n || markets.size === 0) markets.set('spot', rest);
  const byMarket = new Map<FigureMarket, MarketValue>();
  for (const [market, own] of markets) byMarket.set(market, known ? own : UNKNOWN);
  return { equity, known, gaps: [...gaps], byMarket, notional, excluded };
}
