// What an account was worth at 00:00 UTC, and the sums of the day before it: made of the day's hours, and stated once. What
// is not known is null, with the reasons beside it. A correction is a snapshot that supersedes an earlier one.
//
//   {1..7: head, domain "trackseal/snapshot/v1", 8: {1: counter, 2: reason} | null, 9: at ms, 10: "USD", 11: equity | null,
//    12: balance | null, 13: unrealised | null, 14: deposits | null, 15: withdrawals | null, 16: [market],
//    17: {1: counter of the last hour, 2: hours, 3: complete hours}, 18: [reason], 19: "tls"}

import type { CborValue } from '../cbor.ts';
import { encodeCbor } from '../cbor.ts';
import type { Fixed } from '../fixed.ts';
import type { Fields } from '../fields.ts';
import { parseFields } from '../fields.ts';
import type { Result } from '../result.ts';
import type { MarketFigures } from './figures.ts';
import {
  fixedOrNullToCbor,
  marketToCbor,
  MAX_FIGURES_GAPS,
  MAX_FIGURES_MARKETS,
  readFixedOrNull,
  readMarket,
} from './figures-codec.ts';
import type { StatementHead, Supersedes } from './head.ts';
import {
  DAY_MS,
  headToCbor,
  mapFrom1,
  MAX_TRACK_STATEMENT_BYTES,
  readAligned,
  readConstant,
  readHead,
  readSupersedes,
  readWords,
  supersedesToCbor,
  TRACK_CURRENCY,
  TRACK_LABEL,
} from './head.ts';
import { SNAPSHOT_DOMAIN } from './signing.ts';

export { SNAPSHOT_DOMAIN };

/** The hours of the day before `atMs`, as they were stated when the snapshot was. */
export interface SnapshotBasis {
  /** Counter of the hour that ends at `atMs`. */
  readonly lastCounter: number;
  readonly hours: number;
  readonly completeHours: number;
}

export interface SnapshotStatement extends StatementHead {
  readonly kind: 'snapshot';
  readonly supersedes: Supersedes | null;
  /** 00:00 UTC. */
  readonly atMs: number;
  readonly equity: Fixed | null;
  /** Realised: equity without what is unrealised. */
  readonly balance: Fixed | null;
  readonly unrealised: Fixed | null;
  /** Of the day before; positive. */
  readonly deposits: Fixed | null;
  readonly withdrawals: Fixed | null;
  readonly byMarket: readonly MarketFigures[];
  readonly basis: SnapshotBasis;
  /** Why something is null, or hours are not complete. */
  readonly gaps: readonly string[];
}

/** Deterministic CBOR: the bytes that are hashed, signed and logged. */
export function encodeSnapshotStatement(statement: SnapshotStatement): Uint8Array {
  const { basis } = statement;
  const values: readonly CborValue[] = [
    ...headToCbor(SNAPSHOT_DOMAIN, statement),
    supersedesToCbor(statement.supersedes),
    statement.atMs,
    TRACK_CURRENCY,
    fixedOrNullToCbor(statement.equity),
    fixedOrNullToCbor(statement.balance),
    fixedOrNullToCbor(statement.unrealised),
    fixedOrNullToCbor(statement.deposits),
    fixedOrNullToCbor(statement.withdrawals),
    statement.byMarket.map(marketToCbor),
    mapFrom1([basis.lastCounter, basis.hours, basis.completeHours]),
    statement.gaps,
    TRACK_LABEL,
  ];
  return encodeCbor(mapFrom1(values));
}

function readBasis(fields: Fields, counter: number): SnapshotBasis {
  const hours = fields.uint(2, 24, 1);
  return {
    lastCounter: fields.uint(1, counter - 1, 1),
    hours,
    completeHours: fields.uint(3, hours),
  };
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseSnapshotStatement(bytes: Uint8Array): Result<SnapshotStatement> {
  return parseFields('snapshot', bytes, MAX_TRACK_STATEMENT_BYTES, (fields): SnapshotStatement => {
    readConstant(fields, 1, SNAPSHOT_DOMAIN);
    const head = readHead(fields);
    readConstant(fields, 10, TRACK_CURRENCY);
    readConstant(fields, 19, TRACK_LABEL);
    return {
      kind: 'snapshot',
      ...head,
      supersedes: readSupersedes(fields, 8, head.counter),
      atMs: readAligned(fields, 9, DAY_MS),
      equity: readFixedOrNull(fields, 11),
      balance: readFixedOrNull(fields, 12),
      unrealised: readFixedOrNull(fields, 13),
      deposits: readFixedOrNull(fields, 14),
      withdrawals: readFixedOrNull(fields, 15),
      byMarket: fields.maps(16, MAX_FIGURES_MARKETS, readMarket),
      basis: fields.map(17, (inner) => readBasis(inner, head.counter)),
      gaps: readWords(fields, 18, MAX_FIGURES_GAPS),
    };
  });
}
