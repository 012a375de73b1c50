// Requests of Node, over TLS 1.3. The certificate's names and issuer are not looked at: the key is what the attestation
// names. It is compared after the handshake, which proves that the peer holds it, and before the first byte of a
// request; each request has a connection of its own, without resumed sessions.

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Answer, Ask, Http } from '../http.ts';
import { targetOf } from '../http.ts';

const HTTPS_PORT = 443;

export function nodeHttps(base: URL, timeoutMs: number): Http {
  return async (ask) => {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const socket = await handshake(base, signal);
      try {
        return await askOver(socket, base, ask);
      } finally {
        socket.destroy();
      }
    } catch (error) {
      const what = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      return refuse('source_unreachable', { address: base.host, what });
    }
  };
}

function handshake(base: URL, signal: AbortSignal): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const host = base.hostname.replaceAll(/[[\]]/gu, '');
  const socket = connect({
    host,
    port: base.port === '' ? HTTPS_PORT : Number(base.port),
    // The standard has no names for addresses.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  const giveUp = (): void => {
    socket.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }));
  };
  signal.addEventListener('abort', giveUp);
  socket.once('close', () => {
    signal.removeEventListener('abort', giveUp);
    reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
  });
  socket.on('error', reject);
  socket.once('secureConnect', () => {
    resolve(socket);
  });
  return promise;
}

function keyHashOf(socket: TLSSocket): Uint8Array | null {
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' });
  return spki === undefined ? null : new Uint8Array(createHash('sha256').update(spki).digest());
}

async function askOver(
  socket: TLSSocket,
  base: URL,
  { method, path, body, maxBytes, pin }: Ask,
): Promise<Result<Answer>> {
  const tlsKeyHash = keyHashOf(socket);
  if (pin !== null && (tlsKeyHash === null || !equalBytes(pin, tlsKeyHash))) {
    return refuse('tls_key_mismatch', {
      expected: toHex(pin),
      actual: tlsKeyHash === null ? null : toHex(tlsKeyHash),
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const target = targetOf(base, path);
  const outgoing = request(target, {
    protocol: 'http:',
    createConnection: () => socket,
    method,
    headers: {
      host: target.host,
      connection: 'close',
      ...(body === null
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    },
  });
  outgoing.once('error', reject);
  outgoing.once('response', resolve);
  outgoing.end(body ?? undefined);
  const response = await promise;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) {
      return refuse('message_malformed', { what: 'a larger answer', maximum: maxBytes });
    }
    chunks.push(chunk);
  }
  return accept({
    status: response.statusCode ?? 0,
    body: new Uint8Array(Buffer.concat(chunks)),
    tlsKeyHash,
  });
}
