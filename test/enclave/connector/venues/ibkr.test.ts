import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseFlexXml, readFlexStatements } from '../../../../enclave/connector/flex/statement.ts';
import {
  fillsOf,
  flowsOf,
  NOW_MS,
  poll,
  query,
  statement,
  TICKET,
  TRADE,
} from '../../../helpers/flex-query.ts';

const FIXTURES: URL = new URL('../../../fixtures/connector/', import.meta.url);

function element(name: string): string {
  return readFileSync(new URL(`ibflex-${name}.xml`, FIXTURES), 'utf8').trim();
}

function booked(quantity: string, exec: string, transaction: string): string {
  return TRADE.replace(
    'ibExecID="11"',
    `ibExecID="${exec}" transactionID="${transaction}"`,
  ).replace('quantity="10"', `quantity="${quantity}"`);
}

function refusal(code: number): string {
  return `<FlexStatementResponse timestamp="x"><Status>Warn</Status><ErrorCode>${code}</ErrorCode><ErrorMessage>m</ErrorMessage></FlexStatementResponse>`;
}

/** The clock of a job runs from when it was told the time. */
function soonAfter(ms: number): unknown {
  return expect.toSatisfy((value: unknown) => Number(value) >= ms && Number(value) < ms + 60_000);
}

describe('the Flex Web Service', () => {
  it('is asked for a query, then for its statement, by the host that it names', async () => {
    const { asked, done } = await poll([query(statement('U1', { trades: TRADE }))]);
    expect(asked.map(({ url }) => `${url.host}${url.pathname}`)).toEqual([
      'ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService/SendRequest',
      'gdcdyn.interactivebrokers.com/AccountManagement/FlexWebService/GetStatement',
    ]);
    expect(asked.map(({ query: asking }) => asking.get('q'))).toEqual(['1234', '4711']);
    expect(asked.every(({ fetch }) => fetch.headers.has('user-agent'))).toBe(true);
    expect(done.outcome).toBe('complete');
  });

  it.each(['https://evil.example/x', 'http://gdcdyn.interactivebrokers.com/x', 'not a URL'])(
    'does not follow it to %s',
    async (url) => {
      const ticket = TICKET.replace(/<Url>.*<\/Url>/u, `<Url>${url}</Url>`);
      const { asked } = await poll([query(statement('U1', {}))], {}, ticket);
      expect(asked[1]?.url.host).toBe('ndcdyn.interactivebrokers.com');
    },
  );

  it('waits for a statement that is not ready (1019), and asks again', async () => {
    const budget = { calls: 10, retries: 1, deadlineMs: 60_000 };
    const started = performance.now();
    const { done, meanings } = await poll([refusal(1019), query(statement('U1', {}))], { budget });
    expect(done.outcome).toBe('complete');
    expect(meanings.map(({ callClass }) => callClass)).toEqual(['ok', 'unavailable', 'ok']);
    expect(performance.now() - started).toBeGreaterThan(4900);
  });

  it.each([
    [1009, 'unavailable'],
    [1012, 'authentication'],
    [1013, 'permission'],
    [1014, 'bad_request'],
    [1015, 'authentication'],
    [1018, 'rate_limited'],
    [9999, 'bad_response'],
  ])('says %i, which is %s', async (code, errorClass) => {
    const { done } = await poll([], { kind: 'check' }, refusal(code));
    expect(done).toMatchObject({ outcome: 'failed', errorClass });
  });

  it.each([
    '',
    '<html>maintenance</html>',
    '<FlexQueryResponse />',
    '{}',
    query('<FlexStatement />'),
  ])('takes %j for no statement', async (body) => {
    const { done } = await poll([body]);
    expect(done).toMatchObject({ outcome: 'failed', errorClass: 'bad_response' });
  });

  it('is asked once an hour at most', async () => {
    const answers = [query(statement('U1', { trades: TRADE }))];
    const first = await poll(answers);
    const soon = await poll(answers, { cursors: first.done.cursors, nowMs: NOW_MS + 300_000 });
    expect(soon.asked).toEqual([]);
    // What came since the last statement is as unknown as before.
    expect(soon.done.coverage.filter(({ what }) => what === 'fills')).toEqual([
      expect.objectContaining({
        complete: false,
        reason: 'delayed',
        toMs: soonAfter(NOW_MS + 300_000),
      }),
    ]);
    expect(soon.done.outcome).toBe('complete');
    const later = await poll(answers, { cursors: first.done.cursors, nowMs: NOW_MS + 3_660_000 });
    expect(later.asked).toHaveLength(2);
    expect(fillsOf(later.records)).toEqual([]);
  });

  it('tells that the token reads and does nothing else', async () => {
    const { done } = await poll([query(statement('U1', {}))], { kind: 'check' });
    expect(done.permissions).toMatchObject({
      read: true,
      trade: false,
      withdraw: false,
      accountId: 'U1',
    });
  });
});

