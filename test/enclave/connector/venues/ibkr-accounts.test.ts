// Queries of Interactive Brokers with several accounts: their statements end on different days, or one of them has none.

import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../helpers/connector-desk.ts';
import { day, fillsOf, NOW_MS, poll, query, statement } from '../../../helpers/flex-query.ts';

const HOUR_MS = 3_600_000;

/** Of November 2026 in New York; the sixth is a Friday. */
const startOf = (date: number): number => Date.UTC(2026, 10, date, 5);
const nameOf = (date: number): string => `202611${String(date).padStart(2, '0')}`;
const endOf = (date: number): number => startOf(date + 1) - 1;

/** It holds as much of shares and money as the day is. */
function dayOf(account: string, date: number, held = String(date)): string {
  return day(nameOf(date), held, held).replaceAll('U1', account);
}

function withoutCash(date: number): string {
  return dayOf('U1', date).replace(/<CashReport>.*<\/CashReport>/u, '');
}

/** After the end of a day, two hours behind the answer before. */
function ask(
  last: number,
  days: readonly string[],
  ...before: readonly Outcome[]
): Promise<Outcome> {
  return poll([query(...days)], {
    cursors: before.at(-1)?.done.cursors ?? null,
    fromMs: startOf(5),
    nowMs: endOf(last) + (2 + 2 * before.length) * HOUR_MS,
  });
}

/** What each account holds, and of when that is. */
function heldIn({ records, done }: Outcome): readonly string[] {
  const held = records.flatMap((record) => {
    if (record.kind === 'balance') return [`${record.wallet} ${record.total}`];
    return record.kind === 'position' ? [`${record.symbol} ${record.contracts}`] : [];
  });
  const told = done.coverage.flatMap(({ what, market, complete, toMs }) =>
    complete && (what === 'balances' || what === 'positions') ? [`${what} ${market} ${toMs}`] : [],
  );
  return [...held, ...told].toSorted();
}

/** From when on it is not known what an account has traded. */
function tradesSince({ done }: Outcome): readonly string[] {
  return done.coverage.flatMap(({ what, market, fromMs, reason }) =>
    what === 'fills' && reason === 'delayed' ? [`${market} ${fromMs}`] : [],
  );
}

function heldAt(date: number, accounts: readonly (readonly [string, string])[]): readonly string[] {
  return accounts
    .flatMap(([account, held]) => [
      `${account} ${held}`,
      `${account}:IBM ${held}`,
      `balances ${account} ${endOf(date)}`,
      `positions ${account} ${endOf(date)}`,
    ])
    .toSorted();
}

describe('what accounts hold', () => {
  it('is of the last day that all of them have, and trades are of all days', async () => {
    const days = [5, 6, 9, 10].map((date) => dayOf('U1', date));
    const outcome = await ask(10, [...days, dayOf('U2', 5), dayOf('U2', 6)]);
    expect(heldIn(outcome)).toEqual(
      heldAt(6, [
        ['U1', '6'],
        ['U2', '6'],
      ]),
    );
    expect(fillsOf(outcome.records)).toHaveLength(6);
    expect(tradesSince(outcome)).toEqual([`U1 ${endOf(10)}`, `U2 ${endOf(6)}`]);
    // What one of them is told of later is compared with what both held by then.
    const later = await ask(10, [...days, dayOf('U2', 6), dayOf('U2', 9)], outcome);
    expect(heldIn(later)).toEqual(
      heldAt(9, [
        ['U1', '9'],
        ['U2', '9'],
      ]),
    );
  });

  it('is malformed or missing where it is so on that day', async () => {
    for (const [days, reasons] of [
      [
        [dayOf('U1', 6, 'n/a'), dayOf('U1', 9)],
        ['record_malformed', 'record_malformed'],
      ],
      [[dayOf('U1', 6), dayOf('U1', 9, 'n/a')], []],
      [[withoutCash(6), dayOf('U1', 9)], ['not_supported']],
      [[dayOf('U1', 6), withoutCash(9)], []],
    ] as const) {
      const { done } = await ask(9, [...days, dayOf('U2', 6)]);
      const found = done.coverage.flatMap(({ what, market, reason }) =>
        market === 'U1' && (what === 'positions' || what === 'balances') ? [reason] : [],
      );
      expect(found.filter((reason) => reason !== null && reason !== 'delayed')).toEqual(reasons);
    }
  });

  it('is not told where one of them has no statement of that day', async () => {
    const outcome = await ask(9, [dayOf('U1', 9), dayOf('U2', 6)]);
    expect(heldIn(outcome)).toEqual([]);
    expect(fillsOf(outcome.records)).toHaveLength(2);
    const since = outcome.done.coverage.filter(({ what }) => what === 'balances');
    expect(since.map(({ fromMs, reason }) => [fromMs, reason])).toEqual([
      [endOf(6), 'delayed'],
      [endOf(6), 'delayed'],
    ]);
  });

  it('is not told where one that ended has its first statement after that day', async () => {
    const days = [5, 6, 9, 10, 11, 12, 13].map((date) => dayOf('U1', date));
    const outcome = await ask(13, [...days, dayOf('U2', 6, '0'), dayOf('U3', 5)]);
    expect(heldIn(outcome)).toEqual([]);
  });

  it.each([
    [6, '0', 'nothing, as on its last day'],
    [5, '7', 'what it held on a day before its last'],
  ])('of one that ended is, of %i, %s: %s', async (date, held) => {
    const days = [5, 6, 9, 10, 11, 12, 13];
    const outcome = await ask(13, [
      ...days.map((at) => dayOf('U1', at)),
      dayOf('U2', 5, '7'),
      dayOf('U2', 6, '0'),
      ...days.filter((at) => at <= (date === 6 ? 12 : date)).map((at) => dayOf('U3', at)),
    ]);
    const common = date === 6 ? 12 : date;
    const none = `U2:IBM ${held}`;
    const all = heldAt(common, [
      ['U1', String(common)],
      ['U2', held],
      ['U3', String(common)],
    ]);
    // A position of nothing is none.
    expect(heldIn(outcome)).toEqual(held === '0' ? all.filter((line) => line !== none) : all);
  });
});

