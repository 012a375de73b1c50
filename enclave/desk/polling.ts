// Polls accounts: what is due goes to a connector, its calls to the venue and its records to the account's state, and all of
// it, or that it did not happen, into the log. Nobody can ask for a poll: the schedule, a registration and one retry are
// the only reasons. The host can delay and fail polls, and that shows as missed and failed ones.

import { TRIGGER } from '../../wire/exchange-call.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { encodeAccountState, parseAccountState } from './account-codec.ts';
import type { Again } from './account-state.ts';
import { AccountState } from './account-state.ts';
import type { Account, AccountFigures, Permissions, Polling } from './accounts.ts';
import type { CallServices } from './calls.ts';
import { ConnectorPool } from './connector-pool.ts';
import { JobQueue } from './job-queue.ts';
import { JobRunner } from './job-runner.ts';
import { KeyChecks } from './key-checks.ts';
import { Limiter } from './limiter.ts';
import { OurOrders } from './our-orders.ts';
import type { Due } from './poll-entry.ts';
import { Entry, isOfSchedule, priorityOf } from './poll-entry.ts';
import type { PollReason } from './poll-leaf.ts';
import { encodePoll, mayPass } from './poll-leaf.ts';
import { PriceDesk } from './price-desk.ts';
import { dueMs, isSnapshot, nextSlot, slotOf } from './schedule.ts';
import type { PollingOptions } from './polling-options.ts';
import { VenueTable } from './venue-table.ts';

const DAY_MS = 86_400_000;
/** How far back sums begin, where the venue still shows it: the window of the hours. */
const HISTORY_MS: number = 7 * DAY_MS;
const MAX_JOB_MS = 120_000;
const RETRY_MS = 20_000;
const MS = 1_000_000n;
const CONNECTORS = 4;

