// A venue's streams and snapshots on one port, played by a test: it keeps a book of its own per symbol, numbers
// its updates, and can lie, be silent, be slow or break off. Binance's shapes; tests of other venues send texts.

import { createServer as createHttp } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

export interface LiveVenueOptions {
  /** PEM; plain without. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export class LiveVenue {
  readonly port: number;
  /** Open connections, oldest first. */
  readonly sockets: WebSocket[] = [];
  /** Texts of clients. */
  readonly requests: string[] = [];
  /** Paths of WebSocket connections and of snapshots, in order. */
  readonly paths: string[] = [];
  connections = 0;
  pings = 0;
  /** Connections are refused with this status. */
  refuse: number | null = null;
  /** Answers snapshots in place of the book. */
  onSnapshot: ((request: IncomingMessage, answer: ServerResponse) => boolean) | null = null;
  /** Answers requests of clients in place of an acknowledgement. */
  onRequest: ((socket: WebSocket, text: string) => boolean) | null = null;
  readonly #server: Server;
  /** Last update id, per symbol. */
  readonly #ids = new Map<string, number>();
  #trade = 0;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(options: LiveVenueOptions = {}): Promise<LiveVenue> {
    const server = options.tls === undefined ? createHttp() : createHttps({ ...options.tls });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const venue = new LiveVenue(server, (server.address() as AddressInfo).port);
    venue.#serve();
    onTestFinished(() => {
      venue.close();
    });
    return venue;
  }

  close(): void {
    for (const socket of this.sockets) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  send(text: string): void {
    for (const socket of this.sockets) socket.send(text);
  }

  idOf(symbol: string): number {
    return this.#ids.get(symbol) ?? 100;
  }

  /** The next update of a book, or one that says something else. */
  update(symbol: string, change: Readonly<Record<string, unknown>> = {}): void {
    const id = this.idOf(symbol);
    this.#ids.set(symbol, id + 2);
    const data = {
      e: 'depthUpdate',
      E: 1_700_000_000_000,
      s: symbol,
      U: id + 1,
      u: id + 2,
      b: [['100.10', '1.5']],
      a: [['100.20', '0']],
      ...change,
    };
    this.send(JSON.stringify(data));
  }

  trade(symbol: string, price: string): void {
    const t = ++this.#trade;
    this.send(
      JSON.stringify({
        e: 'trade',
        E: 1_700_000_000_000,
        T: 1_700_000_000_000,
        s: symbol,
        t,
        p: price,
        q: '0.25000',
        m: false,
      }),
    );
  }

  #serve(): void {
    this.#server.on('request', (request, answer) => {
      this.#answer(request, answer);
    });
    const streams = new WebSocketServer({ noServer: true });
    this.#server.on('upgrade', (request, socket, head) => {
      this.paths.push(request.url ?? '');
      if (this.refuse !== null) {
        socket.end(`HTTP/1.1 ${this.refuse} No\r\nconnection: close\r\n\r\n`);
        return;
      }
      streams.handleUpgrade(request, socket, head, (opened) => {
        this.connections++;
        this.sockets.push(opened);
        opened.on('error', () => undefined);
        opened.on('close', () => {
          this.sockets.splice(this.sockets.indexOf(opened), 1);
        });
        opened.on('ping', () => {
          this.pings++;
        });
        opened.on('message', (data) => {
          const text = (data as Buffer).toString();
          this.requests.push(text);
          if (this.onRequest?.(opened, text) === true) return;
          const { id } = JSON.parse(text) as { id?: number };
          if (id !== undefined) opened.send(JSON.stringify({ result: null, id }));
        });
      });
    });
  }

  #answer(request: IncomingMessage, answer: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://localhost');
    this.paths.push(request.url ?? '');
    if (this.onSnapshot?.(request, answer) === true) return;
    const lastUpdateId = this.idOf(url.searchParams.get('symbol') ?? '');
    answer.setHeader('content-type', 'application/json');
    answer.end(
      JSON.stringify({ lastUpdateId, bids: [['100.00', '1']], asks: [['100.30', '2.00001']] }),
    );
  }
}

export async function eventually(what: () => boolean, name = 'condition'): Promise<void> {
  const endMs = Date.now() + 45_000;
  while (!what()) {
    if (Date.now() > endMs) throw new Error(`never: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
