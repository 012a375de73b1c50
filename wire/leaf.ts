// Leaves of the log: a public header and a body, public or private (docs/PROTOCOL.md 4). A private body
// opens with the key of that one leaf. Hostile leaves are refused with a code; sizes are checked first.
//
//   {1: version, 2: kind, 3: time ns, 4: stream, 5: label, 6: sequence, 7: causes, 8: digest, 9: body}
//   body [0, salt, plaintext] | [1, sealed] | [2, salt, blob hash, length] | [3, blob hash, length]

import { concatBytes, u64, utf8, writeU32 } from './bytes.ts';
import type { CborValue } from './cbor.ts';
import { encodeCbor, encodeCborHead, encodeMap } from './cbor.ts';
import type { WireCrypto } from './crypto.ts';
import { parseFields } from './fields.ts';
import {
  BLOB_SIZE_CLASSES,
  INLINE_SIZE_CLASSES,
  MAX_BLOB_BYTES,
  MAX_CAUSES,
  MAX_LEAF_BYTES,
} from './limits.ts';
import type { Result } from './result.ts';
import { refuse } from './result.ts';

export const KIND = {
  header: 0,
  attestation: 1,
  input: 2,
  gap: 3,
  exchangeCall: 4,
  output: 5,
  report: 6,
  result: 7,
  anchor: 8,
  heartbeat: 9,
  handOver: 10,
  close: 11,
  seed: 12,
  recovery: 13,
  strategyEvent: 14,
  audit: 15,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];
const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));

export const LABEL = { enclave: 0, host: 1, tls: 2, strategy: 3 } as const;
export type Label = (typeof LABEL)[keyof typeof LABEL];

export const STREAM = {
  enclave: 0,
  lastInput: 999,
  firstStrategy: 1000,
  lastStrategy: 1999,
  reports: 2000,
  /** Of the desk: calls to exchanges, results, the audit trail. */
  exchange: 2001,
  results: 2002,
  audit: 2003,
} as const;

export interface LeafHeader {
  readonly kind: Kind;
  /** Nanoseconds since the Unix epoch, by the enclave's clock. */
  readonly timeNs: bigint;
  readonly stream: number;
  readonly label: Label;
  readonly sequence: number;
  /** Ascending indexes of earlier leaves. */
  readonly causes: readonly number[];
}

export type LeafBody =
  | { readonly form: 'public'; readonly salt: Uint8Array; readonly plaintext: Uint8Array }
  | { readonly form: 'private'; readonly sealed: Uint8Array }
  | {
      readonly form: 'public-blob';
      readonly salt: Uint8Array;
      readonly blobHash: Uint8Array;
      readonly blobBytes: number;
    }
  | { readonly form: 'private-blob'; readonly blobHash: Uint8Array; readonly blobBytes: number };

export interface Leaf extends LeafHeader {
  /** SHA-256(salt ‖ plaintext). */
  readonly digest: Uint8Array;
  readonly body: LeafBody;
}

export interface EncodedLeaf {
  readonly bytes: Uint8Array;
  /** To be stored beside the leaf, when the payload was too large for it. */
  readonly blob: Uint8Array | null;
}

export const SALT_BYTES = 16;
const TAG_BYTES = 16;
export const ZERO_NONCE: Uint8Array = new Uint8Array(12);
const LEAF_VERSION = 1;
/** Room for the header, the digest and the heads of the body. */
const LEAF_OVERHEAD_BYTES = 1024;

/** The associated data of a private body: the leaf without it. */
export function encodeAssociated(header: LeafHeader, digest: Uint8Array): Uint8Array {
  return encodeMap(
    [1, LEAF_VERSION],
    [2, header.kind],
    [3, header.timeNs],
    [4, header.stream],
    [5, header.label],
    [6, header.sequence],
    [7, header.causes],
    [8, digest],
  );
}

/** The leaf from its associated data: a map of eight fields becomes one of nine. */
function withBody(associated: Uint8Array, ...body: readonly Uint8Array[]): Uint8Array {
  return concatBytes(MAP_OF_NINE, associated.subarray(1), BODY_KEY, ...body);
}

const MAP_OF_NINE: Uint8Array = encodeCborHead(5, 9);
const BODY_KEY: Uint8Array = encodeCborHead(0, 9);
/** An array of three that begins with 0, and one of two that begins with 1. */
const PUBLIC_BODY = Uint8Array.of(0x83, 0x00);
const PRIVATE_BODY = Uint8Array.of(0x82, 0x01);

/**
 * What stands before the plaintext of a public leaf, which ends with it: so a large one need not be copied.
 * Null for a plaintext that becomes a blob.
 */
