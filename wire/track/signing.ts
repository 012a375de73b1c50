// What signs statements of a track record looks at, and no more: the domain, whose record it is, and the bytes that are
// signed (statement.ts). A desk signs for a process that it does not trust, so it never reads a figure.

import { concatBytes, u64, utf8, writeU32 } from '../bytes.ts';
import { encodeCborHead, parseCbor } from '../cbor.ts';

export const HOUR_DOMAIN = 'trackseal/hour/v1';
export const SNAPSHOT_DOMAIN = 'trackseal/snapshot/v1';
export const REVOCATION_DOMAIN = 'trackseal/revocation/v1';
export const METRICS_DOMAIN = 'trackseal/metrics/v1';
export const TRACK_DOMAINS: readonly string[] = [
  HOUR_DOMAIN,
  SNAPSHOT_DOMAIN,
  REVOCATION_DOMAIN,
  METRICS_DOMAIN,
];
/** An hour of an account with 256 flows and 128 polls takes 45 KiB. */
export const MAX_TRACK_STATEMENT_BYTES: number = 64 * 1024;
/** Of a chain of which statements were lost: a century of hours and of days. */
export const MAX_LOST_COUNTER = 1_000_000;

export interface TrackSubject {
  readonly domain: string;
  readonly origin: string;
  readonly accountCommitment: Uint8Array;
  /** Its place in the chain of the account; null for one that has none (metrics). */
  readonly counter: number | null;
  /** A revocation that names nothing that was lost: the chain ends with it. */
  readonly isEnd: boolean;
}

/** Fields 1 to 3, 6, and 8 of a revocation; null when the bytes are no statement of a track record. */
export function trackSubjectOf(bytes: Uint8Array): TrackSubject | null {
  const decoded = parseCbor(bytes, { maxBytes: MAX_TRACK_STATEMENT_BYTES });
  if (!decoded.ok || !(decoded.value instanceof Map)) return null;
  const [named, origin, accountCommitment, sixth, eighth]: unknown[] = [1, 2, 3, 6, 8].map(
    (field) => (decoded.value as ReadonlyMap<unknown, unknown>).get(field),
  );
  const domain = TRACK_DOMAINS.find((known) => known === named);
  if (domain === undefined || typeof origin !== 'string') return null;
  if (!(accountCommitment instanceof Uint8Array)) return null;
  const counter = domain !== METRICS_DOMAIN && typeof sixth === 'number' ? sixth : null;
  const isEnd = domain === REVOCATION_DOMAIN && !Array.isArray(eighth);
  return { domain, origin, accountCommitment, counter, isEnd };
}

/** `domain` is the one in the statement. */
export function trackSignedBytes(
  domain: string,
  leafIndex: number,
  position: number,
  statement: Uint8Array,
): Uint8Array {
  const place = new Uint8Array(4);
  writeU32(place, 0, position);
  return concatBytes(utf8(domain), Uint8Array.of(0), u64(leafIndex), place, statement);
}

/** Plaintext of a leaf; the caller keeps it within MAX_TRACK_LEAF_BYTES. */
export function encodeTrackLeaf(statements: readonly Uint8Array[]): Uint8Array {
  return concatBytes(encodeCborHead(4, statements.length), ...statements);
}
