// Records that came too late for the book: stored, in no figure, and said once in the hour of the poll that told them. Those
// from before the record began are none of them: a venue's history is longer than ours.

import type { LedgerAccount } from '../protocol.ts';
import type { Applied, BookRecord } from '../book/contract.ts';
import { HISTORY_MS } from './account-parts.ts';

/** The gap's code. */
export const LATE_UNBOOKED = 'late_unbooked';
/** Beyond it one may be said again. */
const MAX_TOLD = 4096;

export class Unbooked {
  readonly #sinceMs: number;
  readonly #told = new Set<string>();

  constructor({ createdMs }: Pick<LedgerAccount, 'createdMs'>) {
    this.#sinceMs = createdMs - HISTORY_MS;
  }

  /** True for one that is told for the first time and that no figure has. */
  has(record: BookRecord, applied: Applied): boolean {
    if (applied !== 'settled' || record.timeMs < this.#sinceMs) return false;
    const place = 'symbol' in record ? (record.symbol ?? '') : '';
    const key = `${record.kind}\n${place}\n${record.id}`;
    if (this.#told.has(key)) return false;
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.add(key);
    return true;
  }
}
