// A query of Interactive Brokers that is broken out by day, without a statement for Thanksgiving (Thursday, 26 November
// 2026): a holiday, or a day that is lost.

import { describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { statement } from '../../../helpers/flex-query.ts';
import { MONDAY_MS, playWeek } from '../../../helpers/flex-week.ts';

const THURSDAY = 3;
const FRIDAY = 4;

/**
 * A week without the statement of one day; from `since` on there is less money, and nothing says why. Hours whose money was
 * not what it should have been: their day, whether they are its last, what is missing, and their gaps.
 */
async function playWithout(
  without: number,
  since: number,
  usd: string,
): Promise<readonly string[]> {
  const hours = await playWeek(({ at, dates }) => {
    if (at === without) return [];
    const cash = at >= since ? usd : '10000';
    const report = `<CashReportCurrency accountId="U1" currency="USD" endingCash="${cash}" />`;
    return [statement('U1', { report }, dates)];
  });
  return hours.map(({ startMs, said }) => {
    const day = Math.floor((startMs - MONDAY_MS) / DAY_MS);
    const isLast = startMs === MONDAY_MS + (day + 1) * DAY_MS - HOUR_MS;
    return `${day} ${isLast ? 'last' : 'other'} ${said}`;
  });
}

describe('a day without a statement', () => {
  it('is followed by one that is compared like any other', async () => {
    const whole = await playWithout(-1, FRIDAY, '9970');
    expect(whole).toEqual([`${FRIDAY} last -30 `]);
    const found = await playWithout(THURSDAY, FRIDAY, '9970');
    expect(found).toEqual([`${FRIDAY} last -30 history_limit`]);
  }, 120_000);

  it('that was lost, with what happened on it: the hour in which that comes out says so', async () => {
    const found = await playWithout(THURSDAY, THURSDAY, '7000');
    expect(found).toEqual([`${FRIDAY} last -3000 history_limit`]);
  }, 120_000);
});
