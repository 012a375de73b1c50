// An account whose venue tells of a day when it is over, with balances of then: nothing is stated of a day before, and what
// is stated then is whole, with the deposit and the trade where they were.

import { describe, expect, it } from 'vitest';
import type { Coverage } from '../../../../enclave/connector/classes.ts';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import { MemoryStore } from '../../../../enclave/ledger/store/memory-store.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf, boughtAt, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const START_MS = Date.UTC(2026, 10, 16, 12, 10);
/** Statements are of whole days in New York, and come an hour later. */
const FIRST_END_MS = Date.UTC(2026, 10, 16, 5);

interface Day {
  readonly records: readonly ConnectorRecord[];
  readonly usd: string;
  readonly btc: string;
}

const DAYS: readonly Day[] = [
  { records: [], usd: '100000', btc: '0' },
  { records: [depositedAt('d', FIRST_END_MS + 9 * HOUR_MS, '50000')], usd: '150000', btc: '0' },
  {
    records: [boughtAt('b', FIRST_END_MS + DAY_MS + 10 * HOUR_MS, '1', '60000')],
    usd: '89998.5',
    btc: '1',
  },
];

function rows(endMs: number, nowMs: number): readonly Coverage[] {
  return (['fills', 'deposits', 'balances', 'positions'] as const).flatMap((what) => [
    { what, market: 'U1', fromMs: endMs - DAY_MS, toMs: endMs - 1, complete: true, reason: null },
    { what, market: 'U1', fromMs: endMs - 1, toMs: nowMs, complete: false, reason: 'delayed' },
  ]);
}

describe('an account whose venue tells of a day when it is over', () => {
  it('has hours as far as was told, whole, and none before', async () => {
    const desk = new TrackDesk(START_MS);
    const story = { desk, record: openRecord(desk, new MemoryStore()) };
    for (let hour = 0; hour < 48; hour++) {
      desk.nowMs = START_MS + hour * HOUR_MS;
      const day = Math.floor((desk.nowMs - HOUR_MS - FIRST_END_MS) / DAY_MS);
      const { records, usd, btc } = DAYS[day] ?? DAYS[0] ?? { records: [], usd: '0', btc: '0' };
      const endMs = FIRST_END_MS + day * DAY_MS;
      desk.poll({
        records: [...records, balanceOf('USD', usd, 'flex'), balanceOf('BTC', btc, 'flex')],
        coverage: rows(endMs, desk.nowMs),
      });
      story.record.look();
      await story.record.idle();
      const last = story.record.track(desk.account.id)?.chain?.lastHourMs ?? 0;
      expect(last + HOUR_MS).toBeLessThanOrEqual(endMs);
    }
    expect(desk.fatal).toEqual([]);
    const hours = parsedOf(await signedOf(story)).filter((one) => one.kind === 'hour');
    // From the end of the first statement to the end of the last, each once.
    expect(hours.map(({ figures }) => figures.startMs)).toEqual(
      hours.map((_, at) => FIRST_END_MS - HOUR_MS + at * HOUR_MS),
    );
    expect(hours.length).toBe(49);
    expect(hours.every(({ supersedes }) => supersedes === null)).toBe(true);
    const residuals = hours.map(({ figures }) => figures.residual ?? 0n);
    expect(residuals.every((residual) => residual === 0n)).toBe(true);
    const inflow = hours.filter(({ figures }) => (figures.inflow ?? 0n) > 0n);
    expect(inflow.map(({ figures }) => formatFixed(figures.inflow ?? 0n))).toEqual(['50000']);
    expect(inflow[0]?.figures.startMs).toBe(FIRST_END_MS + 9 * HOUR_MS);
    // Who never looked while it happened is told of it by a later poll.
    expect(hours.slice(1).every(({ return: { ratio } }) => ratio !== null)).toBe(true);
    expect(inflow[0]?.return.ratio).toBe('0');
  }, 60_000);

  it.each([0, 4, 1])(
    'is waited for five days when it tells nothing any more: with a start every %i days',
    async (everyDays) => {
      const desk = new TrackDesk(START_MS);
      const store = new KeptStore();
      let record = openRecord(desk, store);
      const told = { records: [balanceOf('USD', '100000', 'flex')] };
      for (let hour = 0; hour < 14 * 24; hour++) {
        desk.nowMs = START_MS + hour * HOUR_MS;
        if (hour > 0 && hour % (everyDays * 24) === 0) {
          record = openRecord(desk, store);
          await record.idle();
        }
        const day = Math.floor((desk.nowMs - HOUR_MS - FIRST_END_MS) / DAY_MS);
        const endMs = FIRST_END_MS + day * DAY_MS;
        if (day < 3) desk.poll({ ...told, coverage: rows(endMs, desk.nowMs) });
        else desk.poll({ records: [], outcome: 'failed', reason: 'authentication', coverage: [] });
        record.look();
        await record.idle();
      }
      const last = record.track(desk.account.id)?.chain?.lastHourMs ?? 0;
      const behindMs = desk.nowMs - last - HOUR_MS;
      expect([behindMs >= 5 * DAY_MS, behindMs <= 5 * DAY_MS + HOUR_MS]).toEqual([true, true]);
      expect(desk.fatal).toEqual([]);
    },
    60_000,
  );
});
