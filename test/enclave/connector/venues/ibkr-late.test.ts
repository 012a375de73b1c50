// Trades of Interactive Brokers that are booked late, or again.

import { describe, expect, it } from 'vitest';
import { fillsOf, NOW_MS, poll, query, statement, TRADE } from '../../../helpers/flex-query.ts';

const HOUR_MS = 3_600_000;

/** With the column of transaction ids. */
function numbered(trade: string, number: string): string {
  return trade.replace('<Trade ', `<Trade transactionID="${number}" `);
}

function booked(date: string, id: string, time: string): string {
  return numbered(TRADE, id)
    .replace('<Trade ', `<Trade reportDate="${date}" `)
    .replace('20261102;101500', time);
}

describe('a trade that is booked late, under the time of its execution', () => {
  const dates = 'fromDate="20261101" toDate="20261103"';
  const later = { nowMs: NOW_MS + 26 * HOUR_MS };

  it('is taken behind a thousand that came after it', async () => {
    const trades = Array.from({ length: 1100 }, (_, at) => {
      const time = `${Math.floor(at / 60)}`.padStart(2, '0') + `${at % 60}`.padStart(2, '0');
      return booked('20261102', String(at), `20261102;10${time}`);
    }).join('');
    const first = await poll([query(statement('U1', { trades }))]);
    expect(fillsOf(first.records)).toHaveLength(1100);
    const { cursors } = first.done;
    const late = booked('20261103', '2000', '20261102;100000');
    const text = query(statement('U1', { trades: trades + late }, dates));
    const next = await poll([text], { cursors, ...later });
    expect(fillsOf(next.records).map(({ id }) => id)).toEqual(['U1:2000']);
  });

  it.each([
    ['with the day of its report', 'U1:2'],
    ['in the statement of its day', 'U1:2'],
    ['and nothing says when', null],
  ])('is taken after a poll without cursors from later on, %s', async (how, expected) => {
    const old = booked('20261102', '1', '20261101;101500');
    const fromMs = Date.UTC(2026, 10, 2, 5);
    const first = await poll([query(statement('U1', { trades: old }))], { fromMs });
    expect(fillsOf(first.records)).toEqual([]);
    const late = booked('20261103', '2', '20261101;101500');
    const bare = late.replace(/ reportDate="[^"]*"/u, '');
    const days = [
      statement('U1', { trades: old }),
      statement('U1', { trades: bare }, 'fromDate="20261103" toDate="20261103"'),
    ];
    const whole = how.startsWith('with') ? late : bare;
    const text = how.startsWith('in')
      ? query(...days)
      : query(statement('U1', { trades: old + whole }, dates));
    const change = { cursors: first.done.cursors, fromMs: Date.UTC(2026, 9, 20), ...later };
    const { records } = await poll([text], change);
    expect(fillsOf(records).map(({ id }) => id)).toEqual(expected === null ? [] : [expected]);
  });
});

describe('a trade that is booked again under the ids of its execution', () => {
  const cancelled = numbered(TRADE, '102').replace('="10"', '="-10"').replaceAll('"11"', '""');
  const corrected = numbered(TRADE, '103').replace('="10"', '="11"');

  it.each([
    ['that is told now', numbered(TRADE, '101'), []],
    // Told twice, as docs/VENUES.md says of columns that change; but whatever is corrected is taken.
    ['that was told without its number', TRADE, ['U1:101 buy 10']],
  ])('is another than the one %s', async (_, trade, again) => {
    const first = await poll([query(statement('U1', { trades: trade }))]);
    expect(fillsOf(first.records)).toHaveLength(1);
    let { cursors } = first.done;
    const found: string[][] = [];
    for (const [hours, more] of [
      [2, ''],
      [26, cancelled + corrected],
    ] as const) {
      const trades = numbered(TRADE, '101') + more;
      const nowMs = NOW_MS + hours * HOUR_MS;
      const next = await poll([query(statement('U1', { trades }))], { cursors, nowMs });
      found.push(fillsOf(next.records).map(({ id, side, amount }) => `${id} ${side} ${amount}`));
      cursors = next.done.cursors;
    }
    expect(found).toEqual([again, ['U1:102 sell 10', 'U1:103 buy 11']]);
  });
});
