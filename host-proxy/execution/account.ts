// Positions and results of the paper account, one quote currency. Average cost; every amount is exact, so
// that realised + unrealised − fees is always cash + the value of the positions. Margin, funding and
// interest are not modelled, and spot may be sold short.

import type { Instrument } from '../../wire/configuration.ts';
import type { Side } from '../../wire/payloads.ts';
import { SIDE } from '../../wire/payloads.ts';
import type { Amount } from './money.ts';
import { notional, QUOTE8 } from './money.ts';

export interface AccountFill {
  readonly instrument: number;
  readonly side: Side;
  /** Scaled. */
  readonly price: number;
  readonly quantity: number;
  /** × 10^8 of the quote currency. */
  readonly fee: number;
}

/** Price twice, because a mid is often between two prices. */
export type DoubledPrice = bigint;

export class Position {
  readonly instrument: Instrument;
  /** Scaled; negative when short. */
  quantity = 0n;
  /** What the position was bought for; negative when short. */
  cost: Amount = 0n;
  realised: Amount = 0n;
  fees: Amount = 0n;
  cash: Amount = 0n;
  /** Of all fills, bought and sold. */
  volume: Amount = 0n;
  mark: DoubledPrice | null = null;

  constructor(instrument: Instrument) {
    this.instrument = instrument;
  }

  /** Value at the mark; null when there is a position without a mark. */
  get value(): Amount | null {
    if (this.quantity === 0n) return 0n;
    if (this.mark === null) return null;
    return notional(this.instrument, this.mark, this.quantity) / 2n;
  }

  get unrealised(): Amount | null {
    const { value } = this;
    return value === null ? null : value - this.cost;
  }

  addFill({ side, price, quantity, fee }: AccountFill): void {
    const signed = side === SIDE.buy ? BigInt(quantity) : -BigInt(quantity);
    const amount = notional(this.instrument, price, signed);
    this.cash -= amount + BigInt(fee) * QUOTE8;
    this.fees += BigInt(fee) * QUOTE8;
    this.volume += amount < 0n ? -amount : amount;
    const closing = closingPart(this.quantity, signed);
    if (closing !== 0n) {
      const proceeds = notional(this.instrument, price, -closing);
      // The part of the cost that leaves with `closing`; the rest, rounding included, stays.
      const costOut = (this.cost * -closing) / this.quantity;
      this.realised += proceeds - costOut;
      this.cost -= costOut;
    }
    this.cost += notional(this.instrument, price, signed - closing);
    this.quantity += signed;
  }
}

/** The part of a change that makes the position smaller; 0 when it grows. */
function closingPart(position: bigint, change: bigint): bigint {
  if (position === 0n || position > 0n === change > 0n) return 0n;
  const size = position < 0n ? -position : position;
  const wanted = change < 0n ? -change : change;
  const part = size < wanted ? size : wanted;
  return change < 0n ? -part : part;
}

export interface AccountTotals {
  readonly realised: Amount;
  readonly unrealised: Amount;
  readonly fees: Amount;
  readonly volume: Amount;
  /** realised + unrealised − fees */
  readonly equity: Amount;
}

export class Account {
  readonly #positions = new Map<number, Position>();

  constructor(instruments: readonly Instrument[]) {
    for (const instrument of instruments) {
      this.#positions.set(instrument.id, new Position(instrument));
    }
  }

  get positions(): readonly Position[] {
    return [...this.#positions.values()];
  }

  find(instrument: number): Position | null {
    return this.#positions.get(instrument) ?? null;
  }

  /** Throws for an instrument that the account was not made with. */
  of(instrument: number): Position {
    const position = this.#positions.get(instrument);
    if (position === undefined) throw new Error('an instrument without a position');
    return position;
  }

  /** Null while a position has no mark. */
  totals(): AccountTotals | null {
    let [realised, unrealised, fees, volume] = [0n, 0n, 0n, 0n];
    for (const position of this.#positions.values()) {
      if (position.unrealised === null) return null;
      realised += position.realised;
      unrealised += position.unrealised;
      fees += position.fees;
      volume += position.volume;
    }
    return { realised, unrealised, fees, volume, equity: realised + unrealised - fees };
  }
}
