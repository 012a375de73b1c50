// What the API takes and answers, as zod schemas: requests are judged by them, and the OpenAPI document is made of them, so
// that the two cannot differ. What is inside of an envelope is parsed from bytes (secret-fields.ts), because it
// must not become strings; its schemas are here for the document and for clients.

import * as z from 'zod';
import type { AccountType } from '../connector/classes.ts';
import { ACCOUNT_TYPES } from '../connector/classes.ts';
import { MAX_LABEL_CHARACTERS, MAX_SYMBOL_CHARACTERS, MAX_SYMBOLS } from './session-record.ts';
import { DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, MIN_TTL_SECONDS } from './sessions.ts';

const time: z.ZodNumber = z.int().min(0);
const ttlValue: z.ZodNumber = z.int().min(MIN_TTL_SECONDS).max(MAX_TTL_SECONDS);
const ttl: z.ZodType<number> = ttlValue.default(DEFAULT_TTL_SECONDS);
/** Any script, no control characters; may be empty. */
const label: z.ZodString = z
  .string()
  .max(MAX_LABEL_CHARACTERS)
  .regex(/^\P{C}*$/u);
const symbol: z.ZodString = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9/:._-]*$/u);
const hex = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`, 'u'));
const base64: z.ZodString = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/u);
const uint: z.ZodNumber = z.int().min(0);
const decimalNs: z.ZodString = z.string().regex(/^[0-9]{1,20}$/u);
const amounts = z.record(z.string(), z.string().regex(/^-?[0-9]+(?:\.[0-9]+)?$/u));

export interface RegisterMetadata {
  readonly op: 'register';
  readonly time: number;
  readonly exchange: string;
  readonly label: string;
  readonly accountType: AccountType;
  readonly sandbox: boolean;
  readonly allowTrading: boolean;
  readonly allowWithdrawals: boolean;
  readonly ttl: number;
  readonly symbols: readonly string[];
}

export const registerMetadata: z.ZodType<RegisterMetadata> = z.strictObject({
  op: z.literal('register'),
  time,
  exchange: z.string().regex(/^[a-z0-9_-]{1,50}$/u),
  label: label.default(''),
  accountType: z.enum(ACCOUNT_TYPES).default('spot'),
  sandbox: z.boolean().default(false),
  allowTrading: z.boolean().default(false),
  allowWithdrawals: z.boolean().default(false),
  ttl,
  symbols: z.array(symbol.max(MAX_SYMBOL_CHARACTERS)).max(MAX_SYMBOLS).default([]),
});

export const OPERATIONS = ['summary', 'metrics', 'track', 'renew', 'revoke'] as const;
export type Operation = (typeof OPERATIONS)[number];
export const operationMetadata: z.ZodType<{ readonly op: Operation; readonly time: number }> =
  z.strictObject({ op: z.enum(OPERATIONS), time });

/** Of a track record: statements behind this place of the account's chain. */
export const trackPlace: z.ZodNumber = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const renewBody: z.ZodType<{ readonly ttl: number }> = z.strictObject({ ttl });

const sealed = { v: z.literal(1), nonce: base64, ciphertext: base64, tag: base64 };
export const envelope: z.ZodType = z.strictObject({
  ...sealed,
  ephemeral_pub: base64,
  metadata: z.union([registerMetadata, operationMetadata]),
});
export const sealedAnswer: z.ZodType = z.strictObject(sealed);

export const registerPlaintext: z.ZodType = z.strictObject({
  userId: z.string(),
  apiKey: z.string(),
  secret: z.string(),
  passphrase: z.string().optional(),
});
export const operationPlaintext: z.ZodType = z.strictObject({
  session_id: z.string().regex(/^[A-Za-z0-9_-]{43}$/u),
  ttl: ttlValue.optional(),
  after: trackPlace.optional(),
});

const flag = z.boolean().nullable();
export const registered: z.ZodType = z.strictObject({
  session_id: z.string().regex(/^[A-Za-z0-9_-]{43}$/u),
  expires_at: z.iso.datetime(),
  status: z.literal('active'),
  account_commitment: hex(32),
  account_salt: hex(32),
  venue: z.string(),
  account_id: z.string().nullable(),
  permissions: z.strictObject({
    read: flag,
    trade: flag,
    withdraw: flag,
    transfer: flag,
    ip_restricted: flag,
    sub_account: flag,
    expires_at: z.iso.datetime().nullable(),
  }),
});

const matched = z.strictObject({ trades: uint, volume: amounts }).nullable();
const coverage = z.strictObject({
  what: z.string(),
  market: z.string().nullable(),
  from_ms: uint,
  to_ms: uint,
  complete: z.boolean(),
  reason: z.string().nullable(),
});
const summary = z.strictObject({
  origin: z.string(),
  account_commitment: hex(32),
  venue: z.string(),
  hosts: z.array(z.strictObject({ host: z.string(), spki_sha256: hex(32) })),
  environment: z.enum(['live', 'sandbox']),
  observed_since_ns: decimalNs,
  period: z.strictObject({ start_ns: decimalNs, end_ns: decimalNs }),
  as_of_ns: decimalNs,
  polls: z.strictObject({
    scheduled: uint,
    complete: uint,
    partial: uint,
    failed: uint,
    missed: uint,
  }),
  coverage: z.array(coverage),
  gaps: z.array(z.strictObject({ from_ms: uint, to_ms: uint, reason: z.string() })),
  method: z.string(),
  trades: uint,
  volume: amounts,
  fees: amounts,
  funding: amounts,
  deposits: amounts,
  withdrawals: amounts,
  balances: amounts.nullable(),
  positions: uint.nullable(),
  unrealized: amounts.nullable(),
  matched,
  unmatched: matched,
  missing: z.array(z.string()),
});
const hour = z.strictObject({
  start_ms: uint,
  trades: uint,
  volume: amounts,
  fees: amounts,
  complete: z.boolean(),
});
const signed = {
  session_expires: z.iso.datetime().nullable(),
  statement: base64,
  leaf_index: uint,
  leaf_salt: hex(16),
  signature: base64,
  summary,
};
export const summaryAnswer: z.ZodType = z.strictObject(signed);
export const metricsAnswer: z.ZodType = z.strictObject({ ...signed, metrics: z.array(hour) });
export const trackAnswer: z.ZodType = z.strictObject({
  session_expires: z.iso.datetime().nullable(),
  statements: z.array(
    z.strictObject({
      statement: base64,
      signature: base64,
      origin: z.string(),
      leaf_index: uint,
      position: uint,
      leaf_salt: hex(16),
    }),
  ),
  head: uint.describe('counter of the newest statement; 0: there is none'),
  next: uint.nullable().describe('`after` of the next question; null: these were the last'),
  freshness: z.enum(['fresh', 'consistent']),
});
export const renewed: z.ZodType = z.strictObject({
  expires_at: z.iso.datetime(),
  status: z.literal('active'),
});
export const revoked: z.ZodType = z.strictObject({ status: z.literal('revoked') });

export const failure: z.ZodType = z.strictObject({
  error: z.string().describe('a refusal code of docs/PROTOCOL.md 13'),
  message: z.string(),
  code: z.string().describe('its class, as older clients know them'),
  request_id: hex(16),
  timestamp: z.iso.datetime(),
});
export const health: z.ZodType = z.strictObject({
  status: z.enum(['ready', 'not_ready', 'log_stalled']),
  epoch: uint,
  origin: z.string(),
  acknowledged_size: uint,
});
export const ready: z.ZodType = z.strictObject({ status: z.literal('ready') });
export const quote: z.ZodType = z.strictObject({
  enclave_id: z.string(),
  attestation_type: z.literal('AWS_NITRO'),
  document: base64,
  public_key: base64,
  timestamp: z.iso.datetime(),
  version: z.literal(1),
});
