// Kraken's spot streams (v2) for the host's live feed: books of 100 levels a side, and trades. Prices are JSON numbers
// there: they are taken as their text, never as floats. Updates have no ids but a checksum of the ten best levels, and
// levels that fall out of the hundred are not taken out by the venue: both need the book, which is kept here. What does
// not add up ends the connection, which is declared; the log itself can prove nothing (rule `none`).

import { crc32 } from 'node:zlib';
import type { Instrument } from '../../wire/instrument.ts';
import type { MarketEvent } from '../../wire/market/events.ts';
import type { EventTimes, JsonObject } from '../../wire/market/venues/fields.ts';
import {
  FieldError,
  readMessage,
  takeArray,
  takeId,
  takeObject,
  takeScaled,
  takeSide,
  takeText,
  takeTrade,
} from '../../wire/market/venues/fields.ts';
import type { Venue } from '../../wire/market/venues/venue.ts';
import { accept } from '../../wire/result.ts';

const DEPTH = 100;
const CHECKED = 10;
const MAX_ITEMS = 1024;

/** By price, the digits that the checksum takes of a level. */
type Side = Map<number, string>;

/** The best levels; `sign` is 1 for asks. */
function best(side: Side, sign: 1 | -1, count: number): readonly (readonly [number, string])[] {
  return [...side].sort(([a], [b]) => sign * (a - b)).slice(0, count);
}

/** Without point and leading zeros, with the decimals that the venue wrote. */
function digitsOf(value: unknown): string {
  return String(value).replace('.', '').replace(/^0+/u, '');
}

class KrakenBook {
  readonly #instrument: Instrument;
  readonly #bids: Side = new Map();
  readonly #asks: Side = new Map();

  constructor(instrument: Instrument) {
    this.#instrument = instrument;
  }

  /** Applies a message; answers the levels that it changes, those that fell out included, bids first. */
  take(data: JsonObject, snapshot: boolean): { readonly levels: number[]; readonly bids: number } {
    if (snapshot) for (const side of [this.#bids, this.#asks]) side.clear();
    const levels: number[] = [];
    const bids = this.#takeSide(levels, this.#bids, -1, data, 'bids');
    this.#takeSide(levels, this.#asks, 1, data, 'asks');
    if (this.#checksum() !== takeId(data, 'checksum')) throw new FieldError('checksum');
    return { levels, bids };
  }

  #takeSide(levels: number[], side: Side, sign: 1 | -1, data: JsonObject, field: string): number {
    const before = levels.length;
    const { price_scale: priceScale, quantity_scale: quantityScale } = this.#instrument;
    for (const value of takeArray(data[field], field, MAX_ITEMS)) {
      const level = takeObject(value, field);
      const price = takeScaled(level['price'], priceScale, 1, field);
      const quantity = takeScaled(level['qty'], quantityScale, 0, field);
      if (quantity === 0) side.delete(price);
      else side.set(price, digitsOf(level['price']) + digitsOf(level['qty']));
      levels.push(price, quantity);
    }
    if (side.size > DEPTH) {
      const kept = new Set(best(side, sign, DEPTH).map(([price]) => price));
      for (const price of [...side.keys()].filter((one) => !kept.has(one))) {
        side.delete(price);
        levels.push(price, 0);
      }
    }
    return (levels.length - before) / 2;
  }

  /** Of the ten best asks, from the lowest, then bids, from the highest. */
  #checksum(): number {
    const top = [...best(this.#asks, 1, CHECKED), ...best(this.#bids, -1, CHECKED)];
    return crc32(top.map(([, digits]) => digits).join(''));
  }
}

/** RFC 3339 with up to nine decimals of a second. */
function takeIsoTime(data: JsonObject, field: string): bigint {
  const match = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z$/u.exec(
    takeText(data, field),
  );
  const ms = Date.parse(`${match?.[1] ?? ''}Z`);
  if (!(ms >= 0)) throw new FieldError(field);
  return BigInt(ms) * 1_000_000n + BigInt((match?.[2] ?? '').padEnd(9, '0'));
}

/** JSON whose fractions are their text: `{"price":1.10}` becomes `{"price":"1.10"}`. Ids stay numbers. */
function quoteNumbers(text: string): string {
  return text.replace(/("(?:price|qty)"\s*:\s*)(-?\d[\d.eE+-]*)/gu, '$1"$2"');
}

function request(channel: string, instruments: readonly Instrument[], more: object): string {
  const symbol = instruments.map((one) => one.symbol);
  return JSON.stringify({ method: 'subscribe', params: { channel, symbol, ...more } });
}

class KrakenParser {
  readonly #instruments: ReadonlyMap<string, Instrument>;
  readonly #books: ReadonlyMap<string, KrakenBook>;

  constructor(instruments: readonly Instrument[]) {
    this.#instruments = new Map(instruments.map((one) => [one.symbol, one]));
    this.#books = new Map(instruments.map((one) => [one.symbol, new KrakenBook(one)]));
  }

  /** Null when the venue refuses something. */
  read(message: JsonObject, receiveTimeNs: bigint): readonly MarketEvent[] | null {
    if (message['method'] !== undefined) return message['success'] === false ? null : [];
    const channel = takeText(message, 'channel');
    if (channel === 'heartbeat' || channel === 'status') return [];
    const isBook = channel === 'book';
    if (!isBook && channel !== 'trade') throw new FieldError('channel');
    const type = takeText(message, 'type');
    if (type !== 'snapshot' && type !== 'update') throw new FieldError('type');
    return takeArray(message['data'], 'data', MAX_ITEMS).flatMap((value) => {
      const data = takeObject(value, 'data');
      const symbol = takeText(data, 'symbol');
      const instrument = this.#instruments.get(symbol);
      const book = this.#books.get(symbol);
      if (instrument === undefined || book === undefined) return [];
      const exchangeTimeNs =
        data['timestamp'] === undefined ? null : takeIsoTime(data, 'timestamp');
      const times: EventTimes = { instrument, receiveTimeNs, exchangeTimeNs };
      if (isBook) return [depth(book, data, times, type === 'snapshot')];
      const buyerTook = takeSide(data, 'side', 'buy', 'sell');
      return [takeTrade(data, ['price', 'qty'], times, takeId(data, 'trade_id'), buyerTook)];
    });
  }
}

function depth(
  book: KrakenBook,
  data: JsonObject,
  { instrument, ...times }: EventTimes,
  snapshot: boolean,
): MarketEvent {
  const ids = { snapshot, firstId: 0, lastId: 0, previousId: -1 };
  return {
    type: 'depth',
    instrument: instrument.id,
    ...times,
    ...ids,
    ...book.take(data, snapshot),
  };
}

export const KRAKEN_SPOT: Venue = {
  id: 'kraken-spot',
  venue: 'kraken',
  market: 'spot',
  rule: 'none',
  hosts: new Map([['ws.kraken.com', null]]),
  port: 443,
  path: '/v2',
  subscribe: (instruments) => [
    request('book', instruments, { depth: DEPTH, snapshot: true }),
    request('trade', instruments, { snapshot: false }),
  ],
  // A checksum that is wrong ends the connection, and each new one begins with a snapshot.
  resubscribe: () => [],
  snapshotPath: () => null,
  ping: '{"method":"ping"}',
  parser: (instruments) => {
    const parser = new KrakenParser(instruments);
    return {
      parse: (text, receiveTimeNs) =>
        readMessage(quoteNumbers(text), (message) => parser.read(message, receiveTimeNs)),
      parseSnapshot: () => accept(null),
    };
  },
};
