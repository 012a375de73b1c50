// Bitget, classic accounts: spot and futures. Spot fills come per symbol only, but the history of orders names all that
// were traded in it; futures fills come for all symbols of a product, in windows of seven days.

import { bitget } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, FLOW_OVERLAP_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { balancesSource, needList, nextAfter, positionsSource } from '../common.ts';
import { CallError } from '../call-error.ts';
import type { Cursors } from '../cursors.ts';
import type { ExchangeOptions } from '../exchange.ts';
import { closeExchange, openExchange } from '../exchange.ts';
import {
  balanceOf,
  fillOf,
  flowOf,
  idAt,
  nameAt,
  negated,
  sumOf,
  transactionOf,
} from '../normalise.ts';
import type { Convert } from '../paging.ts';
import { convert } from '../paging.ts';
import type { Permissions } from '../protocol.ts';
import type { Raw } from '../raw.ts';
import { at, decimalAt, textAt, timeAt } from '../raw.ts';
import type { ConnectorRecord } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, Page, Source, Span } from '../source.ts';
import { noteSymbol, symbolsToAsk } from '../symbols.ts';

const LIMIT = 100;
const THREE_MONTHS_MS: number = 89 * DAY_MS;
const PRODUCTS = ['USDT-FUTURES', 'USDC-FUTURES', 'COIN-FUTURES'] as const;

interface Context {
  readonly exchange: bitget;
  readonly run: Run;
  readonly cursors: Cursors;
}

export function bitgetOptions(futures: boolean): ExchangeOptions<bitget> {
  return {
    type: bitget,
    options: {
      uta: false,
      defaultType: futures ? 'swap' : 'spot',
      fetchMarkets: { types: futures ? ['swap'] : ['spot'] },
    },
    sandbox: 'hosts',
  };
}

export async function openBitget(run: Run, cursors: Cursors): Promise<Adapter> {
  const { accountType } = run.job.settings;
  // Unified accounts have another interface, which this version does not speak.
  if (accountType === 'unified') throw new CallError('not_supported');
  const futures = accountType === 'futures';
  const exchange = await openExchange(run, bitgetOptions(futures));
  const context: Context = { exchange, run, cursors };
  return {
    check: () => check(exchange),
    phases: futures
      ? [() => Promise.resolve(futuresSources(context))]
      : [() => Promise.resolve(spotFirst(context)), () => Promise.resolve(spotFills(context))],
    close: () => {
      closeExchange(exchange);
    },
  };
}

/** https://www.bitget.com/api-doc/spot/account/Get-Account-Info: those that end in r read. */
const READING: RegExp = /^(?:readonly|[a-z0-9]+r)$/u;
const WITHDRAWING: RegExp = /^(?:withdraw|wwow|p2pw?)$/u;
const TRANSFERRING: RegExp = /^(?:transfer|wtow|chow)$/u;

async function check(exchange: bitget): Promise<Permissions> {
  const account = at(await exchange.privateSpotGetV2SpotAccountInfo(), 'data');
  const listed = at(account, 'authorities');
  const accountId = idAt(account, 'userId');
  const ips = textAt(account, 'ips');
  if (!Array.isArray(listed)) return { ...UNKNOWN_PERMISSIONS, read: true, accountId };
  const names = listed.map(String);
  const may = (is: (name: string) => boolean): boolean => names.some(is);
  return {
    ...UNKNOWN_PERMISSIONS,
    read: true,
    // What is not known to be less trades.
    trade: may((name) => ![READING, WITHDRAWING, TRANSFERRING].some((kind) => kind.test(name))),
    withdraw: may((name) => WITHDRAWING.test(name)),
    transfer: may((name) => TRANSFERRING.test(name)),
    ipRestricted: ips !== null,
    subAccount:
      textAt(account, 'parentId') === null
        ? null
        : textAt(account, 'parentId') !== textAt(account, 'userId'),
    accountId,
  };
}

type Ask = (request: Record<string, unknown>) => Promise<unknown>;

