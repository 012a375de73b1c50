// One hour of one account: what it was worth, what came in and went out, what was earned, and what all of this rests on. An
// hour of which not enough is known is stated too, with a null return and the reason: it is never left out. A correction is an
// hour that supersedes an earlier one; the earlier one stays. Plaintext of a result leaf, among others; see head.ts.
//
//   {1..7: head, domain "trackseal/hour/v1", 8: {1: counter, 2: reason} | null, 9: start ms, 10: "USD", 11: figures,
//    12: {1: ratio | null, 2: method | null, 3: reason | null}, 13: basis, 14: lot method, 15: "tls"}
//   basis  {1: [{1: origin, 2: leaf index | null, 3: started ms, 4: outcome}], 2: [{1: kind, 2: reason, 3: count}], 3: late}

import type { CborValue } from '../cbor.ts';
import { encodeCbor } from '../cbor.ts';
import { OUTCOME } from '../exchange-call.ts';
import type { Outcome } from '../exchange-call.ts';
import type { Fields } from '../fields.ts';
import { parseFields } from '../fields.ts';
import { MAX_ORIGIN_CHARACTERS } from '../limits.ts';
import type { Result } from '../result.ts';
import type { HourFigures } from './figures.ts';
import { figuresToCbor, isRatio, readFigures } from './figures-codec.ts';
import type { StatementHead, Supersedes } from './head.ts';
import {
  headToCbor,
  HOUR_MS,
  mapFrom1,
  MAX_TRACK_MS,
  MAX_TRACK_STATEMENT_BYTES,
  readAligned,
  readConstant,
  readHead,
  readOneOf,
  readSupersedes,
  readWord,
  readWordOrNull,
  supersedesToCbor,
  TRACK_CURRENCY,
  TRACK_LABEL,
} from './head.ts';
import { HOUR_DOMAIN } from './signing.ts';

export { HOUR_DOMAIN };

export const MAX_HOUR_POLLS = 128;
export const MAX_MISSING_PRICES = 32;

export type LotMethod = 'fifo' | 'average';

/** A poll whose records or balances the hour uses; its leaf is in the log of `origin`. */
export interface HourPoll {
  readonly origin: string;
  /** Of the exchange_call leaf; null where the slot passed while no enclave ran. */
  readonly leafIndex: number | null;
  readonly startedMs: number;
  readonly outcome: Outcome;
}

/** How many prices were asked for and could not be had; which ones would name instruments. */
export interface MissingPrices {
  readonly kind: 'spot' | 'mark';
  readonly reason: string;
  readonly count: number;
}

export interface HourBasis {
  readonly polls: readonly HourPoll[];
  readonly missingPrices: readonly MissingPrices[];
  /** Records that came when the hour had been stated already. */
  readonly late: number;
}

export interface StatedReturn {
  /** Decimal, 1 is 100 %; null: not known. */
  readonly ratio: string | null;
  readonly method: 'twr' | 'modified_dietz' | null;
  /** Why the ratio is null, or what the method had to do without. */
  readonly reason: string | null;
}

export interface HourStatement extends StatementHead {
  readonly kind: 'hour';
  readonly supersedes: Supersedes | null;
  /** `figures.startMs` is the hour. */
  readonly figures: HourFigures;
  readonly return: StatedReturn;
  readonly basis: HourBasis;
  readonly lotMethod: LotMethod;
}

function basisToCbor({ polls, missingPrices, late }: HourBasis): CborValue {
  return mapFrom1([
    polls.map((poll) => mapFrom1([poll.origin, poll.leafIndex, poll.startedMs, poll.outcome])),
    missingPrices.map(({ kind, reason, count }) => mapFrom1([kind, reason, count])),
    late,
  ]);
}

/** Deterministic CBOR: the bytes that are hashed, signed and logged. */
export function encodeHourStatement(statement: HourStatement): Uint8Array {
  const { supersedes, figures, basis, lotMethod } = statement;
  const { ratio, method, reason } = statement.return;
  return encodeCbor(
    mapFrom1([
      ...headToCbor(HOUR_DOMAIN, statement),
      supersedesToCbor(supersedes),
      figures.startMs,
      TRACK_CURRENCY,
      figuresToCbor(figures),
      mapFrom1([ratio, method, reason]),
      basisToCbor(basis),
      lotMethod,
      TRACK_LABEL,
    ]),
  );
}

/** {1: origin, 2: leaf index | null, 3: started ms, 4: outcome} */
export function readHourPoll(fields: Fields): HourPoll {
  const outcome = fields.uint(4, OUTCOME.missed);
  return {
    origin: fields.text(1, MAX_ORIGIN_CHARACTERS),
    leafIndex: fields.uintOrNull(2),
    startedMs: fields.uint(3, MAX_TRACK_MS),
    outcome: outcome as Outcome,
  };
}

function readBasis(fields: Fields): HourBasis {
  return {
    polls: fields.maps(1, MAX_HOUR_POLLS, readHourPoll),
    missingPrices: fields.maps(2, MAX_MISSING_PRICES, (inner) => ({
      kind: readOneOf(inner, 1, ['spot', 'mark']),
      reason: readWord(inner, 2),
      count: inner.uint(3, Number.MAX_SAFE_INTEGER, 1),
    })),
    late: fields.uint(3),
  };
}

/** A ratio has a method, and what has none has a reason. */
function readReturn(fields: Fields): StatedReturn {
  const ratio = fields.textOrNull(1, 80);
  const method = fields.take(2) === null ? null : readOneOf(fields, 2, ['twr', 'modified_dietz']);
  const reason = readWordOrNull(fields, 3);
  if (ratio !== null && !isRatio(ratio)) fields.refuse(1);
  if ((ratio === null) !== (method === null)) fields.refuse(2);
  if (ratio === null && reason === null) fields.refuse(3);
  return { ratio, method, reason };
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseHourStatement(bytes: Uint8Array): Result<HourStatement> {
  return parseFields('hour', bytes, MAX_TRACK_STATEMENT_BYTES, (fields): HourStatement => {
    readConstant(fields, 1, HOUR_DOMAIN);
    const head = readHead(fields);
    const startMs = readAligned(fields, 9, HOUR_MS);
    readConstant(fields, 10, TRACK_CURRENCY);
    readConstant(fields, 15, TRACK_LABEL);
    const figures = fields.map(11, (inner) => readFigures(inner, startMs));
    return {
      kind: 'hour',
      ...head,
      supersedes: readSupersedes(fields, 8, head.counter),
      figures,
      return: fields.map(12, readReturn),
      basis: fields.map(13, readBasis),
      lotMethod: readOneOf(fields, 14, ['fifo', 'average']),
    };
  });
}