export class AccountPolling implements Polling {
  readonly #options: PollingOptions;
  readonly #intervalMs: number;
  readonly #limiter: Limiter;
  readonly #venues: VenueTable;
  readonly #pool: ConnectorPool;
  readonly #queue: JobQueue;
  readonly #runner: JobRunner;
  /** What markets were worth: for whoever values accounts. */
  readonly prices: PriceDesk;
  readonly #entries = new Map<string, Entry>();
  readonly #orders = new OurOrders();
  readonly #listeners: ((id: string, state: Uint8Array) => void)[] = [];
  readonly #random: () => number;
  readonly #underWay = new Set<Promise<void>>();
  readonly #checks: KeyChecks;
  #closed = false;
  readonly #counters = {
    polls_complete: 0,
    polls_partial: 0,
    polls_failed: 0,
    polls_missed: 0,
    records_repeated: 0,
    states_refused: 0,
    states_too_large: 0,
  };

  constructor(options: PollingOptions) {
    this.#options = options;
    const { services, time, http, random = Math.random } = options;
    this.#intervalMs = services.configuration.desk?.polling_ms ?? 300_000;
    this.#random = random;
    this.#limiter = new Limiter(time);
    this.#venues = new VenueTable(random);
    this.#pool = new ConnectorPool({
      time,
      size: options.connectors ?? CONNECTORS,
      spawn: () => services.spawnConnector(),
      runAsync: (work) => services.guard.runAsync(work),
      onRecycled: () => options.onAudit?.('connector_recycled', null),
    });
    this.#queue = new JobQueue({
      time,
      pool: this.#pool,
      limiter: this.#limiter,
      venues: this.#venues,
      track: (work) => {
        this.#track(work);
      },
    });
    const calls: CallServices = {
      crypto: nodeCrypto,
      http,
      limiter: this.#limiter,
      nowNs: () => services.nowNs(),
      nowMs: () => time.nowMs(),
      tlsNameOf: (host, port) => services.egress.tlsNameOf(host, port),
      onVersionNotice: (venue) => {
        this.#venues.of(venue).versionNotices++;
      },
    };
    this.#runner = new JobRunner({
      options,
      calls,
      pool: this.#pool,
      venues: this.#venues,
      isOurs: (clientOrderId) => this.#orders.has(clientOrderId),
      deadlineMs: Math.min(MAX_JOB_MS, Math.floor(this.#intervalMs / 2)),
    });
    this.#checks = new KeyChecks(this.#queue, this.#runner);
    this.prices = new PriceDesk({
      services,
      time,
      runner: this.#runner,
      queue: this.#queue,
      accounts: () => [...this.#entries.values()].map(({ account }) => account),
    });
    services.onOutput(({ clientOrderId }) => {
      this.#orders.add(clientOrderId);
    });
  }

  get counters(): Readonly<Record<string, number>> {
    return {
      ...this.#counters,
      accounts: this.#entries.size,
      polls_waiting: this.#queue.length,
      connectors: this.#pool.running,
      poll_calls: this.#runner.made,
      ...this.#pool.counters,
      ...this.#limiter.counters,
      ...this.#venues.counters,
      ...this.#options.http.counters,
    };
  }

  /** Something is under way, or waits for a connector. */
  get busy(): boolean {
    return this.#underWay.size > 0 || this.#queue.length > 0;
  }

  /** State of each venue that was asked since the start: for operators. */
  get venues(): VenueTable {
    return this.#venues;
  }

  check(account: Account): Promise<Result<Permissions>> {
    return this.#checks.check(account);
  }

  add(account: Account, restored: Uint8Array | null): void {
    const { time, services } = this.#options;
    const nowMs = time.nowMs();
    const createdMs = Number(account.createdNs / MS);
    // Without its state nobody knows any more which polls there were before now.
    const sinceMs = nowMs - createdMs < this.#intervalMs ? createdMs : nowMs;
    const known = restored === null ? null : parseAccountState(restored, account.commitment);
    if (known?.ok === false) this.#counters.states_refused++;
    const state =
      known?.ok === true ? known.value : new AccountState(sinceMs, createdMs - HISTORY_MS);
    const entry = new Entry(account, state);
    this.#entries.set(account.id, entry);
    this.#options.ledger?.add(account, state.head, (head) => {
      state.head = head;
      this.#keepState(account, state);
    });
    const { lastSlotMs } = state;
    const next = nextSlot(nowMs, this.#intervalMs, account.id);
    if (lastSlotMs !== null) {
      this.#hold(entry, lastSlotMs + this.#intervalMs, next, 'not_running');
    } else if (services.isReady()) {
      this.#enqueue(entry, { slotMs: nowMs, trigger: TRIGGER.registration });
    }
    this.#schedule(entry, nowMs);
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.removed = true;
    entry.queued = null;
    entry.leaveLine();
    entry.cancelDue();
    entry.cancelRetry();
    entry.stop?.();
    this.#limiter.forget(id);
    this.#entries.delete(id);
    // At the close the ledger goes on with what it has.
    if (!this.#closed) this.#options.ledger?.remove(id);
  }

  isHeard(id: string, heardMs: number | null): boolean {
    return this.#entries.get(id)?.state.isHeard(heardMs) === true;
  }

  /** The account is read again when it is polled next. */
  resync(id: string, again: Again): void {
    this.#entries.get(id)?.readAgain(again);
  }

  figures(id: string): AccountFigures | null {
    const hasStrategies = this.#options.services.configuration.strategies.length > 0;
    const state = this.#entries.get(id)?.state;
    return state?.figures(this.#options.time.nowMs(), hasStrategies) ?? null;
  }

  onState(listener: (id: string, state: Uint8Array) => void): void {
    this.#listeners.push(listener);
  }

  /** Ends what runs; nothing is polled any more. Resolves when the leaves of what was ended are in the log. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.close();
    for (const id of this.#entries.keys()) this.remove(id);
    this.#pool.close();
    await Promise.all(this.#underWay);
  }

  // The schedule

  /** The next slot after the time `afterMs`. */
  #schedule(entry: Entry, afterMs: number): void {
    const { time } = this.#options;
    const { id } = entry.account;
    const slotMs = nextSlot(afterMs, this.#intervalMs, id);
    const atMs = dueMs(slotMs, this.#intervalMs, id);
    entry.cancelDue = time.after(atMs - time.nowMs(), () => {
      this.#options.services.guard.run(() => {
        if (entry.removed) return;
        entry.cancelRetry();
        this.#onDue(entry, slotMs);
        // Timers may be early by a moment: this slot is not due again.
        this.#schedule(entry, Math.max(atMs, time.nowMs()));
      });
    });
  }

  #onDue(entry: Entry, slotMs: number): void {
    const { services } = this.#options;
    if (!services.isReady() || services.logStalled()) {
      this.#hold(entry, slotMs, slotMs + this.#intervalMs, 'log_stalled');
      return;
    }
    this.#settleHeld(entry);
    const trigger = isSnapshot(slotMs, this.#intervalMs) ? TRIGGER.snapshot : TRIGGER.schedule;
    this.#enqueue(entry, { slotMs, trigger });
  }

  /** Slots from `fromMs` to before `toMs` had no poll, and the log cannot hear of it yet. */
  #hold(entry: Entry, fromMs: number, toMs: number, reason: PollReason): void {
    const count = Math.floor((toMs - fromMs) / this.#intervalMs);
    if (count > 0) entry.hold({ fromMs, count, reason });
  }

  #settleHeld(entry: Entry): void {
    const held = entry.takeHeld();
    if (held === null) return;
    const due = { slotMs: held.fromMs, trigger: TRIGGER.schedule };
    this.#miss(entry, due, held.reason, held.count);
  }

  #enqueue(entry: Entry, due: Due): void {
    const { queued } = entry;
    entry.queued = due;
    // Its slot is over. That of a retry has its leaf, and the first poll is now that of the first slot.
    if (queued !== null && isOfSchedule(queued)) this.#miss(entry, queued, 'late');
    const priority = priorityOf(entry, due.trigger);
    const keepsPlace = queued !== null && priority === priorityOf(entry, queued.trigger);
    if (!keepsPlace && entry.stop === null) this.#line(entry, priority);
  }

  #line(entry: Entry, priority: number): void {
    entry.leaveLine();
    entry.leaveLine = this.#queue.add(entry.account, priority, async () => {
      const now = entry.queued;
      entry.queued = null;
      if (now !== null && !entry.removed) await this.#poll(entry, now);
    });
  }

  #track(work: () => Promise<void>): void {
    const running = this.#options.services.guard.runAsync(work).then(() => {
      this.#underWay.delete(running);
    });
    this.#underWay.add(running);
  }

  async #poll(entry: Entry, due: Due): Promise<void> {
    const { services, time } = this.#options;
    const { account, state } = entry;
    const priority = priorityOf(entry, due.trigger);
    const calls = this.#runner.callsOf(account, priority);
    const { breaker } = this.#venues.of(account.venue, account.environment);
    const closed = breaker.admitJob(calls, time.nowMs());
    if (closed !== null) {
      // The slot of a retry has its leaf.
      if (due.trigger === TRIGGER.retry) return;
      this.#miss(entry, due, closed);
      this.#retryLater(entry, due, closed);
      return;
    }
    entry.stop = () => {
      calls.end();
    };
    const { sinceMs } = state;
    const startedNs = services.nowNs();
    const draft = this.#options.ledger?.draft(account.id);
    const result = await this.#runner.run(account, state, calls, priority, {
      onLink: (link) => {
        entry.stop = () => {
          link.destroy();
        };
        // Removed while its connector was started.
        if (entry.removed) link.destroy();
      },
      onPage: (page) => draft?.page(page),
    });
    const endedNs = services.nowNs();
    const { done = null, records = null } = result ?? {};
    const outcome = done?.outcome ?? 'failed';
    const reason = result === null ? 'connector' : result.reason;
    const coverage = done?.coverage ?? [];
    const times = { slotNs: BigInt(due.slotMs) * MS, startedNs, endedNs };
    const leaf = encodePoll(account, times, due.trigger, outcome, reason, calls.calls, coverage);
    const { index: leafIndex } = await services.append(KIND.exchangeCall, leaf);
    entry.stop = null;
    this.#counters[`polls_${outcome}`]++;
    // A retry has the slot of the poll that it repeats: the gap began there.
    if (entry.removed) return;
    this.#counters.records_repeated += records?.repeated ?? 0;
    this.prices.learn(account, records?.prices ?? []);
    const end = {
      outcome,
      reason,
      slotMs: due.slotMs,
      startedMs: Number(startedNs / MS),
      endedMs: Number(endedNs / MS),
      sinceMs,
      coverage,
    };
    state.apply({
      ...end,
      isRetry: due.trigger === TRIGGER.retry,
      cursors: done?.cursors ?? null,
      records: outcome === 'failed' ? null : records,
      hosts: calls.hosts,
    });
    entry.readWaiting();
    const hosts = [...calls.hosts].map(([host, spki]) => ({ host, spki }));
    draft?.end({ ...end, leafIndex, hosts });
    this.#noteSlot(entry, due);
    const { queued } = entry;
    if (queued !== null) this.#line(entry, priorityOf(entry, queued.trigger));
    else if (reason !== null) this.#retryLater(entry, due, reason);
  }

  #miss(entry: Entry, { slotMs, trigger }: Due, reason: PollReason, count = 1): void {
    const { services } = this.#options;
    const nowNs = services.nowNs();
    const times = { slotNs: BigInt(slotMs) * MS, startedNs: nowNs, endedNs: nowNs };
    const leaf = encodePoll(entry.account, times, trigger, 'missed', reason);
    this.#counters.polls_missed += count;
    const nowMs = this.#options.time.nowMs();
    entry.state.miss(slotMs, nowMs, count, reason);
    this.#options.ledger?.missed(entry.account.id, slotMs, nowMs, reason);
    this.#noteSlot(entry, { slotMs: slotMs + (count - 1) * this.#intervalMs, trigger });
    this.#track(async () => {
      await services.append(KIND.exchangeCall, leaf);
    });
  }

  #noteSlot(entry: Entry, { slotMs, trigger }: Due): void {
    const { account, state } = entry;
    const slot = isOfSchedule({ trigger }) ? slotMs : slotOf(slotMs, this.#intervalMs);
    state.lastSlotMs = Math.max(state.lastSlotMs ?? 0, slot);
    this.#keepState(account, state);
  }

  #keepState(account: Account, state: AccountState): void {
    const bytes = encodeAccountState(state, account.commitment);
    if (bytes === null) this.#counters.states_too_large++;
    else for (const listener of this.#listeners) listener(account.id, bytes);
  }

  /** Once for each slot, where it may help, and not before the breaker lets somebody try. */
  #retryLater(entry: Entry, { slotMs, trigger }: Due, reason: PollReason): void {
    const { time, services } = this.#options;
    if (trigger === TRIGGER.retry || !mayPass(reason)) return;
    const nowMs = time.nowMs();
    const { venue, environment } = entry.account;
    const { breaker } = this.#venues.of(venue, environment);
    const openMs = breaker.state === 'closed' ? 0 : Math.max(0, breaker.openUntilMs - nowMs);
    const waitMs = openMs + RETRY_MS * (1 + this.#random());
    entry.cancelRetry = time.after(waitMs, () => {
      services.guard.run(() => {
        const isFree = entry.stop === null && entry.queued === null;
        if (entry.removed || !isFree || services.logStalled()) return;
        this.#enqueue(entry, { slotMs, trigger: TRIGGER.retry });
      });
    });
  }
}