/** Newest first; older ones than the id of the last line. */
async function pageByLast(
  ask: Ask,
  path: readonly string[],
  idName: string,
  one: Convert,
  span: Span,
  token: string | null,
): Promise<Page> {
  const request = { startTime: span.fromMs, endTime: span.toMs, limit: LIMIT };
  const answer = await ask(token === null ? request : { ...request, idLessThan: token });
  // An empty list is null there.
  const raws = at(answer, ...path) === null ? [] : needList(answer, ...path);
  return { ...convert(raws, one), next: nextAfter(raws, LIMIT, idName) };
}

function transactions({ exchange }: Context, type: 'deposit' | 'withdrawal'): HistorySource {
  const ask: Ask = (request) =>
    type === 'deposit'
      ? exchange.privateSpotGetV2SpotWalletDepositRecords(request)
      : exchange.privateSpotGetV2SpotWalletWithdrawalRecords(request);
  return {
    type: 'history',
    what: type === 'deposit' ? 'deposits' : 'withdrawals',
    market: 'all',
    key: `${type}s`,
    windowMs: THREE_MONTHS_MS,
    historyMs: null,
    overlapMs: DAY_MS,
    page: (span, token) =>
      pageByLast(
        ask,
        ['data'],
        'orderId',
        (raw) => transactionOf(exchange.parseTransaction({ ...raw }), type),
        span,
        token,
      ),
  };
}

function transferBill(raw: Raw): ConnectorRecord | null {
  return flowOf({
    id: idAt(raw, 'billId'),
    type: 'transfer_in',
    currency: nameAt(raw, 'coin'),
    amount: decimalAt(raw, 'size'),
    timeMs: timeAt(raw, 'cTime'),
  });
}

function spotFirst(context: Context): readonly Source[] {
  const { exchange, cursors } = context;
  return [
    balancesSource('spot', async () =>
      needList(await exchange.privateSpotGetV2SpotAccountAssets(), 'data').map((raw) => {
        const free = decimalAt(raw, 'available');
        const rest = sumOf(decimalAt(raw, 'frozen') ?? '0', decimalAt(raw, 'locked') ?? '0');
        const total = free === null || rest === null ? null : sumOf(free, rest);
        return balanceOf('spot', nameAt(raw, 'coin'), total, free);
      }),
    ),
    transactions(context, 'deposit'),
    transactions(context, 'withdrawal'),
    {
      type: 'history',
      what: 'transfers',
      market: 'spot',
      key: 'bills/transfer',
      windowMs: THREE_MONTHS_MS,
      historyMs: THREE_MONTHS_MS,
      overlapMs: FLOW_OVERLAP_MS,
      page: (span, token) =>
        pageByLast(
          (request) =>
            exchange.privateSpotGetV2SpotAccountBills({ groupType: 'transfer', ...request }),
          ['data'],
          'billId',
          transferBill,
          span,
          token,
        ),
    },
    // Gives no fills, but the names of what was traded.
    {
      type: 'history',
      what: 'fills',
      market: 'orders',
      key: 'orders',
      windowMs: THREE_MONTHS_MS,
      historyMs: THREE_MONTHS_MS,
      overlapMs: DAY_MS,
      page: (span, token) =>
        pageByLast(
          (request) => exchange.privateSpotGetV2SpotTradeHistoryOrders(request),
          ['data'],
          'orderId',
          (raw) => {
            const id = textAt(raw, 'symbol');
            if (id !== null)
              noteSymbol(cursors, exchange.safeSymbol(id, undefined, undefined, 'spot'));
            return [];
          },
          span,
          token,
        ),
    },
  ];
}

function keyOfFills(symbol: string): string {
  return `fills/${symbol}`;
}

function spotFills({ exchange, run, cursors }: Context): readonly Source[] {
  const lists = [run.job.settings.symbols, cursors.symbols];
  return symbolsToAsk(exchange, cursors, keyOfFills, ...lists).map((symbol): HistorySource => ({
    type: 'history',
    what: 'fills',
    market: symbol,
    key: keyOfFills(symbol),
    windowMs: THREE_MONTHS_MS,
    historyMs: THREE_MONTHS_MS,
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token) =>
      pageByLast(
        (request) =>
          exchange.privateSpotGetV2SpotTradeFills({
            symbol: exchange.marketId(symbol),
            ...request,
          }),
        ['data'],
        'tradeId',
        (raw) => fill(exchange, raw, decimalAt(raw, 'amount')),
        span,
        token,
      ),
  }));
}

