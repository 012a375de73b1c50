// OKX. Fills of an instrument type come for all symbols, three months back, by bill id; funding, interest and transfers
// are in the bills. The account's configuration says what the key may do.

import { okx } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, FLOW_OVERLAP_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { balancesSource, needList, nextAfter, positionsSource } from '../common.ts';
import type { ExchangeOptions } from '../exchange.ts';
import { closeExchange, openExchange } from '../exchange.ts';
import { balanceOf, fillOf, flowOf, idAt, nameAt, transactionOf } from '../normalise.ts';
import type { Convert } from '../paging.ts';
import { convert, pageByTime } from '../paging.ts';
import type { Permissions } from '../protocol.ts';
import type { Raw } from '../raw.ts';
import { decimalAt, textAt, timeAt } from '../raw.ts';
import type { ConnectorRecord, FlowType } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, Page, Source, Span } from '../source.ts';

const INSTRUMENTS = ['SPOT', 'MARGIN', 'SWAP', 'FUTURES', 'OPTION'] as const;
const LIMIT = 100;
const THREE_MONTHS_MS: number = 89 * DAY_MS;

export const OKX: ExchangeOptions<okx> = {
  type: okx,
  options: { defaultType: 'spot', fetchMarkets: { types: ['spot', 'swap', 'future'] } },
  sandbox: 'hosts',
};

export async function openOkx(run: Run): Promise<Adapter> {
  const exchange = await openExchange(run, OKX);
  return {
    check: () => check(exchange),
    phases: [() => Promise.resolve(sourcesOf(exchange))],
    close: () => {
      closeExchange(exchange);
    },
  };
}

async function check(exchange: okx): Promise<Permissions> {
  const [account] = needList(await exchange.privateGetAccountConfig(), 'data');
  const permissions = textAt(account, 'perm')?.split(',') ?? null;
  const may = (name: string): boolean | null => permissions?.includes(name) ?? null;
  const uid = idAt(account, 'uid');
  const main = idAt(account, 'mainUid');
  return {
    ...UNKNOWN_PERMISSIONS,
    read: may('read_only') === false ? may('trade') : may('read_only'),
    trade: may('trade'),
    withdraw: may('withdraw'),
    // Transfers between accounts need the permission to trade.
    transfer: may('trade'),
    ipRestricted:
      account === undefined || account['ip'] === undefined ? null : textAt(account, 'ip') !== null,
    subAccount: uid === null || main === null ? null : uid !== main,
    accountId: uid,
  };
}

function sourcesOf(exchange: okx): readonly Source[] {
  return [
    balancesSource('trading', async () => {
      const [account] = needList(await exchange.privateGetAccountBalance(), 'data');
      // Cash: what positions are worth is theirs to say.
      return needList(account, 'details').map((raw) =>
        balanceOf(
          'trading',
          nameAt(raw, 'ccy'),
          decimalAt(raw, 'cashBal'),
          decimalAt(raw, 'availBal'),
        ),
      );
    }),
    balancesSource('funding', async () =>
      needList(await exchange.privateGetAssetBalances(), 'data').map((raw) =>
        balanceOf('funding', nameAt(raw, 'ccy'), decimalAt(raw, 'bal'), decimalAt(raw, 'availBal')),
      ),
    ),
    positionsSource(exchange, 'all', async () => {
      const raws = needList(await exchange.privateGetAccountPositions(), 'data');
      return raws
        .filter((raw) => decimalAt(raw, 'pos') !== '0')
        .map((raw) => exchange.parsePosition({ ...raw }));
    }),
    ...INSTRUMENTS.map((type) => fills(exchange, type)),
    bills(exchange, 'funding', '8', (raw) => funding(exchange, raw)),
    bills(exchange, 'transfers', '1', (raw) =>
      isInner(raw) ? [] : bill(exchange, raw, 'transfer_in'),
    ),
    bills(exchange, 'interest', '7', (raw) => bill(exchange, raw, 'interest')),
    transactions(exchange, 'deposit'),
    transactions(exchange, 'withdrawal'),
  ];
}

type Ask = (request: Record<string, unknown>) => Promise<unknown>;

