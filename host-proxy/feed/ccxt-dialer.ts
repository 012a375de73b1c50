// Connections of a live feed, through ccxt: its WebSocket client with its keep-alive, and its HTTPS with its rate
// limits and error classes. What a venue sends is taken as text before ccxt reads it, so that prices stay as the
// venue wrote them and are never floats. Nothing here is trusted by the enclave.

import type { LiveConnection, LiveDialer, LiveHandlers } from '../../wire/node/live-stream.ts';
import { SnapshotError } from '../../wire/node/live-stream.ts';

/** A snapshot of 5,000 levels a side has 400 KiB. */
const MAX_MESSAGE_BYTES: number = 4 * 1024 * 1024;
const DEFAULT_RETRY_MS = 60_000;

/** What is used of ccxt's WebSocket client (base/ws/WsClient.js). */
interface CcxtClient {
  readonly connection: { ping(): void; terminate(): void; readonly readyState: number };
  onMessage: (event: { readonly data: unknown }) => void;
  onPong: () => void;
  lastPong: number;
  connect(delayMs: number): unknown;
  send(text: string): Promise<unknown>;
}

/** What is used of an exchange class of ccxt's. */
export interface CcxtExchange {
  readonly clients: Record<string, CcxtClient>;
  last_response_headers?: Readonly<Record<string, string>>;
  client(url: string): CcxtClient;
  throttle(cost: number): Promise<unknown>;
  fetch(url: string, method: 'GET'): Promise<unknown>;
  parseJson: (text: string) => unknown;
  handleMessage: (client: CcxtClient, message: unknown) => void;
  onConnected: (client: CcxtClient) => void;
  onError: (client: CcxtClient, error: unknown) => void;
  onClose: (client: CcxtClient, event: unknown) => void;
  close(): Promise<unknown>;
}

type CcxtClass = new (options: object) => CcxtExchange;

/** WebSocket's OPEN. */
const OPEN = 1;

/** An exchange of ccxt's WebSocket classes, by its name there. */
export async function openCcxt(name: string): Promise<CcxtExchange> {
  // Not a literal: the types of all of its exchanges would be checked with ours.
  const module = 'ccxt';
  const { pro } = (await import(module)) as { readonly pro: Readonly<Record<string, CcxtClass>> };
  const Exchange = pro[name];
  if (Exchange === undefined) throw new Error(`ccxt has no exchange ${name}`);
  return new Exchange({
    enableRateLimit: true,
    timeout: 10_000,
    options: { ws: { options: { maxPayload: MAX_MESSAGE_BYTES, followRedirects: false } } },
  });
}

export interface CcxtDialerOptions {
  /** wss://… */
  readonly url: string;
  /** https://…, without a path; null where there are no snapshots to ask for. */
  readonly restUrl: string | null;
  /** Of a snapshot, in the units of ccxt's limiter. */
  readonly snapshotCost: number;
}

export class CcxtDialer implements LiveDialer {
  readonly #exchange: CcxtExchange;
  readonly #options: CcxtDialerOptions;
  readonly #handlers = new Map<CcxtClient, { end: () => void; connected: () => void }>();

  constructor(exchange: CcxtExchange, options: CcxtDialerOptions) {
    this.#exchange = exchange;
    this.#options = options;
    // Answers stay text, and messages are read by our parsers only.
    exchange.parseJson = () => undefined;
    exchange.handleMessage = () => undefined;
    exchange.onConnected = (client) => this.#handlers.get(client)?.connected();
    exchange.onError = (client) => this.#handlers.get(client)?.end();
    exchange.onClose = (client) => this.#handlers.get(client)?.end();
  }

  async connect(handlers: LiveHandlers): Promise<LiveConnection> {
    const { url } = this.#options;
    const exchange = this.#exchange;
    Reflect.deleteProperty(exchange.clients, url);
    const client = exchange.client(url);
    const opened = Promise.withResolvers<null>();
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      this.#handlers.delete(client);
      opened.reject(new Error('not connected'));
      handlers.onEnd();
    };
    this.#handlers.set(client, {
      end,
      connected: () => {
        opened.resolve(null);
      },
    });
    client.onMessage = ({ data }) => {
      client.lastPong = Date.now();
      if (typeof data === 'string') handlers.onText(data);
      // None of our venues sends binary messages.
      else end();
    };
    client.onPong = () => {
      client.lastPong = Date.now();
      handlers.onAlive();
    };
    client.connect(0);
    await opened.promise;
    const isOpen = (): boolean => client.connection.readyState === OPEN;
    return {
      send: (text) => {
        if (isOpen()) client.send(text).catch(end);
      },
      ping: () => {
        if (isOpen()) client.connection.ping();
      },
      close: () => {
        end();
        client.connection.terminate();
      },
    };
  }

  async snapshot(path: string): Promise<string> {
    const { restUrl, snapshotCost } = this.#options;
    if (restUrl === null) throw new SnapshotError(DEFAULT_RETRY_MS);
    await this.#exchange.throttle(snapshotCost);
    try {
      const text = await this.#exchange.fetch(`${restUrl}${path}`, 'GET');
      if (typeof text === 'string') return text;
    } catch (error) {
      throw new SnapshotError(this.#retryAfterMs(error));
    }
    throw new SnapshotError(0);
  }

  close(): void {
    for (const { end } of this.#handlers.values()) end();
    void this.#exchange.close().catch(() => undefined);
  }

  /** What the venue wants, when it has had enough; 0 for anything else. */
  #retryAfterMs(error: unknown): number {
    const name = error instanceof Error ? error.constructor.name : '';
    if (name !== 'DDoSProtection' && name !== 'RateLimitExceeded') return 0;
    const seconds = Number(this.#exchange.last_response_headers?.['Retry-After']);
    return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : DEFAULT_RETRY_MS;
  }
}
