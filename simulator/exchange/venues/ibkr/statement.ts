// A Flex statement as Interactive Brokers writes it: XML, one FlexStatement per account (sub-accounts too), with
// trades as single executions, cash, transfers, open positions and net asset value. Times are New York's.

import { absolute, divide, formatAmount, multiply } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { newestFirst, oldestFirst } from '../../pages.ts';
import { hashOf } from '../../world.ts';
import type { Account, Fill, Flow, Venue, World } from '../../world.ts';

const NEW_YORK = new Intl.DateTimeFormat('en-CA', {
  timeZone: 'America/New_York',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

/** `20230103` and `101500`. */
function timeOf(timeMs: number): { readonly date: string; readonly time: string } {
  const [date = '', time = ''] = NEW_YORK.format(timeMs).split(', ');
  return { date: date.replaceAll('-', ''), time: time.replaceAll(':', '') };
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

export function element(
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: readonly string[] = [],
): string {
  const pairs = Object.entries(attributes).map(([key, value]) => ` ${key}="${escape(value)}"`);
  const open = `<${name}${pairs.join('')}`;
  return children.length === 0 ? `${open} />` : `${open}>\n${children.join('\n')}\n</${name}>`;
}

/** `U1234567`. */
export function accountNumber({ uid }: Account): string {
  return `U${uid.slice(-7)}`;
}

function section(name: string, records: readonly string[]): string {
  return records.length === 0 ? `<${name} />` : `<${name}>\n${records.join('\n')}\n</${name}>`;
}

function stock(symbol: string): Readonly<Record<string, string>> {
  return {
    assetCategory: 'STK',
    symbol,
    description: `${symbol} INC`,
    conid: String(Number.parseInt(hashOf('conid', symbol).slice(0, 7), 16)),
    multiplier: '1',
  };
}

function tradeElement(account: Account, fill: Fill): string {
  const { date, time } = timeOf(fill.timeMs);
  const sign = fill.side === 'buy' ? 1n : -1n;
  return element('Trade', {
    accountId: accountNumber(account),
    acctAlias: '',
    currency: fill.market.quote,
    fxRateToBase: '1',
    ...stock(fill.market.base),
    tradeID: String(fill.number),
    reportDate: date,
    dateTime: `${date};${time}`,
    tradeDate: date,
    transactionType: 'ExchTrade',
    exchange: 'NASDAQ',
    quantity: formatAmount(sign * fill.amount),
    tradePrice: formatAmount(fill.price),
    tradeMoney: formatAmount(sign * fill.cost),
    proceeds: formatAmount(-sign * fill.cost),
    taxes: '0',
    ibCommission: formatAmount(-fill.fee),
    ibCommissionCurrency: fill.feeCurrency,
    netCash: formatAmount(-sign * fill.cost - fill.fee),
    closePrice: formatAmount(fill.price),
    openCloseIndicator: fill.side === 'buy' ? 'O' : 'C',
    notes: fill.isMaker ? 'P' : '',
    buySell: fill.side.toUpperCase(),
    ibOrderID: String(fill.order),
    ibExecID: `0000d514.${hashOf('exec', fill.number).slice(0, 8)}.01.01`,
    transactionID: String(fill.number),
    orderReference: fill.clientOrderId ?? '',
    orderType: 'LMT',
    levelOfDetail: 'EXECUTION',
  });
}

const CASH_TYPES: Readonly<Record<string, string>> = {
  deposit: 'Deposits/Withdrawals',
  withdrawal: 'Deposits/Withdrawals',
  dividend: 'Dividends',
  interest: 'Broker Interest Received',
  fee: 'Other Fees',
  rebate: 'Commission Adjustments',
  other: 'Other Fees',
};

function cashElement(account: Account, flow: Flow): string {
  const { date, time } = timeOf(flow.timeMs);
  const amount = flow.type === 'withdrawal' ? -flow.amount : flow.amount;
  const isPaidInterest = flow.type === 'interest' && amount < 0n;
  return element('CashTransaction', {
    accountId: accountNumber(account),
    acctAlias: '',
    currency: flow.currency,
    fxRateToBase: '1',
    assetCategory: '',
    symbol: '',
    description: flow.type === 'deposit' ? 'CASH RECEIPTS / ELECTRONIC FUND TRANSFERS' : flow.type,
    dateTime: `${date};${time}`,
    amount: formatAmount(amount - flow.fee),
    type: isPaidInterest ? 'Broker Interest Paid' : (CASH_TYPES[flow.type] ?? 'Other Fees'),
    tradeID: '',
    code: '',
    transactionID: String(flow.number),
    reportDate: date,
    clientReference: '',
    levelOfDetail: 'DETAIL',
  });
}

function transferElement(account: Account, flow: Flow, world: World): string {
  const { date } = timeOf(flow.timeMs);
  const row = world.ledger
    .rows(account.id)
    .find(({ kind, reference }) => kind === 'transfer' && reference === flow.number);
  const isOut = row !== undefined && row.amount < 0n;
  const other = flow.otherAccount === null ? account : world.account(flow.otherAccount);
  return element('Transfer', {
    accountId: accountNumber(account),
    acctAlias: '',
    currency: flow.currency,
    fxRateToBase: '1',
    assetCategory: 'CASH',
    symbol: '',
    date,
    dateTime: date,
    type: 'INTERNAL',
    direction: isOut ? 'OUT' : 'IN',
    company: '--',
    account: accountNumber(other),
    quantity: '0',
    transferPrice: '0',
    positionAmount: '0',
    cashTransfer: formatAmount(isOut ? -flow.amount : flow.amount),
    transactionID: String(flow.number),
  });
}

/** Average price of what is held, sales taken out at that average. */
function averageOf(fills: readonly Fill[]): Amount {
  let held = 0n;
  let cost = 0n;
  for (const fill of oldestFirst(fills)) {
    if (fill.side === 'buy') {
      held += fill.amount;
      cost += fill.cost + fill.fee;
    } else {
      cost -= held === 0n ? 0n : divide(multiply(cost, fill.amount), held);
      held -= fill.amount;
    }
  }
  return held <= 0n ? 0n : divide(cost, held);
}

interface Held {
  readonly symbol: string;
  readonly amount: Amount;
  readonly price: Amount;
}

function heldBy(account: Account, venue: Venue, world: World): readonly Held[] {
  return [...world.ledger.balances(account.id, 'spot')].flatMap(([symbol, amount]) => {
    const price = venue.prices.get(`${symbol}/USD`);
    return price === undefined || amount === 0n ? [] : [{ symbol, amount, price }];
  });
}

function positionElement(account: Account, held: Held, date: string): string {
  const { symbol, amount, price } = held;
  const average = averageOf(account.fills.filter(({ market }) => market.base === symbol));
  const worth = multiply(amount, price);
  const paid = multiply(amount, average);
  return element('OpenPosition', {
    accountId: accountNumber(account),
    acctAlias: '',
    currency: 'USD',
    fxRateToBase: '1',
    ...stock(symbol),
    reportDate: date,
    position: formatAmount(amount),
    markPrice: formatAmount(price),
    positionValue: formatAmount(worth),
    openPrice: formatAmount(average),
    costBasisPrice: formatAmount(average),
    costBasisMoney: formatAmount(paid),
    percentOfNAV: '',
    fifoPnlUnrealized: formatAmount(worth - paid),
    side: amount > 0n ? 'Long' : 'Short',
    levelOfDetail: 'SUMMARY',
    code: '',
  });
}

function flexStatement(account: Account, venue: Venue, world: World, nowMs: number): string {
  const now = timeOf(nowMs);
  const id = accountNumber(account);
  const held = heldBy(account, venue, world);
  const cash = world.ledger.balance(account.id, 'spot', 'USD');
  const stocks = held.reduce((sum, one) => sum + multiply(one.amount, one.price), 0n);
  const firstMs = oldestFirst(account.flows)[0]?.timeMs ?? nowMs;
  const common = { accountId: id, acctAlias: '', currency: 'USD' };
  const flows = newestFirst(account.flows).filter(({ status }) => status === 'ok');
  const equity = element('EquitySummaryByReportDateInBase', {
    ...common,
    reportDate: now.date,
    cash: formatAmount(cash),
    stock: formatAmount(stocks),
    options: '0',
    total: formatAmount(cash + stocks),
    totalLong: formatAmount(absolute(cash + stocks)),
    totalShort: '0',
  });
  const report = element('CashReportCurrency', {
    ...common,
    fromDate: timeOf(firstMs).date,
    toDate: now.date,
    endingCash: formatAmount(cash),
    endingSettledCash: formatAmount(cash),
    levelOfDetail: 'Currency',
  });
  const trades = newestFirst(account.fills).map((fill) => tradeElement(account, fill));
  const transfers = flows.filter(({ type, otherAccount }) => type === 'transfer' && otherAccount);
  const movements = flows.filter(({ type }) => type !== 'transfer');
  const rates = [
    element('ConversionRate', {
      reportDate: now.date,
      fromCurrency: 'EUR',
      toCurrency: 'USD',
      rate: '1.08',
    }),
  ];
  return element(
    'FlexStatement',
    {
      accountId: id,
      fromDate: timeOf(firstMs).date,
      toDate: now.date,
      period: 'Last365CalendarDays',
      whenGenerated: `${now.date};${now.time}`,
    },
    [
      element('AccountInformation', { ...common, accountType: 'Individual', name: 'Simulated' }),
      section('EquitySummaryInBase', [equity]),
      section('CashReport', [report]),
      section('Trades', trades),
      section(
        'CashTransactions',
        movements.map((flow) => cashElement(account, flow)),
      ),
      section(
        'Transfers',
        transfers.map((flow) => transferElement(account, flow, world)),
      ),
      section(
        'OpenPositions',
        held.map((one) => positionElement(account, one, now.date)),
      ),
      section('SalesTaxes', []),
      section('CorporateActions', []),
      section('ConversionRates', rates),
    ],
  );
}

export function flexQueryResponse(account: Account, world: World, nowMs: number): string {
  const venue = world.venue('ibkr');
  const accounts = [account, ...world.childrenOf(account)];
  const statements = accounts.map((one) => flexStatement(one, venue, world, nowMs));
  return element('FlexQueryResponse', { queryName: 'Simulated', type: 'AF' }, [
    element('FlexStatements', { count: String(statements.length) }, statements),
  ]);
}
