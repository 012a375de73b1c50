// Everything that a book knows at the end of an hour. A copy of it is a checkpoint: late data goes back to one.

import type { Fixed } from '../../../wire/fixed.ts';
import type { FigureMarket } from '../../../wire/track/figures.ts';
import { Basis } from './basis.ts';
import type { Comparison } from './comparison.ts';
import type { Instrument } from './instrument.ts';
import { Ledger } from './ledger.ts';
import { REPORTING_CURRENCY } from './price-table.ts';

export class BookState {
  ledger: Ledger = new Ledger();
  fifo: Basis = new Basis('fifo');
  average: Basis = new Basis('average');
  /** Contracts and securities that are held. */
  instruments: Map<string, Instrument> = new Map();
  /** Last known prices of assets and securities, in dollars. */
  last: Map<string, Fixed> = new Map();
  /** And of contracts and securities, in what they settle in. */
  lastMarks: Map<string, Fixed> = new Map();
  /** Names of wallets whose balances were told, in small letters. */
  wallets: Set<string> = new Set();
  /** Assets whose cost is not known because they have never had a price. */
  unbased: Set<string> = new Set();
  /** Of those, the ones that the value at the end of the last hour left out. */
  excluded: Set<string> = new Set();
  /** At the end of the last hour; null: not known. */
  equity: Fixed | null = null;
  unrealised: Fixed | null = null;
  /** With what a poll told that began in the last hour. A restart forgets it, and that poll is not compared. */
  begun: Comparison | null = null;

  copy(): BookState {
    const copy = new BookState();
    copy.ledger = this.ledger.copy();
    copy.fifo = this.fifo.copy();
    copy.average = this.average.copy();
    copy.instruments = new Map(this.instruments);
    copy.last = new Map(this.last);
    copy.lastMarks = new Map(this.lastMarks);
    copy.wallets = new Set(this.wallets);
    copy.unbased = new Set(this.unbased);
    copy.excluded = new Set(this.excluded);
    copy.equity = this.equity;
    copy.unrealised = this.unrealised;
    copy.begun = this.begun?.copy() ?? null;
    return copy;
  }

  /** Coins, currencies and securities there may be something of, in the order in which they came. */
  get assets(): readonly string[] {
    const assets: string[] = [];
    for (const name of this.ledger.currencies) if (!this.isContract(name)) assets.push(name);
    return assets;
  }

  isContract(name: string): boolean {
    const instrument = this.instruments.get(name);
    return instrument !== undefined && instrument.style !== 'security';
  }

  isSecurity(name: string): boolean {
    return this.instruments.get(name)?.style === 'security';
  }

  /** In which an asset counts: cash and coins are `spot`. */
  marketOf(asset: string): FigureMarket {
    return this.instruments.get(asset)?.market ?? 'spot';
  }

  /** Forgets names of which nothing is left: a venue may list any number of them over the years. */
  forgetEmpty(): void {
    for (const name of this.ledger.currencies) {
      const held = this.ledger.balance('wallet', name) !== 0n || this.fifo.quantity(name) !== 0n;
      if (held || this.average.quantity(name) !== 0n || name === REPORTING_CURRENCY) continue;
      if (this.#settlesIn(name)) continue;
      this.ledger.forget(name);
      this.fifo.forget(name);
      this.average.forget(name);
      this.instruments.delete(name);
      this.unbased.delete(name);
      this.excluded.delete(name);
      this.lastMarks.delete(name);
    }
  }

  #settlesIn(currency: string): boolean {
    for (const symbol of this.fifo.symbols) {
      if (this.instruments.get(symbol)?.settle === currency) return true;
    }
    return false;
  }
}
