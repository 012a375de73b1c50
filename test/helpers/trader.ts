// A trader's side of an envelope, for tests: seals a request for a desk, sends it, and opens the answer with what the
// request itself left behind.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import type { RequestOptions } from 'node:https';
import { utf8 } from '../../wire/bytes.ts';
import type { AnswerKey, Metadata } from '../../wire/envelope.ts';
import {
  encodeEnvelope,
  openAnswer,
  parseAnswer,
  sealRequest,
} from '../../wire/client-envelope.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Asker = (
  path: string,
  options?: RequestOptions & { readonly body?: string | Buffer },
) => Promise<HttpAnswer>;

/** Asks a server at a port of this machine, on a connection of its own unless an agent says otherwise. */
export function askPort(port: number): Asker {
  return (path, { body, ...options } = {}) =>
    new Promise((resolve, reject) => {
      const sent = request(
        { agent: false, host: '127.0.0.1', port, path, rejectUnauthorized: false, ...options },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('error', reject);
          answer.on('end', () => {
            const { statusCode: status = 0, headers } = answer;
            resolve({ status, headers, body: Buffer.concat(chunks) });
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
}

export interface SealedCall {
  readonly body: string;
  readonly answer: AnswerKey;
}

function rawKey(text: string | undefined): Uint8Array {
  return Buffer.from(text ?? '', 'base64url');
}

/** What a client takes from the attestation. */
export interface Addressee {
  readonly keys: { readonly x25519: { readonly publicKey: Uint8Array } };
  readonly origin: string;
  readonly leafZeroHash: Uint8Array;
}

/** `plaintext` is made JSON unless it is a text already. */
export function sealFor(
  services: Addressee,
  metadata: Metadata,
  plaintext: object | string,
): SealedCall {
  const { privateKey } = generateKeyPairSync('x25519');
  const jwk = privateKey.export({ format: 'jwk' });
  const ephemeral = {
    publicKey: rawKey(jwk.x),
    agree: (key: Uint8Array) => nodeCrypto.x25519(rawKey(jwk.d), key),
  };
  const { keys, origin, leafZeroHash } = services;
  const context = { enclaveKey: keys.x25519.publicKey, origin, leafZeroHash };
  const text = typeof plaintext === 'string' ? plaintext : JSON.stringify(plaintext);
  const nonce = randomBytes(12);
  const sealed = assertAccepted(
    sealRequest(nodeCrypto, ephemeral, nonce, context, metadata, utf8(text)),
  );
  return { body: encodeEnvelope(sealed.envelope), answer: sealed.answer };
}

export function openSealed(call: SealedCall, body: Uint8Array): Record<string, unknown> {
  const box = assertAccepted(parseAnswer(body));
  const plaintext = assertAccepted(openAnswer(nodeCrypto, call.answer, box));
  return JSON.parse(Buffer.from(plaintext).toString('utf8')) as Record<string, unknown>;
}

export const JSON_TYPE: Readonly<Record<string, string>> = { 'content-type': 'application/json' };

export interface Opened {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** What was inside of the answer. */
  readonly inside: Record<string, unknown>;
}

/** Posts a sealed call and opens its answer. */
export async function post(ask: Asker, path: string, call: SealedCall): Promise<Opened> {
  const answer = await ask(path, { method: 'POST', headers: JSON_TYPE, body: call.body });
  const { status, headers, body } = answer;
  return { status, headers, inside: openSealed(call, body) };
}
