// MEXC, spot and futures. Fills come per symbol only, a month back; what the key may do is not told. Futures name the
// symbols that were traded in the history of positions.

import { mexc } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, FLOW_OVERLAP_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { balancesSource, needList, positionsSource } from '../common.ts';
import { CallError } from '../call-error.ts';
import type { Cursors } from '../cursors.ts';
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
import { convert, pageByHalves } from '../paging.ts';
import type { Raw } from '../raw.ts';
import { decimalAt, textAt, timeAt } from '../raw.ts';
import type { Balance, ConnectorRecord } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, Source } from '../source.ts';
import { changedAssets, noteSymbol, pairsOf, symbolsToAsk } from '../symbols.ts';

const MONTH_MS: number = 30 * DAY_MS;

interface Context {
  readonly exchange: mexc;
  readonly run: Run;
  readonly cursors: Cursors;
  readonly futures: boolean;
  changed: ReadonlySet<string>;
  held: ReadonlySet<string>;
}

export function mexcOptions(futures: boolean): ExchangeOptions<mexc> {
  return {
    type: mexc,
    options: {
      defaultType: futures ? 'swap' : 'spot',
      fetchMarkets: { types: { spot: !futures, swap: { linear: futures, inverse: futures } } },
    },
  };
}

export async function openMexc(run: Run, cursors: Cursors): Promise<Adapter> {
  const futures = run.job.settings.accountType === 'futures';
  const exchange = await openExchange(run, mexcOptions(futures));
  const context: Context = {
    exchange,
    run,
    cursors,
    futures,
    changed: new Set(),
    held: new Set(),
  };
  return {
    check: async () => {
      if (futures) await exchange.contractPrivateGetAccountAssets();
      else needList(await exchange.spotPrivateGetAccount(), 'balances');
      return { ...UNKNOWN_PERMISSIONS, read: true };
    },
    phases: futures
      ? [() => Promise.resolve(futuresFirst(context)), () => futuresFills(context)]
      : [() => Promise.resolve(spotFirst(context)), () => Promise.resolve(spotFills(context))],
    close: () => {
      closeExchange(exchange);
    },
  };
}

function spotFirst(context: Context): readonly Source[] {
  const { exchange, cursors } = context;
  return [
    balancesSource('spot', async () => {
      const lines = needList(await exchange.spotPrivateGetAccount(), 'balances').map((raw) => {
        const free = decimalAt(raw, 'free');
        const locked = decimalAt(raw, 'locked');
        const total = free === null || locked === null ? null : sumOf(free, locked);
        return balanceOf('spot', nameAt(raw, 'asset'), total, free);
      });
      const balances = lines.filter(
        (line): line is Balance => line !== null && line !== 'malformed',
      );
      context.changed = changedAssets(cursors, balances);
      context.held = new Set(balances.map(({ currency }) => currency));
      return lines;
    }),
    transactions(exchange, 'deposit'),
    transactions(exchange, 'withdrawal'),
    transfers(exchange, 'SPOT', 'FUTURES'),
    transfers(exchange, 'FUTURES', 'SPOT'),
  ];
}

function keyOfFills(symbol: string): string {
  return `fills/${symbol}`;
}

function spotFills(context: Context): readonly Source[] {
  const { exchange, run, cursors, changed, held } = context;
  const symbols = symbolsToAsk(
    exchange,
    cursors,
    keyOfFills,
    run.job.settings.symbols,
    cursors.symbols,
    pairsOf(exchange, changed, held),
  );
  return [
    ...symbols.map((symbol) => spotFillSource(context, symbol)),
    { type: 'missing', what: 'fills', market: 'spot', reason: 'symbols_unknown' },
  ];
}

