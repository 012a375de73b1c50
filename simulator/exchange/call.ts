// One HTTP request to a simulated venue and its answer, as the venues' modules see them.

import type { VenueName } from './markets.ts';

export interface Call {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** Without the question mark, as received. */
  readonly query: string;
  /** Of the query, then of a form body. */
  readonly parameters: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Of the peer. */
  readonly address: string;
  /** The venue's own, skewed where it is. */
  readonly nowMs: number;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a venue answers instead of what was asked for. */
export class Refusal extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`${String(reply.status)} ${reply.body.slice(0, 200)}`);
    this.reply = reply;
  }
}

/** States of a venue that clients must tell apart, each said in the venue's own words. */
export const TROUBLES = [
  'maintenance',
  'unavailable',
  'rate_limited',
  'banned',
  'geo_blocked',
  'invalid_nonce',
  'authentication',
  'permission',
  'account',
  'bad_request',
] as const;

export type Trouble = (typeof TROUBLES)[number];

export interface VenueApi {
  readonly name: VenueName;
  readonly hosts: readonly string[];
  /** Throws Refusal. */
  answer(call: Call): Reply;
  trouble(kind: Trouble, retryAfterS: number): Reply;
}

export function reply(
  value: unknown,
  status: number = 200,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const type = { 'content-type': 'application/json;charset=UTF-8' };
  return { status, headers: { ...type, ...headers }, body: JSON.stringify(value) };
}

/** A parameter that is a whole number; null where it is missing. Throws Refusal as `refuse` makes it. */
export function integerOf(
  call: Call,
  name: string,
  refuse: (name: string) => Refusal,
): number | null {
  const text = call.parameters.get(name);
  if (text === null || text === '') return null;
  if (!/^-?\d{1,19}$/u.test(text)) throw refuse(name);
  return Number(text);
}
