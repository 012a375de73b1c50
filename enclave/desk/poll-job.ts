// One job on one connector: within its deadline, or it is ended together with the process. What it brought is handed back
// whole; nothing of a job that broke off counts.

import type { Account } from './accounts.ts';
import type { AccountState } from './account-state.ts';
import type { JobCalls } from './calls.ts';
import type { ConnectorLink } from './connector-link.ts';
import type { Done } from '../connector/protocol.ts';
import type { Job, PriceItem, Reads } from '../connector/job.ts';
import type { RecordPage } from '../connector/pages.ts';
import { PollRecords } from './poll-records.ts';
import type { PollReason } from './poll-leaf.ts';
import { Seen } from './seen.ts';
import type { Time } from './time.ts';

export const MAX_JOB_CALLS = 1000;
/** For what a connector does after its own deadline. */
const GRACE_MS = 5000;

export interface JobOptions {
  readonly id: number;
  readonly kind: Job['kind'];
  readonly prices: readonly PriceItem[];
  readonly fromMs: number;
  readonly reads: Reads;
  readonly priority: number;
  readonly deadlineMs: number;
  /** Of one call. */
  readonly retries: number;
  readonly isOurs: (clientOrderId: string) => boolean;
  readonly onPage: (page: RecordPage) => void;
}

export interface JobResult {
  /** Null: the job broke off. */
  readonly done: Done | null;
  /** Null only where the job is complete. */
  readonly reason: PollReason | null;
  readonly records: PollRecords;
}

function jobOf(
  { venue, accountType, environment, label, allowTrading, symbols, credentials }: Account,
  cursors: Uint8Array | null,
  nowMs: number,
  { id, kind, prices, fromMs, reads, priority, deadlineMs, retries }: JobOptions,
): Job {
  return {
    id,
    kind,
    venue,
    settings: { accountType, environment, label, allowTrading, symbols },
    credentials,
    cursors,
    fromMs,
    reads,
    nowMs,
    priority,
    budget: { calls: MAX_JOB_CALLS, retries, deadlineMs },
    prices,
  };
}

export async function runJob(
  link: ConnectorLink,
  account: Account,
  state: AccountState | null,
  calls: JobCalls,
  time: Time,
  options: JobOptions,
): Promise<JobResult> {
  const nowMs = time.nowMs();
  const seen = state?.seen ?? { fill: new Seen(), funding: new Seen(), flow: new Seen() };
  const records = new PollRecords(seen, options.isOurs, nowMs);
  let broken: PollReason = 'connector';
  const cancel = time.after(options.deadlineMs + GRACE_MS, () => {
    broken = 'deadline';
    link.destroy();
  });
  const job = jobOf(account, state?.cursors ?? null, nowMs, options);
  const done = await link.run(job, calls, (page) => {
    const fits = records.take(page.kind, page.records);
    if (fits) options.onPage(page);
    else broken = 'records';
    return fits;
  });
  cancel();
  if (done === null) return { done, reason: broken, records };
  const reason = done.outcome === 'complete' ? null : (done.errorClass ?? 'deadline');
  return { done, reason, records };
}
