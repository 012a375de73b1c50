// How a test reaches a simulated venue: a fetch for ccxt that dials the simulator's port with the venue's own name
// as SNI and Host, trusting only the simulator's authority.

import { request } from 'node:https';
import { gunzipSync } from 'node:zlib';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
}

function unpacked(bytes: Buffer): Buffer | Error {
  try {
    return gunzipSync(bytes);
  } catch (error) {
    return error instanceof Error ? error : new Error('no gzip');
  }
}

/** Rejects on anything but a whole answer. */
export function ask(exchange: RunningExchange, url: string, asking: Asking = {}): Promise<Answer> {
  const { hostname, pathname, search } = new URL(url);
  const { method = 'GET', headers = {}, body, timeoutMs = 30_000 } = asking;
  return new Promise((resolve, reject) => {
    const out = request({
      host: '127.0.0.1',
      port: exchange.port,
      servername: hostname,
      ca: exchange.ca,
      agent: false,
      method,
      path: `${pathname}${search}`,
      headers: { ...headers, host: hostname },
      signal: AbortSignal.timeout(timeoutMs),
    });
    out.once('error', reject);
    out.once('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('error', reject);
      answer.once('end', () => {
        const raw = Buffer.concat(chunks);
        const isPacked = answer.headers['content-encoding'] === 'gzip';
        const bytes = isPacked ? unpacked(raw) : raw;
        if (bytes instanceof Error) {
          reject(bytes);
          return;
        }
        const pairs = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
        resolve({
          status: answer.statusCode ?? 0,
          headers: Object.fromEntries(pairs) as Readonly<Record<string, string>>,
          body: bytes,
        });
      });
    });
    out.end(body);
  });
}

interface FetchOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeout?: number;
}

/** What ccxt takes as `fetchImplementation`. */
export function fetchFor(
  exchange: RunningExchange,
): (url: string, options: FetchOptions) => unknown {
  return async (url, options) => {
    const { method = 'GET', headers = {}, body } = options;
    const asking: Asking = { method, headers, ...(body === undefined ? {} : { body }) };
    const answer = await ask(exchange, url, asking);
    const text = answer.body.toString('utf8');
    return {
      status: answer.status,
      statusText: '',
      headers: new Headers(answer.headers),
      text: () => Promise.resolve(text),
      arrayBuffer: () => Promise.resolve(answer.body),
    };
  };
}
