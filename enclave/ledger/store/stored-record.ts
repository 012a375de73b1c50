// Records as they are sealed: what the connector's parser has taken, and that a poll was. What does not read any more after
// its seal opened was written by a version of ours that this one does not know: it is refused, never half understood.

import { encodeCbor } from '../../../wire/cbor.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import type { Fields } from '../../../wire/fields.ts';
import { parseFields } from '../../../wire/fields.ts';
import type {
  Balance,
  ConnectorRecord,
  Flow,
  FlowStatus,
  Position,
} from '../../connector/records.ts';
import {
  FLOW_STATUSES,
  mapOf,
  MAX_TIME_MS,
  READ_RECORD,
  recordToCbor,
} from '../../connector/records.ts';
import { readHourPoll } from '../../../wire/track/hour.ts';
import { eventOf, isCounted, moneyOf } from '../book/event.ts';
import type { LostSpan, StoredPollRecord, StoredRecord } from './contract.ts';

/** A hundred of them are one answer of the database; a poll of more balances is not kept, and its book is. */
export const MAX_STORED_RECORD_BYTES = 150_000;
const MAX_LINES = 4096;
const MAX_REASONS = 64;
const KINDS = ['fill', 'funding', 'flow', 'poll', 'missed'] as const;

/** What makes a record the same one: a flow that has become final, or whose transaction is known, whichever, is another. */
export function recordName(record: StoredRecord): readonly CborValue[] {
  if (record.kind === 'poll') {
    const { origin, leafIndex, startedMs } = record.poll;
    return ['poll', origin, leafIndex, startedMs];
  }
  if (record.kind === 'missed') return ['missed', record.fromMs, record.toMs, record.reason];
  if (record.kind === 'fill') return ['fill', record.id, record.symbol];
  if (record.kind === 'funding') return ['funding', record.id, record.symbol];
  const { id, type, direction, status, networkId } = record;
  return ['flow', id, type, direction, status, networkId !== null];
}

type RecordName = readonly CborValue[];

/** Under which names a record may be stored. */
export interface NamedRecord<T extends StoredRecord, Name> {
  readonly record: T;
  readonly own: Name;
  /** Of a flow as it may have been told before, with a transaction or without. */
  readonly others: readonly Name[];
}

/** What was said of a flow. */
export interface Word {
  readonly status: FlowStatus | null;
  /** What it moves and costs, in whatever digits; null: nothing, or nothing that a book can count. */
  readonly money: string | null;
}

/** What is stored under a name, and its place in the order of storing. */
export type StoredPlace = Word & { readonly at: number };

export function wordOf(record: StoredRecord): Word {
  const event = record.kind === 'flow' ? eventOf(record, false) : null;
  const money = event?.kind === 'flow' && isCounted(event) ? moneyOf(event) : null;
  return { status: record.kind === 'flow' ? record.status : null, money };
}

/** `nameOf`: what a store calls a name. */
export function named<T extends StoredRecord, Name>(
  record: T,
  nameOf: (name: RecordName) => Name,
): NamedRecord<T, Name> {
  const own = nameOf(recordName(record));
  const statuses = record.kind === 'flow' ? FLOW_STATUSES : [];
  const others = statuses.flatMap((status) =>
    ['', null].map((networkId) => nameOf(recordName({ ...record, status, networkId } as Flow))),
  );
  return { record, own, others };
}

/** What is through stays as it was told then, whatever a venue says after that of how it got there. */
function isPast(word: Word, last: Word | null): boolean {
  return last?.status === 'ok' && word.status === 'pending' && word.money !== null;
}

/** Whether what was said before moved something; null: it was this, in the very same words or by the last of them. */
function saidBefore<Name>(
  { record, own, others }: NamedRecord<StoredRecord, Name>,
  placeOf: (name: Name) => StoredPlace | undefined,
  isKept: boolean,
): boolean | null {
  const ownAt = placeOf(own)?.at ?? Infinity;
  if (!isKept && ownAt < Infinity) return null;
  const words = others.flatMap((name) => placeOf(name) ?? []).filter(({ at }) => at < ownAt);
  let last: Word | null = null;
  for (const word of words.toSorted((a, b) => a.at - b.at)) if (!isPast(word, last)) last = word;
  if (last === null) return false;
  const word = wordOf(record);
  return last.money === word.money || isPast(word, last) ? null : last.money !== null;
}