export function encodePublicLeafHead(
  crypto: WireCrypto,
  header: LeafHeader,
  salt: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array | null {
  if (plaintext.length > MAX_LEAF_BYTES - LEAF_OVERHEAD_BYTES) return null;
  return withBody(
    encodeAssociated(header, crypto.sha256(salt, plaintext)),
    PUBLIC_BODY,
    encodeCbor(salt),
    encodeCborHead(2, plaintext.length),
  );
}

/** A leaf that anybody may read. `salt` is 16 random bytes. */
export function encodePublicLeaf(
  crypto: WireCrypto,
  header: LeafHeader,
  salt: Uint8Array,
  plaintext: Uint8Array,
): EncodedLeaf {
  const head = encodePublicLeafHead(crypto, header, salt, plaintext);
  if (head !== null) return { bytes: concatBytes(head, plaintext), blob: null };
  assertBlobSize(plaintext.length);
  const body = encodeCbor([2, salt, crypto.sha256(plaintext), plaintext.length]);
  const associated = encodeAssociated(header, crypto.sha256(salt, plaintext));
  return { bytes: withBody(associated, body), blob: plaintext };
}

/** A leaf that opens with `key` (see `leafKey`) only; the key must not be used for anything else. */
export function sealLeaf(
  crypto: WireCrypto,
  header: LeafHeader,
  salt: Uint8Array,
  plaintext: Uint8Array,
  key: Uint8Array,
): EncodedLeaf {
  const associated = encodeAssociated(header, crypto.sha256(salt, plaintext));
  const padded = pad(salt, plaintext);
  const sealed = crypto.aes256GcmSeal(key, ZERO_NONCE, padded, associated);
  if (INLINE_SIZE_CLASSES.includes(padded.length)) {
    const head = encodeCborHead(2, sealed.length);
    return { bytes: withBody(associated, PRIVATE_BODY, head, sealed), blob: null };
  }
  const body = encodeCbor([3, crypto.sha256(sealed), sealed.length]);
  return { bytes: withBody(associated, body), blob: sealed };
}

function assertBlobSize(bytes: number): void {
  if (bytes > MAX_BLOB_BYTES) throw new RangeError(`payload of ${bytes} bytes exceeds a blob`);
}

/** salt ‖ u32 length ‖ plaintext ‖ zeros, up to a size class. */
export function pad(salt: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const needed = SALT_BYTES + 4 + plaintext.length;
  const size =
    INLINE_SIZE_CLASSES.find((limit) => needed <= limit) ??
    BLOB_SIZE_CLASSES.find((limit) => needed <= limit);
  if (size === undefined)
    throw new RangeError(`payload of ${plaintext.length} bytes exceeds a blob`);
  const padded = new Uint8Array(size);
  padded.set(salt);
  writeU32(padded, SALT_BYTES, plaintext.length);
  padded.set(plaintext, SALT_BYTES + 4);
  return padded;
}

const LEAF_KEY_INFO = utf8('trackseal/leaf-key/v1');

/** The 32-byte key of one private leaf. */
export function leafKey(
  crypto: WireCrypto,
  disclosureKey: Uint8Array,
  origin: string,
  index: number,
): Uint8Array {
  const salt = crypto.sha256(utf8(origin));
  return crypto.hkdfSha256(disclosureKey, salt, concatBytes(LEAF_KEY_INFO, u64(index)), 32);
}

/** Reads a leaf's layout. Whether causes are earlier leaves is for whoever knows the leaf's index. */
export function parseLeaf(bytes: Uint8Array): Result<Leaf> {
  let unknownKind: number | null = null;
  const leaf = parseFields('leaf', bytes, MAX_LEAF_BYTES, (fields): Leaf => {
    fields.uint(1, LEAF_VERSION, LEAF_VERSION);
    const kind = fields.uint(2);
    if (!KINDS.has(kind)) unknownKind = kind;
    const timeNs = fields.uint64(3);
    const stream = fields.uint(4, STREAM.audit);
    const label = fields.uint(5, LABEL.strategy) as Label;
    const sequence = fields.uint(6);
    const causes = fields.uints(7, MAX_CAUSES);
    causes.forEach((cause, at) => {
      if (at > 0 && cause <= (causes[at - 1] ?? 0)) fields.refuse(7);
    });
    const digest = fields.bytes(8, 32);
    const body = parseBody(fields.array(9, 4)) ?? fields.refuse(9);
    return { kind: kind as Kind, timeNs, stream, label, sequence, causes, digest, body };
  });
  if (unknownKind !== null) return refuse('leaf_kind_unknown', { kind: unknownKind });
  if (leaf.ok || leaf.refusal.code !== 'message_malformed') return leaf;
  return refuse('leaf_malformed', leaf.refusal.detail);
}

function parseBody(items: readonly CborValue[]): LeafBody | null {
  const [form, first, second, third] = items;
  if (form === 0 && items.length === 3 && isBytes(first, SALT_BYTES) && isBytes(second)) {
    return { form: 'public', salt: first, plaintext: second };
  }
  if (form === 1 && items.length === 2 && isBytes(first)) {
    if (!INLINE_SIZE_CLASSES.includes(first.length - TAG_BYTES)) return null;
    return { form: 'private', sealed: first };
  }
  if (form === 2 && items.length === 4 && isBytes(first, SALT_BYTES) && isBytes(second, 32)) {
    if (!isBlobSize(third)) return null;
    return { form: 'public-blob', salt: first, blobHash: second, blobBytes: third };
  }
  if (form === 3 && items.length === 3 && isBytes(first, 32) && isBlobSize(second)) {
    if (!BLOB_SIZE_CLASSES.includes(second - TAG_BYTES)) return null;
    return { form: 'private-blob', blobHash: first, blobBytes: second };
  }
  return null;
}

function isBytes(value: CborValue | undefined, length?: number): value is Uint8Array {
  return value instanceof Uint8Array && (length === undefined || value.length === length);
}

function isBlobSize(value: CborValue | undefined): value is number {
  return typeof value === 'number' && value > 0 && value <= MAX_BLOB_BYTES;
}
