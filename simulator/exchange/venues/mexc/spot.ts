// MEXC's spot API (v3): balances, trades by symbol (a month back), deposits and withdrawals in windows of a week,
// transfers between spot and futures.

import { formatAmount } from '../../amount.ts';
import type { Market } from '../../markets.ts';
import { newestFirst, within } from '../../pages.ts';
import type { Window } from '../../pages.ts';
import { hashOf } from '../../world.ts';
import type { Fill, Flow } from '../../world.ts';
import { spotRefusal } from './access.ts';
import type { Context, Public } from './context.ts';

const DAY_MS = 86_400_000;
const TRADES_KEPT_MS: number = 30 * DAY_MS;
const CAPITAL_KEPT_MS: number = 90 * DAY_MS;

function numberIn({ call }: Public, name: string): number | null {
  const text = call.parameters.get(name);
  if (text === null || text === '') return null;
  if (!/^\d{1,16}$/u.test(text)) throw spotRefusal(400, 700_004, `Param '${name}' invalid`);
  return Number(text);
}

export function exchangeInfo({ call, venue }: Public): object {
  const symbols = venue.marketsOf('spot').map((market) => ({
    symbol: market.id,
    status: market.isOpen ? '1' : '2',
    baseAsset: market.base,
    baseAssetPrecision: 8,
    quoteAsset: market.quote,
    quotePrecision: 8,
    quoteAssetPrecision: 8,
    baseCommissionPrecision: 8,
    quoteCommissionPrecision: 8,
    orderTypes: ['LIMIT', 'MARKET', 'LIMIT_MAKER'],
    isSpotTradingAllowed: market.isOpen,
    isMarginTradingAllowed: false,
    quoteAmountPrecision: '1',
    baseSizePrecision: '0.000001',
    permissions: ['SPOT'],
    filters: [],
    maxQuoteAmount: '2000000',
    makerCommission: '0',
    takerCommission: '0.001',
    tradeSideType: 1,
  }));
  return { timezone: 'CST', serverTime: call.nowMs, rateLimits: [], exchangeFilters: [], symbols };
}

function marketOf(context: Public): Market {
  const id = context.call.parameters.get('symbol');
  const market = id === null ? null : context.venue.marketById('spot', id);
  if (market === null) throw spotRefusal(400, 10_007, 'bad symbol');
  return market;
}

export function tickers(context: Public): unknown {
  const { call, venue } = context;
  const isOne = call.parameters.has('symbol');
  const markets = isOne ? [marketOf(context)] : venue.marketsOf('spot');
  const values = markets.map((market) => {
    const price = formatAmount(venue.price(market));
    return {
      symbol: market.id,
      priceChange: '0',
      priceChangePercent: '0',
      prevClosePrice: price,
      lastPrice: price,
      bidPrice: price,
      bidQty: '1',
      askPrice: price,
      askQty: '1',
      openPrice: price,
      highPrice: price,
      lowPrice: price,
      volume: '1000',
      quoteVolume: '1000000',
      openTime: call.nowMs - DAY_MS,
      closeTime: call.nowMs,
      count: null,
    };
  });
  return isOne ? values[0] : values;
}

export function account({ account: holder, key, world }: Context): object {
  const held = [...world.ledger.balances(holder.id, 'spot')].filter(([, amount]) => amount !== 0n);
  return {
    makerCommission: null,
    takerCommission: null,
    buyerCommission: null,
    sellerCommission: null,
    canTrade: key.permissions.has('trade'),
    canWithdraw: key.permissions.has('withdraw'),
    canDeposit: true,
    updateTime: null,
    accountType: 'SPOT',
    balances: held.map(([asset, amount]) => ({ asset, free: formatAmount(amount), locked: '0' })),
    permissions: ['SPOT'],
  };
}

function trade(fill: Fill): object {
  return {
    symbol: fill.market.id,
    id: String(fill.number),
    orderId: `C02__${String(fill.order)}`,
    orderListId: -1,
    price: formatAmount(fill.price),
    qty: formatAmount(fill.amount),
    quoteQty: formatAmount(fill.cost),
    commission: formatAmount(fill.fee),
    commissionAsset: fill.feeCurrency,
    time: fill.timeMs,
    isBuyer: fill.side === 'buy',
    isMaker: fill.isMaker,
    isBestMatch: true,
    isSelfTrade: false,
    clientOrderId: fill.clientOrderId,
  };
}

