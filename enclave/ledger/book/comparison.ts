// The ledger held against what the venue says. A poll asks for several wallets one after the other while the account
// may trade, so each figure is compared with and without each of the events between its begin and its end, and the
// smallest difference counts: nothing that happens in the middle of a poll is a residual. A poll may begin in one hour
// and end in the next. What is left is posted as unexplained.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute } from '../../../wire/fixed.ts';
import type { BookState } from './book-state.ts';
import type { Observed } from './observed.ts';

/** Of one figure: ten events in all their combinations, and beyond that in their order. */
const MAX_DIFFERENCES = 1024;

/** Venue less ledger, of one figure: all that it may be. */
class Difference {
  #now: Fixed;
  /** Null: the one that it is now; mostly nothing happens while a poll asks. */
  #all: Set<Fixed> | null = null;

  constructor(first: Fixed) {
    this.#now = first;
  }

  next(now: Fixed): void {
    this.with(now - this.#now);
    this.#now = now;
    this.#all?.add(now);
  }

  /** The venue may have told it before or after something. */
  with(change: Fixed): void {
    if (change === 0n) return;
    const all = (this.#all ??= new Set([this.#now]));
    if (all.size > MAX_DIFFERENCES / 2) return;
    for (const one of Array.from(all)) all.add(one + change);
  }

  get smallest(): Fixed {
    let found = this.#now;
    if (this.#all === null) return found;
    for (const one of this.#all) if (absolute(one) < absolute(found)) found = one;
    return found;
  }

  copy(): Difference {
    const copy = new Difference(this.#now);
    if (this.#all !== null) copy.#all = new Set(this.#all);
    return copy;
  }
}

type Differences = Map<string, Difference>;

export class Comparison {
  readonly observed: Observed;
  /** By symbol, in contracts. */
  readonly #contracts: Differences = new Map();
  /** By asset, in cash as if contracts had been paid for: by the venue's entries, which may be rounded, and by our own. */
  readonly #told: Differences = new Map();
  readonly #own: Differences = new Map();
  /** What contracts settle in. */
  readonly #settles = new Map<string, string>();
  /** Currencies that contracts of unknown worth settle in: nothing can be said of them. */
  readonly #opaque = new Set<string>();
  #isBegun = false;

  constructor(observed: Observed) {
    this.observed = observed;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  copy(): Comparison {
    const copy = new Comparison(this.observed);
    copy.#isBegun = this.#isBegun;
    for (const [all, own] of [
      [this.#contracts, copy.#contracts],
      [this.#told, copy.#told],
      [this.#own, copy.#own],
    ] as const) {
      for (const [name, one] of all) own.set(name, one.copy());
    }
    for (const [symbol, settle] of this.#settles) copy.#settles.set(symbol, settle);
    for (const name of this.#opaque) copy.#opaque.add(name);
    return copy;
  }

  /** Once at the begin, and after each event until the end. */
  compare(state: BookState): void {
    const { assets, contracts } = this.observed;
    const symbols = new Set(state.fifo.symbols);
    for (const symbol of contracts.keys()) symbols.add(symbol);
    for (const symbol of this.#contracts.keys()) symbols.add(symbol);
    for (const symbol of symbols) {
      const told = contracts.get(symbol);
      const difference = (told?.contracts ?? 0n) - state.fifo.contracts(symbol);
      this.#next(this.#contracts, symbol, difference);
      const instrument = told?.instrument ?? state.instruments.get(symbol);
      if (instrument === undefined) continue;
      this.#settles.set(symbol, instrument.settle);
      if (instrument.style === 'opaque') this.#opaque.add(instrument.settle);
    }
    const costs = this.#costs();
    const names = new Set(state.assets);
    for (const name of assets.keys()) names.add(name);
    for (const name of costs.keys()) names.add(name);
    for (const name of this.#own.keys()) names.add(name);
    for (const name of names) {
      const told = assets.get(name) ?? 0n;
      const cost = costs.get(name) ?? 0n;
      this.#next(this.#told, name, told - cost - state.ledger.balance('wallet', name));
      // The halves of a transfer move no lots as long as the other half is not there.
      const pending = state.ledger.balance('transfer_pending', name);
      this.#next(this.#own, name, told - state.average.quantity(name) + pending);
    }
    this.#isBegun = true;
  }

  /** Something went from one wallet to another: the venue may have told it twice, or not at all. */
  transfer(asset: string, amount: Fixed): void {
    for (const all of [this.#told, this.#own]) {
      all.get(asset)?.with(amount);
      all.get(asset)?.with(-amount);
    }
  }

  /** Venue less ledger, in contracts. */
  contracts(): ReadonlyMap<string, Fixed> {
    const differences = new Map<string, Fixed>();
    for (const [symbol, one] of this.#contracts) differences.set(symbol, one.smallest);
    return differences;
  }

  /** Venue less ledger, in cash as if contracts had been paid for; null where nothing can be said. */
  assets(contracts: ReadonlyMap<string, Fixed>): ReadonlyMap<string, Fixed | null> {
    const moved = new Set<string>();
    for (const [symbol, difference] of contracts) {
      if (difference !== 0n) moved.add(this.#settles.get(symbol) ?? '');
    }
    const costs = this.#costs();
    const settled = new Set(this.#settles.values());
    const differences = new Map<string, Fixed | null>();
    for (const [name, own] of this.#own) {
      if (this.#opaque.has(name)) {
        differences.set(name, null);
        continue;
      }
      const isTold = costs.get(name) !== null;
      const found = isTold ? (this.#told.get(name)?.smallest ?? null) : null;
      const byOwn = own.smallest;
      const fits = !settled.has(name) || !isTold || absolute(byOwn) <= this.#tiny(name);
      const isOwn = fits && !moved.has(name);
      const isLess = found === null || absolute(byOwn) < absolute(found);
      differences.set(name, isOwn && isLess ? byOwn : found);
    }
    return differences;
  }

  /** Of open contracts by the venue's entries, by what they settle in; null where one is not told. */
  #costs(): ReadonlyMap<string, Fixed | null> {
    const costs = new Map<string, Fixed | null>();
    for (const settle of this.#settles.values()) costs.set(settle, 0n);
    for (const { instrument, cost } of this.observed.contracts.values()) {
      const before = costs.get(instrument.settle);
      const unknown = before === null || cost === null;
      costs.set(instrument.settle, unknown ? null : (before ?? 0n) + cost);
    }
    return costs;
  }

  #next(all: Differences, name: string, difference: Fixed): void {
    let known = all.get(name);
    if (known === undefined) {
      // What neither had at an earlier moment was no different then.
      known = new Difference(this.#isBegun ? 0n : difference);
      all.set(name, known);
    }
    known.next(difference);
  }

  /** What a venue rounds in a wallet. */
  #tiny(name: string): Fixed {
    const told = this.observed.assets.get(name) ?? 0n;
    return 10_000_000_000n + absolute(told) / 1_000_000_000n;
  }
}
