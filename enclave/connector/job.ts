// A job, as the desk hands it to a connector: one account, its credentials for this job alone, where the last
// job came to, and what this one may spend.

import type { AccountType, Venue } from './classes.ts';
import type { PriceKind } from './records.ts';

export const MAX_JOB_BYTES: number = 256 * 1024;
export const MAX_CURSOR_BYTES: number = 64 * 1024;
export const MAX_ID = 0xffff_ffff;
export const MAX_PRICE_ITEMS = 500;
export const MINUTE_MS = 60_000;
/**
 * `on`: from its cursors. `again`: all from its start is told once more, to whoever has what they stand on. `anew`: to one who may
 * lack it, so that only what is told now is told.
 */
export const READS = ['on', 'again', 'anew'] as const;
export type Reads = (typeof READS)[number];
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
  readonly reads: Reads;
  /** The desk's clock; signatures are made by it. */
  readonly nowMs: number;
  /** 0 first. */
  readonly priority: number;
  readonly budget: JobBudget;
  /** Of a job of prices. */
  readonly prices: readonly PriceItem[];
}
