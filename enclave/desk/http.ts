// One HTTP/1.1 request to a measured host, over pooled connections of the way out. The answer is streamed to whoever
// asked, as fast as they take it, within caps on headers, bytes and inflated bytes and deadlines for connection,
// first byte, silence and the whole. Redirects are answers, never followed. Server and host can make a request fail.

import { createHash, X509Certificate } from 'node:crypto';
import type { Agent } from 'node:https';
import { request as startRequest } from 'node:https';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { Egress } from '../egress.ts';
import { EgressError } from '../egress.ts';
import { EgressAgent } from '../egress-agent.ts';
import type { ErrorClass } from '../connector/classes.ts';
import { MAX_ANSWER_BYTES } from '../connector/protocol.ts';

export interface HttpLimits {
  readonly connectionsPerHost: number;
  readonly connections: number;
  /** Connections that wait for their next request. */
  readonly idleMs: number;
  /** From the request to the head of the answer, dial and handshake included. */
  readonly firstByteMs: number;
  /** Between two pieces of a body. */
  readonly silenceMs: number;
  readonly totalMs: number;
  /** As they come from the wire, and inflated. */
  readonly maxBodyBytes: number;
  readonly maxInflatedBytes: number;
}

export const HTTP_LIMITS: HttpLimits = {
  connectionsPerHost: 16,
  connections: 64,
  idleMs: 20_000,
  firstByteMs: 15_000,
  silenceMs: 10_000,
  totalMs: 45_000,
  maxBodyBytes: 8 * 1024 * 1024,
  maxInflatedBytes: MAX_ANSWER_BYTES,
};

const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADERS = 64;
const ENCODINGS = 'gzip, deflate, br';
/** Of a client that could desynchronise the connection, or that are ours to say. */
const OWN_HEADERS = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export interface HttpRequest {
  readonly method: string;
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly target: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array | null;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names; repeated ones are joined. Without those of the transfer. */
  readonly headers: ReadonlyMap<string, string>;
  /** Of the server's certificate. */
  readonly spkiHash: Uint8Array;
  /** Inflated. Throws an HttpError. Ends the connection when it is left early. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What became of a call that has no whole answer. */
export class HttpError extends Error {
  readonly errorClass: ErrorClass;
  /** Null: no connection came about. */
  readonly spkiHash: Uint8Array | null;
  /** Null: there was no head. */
  readonly status: number | null;

  constructor(
    errorClass: ErrorClass,
    spkiHash: Uint8Array | null = null,
    status: number | null = null,
  ) {
    super(errorClass);
    this.errorClass = errorClass;
    this.spkiHash = spkiHash;
    this.status = status;
  }
}

/** False for what has no place in a head: a line's end, a character beyond Latin-1. Node throws at these. */
export function areHeaders(headers: ReadonlyMap<string, string>): boolean {
  try {
    for (const [name, value] of headers) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
    return true;
  } catch {
    return false;
  }
}

/** What polling needs of HTTP, so that it can be tested without. */
export interface HttpClient {
  /** Rejects with an HttpError. */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

/** Node's agent counts a connection only when it is open, and ours take a while: places are given here. */
class Places {
  readonly #perHost: number;
  readonly #total: number;
  readonly #taken = new Map<string, number>();
  #inAll = 0;
  #waiting: { readonly host: string; readonly go: () => void }[] = [];

  constructor({ connectionsPerHost, connections }: HttpLimits) {
    this.#perHost = connectionsPerHost;
    this.#total = connections;
  }

  /** Resolves when there is a place, or rejects with the signal. */
  async take(host: string, signal: AbortSignal): Promise<void> {
    if (this.#tryTake(host)) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const waiter = { host, go: () => resolve(undefined) };
    this.#waiting.push(waiter);
    await within(promise, Number.POSITIVE_INFINITY, signal).catch((error: unknown) => {
      const at = this.#waiting.indexOf(waiter);
      // Given and given up at the same time.
      if (at < 0) this.give(host);
      else this.#waiting.splice(at, 1);
      throw error;
    });
  }

  give(host: string): void {
    this.#inAll--;
    this.#taken.set(host, (this.#taken.get(host) ?? 1) - 1);
    const at = this.#waiting.findIndex((waiter) => this.#tryTake(waiter.host));
    if (at >= 0) this.#waiting.splice(at, 1)[0]?.go();
  }

  #tryTake(host: string): boolean {
    const taken = this.#taken.get(host) ?? 0;
    if (this.#inAll >= this.#total || taken >= this.#perHost) return false;
    this.#inAll++;
    this.#taken.set(host, taken + 1);
    return true;
  }
}

const spkiHashes = new WeakMap<Duplex, Uint8Array>();

function spkiHashOf(socket: Duplex | null): Uint8Array | null {
  if (!(socket instanceof TLSSocket)) return null;
  const known = spkiHashes.get(socket);
  if (known !== undefined) return known;
  const certificate = socket.getPeerX509Certificate();
  if (!(certificate instanceof X509Certificate)) return null;
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  const hash = new Uint8Array(createHash('sha256').update(spki).digest());
  spkiHashes.set(socket, hash);
  return hash;
}

function classOf(error: unknown): ErrorClass {
  if (error instanceof HttpError) return error.errorClass;
  if (error instanceof EgressError) {
    if (error.code === 'tls_untrusted') return 'tls_untrusted';
    return error.code === 'host_not_measured' ? 'host_not_allowed' : 'network';
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'HPE_HEADER_OVERFLOW') return 'too_large';
  // Of the parser of heads, zlib and brotli: what came is not what it says it is. The rest is cut or gone.
  return /^(?:HPE_|Z_DATA|ERR_(?!STREAM))/u.test(code) ? 'bad_response' : 'network';
}

function headersOf(message: IncomingMessage): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(message.headers)) {
    if (headers.size >= MAX_HEADERS) break;
    const text = Array.isArray(value) ? value.join(', ') : value;
    const ours = OWN_HEADERS.has(name) || name === 'content-encoding' || name === 'set-cookie';
    if (text !== undefined && text.length <= 4096 && name.length <= 128 && !ours) {
      headers.set(name, text);
    }
  }
  return headers;
}

type Inflater = Duplex & { readonly bytesWritten: number };

/** Null for a body as it is. */
function inflaterFor(message: IncomingMessage): Inflater | null {
  const encoding = message.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity') return null;
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip();
  if (encoding === 'deflate') return createInflate();
  if (encoding === 'br') return createBrotliDecompress();
  throw new HttpError('bad_response');
}

/** Rejects when `work` has not settled after `ms`, or when the signal is given. */
async function within<T>(work: Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const give = (): void => {
    reject(new HttpError('timeout'));
  };
  const timer = Number.isFinite(ms) ? setTimeout(give, ms) : undefined;
  signal.addEventListener('abort', give);
  if (signal.aborted) give();
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', give);
  }
}

