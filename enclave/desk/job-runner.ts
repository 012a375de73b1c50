// Runs jobs on connectors of the pool: which calls they may make, on whose behalf, and what is told to the breaker when
// they are over.

import type { Trigger } from '../../wire/exchange-call.ts';
import { TRIGGER } from '../../wire/exchange-call.ts';
import { KIND } from '../../wire/leaf.ts';
import type { PriceItem } from '../connector/job.ts';
import type { RecordPage } from '../connector/pages.ts';
import type { AccountState } from './account-state.ts';
import type { Account } from './accounts.ts';
import type { CallServices } from './calls.ts';
import { JobCalls } from './calls.ts';
import type { ConnectorLink } from './connector-link.ts';
import type { ConnectorPool } from './connector-pool.ts';
import type { JobResult } from './poll-job.ts';
import { MAX_JOB_CALLS, runJob } from './poll-job.ts';
import { PRIORITY } from './poll-entry.ts';
import { encodePoll } from './poll-leaf.ts';
import type { PollRecords } from './poll-records.ts';
import type { PollingOptions } from './polling-options.ts';
import type { VenueTable } from './venue-table.ts';
import { noteCost } from './venue-table.ts';

const RETRIES = 4;

interface RunnerParts {
  readonly options: Pick<PollingOptions, 'onAudit' | 'retries' | 'services' | 'time'>;
  readonly calls: CallServices;
  readonly pool: ConnectorPool;
  readonly venues: VenueTable;
  readonly isOurs: (clientOrderId: string) => boolean;
  readonly deadlineMs: number;
}

export interface RunHooks {
  readonly onLink?: (link: ConnectorLink) => void;
  /** Records as they come; a job that breaks off has counted none of them. */
  readonly onPage?: (page: RecordPage) => void;
}

export class JobRunner {
  readonly #parts: RunnerParts;
  #lastJob = 0;
  /** Calls of all jobs. */
  made = 0;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  callsOf(account: Account, priority: number): JobCalls {
    const { calls, venues } = this.#parts;
    const { venue, environment, id } = account;
    const { breaker, retries } = venues.of(venue, environment);
    const of = { account: id, venue, environment, priority, breaker, retries };
    return new JobCalls(calls, { ...of, maxCalls: MAX_JOB_CALLS });
  }

  /** A job of no schedule, with its leaf: a check, or one of prices. */
  async single(
    account: Account,
    trigger: Trigger,
    prices: readonly PriceItem[] = [],
  ): Promise<Omit<JobResult, 'records'> & { readonly records: PollRecords | null }> {
    const { options, venues } = this.#parts;
    const { services, time } = options;
    const priority = trigger === TRIGGER.prices ? PRIORITY.prices : PRIORITY.check;
    const calls = this.callsOf(account, priority);
    const { breaker } = venues.of(account.venue, account.environment);
    const closed = breaker.admitJob(calls, time.nowMs());
    if (closed !== null) return { done: null, reason: closed, records: null };
    const startedNs = services.nowNs();
    const result = await this.run(account, null, calls, priority, {}, prices);
    const times = { slotNs: startedNs, startedNs, endedNs: services.nowNs() };
    const { done = null, reason = 'connector', records = null } = result ?? {};
    const outcome = done?.outcome ?? 'failed';
    const leaf = encodePoll(account, times, trigger, outcome, reason, calls.calls, done?.coverage);
    await services.append(KIND.exchangeCall, leaf);
    return { done, reason, records };
  }

  /** Without a state it is a check, or of prices. Null: no connector could be started. Takes its connector at once. */
  async run(
    account: Account,
    state: AccountState | null,
    calls: JobCalls,
    priority: number,
    { onLink, onPage }: RunHooks,
    prices: readonly PriceItem[] = [],
  ): Promise<JobResult | null> {
    const { pool, venues, isOurs, deadlineMs } = this.#parts;
    const { limiter } = this.#parts.calls;
    const { time, onAudit, retries = RETRIES } = this.#parts.options;
    this.#lastJob++;
    const options = {
      id: this.#lastJob,
      kind: state !== null ? 'poll' : prices.length > 0 ? 'prices' : 'check',
      prices,
      fromMs: state?.fromMs ?? time.nowMs(),
      reads: state?.reads ?? 'on',
      priority,
      deadlineMs,
      retries,
      isOurs,
      onPage: onPage ?? ((): void => undefined),
    } as const;
    const result = await pool.use((link) => {
      onLink?.(link);
      if (account.credentials.apiKey.length > 0) onAudit?.('credentials_used', account);
      return runJob(link, account, state, calls, time, options);
    });
    calls.end();
    const entry = venues.of(account.venue, account.environment);
    entry.breaker.release(calls);
    noteCost(entry, priority, limiter.costOf(calls.counted));
    this.made += calls.calls.length;
    return result;
  }
}
