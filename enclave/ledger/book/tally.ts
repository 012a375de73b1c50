// The sums of one hour, as they grow. A sum that had a part without a price is not known any more, whatever it has come
// to; what it has come to still keeps the books in one piece.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute } from '../../../wire/fixed.ts';
import type { FigureMarket, HourFlow, MarketFigures } from '../../../wire/track/figures.ts';
import { FIGURE_MARKETS } from '../../../wire/track/figures.ts';
import type { MarketValue } from './valuation.ts';

export class Sum {
  value: Fixed = 0n;
  isKnown = true;

  add(amount: Fixed, known: boolean): void {
    if (amount !== 0n) this.value += amount;
    if (!known) this.isKnown = false;
  }

  /** Null: a part of it has no price. */
  get told(): Fixed | null {
    return this.isKnown ? this.value : null;
  }
}

/** Of a market that has nothing at the end of the hour. */
const NOTHING: MarketValue = { equity: 0n, unrealised: 0n };

class MarketTally {
  trades = 0;
  readonly volume: Sum = new Sum();
  readonly fees: Sum = new Sum();
  readonly funding: Sum = new Sum();
  readonly realised: Sum = new Sum();
  readonly outlay: Sum = new Sum();
  readonly income: Sum = new Sum();
}

/** What is summed up by market, and of the whole account is the sum of those. */
type SumOfMarkets = 'volume' | 'fees' | 'funding' | 'realised' | 'income';

/** Of one hour; what comes after it goes into the last one, which then has no amount of one moment, and the hour no return. */
export const MAX_HOUR_FLOWS = 100;

export class Tally {
  readonly realisedAverage: Sum = new Sum();
  readonly inflow: Sum = new Sum();
  readonly outflow: Sum = new Sum();
  readonly residual: Sum = new Sum();
  /** Differences to the venue without signs. */
  readonly gross: Sum = new Sum();
  readonly flows: HourFlow[] = [];
  readonly gaps: Set<string> = new Set();
  readonly #markets = new Map<FigureMarket, MarketTally>();

  market(market: FigureMarket): MarketTally {
    const known = this.#markets.get(market);
    if (known !== undefined) return known;
    const tally = new MarketTally();
    this.#markets.set(market, tally);
    return tally;
  }

  /** Of all markets. */
  get trades(): number {
    let trades = 0;
    for (const own of this.#markets.values()) trades += own.trades;
    return trades;
  }

  /** Of all markets; null: a part of it has no price. */
  told(field: SumOfMarkets): Fixed | null {
    const all = new Sum();
    for (const { [field]: own } of this.#markets.values()) all.add(own.value, own.isKnown);
    return all.told;
  }

  trade(market: FigureMarket, volume: Fixed, known: boolean): void {
    const own = this.market(market);
    own.trades++;
    own.volume.add(volume, known);
  }

  /** By both lot methods. */
  realise(market: FigureMarket, fifo: Fixed, average: Fixed, known: boolean): void {
    this.realisedAverage.add(average, known);
    this.market(market).realised.add(fifo, known);
  }

  /** Money for things of another market than spot, which is where it comes from. */
  pay(market: FigureMarket, dollars: Fixed, known: boolean): void {
    if (market === 'spot' || (dollars === 0n && known)) return;
    this.market(market).outlay.add(dollars, known);
    this.market('spot').outlay.add(-dollars, known);
  }

  earn(market: FigureMarket, dollars: Fixed, known: boolean): void {
    this.market(market).income.add(dollars, known);
  }

  fee(market: FigureMarket, amount: Fixed, known: boolean): void {
    this.market(market).fees.add(amount, known);
  }

  /** `dollars`: what it is booked at, also where that is not known. */
  flow(flow: HourFlow, dollars: Fixed): void {
    const sum = dollars < 0n ? this.outflow : this.inflow;
    sum.add(absolute(dollars), flow.amount !== null);
    const last = this.flows.at(-1);
    if (last === undefined || this.flows.length < MAX_HOUR_FLOWS) {
      this.flows.push(flow);
      return;
    }
    const { atMs } = last;
    this.flows[MAX_HOUR_FLOWS - 1] = { atMs, amount: null, equityBefore: null, reference: null };
  }

  /** Those that had something in the hour, or have something at its end. */
  byMarket(values: ReadonlyMap<FigureMarket, MarketValue>): readonly MarketFigures[] {
    const all: MarketFigures[] = [];
    for (const market of FIGURE_MARKETS) {
      if (!this.#markets.has(market) && !values.has(market)) continue;
      const { trades, volume, fees, funding, realised, outlay, income } = this.market(market);
      const { equity, unrealised } = values.get(market) ?? NOTHING;
      all.push({
        market,
        trades,
        volume: volume.told,
        fees: fees.told,
        funding: funding.told,
        realised: realised.told,
        outlay: outlay.told,
        income: income.told,
        equity,
        unrealised,
      });
    }
    return all;
  }
}
