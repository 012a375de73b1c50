import { alpaca } from 'ccxt';
import { XMLParser } from 'fast-xml-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startExchange } from '../../../simulator/exchange/server.ts';
import type { AccountAnswer } from '../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { ask, fetchFor } from './dial.ts';

const NOW_MS = Date.UTC(2026, 6, 15, 3, 30);

let exchange: RunningExchange;
let nowMs = NOW_MS;

beforeAll(async () => {
  exchange = await startExchange({ clock: () => nowMs });
});

afterAll(() => exchange.close());

type Attributes = Readonly<Record<string, string>>;

interface Statement extends Attributes {
  readonly '@_accountId': string;
}

const XML: XMLParser = new XMLParser({
  ignoreAttributes: false,
  parseAttributeValue: false,
  parseTagValue: false,
  isArray: (name) => ['FlexStatement', 'Trade', 'CashTransaction', 'OpenPosition'].includes(name),
});

async function flex(method: string, query: string, agent = 'test/1.0'): Promise<unknown> {
  const url = `https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService/${method}?${query}`;
  const { body } = await ask(exchange, url, { headers: { 'user-agent': agent } });
  return XML.parse(body.toString());
}

function request(account: AccountAnswer, more: Partial<AccountAnswer> = {}): Promise<unknown> {
  const { api_key: token, secret: query } = { ...account, ...more };
  return flex('SendRequest', `t=${token}&q=${query}&v=3`);
}

async function code(asked: Promise<unknown>): Promise<string | undefined> {
  const { FlexStatementResponse } = (await asked) as {
    readonly FlexStatementResponse: Attributes;
  };
  return FlexStatementResponse['ErrorCode'];
}

describe('ibkr, the Flex Web Service', () => {
  it('hands out a reference, and then a statement of all accounts', async () => {
    nowMs += 60_000;
    const { control } = exchange;
    const account = control.account({ venue: 'ibkr' });
    const child = control.account({ venue: 'ibkr', parent: account.account });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USD', amount: '10000' });
    const trade = { ...of, symbol: 'AAPL/USD', price: '230.5', fee: '1' };
    control.trade({ ...trade, side: 'buy', amount: '10', clientOrderId: 'ours' });
    control.trade({ ...trade, side: 'sell', amount: '4' });
    control.cash({ ...of, type: 'dividend', currency: 'USD', amount: '2.5' });
    control.withdraw({ ...of, currency: 'USD', amount: '100' });
    control.deposit({ account: child.account, currency: 'USD', amount: '7' });

    const sent = (await request(account)) as {
      readonly FlexStatementResponse: Attributes;
    };
    expect(sent.FlexStatementResponse['Status']).toBe('Success');
    const reference = sent.FlexStatementResponse['ReferenceCode'] ?? '';
    const got = (await flex('GetStatement', `t=${account.api_key}&q=${reference}&v=3`)) as {
      readonly FlexQueryResponse: {
        readonly FlexStatements: { readonly FlexStatement: readonly Statement[] };
      };
    };
    const statements = got.FlexQueryResponse.FlexStatements.FlexStatement as unknown as readonly {
      readonly Trades: { readonly Trade: readonly Attributes[] };
      readonly CashTransactions: { readonly CashTransaction: readonly Attributes[] };
      readonly OpenPositions: { readonly OpenPosition: readonly Attributes[] };
      readonly CashReport: { readonly CashReportCurrency: Attributes };
    }[];
    expect(statements).toHaveLength(2);
    const [own] = statements;
    const trades = own?.Trades.Trade.map((one) => [
      one['@_quantity'],
      one['@_netCash'],
      one['@_orderReference'],
      one['@_dateTime'],
    ]);
    // 03:30 UTC in July is the evening before in New York.
    expect(trades).toEqual([
      ['-4', '921', '', '20260714;233100'],
      ['10', '-2306', 'ours', '20260714;233100'],
    ]);
    const cash = own?.CashTransactions.CashTransaction.map((one) => [
      one['@_type'],
      one['@_amount'],
    ]);
    expect(cash).toEqual([
      ['Deposits/Withdrawals', '-100'],
      ['Dividends', '2.5'],
      ['Deposits/Withdrawals', '10000'],
    ]);
    expect(own?.OpenPositions.OpenPosition[0]).toMatchObject({ '@_position': '6' });
    const { spot } = control.ledger(of).balances;
    expect(own?.CashReport.CashReportCurrency['@_endingCash']).toBe(spot?.['USD']);
  });

  it('refuses with its own codes', async () => {
    nowMs += 60_000;
    const { control } = exchange;
    const account = control.account({ venue: 'ibkr' });
    expect(await code(request(account, { api_key: '1' }))).toBe('1015');
    expect(await code(request(account, { secret: '1' }))).toBe('1014');
    expect(await code(flex('GetStatement', `t=${account.api_key}&q=1&v=3`))).toBe('1017');
    expect(await code(flex('SendRequest', `t=${account.api_key}&q=${account.secret}`))).toBe(
      '1020',
    );
    control.fault({ type: 'trouble', kind: 'unavailable', venue: 'ibkr', times: 1 });
    expect(await code(request(account))).toBe('1019');
    expect(await code(request(account))).toBe(undefined);
    const elsewhere = control.key({ account: account.account, addresses: ['192.0.2.1'] });
    expect(await code(request(elsewhere))).toBe('1013');
    control.revoke({ account: account.account, api_key: account.api_key });
    expect(await code(request(account))).toBe('1012');
    // Ten a minute and no more, the refused ones counted.
    for (let count = 0; count < 7; count += 1) await request(account);
    expect(await code(request(account))).toBe('1018');
    nowMs += 60_000;
    expect(await code(request(account))).toBe('1012');
  });
});

