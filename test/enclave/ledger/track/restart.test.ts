// A ledger that starts again, or somebody who asks for a sync, lets go of all cursors: whatever the venue had not told until
// then is told all the same. The cursors are those of the connector, let go of as the desk does; every hour is what it is
// where nothing was let go of.

import { describe, expect, it } from 'vitest';
import type { Coverage } from '../../../../enclave/connector/classes.ts';
import {
  encodeCursors,
  parseCursors,
  rewindCursors,
} from '../../../../enclave/connector/cursors.ts';
import { FLOW_OVERLAP_MS } from '../../../../enclave/connector/adapter.ts';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import type { HistorySource } from '../../../../enclave/connector/source.ts';
import { walkHistory } from '../../../../enclave/connector/source.ts';
import { LATE_MS } from '../../../../enclave/ledger/protocol.ts';
import { HISTORY_MS, resyncFromMs } from '../../../../enclave/ledger/track/account-parts.ts';
import { MetricsMaker } from '../../../../enclave/ledger/track/metrics-maker.ts';
import { TrackQueries } from '../../../../enclave/ledger/track/track-queries.ts';
import { TrackRecord } from '../../../../enclave/ledger/track/track-record.ts';
import { toHex, utf8 } from '../../../../wire/bytes.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import type { Asked, Reply } from '../../../helpers/connector-desk.ts';
import { jobOf, runJob } from '../../../helpers/connector-desk.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { BOOKS, TrackDesk } from '../../../helpers/track-desk.ts';
import { LEDGER_ACCOUNT, storeScene } from '../../../helpers/track-store.ts';
import { parsedOf, signedOf } from '../../../helpers/track-story.ts';

interface Told {
  readonly records: readonly ConnectorRecord[];
  readonly coverage: readonly Coverage[];
  readonly cursors: Uint8Array | null;
}

/** One poll of a venue, with the cursors and from the time that the desk has. */
type Venue = (desk: TrackDesk) => Promise<Told>;

interface Scenario {
  readonly venue: 'ibkr' | 'binance';
  readonly startMs: number;
  readonly stepMs: number;
  readonly steps: number;
  readonly poll: Venue;
}

type Event = 'nothing' | 'a restart' | 'a sync job';

const scene = await storeScene();

interface Ledger {
  readonly record: TrackRecord;
  readonly queries: TrackQueries;
}

function start(desk: TrackDesk): Ledger {
  const services = desk.services();
  const store = scene.store();
  // Nothing happens but what the scenario does.
  const times = { tickMs: 1_000_000_000, retryMs: 1, graceMs: HOUR_MS / 2 };
  const record = new TrackRecord(services, { store, books: BOOKS, ...times });
  return { record, queries: new TrackQueries(services, record, new MetricsMaker(services, store)) };
}

/** What is stated of each hour at last. `at`: in which step the event is. */
async function play(
  scenario: Scenario,
  event: Event,
  at: number,
): Promise<ReadonlyMap<number, HourFigures>> {
  await scene.clear();
  const { venue, startMs, stepMs, steps, poll } = scenario;
  const desk = new TrackDesk(startMs, { ...LEDGER_ACCOUNT, venue });
  let ledger = start(desk);
  for (let step = 0; step < steps; step++) {
    desk.nowMs = startMs + step * stepMs;
    let asked: Promise<unknown> = Promise.resolve({ ok: true });
    if (step === at && event === 'a restart') {
      ledger.record.store.close();
      ledger = start(desk);
      await ledger.record.idle();
    }
    if (step === at && event === 'a sync job') {
      const query = { userUid: toHex(desk.account.commitment), exchange: null, range: null };
      const caller = { certificate: new Uint8Array(32) };
      const { signal } = new AbortController();
      asked = ledger.queries.syncJob(caller, { ...query, type: 'incremental' }, signal);
    }
    expect(desk.state.reads === 'again').toBe(step > 0 && step === at && event !== 'nothing');
    const { cursors, ...told } = await poll(desk);
    desk.goesOn(cursors);
    desk.poll(told);
    ledger.record.look();
    await ledger.record.idle();
    expect(await asked).toMatchObject({ ok: true });
  }
  expect(desk.fatal).toEqual([]);
  const hours = new Map<number, HourFigures>();
  for (const one of parsedOf(await signedOf({ desk, record: ledger.record })))
    if (one.kind === 'hour') hours.set(one.figures.startMs, one.figures);
  await ledger.record.close();
  return hours;
}

