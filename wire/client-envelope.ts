// The client's half of envelopes (envelope.ts): a request sealed, its answer opened. A hostile answer is refused
// with a code; sizes are checked before anything is decoded.

import { concatBytes, toBase64 } from './bytes.ts';
import type {
  AnswerKey,
  Envelope,
  EnvelopeContext,
  EnvelopeCrypto,
  Metadata,
  SealedBox,
} from './envelope.ts';
import {
  answerData,
  boxFields,
  deriveKeys,
  ENVELOPE_VERSION,
  MAX_ANSWER_BYTES,
  parseObject,
  readBox,
  requestData,
  sealBox,
} from './envelope.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

/**
 * The client's side. `ephemeral` is a fresh X25519 key pair and `nonce` 12 random bytes, both used for this request
 * only; `agree` is X25519 with the ephemeral private key. Refuses `envelope_key_refused`.
 */
export function sealRequest(
  crypto: EnvelopeCrypto,
  ephemeral: {
    readonly publicKey: Uint8Array;
    readonly agree: (publicKey: Uint8Array) => Uint8Array | null;
  },
  nonce: Uint8Array,
  context: EnvelopeContext,
  metadata: Metadata,
  plaintext: Uint8Array,
): Result<{ readonly envelope: Envelope; readonly answer: AnswerKey }> {
  const shared = ephemeral.agree(context.enclaveKey);
  const keys = deriveKeys(crypto, shared, ephemeral.publicKey, context);
  if (!keys.ok) return keys;
  const { requestKey, answerKey } = keys.value;
  const box = sealBox(crypto, requestKey, nonce, plaintext, requestData(metadata));
  requestKey.fill(0);
  const envelope = { ...box, ephemeralKey: ephemeral.publicKey, metadata };
  return accept({ envelope, answer: { key: answerKey, requestTag: box.tag } });
}

/** Refuses `envelope_unopened`: another request's answer, or not the enclave's. */
export function openAnswer(
  crypto: EnvelopeCrypto,
  { key, requestTag }: AnswerKey,
  { nonce, ciphertext, tag }: SealedBox,
): Result<Uint8Array> {
  const sealed = concatBytes(ciphertext, tag);
  const plaintext = crypto.aes256GcmOpen(key, nonce, sealed, answerData(requestTag));
  return plaintext === null ? refuse('envelope_unopened') : accept(plaintext);
}

/** The JSON body of a request. */
export function encodeEnvelope(envelope: Envelope): string {
  const { ephemeralKey, metadata } = envelope;
  return JSON.stringify({
    v: ENVELOPE_VERSION,
    ephemeral_pub: toBase64(ephemeralKey),
    ...boxFields(envelope),
    metadata,
  });
}

/** Refuses `envelope_malformed`. */
export function parseAnswer(bytes: Uint8Array): Result<SealedBox> {
  if (bytes.length > MAX_ANSWER_BYTES) {
    return refuse('envelope_malformed', { bytes: bytes.length, maximum: MAX_ANSWER_BYTES });
  }
  const record = parseObject(bytes, ['v', 'nonce', 'ciphertext', 'tag']);
  const box = record === null ? null : readBox(record, MAX_ANSWER_BYTES);
  return box === null ? refuse('envelope_malformed') : accept(box);
}
