// A signed result: its statement counts when the attested key signed it, for this log and this account. The readable form
// is made of the statement here; that of the answer is not looked at.

import { parseBase64, parseHex, toBase64, toHex } from '../wire/bytes.ts';
import { hoursOf, summaryOf } from '../wire/result-summary.ts';
import type { ReadableHour, ResultSummary } from '../wire/result-summary.ts';
import { parseResultStatement, resultSignedBytes } from '../wire/result-statement.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { AttestedEnclave } from './attested.ts';
import type { Fields } from './channel.ts';
import type { Curves } from './curves.ts';
import type { SavedSession } from './registration.ts';

const SALT_BYTES = 16;

/** What `trackseal verify result` takes: JSON.stringify of it is the file. */
export interface ResultEvidence {
  /** Base64. */
  readonly statement: string;
  /** Of the epoch's log. */
  readonly leaf_index: number;
  /** Hex. */
  readonly leaf_salt: string;
  /** Base64, Ed25519. */
  readonly signature: string;
  readonly summary: ResultSummary;
  /** With `metrics`. */
  readonly metrics?: readonly ReadableHour[];
}

export interface VerifiedResult {
  /** Amounts are decimal texts by currency; what is unknown is null; times with `_ns` are decimal texts. */
  readonly summary: ResultSummary;
  /** Up to 168, of `getMetrics`. */
  readonly hours: readonly ReadableHour[];
  readonly leafIndex: number;
  /** To show to others, who verify it against that epoch's attestation. */
  readonly evidence: ResultEvidence;
}

/** Refuses `result_malformed`, `result_signature`, `result_mismatch`. */
export async function verifyResult(
  curves: Curves,
  answer: Fields,
  { enclave, session }: { readonly enclave: AttestedEnclave; readonly session: SavedSession },
): Promise<Result<VerifiedResult>> {
  const bytes = bytesOf(answer['statement']);
  const signature = bytesOf(answer['signature']);
  const salt = answer['leaf_salt'];
  const leafIndex = answer['leaf_index'];
  if (bytes === null || signature === null || !isIndex(leafIndex) || !isSalt(salt)) {
    return refuse('result_malformed');
  }
  const signed = resultSignedBytes(leafIndex, bytes);
  if (!(await curves.verifyEd25519(enclave.resultKey, signed, signature))) {
    return refuse('result_signature');
  }
  const statement = parseResultStatement(bytes);
  if (!statement.ok) return refuse('result_malformed', { ...statement.refusal.detail });
  const { origin, accountCommitment } = statement.value;
  if (origin !== enclave.envelope.origin) return refuse('result_mismatch', { what: 'origin' });
  if (toHex(accountCommitment) !== session.accountCommitment) {
    return refuse('result_mismatch', { what: 'account' });
  }
  const summary = summaryOf(statement.value);
  const hours = hoursOf(statement.value);
  const evidence = {
    statement: toBase64(bytes),
    leaf_index: leafIndex,
    leaf_salt: salt,
    signature: toBase64(signature),
    summary,
    ...('metrics' in answer ? { metrics: hours } : {}),
  };
  return accept({ summary, hours, leafIndex, evidence });
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isSalt(value: unknown): value is string {
  return typeof value === 'string' && parseHex(value)?.length === SALT_BYTES;
}

function bytesOf(value: unknown): Uint8Array | null {
  return typeof value === 'string' ? parseBase64(value) : null;
}