function fill(exchange: bitget, raw: Raw, cost: string | null): ConnectorRecord | null {
  const clientOrderId = textAt(raw, 'clientOid');
  return fillOf(exchange, exchange.parseTrade({ ...raw }), { cost, clientOrderId, raw });
}

function futuresSources(context: Context): readonly Source[] {
  const { exchange } = context;
  return [
    ...PRODUCTS.map((productType) =>
      balancesSource(productType.toLowerCase(), async () => {
        const answer: unknown = await exchange.privateMixGetV2MixAccountAccounts({ productType });
        return needList(answer, 'data').map((raw) => {
          const equity = decimalAt(raw, 'accountEquity');
          const unrealized = decimalAt(raw, 'unrealizedPL') ?? '0';
          const total = equity === null ? null : sumOf(equity, negated(unrealized) ?? '0');
          return balanceOf(
            'futures',
            nameAt(raw, 'marginCoin'),
            total,
            decimalAt(raw, 'available'),
          );
        });
      }),
    ),
    ...PRODUCTS.map((productType) =>
      positionsSource(exchange, productType.toLowerCase(), async () => {
        const answer: unknown = await exchange.privateMixGetV2MixPositionAllPosition({
          productType,
        });
        if (at(answer, 'data') === null) return [];
        return needList(answer, 'data').map((raw) => exchange.parsePosition({ ...raw }));
      }),
    ),
    ...PRODUCTS.map((productType) => futuresFills(exchange, productType)),
    ...PRODUCTS.map((productType) => futuresBills(exchange, productType)),
  ];
}

function futuresFills(exchange: bitget, productType: (typeof PRODUCTS)[number]): HistorySource {
  return {
    type: 'history',
    what: 'fills',
    market: productType.toLowerCase(),
    key: `fills/${productType}`,
    windowMs: 7 * DAY_MS - 1,
    historyMs: THREE_MONTHS_MS,
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token) =>
      pageByLast(
        (request) => exchange.privateMixGetV2MixOrderFillHistory({ productType, ...request }),
        ['data', 'fillList'],
        'tradeId',
        (raw) => fill(exchange, raw, decimalAt(raw, 'quoteVolume')),
        span,
        token,
      ),
  };
}

/** Funding and transfers; the fees and results of orders are in fills. */
function futuresBills(exchange: bitget, productType: (typeof PRODUCTS)[number]): HistorySource {
  const one = (raw: Raw): ConnectorRecord | readonly ConnectorRecord[] | null => {
    const type = textAt(raw, 'businessType') ?? '';
    const id = idAt(raw, 'billId');
    const amount = decimalAt(raw, 'amount');
    const timeMs = timeAt(raw, 'cTime');
    const currency = nameAt(raw, 'coin');
    if (type === 'contract_settle_fee') {
      if (id === null || amount === null || timeMs === null || currency === null) return null;
      const market = textAt(raw, 'symbol');
      const symbol =
        market === null ? null : exchange.safeSymbol(market, undefined, undefined, 'swap');
      return { kind: 'funding', id, symbol, currency, amount, timeMs };
    }
    if (!type.startsWith('trans_')) return [];
    return flowOf({
      id,
      type: 'transfer_in',
      currency,
      amount,
      timeMs,
      from: nameAt(raw, 'businessType'),
    });
  };
  return {
    type: 'history',
    what: 'funding',
    also: ['transfers'],
    market: productType.toLowerCase(),
    key: `bills/${productType}`,
    windowMs: 30 * DAY_MS - 1,
    historyMs: THREE_MONTHS_MS,
    overlapMs: FLOW_OVERLAP_MS,
    page: (span, token) =>
      pageByLast(
        (request) => exchange.privateMixGetV2MixAccountBill({ productType, ...request }),
        ['data', 'bills'],
        'billId',
        one,
        span,
        token,
      ),
  };
}