/**
 * Records that were neither booked nor said before, each with whether what was said moved something. `areKept`: they are
 * stored; what was before them is asked.
 */
export function unstoredOf<T extends StoredRecord, Name>(
  told: readonly NamedRecord<T, Name>[],
  placeOf: (name: Name) => StoredPlace | undefined,
  areKept: boolean,
): ReadonlyMap<T, boolean> {
  const found = new Map<T, boolean>();
  for (const one of told) {
    const hasMoved = saidBefore(one, placeOf, areKept);
    if (hasMoved !== null) found.set(one.record, hasMoved);
  }
  return found;
}

function pollToCbor(record: StoredPollRecord): CborValue {
  const { poll, endedMs, reasons, tooPrecise, toldFromMs, toldToMs, lost, observed, follows } =
    record;
  return mapOf([
    mapOf([poll.origin, poll.leafIndex, poll.startedMs, poll.outcome]),
    endedMs,
    reasons,
    tooPrecise,
    observed === null
      ? null
      : mapOf([observed.balances.map(recordToCbor), observed.positions.map(recordToCbor)]),
    toldFromMs,
    toldToMs,
    lost.map(({ fromMs, toMs, reason }) => mapOf([fromMs, toMs, reason])),
    follows,
  ]);
}

function toCbor(record: StoredRecord): CborValue {
  if (record.kind === 'poll') return pollToCbor(record);
  if (record.kind === 'missed') return mapOf([record.fromMs, record.toMs, record.reason]);
  return recordToCbor(record);
}

/** A poll whose balances are too many is kept without them. */
export function encodeStoredRecord(record: StoredRecord): Uint8Array {
  const map = new Map<number, CborValue>([
    [1, record.kind],
    [2, toCbor(record)],
  ]);
  const bytes = encodeCbor(map);
  if (bytes.length <= MAX_STORED_RECORD_BYTES || record.kind !== 'poll') return bytes;
  return encodeCbor(map.set(2, pollToCbor({ ...record, observed: null })));
}

function isOf<K extends ConnectorRecord['kind']>(
  record: ConnectorRecord,
  kind: K,
): record is Extract<ConnectorRecord, { kind: K }> {
  return record.kind === kind;
}

function lines<K extends 'balance' | 'position'>(
  fields: Fields,
  field: number,
  kind: K,
): readonly Extract<ConnectorRecord, { kind: K }>[] {
  return fields.maps(field, MAX_LINES, (inner) => {
    const record = READ_RECORD[kind](inner);
    return isOf(record, kind) ? record : inner.refuse(0);
  });
}

function readSpan(fields: Fields): LostSpan {
  const fromMs = fields.uint(1, MAX_TIME_MS);
  return { fromMs, toMs: fields.uint(2, MAX_TIME_MS, fromMs), reason: fields.text(3, 48) };
}

function readPoll(fields: Fields): StoredPollRecord {
  return {
    kind: 'poll',
    poll: fields.map(1, readHourPoll),
    endedMs: fields.uint(2, MAX_TIME_MS),
    reasons: fields.texts(3, MAX_REASONS, 48),
    tooPrecise: fields.uints(4, MAX_REASONS),
    observed: fields.mapOrNull(5, (inner) => {
      const balances: readonly Balance[] = lines(inner, 1, 'balance');
      const positions: readonly Position[] = lines(inner, 2, 'position');
      return { balances, positions };
    }),
    toldFromMs: fields.uintOrNull(6, MAX_TIME_MS),
    toldToMs: fields.uintOrNull(7, MAX_TIME_MS),
    lost: fields.maps(8, MAX_REASONS, readSpan),
    follows: fields.bool(9),
  };
}

/** Null for what is no record of ours. */
export function parseStoredRecord(bytes: Uint8Array): StoredRecord | null {
  const parsed = parseFields('stored_record', bytes, MAX_STORED_RECORD_BYTES, (fields) => {
    const kind = fields.take(1);
    const known = KINDS.find((name) => name === kind) ?? fields.refuse(1);
    return fields.map(2, (inner): StoredRecord | null => {
      if (known === 'poll') return readPoll(inner);
      if (known === 'missed') return { kind: 'missed', ...readSpan(inner) };
      const record = READ_RECORD[known](inner);
      return isOf(record, known) ? record : null;
    });
  });
  return parsed.ok ? parsed.value : null;
}
