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

/** Slots that passed while the log took nothing. */
export interface Held {
  readonly fromMs: number;
  readonly count: number;
  readonly reason: PollReason;
}

export class Entry {
  readonly account: Account;
  readonly state: AccountState;
  cancelDue: () => void = () => undefined;
  cancelRetry: () => void = () => undefined;
  /** In the line, or to be there as soon as the poll that runs is over. */
  queued: Due | null = null;
  leaveLine: () => void = () => undefined;
  /** Ends the poll that runs; null when none does. */
  stop: (() => void) | null = null;
  removed = false;
  #held: Held | null = null;
  readonly #again: Again[] = [];

  constructor(account: Account, state: AccountState) {
    this.account = account;
    this.state = state;
  }

  /** With those that are held already: one row, from the first of them on and for its reason. */
  hold(more: Held): void {
    const held = this.#held;
    this.#held = held === null ? more : { ...held, count: held.count + more.count };
  }

  /** Nothing is held any more. */
  takeHeld(): Held | null {
    const held = this.#held;
    this.#held = null;
    return held;
  }

  /** The account is read again when it is polled next: the poll that runs brings cursors of its own. */
  readAgain(again: Again): void {
    if (this.stop === null) this.state.resync(again);
    else this.#again.push(again);
  }

  /** The poll that ran is over, and its cursors are those of the state. */
  readWaiting(): void {
    for (const again of this.#again.splice(0)) this.state.resync(again);
  }
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
