// One GET over the way out, for a book's snapshot: a connection of its own, one deadline, one maximum size. No
// redirect is followed and nothing is inflated. Whoever answers can make it fail, and hold one answer's memory.

import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { SnapshotError } from '../../wire/node/live-stream.ts';
import type { Egress } from '../egress.ts';

/** Binance's deepest, 5,000 levels a side, has 400 KiB. */
const MAX_ANSWER_BYTES: number = 4 * 1024 * 1024;
const DEADLINE_MS = 15_000;
/** After a refusal that does not say how long. */
const LIMITED_MS = 60_000;
/** Not here, or not us: asking more often would not help. */
const FORBIDDEN_MS: number = 10 * 60_000;
/** A venue does not keep us away for longer. */
const MAX_RETRY_MS: number = 60 * 60_000;

function retryAfterMs({ statusCode, headers }: IncomingMessage): number {
  if (statusCode === 403 || statusCode === 451) return FORBIDDEN_MS;
  if (statusCode !== 418 && statusCode !== 429) return 0;
  const text = headers['retry-after'] ?? '';
  return /^\d{1,9}$/u.test(text) ? Math.min(Number(text) * 1000, MAX_RETRY_MS) : LIMITED_MS;
}

async function readWhole(answer: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new SnapshotError(0);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

/** The body of a 200. Rejects with a SnapshotError, an EgressError or the system's error. */
export async function fetchSnapshot(egress: Egress, host: string, path: string): Promise<string> {
  const socket = await egress.connect(host, 443);
  try {
    const call = request({
      path,
      // Encrypted already: to Node it is any connection.
      createConnection: () => socket,
      headers: { host, 'user-agent': 'trackseal', accept: 'application/json' },
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const answered = Promise.withResolvers<IncomingMessage>();
    call.once('response', answered.resolve);
    call.on('error', answered.reject);
    call.end();
    const answer = await answered.promise;
    const encoded = answer.headers['content-encoding'] !== undefined;
    if (answer.statusCode !== 200 || encoded) throw new SnapshotError(retryAfterMs(answer));
    return await readWhole(answer);
  } finally {
    socket.destroy();
  }
}