describe('an account that no statement of an answer is of', () => {
  it.each([
    ['10 hours after the other', 6, 9],
    ['on the very day of its last statement', 6, 6],
    ['five days later', 6, 11],
  ])('is waited for: %s', async (_, before, last) => {
    const first = await ask(before, [dayOf('U1', before), dayOf('U2', before)]);
    const outcome = await ask(last, [dayOf('U1', last)], first);
    expect(heldIn(outcome)).toEqual([]);
    expect(tradesSince(outcome)).toContain(`U2 ${endOf(before)}`);
    const later = await ask(last, [dayOf('U1', last), dayOf('U2', last)], first, outcome);
    expect(heldIn(later)).toHaveLength(8);
    expect(tradesSince(later)).toEqual([`U1 ${endOf(last)}`, `U2 ${endOf(last)}`]);
  });

  it('is gone when hours do not wait for it any more', async () => {
    const first = await ask(6, [dayOf('U1', 6), dayOf('U2', 6)]);
    const outcome = await ask(12, [dayOf('U1', 12)], first);
    expect(heldIn(outcome)).toEqual(heldAt(12, [['U1', '12']]));
    expect(tradesSince(outcome)).toEqual([`U1 ${endOf(12)}`]);
  });

  it('is not waited for again where it had ended, unless it comes back', async () => {
    const dates = [6, 9, 10, 11, 12, 13];
    const both = [...dates.map((date) => dayOf('U1', date)), dayOf('U2', 6, '0')];
    const first = await ask(13, both);
    expect(tradesSince(first)).toEqual([`U1 ${endOf(13)}`, `U2 ${endOf(13)}`]);
    const second = await ask(16, [dayOf('U1', 16)], first);
    expect(heldIn(second)).toEqual(heldAt(16, [['U1', '16']]));
    const third = await ask(17, [dayOf('U1', 17), dayOf('U2', 17)], second);
    const fourth = await ask(18, [dayOf('U1', 18)], third);
    expect(heldIn(fourth)).toEqual([]);
    expect(tradesSince(fourth)).toEqual([`U2 ${endOf(17)}`, `U1 ${endOf(18)}`]);
  });
});

describe('a statement', () => {
  it.each([
    ['20261104', '20261104'],
    ['20270125', '20270125'],
    ['99991201', '99991201'],
    ['99991201', '20261102'],
    ['20261103', '20261102'],
    ['20261102', '20261101'],
    ['19691231', '19691231'],
    ['19691231', '20261102'],
  ])('of %s to %s is none: it has not begun, ends before, or is of no time', async (from, to) => {
    const other = statement('U2', {}, `fromDate="${from}" toDate="${to}"`);
    const { done } = await poll([query(statement('U1', {}), other)]);
    expect(done).toMatchObject({ outcome: 'failed', errorClass: 'bad_response' });
    expect(done.coverage.every(({ toMs }) => toMs < NOW_MS + 60_000)).toBe(true);
  });

  it.each([
    ['20261103', '20261103'],
    ['20261103', '20261104'],
    ['19700101', '19700101'],
  ])('of %s to %s is one', async (from, to) => {
    const { done } = await poll([query(statement('U1', {}, `fromDate="${from}" toDate="${to}"`))]);
    expect(done.outcome).toBe('complete');
    expect(done.coverage.every(({ toMs }) => toMs < NOW_MS + 60_000)).toBe(true);
  });
});
