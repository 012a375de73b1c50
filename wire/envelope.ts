// Envelopes between a trader's client and the enclave (docs/PROTOCOL.md 12e): what is inside is for the key that the
// attestation names, whoever ends the TLS connection on the way. Pure; the client's half is in client-envelope.ts.
// A hostile envelope is refused with a code; sizes are checked before anything is decoded.
//
//   shared   X25519(ephemeral, enclave key); all zeros (a point of low order) is refused
//   keys     HKDF-SHA256(shared, salt = SHA-256(enclave key ‖ ephemeral key),
//            info = "trackseal/envelope/v1" ‖ 0 ‖ origin ‖ 0 ‖ leaf-0 hash, 64) = request key ‖ answer key
//   request  AES-256-GCM(request key, nonce, plaintext, "request" ‖ 0 ‖ canonical JSON of metadata)
//   answer   AES-256-GCM(answer key, nonce, plaintext, "answer" ‖ 0 ‖ tag of the request)

import { concatBytes, isZero, parseBase64, parseUtf8, toBase64, utf8 } from './bytes.ts';
import type { WireCrypto } from './crypto.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

export const ENVELOPE_VERSION = 1;
export const ENVELOPE_KEY_BYTES = 32;
export const ENVELOPE_NONCE_BYTES = 12;
export const ENVELOPE_TAG_BYTES = 16;
/** A request's JSON: credentials of at most 8 KiB, a hundred symbols, base64. */
export const MAX_ENVELOPE_BYTES: number = 32 * 1024;
/** An answer's JSON: figures of 168 hours and their coverage. */
export const MAX_ANSWER_BYTES: number = 1024 * 1024;
/** metadata.time may be this far from the enclave's clock, both ways. */
export const MAX_ENVELOPE_AGE_MS: number = 5 * 60_000;
const MAX_METADATA_FIELDS = 16;
const MAX_METADATA_ITEMS = 100;
const MAX_METADATA_CHARACTERS = 128;

const ZERO = Uint8Array.of(0);
const INFO = utf8('trackseal/envelope/v1');

export type EnvelopeCrypto = Pick<
  WireCrypto,
  'sha256' | 'hkdfSha256' | 'aes256GcmSeal' | 'aes256GcmOpen'
>;

/** Public settings, bound to the ciphertext: flat, texts of at most 128 characters, safe integers. */
export type MetadataValue = string | number | boolean | null | readonly string[];
export type Metadata = Readonly<Record<string, MetadataValue>>;

/** What both sides know from the attestation: `enclaveKey` is its X25519 key, raw. */
export interface EnvelopeContext {
  readonly enclaveKey: Uint8Array;
  readonly origin: string;
  readonly leafZeroHash: Uint8Array;
}

