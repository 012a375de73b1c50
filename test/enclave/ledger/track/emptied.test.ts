// A query of Interactive Brokers that is broken out by day and has an account in which there is nothing, until a deposit
// comes on Wednesday, 25 November 2026. Its statement of that day may come later than that of another account, or never.

import { expect, it } from 'vitest';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { statement } from '../../../helpers/flex-query.ts';
import type { FlexDay } from '../../../helpers/flex-week.ts';
import { playWeek } from '../../../helpers/flex-week.ts';

const WEDNESDAY = 2;
const NEVER = 1000;

function statementOf(account: string, { at, dates, name }: FlexDay): string {
  const isHeld = account === 'U1' || at >= WEDNESDAY;
  const usd = isHeld ? (account === 'U1' ? '10000' : '500') : '0';
  const report = `<CashReportCurrency accountId="${account}" currency="USD" endingCash="${usd}" />`;
  const deposit = `<CashTransaction accountId="U2" currency="USD" dateTime="${name};120000" amount="500" type="Deposits/Withdrawals" transactionID="77" reportDate="${name}" description="CASH RECEIPTS" />`;
  const cash = account === 'U2' && at === WEDNESDAY ? deposit : '';
  return statement(account, { report, cash }, dates);
}

/** What could not be explained; of U2 Wednesday is there so many hours after it is over. */
async function unexplained(laterHours: number): Promise<readonly string[]> {
  const hours = await playWeek((day, nowMs) => {
    const isLate = day.at === WEDNESDAY && nowMs < day.endMs + laterHours * HOUR_MS;
    return (isLate ? ['U1'] : ['U1', 'U2']).map((account) => statementOf(account, day));
  });
  return hours.map(({ said }) => said);
}

it.each([
  [0, []],
  [10, []],
  [NEVER, ['500 history_limit']],
])('money comes into an empty account, and the statement %i hours late', async (later, said) => {
  expect(await unexplained(later)).toEqual(said);
});
