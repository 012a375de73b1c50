// A job, as a connector reads it. The desk's half is in job.ts.

import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import { ACCOUNT_TYPES, VENUES } from './classes.ts';
import type { Job } from './job.ts';
import {
  HOUR_MS,
  MAX_CURSOR_BYTES,
  MAX_ID,
  MAX_JOB_BYTES,
  MAX_PRICE_ITEMS,
  MINUTE_MS,
  READS,
} from './job.ts';
import { MAX_TIME_MS, oneOf, PRICE_KINDS } from './records.ts';

const MAX_SYMBOLS = 500;

const MAX_SECRET_BYTES = 8192;

/** Credentials are views into `bytes`: whoever has them can wipe them there. */
export function parseJob(bytes: Uint8Array): Result<Job> {
  return parseFields('job', bytes, MAX_JOB_BYTES, (fields) => ({
    id: fields.uint(1, MAX_ID),
    kind: oneOf(fields, 2, ['check', 'poll', 'prices']),
    venue: oneOf(fields, 3, VENUES),
    settings: fields.map(4, (settings) => ({
      accountType: oneOf(settings, 1, ACCOUNT_TYPES),
      environment: oneOf(settings, 2, ['live', 'sandbox']),
      label: settings.text(3, 100, 0),
      allowTrading: settings.bool(4),
      symbols: settings.texts(5, MAX_SYMBOLS, 64),
    })),
    credentials: fields.map(5, (credentials) => ({
      apiKey: credentials.bytes(1, 0, MAX_SECRET_BYTES),
      secret: credentials.bytes(2, 0, MAX_SECRET_BYTES),
      passphrase: credentials.bytesOrNull(3, 1, MAX_SECRET_BYTES),
    })),
    cursors: fields.bytesOrNull(6, 1, MAX_CURSOR_BYTES),
    fromMs: fields.uint(7, MAX_TIME_MS),
    nowMs: fields.uint(8, MAX_TIME_MS),
    priority: fields.uint(9, 9),
    budget: fields.map(10, (budget) => ({
      calls: budget.uint(1, 100_000, 1),
      retries: budget.uint(2, 20),
      deadlineMs: budget.uint(3, 3_600_000, 1),
    })),
    prices: fields.maps(11, MAX_PRICE_ITEMS, (item) => ({
      kind: oneOf(item, 1, PRICE_KINDS),
      symbol: item.text(2, 64),
      fromMs: item.uint(3, MAX_TIME_MS),
      toMs: item.uint(4, MAX_TIME_MS),
      stepMs: item.uint(5, HOUR_MS, MINUTE_MS) === HOUR_MS ? HOUR_MS : MINUTE_MS,
    })),
    reads: oneOf(fields, 12, READS),
  }));
}
