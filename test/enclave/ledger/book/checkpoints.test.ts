// Which states are kept to go back to, and what the oldest hour that can be reopened needs.

import { describe, expect, it } from 'vitest';
import { BookState } from '../../../../enclave/ledger/book/book-state.ts';
import { Checkpoints } from '../../../../enclave/ledger/book/checkpoints.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';

const DAY_MS = 24 * HOUR_MS;
const T0 = 19_700 * DAY_MS;

function kept(from: number, to: number): Checkpoints {
  const checkpoints = new Checkpoints();
  for (let hour = from; hour <= to; hour++) checkpoints.keep(T0 + hour * HOUR_MS, new BookState());
  return checkpoints;
}

/** Hours behind T0. */
function lastOf(checkpoints: Checkpoints, hour: number): number | null {
  const found = checkpoints.last(T0 + hour * HOUR_MS);
  return found === null ? null : (found.hourMs - T0) / HOUR_MS;
}

describe('checkpoints', () => {
  it('go back as far as they are kept, and no further', () => {
    const checkpoints = kept(2, 8);
    expect([9, 8, 5, 2, 1].map((hour) => lastOf(checkpoints, hour))).toEqual([8, 8, 5, 2, null]);
    checkpoints.dropFrom(T0 + 5 * HOUR_MS);
    expect([8, 4].map((hour) => lastOf(checkpoints, hour))).toEqual([4, 4]);
  });

  it('stay where the oldest hour that can be reopened goes back to', () => {
    const checkpoints = new Checkpoints();
    // As after a restart: nothing between what was stored and the next hour.
    for (const hour of [1, 6, 7]) checkpoints.keep(T0 + hour * HOUR_MS, new BookState());
    expect(checkpoints.dropBefore(T0 + 5 * HOUR_MS)).toBe(T0 + HOUR_MS);
    expect([lastOf(checkpoints, 0), lastOf(checkpoints, 5)]).toEqual([null, 1]);
    expect(checkpoints.dropBefore(T0 + 6 * HOUR_MS)).toBe(T0 + 6 * HOUR_MS);
    expect([lastOf(checkpoints, 5), lastOf(checkpoints, 7)]).toEqual([null, 7]);
  });

  it('of a restart are the last one that is early enough, or the first', () => {
    const checkpoints = kept(3, 20);
    const hours = [14, 12, 4, 3, 1].map((hour) => checkpoints.base(T0 + hour * HOUR_MS)?.hourMs);
    expect(hours).toEqual([14, 12, 4, 3, 3].map((hour) => T0 + hour * HOUR_MS));
    expect(new Checkpoints().base(T0)).toBeNull();
  });
});