describe('a statement', () => {
  it('covers its days, and says that what follows is delayed', async () => {
    const { done } = await poll([query(statement('U1', { trades: TRADE }))]);
    const endMs = Date.UTC(2026, 10, 3, 5) - 1;
    expect(done.coverage.filter(({ what }) => what === 'fills')).toEqual([
      {
        what: 'fills',
        market: 'U1',
        fromMs: Date.UTC(2026, 10, 2, 5),
        toMs: endMs,
        complete: true,
        reason: null,
      },
      {
        what: 'fills',
        market: 'U1',
        fromMs: endMs,
        toMs: soonAfter(NOW_MS),
        complete: false,
        reason: 'delayed',
      },
    ]);
  });

  it('that lacks a section is missing coverage, and no empty account', async () => {
    const bare = statement('U1', {}).replace(/<Trades>.*<\/Trades>/u, '');
    const { done } = await poll([query(bare)]);
    expect(done.coverage.filter(({ what }) => what === 'fills')).toEqual([
      expect.objectContaining({ complete: false, reason: 'not_supported' }),
    ]);
    const empty = await poll([query(statement('U1', {}))]);
    expect(empty.done.coverage.find(({ what }) => what === 'fills')?.complete).toBe(true);
  });

  it('gives executions with commission and tax, and cancelled ones as their opposite', async () => {
    const cancelled = TRADE.replaceAll('="11"', '="12"')
      .replace('quantity="10"', 'quantity="-10"')
      .replace('buySell="BUY"', 'buySell="BUY (Ca.)"')
      .replace('ibCommission="-1.05"', 'ibCommission="1.05"');
    const order = TRADE.replace('EXECUTION', 'ORDER').replaceAll('="11"', '="13"');
    const { records } = await poll([query(statement('U1', { trades: TRADE + cancelled + order }))]);
    expect(fillsOf(records)).toEqual([
      expect.objectContaining({
        id: 'U1:11',
        clientOrderId: 'ours-1',
        side: 'buy',
        amount: '10',
        price: '200.5',
        cost: '2005',
        fees: [
          { currency: 'USD', amount: '1.05' },
          { currency: 'USD', amount: '0.1' },
        ],
        timeMs: Date.parse('2026-11-02T15:15:00Z'),
      }),
      expect.objectContaining({ id: 'U1:12', side: 'sell', amount: '10' }),
    ]);
  });

  it('takes a trade, its cancellation and the corrected one, of one tradeID, for three', async () => {
    const cancelled = booked('-10', '', '102').replace('tradeID="11"', 'tradeID=""');
    const trades = booked('10', 'x.01.01', '101') + cancelled + booked('11', 'x.01.02', '103');
    const { records } = await poll([query(statement('U1', { trades }))]);
    expect(fillsOf(records).map(({ id, side, amount }) => [id, side, amount])).toEqual([
      ['U1:101', 'buy', '10'],
      ['U1:102', 'sell', '10'],
      ['U1:103', 'buy', '11'],
    ]);
  });

  it.each([
    ['CRYPTO', 'BTC.USD-PAXOS', 'stock'],
    ['CMDTY', 'XAUUSD', 'stock'],
    ['FXCFD', 'EUR.USD', 'swap'],
    ['FSOPT', 'OGBL 20261218 130 C', 'future'],
  ])('has a kind for %s, of trades and positions alike', (category, symbol, market) => {
    const held = `<OpenPosition accountId="U1" currency="USD" assetCategory="${category}" symbol="${symbol}" multiplier="1" position="2" markPrice="90" />`;
    const trades = TRADE.replace('"STK"', `"${category}"`).replace('"IBM"', `"${symbol}"`);
    const text = query(statement('U1', { trades, positions: held }));
    const [read] = readFlexStatements(parseFlexXml(text) ?? {}) ?? [];
    const found = (read?.records ?? []).flatMap((record) =>
      record.kind === 'fill' || record.kind === 'position' ? [[record.symbol, record.market]] : [],
    );
    expect(found).toEqual([
      [symbol, market],
      [`U1:${symbol}`, market],
    ]);
  });

  it.each([
    ['Other Fees', '-1', 'fee out'],
    ['Withholding Tax', '-1', 'dividend out'],
    // Given back: no deposit.
    ['Withholding Tax', '1', 'dividend in'],
    ['871(m) Withholding', '-1', 'dividend out'],
    ['Bill Pay', '-1', 'withdrawal out'],
  ])('has %s of %s as %s', (name, amount, expected) => {
    const cash = element('CashTransaction')
      .replace(/ type="[^"]*"/u, ` type="${name}"`)
      .replace(/ amount="[^"]*"/u, ` amount="${amount}"`);
    const text = query(statement('U1', { cash }));
    const [read] = readFlexStatements(parseFlexXml(text) ?? {}) ?? [];
    expect(
      flowsOf(read?.records ?? []).map(({ type, direction }) => `${type} ${direction}`),
    ).toEqual([expected]);
  });

  it('in the shapes that ibflex recorded: options, dividends, transfers of shares, lots left out', () => {
    const text = query(
      statement(
        'U123456',
        {
          trades: element('Trade') + element('TradeLot') + element('Order'),
          cash: element('CashTransaction'),
          transfers: element('Transfer'),
          positions: element('OpenPosition'),
          report: element('CashReportCurrency'),
        },
        'fromDate="2011-01-03" toDate="2011-12-30"',
      ),
    );
    const [read] = readFlexStatements(parseFlexXml(text) ?? {}) ?? [];
    expect(Object.values(read?.malformed ?? {})).toEqual(Array.from({ length: 9 }, () => []));
    expect(fillsOf(read?.records ?? [])).toEqual([
      expect.objectContaining({
        id: 'U123456:2381339439',
        market: 'option',
        contractSize: '100',
        side: 'buy',
        amount: '3',
        timeMs: Date.parse('2011-08-11T20:20:00Z'),
      }),
    ]);
    expect(
      flowsOf(read?.records ?? []).map(({ type, currency, amount, market }) =>
        [type, currency, amount, market ?? ''].join(' '),
      ),
    ).toEqual(['dividend USD 27800 stock', 'transfer_in FMTIF 226702 ']);
    // The one in the file is a lot.
    expect(read?.records.some(({ kind }) => kind === 'position')).toBe(false);
    expect(read?.records).toContainEqual(
      expect.objectContaining({ kind: 'balance', currency: 'USD', total: '51.730897778' }),
    );
  });

  it('says that a section which nobody reads is not supported, and takes the others', async () => {
    const charged = statement('U1', { trades: TRADE }).replace(
      '<SalesTaxes />',
      '<SalesTaxes /><DebitCardActivities><DebitCardActivity total="-1" /></DebitCardActivities>',
    );
    const { done, records } = await poll([query(charged)]);
    expect(fillsOf(records)).toHaveLength(1);
    expect(done.coverage).toContainEqual(
      expect.objectContaining({
        what: 'transfers',
        market: 'U1 DebitCardActivities',
        complete: false,
        reason: 'not_supported',
      }),
    );
  });

  it('gives the marks of positions and the rates of its currencies, none from the future', async () => {
    const positions =
      '<OpenPosition accountId="U1" currency="EUR" assetCategory="STK" symbol="SAP" reportDate="20261103" position="3" markPrice="210.5" />';
    const rates =
      '<ConversionRates><ConversionRate reportDate="20261102" fromCurrency="EUR" toCurrency="USD" rate="1.0812" /></ConversionRates>';
    const report = '<CashReportCurrency currency="EUR" endingCash="5" />';
    const text = statement('U1', { positions, report }).replace('<ConversionRates />', rates);
    const { records } = await poll([query(text)]);
    const prices = records.filter((record) => record.kind === 'price');
    expect(prices.map(({ of, symbol, price }) => [of, symbol, price])).toEqual([
      ['mark', 'SAP', '210.5'],
      ['spot', 'EUR/USD', '1.0812'],
    ]);
    // The day of the first is not over yet.
    expect(prices[0]?.atMs).toBeGreaterThanOrEqual(NOW_MS);
    expect(prices[0]?.atMs).toBeLessThan(NOW_MS + 60_000);
    expect(prices[1]?.atMs).toBe(Date.UTC(2026, 10, 3, 5) - 1);
  });
});