export class Http implements HttpClient {
  readonly #agent: Agent;
  readonly #limits: HttpLimits;
  readonly #places: Places;
  readonly counters = { http_requests: 0, http_reused: 0, http_failed: 0 };

  constructor(egress: Egress, limits: HttpLimits = HTTP_LIMITS) {
    this.#agent = new EgressAgent(egress, {
      keepAlive: true,
      maxFreeSockets: limits.connectionsPerHost,
      timeout: limits.idleMs,
      scheduling: 'lifo',
    });
    this.#limits = limits;
    this.#places = new Places(limits);
  }

  async send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    this.counters.http_requests++;
    const { firstByteMs, totalMs } = this.#limits;
    const whole = AbortSignal.any([signal, AbortSignal.timeout(totalMs)]);
    await this.#places.take(request.host, whole);
    const started = this.#start(request);
    // Then the connection is free for the next one, or gone.
    started.on('close', () => {
      queueMicrotask(() => {
        this.#places.give(request.host);
      });
    });
    try {
      const message = await within(headOf(started), firstByteMs, whole);
      if (started.reusedSocket) this.counters.http_reused++;
      const spkiHash = spkiHashOf(started.socket);
      if (spkiHash === null) throw new HttpError('tls_untrusted');
      const status = message.statusCode ?? 0;
      // Where it leads is nobody's business, and nobody goes there.
      if (status >= 300 && status < 400) throw new HttpError('redirected', spkiHash, status);
      const body = this.#read(message, spkiHash, whole);
      return { status, headers: headersOf(message), spkiHash, body };
    } catch (error) {
      this.counters.http_failed++;
      const spkiHash = spkiHashOf(started.socket);
      started.destroy();
      const status = error instanceof HttpError ? error.status : null;
      throw new HttpError(classOf(error), spkiHash, status);
    }
  }

  /** Ends all connections. */
  close(): void {
    this.#agent.destroy();
  }

  #start({ method, host, port, target, headers, body }: HttpRequest): ClientRequest {
    const sent: Record<string, string | number> = { 'accept-encoding': ENCODINGS };
    for (const [name, value] of headers) {
      if (!OWN_HEADERS.has(name.toLowerCase())) sent[name] = value;
    }
    if (body !== null || method !== 'GET') sent['content-length'] = body?.length ?? 0;
    const started = startRequest({
      agent: this.#agent,
      host,
      port,
      method,
      path: target,
      headers: sent,
      maxHeaderSize: MAX_HEADER_BYTES,
    });
    started.on('error', () => undefined);
    started.end(body ?? undefined);
    return started;
  }

  async *#read(
    message: IncomingMessage,
    spkiHash: Uint8Array,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { silenceMs, maxBodyBytes, maxInflatedBytes } = this.#limits;
    const fail = (errorClass: ErrorClass): never => {
      throw new HttpError(errorClass, spkiHash);
    };
    try {
      const inflater = inflaterFor(message);
      // Errors of the message come out of the iterator of the inflater.
      const source = inflater === null ? message : pipeline(message, inflater, () => undefined);
      const chunks = (source as Readable)[Symbol.asyncIterator]();
      let inflated = 0;
      for (;;) {
        // Only while we wait for the peer: who takes the body slowly is bounded by the whole.
        const next = await within(chunks.next(), silenceMs, signal);
        const chunk = next.done === true ? null : (next.value as Uint8Array);
        inflated += chunk?.length ?? 0;
        const received = inflater?.bytesWritten ?? inflated;
        if (inflated > maxInflatedBytes || received > maxBodyBytes) fail('too_large');
        if (chunk === null) break;
        yield chunk;
      }
      if (!message.complete) fail('network');
    } catch (error) {
      this.counters.http_failed++;
      throw new HttpError(classOf(error), spkiHash);
    } finally {
      // A connection with an answer that was read to its end is used again.
      if (!message.complete) message.destroy();
    }
  }
}

function headOf(started: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    started.on('error', reject);
    started.on('response', resolve);
    started.on('upgrade', (_, socket) => {
      // Node gives it away, and nobody else would end it.
      socket.destroy();
      reject(new HttpError('bad_response'));
    });
    started.on('close', () => {
      reject(new HttpError('network'));
    });
  });
}
