// A query of Interactive Brokers that is broken out by day and has an account in which there is nothing, until a deposit
// comes on Wednesday, 25 November 2026. Its statement of that day may come later than that of another account, or never.

import { expect, it } from 'vitest';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { poll, query, statement } from '../../../helpers/flex-query.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { LEDGER_ACCOUNT } from '../../../helpers/track-store.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const NEW_YORK_MS = 5 * HOUR_MS;
/** Monday, 23 November 2026, in New York. */
const MONDAY_MS = Date.UTC(2026, 10, 23) + NEW_YORK_MS;
const WEDNESDAY = 2;
const POLLS = 70;
const NEVER = 1000;

function nameOf(timeMs: number): string {
  return new Date(timeMs - NEW_YORK_MS).toISOString().slice(0, 10).replaceAll('-', '');
}

/** Of one day, counted from Monday. */
function statementOf(account: string, at: number): string {
  const name = nameOf(MONDAY_MS + at * DAY_MS);
  const isHeld = account === 'U1' || at >= WEDNESDAY;
  const usd = isHeld ? (account === 'U1' ? '10000' : '500') : '0';
  const report = `<CashReportCurrency accountId="${account}" currency="USD" endingCash="${usd}" />`;
  const deposit = `<CashTransaction accountId="U2" currency="USD" dateTime="${name};120000" amount="500" type="Deposits/Withdrawals" transactionID="77" reportDate="${name}" description="CASH RECEIPTS" />`;
  const cash = account === 'U2' && at === WEDNESDAY ? deposit : '';
  return statement(account, { report, cash }, `fromDate="${name}" toDate="${name}"`);
}

/** The last nine days without weekends; of U2 Wednesday is there so many hours after it is over. */
function answerAt(nowMs: number, laterHours: number): string {
  const last = Math.floor((nowMs - MONDAY_MS) / DAY_MS) - 1;
  const days: string[] = [];
  for (let at = last - 8; at <= last; at++) {
    const timeMs = MONDAY_MS + at * DAY_MS;
    if ([0, 6].includes(new Date(timeMs).getUTCDay())) continue;
    days.push(statementOf('U1', at));
    const isLate = at === WEDNESDAY && nowMs < timeMs + DAY_MS + laterHours * HOUR_MS;
    if (!isLate) days.push(statementOf('U2', at));
  }
  return query(...days);
}

/** What could not be explained in nine days, and the gaps of the hours in which that was. */
async function unexplained(laterHours: number): Promise<readonly string[]> {
  const desk = new TrackDesk(MONDAY_MS + 8 * HOUR_MS, { ...LEDGER_ACCOUNT, venue: 'ibkr' });
  const record = openRecord(desk, new MemoryStore());
  for (let step = 0; step < POLLS; step++) {
    desk.nowMs = MONDAY_MS + (8 + 3 * step) * HOUR_MS;
    const { nowMs } = desk;
    const { cursors, fromMs } = desk.state;
    const answers = [answerAt(nowMs, laterHours)];
    const { done, records } = await poll(answers, { cursors, fromMs, nowMs });
    desk.state.cursors = done.cursors;
    desk.poll({ records, coverage: done.coverage });
    record.look();
    await record.idle();
  }
  expect(desk.fatal).toEqual([]);
  return parsedOf(await signedOf({ desk, record })).flatMap((hour) => {
    if (hour.kind !== 'hour') return [];
    const { residual, gaps } = hour.figures;
    return residual === null || residual === 0n
      ? []
      : [`${formatFixed(residual)} ${gaps.join(' ')}`];
  });
}

it.each([
  [0, []],
  [10, []],
  [NEVER, ['500 history_limit']],
])('money comes into an empty account, and the statement %i hours late', async (later, said) => {
  expect(await unexplained(later)).toEqual(said);
});
