// Several accounts of Interactive Brokers in one query that is broken out by day, of which one is told later than the other,
// ends, or is missing for a while: money of different days is never compared, whatever outages and restarts are between.

import { describe, expect, it } from 'vitest';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { statement } from '../../../helpers/flex-query.ts';
import type { FlexDay, Troubles } from '../../../helpers/flex-week.ts';
import { isLastAt, MONDAY_MS, playWeek } from '../../../helpers/flex-week.ts';

const TUESDAY = 1;
const WEDNESDAY = 2;
const THURSDAY = 3;
const NEVER = 1000;

interface Plan {
  /** Of its second account the last day that there is, how long each of its days takes, and what it holds. */
  readonly last: number;
  readonly laterHours: number;
  readonly usd: string;
  /** Into its first account, on a day. */
  readonly paid: number;
  readonly on: number;
  /** Nothing says so. */
  readonly untold?: boolean;
}

function statementOf(account: string, { at, dates, name }: FlexDay, plan: Plan): string {
  const { usd, paid, on, untold = false } = plan;
  const held = account === 'U1' ? String(at >= on ? 10_000 + paid : 10_000) : usd;
  const report = `<CashReportCurrency accountId="${account}" currency="USD" endingCash="${held}" />`;
  const flow = `<CashTransaction accountId="U1" currency="USD" dateTime="${name};120000" amount="${paid}" type="Deposits/Withdrawals" transactionID="77" reportDate="${name}" description="CASH RECEIPTS" />`;
  const cash = account === 'U1' && at === on && !untold ? flow : '';
  return statement(account, { report, cash }, dates);
}

/** What it is, and hours from Monday on until it is. */
async function unexplained(plan: Plan, troubles: Troubles): Promise<readonly string[]> {
  const hours = await playWeek((day, nowMs) => {
    const isThere = day.at <= plan.last && nowMs >= day.endMs + plan.laterHours * HOUR_MS;
    return ['U1', ...(isThere ? ['U2'] : [])].map((account) => statementOf(account, day, plan));
  }, troubles);
  return hours.map(({ startMs, said }) => `${said}at ${(startMs - MONDAY_MS) / HOUR_MS}`);
}

const EMPTIED = { last: TUESDAY, laterHours: 0, usd: '0' };
const LATER = { last: NEVER, laterHours: 10, usd: '500' };
/** Polls of a day, right after the one account has ended. */
const OUTAGE = Array.from({ length: 8 }, (_, at) => 14 + at);

describe('of two accounts', () => {
  it.each([
    ['one is empty and ends, money comes into the other', { ...EMPTIED, paid: 700, on: THURSDAY }],
    ['one is empty and ends, the other pays money out', { ...EMPTIED, paid: -700, on: THURSDAY }],
    ['one is told 10 hours later', { ...LATER, paid: -700, on: WEDNESDAY }],
    ['one is told 30 hours later', { ...LATER, laterHours: 30, paid: -700, on: WEDNESDAY }],
  ])(
    '%s: nothing is unexplained',
    async (_, plan) => {
      for (const restarts of [[], [24], [30]])
        expect(await unexplained(plan, { restarts })).toEqual([]);
    },
    60_000,
  );

  it.each([
    // By the first statement behind the days that the one was waited for.
    ['is empty and ends', { ...EMPTIED, paid: -700, on: WEDNESDAY }, 8],
    ['is told 10 hours later', { ...LATER, paid: -700, on: WEDNESDAY }, 3],
    ['is told 30 hours later', { ...LATER, laterHours: 30, paid: -700, on: WEDNESDAY }, 3],
  ])(
    'one %s, and what the other has lost is found',
    async (_, plan, days) => {
      for (const restarts of [[], [30], [50]]) {
        const found = await unexplained({ ...plan, untold: true }, { restarts });
        expect(found).toEqual([`-700 at ${24 * days - 1}`]);
      }
    },
    60_000,
  );

  it('one is empty and ends, and nobody polls for a day: nothing is unexplained', async () => {
    const plan = { ...EMPTIED, paid: -700, on: WEDNESDAY };
    for (const restarts of [[], [24]])
      expect(await unexplained(plan, { restarts, without: OUTAGE })).toEqual([]);
  }, 60_000);
});

