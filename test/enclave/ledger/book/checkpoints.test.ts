// Which states are kept to go back to, which hours are run again behind them, and what a restart begins with.

import { describe, expect, it } from 'vitest';
import { BookState } from '../../../../enclave/ledger/book/book-state.ts';
import type { ClosedHour } from '../../../../enclave/ledger/book/checkpoints.ts';
import { Checkpoints, MAX_USED, STEP_HOURS } from '../../../../enclave/ledger/book/checkpoints.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { row } from './helpers.ts';

const DAY_MS = 24 * HOUR_MS;
const T0 = 19_700 * DAY_MS;

function kept(from: number, to: number): Checkpoints {
  const checkpoints = new Checkpoints();
  for (let hour = from; hour <= to; hour++) checkpoints.keep(T0 + hour * HOUR_MS, new BookState());
  return checkpoints;
}

function closed(rows: number, unlisted = 0): ClosedHour {
  return {
    told: { events: [], observed: null, next: null, ahead: [] },
    prices: {
      rows: Array.from({ length: rows }, () => row('BTC/USD', T0, '1')),
      unlisted: Array.from({ length: unlisted }, (_, at) => `C${at}`),
    },
  };
}

/** As a book closes them; the equity says which hour a state is from before. */
function run(checkpoints: Checkpoints, from: number, to: number, hour = closed(1)): void {
  for (let at = from; at < to; at++) {
    const state = new BookState();
    state.equity = BigInt(at);
    checkpoints.keep(T0 + at * HOUR_MS, state);
    checkpoints.keepHour(T0 + at * HOUR_MS, hour);
  }
}

/** Hours behind T0. */
function beforeOf(checkpoints: Checkpoints, hour: number): number | null {
  const found = checkpoints.before(T0 + hour * HOUR_MS);
  return found === null ? null : (found.hourMs - T0) / HOUR_MS;
}

/** Hours of the states themselves: what was run again has an equity of nothing. */
function stateOf(checkpoints: Checkpoints, hour: number): number {
  return Number(checkpoints.before(T0 + hour * HOUR_MS)?.state.equity);
}

describe('checkpoints', () => {
  it('go back as far as they are kept, and no further', () => {
    const checkpoints = kept(2, 8);
    expect([9, 8, 5, 2, 1].map((hour) => beforeOf(checkpoints, hour))).toEqual([8, 8, 5, 2, null]);
    checkpoints.dropFrom(T0 + 5 * HOUR_MS);
    expect([8, 4].map((hour) => beforeOf(checkpoints, hour))).toEqual([4, 4]);
  });

  it('stay where the oldest hour that can be reopened goes back to', () => {
    const checkpoints = new Checkpoints();
    // As after a restart: nothing between what was stored and the next hour.
    for (const hour of [1, 6, 7]) checkpoints.keep(T0 + hour * HOUR_MS, new BookState());
    expect(checkpoints.dropBefore(T0 + 5 * HOUR_MS)).toBe(T0 + HOUR_MS);
    expect([beforeOf(checkpoints, 0), beforeOf(checkpoints, 5)]).toEqual([null, 1]);
    expect(checkpoints.dropBefore(T0 + 6 * HOUR_MS)).toBe(T0 + 6 * HOUR_MS);
    expect([beforeOf(checkpoints, 5), beforeOf(checkpoints, 7)]).toEqual([null, 7]);
  });

  it('of a restart are the last one that is early enough, or the first', () => {
    const checkpoints = kept(3, 20);
    const hours = [14, 12, 4, 3, 1].map((hour) => checkpoints.base(T0 + hour * HOUR_MS)?.hourMs);
    expect(hours).toEqual([14, 12, 4, 3, 3].map((hour) => T0 + hour * HOUR_MS));
    expect(new Checkpoints().base(T0)).toBeNull();
  });

  it('are the first, and one every few hours: those between are run again', () => {
    const checkpoints = new Checkpoints();
    run(checkpoints, 1, 20);
    const states = new Set([1, STEP_HOURS, 2 * STEP_HOURS, 3 * STEP_HOURS]);
    for (let hour = 1; hour <= 20; hour++) {
      expect(beforeOf(checkpoints, hour)).toBe(hour);
      expect(stateOf(checkpoints, hour)).toBe(states.has(hour) ? hour : 0);
    }
    // Going back spends nothing.
    expect(beforeOf(checkpoints, 5)).toBe(5);
    checkpoints.dropFrom(T0 + 14 * HOUR_MS);
    expect([14, 15, 19].map((hour) => beforeOf(checkpoints, hour))).toEqual([14, 14, 14]);
    expect(checkpoints.dropBefore(T0 + 8 * HOUR_MS)).toBe(T0 + 6 * HOUR_MS);
    expect([5, 6, 11].map((hour) => beforeOf(checkpoints, hour))).toEqual([null, 6, 11]);
    for (const [asked, given] of [
      [1, 6],
      [6, 6],
      [10, 10],
    ] as const)
      expect(checkpoints.base(T0 + asked * HOUR_MS)?.hourMs).toBe(T0 + given * HOUR_MS);
  });

  it.each([
    [MAX_USED, 0, true],
    [MAX_USED + 1, 0, false],
    [MAX_USED - 1, 2, false],
  ])('are behind an hour that used too much: %d rows and %d names', (rows, unlisted, isRun) => {
    const checkpoints = new Checkpoints();
    run(checkpoints, 1, 3);
    run(checkpoints, 3, 4, closed(rows, unlisted));
    run(checkpoints, 4, 6);
    expect([3, 4, 5].map((hour) => beforeOf(checkpoints, hour))).toEqual([3, 4, 5]);
    expect(stateOf(checkpoints, 4)).toBe(isRun ? 0 : 4);
  });
});
