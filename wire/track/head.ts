// What every statement of a track record begins with (docs/PROTOCOL.md 12i): whose record it is, and its place in the chain
// of that account. Fields 1 to 7 are the same in all kinds that a chain has, so that the place of a statement can be
// checked whatever it says. A hostile statement is refused with a code; nothing here says who signed it.
//
//   {1: domain, 2: origin, 3: account commitment (32), 4: venue, 5: environment, 6: counter, from 1,
//    7: SHA-256 of the statement before it | null for the first, ...}

import type { CborValue } from '../cbor.ts';
import type { Environment } from '../exchange-call.ts';
import type { Fields } from '../fields.ts';
import { MAX_ORIGIN_CHARACTERS } from '../limits.ts';
import { HOUR_MS } from './figures.ts';
import { MAX_TRACK_STATEMENT_BYTES } from './signing.ts';

export { HOUR_MS, MAX_TRACK_STATEMENT_BYTES };

export const DAY_MS: number = 86_400_000;
/** Year 9999. */
export const MAX_TRACK_MS = 253_402_300_799_999;
export const HASH_BYTES = 32;
export const TRACK_CURRENCY = 'USD';
/** Over the enclave's own TLS: nothing else counts. */
export const TRACK_LABEL = 'tls';

const WORD = /^[a-z0-9_/.]{1,48}$/u;

export interface TrackAccount {
  readonly accountCommitment: Uint8Array;
  readonly venue: string;
  readonly environment: Environment;
}

export interface StatementHead extends TrackAccount {
  /** Of the epoch that signed it. */
  readonly origin: string;
  /** Place in the chain of the account, from 1, without a hole over all epochs. */
  readonly counter: number;
  /** SHA-256 of the statement before it; null for the first. */
  readonly previous: Uint8Array | null;
}

/** Which statement of the chain this one replaces, and why. */
export interface Supersedes {
  readonly counter: number;
  readonly reason: string;
}

/** Field numbers from 1 on. */
export function mapFrom1(values: readonly CborValue[]): CborValue {
  return new Map(values.map((value, at) => [at + 1, value] as const));
}

export function headToCbor(domain: string, head: StatementHead): readonly CborValue[] {
  const { origin, accountCommitment, venue, environment, counter, previous } = head;
  return [domain, origin, accountCommitment, venue, environment, counter, previous];
}

export function readWord(fields: Fields, field: number): string {
  const text = fields.text(field, 48);
  return WORD.test(text) ? text : fields.refuse(field);
}

export function readWordOrNull(fields: Fields, field: number): string | null {
  return fields.take(field) === null ? null : readWord(fields, field);
}

export function readWords(fields: Fields, field: number, maximum: number): readonly string[] {
  return fields
    .texts(field, maximum, 48)
    .map((text) => (WORD.test(text) ? text : fields.refuse(field)));
}

export function readConstant(fields: Fields, field: number, text: string): void {
  if (fields.take(field) !== text) fields.refuse(field);
}

export function readOneOf<T extends string>(fields: Fields, field: number, names: readonly T[]): T {
  const value = fields.take(field);
  return names.find((name) => name === value) ?? fields.refuse(field);
}

/** A time in ms on a multiple of `stepMs`. */
export function readAligned(fields: Fields, field: number, stepMs: number): number {
  const time = fields.uint(field, MAX_TRACK_MS);
  return time % stepMs === 0 ? time : fields.refuse(field);
}

/** Fields 2 to 5. */
export function readAccount(fields: Fields): TrackAccount & Pick<StatementHead, 'origin'> {
  return {
    origin: fields.text(2, MAX_ORIGIN_CHARACTERS),
    accountCommitment: fields.bytes(3, HASH_BYTES),
    venue: readWord(fields, 4),
    environment: readOneOf(fields, 5, ['live', 'sandbox']),
  };
}

/** Fields 2 to 7: the first of a chain, and only that one, has nothing before it. */
export function readHead(fields: Fields): StatementHead {
  const counter = fields.uint(6, Number.MAX_SAFE_INTEGER, 1);
  const previous = fields.bytesOrNull(7, HASH_BYTES);
  if ((counter === 1) !== (previous === null)) fields.refuse(7);
  return { ...readAccount(fields), counter, previous };
}

export function supersedesToCbor(supersedes: Supersedes | null): CborValue {
  return supersedes === null ? null : mapFrom1([supersedes.counter, supersedes.reason]);
}

/** Only what is earlier in the chain can be replaced. */
export function readSupersedes(fields: Fields, field: number, counter: number): Supersedes | null {
  return fields.mapOrNull(field, (inner) => ({
    counter: inner.uint(1, counter - 1, 1),
    reason: readWord(inner, 2),
  }));
}
