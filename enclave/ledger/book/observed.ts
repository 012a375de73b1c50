// An observation as the ledger can be compared with it: what each wallet and position comes to, by asset and symbol. A
// venue's wallet has what contracts have realised by its own way of counting; taking their entries off leaves cash as
// if they had been paid for, which is the same whoever counts.

import type { Balance, Position } from '../../connector/records.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import { toFixed } from '../../../wire/fixed.ts';
import type { Observation } from './contract.ts';
import type { Instrument } from './instrument.ts';
import { instrumentOf, worthOf } from './instrument.ts';

/** Clocks of a venue and of the enclave differ by as much, and no more is forgiven. */
export const CLOCK_SLACK_MS = 2_000;

export interface ObservedContract {
  readonly instrument: Instrument;
  readonly contracts: Fixed;
  /** In what it settles in, with the sign of Lots.add; null: the venue tells no entry. */
  readonly cost: Fixed | null;
  readonly mark: Fixed | null;
}

export interface Observed {
  /** What it was read from. */
  readonly observation: Observation;
  /** Begin and end of the asking, and so much before and after them. */
  readonly fromMs: number;
  readonly atMs: number;
  readonly beginsMs: number;
  readonly endsMs: number;
  /** Coins and currencies as wallets have them, and securities. */
  readonly assets: ReadonlyMap<string, Fixed>;
  readonly securities: ReadonlyMap<string, Instrument>;
  readonly contracts: ReadonlyMap<string, ObservedContract>;
  readonly wallets: ReadonlySet<string>;
}

function add(sums: Map<string, Fixed>, name: string, amount: Fixed): void {
  sums.set(name, (sums.get(name) ?? 0n) + amount);
}

function isContract({ market }: Position, marginPositions: boolean): boolean {
  return market === 'swap' || market === 'future' || (market === 'margin' && marginPositions);
}

/** Of one position; hedged ones have two, of which there is the sum. Null: a number does not fit. */
function contractOf(
  position: Position,
  instrument: Instrument,
  known: ObservedContract | undefined,
): ObservedContract | null {
  const size = toFixed(position.contracts);
  const entry = position.entry === null ? null : toFixed(position.entry);
  if (size === null) return null;
  const contracts = position.side === 'short' ? -size : size;
  const isKnown = entry !== null && entry > 0n && instrument.style !== 'opaque';
  const cost = isKnown ? worthOf(instrument, contracts, entry) : null;
  const mark = position.mark === null ? null : toFixed(position.mark);
  if (known === undefined) return { instrument, contracts, cost, mark };
  return {
    instrument,
    contracts: known.contracts + contracts,
    cost: known.cost === null || cost === null ? null : known.cost + cost,
    mark: known.mark ?? mark,
  };
}

/** What each wallet has of each currency: it is there once, however often it was told. */
function linesOf(balances: readonly Balance[]): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const lines = new Map<string, Map<string, string>>();
  for (const { wallet, currency, total } of balances) {
    const others = lines.get(currency);
    if (others === undefined) lines.set(currency, new Map([[wallet, total]]));
    else others.set(wallet, total);
  }
  return lines;
}

/** Null for an amount that a Fixed cannot hold exactly. */
export function observedOf(observation: Observation, marginPositions: boolean): Observed | null {
  const { fromMs, atMs, balances, positions } = observation;
  const assets = new Map<string, Fixed>();
  const securities = new Map<string, Instrument>();
  const contracts = new Map<string, ObservedContract>();
  const wallets = new Set<string>();
  for (const [currency, lines] of linesOf(balances)) {
    let sum = 0n;
    for (const [wallet, total] of lines) {
      const amount = toFixed(total);
      if (amount === null) return null;
      if (!wallets.has(wallet)) wallets.add(wallet.toLowerCase());
      sum += amount;
    }
    assets.set(currency, sum);
  }
  for (const position of positions) {
    const { market } = position;
    if (isContract(position, marginPositions)) {
      const instrument = instrumentOf(position);
      const contract = contractOf(position, instrument, contracts.get(instrument.symbol));
      if (contract === null) return null;
      contracts.set(instrument.symbol, contract);
    } else if (market === 'stock' || market === 'option') {
      const instrument = instrumentOf(position);
      const size = toFixed(position.contracts);
      if (size === null) return null;
      securities.set(instrument.symbol, instrument);
      add(assets, instrument.symbol, position.side === 'short' ? -size : size);
    }
  }
  return {
    observation,
    fromMs,
    atMs,
    beginsMs: fromMs - CLOCK_SLACK_MS,
    endsMs: atMs + CLOCK_SLACK_MS,
    assets,
    securities,
    contracts,
    wallets,
  };
}
