// What the ledger tells the desk (protocol.ts), both halves. The desk takes it as hostile: every size, time and name
// is checked here; whether an account is known and a statement may be signed is for the desk's link to say.

import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { isRefusalCode } from '../../wire/codes.ts';
import { parseFields } from '../../wire/fields.ts';
import { MAX_DESK_PLAINTEXT_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { MAX_LOST_COUNTER } from '../../wire/track/signing.ts';
import { VENUES } from '../connector/classes.ts';
import { mapOf, MAX_TIME_MS, oneOf, PRICE_KINDS } from '../connector/records.ts';
import type {
  LedgerAnswer,
  LedgerAudit,
  LedgerResync,
  LedgerSign,
  LedgerStated,
  LedgerTaken,
  NeedPrices,
} from './frames.ts';
import {
  LEDGER_EVENTS,
  MAX_LEDGER_ANSWER_BYTES,
  MAX_PRICE_ITEMS,
  MAX_SIGN_BYTES,
  MAX_SIGN_STATEMENTS,
} from './frames.ts';
import { accountIdBytes, readAccountId } from './tell-ledger.ts';

const MAX_SMALL_BYTES = 4096;
const MAX_NEED_BYTES: number = 64 * 1024;
const MAX_NAME = 64;
const MAX_STATEMENT_BYTES: number = 64 * 1024;
const HASH_BYTES = 32;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** What one question may be about: a year of hours or a week of minutes. */
export const MAX_PRICE_STEPS = 10_080;

function encodeMap(values: readonly CborValue[]): Uint8Array {
  return encodeCbor(mapOf(values));
}

export function encodeLedgerTaken({ id, poll, stored }: LedgerTaken): Uint8Array {
  return encodeMap([accountIdBytes(id), poll, stored]);
}

export function parseLedgerTaken(bytes: Uint8Array): Result<LedgerTaken> {
  return parseFields('ledger_taken', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: readAccountId(fields, 1),
    poll: fields.uint(2),
    stored: fields.bool(3),
  }));
}

export function encodeLedgerStated({ id, counter, hash }: LedgerStated): Uint8Array {
  return encodeMap([accountIdBytes(id), counter, hash]);
}

export function parseLedgerStated(bytes: Uint8Array): Result<LedgerStated> {
  return parseFields('ledger_stated', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: readAccountId(fields, 1),
    counter: fields.uint(2, MAX_LOST_COUNTER, 1),
    hash: fields.bytes(3, HASH_BYTES),
  }));
}

export function encodeLedgerResync({ id, fromMs, heardMs }: LedgerResync): Uint8Array {
  return encodeMap([accountIdBytes(id), fromMs, heardMs]);
}

export function parseLedgerResync(bytes: Uint8Array): Result<LedgerResync> {
  return parseFields('ledger_resync', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: readAccountId(fields, 1),
    fromMs: fields.uint(2, MAX_TIME_MS),
    heardMs: fields.uintOrNull(3, MAX_TIME_MS),
  }));
}

export function encodeNeedPrices({ id, venue, environment, items }: NeedPrices): Uint8Array {
  return encodeMap([
    id,
    venue,
    environment,
    items.map(({ kind, symbol, fromMs, toMs, stepMs }) =>
      mapOf([kind, symbol, fromMs, toMs, stepMs]),
    ),
  ]);
}

/** Steps are minutes or hours, and at most MAX_PRICE_STEPS of an item. */
export function parseNeedPrices(bytes: Uint8Array): Result<NeedPrices> {
  return parseFields('need_prices', bytes, MAX_NEED_BYTES, (fields) => ({
    id: fields.uint(1),
    venue: oneOf(fields, 2, VENUES),
    environment: oneOf(fields, 3, ['live', 'sandbox']),
    items: fields.maps(4, MAX_PRICE_ITEMS, (item) => {
      const fromMs = item.uint(3, MAX_TIME_MS);
      const toMs = item.uint(4, MAX_TIME_MS, fromMs);
      const stepMs = item.uint(5, HOUR_MS, MINUTE_MS);
      if (stepMs !== MINUTE_MS && stepMs !== HOUR_MS) return item.refuse(5);
      if (toMs - fromMs > MAX_PRICE_STEPS * stepMs) item.refuse(4);
      const symbol = item.text(2, MAX_NAME);
      return { kind: oneOf(item, 1, PRICE_KINDS), symbol, fromMs, toMs, stepMs };
    }),
  }));
}

export function encodeLedgerSign({ id, statements }: LedgerSign): Uint8Array {
  return encodeMap([id, statements]);
}

export function parseLedgerSign(bytes: Uint8Array): Result<LedgerSign> {
  return parseFields('ledger_sign', bytes, MAX_DESK_PLAINTEXT_BYTES + MAX_SMALL_BYTES, (fields) => {
    const statements = fields.byteStrings(2, MAX_SIGN_STATEMENTS, 1, MAX_STATEMENT_BYTES);
    const total = statements.reduce((sum, { length }) => sum + length + 3, 0);
    if (statements.length === 0 || total > MAX_SIGN_BYTES) return fields.refuse(2);
    return { id: fields.uint(1), statements };
  });
}

export function encodeLedgerAudit({ event, account, code }: LedgerAudit): Uint8Array {
  return encodeMap([event, account === null ? null : accountIdBytes(account), code]);
}

export function parseLedgerAudit(bytes: Uint8Array): Result<LedgerAudit> {
  return parseFields('ledger_audit', bytes, MAX_SMALL_BYTES, (fields) => {
    const code = fields.textOrNull(3, 64);
    if (code !== null && !isRefusalCode(code)) return fields.refuse(3);
    const account = fields.take(2) === null ? null : readAccountId(fields, 2);
    return { event: oneOf(fields, 1, LEDGER_EVENTS), account, code };
  });
}

export function encodeLedgerAnswer({ id, code, body }: LedgerAnswer): Uint8Array {
  return encodeMap([id, code, body]);
}

export function parseLedgerAnswer(bytes: Uint8Array): Result<LedgerAnswer> {
  const maximum = MAX_LEDGER_ANSWER_BYTES + MAX_SMALL_BYTES;
  return parseFields('ledger_answer', bytes, maximum, (fields) => {
    const code = fields.textOrNull(2, 64);
    if (code !== null && !isRefusalCode(code)) return fields.refuse(2);
    const body = fields.bytesOrNull(3, 0, MAX_LEDGER_ANSWER_BYTES);
    if ((code === null) === (body === null)) return fields.refuse(3);
    return { id: fields.uint(1), code, body };
  });
}