/** Newest first; `after` takes the id of the last line and gives older ones. */
async function pageAfter(ask: Ask, span: Span, token: string | null, one: Convert): Promise<Page> {
  const request = { begin: span.fromMs, end: span.toMs, limit: LIMIT };
  const answer = await ask(token === null ? request : { ...request, after: token });
  const raws = needList(answer, 'data');
  return { ...convert(raws, one), next: nextAfter(raws, LIMIT, 'billId') };
}

function fills(exchange: okx, instType: (typeof INSTRUMENTS)[number]): HistorySource {
  return {
    type: 'history',
    what: 'fills',
    market: instType.toLowerCase(),
    key: `fills/${instType}`,
    windowMs: null,
    historyMs: THREE_MONTHS_MS,
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token) =>
      pageAfter(
        (request) => exchange.privateGetTradeFillsHistory({ instType, ...request }),
        span,
        token,
        (raw) =>
          fillOf(exchange, exchange.parseTrade({ ...raw }), {
            clientOrderId: textAt(raw, 'clOrdId'),
            margin: instType === 'MARGIN',
            raw,
          }),
      ),
  };
}

function bills(
  exchange: okx,
  what: 'funding' | 'transfers' | 'interest',
  type: string,
  one: Convert,
): HistorySource {
  return {
    type: 'history',
    what,
    market: 'all',
    key: `bills/${type}`,
    windowMs: null,
    historyMs: THREE_MONTHS_MS,
    overlapMs: FLOW_OVERLAP_MS,
    page: (span, token) =>
      pageAfter(
        (request) => exchange.privateGetAccountBillsArchive({ type, ...request }),
        span,
        token,
        one,
      ),
  };
}

/** Cash and isolated positions have a column each. */
function amountOf(raw: Raw): string | null {
  const cash = decimalAt(raw, 'balChg');
  return cash !== null && cash !== '0' ? cash : (decimalAt(raw, 'posBalChg') ?? cash);
}

function funding(exchange: okx, raw: Raw): ConnectorRecord | null {
  const id = idAt(raw, 'billId');
  const timeMs = timeAt(raw, 'ts');
  const amount = amountOf(raw);
  const currency = nameAt(raw, 'ccy');
  if (id === null || timeMs === null || amount === null || currency === null) return null;
  const market = textAt(raw, 'instId');
  const symbol = market === null ? null : exchange.safeSymbol(market, undefined, '-');
  return { kind: 'funding', id, symbol, currency, amount, timeMs };
}

/** Between trading and funding, whose balances are both told: nothing came or went. */
function isInner(raw: Raw): boolean {
  const ends = [textAt(raw, 'from') ?? '', textAt(raw, 'to') ?? ''].sort();
  return ends.join() === '18,6';
}

function bill(exchange: okx, raw: Raw, type: FlowType): ConnectorRecord | null {
  return flowOf({
    id: idAt(raw, 'billId'),
    type,
    currency: exchange.safeCurrencyCode(textAt(raw, 'ccy') ?? undefined),
    amount: amountOf(raw),
    timeMs: timeAt(raw, 'ts'),
    from: nameAt(raw, 'from'),
    to: nameAt(raw, 'to'),
  });
}

function transactions(exchange: okx, type: 'deposit' | 'withdrawal'): HistorySource {
  return {
    type: 'history',
    what: type === 'deposit' ? 'deposits' : 'withdrawals',
    market: 'all',
    key: `${type}s`,
    windowMs: 90 * DAY_MS - 1,
    historyMs: null,
    overlapMs: DAY_MS,
    page: (span, token) =>
      pageByTime(
        {
          limit: LIMIT,
          shows: 'newest',
          ask: async ({ fromMs, toMs }) => {
            // Both bounds are exclusive, and `before` is the earlier one.
            const request = { before: Math.max(fromMs - 1, 0), after: toMs + 1, limit: LIMIT };
            return needList(
              await (type === 'deposit'
                ? exchange.privateGetAssetDepositHistory(request)
                : exchange.privateGetAssetWithdrawalHistory(request)),
              'data',
            );
          },
          timeOf: (raw) => timeAt(raw, 'ts'),
          one: (raw) => transactionOf(exchange.parseTransaction({ ...raw }), type),
        },
        span,
        token,
      ),
  };
}
