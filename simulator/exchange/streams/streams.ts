// The WebSocket endpoints of the simulated venues: Binance's (raw at /ws, combined at /stream) and Bybit's v5. What
// they send is ticks of the books, on demand or at a pace; and they can lose updates, break off, fall silent
// and start anew, which clients must notice by the ids.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { Faults } from '../faults.ts';
import type { Market, VenueName } from '../markets.ts';
import type { World } from '../world.ts';
import { binanceMessages, bybitMessages, bybitSnapshot, skipBybit } from './messages.ts';
import type { Message } from './messages.ts';

type Segment = Market['segment'];

interface Endpoint {
  readonly venue: 'binance' | 'bybit';
  readonly segment: Segment;
}

interface Client extends Endpoint {
  readonly socket: WebSocket;
  readonly isCombined: boolean;
  readonly streams: Set<string>;
}

/** Host and start of the path. */
const ENDPOINTS: readonly (readonly [host: string, path: RegExp, endpoint: Endpoint])[] = [
  ['stream.binance.com', /^\/(?:ws|stream)/u, { venue: 'binance', segment: 'spot' }],
  ['data-stream.binance.vision', /^\/(?:ws|stream)/u, { venue: 'binance', segment: 'spot' }],
  [
    'fstream.binance.com',
    /^\/(?:public\/)?(?:ws|stream)/u,
    { venue: 'binance', segment: 'linear' },
  ],
  ['dstream.binance.com', /^\/(?:ws|stream)/u, { venue: 'binance', segment: 'inverse' }],
  ['stream.bybit.com', /^\/v5\/public\/spot/u, { venue: 'bybit', segment: 'spot' }],
  ['stream.bybit.com', /^\/v5\/public\/linear/u, { venue: 'bybit', segment: 'linear' }],
  ['stream.bybit.com', /^\/v5\/public\/inverse/u, { venue: 'bybit', segment: 'inverse' }],
];

export const STREAM_HOSTS: ReadonlyMap<string, VenueName> = new Map(
  ENDPOINTS.map(([host, , { venue }]) => [host, venue]),
);

export interface TickOptions {
  readonly venue: 'binance' | 'bybit';
  readonly symbol: string;
  /** 1 without it. */
  readonly count?: number;
}

export interface DisturbOptions {
  /** `gap`: updates are lost; `reset`: connections are cut; `restart`: ids start anew. */
  readonly type: 'gap' | 'reset' | 'restart';
  readonly venue: 'binance' | 'bybit';
  /** All connections of the venue where it is a reset. */
  readonly symbol?: string;
}

const MAX_TEXT_BYTES: number = 64 * 1024;

function textOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

