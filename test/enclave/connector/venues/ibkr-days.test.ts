// Queries of Interactive Brokers as they are set up: broken out by day, without a section, with a column more.

import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../helpers/connector-desk.ts';
import {
  day,
  fillsOf,
  flowsOf,
  NOW_MS,
  poll,
  query,
  statement,
  TRADE,
} from '../../../helpers/flex-query.ts';

/** Of November 2026 in New York; the second is a Monday. */
const startOf = (date: number): number => Date.UTC(2026, 10, date, 5);
const nameOf = (date: number): string => `202611${String(date).padStart(2, '0')}`;
const endOf = (date: number): number => startOf(date + 1) - 1;
const HOUR_MS = 3_600_000;

/** A job's clock goes on. */
function coverageOf({ done }: Outcome, subject: string): readonly unknown[] {
  return done.coverage
    .filter(({ what }) => what === subject)
    .map(({ fromMs, toMs, reason }) => [fromMs, reason === 'delayed' ? 'now' : toMs, reason]);
}

function reasonsOf({ done }: Outcome, ...subjects: readonly string[]): readonly unknown[] {
  return subjects.map((subject) => done.coverage.find(({ what }) => what === subject)?.reason);
}

describe('a query that is broken out by day', () => {
  it('is one account: what is held is what the last one says, and no day is a gap', async () => {
    // In no order.
    const days = [
      day('20261102', '20', '60'),
      day('20261031', '5', '90'),
      day('20261101', '10', '80'),
    ];
    const outcome = await poll([query(...days)], { fromMs: Date.UTC(2026, 9, 31, 4) });
    const { records } = outcome;
    expect(fillsOf(records)).toHaveLength(3);
    const held = records.flatMap((record) => {
      if (record.kind === 'position') return [record.contracts];
      return record.kind === 'balance' ? [record.total] : [];
    });
    expect(held.sort()).toEqual(['20', '60']);
    expect(records.filter(({ kind }) => kind === 'price')).toHaveLength(3);
    expect(coverageOf(outcome, 'fills')).toEqual([
      [Date.UTC(2026, 9, 31, 4), endOf(2), null],
      [endOf(2), 'now', 'delayed'],
    ]);
  });

  it('says what is malformed or missing, whichever day it is of', async () => {
    const bad = day('20261101', '5', '90').replace('tradePrice="200.5"', 'tradePrice="n/a"');
    const worse = bad.replace('tradeMoney="2005"', '').replace(/<Transfers>.*<\/Transfers>/u, '');
    const outcome = await poll([query(worse, day('20261102', '20', '60'))]);
    expect(reasonsOf(outcome, 'fills', 'transfers')).toEqual(['record_malformed', 'not_supported']);
  });

  it('that begins after the day before leaves nothing out', async () => {
    const first = await poll([query(day('20261102', '5', '90'))]);
    const { done } = await poll([query(day('20261103', '5', '90'))], {
      cursors: first.done.cursors,
      nowMs: NOW_MS + 86_400_000,
    });
    const fills = done.coverage.filter(({ what }) => what === 'fills');
    expect(fills.map(({ reason }) => reason)).toEqual([null, 'delayed']);
  });

  it.each([
    [4, 5, 'Wednesday and Thursday'],
    [6, 9, 'Friday and Monday'],
  ])('has no gap between %i and %i, %s', async (before, then) => {
    const days = [before, then].map((date) => day(nameOf(date), '5', '90'));
    const outcome = await poll([query(...days)], {
      fromMs: startOf(before),
      nowMs: endOf(then) + 1000,
    });
    expect(coverageOf(outcome, 'fills')).toEqual([
      [startOf(before), endOf(then), null],
      [endOf(then), 'now', 'delayed'],
    ]);
  });

  it.each([
    [2, 4, 'a holiday, or a day that is lost'],
    [2, 6, 'three days'],
    [5, 9, 'a Friday and a weekend'],
    [6, 10, 'a weekend and a Monday'],
  ])('names what is between %i and %i: %s', async (before, then) => {
    const days = [before, then].map((date) => day(nameOf(date), '5', '90'));
    const outcome = await poll([query(...days)], {
      fromMs: startOf(before),
      nowMs: endOf(then) + 1000,
    });
    for (const subject of ['fills', 'deposits']) {
      expect(coverageOf(outcome, subject)).toEqual([
        [startOf(before), endOf(before), null],
        [startOf(before + 1), startOf(then), 'history_limit'],
        [startOf(then), endOf(then), null],
        [endOf(then), 'now', 'delayed'],
      ]);
    }
    // What is held is what the last day says, whatever was lost before it.
    for (const subject of ['positions', 'balances']) {
      expect(coverageOf(outcome, subject)).toEqual([
        [startOf(before), endOf(then), null],
        [endOf(then), 'now', 'delayed'],
      ]);
    }
    expect(fillsOf(outcome.records)).toHaveLength(2);
  });

  it.each([
    [endOf(6) + 10 * HOUR_MS, 6, 9, null, 'a weekend'],
    [endOf(6) + 10 * HOUR_MS, 6, 10, 'history_limit', 'a weekend and a Monday'],
    // Of the Friday that is not over.
    [startOf(6) + 23.5 * HOUR_MS, 6, 9, 'history_limit', 'the last half hour of a Friday'],
  ])('says what is between two polls, from %i: %i to %i, %s for %s', async (...row) => {
    const [firstMs, before, then, reason] = row;
    const first = await poll([query(day(nameOf(before), '5', '90'))], { nowMs: firstMs });
    const outcome = await poll([query(day(nameOf(then), '5', '90'))], {
      cursors: first.done.cursors,
      nowMs: endOf(then) + 10 * HOUR_MS,
    });
    expect(coverageOf(outcome, 'fills')[0]).toEqual([
      expect.any(Number),
      reason === null ? endOf(then) : startOf(then),
      reason,
    ]);
    expect(reasonsOf(outcome, 'positions', 'balances')).toEqual([null, null]);
  });

  it.each([
    ['0', '0', 6, 13, 'is not waited for when nothing is in it'],
    ['0', '0', 10, 10, 'is waited for as long as hours are, because it may have something again'],
    ['5', '0', 6, 6, 'is waited for while it holds shares'],
    ['0', '90', 6, 6, 'is waited for while it holds money'],
    ['n/a', '0', 6, 6, 'is waited for while nobody knows what it holds'],
  ])('of an account that ended, holding %s and %s since %i, to %i: %s', async (...row) => {
    const [position, cash, last, to] = row;
    const dates = [5, 6, 9, 10, 11, 12, 13];
    const days = dates.map((date) => day(nameOf(date), '5', '90'));
    const ended = dates
      .filter((date) => date <= last)
      .map((date) => day(nameOf(date), position, cash).replaceAll('U1', 'U2'));
    const outcome = await poll([query(...days, ...ended)], {
      fromMs: startOf(5),
      nowMs: endOf(13) + HOUR_MS,
    });
    const delayed = outcome.done.coverage.filter(({ reason }) => reason === 'delayed');
    const since = delayed.map(({ what, market, fromMs }) => `${what} ${market} ${fromMs}`);
    expect(since.filter((text) => /^(?:fills|balances)/u.test(text)).toSorted()).toEqual([
      `balances U1 ${endOf(to)}`,
      `balances U2 ${endOf(to)}`,
      `fills U1 ${endOf(13)}`,
      `fills U2 ${endOf(to)}`,
    ]);
  });

  it('names it once: not again what an earlier poll came to', async () => {
    const days = [2, 6].map((date) => day(nameOf(date), '5', '90'));
    const first = await poll([query(...days)], { nowMs: startOf(7) });
    const outcome = await poll([query(...days, day(nameOf(9), '5', '90'))], {
      cursors: first.done.cursors,
      nowMs: startOf(10),
    });
    expect(coverageOf(outcome, 'fills').slice(0, 1)).toEqual([[endOf(6), endOf(9), null]]);
    expect(coverageOf(outcome, 'fills')).toHaveLength(2);
  });

  it('observes what the last day holds, whatever earlier days say of theirs', async () => {
    const early = day('20261101', '5', '90')
      .replace('currency="USD" endingCash', 'currency="BASE_SUMMARY" endingCash')
      .replace('position="5"', 'position="n/a"');
    const outcome = await poll([query(early, day('20261102', '20', '60'))]);
    expect(reasonsOf(outcome, 'balances', 'positions')).toEqual([null, null]);
    const last = await poll([query(day('20261101', '5', '90'), early.replaceAll('01"', '02"'))]);
    expect(reasonsOf(last, 'balances', 'positions')).toEqual(['not_supported', 'record_malformed']);
  });
});