/** 700 are paid out of the first account on a day that nobody ever tells; nothing is compared until the other account is told. */
async function foundWithoutADay(
  plan: Plan,
  restarts: readonly number[],
): Promise<readonly string[]> {
  const found = await playWeek(
    (day, nowMs) => {
      const isThere = day.at <= plan.last && nowMs >= day.endMs + plan.laterHours * HOUR_MS;
      const accounts = [...(day.at === WEDNESDAY ? [] : ['U1']), ...(isThere ? ['U2'] : [])];
      return accounts.map((account) => statementOf(account, day, plan));
    },
    { restarts },
  );
  return found.map(({ said }) => said);
}

describe('a day of one account that is never told is said where it is found, with another one', () => {
  it.each([0, 10, 30])(
    '%i hours later',
    async (laterHours) => {
      const plan = { ...LATER, laterHours, paid: -700, on: WEDNESDAY };
      for (const restarts of [[], [24], [30], [40]])
        expect(await foundWithoutADay(plan, restarts)).toEqual(['-700 history_limit']);
    },
    60_000,
  );

  it('that is empty and ends, days later', async () => {
    const plan = { ...EMPTIED, paid: -700, on: WEDNESDAY };
    for (const restarts of [[], [40], [55]])
      expect(await foundWithoutADay(plan, restarts)).toEqual(['-700 history_limit']);
  }, 60_000);
});

describe('what is paid out of one account by a line that cannot be read', () => {
  it.each([
    ['is told at once', LATER.last, 0, '500'],
    ['is told 10 hours later', LATER.last, 10, '500'],
    ['is told 30 hours later', LATER.last, 30, '500'],
    ['is empty and ends', TUESDAY, 0, '0'],
  ])(
    'and the other %s: the hour in which it comes out says so',
    async (_, last, laterHours, usd) => {
      const plan = { last, laterHours, usd, paid: -700, on: WEDNESDAY };
      for (const restarts of [[], [24], [30]]) {
        const found = await playWeek(
          (day, nowMs) => {
            const isThere = day.at <= last && nowMs >= day.endMs + laterHours * HOUR_MS;
            return ['U1', ...(isThere ? ['U2'] : [])].map((account) =>
              statementOf(account, day, plan).replace('amount="-700"', 'amount="n/a"'),
            );
          },
          { restarts },
        );
        expect(found.map(({ said }) => said)).toEqual(['-700 record_malformed']);
      }
    },
    60_000,
  );
});

/** A query of the last day, without the one account for so many hours from the end of Wednesday on, or later. */
async function unexplainedWithout(fromHours: number, hours: number): Promise<readonly string[]> {
  const plan = { ...LATER, paid: 0, on: NEVER };
  const found = await playWeek((day, nowMs) => {
    if (!isLastAt(day, nowMs)) return [];
    const sinceHours = (nowMs - day.endMs) / HOUR_MS + (day.at - WEDNESDAY) * 24;
    const isThere = sinceHours < fromHours || sinceHours >= fromHours + hours;
    return ['U1', ...(isThere ? ['U2'] : [])].map((account) => statementOf(account, day, plan));
  });
  return found.map(({ said }) => said);
}

describe('an account that no statement is of', () => {
  it.each([
    [0, 10],
    [0, 20],
    [0, 30],
    // When the day was told already.
    [7, 9],
  ])('from %i hours after a day on, for %i hours, is not gone', async (from, hours) => {
    expect(await unexplainedWithout(from, hours)).toEqual([]);
  });

  it('for good is gone with what it held, in the end', async () => {
    expect(await unexplainedWithout(0, NEVER)).toEqual(['-500 ']);
  });
});
