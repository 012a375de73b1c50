// Bybit's public streams (v5): books of 50 levels a side, whose snapshots come in the stream, and trades. Update ids
// go up by one (rule `bybit`); trades have names instead of numbers, so a missing one is not noticed.

import type { Instrument, Market } from '../../instrument.ts';
import { accept } from '../../result.ts';
import type { MarketEvent } from '../events.ts';
import type { JsonObject } from './fields.ts';
import {
  FieldError,
  readMessage,
  takeArray,
  takeDepth,
  takeId,
  takeObject,
  takeSide,
  takeText,
  takeTime,
  takeTrade,
} from './fields.ts';
import type { Venue } from './venue.ts';

const LEVELS = 50;
/** Spot takes ten topics a request. */
const TOPICS_PER_REQUEST = 10;
const MAX_TRADES = 1024;

function request(op: string, args: readonly string[]): readonly string[] {
  const texts: string[] = [];
  for (let at = 0; at < args.length; at += TOPICS_PER_REQUEST) {
    texts.push(JSON.stringify({ op, args: args.slice(at, at + TOPICS_PER_REQUEST) }));
  }
  return texts;
}

function readBook(message: JsonObject, instrument: Instrument, receiveTimeNs: bigint): MarketEvent {
  const data = takeObject(message['data'], 'data');
  const type = takeText(message, 'type');
  if (type !== 'snapshot' && type !== 'delta') throw new FieldError('type');
  const id = takeId(data, 'u');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTime(message, 'cts', 'ts') };
  const ids = { snapshot: type === 'snapshot', firstId: id, lastId: id, previousId: -1 };
  return takeDepth(data, ['b', 'a'], times, ids);
}

function readTrade(value: unknown, instrument: Instrument, receiveTimeNs: bigint): MarketEvent {
  const data = takeObject(value, 'data');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTime(data, 'T') };
  return takeTrade(data, ['p', 'v'], times, 0, takeSide(data, 'S', 'Buy', 'Sell'));
}

/** Null when the venue refuses something. */
function read(
  message: JsonObject,
  topics: ReadonlyMap<string, Instrument>,
  receiveTimeNs: bigint,
): readonly MarketEvent[] | null {
  if (message['op'] !== undefined) return message['success'] === true ? [] : null;
  const topic = takeText(message, 'topic');
  const instrument = topics.get(topic);
  if (instrument === undefined) return [];
  if (topic.startsWith('orderbook.')) return [readBook(message, instrument, receiveTimeNs)];
  const trades = takeArray(message['data'], 'data', MAX_TRADES);
  return trades.map((value) => readTrade(value, instrument, receiveTimeNs));
}

const bookTopic = ({ symbol }: Instrument): string => `orderbook.${LEVELS}.${symbol}`;
const tradeTopic = ({ symbol }: Instrument): string => `publicTrade.${symbol}`;

function bybit(market: Market): Venue {
  return {
    id: `bybit-${market}`,
    venue: 'bybit',
    market,
    rule: 'bybit',
    hosts: new Map([['stream.bybit.com', null]]),
    port: 443,
    path: `/v5/public/${market}`,
    subscribe: (instruments) =>
      request(
        'subscribe',
        instruments.flatMap((one) => [bookTopic(one), tradeTopic(one)]),
      ),
    resubscribe: (instrument) => [
      ...request('unsubscribe', [bookTopic(instrument)]),
      ...request('subscribe', [bookTopic(instrument)]),
    ],
    snapshotPath: () => null,
    ping: '{"op":"ping"}',
    parser: (instruments) => {
      const topics = new Map(
        instruments.flatMap((one) => [
          [bookTopic(one), one],
          [tradeTopic(one), one],
        ]),
      );
      return {
        parse: (text, receiveTimeNs) =>
          readMessage(text, (message) => read(message, topics, receiveTimeNs)),
        parseSnapshot: () => accept(null),
      };
    },
  };
}

export const BYBIT: readonly Venue[] = [bybit('spot'), bybit('linear'), bybit('inverse')];
