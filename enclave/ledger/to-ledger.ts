// What the desk tells the ledger (protocol.ts), as the ledger reads it: the desk is trusted, and a message that cannot be read
// is a bug and ends the ledger.

import { isRefusalCode } from '../../wire/codes.ts';
import { isCanonicalDecimal } from '../../wire/decimal.ts';
import type { Fields } from '../../wire/fields.ts';
import { parseFields } from '../../wire/fields.ts';
import { SALT_BYTES } from '../../wire/leaf.ts';
import { MAX_CONFIGURATION_BYTES, MAX_ORIGIN_CHARACTERS } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { MAX_LOST_COUNTER } from '../../wire/track/signing.ts';
import { MAX_DATA_KEY_RECORDS, MAX_PASSWORD_BYTES } from '../../wire/sealed.ts';
import {
  ACCOUNT_TYPES,
  COVERAGE_REASONS,
  COVERAGE_SUBJECTS,
  VENUES,
} from '../connector/classes.ts';
import { MAX_RECORDS_PER_PAGE } from '../connector/protocol.ts';
import {
  MAX_TIME_MS,
  oneOf,
  oneOfOrNull,
  PRICE_KINDS,
  READ_RECORD,
  RECORD_KINDS,
} from '../connector/records.ts';
import {
  MAX_ASK_BYTES,
  MAX_LEDGER_FRAME_BYTES,
  MAX_LEDGER_PAGE_BYTES,
  MAX_PRICE_ITEMS,
  MAX_PRICES_PER_PAGE,
  MAX_SIGN_STATEMENTS,
} from './frames.ts';
import type {
  LedgerAccount,
  LedgerAsk,
  LedgerMissed,
  LedgerOpen,
  LedgerPoll,
  LedgerPrices,
  LedgerRecords,
  LedgerSigned,
  LedgerState,
  PriceRow,
} from './frames.ts';
import { readAccountId } from './tell-ledger.ts';

const KEY_BYTES = 32;
const HASH_BYTES = 32;
const SIGNATURE_BYTES = 64;
const MAX_SMALL_BYTES = 4096;
const MAX_OPEN_BYTES: number = MAX_CONFIGURATION_BYTES + 4 * MAX_SMALL_BYTES;
const MAX_LABEL = 128;
const MAX_NAME = 64;
const MAX_SOURCE = 160;
const MAX_DECIMAL = 62;
const MAX_COVERAGE = 1024;
const MAX_POLL_HOSTS = 64;
export const REASON: RegExp = /^[a-z][a-z0-9_]{0,31}$/u;

export function readReason(fields: Fields, field: number): string {
  const reason = fields.text(field, 32);
  return REASON.test(reason) ? reason : fields.refuse(field);
}

function readTime(fields: Fields, field: number): number {
  return fields.uint(field, MAX_TIME_MS);
}

/** Views of `bytes`, which holds secrets. */
export function parseLedgerOpen(bytes: Uint8Array): Result<LedgerOpen> {
  return parseFields('ledger_open', bytes, MAX_OPEN_BYTES, (fields) => ({
    origin: fields.text(1, MAX_ORIGIN_CHARACTERS),
    epoch: fields.uint(2),
    configuration: fields.bytes(3, 2, MAX_CONFIGURATION_BYTES),
    nowNs: fields.uint64(4),
    storageKeys: fields.maps(5, MAX_DATA_KEY_RECORDS, (key) => ({
      version: key.uint(1),
      key: key.bytes(2, KEY_BYTES),
    })),
    leafZeroHash: fields.bytes(6, HASH_BYTES),
    ed25519: fields.bytes(7, KEY_BYTES),
    databasePassword: fields.bytesOrNull(8, 1, MAX_PASSWORD_BYTES),
    userKey: fields.bytes(9, KEY_BYTES),
  }));
}

export function parseLedgerState(bytes: Uint8Array): Result<LedgerState> {
  return parseFields('ledger_state', bytes, MAX_SMALL_BYTES, (fields) => ({
    acknowledgedSize: fields.uint(1),
    ready: fields.bool(2),
    stalled: fields.bool(3),
  }));
}

export function parseLedgerAccount(bytes: Uint8Array): Result<LedgerAccount> {
  return parseFields('ledger_account', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: readAccountId(fields, 1),
    commitment: fields.bytes(2, HASH_BYTES),
    userHash: fields.bytes(3, HASH_BYTES),
    venue: oneOf(fields, 4, VENUES),
    label: fields.text(5, MAX_LABEL, 0),
    accountType: oneOf(fields, 6, ACCOUNT_TYPES),
    environment: oneOf(fields, 7, ['live', 'sandbox']),
    createdMs: readTime(fields, 8),
    head: fields.mapOrNull(9, (head) => ({
      counter: head.uint(1, MAX_LOST_COUNTER, 1),
      hash: head.bytes(2, HASH_BYTES),
    })),
  }));
}

