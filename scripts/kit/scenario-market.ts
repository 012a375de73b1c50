// The venue of a scenario: makes market events of its steps and numbers them as the instrument's sequence rule
// wants it, so that an author never sees an update id; `lose` leaves a hole. Decimals that do not fit the
// scales are the author's mistake and end the scenario.

import { parseDecimal } from '../../wire/market/scaled.ts';
import type { DepthEvent, MarketEvent } from '../../wire/market/events.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { EventStep } from './scenario.ts';

/** A step that cannot be played. */
export class BadStep extends Error {}

interface Numbers {
  update: number;
  trade: number;
}

const FIRST_ID = 1000;

export class ScenarioMarket {
  readonly #instruments: readonly Instrument[];
  readonly #numbers = new Map<number, Numbers>();

  constructor(instruments: readonly Instrument[]) {
    this.#instruments = instruments;
  }

  /** By id or symbol; undefined where the table has only one. */
  instrument(wanted: string | number | undefined): Instrument {
    const fits = this.#instruments.filter(
      ({ id, symbol }) => wanted === undefined || id === wanted || symbol === wanted,
    );
    const [only, ...more] = fits;
    if (only === undefined) throw new BadStep(`the table has no instrument ${wanted}`);
    if (more.length > 0)
      throw new BadStep('name the instrument: symbol, or id where that is not enough');
    return only;
  }

  /** Null for a step that only leaves a hole. `drift` is in units of the price scale. */
  event(step: EventStep, receiveTimeNs: bigint, drift: bigint): MarketEvent | null {
    const instrument = this.instrument(step.instrument);
    const numbers = this.#numbers.get(instrument.id) ?? { update: FIRST_ID, trade: FIRST_ID };
    this.#numbers.set(instrument.id, numbers);
    const head = { instrument: instrument.id, receiveTimeNs, exchangeTimeNs: receiveTimeNs };
    const price = (text: string): number => priceOf(text, instrument, drift);
    const quantity = (text: string): number => quantityOf(text, instrument);
    if (step.kind === 'lose') {
      numbers[step.lose]++;
      return null;
    }
    if (step.kind === 'trade') {
      const { side, price: at, quantity: size } = step.trade;
      const [id, buyerTook] = [++numbers.trade, side === 'buy'];
      return { ...head, type: 'trade', id, price: price(at), quantity: quantity(size), buyerTook };
    }
    if (step.kind === 'best') {
      const { bid, ask } = step.best;
      return {
        ...head,
        type: 'best',
        updateId: numbers.update,
        bidPrice: price(bid[0]),
        bidQuantity: quantity(bid[1]),
        askPrice: price(ask[0]),
        askQuantity: quantity(ask[1]),
      };
    }
    const { bids, asks } = step.kind === 'snapshot' ? step.snapshot : step.update;
    const levels = [...bids, ...asks].flatMap(([at, size]) => [price(at), quantity(size)]);
    const depth = this.#depth(step.kind === 'snapshot', instrument, numbers);
    return { ...head, ...depth, levels, bids: bids.length };
  }

  #depth(
    snapshot: boolean,
    { sequence_rule: rule }: Instrument,
    numbers: Numbers,
  ): Pick<DepthEvent, 'type' | 'snapshot' | 'firstId' | 'lastId' | 'previousId'> {
    const previous = numbers.update;
    const id = ++numbers.update;
    const previousId = !snapshot && rule === 'binance-futures' ? previous : -1;
    return { type: 'depth', snapshot, firstId: id, lastId: id, previousId };
  }
}

function scaled(text: string, scale: number, what: string): number {
  const value = parseDecimal(text, scale);
  if (value === null) throw new BadStep(`${what} ${text}: the table has ${scale} decimals for it`);
  return value;
}

export function priceOf(text: string, { price_scale: scale }: Instrument, drift: bigint): number {
  const value = BigInt(scaled(text, scale, 'price')) + drift;
  if (value < 1n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new BadStep(`price ${text} has drifted out of range`);
  }
  return Number(value);
}

export function quantityOf(text: string, { quantity_scale: scale }: Instrument): number {
  return scaled(text, scale, 'quantity');
}

/** The change of a price with each repetition. */
export function driftOf(text: string, { price_scale: scale }: Instrument): bigint {
  return BigInt(scaled(text, scale, 'drift'));
}
