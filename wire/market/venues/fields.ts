// What the parsers of venue messages have in common: JSON of a stranger, read field by field. Whatever is
// missing, of another type or out of range ends the message with the field's name and nothing else of it.

import type { Instrument } from '../../instrument.ts';
import type { Result } from '../../result.ts';
import { accept, refuse } from '../../result.ts';
import type { DepthEvent, MarketEvent, TradeEvent } from '../events.ts';
import { parseDecimal } from '../scaled.ts';

/** Levels of one side of one message; Binance's deepest snapshot has 5,000. */
const MAX_LEVELS = 20_000;
const NS_PER_MS = 1_000_000n;
const MAX_TIME_MS = 8_640_000_000_000;

export class FieldError extends Error {
  readonly field: string;
  constructor(field: string) {
    super('field');
    this.field = field;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Runs `read` over the JSON in `text`. Refuses `capture_malformed` {field}. */
export function readJson<T>(text: string, read: (value: unknown) => T): Result<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('capture_malformed', { field: 'json' });
  }
  try {
    return accept(read(value));
  } catch (error) {
    if (error instanceof FieldError) return refuse('capture_malformed', { field: error.field });
    throw error;
  }
}

export function takeObject(value: unknown, field: string): JsonObject {
  if (!isObject(value)) throw new FieldError(field);
  return value;
}

export function takeArray(value: unknown, field: string, maximum: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > maximum) throw new FieldError(field);
  return value as readonly unknown[];
}

export function takeText(object: JsonObject, field: string): string {
  const value = object[field];
  if (typeof value !== 'string') throw new FieldError(field);
  return value;
}

/** A safe integer that is not negative. */
export function takeId(object: JsonObject, field: string): number {
  const value = object[field];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new FieldError(field);
  }
  return value;
}

export function takeScaled(value: unknown, scale: number, minimum: number, field: string): number {
  const number = typeof value === 'string' ? parseDecimal(value, scale) : null;
  if (number === null || number < minimum) throw new FieldError(field);
  return number;
}

function nsOf(ms: number | null, field: string): bigint {
  if (ms === null || ms < 0 || ms > MAX_TIME_MS) throw new FieldError(field);
  return BigInt(ms) * NS_PER_MS;
}

/** The first of `fields` that is there, in ms; null when none is. */
export function takeTime(object: JsonObject, ...fields: readonly string[]): bigint | null {
  const field = fields.find((name) => object[name] !== undefined);
  return field === undefined ? null : nsOf(takeId(object, field), field);
}

/** Milliseconds in decimal text. */
export function takeTextTime(object: JsonObject, field: string): bigint {
  return nsOf(parseDecimal(takeText(object, field), 0), field);
}

/** Appends price, quantity, … of `[[price, quantity, …], …]` to `levels`; answers how many levels. */
export function takeLevels(
  levels: number[],
  data: JsonObject,
  field: string,
  { price_scale: priceScale, quantity_scale: quantityScale }: Instrument,
): number {
  const pairs = takeArray(data[field], field, MAX_LEVELS);
  for (const pair of pairs) {
    if (!Array.isArray(pair) || pair.length < 2) throw new FieldError(field);
    const [price, quantity] = pair as readonly unknown[];
    levels.push(
      takeScaled(price, priceScale, 1, field),
      takeScaled(quantity, quantityScale, 0, field),
    );
  }
  return pairs.length;
}

/** Whose event it is, and when. */
export interface EventTimes {
  readonly instrument: Instrument;
  readonly receiveTimeNs: bigint;
  readonly exchangeTimeNs: bigint | null;
}

/** Levels of `data`, bids first. */
export function takeDepth(
  data: JsonObject,
  [bidField, askField]: readonly [string, string],
  { instrument, ...times }: EventTimes,
  ids: Pick<DepthEvent, 'snapshot' | 'firstId' | 'lastId' | 'previousId'>,
): DepthEvent {
  const levels: number[] = [];
  const bids = takeLevels(levels, data, bidField, instrument);
  takeLevels(levels, data, askField, instrument);
  return { type: 'depth', instrument: instrument.id, ...times, ...ids, levels, bids };
}

/** `id` is 0 where the venue does not number its trades one by one. */
export function takeTrade(
  data: JsonObject,
  [priceField, quantityField]: readonly [string, string],
  { instrument, ...times }: EventTimes,
  id: number,
  buyerTook: boolean,
): TradeEvent {
  const price = takeScaled(data[priceField], instrument.price_scale, 1, priceField);
  const quantity = takeScaled(data[quantityField], instrument.quantity_scale, 1, quantityField);
  return { type: 'trade', instrument: instrument.id, ...times, id, price, quantity, buyerTook };
}

/** True for `buy`, false for `sell`, and nothing else. */
export function takeSide(data: JsonObject, field: string, buy: string, sell: string): boolean {
  const side = takeText(data, field);
  if (side !== buy && side !== sell) throw new FieldError(field);
  return side === buy;
}

/** What `read` makes of a message; null from it is a subscription that the venue refuses. */
export function readMessage(
  text: string,
  read: (message: JsonObject) => readonly MarketEvent[] | null,
): Result<readonly MarketEvent[]> {
  const events = readJson(text, (value) => read(takeObject(value, 'message')));
  if (!events.ok) return events;
  return events.value === null ? refuse('venue_refused') : accept(events.value);
}
