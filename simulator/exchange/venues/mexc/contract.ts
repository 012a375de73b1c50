// MEXC's contract API (v1): assets, positions, deals by symbol and funding in numbered pages. Amounts are numbers.

import { absolute } from '../../amount.ts';
import { newestFirst, oldestFirst, within } from '../../pages.ts';
import { profitOf } from '../../operations.ts';
import { jsonNumber } from '../../raw-json.ts';
import type { Fill, Position } from '../../world.ts';
import { contractRefusal } from './access.ts';
import type { Context, Public } from './context.ts';

export function details({ venue }: Public): readonly object[] {
  return venue.marketsOf('linear').map((market) => ({
    symbol: market.id,
    displayName: market.id,
    displayNameEn: market.id,
    positionOpenType: 3,
    baseCoin: market.base,
    quoteCoin: market.quote,
    settleCoin: market.settle,
    contractSize: jsonNumber(market.contractSize),
    minLeverage: 1,
    maxLeverage: 125,
    priceScale: 2,
    volScale: 0,
    amountScale: 4,
    priceUnit: 0.01,
    volUnit: 1,
    minVol: 1,
    maxVol: 1_000_000,
    takerFeeRate: 0.0006,
    makerFeeRate: 0.0002,
    state: market.isOpen ? 0 : 2,
    isHidden: false,
  }));
}

function numberIn({ call }: Public, name: string): number | null {
  const text = call.parameters.get(name);
  if (text === null || text === '') return null;
  if (!/^\d{1,16}$/u.test(text)) throw contractRefusal(600, 'Parameter error');
  return Number(text);
}

function pageOf<T>(context: Context, records: readonly T[]): readonly T[] {
  const page = numberIn(context, 'page_num') ?? 1;
  const size = Math.min(numberIn(context, 'page_size') ?? 20, 100);
  return records.slice((page - 1) * size, page * size);
}

function open({ account }: Context): readonly Position[] {
  return [...account.positions.values()].filter(({ contracts }) => contracts !== 0n);
}

export function assets(context: Context): readonly object[] {
  const { account, venue, world } = context;
  return [...world.ledger.balances(account.id, 'linear')].map(([currency, amount]) => {
    const profit = open(context)
      .filter(({ market }) => market.settle === currency)
      .reduce((sum, one) => sum + profitOf(one, one.contracts, venue.price(one.market)), 0n);
    return {
      currency,
      positionMargin: 0,
      availableBalance: jsonNumber(amount),
      cashBalance: jsonNumber(amount),
      frozenBalance: 0,
      equity: jsonNumber(amount + profit),
      unrealized: jsonNumber(profit),
      bonus: 0,
    };
  });
}

export function openPositions(context: Context): readonly object[] {
  return open(context).map(({ market, contracts, entry }) => ({
    positionId: Number(context.account.uid),
    symbol: market.id,
    positionType: contracts > 0n ? 1 : 2,
    openType: 2,
    state: 1,
    holdVol: jsonNumber(absolute(contracts)),
    frozenVol: 0,
    closeVol: 0,
    holdAvgPrice: jsonNumber(entry),
    openAvgPrice: jsonNumber(entry),
    closeAvgPrice: 0,
    liquidatePrice: 0,
    oim: 0,
    im: 0,
    holdFee: 0,
    realised: 0,
    leverage: 20,
    createTime: context.account.fills.find((fill) => fill.market === market)?.timeMs ?? 0,
    updateTime: context.call.nowMs,
    autoAddIm: false,
  }));
}

/** Those that are closed, one for each market. */
export function historyPositions(context: Context): readonly object[] {
  const closed = [...context.account.positions.values()].filter(
    ({ contracts }) => contracts === 0n,
  );
  return pageOf(context, closed).map(({ market }) => ({
    positionId: Number(context.account.uid),
    symbol: market.id,
    positionType: 1,
    openType: 2,
    state: 3,
    holdVol: 0,
    createTime: 0,
    updateTime: context.call.nowMs,
  }));
}

/** 1 opens long, 2 closes short, 3 opens short, 4 closes long. */
function sidesOf(fills: readonly Fill[]): ReadonlyMap<number, number> {
  const sides = new Map<number, number>();
  let held = 0n;
  for (const { number, side, amount } of oldestFirst(fills)) {
    if (side === 'buy') sides.set(number, held < 0n ? 2 : 1);
    else sides.set(number, held > 0n ? 4 : 3);
    held += side === 'buy' ? amount : -amount;
  }
  return sides;
}

function deal(fill: Fill, side: number): object {
  return {
    id: String(fill.number),
    symbol: fill.market.id,
    side,
    vol: jsonNumber(fill.amount),
    price: jsonNumber(fill.price),
    feeCurrency: fill.feeCurrency,
    fee: jsonNumber(fill.fee),
    timestamp: fill.timeMs,
    profit: jsonNumber(fill.realized),
    category: 1,
    orderId: String(fill.order),
    positionMode: 2,
    taker: !fill.isMaker,
  };
}

const MAX_SPAN_MS: number = 90 * 86_400_000;

export function orderDeals(context: Context): readonly object[] {
  const { account, call, venue } = context;
  const market = venue.marketById('linear', call.parameters.get('symbol') ?? '');
  if (market === null) throw contractRefusal(1001, 'Contract does not exist');
  const endMs = numberIn(context, 'end_time') ?? call.nowMs;
  const startMs = numberIn(context, 'start_time') ?? endMs - 7 * 86_400_000;
  if (endMs - startMs > MAX_SPAN_MS) throw contractRefusal(600, 'Parameter error: time span');
  const fills = account.fills.filter((fill) => fill.market === market);
  const sides = sidesOf(fills);
  const found = newestFirst(within(fills, { startMs, endMs }));
  return pageOf(context, found).map((fill) => deal(fill, sides.get(fill.number) ?? 1));
}

export function fundingRecords(context: Context): object {
  const id = context.call.parameters.get('symbol');
  const found = newestFirst(
    context.account.fundings.filter(({ market }) => id === null || market.id === id),
  );
  const page = pageOf(context, found);
  return {
    pageSize: numberIn(context, 'page_size') ?? 20,
    totalCount: found.length,
    totalPage: 1,
    currentPage: numberIn(context, 'page_num') ?? 1,
    resultList: page.map((funding) => ({
      id: funding.number,
      symbol: funding.market.id,
      positionType: 1,
      positionValue: 0,
      funding: jsonNumber(funding.amount),
      rate: 0.0001,
      settleTime: funding.timeMs,
    })),
  };
}
