// Figures over a period of an account's record, with what they rest on: the first and the last statement of the period by
// counter and hash, so that whoever has the statements between them can compute every figure again. It is no part of
// the chain. Values are decimals or whole numbers, or null with a reason: never a zero for what is not known.
//
//   {1: "trackseal/metrics/v1", 2: origin, 3: account commitment, 4: venue, 5: environment, 6: [from ms, to ms], 7: as of ms,
//    8: {1: first counter, 2: its SHA-256, 3: last counter, 4: its SHA-256}, 9: {name: value | null}, 10: {name: reason},
//    11: {name: text}, 12: [{1: from ms, 2: to ms, 3: reason, 4: change | null}], 13: "tls"}

import type { CborMap, CborValue } from '../cbor.ts';
import { encodeCbor } from '../cbor.ts';
import type { Fields } from '../fields.ts';
import { parseFields } from '../fields.ts';
import type { Result } from '../result.ts';
import { isRatio } from './figures-codec.ts';
import type { StatementHead, TrackAccount } from './head.ts';
import {
  HASH_BYTES,
  mapFrom1,
  MAX_TRACK_MS,
  MAX_TRACK_STATEMENT_BYTES,
  readAccount,
  readConstant,
  readWord,
  TRACK_LABEL,
} from './head.ts';
import { METRICS_DOMAIN } from './signing.ts';

export { METRICS_DOMAIN };

/** Of five markets there are 335. */
export const MAX_METRICS = 384;
/** With them and every text as long as it may be a statement still has room (test/wire/performance/performance.test.ts). */
export const MAX_METRICS_GAPS = 256;
const NAME = /^[a-z][a-z0-9_.]{0,47}$/u;
const TEXT = /^[\x20-\x7e]{1,128}$/u;

/** A decimal text, a whole number (counts, times in ms), or null: not known. */
export type MetricValue = string | number | null;

export interface MetricsGap {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: string;
  /** Decimal; what the value changed over the gap, or null: not known. */
  readonly change: string | null;
}

export interface MetricsStatement extends TrackAccount, Pick<StatementHead, 'origin'> {
  readonly kind: 'metrics';
  readonly fromMs: number;
  readonly toMs: number;
  readonly asOfMs: number;
  readonly first: { readonly counter: number; readonly hash: Uint8Array };
  readonly last: { readonly counter: number; readonly hash: Uint8Array };
  readonly figures: ReadonlyMap<string, MetricValue>;
  /** Of figures that are null. */
  readonly reasons: ReadonlyMap<string, string>;
  /** Frequency, annualisation, what is net of what: part of the answer. */
  readonly conventions: ReadonlyMap<string, string>;
  readonly gaps: readonly MetricsGap[];
}

/** Deterministic CBOR: the bytes that are signed and logged. */
export function encodeMetricsStatement(statement: MetricsStatement): Uint8Array {
  const { first, last } = statement;
  const values: readonly CborValue[] = [
    METRICS_DOMAIN,
    statement.origin,
    statement.accountCommitment,
    statement.venue,
    statement.environment,
    [statement.fromMs, statement.toMs],
    statement.asOfMs,
    mapFrom1([first.counter, first.hash, last.counter, last.hash]),
    statement.figures,
    statement.reasons,
    statement.conventions,
    statement.gaps.map(({ fromMs, toMs, reason, change }) =>
      mapFrom1([fromMs, toMs, reason, change]),
    ),
    TRACK_LABEL,
  ];
  return encodeCbor(mapFrom1(values));
}

function readNamed<T>(
  fields: Fields,
  field: number,
  read: (value: CborValue) => T | undefined,
): ReadonlyMap<string, T> {
  const value = fields.take(field);
  if (!(value instanceof Map)) return fields.refuse(field);
  const map = value as CborMap;
  if (map.size > MAX_METRICS) return fields.refuse(field);
  const named = new Map<string, T>();
  for (const [name, item] of map) {
    const one = read(item);
    if (typeof name !== 'string' || !NAME.test(name) || one === undefined) {
      return fields.refuse(field);
    }
    named.set(name, one);
  }
  return named;
}

function valueOf(value: CborValue): MetricValue | undefined {
  if (value === null || typeof value === 'number') return value;
  return typeof value === 'string' && isRatio(value) ? value : undefined;
}

function textOf(value: CborValue): string | undefined {
  return typeof value === 'string' && TEXT.test(value) ? value : undefined;
}

function readPeriod(fields: Fields): readonly [number, number] {
  const [from, to, ...more] = fields.uints(6, 2);
  if (from === undefined || to === undefined || more.length > 0) return fields.refuse(6);
  return to < from || to > MAX_TRACK_MS ? fields.refuse(6) : [from, to];
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseMetricsStatement(bytes: Uint8Array): Result<MetricsStatement> {
  return parseFields('metrics', bytes, MAX_TRACK_STATEMENT_BYTES, (fields) => {
    readConstant(fields, 1, METRICS_DOMAIN);
    readConstant(fields, 13, TRACK_LABEL);
    const [fromMs, toMs] = readPeriod(fields);
    const figures = readNamed(fields, 9, valueOf);
    const reasons = readNamed(fields, 10, textOf);
    for (const name of reasons.keys()) if (figures.get(name) !== null) fields.refuse(10);
    const rests = fields.map(8, (inner) => {
      const first = {
        counter: inner.uint(1, Number.MAX_SAFE_INTEGER, 1),
        hash: inner.bytes(2, HASH_BYTES),
      };
      const last = {
        counter: inner.uint(3, Number.MAX_SAFE_INTEGER, first.counter),
        hash: inner.bytes(4, HASH_BYTES),
      };
      return { first, last };
    });
    return {
      kind: 'metrics' as const,
      ...readAccount(fields),
      fromMs,
      toMs,
      asOfMs: fields.uint(7, MAX_TRACK_MS),
      ...rests,
      figures,
      reasons,
      conventions: readNamed(fields, 11, textOf),
      gaps: fields.maps(12, MAX_METRICS_GAPS, (inner) => {
        const gap = {
          fromMs: inner.uint(1, MAX_TRACK_MS),
          toMs: inner.uint(2, MAX_TRACK_MS),
          reason: readWord(inner, 3),
          change: inner.textOrNull(4, 80),
        };
        if (gap.change !== null && !isRatio(gap.change)) inner.refuse(4);
        return gap.toMs < gap.fromMs ? inner.refuse(2) : gap;
      }),
    };
  });
}
