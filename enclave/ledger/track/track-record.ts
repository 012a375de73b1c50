// The orchestrator of the track record: every account has a queue, in which its polls are stored and booked and its hours
// closed, one after the other; accounts do not wait for each other. What is queued is bounded: a poll beyond it is not taken,
// and the account is polled anew when there is room again.

import type { LedgerAccount } from '../protocol.ts';
import type { LedgerPart, LedgerServices } from '../services.ts';
import type { TrackStore } from '../store/contract.ts';
import type { BookMaker } from './account-parts.ts';
import { AccountTrack } from './account-track.ts';

/** Polls of an account that wait for the store; an hour and more. */
export const MAX_QUEUED_POLLS = 24;
/** Accounts that were removed and wait for the store; as many as the desk remembers. */
const MAX_ENDING = 256;
const TICK_MS = 5000;
const RETRY_MS = 1000;
const MIN_GRACE_MS = 600_000;
const DEFAULT_POLLING_MS = 300_000;

export interface TrackRecordOptions {
  readonly store: TrackStore;
  readonly books: BookMaker;
  /** How long an hour waits for a complete poll; default two polls, 10 minutes at least. */
  readonly graceMs?: number;
  readonly tickMs?: number;
  readonly retryMs?: number;
}

interface Queue {
  readonly track: AccountTrack;
  readonly abort: AbortController;
  last: Promise<void>;
  polls: number;
  /** Since when polls were not taken. */
  behindMs: number | null;
  /** A look at the hours is queued already. */
  looking: boolean;
}

export class TrackRecord implements LedgerPart {
  readonly #services: LedgerServices;
  readonly #options: TrackRecordOptions;
  readonly #graceMs: number;
  readonly #queues = new Map<string, Queue>();
  /** Of accounts that were removed. */
  readonly #ending = new Set<Queue>();
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #counters: Record<string, number> = {
    accounts_refused: 0,
    statements: 0,
    corrections: 0,
    polls_not_taken: 0,
    records_new: 0,
    records_uncounted: 0,
    records_repeated: 0,
    records_late: 0,
    records_settled: 0,
    records_too_precise: 0,
    hours_not_reopened: 0,
  };

  constructor(services: LedgerServices, options: TrackRecordOptions) {
    this.#services = services;
    this.#options = options;
    const pollingMs = services.configuration.desk?.polling_ms ?? DEFAULT_POLLING_MS;
    this.#graceMs = options.graceMs ?? Math.max(MIN_GRACE_MS, 2 * pollingMs + 120_000);
    services.onAccount((account) => {
      this.#add(account);
    });
    services.onRemoved(({ id }) => {
      this.#remove(id);
    });
    services.onPoll((poll) => {
      const queue = this.#queues.get(poll.id);
      if (queue === undefined) return;
      if (queue.polls >= MAX_QUEUED_POLLS) {
        queue.behindMs ??= poll.slotMs;
        this.#count('polls_not_taken');
        return;
      }
      queue.polls++;
      this.#enqueue(queue, async (track) => {
        queue.polls--;
        await track.takePoll(poll);
        this.#catchUp(queue);
        await track.close();
      });
    });
    services.onMissed((missed) => {
      const queue = this.#queues.get(missed.id);
      if (queue === undefined) return;
      this.#enqueue(queue, async (track) => {
        await track.takeMissed(missed);
      });
    });
    this.#timer = setInterval(() => {
      this.look();
    }, options.tickMs ?? TICK_MS);
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, ...this.#options.store.counters };
  }

  get store(): TrackStore {
    return this.#options.store;
  }

  /** Null for an account that is not polled here. */
  track(accountId: string): AccountTrack | null {
    return this.#queues.get(accountId)?.track ?? null;
  }

  tracks(): readonly AccountTrack[] {
    return [...this.#queues.values()].map(({ track }) => track);
  }

  /** Closes the hours that are due; the timer does it too. */
  look(): void {
    for (const queue of this.#queues.values()) {
      if (queue.looking) continue;
      queue.looking = true;
      this.#enqueue(queue, async (track) => {
        queue.looking = false;
        await track.close();
      });
    }
  }

  /** Resolves when nothing that was queued before is left. */
  async idle(): Promise<void> {
    await Promise.all([...this.#queues.values(), ...this.#ending].map(({ last }) => last));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.idle();
    this.#options.store.close();
  }

  #add(account: LedgerAccount): void {
    if (this.#queues.has(account.id)) return;
    const { store, books, retryMs = RETRY_MS } = this.#options;
    const abort = new AbortController();
    const track = new AccountTrack({
      account,
      services: this.#services,
      store,
      books,
      graceMs: this.#graceMs,
      counters: this.#counters,
      retryMs,
      closing: AbortSignal.any([abort.signal, this.#closing.signal]),
    });
    const queue: Queue = {
      track,
      abort,
      last: Promise.resolve(),
      polls: 0,
      behindMs: null,
      looking: false,
    };
    this.#queues.set(account.id, queue);
    this.#enqueue(queue, async () => {
      await track.load();
    });
  }

  /** What is stored of it stays; its chain ends, behind what is under way. */
  #remove(id: string): void {
    const queue = this.#queues.get(id);
    if (queue === undefined) return;
    this.#queues.delete(id);
    this.#enqueue(queue, (track) => track.end());
    this.#ending.add(queue);
    for (const { abort } of [...this.#ending].slice(0, -MAX_ENDING)) abort.abort();
    void queue.last.then(() => {
      this.#ending.delete(queue);
      if (!this.#queues.has(id)) this.#options.store.forget(queue.track.account);
    });
  }

  #enqueue(queue: Queue, work: (track: AccountTrack) => Promise<void>): void {
    queue.last = queue.last.then(() =>
      this.#services.guard.runAsync(async () => {
        if (!queue.abort.signal.aborted && !this.#closing.signal.aborted) await work(queue.track);
      }),
    );
  }

  #catchUp(queue: Queue): void {
    if (queue.behindMs === null || queue.polls > 0) return;
    queue.track.resync(queue.behindMs);
    queue.behindMs = null;
  }

  #count(name: string): void {
    this.#counters[name] = (this.#counters[name] ?? 0) + 1;
  }
}
