// One challenge to an enclave over HTTPS: a nonce goes out, a document and the connection's own public
// key come back, both from the same socket. The certificate's names and issuer are not looked at: what
// makes the key trustworthy is that the document names its hash. The host in between can see nothing and
// change nothing; all it can do is not answer. Sizes and times are bounded.

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { TLSSocket } from 'node:tls';
import { toHex } from '../wire/bytes.ts';
import { MAX_DOCUMENT_BYTES } from '../wire/limits.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

export interface Answer {
  readonly document: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo that this TLS connection ended at. */
  readonly tlsKeyHash: Uint8Array;
}

/** The base address, for example https://host:3000; `/attestation` is appended to its path. */
export function attestationUrl(base: string, nonce: Uint8Array): URL | null {
  const url = URL.parse(base);
  if (url?.protocol !== 'https:' || url.search !== '' || url.hash !== '') return null;
  url.pathname = `${url.pathname.replace(/\/$/u, '')}/attestation`;
  url.searchParams.set('nonce', toHex(nonce));
  return url;
}

/** Resolves always; `source_unreachable` covers refused connections, timeouts and broken answers. */
export function challenge(url: URL, timeoutMs: number): Promise<Result<Answer>> {
  return new Promise((resolve) => {
    const fail = (what: string): void => {
      resolve(refuse('source_unreachable', { address: url.host, what }));
    };
    const outgoing = request(url, {
      // A connection of its own: no reuse, no resumed session, so the handshake proves this key now.
      agent: false,
      minVersion: 'TLSv1.3',
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      headers: { accept: 'application/cbor' },
      signal: AbortSignal.timeout(timeoutMs),
    });
    outgoing.once('error', (error) => {
      fail('code' in error ? String(error.code) : error.name);
    });
    outgoing.once('response', (response) => {
      const tlsKeyHash = peerKeyHash(response);
      if (tlsKeyHash === null) {
        response.destroy();
        fail('no TLS key');
        return;
      }
      readBody(response).then(
        (body) => {
          resolve(judgeResponse(url, response.statusCode ?? 0, body, tlsKeyHash));
        },
        () => {
          fail('the answer broke off');
        },
      );
    });
    outgoing.end();
  });
}

function peerKeyHash(response: IncomingMessage): Uint8Array | null {
  if (!(response.socket instanceof TLSSocket)) return null;
  const certificate = response.socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  return new Uint8Array(createHash('sha256').update(spki).digest());
}

/** Null when it is larger than a document may be. */
async function readBody(response: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) return null;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function judgeResponse(
  url: URL,
  status: number,
  body: Uint8Array | null,
  tlsKeyHash: Uint8Array,
): Result<Answer> {
  if (body === null) return refuse('document_too_large', { maximum: MAX_DOCUMENT_BYTES });
  if (status === 200) return accept({ document: body, tlsKeyHash });
  return refuse(errorCode(body) ?? 'source_unreachable', { address: url.host, status });
}

const ENCLAVE_ERRORS = ['rate_limited', 'not_ready', 'nonce_invalid', 'not_found'] as const;

/** The enclave's errors are JSON {"error": code}; anything else is not repeated. */
function errorCode(body: Uint8Array): (typeof ENCLAVE_ERRORS)[number] | null {
  try {
    const json: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    const error = typeof json === 'object' && json !== null && 'error' in json ? json.error : null;
    return ENCLAVE_ERRORS.find((code) => code === error) ?? null;
  } catch {
    return null;
  }
}
