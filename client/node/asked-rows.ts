// Rows against the question that they answer: one of another venue or account, of a time outside of the range, or one that was
// there already would be counted, or counted twice, though its signature is good. The enclave answers in the order of time, then of
// the accounts' commitments, over all pages; accounts by themselves in that of their commitments.

import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

export interface TrackQuestion {
  /** As it was registered; or the commitment of one account, hex. */
  readonly userId: string;
  /** All venues of the user without it. */
  readonly exchange?: string;
}

export interface RangeQuestion extends TrackQuestion {
  /** ms since the Unix epoch, both or none; at most five years. */
  readonly fromMs?: number;
  readonly toMs?: number;
}

interface Answered {
  readonly exchange: string;
  /** Commitment, hex. */
  readonly account: string;
}

const COMMITMENT = /^[0-9a-f]{64}$/u;

export class AskedRows {
  readonly #asked: RangeQuestion;
  #last: { readonly atMs: number; readonly account: string } = { atMs: -1, account: '' };

  constructor(asked: RangeQuestion) {
    this.#asked = asked;
  }

  /** Of each row in its turn; refuses `record_mismatch`. `atMs`: 0 for rows that are of no time. */
  take(row: Answered, atMs: number): Result<null> {
    const what = this.#wrong(row, atMs);
    if (what !== null) return refuse('record_mismatch', { what });
    this.#last = { atMs, account: row.account };
    return accept(null);
  }

  #wrong({ exchange, account }: Answered, atMs: number): string | null {
    const { userId, exchange: asked = '', fromMs = 0, toMs = 0 } = this.#asked;
    if (asked !== '' && exchange !== asked) return 'exchange';
    if (COMMITMENT.test(userId) && account !== userId) return 'account';
    // 0 and 0: all there is.
    if (atMs < fromMs || (toMs > 0 && atMs >= toMs)) return 'range';
    const { atMs: lastMs, account: last } = this.#last;
    return atMs > lastMs || (atMs === lastMs && account > last) ? null : 'order';
  }
}
