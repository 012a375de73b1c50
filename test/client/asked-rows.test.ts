import { describe, expect, it } from 'vitest';
import type { RangeQuestion } from '../../client/node/asked-rows.ts';
import { AskedRows } from '../../client/node/asked-rows.ts';

const [A, B] = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string];
type Shown = readonly [atMs: number, account: string, exchange?: string];

/** What the first row that is refused is refused for; null: all are taken. */
function wrong(asked: Partial<RangeQuestion>, rows: readonly Shown[]): unknown {
  const taker = new AskedRows({ userId: 'trader-1', ...asked });
  for (const [atMs, account, exchange = 'kraken'] of rows) {
    const taken = taker.take({ account, exchange }, atMs);
    if (!taken.ok) return [taken.refusal.code, taken.refusal.detail['what']];
  }
  return null;
}

const refusedFor = (what: string): unknown => ['record_mismatch', what];

describe('rows of an answer', () => {
  it('are taken in the order of time, then of accounts', () => {
    const rows: readonly Shown[] = [
      [0, A],
      [0, B],
      [5, A],
      [6, B],
    ];
    expect(wrong({}, rows)).toBeNull();
    for (const [at, row] of rows.entries()) {
      expect(wrong({}, rows.toSpliced(at, 0, row))).toEqual(refusedFor('order'));
    }
    for (const at of [0, 1, 2]) {
      const swapped = rows.slice(at, at + 2).toReversed();
      expect(wrong({}, rows.toSpliced(at, 2, ...swapped))).toEqual(refusedFor('order'));
    }
  });

  it.each([
    [9, refusedFor('range')],
    [10, null],
    [19, null],
    [20, refusedFor('range')],
  ])('at %i, of [10, 20)', (atMs, expected) => {
    expect(wrong({ fromMs: 10, toMs: 20 }, [[atMs, A]])).toEqual(expected);
  });

  it('are of the venue that was asked for, or of any where none was', () => {
    expect(wrong({ exchange: 'binance' }, [[1, A, 'binance']])).toBeNull();
    expect(wrong({ exchange: 'binance' }, [[1, A, 'kraken']])).toEqual(refusedFor('exchange'));
    expect(wrong({ exchange: '' }, [[1, A, 'kraken']])).toBeNull();
  });

  it('are of the account that was asked for by its commitment', () => {
    expect(wrong({ userId: A }, [[1, A]])).toBeNull();
    expect(wrong({ userId: A }, [[1, B]])).toEqual(refusedFor('account'));
  });
});
