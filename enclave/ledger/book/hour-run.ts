// One hour of one account: its events in the order of time, the observation among them, the value at its end, and the
// figures that follow. The state is changed in place; who wants to go back keeps a copy.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute, multiplyFixed } from '../../../wire/fixed.ts';
import { toleranceOf } from '../../../wire/performance/tolerance.ts';
import type { HourFigures, HourStatus } from '../../../wire/track/figures.ts';
import { HOUR_MS } from '../../../wire/track/figures.ts';
import type { BookState } from './book-state.ts';
import { Comparison } from './comparison.ts';
import type { BookOptions, HourCoverage } from './contract.ts';
import type { BookEvent } from './event.ts';
import type { HourPrices } from './hour-prices.ts';
import { EVENT_MAX_AGE_MS } from './hour-prices.ts';
import type { Instrument } from './instrument.ts';
import { worthOf } from './instrument.ts';
import type { Observed } from './observed.ts';
import type { Roles } from './pairs.ts';
import { rolesOf } from './pairs.ts';
import { Poster } from './poster.ts';
import { Tally } from './tally.ts';
import { isExcluded, valueOf } from './valuation.ts';

/** What was told of an hour. */
export interface ToldHour {
  /** Sorted. */
  readonly events: readonly BookEvent[];
  readonly observed: Observed | null;
  /** Of the hour after it: its poll may have begun in this one. */
  readonly next: Observed | null;
  /** Events of that hour that the poll of this one may have told, too. */
  readonly ahead: readonly BookEvent[];
}

export interface Hour extends ToldHour {
  readonly startMs: number;
  readonly coverage: HourCoverage;
  readonly rebuilt: boolean;
  /** The book's first one: what is held gets the prices of its begin. */
  readonly opens: boolean;
  readonly referenceOf?: BookOptions['referenceOf'];
}

class HourRun {
  readonly #state: BookState;
  readonly #prices: HourPrices;
  readonly #tally = new Tally();
  readonly #roles: Roles;
  readonly #poster: Poster;

  constructor(
    state: BookState,
    prices: HourPrices,
    { events, referenceOf }: Pick<Hour, 'events' | 'referenceOf'>,
  ) {
    this.#state = state;
    this.#prices = prices;
    this.#roles = rolesOf(events, state.wallets, (name) => isExcluded(prices, name));
    this.#poster = new Poster(state, this.#prices, this.#tally, this.#roles, referenceOf);
  }

  run(hour: Hour): HourFigures {
    const { startMs, events, observed, next, coverage, rebuilt, opens } = hour;
    if (opens) this.#open(startMs);
    // Shares that came from elsewhere are named by the poll that found them.
    for (const [symbol, told] of observed?.securities ?? []) {
      this.#state.instruments.set(symbol, told);
    }
    const endMs = startMs + HOUR_MS;
    const own = observed === null ? null : this.#comparisonOf(observed, hour);
    const later = next === null || next.beginsMs >= endMs ? null : new Comparison(next);
    let isOpen = own !== null;
    for (const event of events) {
      if (own !== null) this.#begin(own, event.atMs);
      if (later !== null) this.#begin(later, event.atMs);
      if (own !== null && isOpen && event.atMs > own.observed.endsMs) {
        isOpen = false;
        this.#settle(own);
        if (later?.isBegun === true) later.compare(this.#state);
      }
      this.#poster.post(event);
      if (own !== null && isOpen) this.#follow(own, event);
      if (later !== null) this.#follow(later, event);
    }
    if (own !== null && isOpen) {
      this.#begin(own, endMs);
      this.#lookAhead(own, hour.ahead);
      this.#settle(own);
    }
    later?.compare(this.#state);
    this.#state.begun = later;
    return this.#figures(startMs, coverage, own !== null, rebuilt);
  }

  /** Null: what happened since the poll began is not known any more, and what it told cannot be compared. */
  #comparisonOf(observed: Observed, { startMs, opens }: Hour): Comparison | null {
    const { begun } = this.#state;
    if (begun?.observed === observed) return begun;
    return observed.beginsMs >= startMs || opens ? new Comparison(observed) : null;
  }

  #begin(comparison: Comparison, atMs: number): void {
    if (!comparison.isBegun && atMs > comparison.observed.beginsMs) comparison.compare(this.#state);
  }

  #follow(comparison: Comparison, event: BookEvent): void {
    if (!comparison.isBegun) return;
    comparison.compare(this.#state);
    const isMoved = event.kind === 'flow' && this.#roles.of.get(event.key) === 'internal';
    if (isMoved) comparison.transfer(event.currency, event.amount);
  }

  /** What comes in the first moments of the next hour, on a copy: all but the comparison is of that hour. */
  #lookAhead(comparison: Comparison, ahead: readonly BookEvent[]): void {
    if (ahead.length === 0) return;
    const state = this.#state.copy();
    const run = new HourRun(state, this.#prices.of(state), { events: ahead });
    for (const event of ahead) {
      run.#poster.post(event);
      run.#follow(comparison, event);
    }
  }

  #open(startMs: number): void {
    const state = this.#state;
    this.#base(startMs);
    const value = valueOf(state, this.#prices, startMs, EVENT_MAX_AGE_MS);
    state.equity = value.known ? value.equity : null;
    state.unrealised = value.known ? value.equity - state.fifo.cost : null;
    state.excluded = new Set(value.excluded);
  }

  /** Posts what is different, at what it is worth when the venue told it. */
  #settle(comparison: Comparison): void {
    const { observed } = comparison;
    const { atMs } = observed;
    const state = this.#state;
    const contracts = comparison.contracts();
    const assets = comparison.assets(contracts);
    for (const wallet of observed.wallets) state.wallets.add(wallet);
    for (const [symbol, difference] of contracts) {
      if (difference === 0n) continue;
      const told = observed.contracts.get(symbol);
      const instrument = told?.instrument ?? state.instruments.get(symbol);
      if (instrument === undefined) continue;
      state.instruments.set(symbol, instrument);
      this.#settleContracts(instrument, difference, told?.mark ?? null, atMs);
    }
    for (const [asset, difference] of assets) {
      if (difference === null) this.#tally.residual.add(0n, false);
      else if (difference !== 0n) this.#settleAsset(asset, difference, atMs);
    }
  }