/** As one statement, or as one for each day. */
function daysUpTo(last: number, bad: string, isBroken: boolean): readonly string[] {
  const dates = [6, 9, 10, 11, 12].filter((date) => date <= last);
  if (isBroken) {
    return dates.map((date) => {
      const text = day(nameOf(date), '5', '90');
      return date === 9 ? text.replace('<Trades>', `<Trades>${bad}`) : text;
    });
  }
  const from = `fromDate="${nameOf(6)}"`;
  const whole = day(nameOf(last), '5', '90').replace(/fromDate="[^"]*"/u, from);
  return [whole.replace('<Trades>', `<Trades>${bad}`)];
}

/** Two hours later each, and as many days as there are. */
async function pollAll(
  polls: readonly (readonly [date: number, days: readonly (string | undefined)[]])[],
): Promise<readonly Outcome[]> {
  let cursors: Uint8Array | null = null;
  const outcomes: Outcome[] = [];
  for (const [date, days] of polls) {
    const nowMs = endOf(date) + (2 + 2 * outcomes.length) * HOUR_MS;
    const answers = [query(...days.map(String))];
    const outcome: Outcome = await poll(answers, { cursors, fromMs: startOf(6), nowMs });
    cursors = outcome.done.cursors;
    outcomes.push(outcome);
  }
  return outcomes;
}

async function playDays(
  polls: readonly (readonly [date: number, bad: string])[],
  isBroken = true,
): Promise<readonly unknown[]> {
  const found = await pollAll(
    polls.map(([date, bad]) => [date, daysUpTo(date, bad, isBroken)] as const),
  );
  return found.map((outcome) => reasonsOf(outcome, 'fills')[0]);
}