export interface SealedBox {
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

export interface Envelope extends SealedBox {
  readonly ephemeralKey: Uint8Array;
  readonly metadata: Metadata;
}

/** What is needed to answer a request, or to open the answer. Wipe `key` afterwards. */
export interface AnswerKey {
  readonly key: Uint8Array;
  readonly requestTag: Uint8Array;
}

function compareUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** RFC 8785 for what metadata can hold: no spaces, keys in the order of their UTF-16 units. */
export function canonicalMetadata(metadata: Metadata): string {
  const keys = Object.keys(metadata).toSorted(compareUnits);
  const fields = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
  return `{${fields.join(',')}}`;
}

export function requestData(metadata: Metadata): Uint8Array {
  return concatBytes(utf8('request'), ZERO, utf8(canonicalMetadata(metadata)));
}

export function answerData(requestTag: Uint8Array): Uint8Array {
  return concatBytes(utf8('answer'), ZERO, requestTag);
}

interface Keys {
  readonly requestKey: Uint8Array;
  readonly answerKey: Uint8Array;
}

/** Wipes `shared`. Not every X25519 refuses points of low order by itself: zeros are refused here. */
export function deriveKeys(
  crypto: EnvelopeCrypto,
  shared: Uint8Array | null,
  ephemeralKey: Uint8Array,
  context: EnvelopeContext,
): Result<Keys> {
  if (shared === null || isZero(shared)) return refuse('envelope_key_refused');
  const { enclaveKey, origin, leafZeroHash } = context;
  const salt = crypto.sha256(enclaveKey, ephemeralKey);
  const info = concatBytes(INFO, ZERO, utf8(origin), ZERO, leafZeroHash);
  const keys = crypto.hkdfSha256(shared, salt, info, 2 * ENVELOPE_KEY_BYTES);
  shared.fill(0);
  const requestKey = keys.slice(0, ENVELOPE_KEY_BYTES);
  const answerKey = keys.slice(ENVELOPE_KEY_BYTES);
  keys.fill(0);
  return accept({ requestKey, answerKey });
}

export function sealBox(
  crypto: EnvelopeCrypto,
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  data: Uint8Array,
): SealedBox {
  const sealed = crypto.aes256GcmSeal(key, nonce, plaintext, data);
  const split = sealed.length - ENVELOPE_TAG_BYTES;
  return { nonce, ciphertext: sealed.slice(0, split), tag: sealed.slice(split) };
}

/**
 * The enclave's side; `agree` is X25519 with its private key. Whether the envelope came before, and whether
 * metadata.time is near, is for the caller to check. Refuses `envelope_key_refused`, `envelope_unopened`.
 */
export function openRequest(
  crypto: EnvelopeCrypto,
  agree: (publicKey: Uint8Array) => Uint8Array | null,
  context: EnvelopeContext,
  envelope: Envelope,
): Result<{ readonly plaintext: Uint8Array; readonly answer: AnswerKey }> {
  const { ephemeralKey, nonce, ciphertext, tag, metadata } = envelope;
  const keys = deriveKeys(crypto, agree(ephemeralKey), ephemeralKey, context);
  if (!keys.ok) return keys;
  const { requestKey, answerKey } = keys.value;
  const sealed = concatBytes(ciphertext, tag);
  const plaintext = crypto.aes256GcmOpen(requestKey, nonce, sealed, requestData(metadata));
  requestKey.fill(0);
  if (plaintext === null) {
    answerKey.fill(0);
    return refuse('envelope_unopened');
  }
  return accept({ plaintext, answer: { key: answerKey, requestTag: tag } });
}

/** One answer for a request: the key is used once. */
export function sealAnswer(
  crypto: EnvelopeCrypto,
  { key, requestTag }: AnswerKey,
  nonce: Uint8Array,
  plaintext: Uint8Array,
): SealedBox {
  return sealBox(crypto, key, nonce, plaintext, answerData(requestTag));
}

export function boxFields({ nonce, ciphertext, tag }: SealedBox): Readonly<Record<string, string>> {
  return { nonce: toBase64(nonce), ciphertext: toBase64(ciphertext), tag: toBase64(tag) };
}

/** The JSON body of an answer. */
export function encodeAnswer(box: SealedBox): string {
  return JSON.stringify({ v: ENVELOPE_VERSION, ...boxFields(box) });
}

/** Null unless it is an object of JSON with these keys and no others. */
export function parseObject(
  bytes: Uint8Array,
  keys: readonly string[],
): Readonly<Record<string, unknown>> | null {
  const text = parseUtf8(bytes);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const record = value as Readonly<Record<string, unknown>>;
  const present = Object.keys(record);
  const known = present.length === keys.length && keys.every((key) => present.includes(key));
  return known && record['v'] === ENVELOPE_VERSION ? record : null;
}

function readBase64(value: unknown, minimum: number, maximum: number): Uint8Array | null {
  if (typeof value !== 'string' || value.length > Math.ceil(maximum / 3) * 4) return null;
  const bytes = parseBase64(value);
  return bytes === null || bytes.length < minimum || bytes.length > maximum ? null : bytes;
}

export function readBox(
  record: Readonly<Record<string, unknown>>,
  maximum: number,
): SealedBox | null {
  const nonce = readBase64(record['nonce'], ENVELOPE_NONCE_BYTES, ENVELOPE_NONCE_BYTES);
  const ciphertext = readBase64(record['ciphertext'], 0, maximum);
  const tag = readBase64(record['tag'], ENVELOPE_TAG_BYTES, ENVELOPE_TAG_BYTES);
  if (nonce === null || ciphertext === null || tag === null) return null;
  return { nonce, ciphertext, tag };
}

function isShortText(value: unknown): value is string {
  // A lone surrogate has no UTF-8, so two texts could have one canonical form.
  return (
    typeof value === 'string' && value.length <= MAX_METADATA_CHARACTERS && value.isWellFormed()
  );
}

function isMetadataValue(value: unknown): value is MetadataValue {
  if (Array.isArray(value)) return value.length <= MAX_METADATA_ITEMS && value.every(isShortText);
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0);
  return value === null || typeof value === 'boolean' || isShortText(value);
}

function readMetadata(value: unknown): Metadata | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  if (entries.length > MAX_METADATA_FIELDS) return null;
  const valid = entries.every(([key, one]) => isShortText(key) && isMetadataValue(one));
  return valid ? (value as Metadata) : null;
}

/** Refuses `envelope_malformed`. */
export function parseEnvelope(bytes: Uint8Array): Result<Envelope> {
  if (bytes.length > MAX_ENVELOPE_BYTES) {
    return refuse('envelope_malformed', { bytes: bytes.length, maximum: MAX_ENVELOPE_BYTES });
  }
  const keys = ['v', 'ephemeral_pub', 'nonce', 'ciphertext', 'tag', 'metadata'];
  const record = parseObject(bytes, keys);
  if (record === null) return refuse('envelope_malformed');
  const ephemeralKey = readBase64(record['ephemeral_pub'], ENVELOPE_KEY_BYTES, ENVELOPE_KEY_BYTES);
  const box = readBox(record, MAX_ENVELOPE_BYTES);
  const metadata = readMetadata(record['metadata']);
  if (ephemeralKey === null || box === null || metadata === null) {
    return refuse('envelope_malformed');
  }
  return accept({ ...box, ephemeralKey, metadata });
}
