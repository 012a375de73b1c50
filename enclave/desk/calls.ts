// The calls of one job: each FETCH of a connector is checked (host, method, budget, breaker), waits for the limiter, goes out,
// and is recorded for the leaf of its poll, whatever becomes of it. The connector is hostile: it reaches the hosts of
// its job's venue and nothing else, and cannot make a call that is not in the record.

import { createHash } from 'node:crypto';
import type { Environment, ExchangeCall } from '../../wire/exchange-call.ts';
import { MAX_PATH_CHARACTERS, MAX_POLL_CALLS, requestDigest } from '../../wire/exchange-call.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { CallClass, ErrorClass, Venue } from '../connector/classes.ts';
import { isRetryable, READS_BY_POST } from '../connector/classes.ts';
import type { Body, Fetch, Fetched, FetchFailed } from '../connector/protocol.ts';
import { MAX_BODY_CHUNK_BYTES } from '../connector/protocol.ts';
import type { Breaker } from './breaker.ts';
import { retryAfterOf } from './breaker.ts';
import type { HttpClient } from './http.ts';
import { areHeaders, HttpError } from './http.ts';
import type { LimitedCall, Limiter } from './limiter.ts';
import type { RetryBudget } from './retry-budget.ts';
import { addressRefusedBy, hostsOf } from './venues.ts';

const HTTPS_PORT = 443;
/** Longer, and the signature in the request may be too old when it goes. */
const PATIENCE_MS = 4000;
const ACCOUNT_PENALTY_MS = 30_000;
const MAX_AT_ONCE = 8;
/** Lower-case host, and what is asked of it as it was signed: no user, port or fragment. */
const URL_FORM = /^https:\/\/([a-z0-9.-]{1,253})(\/[\x21\x22\x24-\x7e]*)$/u;
const WEIGHT_FORM = /^[0-9]{1,12}(?:\.[0-9]{1,6})?$/u;
/** The largest of WEIGHT_FORM with its digits. */
const MAX_WEIGHT = 999_999_999_999;
const NO_BODY = new Uint8Array(0);

export interface CallServices {
  readonly crypto: Pick<WireCrypto, 'sha256'>;
  readonly http: HttpClient;
  readonly limiter: Limiter;
  readonly nowNs: () => bigint;
  readonly nowMs: () => number;
  /** Null for a host that is not measured. */
  readonly tlsNameOf: (host: string, port: number) => string | null;
  /** A venue announced the end of what was called. */
  readonly onVersionNotice: (venue: Venue) => void;
}

export interface CallsOf {
  readonly account: string;
  readonly venue: Venue;
  readonly environment: Environment;
  readonly priority: number;
  readonly breaker: Breaker;
  readonly retries: RetryBudget;
  readonly maxCalls: number;
}

/** Where answers go; `body` resolves when there is room for more, to false when nobody listens any more. */
export interface CallSink {
  fetched(fetched: Fetched): void;
  body(body: Body): Promise<boolean>;
  failed(failed: FetchFailed): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Made {
  readonly record: Mutable<ExchangeCall>;
  readonly limited: LimitedCall;
  retryAfterMs: number | null;
  /** The breaker knows. */
  noted: boolean;
}

function classOfStatus(venue: Venue, status: number): CallClass {
  if (status === 451) return 'geo_blocked';
  if (status === 418) return 'banned';
  if (status === 429 || addressRefusedBy(venue) === status) return 'rate_limited';
  return status >= 500 ? 'unavailable' : 'ok';
}

/** Keys may be able to trade, and a connector may be taken over: what could is not sent. */
function isRead(venue: Venue, method: Fetch['method'], path: string): boolean {
  return method === 'GET' || (method === 'POST' && READS_BY_POST[venue]?.test(path) === true);
}

export class JobCalls {
  readonly calls: ExchangeCall[] = [];
  /** SPKI hash by host. */
  readonly hosts: Map<string, Uint8Array> = new Map<string, Uint8Array>();
  readonly #services: CallServices;
  readonly #of: CallsOf;
  readonly #made = new Map<number, Made>();
  readonly #abort = new AbortController();
  #asked = 0;
  #atOnce = 0;
  #deferred = 0;

  constructor(services: CallServices, of: CallsOf) {
    this.#services = services;
    this.#of = of;
  }

