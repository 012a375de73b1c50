// What an account's record takes back: one statement of its chain, or, with no counter, all that would follow. What was
// stated stays in the chain and in the log; from here on nobody may count on it.
//
//   {1..7: head, domain "trackseal/revocation/v1", 8: counter | null, 9: reason, 10: at ms}

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
import { REVOCATION_DOMAIN } from './signing.ts';

export { REVOCATION_DOMAIN };

export interface RevocationStatement extends StatementHead {
  readonly kind: 'revocation';
  /** The statement that is taken back; null: the chain has ended. */
  readonly revokes: number | null;
  readonly reason: string;
  readonly atMs: number;
}

/** Deterministic CBOR: the bytes that are hashed, signed and logged. */
export function encodeRevocationStatement(statement: RevocationStatement): Uint8Array {
  const { revokes, reason, atMs } = statement;
  return encodeCbor(mapFrom1([...headToCbor(REVOCATION_DOMAIN, statement), revokes, reason, atMs]));
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseRevocationStatement(bytes: Uint8Array): Result<RevocationStatement> {
  return parseFields('revocation', bytes, MAX_TRACK_STATEMENT_BYTES, (fields) => {
    readConstant(fields, 1, REVOCATION_DOMAIN);
    const head = readHead(fields);
    const revokes = fields.uintOrNull(8, head.counter - 1);
    if (revokes === 0) fields.refuse(8);
    return {
      kind: 'revocation' as const,
      ...head,
      revokes,
      reason: readWord(fields, 9),
      atMs: fields.uint(10, MAX_TRACK_MS),
    };
  });
}