/** The newest first, a hundred at most, a month back. */
export function myTrades(context: Context): readonly object[] {
  const market = marketOf(context);
  const limit = Math.min(numberIn(context, 'limit') ?? 100, 100);
  const startMs = numberIn(context, 'startTime') ?? 0;
  const endMs = numberIn(context, 'endTime') ?? context.call.nowMs;
  const oldestMs = context.call.nowMs - TRADES_KEPT_MS;
  const fills = context.account.fills.filter((fill) => fill.market === market);
  const found = within(fills, { startMs: Math.max(startMs, oldestMs), endMs });
  return newestFirst(found).slice(0, limit).map(trade);
}

/** A week at most, ninety days back. */
function spanOf(context: Context): Window {
  const { nowMs } = context.call;
  const endMs = numberIn(context, 'endTime') ?? nowMs;
  const startMs = numberIn(context, 'startTime') ?? endMs - 7 * DAY_MS;
  if (startMs < nowMs - CAPITAL_KEPT_MS - DAY_MS) {
    throw spotRefusal(400, 400, 'The start time cannot be earlier than 90 days');
  }
  if (endMs - startMs > 7 * DAY_MS) {
    throw spotRefusal(400, 400, 'The query time range cannot exceed 7 days');
  }
  return { startMs, endMs };
}

function capital(context: Context, type: 'deposit' | 'withdrawal'): readonly Flow[] {
  const coin = context.call.parameters.get('coin');
  const limit = Math.min(numberIn(context, 'limit') ?? 1000, 1000);
  const flows = context.account.flows.filter(
    (flow) => flow.type === type && (coin === null || flow.currency === coin),
  );
  return newestFirst(within(flows, spanOf(context))).slice(0, limit);
}

export function deposits(context: Context): readonly object[] {
  const status = { pending: 4, ok: 5, failed: 7 } as const;
  return capital(context, 'deposit').map((flow) => ({
    amount: formatAmount(flow.amount),
    coin: `${flow.currency}-${flow.network}`,
    network: flow.network,
    status: status[flow.status],
    address: `0x${hashOf('address', context.account.uid).slice(0, 40)}`,
    txId: `${flow.transaction}:0`,
    insertTime: flow.timeMs,
    unlockConfirm: '1',
    confirmTimes: '1',
    memo: null,
  }));
}

export function withdrawals(context: Context): readonly object[] {
  const status = { pending: 4, ok: 7, failed: 8 } as const;
  return capital(context, 'withdrawal').map((flow) => ({
    id: hashOf('withdrawal', flow.number).slice(0, 32),
    txId: flow.transaction,
    coin: flow.currency,
    network: flow.network,
    address: `0x${hashOf('destination', flow.number).slice(0, 40)}`,
    // The fee is in it.
    amount: formatAmount(flow.amount + flow.fee),
    transferType: 0,
    status: status[flow.status],
    transactionFee: formatAmount(flow.fee),
    confirmNo: null,
    applyTime: flow.timeMs,
    remark: '',
    memo: null,
  }));
}

function typeOf(wallet: string | null): string {
  return wallet === 'linear' ? 'FUTURES' : 'SPOT';
}

export function transfers(context: Context): object {
  const { parameters } = context.call;
  const from = parameters.get('fromAccountType');
  const to = parameters.get('toAccountType');
  if (from === null || to === null)
    throw spotRefusal(400, 700_004, "Param 'fromAccountType' is null");
  const page = numberIn(context, 'page') ?? 1;
  const size = Math.min(numberIn(context, 'size') ?? 10, 100);
  const startMs = numberIn(context, 'startTime') ?? context.call.nowMs - 7 * DAY_MS;
  const endMs = numberIn(context, 'endTime') ?? context.call.nowMs;
  const flows = context.account.flows.filter(
    (flow) =>
      flow.type === 'transfer' &&
      flow.otherAccount === null &&
      typeOf(flow.fromWallet) === from &&
      typeOf(flow.toWallet) === to,
  );
  const found = newestFirst(within(flows, { startMs, endMs }));
  return {
    rows: found.slice((page - 1) * size, page * size).map((flow) => ({
      tranId: hashOf('transfer', flow.number).slice(0, 32),
      clientTranId: null,
      asset: flow.currency,
      amount: formatAmount(flow.amount),
      fromAccountType: from,
      toAccountType: to,
      symbol: null,
      status: 'SUCCESS',
      timestamp: flow.timeMs,
    })),
    total: found.length,
  };
}

export function coins({ venue }: Context): readonly object[] {
  const names = venue.marketsOf('spot').flatMap(({ base, quote }) => [base, quote]);
  return [...new Set(names)].map((coin) => ({ coin, Name: coin, networkList: [] }));
}
