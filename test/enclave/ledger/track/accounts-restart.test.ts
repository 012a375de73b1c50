// Several accounts of Interactive Brokers in a query of the last day of business, while one of them is waited for and the
// ledger, or the whole enclave, starts anew: what there is to wait for is remembered, and what a ledger has not
// heard of is not taken as told.

import { describe, expect, it } from 'vitest';
import { HOUR_MS } from '../../../../wire/track/head.ts';
import { statement } from '../../../helpers/flex-query.ts';
import type { FlexDay, StatementsOf } from '../../../helpers/flex-week.ts';
import { hoursWithoutReturn, isLastAt, MONDAY_MS, playWeek } from '../../../helpers/flex-week.ts';

const MONDAY = 0;
const TUESDAY = 1;
/** Polls, one in three hours, behind which Tuesday is in the answers for some more. */
const MORNING = [13, 14, 15, 18];
const POLLS_OF_A_DAY = 8;

interface Held {
  readonly account: string;
  readonly usd: number;
  readonly paid?: number;
}

function statementOf({ dates, name }: FlexDay, { account, usd, paid = 0 }: Held): string {
  const report = `<CashReportCurrency accountId="${account}" currency="USD" endingCash="${usd}" />`;
  const cash = `<CashTransaction accountId="${account}" currency="USD" dateTime="${name};120000" amount="${paid}" type="Deposits/Withdrawals" transactionID="${account}${name}" reportDate="${name}" description="CASH RECEIPTS" />`;
  return statement(account, { report, cash: paid === 0 ? '' : cash }, dates);
}

const LATER: StatementsOf = (day, nowMs) => {
  if (!isLastAt(day, nowMs)) return [];
  const first = statementOf(day, { account: 'U1', usd: 10_000 });
  const isThere = nowMs >= day.endMs + 10 * HOUR_MS;
  return isThere ? [first, statementOf(day, { account: 'U2', usd: 500 })] : [first];
};

describe('an account that is told 10 hours after the other', () => {
  it.each([[[23]], [[24]], [[25]], [[22, 30]], [[23, 24, 25]]])(
    'is waited for when the ledger starts anew behind polls %j',
    async (restarts) => {
      expect(await playWeek(LATER, { restarts })).toEqual([]);
    },
  );

  it('is waited for when no poll since has been heard', async () => {
    expect(await playWeek(LATER, { unheard: [22, 23], restarts: [23] })).toEqual([]);
    expect(await playWeek(LATER, { unheard: [23, 24], restarts: [24, 25] })).toEqual([]);
  });
});

const CLOSED: StatementsOf = (day, nowMs) => {
  if (!isLastAt(day, nowMs)) return [];
  const isPaid = day.at >= MONDAY;
  const paid = day.at === MONDAY ? 500 : 0;
  const first = statementOf(day, { account: 'U1', usd: isPaid ? 10_500 : 10_000, paid });
  if (day.at > MONDAY) return [first];
  return [first, statementOf(day, { account: 'U2', usd: isPaid ? 0 : 500, paid: -paid })];
};

describe('an account that is emptied into the other and closed', () => {
  it.each([[[]], [[20]], [[30]], [[40]], [[20, 30, 40]]])(
    'costs no return while it is waited for and the ledger starts anew behind polls %j',
    async (restarts) => {
      const without = await hoursWithoutReturn(CLOSED, { restarts });
      expect(without.filter((startMs) => startMs >= MONDAY_MS)).toEqual([]);
    },
  );
});

const PAID_OUT: StatementsOf = (day, nowMs) => {
  if (!isLastAt(day, nowMs)) return [];
  const usd = day.at >= TUESDAY ? 9300 : 10_000;
  return [statementOf(day, { account: 'U1', usd, paid: day.at === TUESDAY ? -700 : 0 })];
};

describe('what is paid out on a day that the ledger has not heard of', () => {
  /** Until the query is of Wednesday, and Tuesday in no answer any more. */
  const unheard = Array.from({ length: POLLS_OF_A_DAY }, (_, at) => 14 + at);

  it('is told when it was heard, and when the ledger alone starts anew', async () => {
    expect(await playWeek(PAID_OUT)).toEqual([]);
    expect(await playWeek(PAID_OUT, { restarts: [18, 22] })).toEqual([]);
  });

  it('is lost, and said to be, when the enclave starts behind polls that it told nobody', async () => {
    const found = await playWeek(PAID_OUT, { unheard, restarts: [21] });
    expect(found.map(({ said }) => said)).toEqual(['-700 history_limit']);
  });

  it.each(MORNING)('is read again while it is there, behind poll %i', async (at) => {
    expect(await playWeek(PAID_OUT, { unheard: [at, at + 1], restarts: [at + 1] })).toEqual([]);
  });
});
