// Binance messages (spot and USD-M combined streams, REST depth snapshots) to market events. Decimal
// strings become scaled integers exactly; a field that is missing, of another type, with too many
// decimals or out of range refuses the message by the field's name. Unknown fields are passed over.

import type { Instrument } from '../../configuration.ts';
import type { Result } from '../../result.ts';
import { accept, refuse } from '../../result.ts';
import { parseDecimal } from '../scaled.ts';
import type { BestEvent, DepthEvent, MarketEvent, TradeEvent } from '../events.ts';

/** Levels of one message; Binance's deepest snapshot has 5,000 a side. */
const MAX_LEVELS = 20_000;
const NS_PER_MS = 1_000_000n;
const MAX_TIME_MS = 8_640_000_000_000;

class FieldError extends Error {
  readonly field: string;
  constructor(field: string) {
    super('field');
    this.field = field;
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function takeId(object: JsonObject, field: string): number {
  const value = object[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new FieldError(field);
  }
  return value;
}

function scaled(value: unknown, scale: number, minimum: number, field: string): number {
  const number = typeof value === 'string' ? parseDecimal(value, scale) : null;
  if (number === null || number < minimum) throw new FieldError(field);
  return number;
}

/** The first of `fields` that is there, in ms; null when none is. */
function takeTime(object: JsonObject, ...fields: readonly string[]): bigint | null {
  const field = fields.find((name) => object[name] !== undefined);
  if (field === undefined) return null;
  const ms = takeId(object, field);
  if (ms > MAX_TIME_MS) throw new FieldError(field);
  return BigInt(ms) * NS_PER_MS;
}

export class BinanceParser {
  readonly #instruments: ReadonlyMap<string, Instrument>;
  readonly #snapshotInstrument: Instrument | null;

  /**
   * Instruments by their venue symbol. A REST snapshot does not name its symbol: it belongs to the
   * only instrument, and is refused when there are several.
   */
  constructor(instruments: readonly Instrument[]) {
    this.#instruments = new Map(instruments.map((instrument) => [instrument.symbol, instrument]));
    this.#snapshotInstrument = instruments.length === 1 ? (instruments[0] ?? null) : null;
  }

  /**
   * One message, as text. Refuses `capture_malformed` {field}; null for a message about an instrument
   * that is not ours.
   */
  parse(text: string, receiveTimeNs: bigint): Result<MarketEvent | null> {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return refuse('capture_malformed', { field: 'json' });
    }
    try {
      return accept(this.#message(message, receiveTimeNs));
    } catch (error) {
      if (error instanceof FieldError) return refuse('capture_malformed', { field: error.field });
      throw error;
    }
  }

  #message(message: unknown, receiveTimeNs: bigint): MarketEvent | null {
    if (!isObject(message)) throw new FieldError('message');
    const data = message['data'] ?? message;
    if (!isObject(data)) throw new FieldError('data');
    if (data['lastUpdateId'] !== undefined) return this.#snapshot(data, receiveTimeNs);
    const symbol = data['s'];
    if (typeof symbol !== 'string') throw new FieldError('s');
    const instrument = this.#instruments.get(symbol);
    if (instrument === undefined) return null;
    // Spot's bookTicker is the one message without its type.
    const type = data['e'] ?? 'bookTicker';
    if (type === 'depthUpdate') return update(data, instrument, receiveTimeNs);
    if (type === 'trade') return trade(data, instrument, receiveTimeNs);
    if (type === 'bookTicker') return best(data, instrument, receiveTimeNs);
    throw new FieldError('e');
  }

  #snapshot(data: JsonObject, receiveTimeNs: bigint): DepthEvent {
    if (this.#snapshotInstrument === null) throw new FieldError('s');
    const id = takeId(data, 'lastUpdateId');
    const levels: number[] = [];
    const bids = takeLevels(levels, data, 'bids', this.#snapshotInstrument);
    takeLevels(levels, data, 'asks', this.#snapshotInstrument);
    return {
      type: 'depth',
      instrument: this.#snapshotInstrument.id,
      receiveTimeNs,
      exchangeTimeNs: takeTime(data, 'T', 'E'),
      snapshot: true,
      firstId: id,
      lastId: id,
      previousId: -1,
      levels,
      bids,
    };
  }
}

function takeLevels(
  levels: number[],
  data: JsonObject,
  field: string,
  instrument: Instrument,
): number {
  const pairs = data[field];
  if (!Array.isArray(pairs) || pairs.length > MAX_LEVELS) throw new FieldError(field);
  for (const pair of pairs as readonly unknown[]) {
    if (!Array.isArray(pair) || pair.length < 2) throw new FieldError(field);
    const [price, quantity] = pair as readonly unknown[];
    levels.push(
      scaled(price, instrument.price_scale, 1, field),
      scaled(quantity, instrument.quantity_scale, 0, field),
    );
  }
  return pairs.length;
}

function update(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): DepthEvent {
  const firstId = takeId(data, 'U');
  const lastId = takeId(data, 'u');
  if (lastId < firstId) throw new FieldError('u');
  const levels: number[] = [];
  const bids = takeLevels(levels, data, 'b', instrument);
  takeLevels(levels, data, 'a', instrument);
  return {
    type: 'depth',
    instrument: instrument.id,
    receiveTimeNs,
    exchangeTimeNs: takeTime(data, 'T', 'E'),
    snapshot: false,
    firstId,
    lastId,
    previousId: data['pu'] === undefined ? -1 : takeId(data, 'pu'),
    levels,
    bids,
  };
}

function trade(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): TradeEvent {
  const buyerIsMaker = data['m'];
  if (typeof buyerIsMaker !== 'boolean') throw new FieldError('m');
  return {
    type: 'trade',
    instrument: instrument.id,
    receiveTimeNs,
    exchangeTimeNs: takeTime(data, 'T', 'E'),
    id: takeId(data, 't'),
    price: scaled(data['p'], instrument.price_scale, 1, 'p'),
    quantity: scaled(data['q'], instrument.quantity_scale, 1, 'q'),
    buyerTook: !buyerIsMaker,
  };
}

function best(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): BestEvent {
  return {
    type: 'best',
    instrument: instrument.id,
    receiveTimeNs,
    exchangeTimeNs: takeTime(data, 'T', 'E'),
    updateId: takeId(data, 'u'),
    bidPrice: scaled(data['b'], instrument.price_scale, 1, 'b'),
    bidQuantity: scaled(data['B'], instrument.quantity_scale, 0, 'B'),
    askPrice: scaled(data['a'], instrument.price_scale, 1, 'a'),
    askQuantity: scaled(data['A'], instrument.quantity_scale, 0, 'A'),
  };
}
