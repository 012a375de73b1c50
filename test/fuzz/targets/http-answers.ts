// Both ends of a connection in memory, and a plain reading of what a server answers on it.

import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import { expectThat } from '../target.ts';

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/**
 * Sends the pieces, ends our side, and answers all that came back when the connection is over. Each piece
 * is sent when the server had a turn for the one before.
 */
export async function converse(
  serve: (stream: Duplex) => void,
  pieces: readonly Uint8Array[],
): Promise<Buffer> {
  const [server, client] = duplexPair();
  const received: Buffer[] = [];
  const over = new Promise<void>((resolve) => {
    server.once('close', resolve);
  });
  for (const end of [server, client]) end.on('error', () => undefined);
  // As sockets do, and a pair in memory does not.
  server.on('close', () => client.destroy());
  client.on('close', () => server.destroy());
  client.on('data', (chunk: Buffer) => received.push(chunk));
  serve(server);
  for (const piece of pieces) {
    if (client.destroyed) break;
    client.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.end();
  await over;
  return Buffer.concat(received);
}

const HEAD = /^HTTP\/1\.1 ([0-9]{3}) [ -~]*\r\n((?:[!-9;-~]+: [ -~]*\r\n)*)\r\n/u;

const NO_PIECES = '0\r\n\r\n';

/** The answers, one after the other; a last one may be cut off where the server gave the connection up. */
export function readAnswers(received: Buffer): readonly Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < received.length;) {
    const text = received.toString('latin1', at);
    const [head, status, lines = ''] = HEAD.exec(text) ?? [];
    if (head === undefined) {
      expectThat(
        !text.includes('\r\n\r\n'),
        `an answer that is no HTTP: ${JSON.stringify(text.slice(0, 300))}`,
      );
      break;
    }
    const headers = new Map(
      lines
        .split('\r\n')
        .filter((line) => line !== '')
        .map((line): [string, string] => {
          const colon = line.indexOf(': ');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
        }),
    );
    const start = at + head.length;
    // What answers HEAD has a length and no body.
    const empty = received.toString('latin1', start, start + 9) === 'HTTP/1.1 ';
    const length = empty ? 0 : Number(headers.get('content-length') ?? 0);
    const body = received.subarray(start, start + length);
    answers.push({ status: Number(status), headers, body });
    at = start + length;
    // Node's own answers to what it does not take are of no bytes in no pieces.
    if (received.toString('latin1', at, at + NO_PIECES.length) === NO_PIECES)
      at += NO_PIECES.length;
  }
  return answers;
}

/** One to four pieces; where they are cut depends on the bytes only. */
export function piecesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const count = 1 + ((bytes[bytes.length >> 1] ?? 0) % 4);
  const size = Math.max(1, Math.ceil(bytes.length / count));
  return Array.from({ length: count }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}