/** The day in New York ends at 05:00 UTC. */
const DAY_END_MS = Date.UTC(2026, 10, 19, 5);
const DEPOSIT =
  '<CashTransaction accountId="U1" currency="USD" fxRateToBase="1" levelOfDetail="DETAIL" type="Deposits/Withdrawals" amount="500" dateTime="20261120;010000" reportDate="20261120" transactionID="7" />';

function reply({ url }: Asked, toMs: number): Reply {
  if (url.pathname.endsWith('/SendRequest')) {
    return {
      body: '<FlexStatementResponse timestamp="x"><Status>Success</Status><ReferenceCode>1</ReferenceCode></FlexStatementResponse>',
    };
  }
  const day = Math.floor((toMs - DAY_END_MS) / DAY_MS);
  const date = new Date(DAY_END_MS + (day - 1) * DAY_MS).toISOString().slice(0, 10);
  const dated = date.replaceAll('-', '');
  const cash = date === '2026-11-20' ? DEPOSIT : '';
  const usd = date >= '2026-11-20' ? '1500' : '1000';
  return {
    body: `<?xml version="1.0"?><FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="${dated}" toDate="${dated}" period="" whenGenerated="${dated};235959"><Trades></Trades><CashTransactions>${cash}</CashTransactions><Transfers></Transfers><OpenPositions></OpenPositions><CashReport><CashReportCurrency currency="USD" endingCash="${usd}" /></CashReport><SalesTaxes /><CorporateActions /><ConversionRates /></FlexStatement></FlexStatements></FlexQueryResponse>`,
  };
}

/** Days are told so much later than they are over: by the connector itself, over the service's own answers. */
function statements(lateMs: number, stepMs: number, steps: number): Scenario {
  return {
    venue: 'ibkr',
    startMs: Date.UTC(2026, 10, 19, 16, 10),
    stepMs,
    steps,
    poll: async ({ state, nowMs }) => {
      const credentials = { apiKey: utf8('token'), secret: utf8('1'), passphrase: null };
      const { cursors, fromMs, reads } = state;
      const job = jobOf('ibkr', { fromMs, reads, nowMs, cursors, credentials });
      const { done, records } = await runJob(job, (asked) => reply(asked, nowMs - lateMs));
      expect(done.outcome).toBe('complete');
      return { records, coverage: done.coverage, cursors: done.cursors };
    },
  };
}

/** Not asked for again within the hour. */
const NEXT_DAY = statements(10 * HOUR_MS, HOUR_MS + 60_000, 72);
/** The day of the deposit is told six days after it began. */
const NEXT_WEEK = statements(5 * DAY_MS, 3 * HOUR_MS, 64);

const PENDING_MS = Date.UTC(2026, 10, 1, 22);
const CAME_MS = PENDING_MS + 7 * DAY_MS;

