// The book's first state. At the first complete observation everything that is held is known; what was held before it
// follows by taking the records since then back, the latest first. What contracts had cost is taken back at average
// cost, as venues count; where a position was closed meanwhile, at the price at which it was.

import type { Fixed } from '../../../wire/fixed.ts';
import { absolute, shareOf } from '../../../wire/fixed.ts';
import { BookState } from './book-state.ts';
import type { BookEvent, ContractTrade } from './event.ts';
import type { Instrument } from './instrument.ts';
import { worthOf } from './instrument.ts';
import type { Observed, ObservedContract } from './observed.ts';

function add(sums: Map<string, Fixed>, name: string, amount: Fixed): void {
  sums.set(name, (sums.get(name) ?? 0n) + amount);
}

/** What an event has done to the wallet, in cash as if contracts had been paid for. */
function takeBack(sums: Map<string, Fixed>, event: BookEvent, wallets: ReadonlySet<string>): void {
  if (event.kind === 'trade') {
    add(sums, event.asset, -event.amount);
    add(sums, event.currency, event.cost);
  } else if (event.kind === 'contract') add(sums, event.instrument.settle, event.cost);
  else if (event.kind === 'funding') add(sums, event.currency, -event.amount);
  else {
    const { from, to } = event;
    const own = from !== null && to !== null && from !== to && wallets.has(from) && wallets.has(to);
    if (!own) add(sums, event.currency, -event.amount);
    if (event.fee !== null) add(sums, event.fee.currency, event.fee.amount);
  }
  if ('fees' in event) for (const fee of event.fees) add(sums, fee.currency, fee.amount);
}

interface Held {
  readonly contracts: Fixed;
  readonly cost: Fixed;
}

/** Before a deal, of what was held after it. */
function before({ contracts, cost }: Held, deal: ContractTrade): Held {
  const earlier = contracts - deal.contracts;
  if (earlier === 0n) return { contracts: 0n, cost: 0n };
  const sameSide = contracts !== 0n && contracts < 0n === earlier < 0n;
  if (!sameSide) return { contracts: earlier, cost: shareOf(deal.cost, earlier, deal.contracts) };
  if (absolute(earlier) < absolute(contracts))
    return { contracts: earlier, cost: cost - deal.cost };
  return { contracts: earlier, cost: shareOf(cost, earlier, contracts) };
}

/** Without an entry of the venue's it is taken for dealt at the mark: nothing of it is unrealised then. */
function heldOf(told: ObservedContract | undefined): Held {
  if (told === undefined) return { contracts: 0n, cost: 0n };
  const { contracts, mark, instrument } = told;
  const isMarked = mark !== null && mark > 0n && instrument.style !== 'opaque';
  return { contracts, cost: told.cost ?? (isMarked ? worthOf(instrument, contracts, mark) : 0n) };
}

/**
 * The state before `events`, which are sorted and end before the observation. The cost of what is held is not known
 * (`unbased`): the hour that opens gives it the price of its begin.
 */
export function openingOf(observed: Observed, events: readonly BookEvent[]): BookState {
  const state = new BookState();
  const cash = new Map<string, Fixed>(observed.assets);
  const held = new Map<string, Held>();
  const instruments = new Map<string, Instrument>(observed.securities);
  for (const [symbol, told] of observed.contracts) {
    const now = heldOf(told);
    held.set(symbol, now);
    instruments.set(symbol, told.instrument);
    add(cash, told.instrument.settle, -now.cost);
  }
  for (const event of events.toReversed()) {
    takeBack(cash, event, observed.wallets);
    if (event.kind === 'trade' && event.instrument !== null) {
      instruments.set(event.asset, event.instrument);
    }
    if (event.kind !== 'contract') continue;
    const { symbol } = event.instrument;
    instruments.set(symbol, event.instrument);
    held.set(symbol, before(held.get(symbol) ?? { contracts: 0n, cost: 0n }, event));
  }
  state.instruments = instruments;
  state.wallets = new Set(observed.wallets);
  enter(state, cash, held);
  return state;
}

function enter(
  state: BookState,
  cash: ReadonlyMap<string, Fixed>,
  held: ReadonlyMap<string, Held>,
): void {
  const { ledger, fifo, average, instruments, unbased } = state;
  const wallet = new Map<string, Fixed>(cash);
  for (const [symbol, { contracts, cost }] of held) {
    if (contracts === 0n) continue;
    ledger.move(symbol, contracts, 'trading', 'wallet');
    add(wallet, instruments.get(symbol)?.settle ?? '', cost);
    for (const basis of [fifo, average]) basis.addContracts(symbol, contracts, cost);
  }
  for (const [asset, amount] of cash) ledger.move(asset, amount, 'external', 'wallet');
  for (const [asset, amount] of wallet) {
    if (amount === 0n) continue;
    unbased.add(asset);
    for (const basis of [fifo, average]) basis.addAsset(asset, amount, 0n);
  }
}
