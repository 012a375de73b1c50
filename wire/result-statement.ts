// What a result says, as it is signed and logged: plaintext of a result leaf (docs/PROTOCOL.md 12g). Sums over what
// a venue told, with what it did not tell beside them. Amounts are canonical decimals; what is unknown is null, never
// zero. A hostile statement is refused with a code; a signature says that the enclave made it, not that a venue is honest.
//
//   {1: "trackseal/result/v1", 2: origin, 3: account commitment, 4: venue, 5: [{1: host, 2: SPKI SHA-256}],
//    6: environment, 7: observed since ns, 8: [period start ns, end ns], 9: as of ns, 10: polls, 11: [coverage],
//    12: [gap], 13: method, 14: figures, 15: [missing]}
//   polls     {1: scheduled, 2: complete, 3: partial, 4: failed, 5: missed}
//   gap       {1: from ms, 2: to ms, 3: reason}
//   figures   {1: trades, 2: volume, 3: fees, 4: funding, 5: deposits, 6: withdrawals, 7: balances | null, 8: positions | null,
//              9: unrealized | null, 10: matched | null, 11: unmatched | null, 12: [hour]}
//   matched   {1: trades, 2: volume}      hour  {1: start ms, 2: trades, 3: volume, 4: fees, 5: complete}

import { concatBytes, u64, utf8 } from './bytes.ts';
import type { CborMap, CborValue } from './cbor.ts';
import { encodeCbor } from './cbor.ts';
import { isCanonicalDecimal } from './decimal.ts';
import type { Coverage, Environment } from './exchange-call.ts';
import { coverageToCbor, matching, readCoverage, readEnvironment } from './exchange-call.ts';
import type { Fields } from './fields.ts';
import { parseFields } from './fields.ts';
import { MAX_ORIGIN_CHARACTERS } from './limits.ts';
import type { Result } from './result.ts';

export const RESULT_DOMAIN = 'trackseal/result/v1';
/** A statement, its base64 and its readable form have to fit into one answer of 1 MiB. */
export const MAX_STATEMENT_BYTES: number = 128 * 1024;
export const MAX_RESULT_HOSTS = 16;
export const MAX_RESULT_COVERAGE = 256;
export const MAX_RESULT_GAPS = 1024;
export const MAX_RESULT_HOURS = 168;
const MAX_CURRENCIES = 2048;
/** Venues list names in any script; nothing in them may move or hide what is beside it. */
const CURRENCY = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]{1,64}$/u;
const WORD = /^[a-z0-9_/.]{1,32}$/u;

/** Currency to canonical decimal. */
export type Amounts = ReadonlyMap<string, string>;

export interface ResultHost {
  readonly host: string;
  readonly spkiHash: Uint8Array;
}

export interface ResultPolls {
  readonly scheduled: number;
  readonly complete: number;
  readonly partial: number;
  readonly failed: number;
  readonly missed: number;
}

export interface ResultGap {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: string;
}

export interface ResultHour {
  readonly startMs: number;
  readonly trades: number;
  readonly volume: Amounts;
  readonly fees: Amounts;
  readonly complete: boolean;
}

export interface ResultMatched {
  readonly trades: number;
  readonly volume: Amounts;
}

export interface ResultFigures {
  readonly trades: number;
  readonly volume: Amounts;
  readonly fees: Amounts;
  readonly funding: Amounts;
  readonly deposits: Amounts;
  readonly withdrawals: Amounts;
  readonly balances: Amounts | null;
  readonly positions: number | null;
  readonly unrealized: Amounts | null;
  readonly matched: ResultMatched | null;
  readonly unmatched: ResultMatched | null;
  readonly hours: readonly ResultHour[];
}

export interface ResultStatement {
  readonly origin: string;
  readonly accountCommitment: Uint8Array;
  readonly venue: string;
  readonly hosts: readonly ResultHost[];
  readonly environment: Environment;
  readonly observedSinceNs: bigint;
  readonly periodStartNs: bigint;
  readonly periodEndNs: bigint;
  readonly asOfNs: bigint;
  readonly polls: ResultPolls;
  readonly coverage: readonly Coverage[];
  readonly gaps: readonly ResultGap[];
  /** How the figures were made; a name with a version. */
  readonly method: string;
  readonly figures: ResultFigures;
  /** What a reader might look for and this method does not give. */
  readonly missing: readonly string[];
}

/** What the Ed25519 key of the desk signs. */
export function resultSignedBytes(leafIndex: number, statement: Uint8Array): Uint8Array {
  return concatBytes(utf8(RESULT_DOMAIN), Uint8Array.of(0), u64(leafIndex), statement);
}

function mapOf(...values: readonly CborValue[]): CborValue {
  return new Map(values.map((value, index) => [index + 1, value]));
}

function matchedToCbor(matched: ResultMatched | null): CborValue {
  return matched === null ? null : mapOf(matched.trades, matched.volume);
}

function figuresToCbor(figures: ResultFigures): CborValue {
  const { trades, volume, fees, funding, deposits, withdrawals, ...rest } = figures;
  const { balances, positions, unrealized, matched, unmatched, hours, ...none } = rest;
  none satisfies Record<string, never>;
  return mapOf(
    trades,
    volume,
    fees,
    funding,
    deposits,
    withdrawals,
    balances,
    positions,
    unrealized,
    matchedToCbor(matched),
    matchedToCbor(unmatched),
    hours.map((hour) => mapOf(hour.startMs, hour.trades, hour.volume, hour.fees, hour.complete)),
  );
}

