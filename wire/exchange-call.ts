// One poll of one account at its venue: plaintext of an exchange_call leaf (docs/PROTOCOL.md 5). Every request that
// left the enclave for it is in it, by digest; the leaf is private, because hosts, paths and times say what a trader
// does. A poll that was due and did not happen is a leaf too, so that silence cannot pass for coverage.
//
//   {1: account commitment, 2: venue, 3: environment, 4: scheduled ns, 5: started ns, 6: ended ns, 7: outcome,
//    8: refusal code or null, 9: trigger, 10: [call], 11: [coverage]}
//   call      {1: host, 2: TLS name, 3: SPKI SHA-256 or null, 4: method, 5: path without query, 6: request digest,
//              7: response digest or null, 8: status or null, 9: start ns, 10: end ns, 11: weight, 12: attempt, 13: class}
//   coverage  {1: what, 2: market or null, 3: from ms, 4: to ms, 5: complete, 6: reason or null}

import { concatBytes, utf8, writeU32 } from './bytes.ts';
import type { CborValue } from './cbor.ts';
import { cborMap, encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import type { WireCrypto } from './crypto.ts';
import type { Fields } from './fields.ts';
import { MAX_DESK_PLAINTEXT_BYTES } from './limits.ts';

export const OUTCOME = { complete: 0, partial: 1, failed: 2, missed: 3 } as const;
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

/** `prices`: of markets, for no account in particular; the account commitment is 32 zeros. */
export const TRIGGER = { schedule: 0, registration: 1, snapshot: 2, retry: 3, prices: 4 } as const;
export type Trigger = (typeof TRIGGER)[keyof typeof TRIGGER];

export type Environment = 'live' | 'sandbox';

/** 2,048 calls of 27 values and 256 rows of coverage stay below the 65,536 values of one message. */
export const MAX_POLL_CALLS = 2048;
export const MAX_POLL_COVERAGE = 256;
export const MAX_POLL_BYTES: number = MAX_DESK_PLAINTEXT_BYTES;
export const MAX_PATH_CHARACTERS = 128;

const WORD = /^[a-z0-9_]{1,32}$/u;

export interface ExchangeCall {
  readonly host: string;
  /** The name that the certificate was checked against. */
  readonly tlsName: string;
  /** Of the server's certificate; null when no connection came about. */
  readonly spkiHash: Uint8Array | null;
  readonly method: string;
  /** Without query, cut after 128 characters; all of it is in the digest. */
  readonly path: string;
  /** `requestDigest`. */
  readonly requestDigest: Uint8Array;
  /** SHA-256 of the body as received, decompressed; null without a whole one. */
  readonly responseDigest: Uint8Array | null;
  readonly status: number | null;
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** In the venue's own unit, a decimal. */
  readonly weight: string;
  /** From 1. */
  readonly attempt: number;
  /** What became of it: `ok` or a class of error. */
  readonly class: string;
}

/** What the venue told about which time. */
export interface Coverage {
  readonly what: string;
  readonly market: string | null;
  readonly fromMs: number;
  readonly toMs: number;
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly reason: string | null;
}

export interface ExchangePoll {
  readonly accountCommitment: Uint8Array;
  readonly venue: string;
  readonly environment: Environment;
  readonly scheduledNs: bigint;
  /** Of a missed poll: when it was given up, as is the end. */
  readonly startedNs: bigint;
  readonly endedNs: bigint;
  readonly outcome: Outcome;
  readonly refusal: RefusalCode | null;
  readonly trigger: Trigger;
  readonly calls: readonly ExchangeCall[];
  readonly coverage: readonly Coverage[];
}

/** SHA-256 over method, host, path with query, and body, each behind its length in bytes (u32). */
export function requestDigest(
  crypto: Pick<WireCrypto, 'sha256'>,
  method: string,
  host: string,
  target: string,
  body: Uint8Array,
): Uint8Array {
  const parts = [utf8(method), utf8(host), utf8(target), body].flatMap((part) => {
    const length = new Uint8Array(4);
    writeU32(length, 0, part.length);
    return [length, part];
  });
  return crypto.sha256(concatBytes(...parts));
}

export function encodeExchangePoll(poll: ExchangePoll): Uint8Array {
  return encodeMap(
    [1, poll.accountCommitment],
    [2, poll.venue],
    [3, poll.environment],
    [4, poll.scheduledNs],
    [5, poll.startedNs],
    [6, poll.endedNs],
    [7, poll.outcome],
    [8, poll.refusal],
    [9, poll.trigger],
    [10, poll.calls.map(callToCbor)],
    [11, poll.coverage.map(coverageToCbor)],
  );
}

function callToCbor(call: ExchangeCall): CborValue {
  return cborMap(
    [1, call.host],
    [2, call.tlsName],
    [3, call.spkiHash],
    [4, call.method],
    [5, call.path],
    [6, call.requestDigest],
    [7, call.responseDigest],
    [8, call.status],
    [9, call.startNs],
    [10, call.endNs],
    [11, call.weight],
    [12, call.attempt],
    [13, call.class],
  );
}

export function coverageToCbor(coverage: Coverage): CborValue {
  return cborMap(
    [1, coverage.what],
    [2, coverage.market],
    [3, coverage.fromMs],
    [4, coverage.toMs],
    [5, coverage.complete],
    [6, coverage.reason],
  );
}

export function readCoverage(fields: Fields): Coverage {
  const coverage: Coverage = {
    what: word(fields, 1),
    market: fields.textOrNull(2, 64),
    fromMs: fields.uint(3),
    toMs: fields.uint(4),
    complete: fields.bool(5),
    reason: wordOrNull(fields, 6),
  };
  if (coverage.toMs < coverage.fromMs) fields.refuse(4);
  if (coverage.complete && coverage.reason !== null) fields.refuse(6);
  return coverage;
}

export function matching(fields: Fields, field: number, pattern: RegExp): string {
  const text = fields.text(field, 64);
  return pattern.test(text) ? text : fields.refuse(field);
}

export function readEnvironment(fields: Fields, field: number): Environment {
  const text = fields.text(field, 7);
  return text === 'live' || text === 'sandbox' ? text : fields.refuse(field);
}

export function word(fields: Fields, field: number): string {
  return matching(fields, field, WORD);
}

function wordOrNull(fields: Fields, field: number): string | null {
  return fields.take(field) === null ? null : word(fields, field);
}
