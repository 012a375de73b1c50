// What a restart needs of an account beside its chain and records: the book, and who looked at the hours that are open or
// can be corrected. It is sealed where it is stored; what does not read is refused, and the book is made again from records.

import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import type { Fields } from '../../../wire/fields.ts';
import { parseFields } from '../../../wire/fields.ts';
import type { Outcome } from '../../../wire/exchange-call.ts';
import { OUTCOME } from '../../../wire/exchange-call.ts';
import { MAX_ORIGIN_CHARACTERS } from '../../../wire/limits.ts';
import { DAY_MS, mapFrom1, MAX_TRACK_MS } from '../../../wire/track/head.ts';
import { MAX_HOUR_POLLS } from '../../../wire/track/hour.ts';
import { MAX_STATE_BYTES } from '../store/account-rows.ts';
import type { StoredState } from '../store/contract.ts';
import type { TrackBook } from './account-parts.ts';
import type { CoveredHour, CoverageLog, SavedCoverage } from './hour-coverage.ts';

const LAYOUT = 4;
/** A book that is made again has more of them ahead. */
export const MAX_HOURS = 1024;

export interface TrackState extends SavedCoverage {
  /** `Book.encode()`; null before the first observation. */
  readonly book: Uint8Array;
}

export function encodeTrackState(state: TrackState): Uint8Array {
  const { book, lastCompleteMs, hours, uncompared, heardMs, isDelayed } = state;
  const rows: readonly CborValue[] = hours.map(({ startMs, polls, reasons, late }) =>
    mapFrom1([
      startMs,
      polls.map((poll) => mapFrom1([poll.origin, poll.leafIndex, poll.startedMs, poll.outcome])),
      reasons,
      late,
    ]),
  );
  const span =
    uncompared === null ? null : mapFrom1([uncompared.fromMs, uncompared.toMs, uncompared.reason]);
  return encodeCbor(mapFrom1([LAYOUT, book, lastCompleteMs, rows, span, heardMs, isDelayed]));
}

function readHour(fields: Fields): CoveredHour {
  return {
    startMs: fields.uint(1, MAX_TRACK_MS),
    polls: fields.maps(2, MAX_HOUR_POLLS, (poll) => ({
      origin: poll.text(1, MAX_ORIGIN_CHARACTERS),
      leafIndex: poll.uintOrNull(2),
      startedMs: poll.uint(3, MAX_TRACK_MS),
      outcome: poll.uint(4, OUTCOME.missed) as Outcome,
    })),
    reasons: fields.texts(3, MAX_HOURS, 48),
    late: fields.uint(4),
  };
}

/** Null for what this version did not write. */
export function parseTrackState(bytes: Uint8Array): TrackState | null {
  const parsed = parseFields('track_state', bytes, MAX_STATE_BYTES, (fields): TrackState => {
    if (fields.uint(1) !== LAYOUT) fields.refuse(1);
    return {
      book: fields.bytes(2, 0, MAX_STATE_BYTES),
      lastCompleteMs: fields.uint(3, MAX_TRACK_MS),
      hours: fields.maps(4, MAX_HOURS, readHour),
      uncompared: fields.mapOrNull(5, (span) => ({
        fromMs: span.uint(1, MAX_TRACK_MS),
        toMs: span.uint(2, MAX_TRACK_MS),
        reason: span.text(3, 48),
      })),
      heardMs: fields.uintOrNull(6, MAX_TRACK_MS),
      isDelayed: fields.bool(7),
    };
  });
  return parsed.ok ? parsed.value : null;
}

export function stateOf(
  book: Pick<TrackBook, 'encode'>,
  coverage: CoverageLog,
  records: number,
): StoredState {
  const { lastCompleteMs, uncompared, heardMs, isDelayed } = coverage;
  const saved = { lastCompleteMs, hours: coverage.hours(), uncompared, heardMs, isDelayed };
  return { records, bytes: encodeTrackState({ book: book.encode(), ...saved }) };
}

/** What is stored next as the state: it has to be a day old, so that late records can be booked after a restart. */
export class StateCandidate {
  #candidate: { readonly hourMs: number; readonly state: StoredState } | null = null;

  /** Between one and two days old: a restart closes the hours since then again. */
  next(hourMs: number, make: () => StoredState): StoredState | null {
    const candidate = this.#candidate;
    if (candidate !== null && hourMs - candidate.hourMs < DAY_MS) return null;
    this.#candidate = { hourMs, state: make() };
    return candidate?.state ?? null;
  }
}
