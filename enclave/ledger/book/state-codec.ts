// The state of a book as bytes, for a restart: what is open, the ids of what is settled, and the state after the last
// closed hour. It is deterministic CBOR and read back strictly: rows that do not sum to zero and lots of two signs
// are refused. That it is the newest one is not its matter; who stores it has to know.
//
//   {1 version, 2 next hour | null, 3 opened at | null, 4 opening | null, 5 [[kind, record]], 6 [observation],
//    7 [[hour, keys]], 8 [key], 9 state | null, 10 {1 hour, 2 state before it, 3 floor, 4 [prices of an hour]} | null}
//   prices {1 [{1 kind, 2 symbol, 3 at, 4 price}], 2 [unlisted]}, of that hour and those after it
//   state  {1 ledger rows, 2 fifo assets, 3 fifo contracts, 4 average assets, 5 average contracts, 6 instruments,
//           7 last prices, 8 wallets, 9 unbased, 10 excluded, 11 equity | null, 12 unrealised | null, 13 last marks}

import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import type { Fields } from '../../../wire/fields.ts';
import { parseFields } from '../../../wire/fields.ts';
import { parseFixed } from '../../../wire/fixed.ts';
import type { Balance, Position } from '../../connector/records.ts';
import { mapOf, MAX_TIME_MS, oneOf, PRICE_KINDS } from '../../connector/records.ts';
import { READ_RECORD, recordToCbor } from '../../connector/records.ts';
import type { BookState } from './book-state.ts';
import type { Checkpoint } from './checkpoints.ts';
import { MAX_USED } from './checkpoints.ts';
import type { BookRecord, Observation, PriceRow } from './contract.ts';
import type { UsedPrices } from './hour-prices.ts';
import { parseState, stateToCbor } from './state-rows.ts';
import { MAX_SEEN } from './timeline.ts';

const VERSION = 3;
export const MAX_STATE_BYTES: number = 64 * 1024 * 1024;
/** With used prices; half of what is stored of an account. Whatever is there without them, they make no state too large. */
export const MAX_PRICED_BYTES: number = 4 * 1024 * 1024;
const MAX_STATE_ITEMS = 8_000_000;
const MAX_RECORDS = 250_000;
const MAX_LINES = 4096;
const MAX_HOURS = 4096;
const MAX_KEY = 256;
const MAX_PRICE_TEXT = 80;

/** The way back after a restart. */
export interface SavedBase extends Checkpoint {
  /** The first hour that can be reopened. */
  readonly floorMs: number;
  /** Of the hours from the checkpoint on. */
  readonly used: readonly UsedPrices[];
}

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
  readonly base: SavedBase | null;
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

/** Of a row its price alone: where it came from is in figures that are stated. */
function usedToCbor({ rows, unlisted }: UsedPrices): CborValue {
  const prices = rows.map(({ kind, symbol, atMs, price }) => mapOf([kind, symbol, atMs, price]));
  return mapOf([prices, [...unlisted]]);
}

function priceRow(fields: Fields): PriceRow {
  const kind = oneOf(fields, 1, PRICE_KINDS);
  const symbol = fields.text(2, MAX_KEY);
  const atMs = fields.uint(3, MAX_TIME_MS);
  const price = fields.text(4, MAX_PRICE_TEXT);
  if ((parseFixed(price) ?? 0n) <= 0n) fields.refuse(4);
  return { kind, symbol, atMs, price, source: '', tradedMs: atMs };
}

function baseToCbor({ hourMs, state, floorMs, used }: SavedBase): CborValue {
  return mapOf([hourMs, stateToCbor(state), floorMs, used.map(usedToCbor)]);
}

function savedBase(fields: Fields): SavedBase {
  return {
    hourMs: fields.uint(1, MAX_TIME_MS),
    state: fields.map(2, parseState),
    floorMs: fields.uint(3, MAX_TIME_MS),
    used: fields.maps(4, MAX_HOURS, (hour) => ({
      rows: hour.maps(1, MAX_USED, priceRow),
      unlisted: hour.texts(2, MAX_USED, MAX_KEY),
    })),
  };
}

/**
 * Where used prices would make it too large, it is without them: after a restart, late data then has all hours from the
 * checkpoint on closed again with prices that are asked for anew.
 */
export function encodeBook(saved: SavedBook): Uint8Array {
  const bytes = encodeWhole(saved);
  const { base } = saved;
  if (base === null || base.used.length === 0 || bytes.length <= MAX_PRICED_BYTES) return bytes;
  return encodeWhole({ ...saved, base: { ...base, used: [] } });
}

function encodeWhole(saved: SavedBook): Uint8Array {
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
      base === null ? null : baseToCbor(base),
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
    base: fields.mapOrNull(10, savedBase),
  };
}

/** Null for bytes that encodeBook did not give, or that are too many. */
export function parseBook(bytes: Uint8Array): SavedBook | null {
  const parsed = parseFields('book', bytes, MAX_STATE_BYTES, read, { maxItems: MAX_STATE_ITEMS });
  return parsed.ok ? parsed.value : null;
}
