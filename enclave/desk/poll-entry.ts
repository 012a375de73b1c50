// An account as its polling has it.

import type { Trigger } from '../../wire/exchange-call.ts';
import { TRIGGER } from '../../wire/exchange-call.ts';
import type { AccountState, Again } from './account-state.ts';
import type { Account } from './accounts.ts';
import type { PollReason } from './poll-leaf.ts';

export interface Due {
  readonly slotMs: number;
  readonly trigger: Trigger;
}

export function isOfSchedule({ trigger }: Pick<Due, 'trigger'>): boolean {
  return trigger === TRIGGER.schedule || trigger === TRIGGER.snapshot;
}

export interface Entry {
  readonly account: Account;
  readonly state: AccountState;
  cancelDue: () => void;
  cancelRetry: () => void;
  /** In the line, or to be there as soon as the poll that runs is over. */
  queued: Due | null;
  leaveLine: () => void;
  /** Ends the poll that runs; null when none does. */
  stop: (() => void) | null;
  /** Slots that passed while the log took nothing. */
  held: { readonly fromMs: number; readonly count: number; readonly reason: PollReason } | null;
  /** Read again after the poll that runs, which brings cursors of its own. */
  again: Again[];
  removed: boolean;
}

export function newEntry(account: Account, state: AccountState): Entry {
  return {
    account,
    state,
    cancelDue: () => undefined,
    cancelRetry: () => undefined,
    queued: null,
    leaveLine: () => undefined,
    stop: null,
    held: null,
    again: [],
    removed: false,
  };
}

/** Of jobs, and of their calls: lower goes first. */
export const PRIORITY = {
  snapshot: 0,
  schedule: 1,
  check: 2,
  first: 3,
  retry: 4,
  prices: 5,
} as const;

/** Where nothing was ever told the first poll asks for a week: many such must not keep those waiting that are known. */
export function priorityOf({ state }: Entry, trigger: Trigger): number {
  if (trigger === TRIGGER.retry) return PRIORITY.retry;
  if (trigger === TRIGGER.registration || state.asOfMs === null) return PRIORITY.first;
  return trigger === TRIGGER.snapshot ? PRIORITY.snapshot : PRIORITY.schedule;
}