export class Streams {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #clients = new Set<Client>();
  readonly #server: WebSocketServer = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_TEXT_BYTES,
    perMessageDeflate: false,
  });
  #timer: NodeJS.Timeout | null = null;

  constructor(world: World, faults: Faults) {
    this.#world = world;
    this.#faults = faults;
  }

  /** Connections by now. */
  get clients(): number {
    return this.#clients.size;
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, host: string): void {
    const url = request.url ?? '/';
    const [path = ''] = url.split('?');
    const found = ENDPOINTS.find(([name, pattern]) => name === host && pattern.test(path));
    if (found === undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n');
      return;
    }
    const [, , endpoint] = found;
    const fault = this.#faults.meet({ venue: endpoint.venue, host, path, method: 'GET' });
    if (fault?.type === 'hang') return;
    if (fault !== null) {
      const status = fault.type === 'status' ? fault.status : 503;
      if (fault.type === 'reset') socket.destroy();
      else socket.end(`HTTP/1.1 ${String(status)} No\r\nconnection: close\r\n\r\n`);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (opened) => {
      this.#open(opened, endpoint, url);
    });
  }

  #open(socket: WebSocket, endpoint: Endpoint, url: string): void {
    const named = /(?:streams=|\/ws\/)(?<streams>[^&]+)/u.exec(url)?.groups?.['streams'] ?? '';
    const client: Client = {
      ...endpoint,
      socket,
      isCombined: /\/stream(?:$|\?)/u.test(url),
      streams: new Set(named === '' ? [] : named.split('/')),
    };
    this.#clients.add(client);
    socket.on('error', () => {
      socket.terminate();
    });
    socket.on('close', () => this.#clients.delete(client));
    socket.on('message', (data) => {
      this.#hear(client, (data as Buffer).toString('utf8'));
    });
  }

  #hear(client: Client, text: string): void {
    let message: Readonly<Record<string, unknown>>;
    try {
      message = JSON.parse(text) as Readonly<Record<string, unknown>>;
    } catch {
      client.socket.close(1008, 'Invalid request');
      return;
    }
    if (client.venue === 'binance') this.#hearBinance(client, message);
    else this.#hearBybit(client, message);
  }

  #hearBinance(client: Client, message: Readonly<Record<string, unknown>>): void {
    const { method, params, id } = message;
    for (const stream of textOf(params)) {
      if (method === 'SUBSCRIBE') client.streams.add(stream);
      if (method === 'UNSUBSCRIBE') client.streams.delete(stream);
    }
    const result = method === 'LIST_SUBSCRIPTIONS' ? [...client.streams] : null;
    client.socket.send(JSON.stringify({ result, id }));
  }

  #hearBybit(client: Client, message: Readonly<Record<string, unknown>>): void {
    const { op, args, req_id: request = '' } = message;
    const isPing = op === 'ping';
    const said = { success: true, ret_msg: isPing ? 'pong' : '', conn_id: 'simulated' };
    client.socket.send(JSON.stringify({ ...said, req_id: request, op }));
    for (const topic of textOf(args)) {
      if (op === 'unsubscribe') client.streams.delete(topic);
      if (op !== 'subscribe') continue;
      client.streams.add(topic);
      this.#sendSnapshot(client, topic, false);
    }
  }

  #sendSnapshot(client: Client, topic: string, isNew: boolean): void {
    const venue = this.#world.venue('bybit');
    const id = /^orderbook\.50\.(?<id>.+)$/u.exec(topic)?.groups?.['id'];
    const market = id === undefined ? null : venue.marketById(client.segment, id);
    if (market === null) return;
    const message = bybitSnapshot(market, venue.book(market), this.#world.nowMs(), isNew);
    client.socket.send(JSON.stringify(message.data));
  }

  /** Changes a book, and tells those who listen. */
  tick({ venue: name, symbol, count = 1 }: TickOptions): void {
    const venue = this.#world.venue(name);
    const market = this.#market(name, symbol);
    const book = venue.book(market);
    const write = name === 'binance' ? binanceMessages : bybitMessages;
    for (let done = 0; done < count; done += 1) {
      const tick = book.tick(venue.price(market));
      this.#send(name, market.segment, write(market, tick, book, this.#world.nowMs()));
    }
  }

  #market(name: VenueName, symbol: string): Market {
    const market = this.#world.venue(name).markets.get(symbol);
    if (market === undefined) throw new RangeError(`no market ${symbol} at ${name}`);
    return market;
  }

  #send(name: VenueName, segment: Segment, messages: readonly Message[]): void {
    for (const client of this.#clients) {
      if (client.venue !== name || client.segment !== segment) continue;
      for (const { stream, data } of messages) {
        if (!client.streams.has(stream)) continue;
        client.socket.send(JSON.stringify(client.isCombined ? { stream, data } : data));
      }
    }
  }

  /** Ticks every market that somebody listens to; 0 ends it. */
  pace(everyMs: number): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (everyMs <= 0) return;
    this.#timer = setInterval(() => {
      for (const market of this.#listened()) this.tick(market);
    }, everyMs);
    this.#timer.unref();
  }

  #listened(): readonly TickOptions[] {
    const found = new Map<string, TickOptions>();
    for (const { venue, segment, streams } of this.#clients) {
      for (const market of this.#world.venue(venue).marketsOf(segment)) {
        const id = market.id.toLowerCase();
        const isHeard = [...streams].some((stream) =>
          venue === 'binance' ? stream.startsWith(`${id}@`) : stream.endsWith(`.${market.id}`),
        );
        if (isHeard) found.set(`${venue} ${market.symbol}`, { venue, symbol: market.symbol });
      }
    }
    return [...found.values()];
  }

  disturb({ type, venue: name, symbol }: DisturbOptions): void {
    if (type === 'reset' || symbol === undefined) {
      for (const client of this.#clients) if (client.venue === name) client.socket.terminate();
      return;
    }
    const market = this.#market(name, symbol);
    const book = this.#world.venue(name).book(market);
    // Updates that nobody gets.
    if (type === 'gap') {
      const venue = this.#world.venue(name);
      book.tick(venue.price(market));
      if (name === 'bybit') skipBybit(book, 1);
    } else if (name === 'binance') book.skip(1_000_000);
    else {
      for (const client of this.#clients) {
        const topic = `orderbook.50.${market.id}`;
        const isIt = client.venue === name && client.segment === market.segment;
        if (isIt && client.streams.has(topic)) this.#sendSnapshot(client, topic, true);
      }
    }
  }

  close(): void {
    this.pace(0);
    for (const { socket } of this.#clients) socket.terminate();
    this.#server.close();
  }
}
