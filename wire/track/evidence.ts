// A track record as a file: signed statements with the places of their leaves, and attestation documents of the epochs that
// signed them. JSON, so that what an answer of the API says can be put into one without a tool. Hostile until signatures
// and chain are verified: sizes are checked before anything is decoded, and unknown fields are refused.
//
//   {"v": 1, "statements": [{"statement": base64, "signature": base64, "origin", "leaf_index", "position", "leaf_salt": hex}],
//    "attestations": [base64]}

import { parseBase64, parseHex, parseUtf8, toBase64, toHex } from '../bytes.ts';
import { SALT_BYTES } from '../leaf.ts';
import { MAX_DOCUMENT_BYTES, MAX_ORIGIN_CHARACTERS } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { MAX_TRACK_STATEMENT_BYTES } from './head.ts';
import { MAX_LEAF_STATEMENTS, TRACK_SIGNATURE_BYTES } from './statement.ts';

/** Ten years of hours and days, and as many corrections. */
export const MAX_EVIDENCE_STATEMENTS = 200_000;
export const MAX_EVIDENCE_ATTESTATIONS = 10_000;
export const MAX_EVIDENCE_BYTES: number = 512 * 1024 * 1024;

/** One statement with its signature, as it is stored, served and exported. */
export interface SignedStatement {
  /** As signed: deterministic CBOR of wire/track/. */
  readonly statement: Uint8Array;
  /** Ed25519 by the result key of the epoch, 64 bytes. */
  readonly signature: Uint8Array;
  /** Of the epoch whose log has the leaf; the statement says the same. */
  readonly origin: string;
  readonly leafIndex: number;
  /** Of the statement among those of its leaf. */
  readonly position: number;
  /** Opens the digest of the leaf, 16 bytes. */
  readonly leafSalt: Uint8Array;
}

export interface TrackEvidence {
  readonly statements: readonly SignedStatement[];
  /** Attestation documents, CBOR, of purpose boot or challenge. */
  readonly attestations: readonly Uint8Array[];
}

/** The JSON of one statement; also what the API answers. */
export interface SignedStatementJson {
  readonly statement: string;
  readonly signature: string;
  readonly origin: string;
  readonly leaf_index: number;
  readonly position: number;
  readonly leaf_salt: string;
}

export function signedStatementToJson(signed: SignedStatement): SignedStatementJson {
  return {
    statement: toBase64(signed.statement),
    signature: toBase64(signed.signature),
    origin: signed.origin,
    leaf_index: signed.leafIndex,
    position: signed.position,
    leaf_salt: toHex(signed.leafSalt),
  };
}

/** Text of the file, UTF-8. */
export function encodeTrackEvidence({ statements, attestations }: TrackEvidence): string {
  return JSON.stringify({
    v: 1,
    statements: statements.map(signedStatementToJson),
    attestations: attestations.map((document) => toBase64(document)),
  });
}

function isRecord(value: unknown, keys: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const there = Object.keys(value);
  return there.length === keys.length && keys.every((key) => Object.hasOwn(value, key));
}

function base64(value: unknown, minimum: number, maximum: number): Uint8Array | null {
  if (typeof value !== 'string' || value.length > Math.ceil(maximum / 3) * 4) return null;
  const bytes = parseBase64(value);
  return bytes === null || bytes.length < minimum || bytes.length > maximum ? null : bytes;
}

function uint(value: unknown, maximum: number): number | null {
  const isUint = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return isUint && value <= maximum ? value : null;
}

const KEYS = ['statement', 'signature', 'origin', 'leaf_index', 'position', 'leaf_salt'];

/** Null for anything that is not of the one form. */
export function parseSignedStatement(value: unknown): SignedStatement | null {
  if (!isRecord(value, KEYS)) return null;
  const { origin } = value;
  const statement = base64(value['statement'], 1, MAX_TRACK_STATEMENT_BYTES);
  const signature = base64(value['signature'], TRACK_SIGNATURE_BYTES, TRACK_SIGNATURE_BYTES);
  const salt = value['leaf_salt'];
  const leafSalt = typeof salt === 'string' ? parseHex(salt) : null;
  const leafIndex = uint(value['leaf_index'], Number.MAX_SAFE_INTEGER);
  const position = uint(value['position'], MAX_LEAF_STATEMENTS - 1);
  if (typeof origin !== 'string' || origin.length > MAX_ORIGIN_CHARACTERS) return null;
  if (statement === null || signature === null || leafIndex === null || position === null) {
    return null;
  }
  if (leafSalt?.length !== SALT_BYTES) return null;
  return { statement, signature, origin, leafIndex, position, leafSalt };
}

/** Refuses `record_malformed`. Nothing of what is read has been verified. */
export function parseTrackEvidence(bytes: Uint8Array): Result<TrackEvidence> {
  if (bytes.length > MAX_EVIDENCE_BYTES) return refuse('record_malformed', { what: 'size' });
  const text = parseUtf8(bytes);
  if (text === null) return refuse('record_malformed', { what: 'UTF-8' });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('record_malformed', { what: 'JSON' });
  }
  if (!isRecord(value, ['v', 'statements', 'attestations']) || value['v'] !== 1) {
    return refuse('record_malformed', { what: 'JSON' });
  }
  const statements = listOf(value['statements'], MAX_EVIDENCE_STATEMENTS, parseSignedStatement);
  const attestations = listOf(value['attestations'], MAX_EVIDENCE_ATTESTATIONS, (item) =>
    base64(item, 1, MAX_DOCUMENT_BYTES),
  );
  if (statements === null) return refuse('record_malformed', { what: 'statements' });
  if (attestations === null) return refuse('record_malformed', { what: 'attestations' });
  return accept({ statements, attestations });
}

function listOf<T>(
  value: unknown,
  maximum: number,
  read: (item: unknown) => T | null,
): readonly T[] | null {
  if (!Array.isArray(value) || value.length > maximum) return null;
  const list: T[] = [];
  for (const item of value as readonly unknown[]) {
    const one = read(item);
    if (one === null) return null;
    list.push(one);
  }
  return list;
}
