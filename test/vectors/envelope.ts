// The values behind test/vectors/envelope.json: one request and its answer from fixed keys, for whoever writes
// another client. `node test/vectors/envelope.ts` writes the file anew.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { EnvelopeContext, Metadata } from '../../wire/envelope.ts';
import { canonicalMetadata, encodeAnswer, sealAnswer } from '../../wire/envelope.ts';
import { encodeEnvelope, sealRequest } from '../../wire/client-envelope.ts';
import { originOf } from '../../wire/header.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { COMPLIANCE } from './wire.ts';

/** Bob of RFC 7748 6.1. */
export const ENCLAVE: { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array } = {
  privateKey: Buffer.from(
    '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
    'hex',
  ),
  publicKey: Buffer.from('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f', 'hex'),
};
/** Bytes 1 to 32 and their public key. */
export const EPHEMERAL: typeof ENCLAVE = COMPLIANCE;

export const CONTEXT: EnvelopeContext = {
  enclaveKey: ENCLAVE.publicKey,
  origin: originOf('trackseal.example/vectors', 7),
  leafZeroHash: Uint8Array.from({ length: 32 }, (_, index) => 0x60 + index),
};
export const METADATA: Metadata = {
  op: 'register',
  time: 1_723_161_254_024,
  exchange: 'kraken',
  label: 'Hauptkonto №1',
  accountType: 'spot',
  sandbox: false,
  allowTrading: false,
  ttl: 86_400,
  symbols: ['BTC/EUR', 'ETH/EUR'],
};
export const PLAINTEXT = '{"userId":"user-1","apiKey":"key of the vector","secret":"secret of it"}';
export const ANSWER = '{"status":"active"}';

const REQUEST_NONCE = Uint8Array.from({ length: 12 }, (_, index) => 0xa0 + index);
const ANSWER_NONCE = Uint8Array.from({ length: 12 }, (_, index) => 0xb0 + index);

/** Name to text: hex for keys and hashes, JSON as it is sent. */
export function envelopeVectors(): Readonly<Record<string, string>> {
  const agree = (publicKey: Uint8Array): Uint8Array | null =>
    nodeCrypto.x25519(EPHEMERAL.privateKey, publicKey);
  const sealed = assertAccepted(
    sealRequest(
      nodeCrypto,
      { publicKey: EPHEMERAL.publicKey, agree },
      REQUEST_NONCE,
      CONTEXT,
      METADATA,
      utf8(PLAINTEXT),
    ),
  );
  const shared = agree(ENCLAVE.publicKey) ?? new Uint8Array();
  const answer = sealAnswer(nodeCrypto, sealed.answer, ANSWER_NONCE, utf8(ANSWER));
  return {
    'enclave private key': toHex(ENCLAVE.privateKey),
    'enclave public key': toHex(ENCLAVE.publicKey),
    'ephemeral private key': toHex(EPHEMERAL.privateKey),
    'ephemeral public key': toHex(EPHEMERAL.publicKey),
    origin: CONTEXT.origin,
    'leaf-0 hash': toHex(CONTEXT.leafZeroHash),
    'shared secret': toHex(shared),
    salt: toHex(nodeCrypto.sha256(ENCLAVE.publicKey, EPHEMERAL.publicKey)),
    'metadata, canonical': canonicalMetadata(METADATA),
    'request plaintext': PLAINTEXT,
    request: encodeEnvelope(sealed.envelope),
    'answer key': toHex(sealed.answer.key),
    'answer plaintext': ANSWER,
    answer: encodeAnswer(answer),
  };
}

if (import.meta.main) {
  const text = `${JSON.stringify(envelopeVectors(), null, 2)}\n`;
  writeFileSync(join(import.meta.dirname, 'envelope.json'), text);
}
