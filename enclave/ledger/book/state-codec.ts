// The state of a book as bytes, for a restart: what is open, the ids of what is settled, and the state after the last
// closed hour. It is deterministic CBOR and read back strictly: rows that do not sum to zero and lots of two signs
// are refused. That it is the newest one is not its matter; who stores it has to know.
//
//   {1 version, 2 next hour | null, 3 opened at | null, 4 opening | null, 5 [[kind, record]], 6 [observation],
//    7 [[hour, keys]], 8 [key], 9 state | null, 10 {1 hour, 2 state before it} | null}
//   state  {1 ledger rows, 2 fifo assets, 3 fifo contracts, 4 average assets, 5 average contracts, 6 instruments,
//           7 last prices, 8 wallets, 9 unbased, 10 excluded, 11 equity | null, 12 unrealised | null, 13 last marks}

import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import type { Fields } from '../../../wire/fields.ts';
import { parseFields } from '../../../wire/fields.ts';
import type { Balance, Position } from '../../connector/records.ts';
import { mapOf, MAX_TIME_MS, oneOf, READ_RECORD, recordToCbor } from '../../connector/records.ts';
import type { BookState } from './book-state.ts';
import type { Checkpoint } from './checkpoints.ts';
import type { BookRecord, Observation } from './contract.ts';
import { parseState, stateToCbor } from './state-rows.ts';
import { MAX_SEEN } from './timeline.ts';

const VERSION = 2;
export const MAX_STATE_BYTES: number = 64 * 1024 * 1024;
const MAX_STATE_ITEMS = 8_000_000;
const MAX_RECORDS = 250_000;
const MAX_LINES = 4096;
const MAX_HOURS = 4096;
const MAX_KEY = 256;

export interface SavedBook {
  readonly nextHourMs: number | null;
  readonly openedAtMs: number | null;
  /** While there is no state. */
  readonly opening: Observation | null;
  /** Of hours that are open, or can be reopened. */
  readonly records: readonly BookRecord[];
  readonly observations: readonly Observation[];
  readonly settled: readonly (readonly [number, readonly string[]])[];
  readonly pending: readonly string[];
  readonly state: BookState | null;
  /** The first hour that can be reopened after a restart. */
  readonly base: Checkpoint | null;
}

function observationToCbor({ fromMs, atMs, balances, positions }: Observation): CborValue {
  return mapOf([fromMs, atMs, balances.map(recordToCbor), positions.map(recordToCbor)]);
}

function observation(fields: Fields): Observation {
  return {
    fromMs: fields.uint(1, MAX_TIME_MS),
    atMs: fields.uint(2, MAX_TIME_MS),
    balances: fields.maps(3, MAX_LINES, READ_RECORD.balance) as readonly Balance[],
    positions: fields.maps(4, MAX_LINES, READ_RECORD.position) as readonly Position[],
  };
}

export function encodeBook(saved: SavedBook): Uint8Array {
  const { nextHourMs, openedAtMs, opening, records, observations, settled, pending, state, base } =
    saved;
  const keys = settled.map(([hourMs, names]) => mapOf([hourMs, [...names]]));
  return encodeCbor(
    mapOf([
      VERSION,
      nextHourMs,
      openedAtMs,
      opening === null ? null : observationToCbor(opening),
      records.map((record) => mapOf([record.kind, recordToCbor(record)])),
      observations.map(observationToCbor),
      keys,
      [...pending],
      state === null ? null : stateToCbor(state),
      base === null ? null : mapOf([base.hourMs, stateToCbor(base.state)]),
    ]),
  );
}

function record(fields: Fields): BookRecord {
  const kind = oneOf(fields, 1, ['fill', 'funding', 'flow']);
  return fields.map(2, READ_RECORD[kind]) as BookRecord;
}

function read(fields: Fields): SavedBook {
  fields.uint(1, VERSION, VERSION);
  return {
    nextHourMs: fields.uintOrNull(2, MAX_TIME_MS),
    openedAtMs: fields.uintOrNull(3, MAX_TIME_MS),
    opening: fields.mapOrNull(4, observation),
    records: fields.maps(5, MAX_RECORDS, record),
    observations: fields.maps(6, MAX_HOURS, observation),
    settled: fields.maps(7, MAX_HOURS, (hour) => [
      hour.uint(1, MAX_TIME_MS),
      hour.texts(2, MAX_RECORDS, MAX_KEY),
    ]),
    pending: fields.texts(8, MAX_SEEN, MAX_KEY),
    state: fields.mapOrNull(9, parseState),
    base: fields.mapOrNull(10, (base) => ({
      hourMs: base.uint(1, MAX_TIME_MS),
      state: base.map(2, parseState),
    })),
  };
}

/** Null for bytes that encodeBook did not give, or that are too many. */
export function parseBook(bytes: Uint8Array): SavedBook | null {
  const parsed = parseFields('book', bytes, MAX_STATE_BYTES, read, { maxItems: MAX_STATE_ITEMS });
  return parsed.ok ? parsed.value : null;
}