function spotFillSource({ exchange, cursors }: Context, symbol: string): HistorySource {
  const market = exchange.market(symbol);
  return {
    type: 'history',
    what: 'fills',
    market: symbol,
    key: keyOfFills(symbol),
    windowMs: DAY_MS,
    historyMs: MONTH_MS,
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token) =>
      pageByHalves(
        {
          limit: 100,
          ask: async ({ fromMs, toMs }) => {
            const request = { symbol: exchange.marketId(symbol), startTime: fromMs, endTime: toMs };
            const raws: unknown = await exchange.spotPrivateGetMyTrades({ ...request, limit: 100 });
            return needList({ raws }, 'raws');
          },
          one: (raw) => {
            const fill = fillWithId(exchange, raw, decimalAt(raw, 'quoteQty'), market);
            if (fill !== null) noteSymbol(cursors, symbol);
            return fill;
          },
        },
        span,
        token,
      ),
  };
}

/** ccxt makes an id where there is none; what has none is malformed. */
function fillWithId(
  exchange: mexc,
  raw: Raw,
  cost: string | null,
  market: ReturnType<mexc['market']>,
): ConnectorRecord | null {
  if (idAt(raw, 'id') === null) return null;
  const unified = exchange.parseTrade({ ...raw }, market);
  return fillOf(exchange, unified, { cost, clientOrderId: textAt(raw, 'clientOrderId'), raw });
}

function transactions(exchange: mexc, type: 'deposit' | 'withdrawal'): HistorySource {
  return {
    type: 'history',
    what: type === 'deposit' ? 'deposits' : 'withdrawals',
    market: 'all',
    key: `${type}s`,
    windowMs: 7 * DAY_MS,
    historyMs: 90 * DAY_MS,
    overlapMs: DAY_MS,
    page: (span, token) =>
      pageByHalves(
        {
          limit: 1000,
          ask: async ({ fromMs, toMs }) => {
            const request = { startTime: fromMs, endTime: toMs, limit: 1000 };
            const raws: unknown = await (type === 'deposit'
              ? exchange.spotPrivateGetCapitalDepositHisrec(request)
              : exchange.spotPrivateGetCapitalWithdrawHistory(request));
            return needList({ raws }, 'raws');
          },
          one: (raw) => transactionOf(exchange.parseTransaction({ ...raw }), type),
        },
        span,
        token,
      ),
  };
}

function transfers(exchange: mexc, from: string, to: string): HistorySource {
  return {
    type: 'history',
    what: 'transfers',
    market: `${from}-${to}`.toLowerCase(),
    key: `transfers/${from}/${to}`,
    windowMs: 30 * DAY_MS,
    historyMs: 180 * DAY_MS,
    overlapMs: FLOW_OVERLAP_MS,
    page: async ({ fromMs, toMs }, token) => {
      const page = Number(token ?? '1');
      const answer: unknown = await exchange.spotPrivateGetCapitalTransfer({
        fromAccountType: from,
        toAccountType: to,
        startTime: fromMs,
        endTime: toMs,
        page,
        size: 100,
      });
      const raws = needList(answer, 'rows');
      const one = (raw: Raw): ConnectorRecord | null =>
        transferOf(
          { ...exchange.parseTransfer({ ...raw }), fromAccount: from, toAccount: to },
          (wallet) => wallet === 'SPOT',
        );
      return { ...convert(raws, one), next: raws.length >= 100 ? String(page + 1) : null };
    },
  };
}

function futuresFirst(context: Context): readonly Source[] {
  const { exchange, cursors } = context;
  return [
    balancesSource('futures', async () =>
      needList(await exchange.contractPrivateGetAccountAssets(), 'data').map((raw) => {
        const equity = decimalAt(raw, 'equity');
        const unrealized = decimalAt(raw, 'unrealized') ?? '0';
        const total = equity === null ? null : sumOf(equity, negated(unrealized) ?? '0');
        return balanceOf(
          'futures',
          nameAt(raw, 'currency'),
          total,
          decimalAt(raw, 'availableBalance'),
        );
      }),
    ),
    positionsSource(exchange, 'futures', async () => {
      const raws = needList(await exchange.contractPrivateGetPositionOpenPositions(), 'data');
      for (const raw of raws) noteMarket(exchange, cursors, raw);
      return raws.map((raw) => exchange.parsePosition({ ...raw }));
    }),
    funding(exchange, cursors),
  ];
}

