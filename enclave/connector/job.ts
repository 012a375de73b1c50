// A job, as the desk hands it to a connector: one account, its credentials for this job alone, where the last
// job came to, and what this one may spend.

import { encodeCbor } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import type { AccountType, Venue } from './classes.ts';
import { ACCOUNT_TYPES, VENUES } from './classes.ts';
import type { PriceKind } from './records.ts';
import { MAX_TIME_MS, mapOf, oneOf, PRICE_KINDS } from './records.ts';

export const MAX_JOB_BYTES: number = 256 * 1024;
export const MAX_CURSOR_BYTES: number = 64 * 1024;
export const MAX_ID = 0xffff_ffff;
const MAX_SYMBOLS = 500;
const MAX_SECRET_BYTES = 8192;
export const MAX_PRICE_ITEMS = 500;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

export interface JobSettings {
  readonly accountType: AccountType;
  readonly environment: 'live' | 'sandbox';
  readonly label: string;
  readonly allowTrading: boolean;
  /** In ccxt's notation, such as BTC/USDT or BTC/USDT:USDT; asked for beside those seen. */
  readonly symbols: readonly string[];
}

/** Bytes, so that the desk never makes strings of them; empty where a job needs none. */
export interface JobCredentials {
  readonly apiKey: Uint8Array;
  readonly secret: Uint8Array;
  readonly passphrase: Uint8Array | null;
}

export interface JobBudget {
  /** FETCH frames, retries included. */
  readonly calls: number;
  /** Of one call. */
  readonly retries: number;
  /** From the moment the connector has the job. */
  readonly deadlineMs: number;
}

/** Prices at the multiples of `stepMs` from `fromMs` to `toMs`, both included. */
export interface PriceItem {
  readonly kind: PriceKind;
  /** In ccxt's notation; of a broker's statement, its own. */
  readonly symbol: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: typeof MINUTE_MS | typeof HOUR_MS;
}

export interface Job {
  readonly id: number;
  /** `check`: credentials and permissions, no records but balances. `prices`: of markets, for no account. */
  readonly kind: 'check' | 'poll' | 'prices';
  readonly venue: Venue;
  readonly settings: JobSettings;
  readonly credentials: JobCredentials;
  /** What DONE gave last time, or null. */
  readonly cursors: Uint8Array | null;
  /** Start of what is asked for where there is no cursor. */
  readonly fromMs: number;
  /** The desk's clock; signatures are made by it. */
  readonly nowMs: number;
  /** 0 first. */
  readonly priority: number;
  readonly budget: JobBudget;
  /** Of a job of prices. */
  readonly prices: readonly PriceItem[];
}

export function encodeJob(job: Job): Uint8Array {
  const { settings, credentials, budget } = job;
  return encodeCbor(
    mapOf([
      job.id,
      job.kind,
      job.venue,
      mapOf([
        settings.accountType,
        settings.environment,
        settings.label,
        settings.allowTrading,
        settings.symbols,
      ]),
      mapOf([credentials.apiKey, credentials.secret, credentials.passphrase]),
      job.cursors,
      job.fromMs,
      job.nowMs,
      job.priority,
      mapOf([budget.calls, budget.retries, budget.deadlineMs]),
      job.prices.map(({ kind, symbol, fromMs, toMs, stepMs }) =>
        mapOf([kind, symbol, fromMs, toMs, stepMs]),
      ),
    ]),
  );
}

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
  }));
}