export function encodeResultStatement(statement: ResultStatement): Uint8Array {
  const { polls } = statement;
  return encodeCbor(
    mapOf(
      RESULT_DOMAIN,
      statement.origin,
      statement.accountCommitment,
      statement.venue,
      statement.hosts.map(({ host, spkiHash }) => mapOf(host, spkiHash)),
      statement.environment,
      statement.observedSinceNs,
      [statement.periodStartNs, statement.periodEndNs],
      statement.asOfNs,
      mapOf(polls.scheduled, polls.complete, polls.partial, polls.failed, polls.missed),
      statement.coverage.map(coverageToCbor),
      statement.gaps.map(({ fromMs, toMs, reason }) => mapOf(fromMs, toMs, reason)),
      statement.method,
      figuresToCbor(statement.figures),
      statement.missing,
    ),
  );
}

function readAmounts(fields: Fields, field: number): Amounts {
  const value = fields.take(field);
  if (!(value instanceof Map)) return fields.refuse(field);
  const map = value as CborMap;
  if (map.size > MAX_CURRENCIES) return fields.refuse(field);
  const amounts = new Map<string, string>();
  for (const [currency, amount] of map) {
    if (typeof currency !== 'string' || !CURRENCY.test(currency)) return fields.refuse(field);
    if (typeof amount !== 'string' || !isCanonicalDecimal(amount)) return fields.refuse(field);
    amounts.set(currency, amount);
  }
  return amounts;
}

function readAmountsOrNull(fields: Fields, field: number): Amounts | null {
  return fields.take(field) === null ? null : readAmounts(fields, field);
}

function readMatched(fields: Fields): ResultMatched {
  return { trades: fields.uint(1), volume: readAmounts(fields, 2) };
}

function readHour(fields: Fields): ResultHour {
  return {
    startMs: fields.uint(1),
    trades: fields.uint(2),
    volume: readAmounts(fields, 3),
    fees: readAmounts(fields, 4),
    complete: fields.bool(5),
  };
}

function readFigures(fields: Fields): ResultFigures {
  return {
    trades: fields.uint(1),
    volume: readAmounts(fields, 2),
    fees: readAmounts(fields, 3),
    funding: readAmounts(fields, 4),
    deposits: readAmounts(fields, 5),
    withdrawals: readAmounts(fields, 6),
    balances: readAmountsOrNull(fields, 7),
    positions: fields.uintOrNull(8),
    unrealized: readAmountsOrNull(fields, 9),
    matched: fields.mapOrNull(10, readMatched),
    unmatched: fields.mapOrNull(11, readMatched),
    hours: fields.maps(12, MAX_RESULT_HOURS, readHour),
  };
}

function readGap(fields: Fields): ResultGap {
  const gap = { fromMs: fields.uint(1), toMs: fields.uint(2), reason: matching(fields, 3, WORD) };
  return gap.toMs < gap.fromMs ? fields.refuse(2) : gap;
}

function readPeriod(fields: Fields): readonly [bigint, bigint] {
  const times = fields.array(8, 2).map((time) => {
    if (typeof time !== 'number' && typeof time !== 'bigint') return fields.refuse(8);
    return BigInt(time);
  });
  const [start, end] = times;
  if (start === undefined || end === undefined || start < 0n || end < start) fields.refuse(8);
  return [start, end];
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseResultStatement(bytes: Uint8Array): Result<ResultStatement> {
  return parseFields('result', bytes, MAX_STATEMENT_BYTES, (fields): ResultStatement => {
    if (fields.text(1, 64) !== RESULT_DOMAIN) fields.refuse(1);
    const [periodStartNs, periodEndNs] = readPeriod(fields);
    const statement: ResultStatement = {
      origin: fields.text(2, MAX_ORIGIN_CHARACTERS),
      accountCommitment: fields.bytes(3, 32),
      venue: matching(fields, 4, WORD),
      hosts: fields.maps(5, MAX_RESULT_HOSTS, (host) => ({
        host: host.text(1, 253),
        spkiHash: host.bytes(2, 32),
      })),
      environment: readEnvironment(fields, 6),
      observedSinceNs: fields.uint64(7),
      periodStartNs,
      periodEndNs,
      asOfNs: fields.uint64(9),
      polls: fields.map(10, (polls) => ({
        scheduled: polls.uint(1),
        complete: polls.uint(2),
        partial: polls.uint(3),
        failed: polls.uint(4),
        missed: polls.uint(5),
      })),
      coverage: fields.maps(11, MAX_RESULT_COVERAGE, readCoverage),
      gaps: fields.maps(12, MAX_RESULT_GAPS, readGap),
      method: matching(fields, 13, WORD),
      figures: fields.map(14, readFigures),
      missing: fields.texts(15, 32, 32),
    };
    // Nothing is known of a time after the last poll.
    if (statement.periodEndNs > statement.asOfNs) fields.refuse(8);
    return statement;
  });
}
