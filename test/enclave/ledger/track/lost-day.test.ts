// A query of Interactive Brokers that is broken out by day, polled each three hours, without a statement for Thanksgiving
// (Thursday, 26 November 2026): a holiday, or a day that is lost.

import { describe, expect, it } from 'vitest';
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
const THURSDAY = 3;
const FRIDAY = 4;

function nameOf(timeMs: number): string {
  return new Date(timeMs - NEW_YORK_MS).toISOString().slice(0, 10).replaceAll('-', '');
}

/** Statements of the business days before, but one; from `since` on there is less money, and nothing says why. */
function answerAt(nowMs: number, without: number, since: number, usd: string): string {
  const last = Math.floor((nowMs - MONDAY_MS) / DAY_MS) - 1;
  const days: string[] = [];
  for (let at = last - 8; at <= last; at++) {
    const timeMs = MONDAY_MS + at * DAY_MS;
    if (at === without || [0, 6].includes(new Date(timeMs).getUTCDay())) continue;
    const cash = at >= since ? usd : '10000';
    const report = `<CashReportCurrency accountId="U1" currency="USD" endingCash="${cash}" />`;
    const name = nameOf(timeMs);
    days.push(statement('U1', { report }, `fromDate="${name}" toDate="${name}"`));
  }
  return query(...days);
}

/** Hours whose money was not what it should have been: their end, what is missing, and their gaps. */
async function playWeek(without: number, since: number, usd: string): Promise<readonly string[]> {
  const desk = new TrackDesk(MONDAY_MS + 8 * HOUR_MS, { ...LEDGER_ACCOUNT, venue: 'ibkr' });
  const record = openRecord(desk, new MemoryStore());
  for (let step = 0; step < 70; step++) {
    desk.nowMs = MONDAY_MS + (8 + 3 * step) * HOUR_MS;
    const { cursors, fromMs } = desk.state;
    const { nowMs } = desk;
    const answers = [answerAt(nowMs, without, since, usd)];
    const { done, records } = await poll(answers, { cursors, fromMs, nowMs });
    desk.state.cursors = done.cursors;
    desk.poll({ records, coverage: done.coverage });
    record.look();
    await record.idle();
  }
  expect(desk.fatal).toEqual([]);
  const hours = parsedOf(await signedOf({ desk, record })).filter(({ kind }) => kind === 'hour');
  return hours.flatMap((hour) => {
    if (hour.kind !== 'hour') return [];
    const { startMs, residual, gaps } = hour.figures;
    if (residual === null || residual === 0n) return [];
    const day = Math.floor((startMs - MONDAY_MS) / DAY_MS);
    const isLast = startMs === MONDAY_MS + (day + 1) * DAY_MS - HOUR_MS;
    return [`${day} ${isLast ? 'last' : 'other'} ${formatFixed(residual)} ${gaps.join(' ')}`];
  });
}

describe('a day without a statement', () => {
  it('is followed by one that is compared like any other', async () => {
    const whole = await playWeek(-1, FRIDAY, '9970');
    expect(whole).toEqual([`${FRIDAY} last -30 `]);
    expect(await playWeek(THURSDAY, FRIDAY, '9970')).toEqual([`${FRIDAY} last -30 history_limit`]);
  }, 120_000);

  it('that was lost, with what happened on it: the hour in which that comes out says so', async () => {
    const found = await playWeek(THURSDAY, THURSDAY, '7000');
    expect(found).toEqual([`${FRIDAY} last -3000 history_limit`]);
  }, 120_000);
});