describe('alpaca', () => {
  it('tells fills, cash and fees in one history of pages', async () => {
    nowMs += 60_000;
    const { control } = exchange;
    const account = control.account({ venue: 'alpaca' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USD', amount: '100000' });
    control.trade({ ...of, symbol: 'BTC/USD', side: 'buy', price: '60000', amount: '0.5' });
    control.trade({ ...of, symbol: 'AAPL/USD', side: 'buy', price: '230', amount: '10' });
    control.cash({ ...of, type: 'interest', currency: 'USD', amount: '1.25' });
    control.withdraw({ ...of, currency: 'USD', amount: '50' });
    const headers = {
      'apca-api-key-id': account.api_key,
      'apca-api-secret-key': account.secret,
    };
    const url = 'https://api.alpaca.markets/v2/account/activities';
    const page = async (query: string): Promise<readonly Attributes[]> =>
      JSON.parse((await ask(exchange, `${url}?${query}`, { headers })).body.toString()) as [];
    const whole = await page('page_size=100');
    const types = new Set(whole.map((one) => one['activity_type']));
    expect(whole).toHaveLength(6);
    expect(types).toEqual(new Set(['CFEE', 'CSD', 'CSW', 'FILL', 'INT']));
    const first = await page('page_size=4');
    const rest = await page(`page_size=4&page_token=${first.at(-1)?.['id'] ?? ''}`);
    expect([...first, ...rest]).toEqual(whole);
    expect((await ask(exchange, `${url}?page_size=101`, { headers })).status).toBe(422);
    const fee = whole.find((one) => one['activity_type'] === 'CFEE');
    expect(fee).toMatchObject({ qty: '-0.0005', net_amount: '0', symbol: 'BTCUSD' });

    const { api_key: apiKey, secret } = account;
    const config = { apiKey, secret, fetchImplementation: fetchFor(exchange), number: String };
    const client = new alpaca(config);
    const balances = await client.fetchBalance();
    expect(balances['USD']?.total).toBe(control.ledger(of).balances['spot']?.['USD']);
    expect(await client.fetchTime()).toBe(nowMs);
    // ccxt takes a share that it does not know for the coin that was asked for.
    const trades = await client.fetchMyTrades('BTC/USD', nowMs - 1000);
    expect(trades.map(({ amount, symbol }) => [amount, symbol])).toEqual([
      ['0.5', 'BTC/USD'],
      ['10', 'BTC/USD'],
    ]);
    const paper = 'https://paper-api.alpaca.markets/v2/account';
    expect((await ask(exchange, paper, { headers })).status).toBe(401);
  });
});
