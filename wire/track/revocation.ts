// What an account's record takes back: statements right before this one that nobody has any more (they were signed, and the
// database lost them, or there was none), or, without a range, all that would follow. What was stated stays in the log, and
// its counters are not given again. Hours that were taken back are stated anew behind it.
//
//   {1..7: head, domain "trackseal/revocation/v1", 8: [from counter, to counter] | null, 9: reason, 10: at ms}

import { encodeCbor } from '../cbor.ts';
import { parseFields } from '../fields.ts';
import type { Result } from '../result.ts';
import type { StatementHead } from './head.ts';
import {
  headToCbor,
  mapFrom1,
  MAX_TRACK_MS,
  MAX_TRACK_STATEMENT_BYTES,
  readConstant,
  readHead,
  readWord,
} from './head.ts';
import { MAX_LOST_COUNTER, REVOCATION_DOMAIN } from './signing.ts';

export { REVOCATION_DOMAIN };

/** Counters; `to` is the one before the revocation, whose `previous` is its hash. */
export interface LostRange {
  readonly from: number;
  readonly to: number;
}

export interface RevocationStatement extends StatementHead {
  readonly kind: 'revocation';
  /** Null: the chain has ended. */
  readonly lost: LostRange | null;
  readonly reason: string;
  readonly atMs: number;
}

/** Deterministic CBOR: the bytes that are hashed, signed and logged. */
export function encodeRevocationStatement(statement: RevocationStatement): Uint8Array {
  const { lost, reason, atMs } = statement;
  const range = lost === null ? null : [lost.from, lost.to];
  return encodeCbor(mapFrom1([...headToCbor(REVOCATION_DOMAIN, statement), range, reason, atMs]));
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseRevocationStatement(bytes: Uint8Array): Result<RevocationStatement> {
  return parseFields('revocation', bytes, MAX_TRACK_STATEMENT_BYTES, (fields) => {
    readConstant(fields, 1, REVOCATION_DOMAIN);
    const head = readHead(fields);
    const range = fields.take(8) === null ? null : fields.uints(8, 2);
    const [from = 0, to = 0] = range ?? [];
    if (range !== null && (from < 1 || from > to || to !== head.counter - 1)) fields.refuse(8);
    if (to > MAX_LOST_COUNTER) fields.refuse(8);
    return {
      kind: 'revocation' as const,
      ...head,
      lost: range === null ? null : { from, to },
      reason: readWord(fields, 9),
      atMs: fields.uint(10, MAX_TRACK_MS),
    };
  });
}
