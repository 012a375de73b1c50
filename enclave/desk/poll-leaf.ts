// The leaf of one poll: what was due, what was called, what came of it, in the bounds of its layout.

import type { RefusalCode } from '../../wire/codes.ts';
import type {
  Coverage as LeafCoverage,
  ExchangeCall,
  ExchangePoll,
  Trigger,
} from '../../wire/exchange-call.ts';
import {
  encodeExchangePoll,
  MAX_POLL_BYTES,
  MAX_POLL_COVERAGE,
  OUTCOME,
} from '../../wire/exchange-call.ts';
import type { Coverage, ErrorClass } from '../connector/classes.ts';
import { ERROR_CLASSES, isRetryable } from '../connector/classes.ts';
import type { Account } from './accounts.ts';

/** Why a poll did not give all. */
export type PollReason =
  ErrorClass | 'connector' | 'deadline' | 'records' | 'late' | 'not_running' | 'log_stalled';

const CODES: Readonly<Record<PollReason, RefusalCode>> = {
  network: 'exchange_network',
  timeout: 'exchange_network',
  rate_limited: 'exchange_rate_limited',
  banned: 'exchange_rate_limited',
  unavailable: 'exchange_unavailable',
  maintenance: 'exchange_unavailable',
  invalid_nonce: 'exchange_refused',
  bad_response: 'exchange_answer_invalid',
  authentication: 'exchange_refused',
  permission: 'exchange_refused',
  account: 'exchange_refused',
  bad_request: 'exchange_answer_invalid',
  not_supported: 'exchange_answer_invalid',
  geo_blocked: 'exchange_blocked',
  tls_untrusted: 'tls_untrusted',
  redirected: 'exchange_answer_invalid',
  too_large: 'exchange_answer_invalid',
  host_not_allowed: 'host_not_measured',
  connector: 'poll_incomplete',
  deadline: 'poll_incomplete',
  records: 'exchange_answer_invalid',
  late: 'poll_missed',
  not_running: 'poll_missed',
  log_stalled: 'log_stalled',
};

export function codeOf(reason: PollReason): RefusalCode {
  return CODES[reason];
}

/** Another poll soon may do better. */
export function mayPass(reason: PollReason): boolean {
  const isClass = (ERROR_CLASSES as readonly string[]).includes(reason);
  return isClass ? isRetryable(reason as ErrorClass) : reason !== 'records';
}

export interface PollTimes {
  readonly slotNs: bigint;
  readonly startedNs: bigint;
  readonly endedNs: bigint;
}

type What = Pick<Account, 'commitment' | 'environment' | 'venue'>;

/** Beyond the maximum, rows of one subject become one that is as bad as the worst of them. */
function boundCoverage(given: readonly Coverage[]): readonly LeafCoverage[] {
  const rows = given.map(({ what, market, fromMs, toMs, complete, reason }) => {
    return {
      what,
      market,
      fromMs,
      toMs: Math.max(fromMs, toMs),
      complete,
      reason: complete ? null : reason,
    };
  });
  if (rows.length <= MAX_POLL_COVERAGE) return rows;
  const bySubject = new Map<string, LeafCoverage>();
  for (const row of rows) {
    const known = bySubject.get(row.what);
    bySubject.set(row.what, {
      what: row.what,
      market: 'all',
      fromMs: Math.max(row.fromMs, known?.fromMs ?? 0),
      toMs: Math.max(row.fromMs, known?.fromMs ?? 0, Math.min(row.toMs, known?.toMs ?? row.toMs)),
      complete: row.complete && known?.complete !== false,
      reason: row.reason ?? known?.reason ?? null,
    });
  }
  return [...bySubject.values()];
}

export function encodePoll(
  account: What,
  times: PollTimes,
  trigger: Trigger,
  outcome: keyof typeof OUTCOME,
  reason: PollReason | null,
  calls: readonly ExchangeCall[] = [],
  coverage: readonly Coverage[] = [],
): Uint8Array {
  const poll: ExchangePoll = {
    accountCommitment: account.commitment,
    venue: account.venue,
    environment: account.environment,
    scheduledNs: times.slotNs,
    startedNs: times.startedNs,
    endedNs: times.endedNs,
    outcome: OUTCOME[outcome],
    refusal: outcome === 'complete' ? null : codeOf(reason ?? 'connector'),
    trigger,
    calls,
    coverage: boundCoverage(coverage),
  };
  const bytes = encodeExchangePoll(poll);
  if (bytes.length > MAX_POLL_BYTES) throw new RangeError('a poll larger than its leaf may be');
  return bytes;
}
