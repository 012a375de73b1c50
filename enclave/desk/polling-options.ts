// What polling is given: the desk's services, its time, and a way to the venues.

import type { StatedHead } from '../ledger/messages.ts';
import type { Account } from './accounts.ts';
import type { HttpClient } from './http.ts';
import type { PollDraft } from './ledger-polls.ts';
import type { DeskServices } from './services.ts';
import type { Time } from './time.ts';

/** Who hears of all records beside the sums. */
export interface PollSink {
  /** `head`: of its chain, as `keep` was told last. */
  add(account: Account, head: StatedHead | null, keep: (head: StatedHead) => void): void;
  remove(id: string): void;
  /** Of a poll that begins. */
  draft(id: string): PollDraft;
  missed(id: string, fromMs: number, toMs: number, reason: string): void;
}

export interface PollingOptions {
  readonly services: Pick<
    DeskServices,
    | 'append'
    | 'configuration'
    | 'egress'
    | 'guard'
    | 'isReady'
    | 'logStalled'
    | 'nowMs'
    | 'nowNs'
    | 'onOutput'
    | 'spawnConnector'
  >;
  readonly time: Time;
  readonly http: HttpClient & { readonly counters?: Readonly<Record<string, number>> };
  readonly ledger?: PollSink | null;
  /** Processes at a time. */
  readonly connectors?: number;
  /** Of one call. */
  readonly retries?: number;
  /** From 0 to 1. */
  readonly random?: () => number;
  /** Credentials go to a connector; a connector ended (null). */
  readonly onAudit?: (
    event: 'credentials_used' | 'connector_recycled',
    account: Account | null,
  ) => void;
}
