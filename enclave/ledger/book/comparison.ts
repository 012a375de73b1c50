// The ledger held against what the venue says. A poll asks for several wallets one after the other while the account
// may trade, so each figure is compared at every moment between its begin and its end, and the smallest difference
// counts: a fill in the middle of a poll is no residual. What is left is posted as unexplained.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute } from '../../../wire/fixed.ts';
import type { BookState } from './book-state.ts';
import type { Observed } from './observed.ts';

/** Clocks of a venue and of the enclave differ by as much, and no more is forgiven. */
export const CLOCK_SLACK_MS = 2_000;

export class Comparison {
  readonly observed: Observed;
  /** Venue less ledger, in cash as if contracts had been paid for. */
  readonly assets: Map<string, Fixed> = new Map();
  /** Venue less ledger, in contracts. */
  readonly contracts: Map<string, Fixed> = new Map();
  /** Currencies that contracts of unknown worth settle in: nothing can be said of them. */
  readonly incomparable: Set<string> = new Set();

  #isBegun = false;

  constructor(observed: Observed) {
    this.observed = observed;
  }

  get beginsMs(): number {
    return this.observed.fromMs - CLOCK_SLACK_MS;
  }

  get endsMs(): number {
    return this.observed.atMs + CLOCK_SLACK_MS;
  }

  /** Once at the begin, and after each event until the end. */
  compare(state: BookState): void {
    const moved = this.#compareContracts(state);
    const settled = this.#costs(state);
    const names = new Set([...state.assets, ...this.observed.assets.keys(), ...settled.keys()]);
    for (const name of this.assets.keys()) names.add(name);
    for (const name of names) {
      if (this.incomparable.has(name)) continue;
      const told = this.observed.assets.get(name) ?? 0n;
      const cost = settled.get(name);
      // By the venue's entries, which may be rounded; by our own, if that leaves nothing or there are none.
      if (cost !== null) {
        this.#keep(this.assets, name, told - (cost ?? 0n) - state.ledger.balance('wallet', name));
      }
      const own = told - state.average.quantity(name) - pending(state, name);
      const agrees = !moved.has(name) && (cost === null || absolute(own) <= tiny(told));
      if (agrees) this.#keep(this.assets, name, own);
      else if (cost === null) this.incomparable.add(name);
    }
    this.#isBegun = true;
  }

  /** Gives what the contracts settle in that do not agree. */
  #compareContracts(state: BookState): ReadonlySet<string> {
    const moved = new Set<string>();
    const symbols = new Set([...state.fifo.symbols, ...this.observed.contracts.keys()]);
    for (const symbol of this.contracts.keys()) symbols.add(symbol);
    for (const symbol of symbols) {
      const told = this.observed.contracts.get(symbol);
      const instrument = told?.instrument ?? state.instruments.get(symbol);
      const difference = (told?.contracts ?? 0n) - state.fifo.contracts(symbol);
      this.#keep(this.contracts, symbol, difference);
      if (instrument === undefined) continue;
      if (difference !== 0n) moved.add(instrument.settle);
      if (instrument.style === 'opaque') this.incomparable.add(instrument.settle);
    }
    return moved;
  }

  /** Of open contracts by the venue's entries, by what they settle in; null where one is not told. */
  #costs(state: BookState): ReadonlyMap<string, Fixed | null> {
    const costs = new Map<string, Fixed | null>();
    for (const symbol of state.fifo.symbols) {
      const settle = state.instruments.get(symbol)?.settle;
      if (settle !== undefined) costs.set(settle, 0n);
    }
    for (const { instrument, cost } of this.observed.contracts.values()) {
      const before = costs.get(instrument.settle);
      const unknown = before === null || cost === null;
      costs.set(instrument.settle, unknown ? null : (before ?? 0n) + cost);
    }
    return costs;
  }

  #keep(all: Map<string, Fixed>, name: string, difference: Fixed): void {
    // What neither had at an earlier moment was no different then.
    const known = all.get(name) ?? (this.#isBegun ? 0n : undefined);
    if (known !== undefined && !all.has(name)) all.set(name, known);
    if (known === undefined || absolute(difference) < absolute(known)) all.set(name, difference);
  }
}

/** What a venue rounds in a wallet. */
function tiny(told: Fixed): Fixed {
  return 10_000_000_000n + absolute(told) / 1_000_000_000n;
}

/** What the halves of a transfer have moved without lots, as long as the other half is not there. */
function pending(state: BookState, name: string): Fixed {
  return -state.ledger.balance('transfer_pending', name);
}
