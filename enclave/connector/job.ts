// A job, as the desk hands it to a connector: one account, its credentials for this job alone, where the last
// job came to, and what this one may spend.

import { encodeCbor } from '../../wire/cbor.ts';
import { parseFields } from '../../wire/fields.ts';
import type { Result } from '../../wire/result.ts';
import type { AccountType, Venue } from './classes.ts';
import { ACCOUNT_TYPES, VENUES } from './classes.ts';
import { MAX_TIME_MS, mapOf, oneOf } from './records.ts';

export const MAX_JOB_BYTES: number = 256 * 1024;
export const MAX_CURSOR_BYTES: number = 64 * 1024;
export const MAX_ID = 0xffff_ffff;
const MAX_SYMBOLS = 500;
const MAX_SECRET_BYTES = 8192;

export interface JobSettings {
  readonly accountType: AccountType;
  readonly environment: 'live' | 'sandbox';
  readonly label: string;
  readonly allowTrading: boolean;
  /** In ccxt's notation, such as BTC/USDT or BTC/USDT:USDT; asked for beside those seen. */
  readonly symbols: readonly string[];
}

/** Bytes, so that the desk never makes strings of them. */
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

export interface Job {
  readonly id: number;
  /** `check`: credentials and permissions, no records but balances. */
  readonly kind: 'check' | 'poll';
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
    ]),
  );
}

/** Credentials are views into `bytes`: whoever has them can wipe them there. */
export function parseJob(bytes: Uint8Array): Result<Job> {
  return parseFields('job', bytes, MAX_JOB_BYTES, (fields) => ({
    id: fields.uint(1, MAX_ID),
    kind: oneOf(fields, 2, ['check', 'poll']),
    venue: oneOf(fields, 3, VENUES),
    settings: fields.map(4, (settings) => ({
      accountType: oneOf(settings, 1, ACCOUNT_TYPES),
      environment: oneOf(settings, 2, ['live', 'sandbox']),
      label: settings.text(3, 100, 0),
      allowTrading: settings.bool(4),
      symbols: settings.texts(5, MAX_SYMBOLS, 64),
    })),
    credentials: fields.map(5, (credentials) => ({
      apiKey: credentials.bytes(1, 1, MAX_SECRET_BYTES),
      secret: credentials.bytes(2, 1, MAX_SECRET_BYTES),
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
  }));
}
