// Asks the enclave's HTTPS beside the clients, over the host's own transport: for commands that show or check what the
// enclave shows. Whatever answers is believed as little as the host's other words: proof comes from `trackseal attest`.

import type { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { PORT } from '../wire/messages.ts';
import { SlicedStream } from '../wire/node/sliced-stream.ts';
import type { Transport } from '../wire/node/transport.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export interface EnclaveAnswer {
  readonly status: number;
  readonly body: string;
  /** That the connection showed. */
  readonly certificate: X509Certificate;
}

/** One GET on a connection of its own. Refuses `source_unreachable`. */
export async function askEnclave(
  transport: Transport,
  path: string,
): Promise<Result<EnclaveAnswer>> {
  let socket: TLSSocket;
  try {
    const stream = new SlicedStream(await transport.connect(PORT.https), { allowHalfOpen: true });
    socket = connect({ socket: stream, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  } catch {
    return refuse('source_unreachable', { what: 'no enclave listens' });
  }
  const timer = setTimeout(() => socket.destroy(), TIMEOUT_MS);
  try {
    return await ask(socket, path);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function ask(socket: TLSSocket, path: string): Promise<Result<EnclaveAnswer>> {
  const { promise, resolve } = Promise.withResolvers<Result<EnclaveAnswer>>();
  const chunks: Buffer[] = [];
  let length = 0;
  socket.on('error', () => undefined);
  socket.once('close', () => {
    resolve(refuse('source_unreachable', { what: 'the connection broke off' }));
  });
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) socket.destroy();
  });
  socket.once('end', () => {
    const certificate = socket.getPeerX509Certificate();
    const [head = '', ...rest] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /u.exec(head)?.[1] ?? 0);
    if (certificate === undefined || status === 0) return;
    resolve(accept({ status, body: rest.join('\r\n\r\n'), certificate }));
  });
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  return promise;
}
