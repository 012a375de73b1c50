import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../../../enclave/connector/job.ts';
import type { Flow } from '../../../../enclave/connector/records.ts';
import type { Asked, Outcome, Reply } from '../../../helpers/connector-desk.ts';
import { jobOf, routes, runJob, START_MS } from '../../../helpers/connector-desk.ts';
import { reply } from '../../../helpers/venue-shapes.ts';

type Activity = Readonly<Record<string, unknown>>;

const FIXTURES: URL = new URL('../../../fixtures/connector/', import.meta.url);
const RECORDED = JSON.parse(
  readFileSync(new URL('alpaca-activities.json', FIXTURES), 'utf8'),
) as readonly Activity[];
const POSITIONS: unknown = JSON.parse(
  readFileSync(new URL('alpaca-position.json', FIXTURES), 'utf8'),
);

function nta(type: string, amount: string, more: Activity = {}): Activity {
  const id = `20261102000000000::${type}${amount}`;
  return {
    id,
    activity_type: type,
    date: '2026-11-02',
    net_amount: amount,
    status: 'executed',
    ...more,
  };
}

/** As the venue pages: ascending by id, a hundred at most, after the one that is named. */
function list(all: readonly Activity[]): (asked: Asked) => Reply {
  return ({ query }) => {
    const size = Number(query.get('page_size'));
    if (size > 100) return { status: 422, body: { code: 40010001, message: 'page_size' } };
    const token = query.get('page_token');
    const fills = query.get('category') === 'trade_activity';
    const own = all
      .filter((activity) => (activity['activity_type'] === 'FILL') === fills)
      .sort((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1));
    const from = token === null ? 0 : own.findIndex(({ id }) => id === token) + 1;
    return { body: own.slice(from, from + size) };
  };
}

function poll(all: readonly Activity[], change: Partial<Job> = {}): Promise<Outcome> {
  return runJob(
    jobOf('alpaca', change),
    routes({
      '/v2/account': reply({ id: 'a', status: 'ACTIVE', cash: '100.10', currency: 'USD' }),
      '/v2/positions': reply(POSITIONS),
      '/v2/account/activities': list(all),
    }),
  );
}

function flowsOf({ records }: Outcome): readonly Flow[] {
  return records.filter((record) => record.kind === 'flow');
}

const checkAnswered = (status: number): Promise<Outcome> =>
  runJob(
    jobOf('alpaca', { kind: 'check' }),
    routes({ '/v2/account': () => ({ status, body: {} }) }),
  );

describe('alpaca', () => {
  it('takes what the venue recorded: fills without fees, positions in shares', async () => {
    const fromMs = Date.UTC(2022, 2, 1);
    const { records } = await poll(RECORDED, { fromMs, nowMs: START_MS });
    const fills = records.filter((record) => record.kind === 'fill');
    expect(fills).toHaveLength(5);
    expect(fills.find(({ symbol, side }) => symbol === 'GOOGL' && side === 'sell')).toMatchObject({
      id: '20220304123922801::3b8a937c-b1d9-4ebe-ae94-5e0b52c3f350',
      orderId: '642695e3-def7-4637-9525-2e7f698ebfc7',
      market: 'stock',
      quote: 'USD',
      price: '2644.84',
      amount: '0.058773239',
      fees: null,
      timeMs: Date.parse('2022-03-04T17:39:22.801Z'),
    });
    expect(records.filter(({ kind }) => kind === 'position')).toEqual([
      expect.objectContaining({
        symbol: 'AAPL',
        contracts: '5',
        entry: '100',
        mark: '120',
        unrealized: '100',
      }),
    ]);
    expect(records).toContainEqual(expect.objectContaining({ kind: 'balance', total: '100.1' }));
  });

  it('pages 250 fills by the id of the last one, a hundred at a time', async () => {
    const fill = RECORDED[0] ?? {};
    const all = Array.from({ length: 250 }, (_, at) => ({
      ...fill,
      id: `20261102000100000::${String(at).padStart(6, '0')}`,
      transaction_time: '2026-11-02T00:01:00Z',
    }));
    const { records, asked } = await poll(all);
    expect(records.filter(({ kind }) => kind === 'fill')).toHaveLength(250);
    const pages = asked.filter(({ query }) => query.get('category') === 'trade_activity');
    expect(pages.map(({ query }) => query.get('page_token')?.slice(-6) ?? null)).toEqual([
      null,
      '000099',
      '000199',
    ]);
  });

  it('takes a deposit that is dated by day alone, later on the first day', async () => {
    const fromMs = START_MS + 10 * 3_600_000;
    const first = await poll([], { fromMs, nowMs: fromMs + 1000 });
    const second = await poll([nta('CSD', '500')], {
      fromMs,
      nowMs: fromMs + 300_000,
      cursors: first.done.cursors,
    });
    expect(flowsOf(second).map(({ type, amount }) => [type, amount])).toEqual([['deposit', '500']]);
    const third = await poll([nta('CSD', '500')], {
      fromMs,
      nowMs: fromMs + 600_000,
      cursors: second.done.cursors,
    });
    expect(flowsOf(third)).toEqual([]);
  });

  it('sees 403 as keys that are no good, 422 as a question that is', async () => {
    expect((await checkAnswered(403)).done.errorClass).toBe('authentication');
    expect((await checkAnswered(422)).done.errorClass).toBe('bad_request');
  });

  it('refuses an account that is not active', async () => {
    const internet = routes({ '/v2/account': reply({ id: 'a', status: 'ACCOUNT_CLOSED' }) });
    const { done } = await runJob(jobOf('alpaca', { kind: 'check' }), internet);
    expect(done.errorClass).toBe('account');
  });
});
