// OKX's public streams (v5): books of 400 levels a side, whose snapshots come in the stream, and trades. Each update
// names the one before (rule `okx`); trades of one taker at one price come as one, so their ids have holes and are
// not followed. Quantities of derivatives are contracts.

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
  takeTextTime,
  takeTrade,
} from './fields.ts';
import type { Venue } from './venue.ts';

const MAX_ITEMS = 1024;

function request(
  op: string,
  channels: readonly string[],
  instruments: readonly Instrument[],
): string {
  const args = instruments.flatMap(({ symbol }) =>
    channels.map((channel) => ({ channel, instId: symbol })),
  );
  return JSON.stringify({ op, args });
}

function readBook(
  value: unknown,
  snapshot: boolean,
  instrument: Instrument,
  receiveTimeNs: bigint,
): MarketEvent {
  const data = takeObject(value, 'data');
  const id = takeId(data, 'seqId');
  const previousId = snapshot ? -1 : takeId(data, 'prevSeqId');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTextTime(data, 'ts') };
  const ids = { snapshot, firstId: id, lastId: id, previousId };
  return takeDepth(data, ['bids', 'asks'], times, ids);
}

function readTrade(value: unknown, instrument: Instrument, receiveTimeNs: bigint): MarketEvent {
  const data = takeObject(value, 'data');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTextTime(data, 'ts') };
  return takeTrade(data, ['px', 'sz'], times, 0, takeSide(data, 'side', 'buy', 'sell'));
}

/** Null when the venue refuses something. */
function read(
  message: JsonObject,
  instruments: ReadonlyMap<string, Instrument>,
  receiveTimeNs: bigint,
): readonly MarketEvent[] | null {
  if (message['event'] !== undefined) return message['event'] === 'error' ? null : [];
  const arg = takeObject(message['arg'], 'arg');
  const channel = takeText(arg, 'channel');
  const instrument = instruments.get(takeText(arg, 'instId'));
  if (instrument === undefined) return [];
  const data = takeArray(message['data'], 'data', MAX_ITEMS);
  if (channel === 'trades') return data.map((one) => readTrade(one, instrument, receiveTimeNs));
  if (channel !== 'books') throw new FieldError('channel');
  const action = takeText(message, 'action');
  if (action !== 'snapshot' && action !== 'update') throw new FieldError('action');
  return data.map((one) => readBook(one, action === 'snapshot', instrument, receiveTimeNs));
}

function okx(market: Market): Venue {
  return {
    id: `okx-${market}`,
    venue: 'okx',
    market,
    rule: 'okx',
    hosts: new Map([['ws.okx.com', null]]),
    port: 8443,
    path: '/ws/v5/public',
    subscribe: (instruments) => [request('subscribe', ['books', 'trades'], instruments)],
    resubscribe: (instrument) =>
      ['unsubscribe', 'subscribe'].map((op) => request(op, ['books'], [instrument])),
    snapshotPath: () => null,
    ping: 'ping',
    parser: (instruments) => {
      const bySymbol = new Map(instruments.map((one) => [one.symbol, one]));
      return {
        parse: (text, receiveTimeNs) =>
          text === 'pong'
            ? accept([])
            : readMessage(text, (message) => read(message, bySymbol, receiveTimeNs)),
        parseSnapshot: () => accept(null),
      };
    },
  };
}

export const OKX: readonly Venue[] = [okx('spot'), okx('linear'), okx('inverse')];
