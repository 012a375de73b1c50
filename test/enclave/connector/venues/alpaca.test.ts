import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Job } from '../../../../enclave/connector/job.ts';
import type { Flow } from '../../../../enclave/connector/records.ts';
import { startExchange } from '../../../../simulator/exchange/server.ts';
import type { Asked, Outcome, Reply } from '../../../helpers/connector-desk.ts';
import { jobOf, routes, runJob, START_MS } from '../../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../../helpers/simulated-venues.ts';
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

function corporate(sub: string, group: string): Activity {
  return { activity_sub_type: sub, group_id: group, qty: '0' };
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
    const rest = token === null ? own : own.filter(({ id }) => String(id) > token);
    return { body: rest.slice(0, size) };
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

const SHARED: URL = new URL('../../../../../shared/data/alpaca/', import.meta.url);
const SAMPLES: readonly string[] = existsSync(SHARED)
  ? readdirSync(SHARED).filter((name) => name.includes('activit'))
  : [];
if (SAMPLES.length === 0) console.log('skipped: no activities in ../shared/data/alpaca');

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

  it('pages 250 fills by the last id but one, a hundred at a time', async () => {
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
      '000098',
      '000197',
    ]);
  });

  it('pages 250 other activities the same way, and takes each once over two polls', async () => {
    const all = Array.from({ length: 250 }, (_, at) => ({
      ...nta('DIV', '0.01', { symbol: 'T', qty: '2' }),
      id: `20261102000000000::${String(at).padStart(6, '0')}`,
    }));
    const first = await poll(all.slice(0, 199));
    expect(flowsOf(first)).toHaveLength(199);
    const { cursors } = first.done;
    const second = await poll(all, { cursors, nowMs: START_MS + 600_000 });
    expect(flowsOf(second)).toHaveLength(51);
    const pages = second.asked.filter(({ query }) => query.get('category') !== 'trade_activity');
    const asked = pages.filter(({ query }) => query.has('category'));
    expect(asked.map(({ query }) => query.get('page_token')?.slice(-6) ?? null)).toEqual([
      null,
      '000098',
      '000197',
    ]);
  });

  it('has a kind for every activity, and a line for what moved', async () => {
    const security = { symbol: 'ABC', qty: '-10' };
    const { records, done } = await poll([
      nta('CSD', '500'),
      nta('CSW', '-200'),
      nta('JNLC', '-25'),
      nta('JNLS', '0', { symbol: 'ABC', qty: '3' }),
      nta('ACATC', '70'),
      nta('ACATS', '0', { symbol: 'XYZ', qty: '4' }),
      nta('DIV', '1.02', { symbol: 'T', qty: '2' }),
      nta('DIVNRA', '-0.15', { symbol: 'T' }),
      nta('INT', '0.4'),
      nta('INTNRA', '-0.1'),
      nta('FEE', '-0.02'),
      nta('CFEE', '0', { symbol: 'BTCUSD', qty: '-0.0005' }),
      nta('PTC', '-1'),
      nta('PTR', '0.3'),
      nta('MA', '320', security),
      nta('SPLIT', '0', { symbol: 'ABC', qty: '20' }),
      nta('OPEXP', '0', { symbol: 'ABC261120C00010000', qty: '-1' }),
      nta('CIL', '0.77', { symbol: 'ABC' }),
      nta('NC', '0', { symbol: 'OLD', qty: '0' }),
      nta('MISC', '2'),
    ]);
    const lines = records.flatMap((record): readonly string[] =>
      record.kind === 'flow'
        ? [
            `${record.from ?? ''} ${record.type} ${record.direction} ${record.amount} ${record.currency}`,
          ]
        : [],
    );
    const markets = records.flatMap((record) =>
      record.kind === 'flow' && record.market !== null ? [`${record.from} ${record.market}`] : [],
    );
    expect(markets.filter((line) => /DIV|FEE|OPEXP/u.test(line)).sort()).toEqual([
      'DIV stock',
      'DIVNRA stock',
      'OPEXP option',
    ]);
    expect(lines.sort()).toEqual([
      'ACATC transfer_in in 70 USD',
      'ACATS transfer_in in 4 XYZ',
      'CFEE fee out 0.0005 BTC',
      'CIL other in 0.77 USD',
      'CSD deposit in 500 USD',
      'CSW withdrawal out 200 USD',
      'DIV dividend in 1.02 USD',
      'DIVNRA dividend out 0.15 USD',
      'FEE fee out 0.02 USD',
      'INT interest in 0.4 USD',
      'INTNRA interest out 0.1 USD',
      'JNLC transfer_out out 25 USD',
      'JNLS transfer_in in 3 ABC',
      'MA conversion in 320 USD',
      'MA conversion out 10 ABC',
      'MISC other in 2 USD',
      'OPEXP other out 1 ABC261120C00010000',
      'PTC fee out 1 USD',
      'PTR rebate in 0.3 USD',
      'SPLIT other in 20 ABC',
    ]);
    expect(done.coverage.every(({ reason }) => reason !== 'record_malformed')).toBe(true);
  });

  it('keeps an option that is exercised and its shares apart, though they have one id', async () => {
    const id = '20261102011955195::1';
    const { records } = await poll([
      nta('OPEXC', '0', { id, symbol: 'ABC261120C00150000', qty: '-2' }),
      nta('OPTRD', '-30000', { id, symbol: 'ABC', qty: '200', price: '150' }),
    ]);
    const flows = records.filter((record) => record.kind === 'flow');
    expect(flows.map(({ type, amount, currency }) => `${type} ${amount} ${currency}`)).toEqual([
      'other 2 ABC261120C00150000',
      'conversion 30000 USD',
      'conversion 200 ABC',
    ]);
    expect(new Set(flows.map((flow) => flow.id)).size).toBe(3);
  });

  it('keeps two conversions with money under one id apart', async () => {
    const id = '20261102011955195::1';
    const outcome = await poll([
      nta('MA', '320', { id, symbol: 'ABC', qty: '-10' }),
      nta('MA', '-50', { id, symbol: 'XYZ', qty: '5' }),
    ]);
    const flows = flowsOf(outcome);
    expect(
      flows.map((flow) => `${flow.direction} ${flow.amount} ${flow.currency} ${flow.networkId}`),
    ).toEqual([
      `in 320 USD ${id}-ABC`,
      `out 10 ABC ${id}-ABC`,
      `out 50 USD ${id}-XYZ`,
      `in 5 XYZ ${id}-XYZ`,
    ]);
    expect(new Set(flows.map((flow) => flow.id)).size).toBe(4);
  });

  it.each([
    ['SPLIT', '0', '-100', 'SPLIT', '0', '10', ['other out 100 ABC', 'other in 10 ABC']],
    ['DIV', '10', '5', 'DIVNRA', '-1.5', '5', ['dividend in 10 USD', 'dividend out 1.5 USD']],
  ])('keeps two of one id and symbol apart: %s of %s and %s, and %s', async (...row) => {
    const [type, amount, qty, otherType, otherAmount, otherQty, expected] = row;
    const of = { id: '20261102000000000::1', symbol: 'ABC' };
    const all = [
      nta(type, amount, { ...of, qty }),
      nta(otherType, otherAmount, { ...of, qty: otherQty }),
    ];
    const outcome = await poll(all);
    const found = flowsOf(outcome).map((flow) =>
      [flow.type, flow.direction, flow.amount, flow.currency].join(' '),
    );
    expect(found).toEqual(expected);
    const again = await poll(all, { cursors: outcome.done.cursors });
    expect(flowsOf(again)).toEqual([]);
  });

  it.each([97, 98, 99, 100, 198])('takes both of one id behind %i others', async (before) => {
    const others = Array.from({ length: before }, (_, at) =>
      nta('DIV', '1', { symbol: 'T', id: `20261102000000000::${String(at).padStart(6, '0')}` }),
    );
    const id = '20261102000000000::999999';
    const option = nta('OPEXC', '0', { id, symbol: 'ABC261120C00150000', qty: '-2' });
    const shares = nta('OPTRD', '-30000', { id, symbol: 'ABC', qty: '200' });
    const outcome = await poll([...others, option, shares, nta('INT', '1', { id: `${id}9` })]);
    const flows = flowsOf(outcome).filter(({ type }) => type !== 'dividend');
    expect(flows.map(({ type, amount }) => `${type} ${amount}`).sort()).toEqual([
      'conversion 200',
      'conversion 30000',
      'interest 1',
      'other 2',
    ]);
    expect(flowsOf(outcome)).toHaveLength(before + 4);
  });

  it('does not take a page of one id alone for a whole one', async () => {
    const id = '20261102000000000::1';
    const all = Array.from({ length: 100 }, (_, at) =>
      nta('SPLIT', '0', { id, symbol: `S${at}`, qty: '1' }),
    );
    const { done } = await poll(all);
    expect(done.coverage.filter(({ what }) => what === 'transfers')).toEqual([
      expect.objectContaining({ complete: false, reason: 'bad_response' }),
    ]);
    expect(flowsOf(await poll(all.slice(1)))).toHaveLength(99);
  });

  it('has the money and the shares of a merger as one conversion, and shares for shares as none', async () => {
    const { records } = await poll([
      nta('MA', '320', { ...corporate('CMA', 'g1'), id: '20261102000000000::1' }),
      nta('MA', '0', {
        ...corporate('CMA', 'g1'),
        id: '20261102000000000::2',
        symbol: 'ABC',
        qty: '-10',
      }),
      nta('MA', '0', {
        ...corporate('SMA', 'g2'),
        id: '20261102000000000::3',
        symbol: 'DEF',
        qty: '-20',
      }),
      nta('DIV', '0', {
        ...corporate('SDIV', 'g3'),
        id: '20261102000000000::4',
        symbol: 'GHI',
        qty: '0.5',
      }),
    ]);
    const flows = records.filter((record) => record.kind === 'flow');
    expect(
      flows.map(({ type, amount, currency, networkId }) => [type, amount, currency, networkId]),
    ).toEqual([
      ['conversion', '320', 'USD', 'g1'],
      ['conversion', '10', 'ABC', 'g1'],
      ['other', '20', 'DEF', null],
      ['other', '0.5', 'GHI', null],
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

  it('times what is dated by day by its id, or when it was first seen, or by the day', async () => {
    const named = { ...nta('DIV', '1'), id: '20261102093000500::named' };
    const nowMs = START_MS + 20 * 3_600_000;
    const first = await poll([named, nta('INT', '2')], { nowMs: nowMs - 600_000 });
    expect(flowsOf(first).map(({ type, timeMs }) => [type, timeMs])).toEqual([
      // Half past nine in New York.
      ['interest', START_MS],
      ['dividend', Date.UTC(2026, 10, 2, 14, 30)],
    ]);
    const { cursors } = first.done;
    const second = await poll([named, nta('INT', '2'), nta('CSD', '500')], { cursors, nowMs });
    const [deposit, ...more] = flowsOf(second);
    expect([deposit?.type, more]).toEqual(['deposit', []]);
    expect(deposit?.timeMs).toBeGreaterThanOrEqual(nowMs);
    expect(deposit?.timeMs).toBeLessThan(nowMs + 60_000);
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

  it.skipIf(SAMPLES.length === 0)('takes every activity that others recorded', async () => {
    const all = SAMPLES.flatMap((name): readonly Activity[] => {
      const read = JSON.parse(readFileSync(new URL(name, SHARED), 'utf8')) as Activity | Activity[];
      return Array.isArray(read) ? read : [read];
    });
    const fromMs = Date.UTC(2019, 0, 1);
    const { records, done } = await poll(all, { fromMs, nowMs: START_MS });
    const dated = records.filter(({ kind }) => kind === 'fill' || kind === 'flow');
    expect(dated).toHaveLength(all.length);
    expect(done.coverage.every(({ reason }) => reason !== 'record_malformed')).toBe(true);
  });

  it('pages through what the simulated venue has: fills, fees in coins, deposits, to the last one', async () => {
    const nowMs = Date.UTC(2026, 10, 20, 12);
    const exchange = await startExchange({ clock: () => nowMs });
    onTestFinished(() => exchange.close());
    const { control } = exchange;
    control.limits({ venue: 'alpaca', scale: 100 });
    const answer = control.account({ venue: 'alpaca' });
    const of = { account: answer.account };
    const fromMs = nowMs - 5 * 86_400_000;
    control.deposit({ ...of, currency: 'USD', amount: '100000', timeMs: fromMs + 1 });
    for (let at = 0; at < 230; at++) {
      const timeMs = fromMs + 1000 + at * 1_000_000;
      const amount = '0.01';
      control.trade({ ...of, symbol: 'BTC/USD', side: 'buy', price: '650', amount, timeMs });
    }
    control.cash({ ...of, type: 'dividend', currency: 'USD', amount: '3.5', timeMs: nowMs - 1000 });
    const credentials = credentialsOf(answer);
    const { records, done } = await runJob(
      jobOf('alpaca', { fromMs, nowMs, credentials }),
      simulatedInternet(exchange),
    );
    expect(done.outcome).toBe('complete');
    const fills = records.filter((record) => record.kind === 'fill');
    expect(new Set(fills.map(({ id }) => id)).size).toBe(230);
    const flows = records.filter((record) => record.kind === 'flow');
    const types = Map.groupBy(flows, ({ type, currency }) => `${type} ${currency}`);
    expect([...types].map(([name, all]) => [name, all.length])).toEqual([
      ['deposit USD', 1],
      ['fee BTC', 230],
      ['dividend USD', 1],
    ]);
    // The coin is a balance, and what is left of it by the records is what the venue has.
    const held = records.find((record) => record.kind === 'balance' && record.currency === 'BTC');
    expect(held).toMatchObject({ total: control.ledger(of).balances['spot']?.['BTC'] });
    const sum = [...fills, ...flows.filter(({ currency }) => currency === 'BTC')].reduce(
      (total, record) => total + (record.kind === 'fill' ? 1 : -1) * Number(record.amount),
      0,
    );
    expect(sum.toFixed(8)).toBe(Number(held?.kind === 'balance' ? held.total : '').toFixed(8));
  });
});
