// Records as they are sealed: what the connector's parser has taken, and observations. What does not read any more after
// its seal opened was written by a version of ours that this one does not know: it is refused, never half understood.

import { encodeCbor } from '../../../wire/cbor.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import type { Fields } from '../../../wire/fields.ts';
import { parseFields } from '../../../wire/fields.ts';
import type { Balance, ConnectorRecord, Position } from '../../connector/records.ts';
import { mapOf, MAX_TIME_MS, READ_RECORD, recordToCbor } from '../../connector/records.ts';
import type { StoredRecord } from './contract.ts';

/** A hundred of them are one answer of the database; a poll of more balances is not kept, and its book is. */
export const MAX_STORED_RECORD_BYTES = 150_000;
const MAX_LINES = 4096;
const KINDS = ['fill', 'funding', 'flow', 'observation'] as const;

/** What makes a record the same one: a flow that has become final is another. */
export function recordName(record: StoredRecord): readonly CborValue[] {
  if (record.kind === 'observation') return ['observation', record.fromMs, record.atMs];
  if (record.kind === 'fill') return ['fill', record.id, record.symbol];
  if (record.kind === 'funding') return ['funding', record.id, record.symbol];
  return ['flow', record.id, record.type, record.direction, record.status];
}

/** Null for one that is too large to be stored. */
export function encodeStoredRecord(record: StoredRecord): Uint8Array | null {
  const value =
    record.kind === 'observation'
      ? mapOf([
          record.fromMs,
          record.atMs,
          record.balances.map(recordToCbor),
          record.positions.map(recordToCbor),
        ])
      : recordToCbor(record);
  const bytes = encodeCbor(
    new Map<number, CborValue>([
      [1, record.kind],
      [2, value],
    ]),
  );
  return bytes.length <= MAX_STORED_RECORD_BYTES ? bytes : null;
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

function readObservation(fields: Fields): StoredRecord {
  const balances: readonly Balance[] = lines(fields, 3, 'balance');
  const positions: readonly Position[] = lines(fields, 4, 'position');
  return {
    kind: 'observation',
    fromMs: fields.uint(1, MAX_TIME_MS),
    atMs: fields.uint(2, MAX_TIME_MS),
    balances,
    positions,
  };
}

/** Null for what is no record of ours. */
export function parseStoredRecord(bytes: Uint8Array): StoredRecord | null {
  const parsed = parseFields('stored_record', bytes, MAX_STORED_RECORD_BYTES, (fields) => {
    const kind = fields.take(1);
    const known = KINDS.find((name) => name === kind) ?? fields.refuse(1);
    return fields.map(2, (inner): StoredRecord | null => {
      if (known === 'observation') return readObservation(inner);
      const record = READ_RECORD[known](inner);
      return isOf(record, known) ? record : null;
    });
  });
  return parsed.ok ? parsed.value : null;
}