/** A deposit that is on its way for a week, and then in the balances: it came after the last poll without it. */
const DEPOSITS: Scenario = {
  venue: 'binance',
  startMs: PENDING_MS - 4 * HOUR_MS + 600_000,
  stepMs: 2 * HOUR_MS,
  steps: 92,
  poll: async ({ state, nowMs }) => {
    const isThere = nowMs >= CAME_MS;
    const flow = {
      ...depositedAt('d', PENDING_MS, '500'),
      status: isThere ? 'ok' : 'pending',
    } as const;
    const records: ConnectorRecord[] = [balanceOf('USD', isThere ? '1500' : '1000')];
    const coverage: Coverage[] = [
      { what: 'balances', market: 'all', fromMs: nowMs, toMs: nowMs, complete: true, reason: null },
    ];
    const cursors = rewindCursors(parseCursors(state.cursors), state.reads, state.fromMs);
    const page: HistorySource['page'] = ({ fromMs, toMs }) => {
      const isIn = PENDING_MS <= nowMs && PENDING_MS >= fromMs && PENDING_MS <= toMs;
      return Promise.resolve({ records: isIn ? [flow] : [], malformed: 0, next: null });
    };
    const error = await walkHistory(
      {
        type: 'history',
        what: 'deposits',
        market: 'all',
        key: 'deposits',
        windowMs: DAY_MS,
        historyMs: null,
        overlapMs: FLOW_OVERLAP_MS,
        page,
      },
      {
        cursors,
        fromMs: state.fromMs,
        nowMs: () => nowMs,
        emit: (told) => {
          records.push(...told);
          return Promise.resolve();
        },
        cover: (row) => coverage.push(row),
      },
    );
    expect(error).toBe(null);
    return { records, coverage, cursors: encodeCursors(cursors) };
  },
};

function flowsOf(hours: ReadonlyMap<number, HourFigures>): readonly (readonly [number, string])[] {
  return [...hours.values()].flatMap(({ startMs, inflow }) =>
    (inflow ?? 0n) > 0n ? [[startMs, formatFixed(inflow ?? 0n)] as const] : [],
  );
}

describe.each([
  // Hours before the statement of the day before comes, and one after it.
  ['statements that come late', NEXT_DAY, Date.UTC(2026, 10, 20, 6), [40, 46, 48]],
  ['statements that come very late', NEXT_WEEK, Date.UTC(2026, 10, 20, 6), [51]],
  ['a deposit that is on its way', DEPOSITS, CAME_MS - 2 * HOUR_MS, [3, 80, 85]],
] as const)('%s', (_, scenario, depositHourMs, steps) => {
  it.each(steps.flatMap((step) => [[step, 'a restart'] as const, [step, 'a sync job'] as const]))(
    'and in step %i %s: every hour is what it is without',
    async (step, event) => {
      const without = await play(scenario, 'nothing', 0);
      const [flow] = flowsOf(without);
      expect(flow).toEqual([depositHourMs, '500']);
      expect([...without.values()].every(({ residual }) => (residual ?? 0n) === 0n)).toBe(true);
      const hours = await play(scenario, event, step);
      expect(flowsOf(hours)).toEqual([flow]);
      // A ledger that has started waits anew for what is not told yet.
      const untilMs = Math.min(Math.max(...hours.keys()), Math.max(...without.keys()));
      expect(untilMs).toBeGreaterThanOrEqual(depositHourMs + 10 * HOUR_MS);
      const told = (all: typeof hours): unknown =>
        [...all].filter(([startMs]) => startMs <= untilMs);
      expect(told(hours)).toEqual(told(without));
    },
    120_000,
  );
});

describe('what is read anew', () => {
  it('begins before what may not have been told, and not before the record', () => {
    const createdMs = 100 * DAY_MS;
    const nowMs = 200 * DAY_MS;
    expect(resyncFromMs({ createdMs }, nowMs, Infinity)).toBe(nowMs - LATE_MS);
    expect(resyncFromMs({ createdMs }, nowMs, nowMs - DAY_MS, nowMs - 2)).toBe(
      nowMs - DAY_MS - LATE_MS,
    );
    expect(resyncFromMs({ createdMs }, nowMs, 0)).toBe(createdMs - HISTORY_MS);
    expect(resyncFromMs({ createdMs: DAY_MS }, 0)).toBe(0);
  });
});
