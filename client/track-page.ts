// A page of a track record as the enclave answers it. It came sealed by the attested enclave, and is checked like anything
// else: a page that does not go on would keep a client asking for ever.

import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { SignedStatement } from '../wire/track/evidence.ts';
import { parseSignedStatement } from '../wire/track/evidence.ts';

const MAX_PAGE_STATEMENTS = 500;

export interface TrackPage {
  readonly statements: readonly SignedStatement[];
  /** Null: these were the last. */
  readonly next: number | null;
}

/** Refuses `record_malformed`. */
export function readTrackPage(
  answer: Readonly<Record<string, unknown>>,
  after: number,
): Result<TrackPage> {
  const { statements, next = null } = answer;
  const isNext = next === null || (typeof next === 'number' && Number.isSafeInteger(next));
  if (!Array.isArray(statements) || statements.length > MAX_PAGE_STATEMENTS || !isNext) {
    return refuse('record_malformed', { what: 'page' });
  }
  if (next !== null && next <= after) return refuse('record_malformed', { what: 'next' });
  const read = (statements as readonly unknown[]).map(parseSignedStatement);
  const known = read.filter((one) => one !== null);
  if (known.length < read.length) return refuse('record_malformed', { what: 'statements' });
  return accept({ statements: known, next });
}
