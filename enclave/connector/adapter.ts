// What every venue's adapter is: it opens with one job's keys, says what the key may do, and lists what can be
// asked for. Lists come in phases, because one answer may show what to ask for next.

import { HOUR_MS, MINUTE_MS } from './job.ts';
import type { Permissions } from './protocol.ts';
import type { Cursors } from './cursors.ts';
import type { Run } from './run.ts';
import type { Source } from './source.ts';

export interface Adapter {
  /** Throws CallError: `authentication` for keys that are no good. */
  readonly check: () => Promise<Permissions>;
  /** One after the other; each is called when the sources of the one before were walked. */
  readonly phases: readonly (() => Promise<readonly Source[]>)[];
  /** After the job, whatever came of it. */
  readonly close: () => void;
}

export type OpenAdapter = (run: Run, cursors: Cursors) => Promise<Adapter>;

export const UNKNOWN_PERMISSIONS: Permissions = {
  read: null,
  trade: null,
  withdraw: null,
  transfer: null,
  ipRestricted: null,
  subAccount: null,
  expiresMs: null,
  accountId: null,
};

export { HOUR_MS } from './job.ts';
export const DAY_MS = 86_400_000;

/** Fills show within seconds everywhere; deposits and transfers take longer to appear. */
export const FILL_OVERLAP_MS: number = 10 * MINUTE_MS;
export const FLOW_OVERLAP_MS: number = 6 * HOUR_MS;