  /** False for a connector that asks for more than its job has, or twice: it is broken. */
  admits({ call }: Fetch): boolean {
    const most = Math.min(this.#of.maxCalls, MAX_POLL_CALLS);
    // Also what is refused counts: each has an answer, and a connector need not take answers.
    return this.#asked++ < most && this.#atOnce < MAX_AT_ONCE && !this.#made.has(call);
  }

  async fetch(fetch: Fetch, sink: CallSink): Promise<void> {
    this.#atOnce++;
    try {
      const refused = await this.#go(fetch, sink);
      if (refused !== null) sink.failed({ call: fetch.call, ...refused });
    } finally {
      this.#atOnce--;
    }
  }

  /** As the limiter counted them. */
  get counted(): readonly LimitedCall[] {
    return [...this.#made.values()].map(({ limited }) => limited);
  }

  /** What the connector made of the body. */
  meaning(call: number, callClass: CallClass): void {
    const made = this.#made.get(call);
    if (made === undefined || made.noted) return;
    made.record.class = callClass;
    const ofAccount = callClass === 'rate_limited';
    if (ofAccount) this.#services.limiter.blockAccount(made.limited, ACCOUNT_PENALTY_MS);
    else this.#note(made, callClass);
    made.noted = true;
  }

  /** Nothing more goes out; what is under way ends. */
  end(): void {
    this.#abort.abort();
    for (const made of this.#made.values()) {
      if (!made.noted && made.record.status !== null)
        this.#note(made, made.record.class as CallClass);
    }
  }

  /** Null when the answer went to the sink. */
  async #go(fetch: Fetch, sink: CallSink): Promise<Omit<FetchFailed, 'call'> | null> {
    const { limiter, tlsNameOf, nowNs, crypto } = this.#services;
    const { account, venue, environment, priority, breaker } = this.#of;
    const [, host = '', target = ''] = URL_FORM.exec(fetch.url) ?? [];
    const tlsName = hostsOf(venue, environment).includes(host) ? tlsNameOf(host, HTTPS_PORT) : null;
    if (tlsName === null) return refused('host_not_allowed');
    const [path = '/'] = target.split('?');
    if (!isRead(venue, fetch.method, path)) return refused('not_supported');
    // Credentials are in them: a key with a line's end in it is no key.
    if (!areHeaders(fetch.headers)) return refused('authentication');
    const limited = { account, host, path, weight: Number(fetch.weight), priority };
    const open = breaker.admitCall(this);
    if (open !== null) return refused(open);
    if (fetch.attempt > 0 && !this.#mayRetry()) return refused('unavailable');
    const waitMs = await limiter.acquire(limited, PATIENCE_MS, this.#abort.signal);
    if (waitMs < 0) return refused('timeout');
    if (waitMs > 0) {
      this.#deferred++;
      return refused('timeout', waitMs);
    }
    // It may have opened while we waited.
    const opened = breaker.admitCall(this);
    if (opened !== null) return refused(opened);
    this.#of.retries.earn();
    const body = fetch.body ?? NO_BODY;
    const record: Mutable<ExchangeCall> = {
      host,
      tlsName,
      spkiHash: null,
      method: fetch.method,
      path: path.slice(0, MAX_PATH_CHARACTERS),
      requestDigest: requestDigest(crypto, fetch.method, host, target, body),
      responseDigest: null,
      status: null,
      startNs: nowNs(),
      endNs: 0n,
      weight: WEIGHT_FORM.test(fetch.weight)
        ? fetch.weight
        : Math.min(limited.weight, MAX_WEIGHT).toFixed(6),
      attempt: Math.min(fetch.attempt + 1, 1000),
      class: 'network',
    };
    record.endNs = record.startNs;
    this.calls.push(record);
    const made = { record, limited, retryAfterMs: null, noted: false };
    this.#made.set(fetch.call, made);
    return this.#send(fetch, target, made, sink);
  }

  #mayRetry(): boolean {
    // Sent away by ourselves: it was no failure.
    if (this.#deferred === 0) return this.#of.retries.take();
    this.#deferred--;
    return true;
  }

  async #send(
    { call, method, headers, body }: Fetch,
    target: string,
    made: Made,
    sink: CallSink,
  ): Promise<Omit<FetchFailed, 'call'> | null> {
    const { http, limiter, nowMs, nowNs, onVersionNotice } = this.#services;
    const { record, limited } = made;
    const { host } = record;
    try {
      const request = { method, host, port: HTTPS_PORT, target, headers, body };
      const answer = await http.send(request, this.#abort.signal);
      record.status = answer.status;
      record.spkiHash = answer.spkiHash;
      this.hosts.set(host, answer.spkiHash);
      limiter.learn(limited, answer.headers);
      made.retryAfterMs = retryAfterOf(answer.headers, nowMs());
      record.class = classOfStatus(this.#of.venue, answer.status);
      // At once, whatever the body says: others of this address must not go on calling.
      const ofAddress = record.class !== 'ok' && record.class !== 'unavailable';
      if (ofAddress) this.#note(made, record.class as CallClass);
      const ends = answer.status === 410 || answer.headers.has('sunset');
      if (ends || answer.headers.has('deprecation')) onVersionNotice(this.#of.venue);
      sink.fetched({ call, status: answer.status, headers: answer.headers, more: true });
      record.responseDigest = await this.#pass(call, answer.body, sink);
      return null;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      record.class = error.errorClass;
      record.spkiHash = error.spkiHash ?? record.spkiHash;
      record.status = error.status ?? record.status;
      // What we ended ourselves says nothing about the venue.
      if (!this.#abort.signal.aborted) this.#note(made, error.errorClass);
      made.noted = true;
      return refused(error.errorClass, isRetryable(error.errorClass) ? made.retryAfterMs : null);
    } finally {
      record.endNs = nowNs();
    }
  }

  /** The digest of the whole body; a body that ends early rejects. */
  async #pass(
    call: number,
    body: AsyncIterable<Uint8Array>,
    sink: CallSink,
  ): Promise<Uint8Array | null> {
    const hash = createHash('sha256');
    let held: Uint8Array = NO_BODY;
    for await (const chunk of body) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; at += MAX_BODY_CHUNK_BYTES) {
        if (held.length > 0 && !(await sink.body({ call, bytes: held, last: false }))) return null;
        held = chunk.subarray(at, at + MAX_BODY_CHUNK_BYTES);
      }
    }
    await sink.body({ call, bytes: held, last: true });
    return new Uint8Array(hash.digest());
  }

  #note(made: Made, callClass: CallClass): void {
    made.noted = true;
    this.#of.breaker.note(callClass, made.retryAfterMs, this.#services.nowMs());
  }
}

function refused(
  errorClass: ErrorClass,
  retryAfterMs: number | null = null,
): Omit<FetchFailed, 'call'> {
  return { errorClass, retryAfterMs };
}