export function parseLedgerRemove(bytes: Uint8Array): Result<string> {
  return parseFields('ledger_remove', bytes, MAX_SMALL_BYTES, (fields) => readAccountId(fields, 1));
}

export function parseLedgerRecords(bytes: Uint8Array): Result<LedgerRecords> {
  return parseFields('ledger_records', bytes, MAX_LEDGER_PAGE_BYTES, (fields) => {
    const kind = oneOf(fields, 3, RECORD_KINDS);
    const records = fields.maps(4, MAX_RECORDS_PER_PAGE, READ_RECORD[kind]);
    return { id: readAccountId(fields, 1), poll: fields.uint(2), kind, records };
  });
}

export function parseLedgerPoll(bytes: Uint8Array): Result<LedgerPoll> {
  return parseFields('ledger_poll', bytes, MAX_LEDGER_FRAME_BYTES, (fields) => ({
    id: readAccountId(fields, 1),
    poll: fields.uint(2),
    leafIndex: fields.uint(3),
    slotMs: readTime(fields, 4),
    startedMs: readTime(fields, 5),
    endedMs: readTime(fields, 6),
    outcome: oneOf(fields, 7, ['complete', 'partial', 'failed']),
    reason: fields.take(8) === null ? null : readReason(fields, 8),
    coverage: fields.maps(9, MAX_COVERAGE, (row) => ({
      what: oneOf(row, 1, COVERAGE_SUBJECTS),
      market: row.text(2, MAX_NAME),
      fromMs: readTime(row, 3),
      toMs: readTime(row, 4),
      complete: row.bool(5),
      reason: oneOfOrNull(row, 6, COVERAGE_REASONS),
    })),
    hosts: fields.maps(10, MAX_POLL_HOSTS, (host) => ({
      host: host.text(1, 253),
      spki: host.bytes(2, HASH_BYTES),
    })),
    sinceMs: fields.uintOrNull(11, MAX_TIME_MS),
  }));
}

export function parseLedgerMissed(bytes: Uint8Array): Result<LedgerMissed> {
  return parseFields('ledger_missed', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: readAccountId(fields, 1),
    fromMs: readTime(fields, 2),
    toMs: readTime(fields, 3),
    reason: readReason(fields, 4),
  }));
}

function readPrice(fields: Fields): PriceRow {
  const price = fields.text(4, MAX_DECIMAL);
  if (!isCanonicalDecimal(price) || price.startsWith('-') || price === '0') fields.refuse(4);
  return {
    kind: oneOf(fields, 1, PRICE_KINDS),
    symbol: fields.text(2, MAX_NAME),
    atMs: readTime(fields, 3),
    price,
    source: fields.text(5, MAX_SOURCE),
    tradedMs: fields.uint(6, readTime(fields, 3)),
  };
}

export function parseLedgerPrices(bytes: Uint8Array): Result<LedgerPrices> {
  return parseFields('ledger_prices', bytes, MAX_LEDGER_PAGE_BYTES, (fields) => ({
    id: fields.uint(1),
    rows: fields.maps(2, MAX_PRICES_PER_PAGE, readPrice),
    missing: fields.maps(3, MAX_PRICE_ITEMS, (missing) => ({
      symbol: missing.text(1, MAX_NAME),
      reason: readReason(missing, 2),
    })),
    last: fields.bool(4),
  }));
}

export function parseLedgerSigned(bytes: Uint8Array): Result<LedgerSigned> {
  return parseFields('ledger_signed', bytes, MAX_LEDGER_FRAME_BYTES, (fields) => {
    const code = fields.textOrNull(2, 64);
    if (code !== null && !isRefusalCode(code)) return fields.refuse(2);
    return {
      id: fields.uint(1),
      code,
      leafIndex: fields.uint(3),
      leafSalt: fields.bytes(4, code === null ? SALT_BYTES : 0),
      signatures: fields.byteStrings(5, MAX_SIGN_STATEMENTS, SIGNATURE_BYTES),
    };
  });
}

export function parseLedgerAsk(bytes: Uint8Array): Result<LedgerAsk> {
  return parseFields('ledger_ask', bytes, MAX_ASK_BYTES + MAX_SMALL_BYTES, (fields) => ({
    id: fields.uint(1),
    operation: readReason(fields, 2),
    account: readAccountId(fields, 3),
    arguments: fields.bytes(4, 0, MAX_ASK_BYTES),
  }));
}
