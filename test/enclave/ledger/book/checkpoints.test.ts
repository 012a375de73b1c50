// Which states are kept to go back to: of the last few hours each, of older ones every sixth, and what the oldest hour that
// can be reopened needs.

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
  it('are there for each of the last hours, and for every sixth of the day before', () => {
    const checkpoints = kept(1, 20);
    for (let hour = 15; hour <= 20; hour++) expect(lastOf(checkpoints, hour)).toBe(hour);
    const older = [14, 13, 12, 11, 6, 5, 1, 0].map((hour) => lastOf(checkpoints, hour));
    expect(older).toEqual([12, 12, 12, 6, 6, 1, 1, null]);
  });

  it('stay where the oldest hour that can be reopened goes back to', () => {
    const checkpoints = kept(1, 20);
    expect(checkpoints.dropBefore(T0 + 11 * HOUR_MS)).toBe(T0 + 6 * HOUR_MS);
    expect([lastOf(checkpoints, 5), lastOf(checkpoints, 11)]).toEqual([null, 6]);
    expect(checkpoints.dropBefore(T0 + 12 * HOUR_MS)).toBe(T0 + 12 * HOUR_MS);
    expect([lastOf(checkpoints, 11), lastOf(checkpoints, 17)]).toEqual([null, 17]);
  });

  it('of a restart are the last one that is early enough, or the first', () => {
    const checkpoints = kept(3, 20);
    const hours = [14, 12, 4, 3, 1].map((hour) => checkpoints.base(T0 + hour * HOUR_MS)?.hourMs);
    expect(hours).toEqual([12, 12, 3, 3, 3].map((hour) => T0 + hour * HOUR_MS));
    expect(new Checkpoints().base(T0)).toBeNull();
  });
});
