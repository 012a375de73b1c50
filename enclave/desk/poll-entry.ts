// An account as its polling has it.

import type { Trigger } from '../../wire/exchange-call.ts';
import type { AccountState } from './account-state.ts';
import type { Account } from './accounts.ts';
import type { PollReason } from './poll-leaf.ts';

export interface Due {
  readonly slotMs: number;
  readonly trigger: Trigger;
}

export interface Entry {
  readonly account: Account;
  readonly state: AccountState;
  cancelDue: () => void;
  cancelRetry: () => void;
  queued: Due | null;
  /** Ends the poll that runs; null when none does. */
  stop: (() => void) | null;
  /** Slots that passed while the log took nothing. */
  held: { readonly fromMs: number; readonly count: number; readonly reason: PollReason } | null;
  removed: boolean;
}
