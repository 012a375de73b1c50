// Bybit, version 5, unified accounts. Executions of a category come for all symbols, in windows of seven days, and
// funding is among them. The key says whether it is read-only.

import { bybit } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, FLOW_OVERLAP_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { balancesSource, needList, positionsSource } from '../common.ts';
import type { BalanceLine } from '../common.ts';
import type { ExchangeOptions } from '../exchange.ts';
import { closeExchange, openExchange } from '../exchange.ts';
import {
  balanceOf,
  fillOf,
  idAt,
  marketOf,
  nameAt,
  negated,
  sumOf,
  transactionOf,
  transferOf,
} from '../normalise.ts';
import { convert } from '../paging.ts';
import type { Permissions } from '../protocol.ts';
import type { Raw } from '../raw.ts';
import { at, boolAt, decimalAt, textAt, timeAt } from '../raw.ts';
import type { ConnectorRecord } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, Page, Source, Span } from '../source.ts';

const CATEGORIES = ['spot', 'linear', 'inverse', 'option'] as const;
const DERIVATIVES = ['linear', 'inverse', 'option'] as const;
/** Executions that change a position and are no order's: liquidations, deliveries, moves. */
const FILL_TYPES: ReadonlySet<string> = new Set([
  'Trade',
  'AdlTrade',
  'BustTrade',
  'BlockTrade',
  'Delivery',
  'Settle',
  'MovePosition',
  'FutureSpread',
]);
const TWO_YEARS_MS: number = 730 * DAY_MS;

export const BYBIT: ExchangeOptions<bybit> = {
  type: bybit,
  options: { defaultType: 'swap', fetchMarkets: { types: ['spot', 'linear', 'inverse'] } },
  sandbox: 'hosts',
};

export async function openBybit(run: Run): Promise<Adapter> {
  const exchange = await openExchange(run, BYBIT);
  return {
    check: () => check(exchange),
    phases: [() => Promise.resolve(sourcesOf(exchange))],
    close: () => {
      closeExchange(exchange);
    },
  };
}

async function check(exchange: bybit): Promise<Permissions> {
  const key = at(await exchange.privateGetV5UserQueryApi(), 'result');
  const readOnly = textAt(key, 'readOnly');
  const wallet = at(key, 'permissions', 'Wallet');
  const may = (name: string): boolean | null =>
    Array.isArray(wallet) ? readOnly !== '1' && wallet.includes(name) : null;
  const trading = ['ContractTrade', 'Spot', 'Options', 'Derivatives', 'CopyTrading', 'BlockTrade'];
  const groups = trading.map((name) => at(key, 'permissions', name));
  const trade = groups.some((group) => Array.isArray(group) && group.length > 0);
  const ips = at(key, 'ips');
  const expires = textAt(key, 'expiredAt');
  const expiresMs = expires === null ? Number.NaN : Date.parse(expires);
  return {
    ...UNKNOWN_PERMISSIONS,
    read: true,
    trade: readOnly === null ? null : readOnly !== '1' && trade,
    withdraw: may('Withdraw'),
    transfer: either(may('AccountTransfer'), may('SubMemberTransfer')),
    ipRestricted: Array.isArray(ips) ? ips.some((ip) => ip !== '*') : null,
    subAccount: boolAt(key, 'isMaster') === null ? null : boolAt(key, 'isMaster') === false,
    expiresMs: Number.isSafeInteger(expiresMs) && expiresMs > 0 ? expiresMs : null,
    accountId: idAt(key, 'userID'),
  };
}

function either(one: boolean | null, other: boolean | null): boolean | null {
  if (one === true || other === true) return true;
  return one === null || other === null ? null : false;
}

function sourcesOf(exchange: bybit): readonly Source[] {
  return [
    balancesSource('unified', async () => {
      const answer = await exchange.privateGetV5AccountWalletBalance({ accountType: 'UNIFIED' });
      const accounts = needList(answer, 'result', 'list');
      return accounts.flatMap((account) => needList(account, 'coin').map(unifiedBalance));
    }),
    balancesSource('funding', async () => {
      const request = { accountType: 'FUND' };
      const answer = await exchange.privateGetV5AssetTransferQueryAccountCoinsBalance(request);
      return needList(answer, 'result', 'balance').map((raw) =>
        balanceOf(
          'funding',
          nameAt(raw, 'coin'),
          decimalAt(raw, 'walletBalance'),
          decimalAt(raw, 'transferBalance'),
        ),
      );
    }),
    ...DERIVATIVES.map((category) =>
      positionsSource(exchange, category, () => positions(exchange, category)),
    ),
    ...CATEGORIES.map((category) => executions(exchange, category)),
    ...transactions(exchange),
    transfers(exchange),
  ];
}

/** Without what is borrowed; what positions are worth is theirs to say. */
function unifiedBalance(raw: Raw): BalanceLine {
  const wallet = decimalAt(raw, 'walletBalance');
  const borrowed = decimalAt(raw, 'spotBorrow') ?? '0';
  const total = wallet === null ? null : sumOf(wallet, negated(borrowed) ?? '0');
  return balanceOf('unified', nameAt(raw, 'coin'), total, null);
}