  #settleAsset(asset: string, difference: Fixed, atMs: number): void {
    const { ledger, unbased, excluded } = this.#state;
    ledger.move(asset, difference, 'unexplained', 'wallet');
    if (isExcluded(this.#prices, asset)) {
      unbased.add(asset);
      excluded.add(asset);
      this.#poster.addAsset(asset, difference, 0n, true);
      return;
    }
    const { dollars, known } = this.#poster.dollarsOf(asset, difference, atMs);
    this.#poster.addAsset(asset, difference, dollars, known);
    this.#tally.residual.add(dollars, known);
    this.#tally.gross.add(absolute(dollars), known);
  }

  /** As if they had changed hands at the mark; the cash that this takes is in the difference of the asset. */
  #settleContracts(
    instrument: Instrument,
    difference: Fixed,
    told: Fixed | null,
    atMs: number,
  ): void {
    const { settle, symbol } = instrument;
    const own = this.#prices.mark(instrument, atMs, EVENT_MAX_AGE_MS);
    const mark = told !== null && told > 0n ? told : own.price;
    const known = mark > 0n && instrument.style !== 'opaque' && (told !== null || own.known);
    const cost =
      mark > 0n && instrument.style !== 'opaque' ? worthOf(instrument, difference, mark) : 0n;
    const price = this.#prices.dollars(settle, atMs, EVENT_MAX_AGE_MS);
    const dollars = multiplyFixed(cost, price.price);
    this.#poster.addContracts(instrument, difference, cost, price);
    this.#poster.addAsset(settle, cost, dollars, price.known);
    this.#state.ledger.move(symbol, difference, 'unexplained', 'wallet');
    // That they differ is in the difference of the cash that they were dealt for, which is added up without its sign.
    this.#tally.residual.add(dollars, known && price.known);
  }

  #figures(
    startMs: number,
    coverage: HourCoverage,
    compared: boolean,
    rebuilt: boolean,
  ): HourFigures {
    const state = this.#state;
    const tally = this.#tally;
    const endMs = startMs + HOUR_MS;
    this.#poster.settle();
    this.#base(endMs);
    const value = valueOf(state, this.#prices, endMs, EVENT_MAX_AGE_MS);
    for (const gap of value.gaps) tally.gaps.add(gap);
    for (const gap of coverage.gaps) tally.gaps.add(gap);
    const equityEnd = value.known ? value.equity : null;
    const unrealisedEnd = value.known ? value.equity - state.fifo.cost : null;
    const { equity: equityStart, unrealised } = state;
    const tolerance = toleranceOf(equityStart, equityEnd, value.notional);
    const residual = compared ? tally.residual.told : null;
    const status = statusOf(residual, tally.gross.value, tolerance);
    const figures: HourFigures = {
      startMs,
      equityStart,
      equityEnd,
      unrealisedEnd,
      inflow: tally.inflow.told,
      outflow: tally.outflow.told,
      flows: tally.flows,
      realised: tally.told('realised'),
      realisedAverage: tally.realisedAverage.told,
      unrealisedChange:
        unrealised === null || unrealisedEnd === null ? null : unrealisedEnd - unrealised,
      funding: tally.told('funding'),
      fees: tally.told('fees'),
      income: tally.told('income'),
      residual,
      tolerance,
      status,
      trades: tally.trades,
      volume: tally.told('volume'),
      byMarket: tally.byMarket(value.byMarket),
      prices: this.#prices.sources(),
      pricesDigest: this.#prices.digest(),
      polls: coverage.polls,
      complete: coverage.complete,
      gaps: [...tally.gaps].sort(),
      rebuilt,
    };
    state.equity = equityEnd;
    state.unrealised = unrealisedEnd;
    state.excluded = new Set(value.excluded);
    state.forgetEmpty();
    return figures;
  }

  /** Assets that have their first price by now. */
  #base(atMs: number): void {
    for (const asset of this.#state.unbased) {
      if (!this.#prices.dollars(asset, atMs, EVENT_MAX_AGE_MS).known) continue;
      if (this.#state.excluded.has(asset)) this.#poster.admit(asset, atMs);
      else this.#poster.rebase(asset, atMs);
    }
  }
}

/** Contracts whose entries cancel out are in the residual, and not in the gross of cash. */
function statusOf(residual: Fixed | null, gross: Fixed, tolerance: Fixed): HourStatus {
  if (residual === null) return 'unknown';
  return gross <= tolerance && absolute(residual) <= tolerance ? 'reconciled' : 'beyond';
}

/** `prices` are of this state, and of nothing but this hour. */
export function runHour(state: BookState, prices: HourPrices, hour: Hour): HourFigures {
  return new HourRun(state, prices, hour).run(hour);
}
