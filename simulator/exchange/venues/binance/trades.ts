// The account's trades at Binance: spot and margin by symbol in windows of a day, futures in windows of a week.

import type { Fill } from '../../world.ts';
import { DAY_MS, eight, integer, limitOf, mandatory, marketOf, spanOf, within } from './context.ts';
import type { Signed, SpanRule } from './context.ts';
import { binanceRefusal } from './refusals.ts';

const SPOT_SPAN: SpanRule = {
  maximumMs: DAY_MS,
  defaultMs: Number.MAX_SAFE_INTEGER,
  refuse: () => binanceRefusal(400, -1127, 'More than 24 hours between startTime and endTime.'),
};

const FUTURES_SPAN: SpanRule = {
  maximumMs: 7 * DAY_MS,
  defaultMs: 7 * DAY_MS,
  refuse: () => binanceRefusal(400, -4165, 'Invalid time interval'),
};

/** Futures keep six months of trades. */
const FUTURES_KEPT_MS: number = 183 * DAY_MS;

function spotTrade(fill: Fill): object {
  return {
    symbol: fill.market.id,
    id: fill.number,
    orderId: fill.order,
    orderListId: -1,
    price: eight(fill.price),
    qty: eight(fill.amount),
    quoteQty: eight(fill.cost),
    commission: eight(fill.fee),
    commissionAsset: fill.feeCurrency,
    time: fill.timeMs,
    isBuyer: fill.side === 'buy',
    isMaker: fill.isMaker,
    isBestMatch: true,
  };
}

function futuresTrade(fill: Fill): object {
  const { market } = fill;
  const isInverse = market.segment === 'inverse';
  return {
    symbol: market.id,
    ...(isInverse ? { pair: `${market.base}${market.quote}` } : {}),
    id: fill.number,
    orderId: fill.order,
    side: fill.side.toUpperCase(),
    price: eight(fill.price),
    qty: eight(fill.amount),
    realizedPnl: eight(fill.realized),
    marginAsset: market.settle,
    ...(isInverse ? { baseQty: eight(fill.cost) } : { quoteQty: eight(fill.cost) }),
    commission: eight(fill.fee),
    commissionAsset: fill.feeCurrency,
    time: fill.timeMs,
    positionSide: 'BOTH',
    buyer: fill.side === 'buy',
    maker: fill.isMaker,
  };
}

/** By id from there, by time the oldest first, the most recent ones without either. */
function select(context: Signed, all: readonly Fill[], rule: SpanRule): readonly Fill[] {
  const limit = limitOf(context, 'limit', 500, 1000);
  const fromId = integer(context, 'fromId');
  const orderId = integer(context, 'orderId');
  const { parameters } = context.call;
  const isTimed = parameters.has('startTime') || parameters.has('endTime');
  const fills = orderId === null ? all : all.filter(({ order }) => order === orderId);
  if (fromId !== null) {
    if (isTimed) {
      const text = 'Combination of optional parameters invalid. Recommendation: fromId alone';
      throw binanceRefusal(400, -1128, text);
    }
    const byId = fills.filter(({ number }) => number >= fromId);
    return byId.toSorted((left, right) => left.number - right.number).slice(0, limit);
  }
  const found = within(fills, spanOf(context, rule));
  return isTimed ? found.slice(0, limit) : found.slice(-limit);
}

export function spotTrades(context: Signed, wallet: 'spot' | 'margin'): readonly object[] {
  const market = marketOf(context, 'spot', mandatory(context, 'symbol'));
  const fills = context.account.fills.filter(
    (fill) => fill.market === market && fill.wallet === wallet,
  );
  return select(context, fills, SPOT_SPAN).map(spotTrade);
}

export function futuresTrades(context: Signed, segment: 'linear' | 'inverse'): readonly object[] {
  const pair = context.call.parameters.get('pair');
  const kept = context.account.fills.filter(
    ({ market, timeMs }) =>
      market.segment === segment && timeMs >= context.call.nowMs - FUTURES_KEPT_MS,
  );
  if (segment === 'inverse' && pair !== null && pair !== '') {
    const ofPair = kept.filter(({ market }) => `${market.base}${market.quote}` === pair);
    return select(context, ofPair, FUTURES_SPAN).map(futuresTrade);
  }
  const market = marketOf(context, segment, mandatory(context, 'symbol'));
  const fills = kept.filter((fill) => fill.market === market);
  return select(context, fills, FUTURES_SPAN).map(futuresTrade);
}

const KEPT_INCOME_MS: number = 90 * DAY_MS;
const INCOME: Readonly<Record<string, string>> = {
  pnl: 'REALIZED_PNL',
  fee: 'COMMISSION',
  funding: 'FUNDING_FEE',
  transfer: 'TRANSFER',
};

/** Funding, commissions, realised profits and transfers of a futures wallet, from the ledger. */
export function income(context: Signed, segment: 'linear' | 'inverse'): readonly object[] {
  const { account, call, world } = context;
  const limit = limitOf(context, 'limit', 100, 1000);
  const page = integer(context, 'page') ?? 1;
  const type = call.parameters.get('incomeType');
  const symbol = call.parameters.get('symbol');
  const fills = new Map(account.fills.map((fill) => [fill.number, fill]));
  const fundings = new Map(account.fundings.map((funding) => [funding.number, funding]));
  const startMs = integer(context, 'startTime') ?? call.nowMs - 7 * DAY_MS;
  const span = {
    startMs: Math.max(startMs, call.nowMs - KEPT_INCOME_MS),
    endMs: integer(context, 'endTime') ?? call.nowMs,
  };
  const rows = world.ledger
    .rows(account.id)
    .filter(({ wallet, kind }) => wallet === segment && INCOME[kind] !== undefined)
    .toSorted((left, right) => left.timeMs - right.timeMs);
  const all = within(rows, span).map((row) => {
    const fill = fills.get(row.reference);
    const market = fill?.market ?? fundings.get(row.reference)?.market;
    return {
      symbol: market?.id ?? '',
      incomeType: INCOME[row.kind],
      income: eight(row.amount),
      asset: row.currency,
      time: row.timeMs,
      info: INCOME[row.kind],
      tranId: row.number,
      tradeId: fill === undefined ? '' : String(fill.number),
    };
  });
  const isWanted = (record: { readonly incomeType: string | undefined; readonly symbol: string }) =>
    (type === null || record.incomeType === type) && (symbol === null || record.symbol === symbol);
  return all.filter(isWanted).slice((page - 1) * limit, page * limit);
}