async function positions(
  exchange: bybit,
  category: (typeof DERIVATIVES)[number],
): Promise<readonly unknown[]> {
  const settles = category === 'linear' ? [{ settleCoin: 'USDT' }, { settleCoin: 'USDC' }] : [{}];
  const found: unknown[] = [];
  for (const settle of settles) {
    let cursor = '';
    for (let pages = 0; pages < 50; pages++) {
      const request = { category, limit: 200, ...settle, ...(cursor === '' ? {} : { cursor }) };
      const answer: unknown = await exchange.privateGetV5PositionList(request);
      for (const raw of needList(answer, 'result', 'list')) {
        if (decimalAt(raw, 'size') !== '0') found.push(exchange.parsePosition({ ...raw }));
      }
      cursor = textAt(answer, 'result', 'nextPageCursor') ?? '';
      if (cursor === '') break;
    }
  }
  return found;
}

type Ask = (request: Record<string, unknown>) => Promise<unknown>;

async function pageByCursor(
  ask: Ask,
  span: Span,
  token: string | null,
  list: string,
  one: (raw: Raw) => ConnectorRecord | readonly ConnectorRecord[] | null,
): Promise<Page> {
  const request = { startTime: span.fromMs, endTime: span.toMs };
  const answer = await ask(token === null ? request : { ...request, cursor: token });
  const raws = needList(answer, 'result', list);
  const next = textAt(answer, 'result', 'nextPageCursor');
  return { ...convert(raws, one), next: raws.length === 0 ? null : next };
}

function executions(exchange: bybit, category: (typeof CATEGORIES)[number]): HistorySource {
  const ask: Ask = (request) =>
    exchange.privateGetV5ExecutionList({ category, limit: 100, ...request });
  return {
    type: 'history',
    what: 'fills',
    ...(category === 'linear' || category === 'inverse' ? { also: ['funding'] as const } : {}),
    market: category,
    key: `executions/${category}`,
    windowMs: 7 * DAY_MS - 1,
    historyMs: TWO_YEARS_MS,
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token) =>
      pageByCursor(ask, span, token, 'list', (raw) => execution(exchange, category, raw)),
  };
}

function execution(
  exchange: bybit,
  category: string,
  raw: Raw,
): ConnectorRecord | readonly ConnectorRecord[] | null {
  const type = textAt(raw, 'execType') ?? 'Trade';
  if (type === 'Funding') return funding(exchange, raw);
  if (!FILL_TYPES.has(type)) return [];
  const unified = exchange.parseTrade({ ...raw, category });
  const clientOrderId = textAt(raw, 'orderLinkId');
  return fillOf(exchange, unified, { clientOrderId, cost: decimalAt(raw, 'execValue'), raw });
}

/** A fee that is paid is positive there. */
function funding(exchange: bybit, raw: Raw): ConnectorRecord | null {
  const id = idAt(raw, 'execId');
  const timeMs = timeAt(raw, 'execTime');
  const amount = negated(decimalAt(raw, 'execFee'));
  const symbol = exchange.safeSymbol(
    textAt(raw, 'symbol') ?? undefined,
    undefined,
    undefined,
    'swap',
  );
  const currency = nameAt(raw, 'feeCurrency') ?? marketOf(exchange, symbol)?.settle ?? null;
  if (id === null || timeMs === null || amount === null || currency === null) return null;
  return { kind: 'funding', id, symbol, currency, amount, timeMs };
}

function transactions(exchange: bybit): readonly HistorySource[] {
  const common = {
    type: 'history',
    market: 'all',
    windowMs: 30 * DAY_MS - 1,
    historyMs: null,
    overlapMs: DAY_MS,
  } as const;
  return [
    {
      ...common,
      what: 'deposits',
      key: 'deposits',
      page: (span, token) =>
        pageByCursor(
          (request) => exchange.privateGetV5AssetDepositQueryRecord({ limit: 50, ...request }),
          span,
          token,
          'rows',
          (raw) => transactionOf(exchange.parseTransaction({ ...raw }), 'deposit'),
        ),
    },
    {
      ...common,
      what: 'withdrawals',
      key: 'withdrawals',
      page: (span, token) =>
        pageByCursor(
          (request) =>
            exchange.privateGetV5AssetWithdrawQueryRecord({
              withdrawType: 2,
              limit: 50,
              ...request,
            }),
          span,
          token,
          'rows',
          (raw) => transactionOf(exchange.parseTransaction({ ...raw }), 'withdrawal'),
        ),
    },
  ];
}

/** Between wallets of one user; the funding wallet's balances are reported too. */
/** The wallets that an account's balances are of. */
const WALLETS: ReadonlySet<string> = new Set(['UNIFIED', 'FUND']);

function transfers(exchange: bybit): HistorySource {
  return {
    type: 'history',
    what: 'transfers',
    market: 'all',
    key: 'transfers',
    windowMs: 7 * DAY_MS - 1,
    historyMs: TWO_YEARS_MS,
    overlapMs: FLOW_OVERLAP_MS,
    page: (span, token) =>
      pageByCursor(
        (request) =>
          exchange.privateGetV5AssetTransferQueryInterTransferList({ limit: 50, ...request }),
        span,
        token,
        'list',
        (raw) => {
          const from = textAt(raw, 'fromAccountType') ?? '';
          const to = textAt(raw, 'toAccountType') ?? '';
          // Both balances are told here: nothing came or went.
          if (WALLETS.has(from) && WALLETS.has(to)) return [];
          const unified = exchange.parseTransfer({ ...raw });
          const named = { ...unified, fromAccount: from, toAccount: to };
          return transferOf(named, (wallet) => WALLETS.has(wallet));
        },
      ),
  };
}