function noteMarket(exchange: mexc, cursors: Cursors, raw: Raw): string | null {
  const id = textAt(raw, 'symbol');
  if (id === null) return null;
  const symbol = exchange.safeSymbol(id);
  noteSymbol(cursors, symbol);
  return symbol;
}

/** Numbered pages of one list, newest first. */
function funding(exchange: mexc, cursors: Cursors): HistorySource {
  return {
    type: 'history',
    what: 'funding',
    market: 'futures',
    key: 'funding',
    windowMs: null,
    historyMs: 90 * DAY_MS,
    overlapMs: FLOW_OVERLAP_MS,
    page: async ({ fromMs }, token) => {
      const page = Number(token ?? '1');
      const answer: unknown = await exchange.contractPrivateGetPositionFundingRecords({
        page_num: page,
        page_size: 100,
      });
      const raws = needList(answer, 'data', 'resultList');
      const one = (raw: Raw): ConnectorRecord | null => {
        const symbol = noteMarket(exchange, cursors, raw);
        const id = idAt(raw, 'id');
        const amount = decimalAt(raw, 'funding');
        const timeMs = timeAt(raw, 'settleTime');
        const currency = marketOf(exchange, symbol)?.settle ?? null;
        if (id === null || amount === null || timeMs === null || currency === null) return null;
        return { kind: 'funding', id, symbol, currency, amount, timeMs };
      };
      const oldest = timeAt(raws.at(-1), 'settleTime');
      const more = raws.length >= 100 && oldest !== null && oldest >= fromMs;
      return { ...convert(raws, one), next: more ? String(page + 1) : null };
    },
  };
}

/** One call more: positions that were closed meanwhile. */
async function closedPositions({ exchange, cursors }: Context): Promise<void> {
  try {
    const answer: unknown = await exchange.contractPrivateGetPositionListHistoryPositions({
      page_num: 1,
      page_size: 100,
    });
    for (const raw of needList(answer, 'data')) noteMarket(exchange, cursors, raw);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
  }
}

async function futuresFills(context: Context): Promise<readonly Source[]> {
  const { exchange, run, cursors } = context;
  await closedPositions(context);
  const lists = [run.job.settings.symbols, cursors.symbols];
  const symbols = symbolsToAsk(exchange, cursors, keyOfFills, ...lists);
  return [
    ...symbols.map((symbol) => futuresFillSource(context, symbol)),
    { type: 'missing', what: 'fills', market: 'futures', reason: 'symbols_unknown' },
  ];
}

/** Opens long, closes short, opens short, closes long; ccxt knows two of them, and takes 2 for a sale. */
const DEAL_SIDES: Readonly<Record<string, string>> = {
  '1': 'BUY',
  '2': 'BUY',
  '3': 'SELL',
  '4': 'SELL',
};

function futuresFillSource({ exchange }: Context, symbol: string): HistorySource {
  const market = exchange.market(symbol);
  return {
    type: 'history',
    what: 'fills',
    market: symbol,
    key: keyOfFills(symbol),
    windowMs: 89 * DAY_MS,
    historyMs: null,
    overlapMs: FILL_OVERLAP_MS,
    page: async ({ fromMs, toMs }, token) => {
      const page = Number(token ?? '1');
      const answer: unknown = await exchange.contractPrivateGetOrderListOrderDeals({
        symbol: exchange.marketId(symbol),
        start_time: fromMs,
        end_time: toMs,
        page_num: page,
        page_size: 100,
      });
      const raws = needList(answer, 'data');
      const one = (raw: Raw): ConnectorRecord | null => {
        const side = DEAL_SIDES[textAt(raw, 'side') ?? ''];
        return side === undefined ? null : fillWithId(exchange, { ...raw, side }, null, market);
      };
      return { ...convert(raws, one), next: raws.length >= 100 ? String(page + 1) : null };
    },
  };
}
