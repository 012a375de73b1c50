// Binance messages (spot and USD-M streams, REST depth snapshots) to market events. Decimal strings become
// scaled integers exactly; a field that is missing, of another type, with too many decimals or out of range
// refuses the message by the field's name. Unknown fields are passed over.

import type { Instrument, SequenceRule } from '../../instrument.ts';
import type { Result } from '../../result.ts';
import type { BestEvent, DepthEvent, MarketEvent, TradeEvent } from '../events.ts';
import type { JsonObject } from './fields.ts';
import {
  FieldError,
  isObject,
  readJson,
  readMessage,
  takeDepth,
  takeId,
  takeObject,
  takeScaled,
  takeText,
  takeTime,
  takeTrade,
} from './fields.ts';
import type { Venue } from './venue.ts';

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
    return readJson(text, (message) => this.read(message, receiveTimeNs));
  }

  /** Throws a FieldError. */
  read(message: unknown, receiveTimeNs: bigint): MarketEvent | null {
    if (!isObject(message)) throw new FieldError('message');
    const data = takeObject(message['data'] ?? message, 'data');
    if (data['lastUpdateId'] !== undefined) {
      if (this.#snapshotInstrument === null) throw new FieldError('s');
      return snapshot(data, this.#snapshotInstrument, receiveTimeNs);
    }
    const instrument = this.#instruments.get(takeText(data, 's'));
    if (instrument === undefined) return null;
    // Spot's bookTicker is the one message without its type.
    const type = data['e'] ?? 'bookTicker';
    if (type === 'depthUpdate') return update(data, instrument, receiveTimeNs);
    if (type === 'trade') return trade(data, instrument, receiveTimeNs);
    if (type === 'bookTicker') return best(data, instrument, receiveTimeNs);
    throw new FieldError('e');
  }
}

function snapshot(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): DepthEvent {
  const id = takeId(data, 'lastUpdateId');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTime(data, 'T', 'E') };
  const ids = { snapshot: true, firstId: id, lastId: id, previousId: -1 };
  return takeDepth(data, ['bids', 'asks'], times, ids);
}

function update(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): DepthEvent {
  const firstId = takeId(data, 'U');
  const lastId = takeId(data, 'u');
  if (lastId < firstId) throw new FieldError('u');
  const previousId = data['pu'] === undefined ? -1 : takeId(data, 'pu');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTime(data, 'T', 'E') };
  return takeDepth(data, ['b', 'a'], times, { snapshot: false, firstId, lastId, previousId });
}

function trade(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): TradeEvent {
  const buyerIsMaker = data['m'];
  if (typeof buyerIsMaker !== 'boolean') throw new FieldError('m');
  const times = { instrument, receiveTimeNs, exchangeTimeNs: takeTime(data, 'T', 'E') };
  return takeTrade(data, ['p', 'q'], times, takeId(data, 't'), !buyerIsMaker);
}

function best(data: JsonObject, instrument: Instrument, receiveTimeNs: bigint): BestEvent {
  return {
    type: 'best',
    instrument: instrument.id,
    receiveTimeNs,
    exchangeTimeNs: takeTime(data, 'T', 'E'),
    updateId: takeId(data, 'u'),
    bidPrice: takeScaled(data['b'], instrument.price_scale, 1, 'b'),
    bidQuantity: takeScaled(data['B'], instrument.quantity_scale, 0, 'B'),
    askPrice: takeScaled(data['a'], instrument.price_scale, 1, 'a'),
    askQuantity: takeScaled(data['A'], instrument.quantity_scale, 0, 'A'),
  };
}

/** Binance takes at most 1,024 streams a connection, and few requests a second. */
const STREAMS_PER_REQUEST = 150;
/** Weight 50 of 6,000 a minute on spot, 20 of 2,400 on USD-M. */
const SNAPSHOT_LEVELS = 1000;

function subscribe(instruments: readonly Instrument[]): readonly string[] {
  const streams = instruments.flatMap(({ symbol }) =>
    ['depth@100ms', 'trade', 'bookTicker'].map((name) => `${symbol.toLowerCase()}@${name}`),
  );
  const requests: string[] = [];
  for (let at = 0; at < streams.length; at += STREAMS_PER_REQUEST) {
    const params = streams.slice(at, at + STREAMS_PER_REQUEST);
    requests.push(JSON.stringify({ method: 'SUBSCRIBE', params, id: requests.length + 1 }));
  }
  return requests;
}

interface BinanceMarket extends Pick<Venue, 'id' | 'market' | 'hosts' | 'path'> {
  readonly rule: SequenceRule;
  readonly depthPath: string;
}

function binance({ depthPath, ...market }: BinanceMarket): Venue {
  return {
    ...market,
    venue: 'binance',
    port: 443,
    subscribe,
    resubscribe: () => [],
    snapshotPath: ({ symbol }) => `${depthPath}?symbol=${symbol}&limit=${SNAPSHOT_LEVELS}`,
    ping: null,
    parser: (instruments) => {
      const parser = new BinanceParser(instruments);
      return {
        parse: (text, receiveTimeNs) =>
          readMessage(text, (message) => {
            if (message['e'] === undefined && message['id'] !== undefined) {
              return message['result'] === null ? [] : null;
            }
            const event = parser.read(message, receiveTimeNs);
            return event === null ? [] : [event];
          }),
        parseSnapshot: (text, instrument, receiveTimeNs) =>
          readJson(text, (data) => snapshot(takeObject(data, 'data'), instrument, receiveTimeNs)),
      };
    },
  };
}

export const BINANCE_SPOT: Venue = binance({
  id: 'binance-spot',
  market: 'spot',
  rule: 'binance-spot',
  hosts: new Map([
    ['stream.binance.com', 'api.binance.com'],
    ['data-stream.binance.vision', 'data-api.binance.vision'],
  ]),
  path: '/ws',
  depthPath: '/api/v3/depth',
});

export const BINANCE_LINEAR: Venue = binance({
  id: 'binance-linear',
  market: 'linear',
  rule: 'binance-futures',
  hosts: new Map([['fstream.binance.com', 'fapi.binance.com']]),
  path: '/public/ws',
  depthPath: '/fapi/v1/depth',
});