describe('what is malformed', () => {
  const BAD = TRADE.replace('STK', 'ECF');
  const DATED = BAD.replace('<Trade ', '<Trade reportDate="20261109" ');

  it.each([
    [true, BAD, 'by day'],
    [true, DATED, 'by day, with the day of their report'],
    [false, DATED, 'for all days, with the day of their report'],
  ])('costs one day, in a query that is broken out: %s (%s, %s)', async (isBroken, bad) => {
    const polls = [6, 9, 10, 11].map((date) => [date, date < 9 ? '' : bad] as const);
    expect(await playDays(polls, isBroken)).toEqual([null, 'record_malformed', null, null]);
  });

  it('costs each day where nothing says which day it is of', async () => {
    const polls = [6, 9, 10].map((date) => [date, date < 9 ? '' : BAD] as const);
    expect(await playDays(polls, false)).toEqual([null, 'record_malformed', 'record_malformed']);
  });

  it.each([
    ['that comes late', [9, ''], [10, BAD], [11, BAD], [12, BAD], [10]],
    ['that comes late, like another', [9, ''], [10, BAD], [11, BAD + BAD], [12, BAD], [10, 11]],
    // Its own day was told before: it is left out of the next.
    ['that comes with no new day', [9, ''], [9, BAD], [10, BAD], [11, BAD], [9, 10]],
    ['that comes in the first answer', [9, BAD], [10, BAD], [11, BAD], [12, BAD], [9, 10]],
  ] as const)('is never passed over: one %s', async (...row) => {
    const [, first, second, third, fourth, expected] = row;
    const polls = [first, second, third, fourth];
    const found = await playDays(polls);
    expect(polls.flatMap(([date], at) => (found[at] === null ? [] : [date]))).toEqual(expected);
  });

  it('is named when its section is there again', async () => {
    const bad = day(nameOf(9), '5', '90').replace('<Trades>', `<Trades>${BAD}`);
    const [ninth, tenth, eleventh] = [9, 10, 11].map((date) => day(nameOf(date), '5', '90'));
    const without = (tenth ?? '').replace(/<Trades>.*<\/Trades>/u, '');
    const found = await pollAll([
      [9, [ninth]],
      [10, [bad, without]],
      [11, [bad, tenth, eleventh]],
    ]);
    expect(found.slice(1).map((outcome) => reasonsOf(outcome, 'fills')[0])).toEqual([
      'not_supported',
      'record_malformed',
    ]);
  });

  it('of what is held is malformed each time', async () => {
    const held = day(nameOf(10), 'n/a', '90');
    const found = await pollAll([
      [9, [day(nameOf(9), '5', '90')]],
      [10, [held]],
      [10, [held]],
    ]);
    expect(found.map((outcome) => reasonsOf(outcome, 'positions')[0])).toEqual([
      null,
      'record_malformed',
      'record_malformed',
    ]);
  });
});

describe('charges of CFDs', () => {
  it('are interest, where there are such', async () => {
    const charges =
      '<CFDCharges><CFDCharge accountId="U1" currency="USD" date="20261101" reportDate="20261102" received="0" paid="-0.28" total="-0.28" transactionID="7" /><CFDCharge accountId="U1" currency="USD" date="20261102" total="0" /></CFDCharges>';
    const bare = statement('U1', {});
    const text = bare.replace('</FlexStatement>', `${charges}</FlexStatement>`);
    const { records, done } = await poll([query(text)]);
    expect(flowsOf(records)).toEqual([
      expect.objectContaining({
        id: 'U1:cfd-7',
        type: 'interest',
        direction: 'out',
        amount: '0.28',
        market: 'swap',
        timeMs: Date.UTC(2026, 10, 2, 5),
      }),
    ]);
    const about = 'U1 CFDCharges';
    const told = done.coverage.find(({ market }) => market === about);
    expect(told).toMatchObject({ what: 'interest', complete: true });
    const without = await poll([query(bare)]);
    expect(without.done.coverage.some(({ market }) => market === about)).toBe(false);
  });

  it.each([
    [
      'sums alone',
      statement('U1', {}).replace(
        '</FlexStatement>',
        '<CFDCharges><CFDChargeSummary accountId="U1" currency="USD" total="-12" /></CFDCharges></FlexStatement>',
      ),
    ],
    ['no section, and a trade in one', statement('U1', { trades: TRADE.replace('STK', 'CFD') })],
    [
      'no section, and one that is held',
      statement('U1', {
        positions:
          '<OpenPosition accountId="U1" currency="USD" assetCategory="CFD" symbol="IBM" reportDate="20261102" position="10" markPrice="200" />',
      }),
    ],
  ])('are not known where there are %s', async (_, text) => {
    const { done } = await poll([query(text)]);
    expect(done.coverage.filter(({ market }) => market === 'U1 CFDCharges')).toEqual([
      expect.objectContaining({ what: 'interest', complete: false, reason: 'not_supported' }),
    ]);
  });
});
