// How fast we may call: one limiter for all accounts behind our address, in the units that each venue counts. Calls wait
// for room in order of priority, and the less urgent ones leave a share of every limit to the others. What a
// venue says in its headers can only slow us down. A hostile venue can stop calls to itself.

import type { Rule } from './venues.ts';
import { rulesFor } from './venues.ts';
import type { Time } from './time.ts';

/**
 * Of a limit of our address, by priority: snapshot, schedule, check of a new account, its first polls, retries, prices. What goes
 * later never has more: new accounts could keep the schedule out with what only they may use.
 */
const SHARES: readonly number[] = [0.95, 0.75, 0.75, 0.75, 0.65, 0.55];
/** Of a limit of the account, which only its own calls use. */
const ACCOUNT_SHARE = 0.95;
const SLOTS = 10;
/** A venue's word on when to come back is believed up to here. */
const MAX_BLOCK_MS = 15 * 60_000;
const MAX_WAITING = 4096;
const MIN_TIDY = 4096;

/** What was used in the last `windowMs`, in ten slots that expire one by one: never more in any window. */
class Bucket {
  readonly rule: Rule;
  #capacity: number;
  readonly #slots: { slot: number; used: number }[] = [];
  blockedUntilMs = 0;

  constructor(rule: Rule) {
    this.rule = rule;
    this.#capacity = rule.capacity;
  }

  /** As good as a new one. */
  isIdle(nowMs: number): boolean {
    return this.blockedUntilMs <= nowMs && this.used(nowMs) === 0;
  }

