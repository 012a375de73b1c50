// The statements of a track record together: which is which by its domain, the bytes that the result key of the epoch signs,
// and the leaf that holds several of them. Every signature names leaf and position, so that one cannot be shown for another.
//
//   leaf       CBOR array of the statements' maps, in the order of their positions: plaintext of a result leaf (kind 7)
//   signed     utf8(domain) ‖ 0x00 ‖ u64 leaf index ‖ u32 position ‖ statement          Ed25519

import type { CborValue } from '../cbor.ts';
import { encodeCbor, parseCbor } from '../cbor.ts';
import type { Fields } from '../fields.ts';
import { parseFields } from '../fields.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { StatementHead } from './head.ts';
import {
  DAY_MS,
  HOUR_MS,
  MAX_TRACK_STATEMENT_BYTES,
  readAligned,
  readHead,
  readSupersedes,
} from './head.ts';
import type { HourFigures } from './figures.ts';
import type { HourStatement } from './hour.ts';
import { encodeHourStatement, HOUR_DOMAIN, parseHourStatement } from './hour.ts';
import type { MetricsStatement } from './metrics.ts';
import { encodeMetricsStatement, METRICS_DOMAIN, parseMetricsStatement } from './metrics.ts';
import type { RevocationStatement } from './revocation.ts';
import {
  encodeRevocationStatement,
  parseRevocationStatement,
  REVOCATION_DOMAIN,
} from './revocation.ts';
import type { SnapshotStatement } from './snapshot.ts';
import { TRACK_DOMAINS } from './signing.ts';
import { encodeSnapshotStatement, parseSnapshotStatement, SNAPSHOT_DOMAIN } from './snapshot.ts';

export { encodeTrackLeaf, TRACK_DOMAINS, trackSignedBytes } from './signing.ts';

/** What a chain consists of. */
export type ChainStatement = HourStatement | SnapshotStatement | RevocationStatement;
export type TrackStatement = ChainStatement | MetricsStatement;
/** What a chain goes by. */
export type ChainPlace =
  | (Pick<HourStatement, 'kind' | 'supersedes' | keyof StatementHead> & {
      readonly figures: Pick<HourFigures, 'startMs'>;
    })
  | Pick<SnapshotStatement, 'kind' | 'supersedes' | 'atMs' | keyof StatementHead>
  | RevocationStatement;

/** Plaintext of one leaf. */
export const MAX_TRACK_LEAF_BYTES: number = 1000 * 1024;
export const MAX_LEAF_STATEMENTS = 4096;
export const TRACK_SIGNATURE_BYTES = 64;

export function encodeTrackStatement(statement: TrackStatement): Uint8Array {
  if (statement.kind === 'hour') return encodeHourStatement(statement);
  if (statement.kind === 'snapshot') return encodeSnapshotStatement(statement);
  if (statement.kind === 'revocation') return encodeRevocationStatement(statement);
  return encodeMetricsStatement(statement);
}

/** The domain that the bytes claim; null when they are no statement of a track record. Nothing else is checked. */
export function trackDomainOf(bytes: Uint8Array): string | null {
  const decoded = parseCbor(bytes, { maxBytes: MAX_TRACK_STATEMENT_BYTES, firstEntries: 1 });
  if (!decoded.ok || !(decoded.value instanceof Map)) return null;
  const domain: unknown = decoded.value.get(1);
  return TRACK_DOMAINS.find((known) => known === domain) ?? null;
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseTrackStatement(bytes: Uint8Array): Result<TrackStatement> {
  const domain = trackDomainOf(bytes);
  if (domain === HOUR_DOMAIN) return parseHourStatement(bytes);
  if (domain === SNAPSHOT_DOMAIN) return parseSnapshotStatement(bytes);
  if (domain === REVOCATION_DOMAIN) return parseRevocationStatement(bytes);
  if (domain === METRICS_DOMAIN) return parseMetricsStatement(bytes);
  return refuse('message_malformed', { message: 'track', field: 1 });
}

/** One that belongs into a chain: refuses a metrics statement as well. */
export function parseChainStatement(bytes: Uint8Array): Result<ChainStatement> {
  const parsed = parseTrackStatement(bytes);
  if (!parsed.ok) return parsed;
  if (parsed.value.kind === 'metrics') {
    return refuse('message_malformed', { message: 'track', field: 1 });
  }
  return { ok: true, value: parsed.value };
}

function readPlace(fields: Fields): ChainPlace {
  const domain = fields.take(1);
  const head = readHead(fields);
  const supersedes = readSupersedes(fields, 8, head.counter);
  if (domain === SNAPSHOT_DOMAIN) {
    return { kind: 'snapshot', ...head, supersedes, atMs: readAligned(fields, 9, DAY_MS) };
  }
  if (domain !== HOUR_DOMAIN) fields.refuse(1);
  const figures = { startMs: readAligned(fields, 9, HOUR_MS) };
  return { kind: 'hour', ...head, supersedes, figures };
}

/**
 * Where a statement stands in its chain, from its first fields alone, for who knows otherwise that the bytes are what was
 * written: what is behind them is not looked at. Refuses `message_malformed` and the codes of CBOR.
 */
export function parseChainPlace(bytes: Uint8Array): Result<ChainPlace> {
  if (trackDomainOf(bytes) === REVOCATION_DOMAIN) return parseRevocationStatement(bytes);
  return parseFields('track', bytes, MAX_TRACK_STATEMENT_BYTES, readPlace, { firstEntries: 9 });
}

/**
 * The bytes of each statement in a leaf's plaintext, by position. Refuses `message_malformed` and the codes of CBOR; each
 * statement is for `parseTrackStatement` to judge.
 */
export function parseTrackLeaf(plaintext: Uint8Array): Result<readonly Uint8Array[]> {
  const decoded = parseCbor(plaintext, { maxBytes: MAX_TRACK_LEAF_BYTES, maxItems: 1_000_000 });
  if (!decoded.ok) return decoded;
  const values = decoded.value;
  if (!Array.isArray(values) || values.length === 0 || values.length > MAX_LEAF_STATEMENTS) {
    return refuse('message_malformed', { message: 'track', field: 0 });
  }
  // The encoding is deterministic, so that what is encoded again is what was there.
  return accept((values as readonly CborValue[]).map((value) => encodeCbor(value)));
}