  used(nowMs: number): number {
    const oldest = this.#slotOf(nowMs) - SLOTS;
    while ((this.#slots[0]?.slot ?? oldest) < oldest) this.#slots.shift();
    return this.#slots.reduce((sum, { used }) => sum + used, 0);
  }

  add(cost: number, nowMs: number): void {
    const slot = this.#slotOf(nowMs);
    const last = this.#slots.at(-1);
    if (last?.slot === slot) last.used += cost;
    else this.#slots.push({ slot, used: cost });
  }

  mostOf(share: number): number {
    return Math.max(1, this.#capacity * share);
  }

  /** 0: there is room for `cost`; else after how many milliseconds to look again. */
  waitMs(cost: number, share: number, nowMs: number): number {
    if (this.blockedUntilMs > nowMs) return this.blockedUntilMs - nowMs;
    // What is larger than the whole share goes alone.
    const most = this.mostOf(share);
    const used = this.used(nowMs);
    if (used === 0 || used + cost <= most) return 0;
    const first = this.#slots[0]?.slot ?? this.#slotOf(nowMs);
    return Math.max(1, (first + SLOTS + 1) * this.#slotMs - nowMs);
  }

  /** The venue's own count, which others behind our address or our last epoch may have raised. */
  learn(headers: ReadonlyMap<string, string>, nowMs: number): void {
    const { used, limit, remaining, reset } = this.rule;
    const limitSaid = numberIn(headers, limit);
    if (limitSaid !== null && limitSaid >= 1) {
      this.#capacity = Math.min(this.rule.capacity, limitSaid);
    }
    const left = numberIn(headers, remaining);
    const told = numberIn(headers, used) ?? (left === null ? null : this.#capacity - left);
    if (told !== null) {
      const missing = told - this.used(nowMs);
      if (missing > 0) this.add(missing, nowMs);
    }
    const resetSaid = numberIn(headers, reset?.header);
    if (left !== null && left < 1 && resetSaid !== null && reset !== undefined) {
      this.block(resetSaid * (reset.unit === 's' ? 1000 : 1) - nowMs, nowMs);
    }
  }

  block(forMs: number, nowMs: number): void {
    const untilMs = nowMs + Math.min(Math.max(0, forMs), MAX_BLOCK_MS);
    this.blockedUntilMs = Math.max(this.blockedUntilMs, untilMs);
  }

  get #slotMs(): number {
    return this.rule.windowMs / SLOTS;
  }

  #slotOf(nowMs: number): number {
    return Math.floor(nowMs / this.#slotMs);
  }
}

function numberIn(headers: ReadonlyMap<string, string>, name: string | undefined): number | null {
  const text = name === undefined ? undefined : headers.get(name);
  return text !== undefined && /^\d{1,15}(?:\.\d{1,6})?$/u.test(text) ? Number(text) : null;
}

export interface LimitedCall {
  readonly account: string;
  readonly host: string;
  readonly path: string;
  /** In the venue's unit. */
  readonly weight: number;
  /** 0 first. */
  readonly priority: number;
}

/** What a job counts, by rule and host; not where each path has a count of its own, which are of seconds. */
export type JobCost = ReadonlyMap<string, number>;

interface Waiter {
  readonly call: LimitedCall;
  readonly buckets: readonly Bucket[];
  readonly resolve: (waitMs: number) => void;
}

export class Limiter {
  readonly #time: Time;
  readonly #buckets = new Map<string, Bucket>();
  /** So many, and it is time to look for idle ones. */
  #tidyAt = MIN_TIDY;
  /** By priority, then as they came. */
  #waiting: Waiter[] = [];
  #cancelTimer: (() => void) | null = null;
  readonly counters = { limiter_waits: 0, limiter_deferred: 0 };

  constructor(time: Time) {
    this.#time = time;
  }

  /**
   * Resolves to 0 when the call may go, and is counted; to a time to wait when there would be no room within
   * `patienceMs`, since signatures grow old. Negative: given up by `signal`.
   */
  acquire(call: LimitedCall, patienceMs: number, signal: AbortSignal): Promise<number> {
    const buckets = this.#bucketsOf(call);
    const { promise, resolve } = Promise.withResolvers<number>();
    if (this.#waiting.length >= MAX_WAITING) return Promise.resolve(patienceMs);
    const settle = (waitMs: number): void => {
      cancel();
      signal.removeEventListener('abort', leave);
      resolve(waitMs);
    };
    const waiter: Waiter = { call, buckets, resolve: settle };
    const leave = (): void => {
      this.#remove(waiter);
      settle(-1);
    };
    const cancel = this.#time.after(patienceMs, () => {
      this.counters.limiter_deferred++;
      this.#remove(waiter);
      settle(Math.max(1000, this.#waitOf(waiter)));
    });
    if (signal.aborted) {
      settle(-1);
      return promise;
    }
    signal.addEventListener('abort', leave);
    const at = this.#waiting.findIndex((other) => other.call.priority > call.priority);
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, waiter);
    this.#serve();
    if (this.#waiting.includes(waiter)) this.counters.limiter_waits++;
    return promise;
  }

  /** After each answer. */
  learn(call: LimitedCall, headers: ReadonlyMap<string, string>): void {
    for (const bucket of this.#bucketsOf(call)) bucket.learn(headers, this.#time.nowMs());
  }

  /** The venue said in the body that this account is too fast. */
  blockAccount(call: LimitedCall, forMs: number): void {
    for (const bucket of this.#bucketsOf(call)) {
      if (bucket.rule.scope === 'account') bucket.block(forMs, this.#time.nowMs());
    }
  }

  /** Of all calls of a job together. */
  costOf(calls: readonly LimitedCall[]): JobCost {
    const cost = new Map<string, number>();
    for (const call of calls) {
      for (const rule of rulesFor(call.host, call.path)) {
        if (rule.perPath === true) continue;
        const key = `${rule.name}|${call.host}`;
        cost.set(key, (cost.get(key) ?? 0) + costOf(rule, call));
      }
    }
    return cost;
  }

  /**
   * How long until so much has room in the counts of an account, or of our address (''); 0: it has. However much it is,
   * more than half of a share never has to be free.
   */
  roomMs(cost: JobCost, owner: string, priority: number): number {
    let waitMs = 0;
    for (const [key, amount] of cost) {
      const bucket = this.#buckets.get(`${owner}|${key}`);
      if (bucket === undefined) continue;
      const share = shareOf(bucket, priority);
      const asked = Math.min(amount, bucket.mostOf(share) / 2);
      waitMs = Math.max(waitMs, bucket.waitMs(asked, share, this.#time.nowMs()));
    }
    return waitMs;
  }

  /** Counts that are kept. */
  get size(): number {
    return this.#buckets.size;
  }

  forget(account: string): void {
    for (const key of this.#buckets.keys()) {
      if (key.startsWith(`${account}|`)) this.#buckets.delete(key);
    }
  }

  #bucketsOf({ account, host, path }: LimitedCall): readonly Bucket[] {
    this.#tidy();
    return rulesFor(host, path).map((rule) => {
      const owner = rule.scope === 'account' ? account : '';
      // Test systems count for themselves.
      const place = rule.perPath === true ? `${host}${path}` : host;
      const key = `${owner}|${rule.name}|${place}`;
      const bucket = this.#buckets.get(key) ?? new Bucket(rule);
      this.#buckets.set(key, bucket);
      return bucket;
    });
  }

  /** Accounts come and go, and paths are a connector's: what nobody uses is forgotten. */
  #tidy(): void {
    if (this.#buckets.size < this.#tidyAt) return;
    const inUse = new Set(this.#waiting.flatMap(({ buckets }) => buckets));
    for (const [key, bucket] of this.#buckets) {
      if (bucket.isIdle(this.#time.nowMs()) && !inUse.has(bucket)) this.#buckets.delete(key);
    }
    this.#tidyAt = Math.max(MIN_TIDY, 2 * this.#buckets.size);
  }

  /** The longest of them; 0 when there is room in all. */
  #waitOf({ call, buckets }: Waiter): number {
    return Math.max(0, ...buckets.map((bucket) => this.#waitIn(bucket, call)));
  }

  #waitIn(bucket: Bucket, call: LimitedCall): number {
    const share = shareOf(bucket, call.priority);
    return bucket.waitMs(costOf(bucket.rule, call), share, this.#time.nowMs());
  }

  #serve(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    const full = new Set<Bucket>();
    let nextMs = Number.POSITIVE_INFINITY;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      const { call, buckets } = waiter;
      const waitMs = this.#waitOf(waiter);
      // Nobody overtakes where somebody waits for the same count.
      if (waitMs === 0 && !buckets.some((bucket) => full.has(bucket))) {
        for (const bucket of buckets) bucket.add(costOf(bucket.rule, call), this.#time.nowMs());
        waiter.resolve(0);
        continue;
      }
      this.#waiting.push(waiter);
      for (const bucket of buckets) if (this.#waitIn(bucket, call) > 0) full.add(bucket);
      if (waitMs > 0) nextMs = Math.min(nextMs, waitMs);
    }
    if (this.#waiting.length > 0) {
      this.#cancelTimer = this.#time.after(Math.min(nextMs, MAX_BLOCK_MS), () => {
        this.#serve();
      });
    }
  }

  #remove(waiter: Waiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}

function costOf(rule: Rule, { weight }: LimitedCall): number {
  return rule.unit === 'call' ? 1 : weight;
}

function shareOf({ rule }: Bucket, priority: number): number {
  return rule.scope === 'account' ? ACCOUNT_SHARE : (SHARES[priority] ?? SHARES.at(-1) ?? 0);
}
