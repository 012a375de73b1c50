// An account's history at Bitget: fills by symbol (spot) or product (futures), orders, bills, deposits and
// withdrawals. The newest first, a hundred at most, paged by the last id seen, in windows of ninety days.

import { formatAmount } from '../../amount.ts';
import type { Row } from '../../ledger.ts';
import type { Market } from '../../markets.ts';
import { newestFirst } from '../../pages.ts';
import { hashOf } from '../../world.ts';
import type { Fill } from '../../world.ts';
import { bitgetRefusal } from './access.ts';
import type { Context, Public } from './context.ts';

const DAY_MS = 86_400_000;
const MAX_PAGE = 100;

export type Product = 'USDT-FUTURES' | 'USDC-FUTURES' | 'COIN-FUTURES';

export function productOf(market: Market): Product {
  if (market.segment === 'inverse') return 'COIN-FUTURES';
  return market.settle === 'USDC' ? 'USDC-FUTURES' : 'USDT-FUTURES';
}

/** Demo products have no markets here. */
export function productIn({ call }: Public): string {
  const type = call.parameters.get('productType')?.toUpperCase() ?? '';
  if (!/^S?(?:USDT|USDC|COIN)-FUTURES$/u.test(type)) {
    throw bitgetRefusal(call, 400, '40020', 'Parameter productType error');
  }
  return type;
}

function numberIn({ call }: Public, name: string): number | null {
  const text = call.parameters.get(name);
  if (text === null || text === '') return null;
  if (!/^\d{1,19}$/u.test(text)) {
    throw bitgetRefusal(call, 400, '40020', `Parameter ${name} error`);
  }
  return Number(text);
}

interface Listed {
  readonly timeMs: number;
  readonly number: number;
}

function pageOf<T extends Listed>(
  context: Context,
  records: readonly T[],
  days = 90,
): readonly T[] {
  const { call } = context;
  const start = numberIn(context, 'startTime') ?? 0;
  const end = numberIn(context, 'endTime') ?? call.nowMs;
  const before = numberIn(context, 'idLessThan') ?? Number.MAX_SAFE_INTEGER;
  const limit = Math.min(numberIn(context, 'limit') ?? MAX_PAGE, MAX_PAGE);
  const isTimed = call.parameters.has('startTime');
  if (isTimed && end - start > days * DAY_MS) {
    const text = `The time range cannot exceed ${String(days)} days`;
    throw bitgetRefusal(call, 400, '40911', text);
  }
  const oldestMs = Math.max(start, call.nowMs - 90 * DAY_MS);
  const found = records.filter(
    ({ timeMs, number }) => timeMs >= oldestMs && timeMs <= end && number < before,
  );
  return newestFirst(found).slice(0, limit);
}

function feeDetail(fill: Fill): object {
  const totalFee = formatAmount(-fill.fee);
  return { deduction: 'no', feeCoin: fill.feeCurrency, totalDeductionFee: '', totalFee };
}

export function spotFills(context: Context): readonly object[] {
  const { account, call, venue } = context;
  const id = call.parameters.get('symbol');
  const market = id === null ? null : venue.marketById('spot', id);
  if (market === null) throw bitgetRefusal(call, 400, '40034', 'Parameter symbol does not exist');
  const fills = account.fills.filter((fill) => fill.market === market);
  return pageOf(context, fills).map((fill) => ({
    userId: account.uid,
    symbol: market.id,
    orderId: String(fill.order),
    tradeId: String(fill.number),
    clientOid: fill.clientOrderId ?? undefined,
    orderType: 'limit',
    side: fill.side,
    priceAvg: formatAmount(fill.price),
    size: formatAmount(fill.amount),
    amount: formatAmount(fill.cost),
    feeDetail: feeDetail(fill),
    tradeScope: fill.isMaker ? 'maker' : 'taker',
    cTime: String(fill.timeMs),
    uTime: String(fill.timeMs),
  }));
}

export function spotOrders(context: Context): readonly object[] {
  const id = context.call.parameters.get('symbol');
  const asked = context.account.fills.filter(
    ({ market }) => market.segment === 'spot' && (id === null || market.id === id),
  );
  const groups = Map.groupBy(asked, ({ order }) => order);
  const firsts = [...groups].flatMap(([number, parts]) =>
    parts.slice(0, 1).map((first) => ({ number, timeMs: first.timeMs, first })),
  );
  return pageOf(context, firsts).map(({ number, first }) => ({
    userId: context.account.uid,
    symbol: first.market.id,
    orderId: String(number),
    clientOid: first.clientOrderId ?? hashOf('bitget-client', number).slice(0, 32),
    price: formatAmount(first.price),
    size: formatAmount(first.amount),
    orderType: 'limit',
    side: first.side,
    status: 'filled',
    priceAvg: formatAmount(first.price),
    baseVolume: formatAmount(first.amount),
    quoteVolume: formatAmount(first.cost),
    enterPointSource: 'API',
    feeDetail: '{}',
    orderSource: 'normal',
    cTime: String(first.timeMs),
    uTime: String(first.timeMs),
  }));
}

export function futuresFills(context: Context): object {
  const product = productIn(context);
  const id = context.call.parameters.get('symbol');
  const fills = context.account.fills.filter(
    ({ market }) =>
      market.settle !== null && productOf(market) === product && (id === null || market.id === id),
  );
  const page = pageOf(context, fills, 7);
  const fillList = page.map((fill) => ({
    tradeId: String(fill.number),
    symbol: fill.market.id,
    orderId: String(fill.order),
    clientOid: fill.clientOrderId ?? undefined,
    price: formatAmount(fill.price),
    baseVolume: formatAmount(fill.amount),
    feeDetail: [feeDetail(fill)],
    side: fill.side,
    quoteVolume: formatAmount(fill.cost),
    profit: formatAmount(fill.realized),
    enterPointSource: 'api',
    tradeSide: 'buy_single',
    posMode: 'one_way_mode',
    tradeScope: fill.isMaker ? 'maker' : 'taker',
    cTime: String(fill.timeMs),
  }));
  return {
    fillList: fillList.length === 0 ? null : fillList,
    endId: String(page.at(-1)?.number ?? ''),
  };
}

export function deposits(context: Context): readonly object[] {
  const status = { pending: 'pending', ok: 'success', failed: 'fail' } as const;
  const coin = context.call.parameters.get('coin');
  const flows = context.account.flows.filter(
    ({ type, currency }) => type === 'deposit' && (coin === null || coin === currency),
  );
  return pageOf(context, flows).map((flow) => ({
    orderId: String(flow.number),
    tradeId: hashOf('deposit', flow.number),
    coin: flow.currency,
    type: 'deposit',
    size: formatAmount(flow.amount),
    status: status[flow.status],
    toAddress: `0x${hashOf('address', context.account.uid).slice(0, 40)}`,
    dest: 'on_chain',
    chain: flow.network,
    fromAddress: null,
    cTime: String(flow.timeMs),
    uTime: String(flow.timeMs),
  }));
}

export function withdrawals(context: Context): readonly object[] {
  const status = { pending: 'pending', ok: 'success', failed: 'fail' } as const;
  const coin = context.call.parameters.get('coin');
  const flows = context.account.flows.filter(
    ({ type, currency }) => type === 'withdrawal' && (coin === null || coin === currency),
  );
  return pageOf(context, flows).map((flow) => ({
    orderId: String(flow.number),
    tradeId: hashOf('withdrawal', flow.number),
    clientOid: String(flow.number),
    coin: flow.currency,
    type: 'withdraw',
    // The fee is in it.
    size: formatAmount(flow.amount + flow.fee),
    fee: formatAmount(-flow.fee),
    status: status[flow.status],
    toAddress: `0x${hashOf('destination', flow.number).slice(0, 40)}`,
    dest: 'on_chain',
    chain: flow.network,
    confirm: '10',
    fromAddress: null,
    cTime: String(flow.timeMs),
    uTime: String(flow.timeMs),
  }));
}

function isTransfer({ kind }: Row): boolean {
  return kind === 'transfer';
}

function groupOf(row: Row): string {
  if (isTransfer(row)) return 'transfer';
  return row.kind === 'deposit' || row.kind === 'withdrawal' ? row.kind : 'transaction';
}

export function spotBills(context: Context): readonly object[] {
  const { account, call, world } = context;
  const group = call.parameters.get('groupType');
  const rows = world.ledger
    .rows(account.id)
    .filter((row) => row.wallet === 'spot' && (group === null || groupOf(row) === group));
  return pageOf(context, rows).map((row) => ({
    billId: String(row.number),
    coin: row.currency,
    groupType: groupOf(row),
    businessType: isTransfer(row) ? (row.amount < 0n ? 'transfer_out' : 'transfer_in') : row.kind,
    size: formatAmount(row.amount),
    balance: formatAmount(row.balance),
    fees: '0',
    cTime: String(row.timeMs),
  }));
}

function businessOf(row: Row): string {
  if (row.kind === 'funding') return 'contract_settle_fee';
  if (isTransfer(row)) return row.amount < 0n ? 'trans_to_exchange' : 'trans_from_exchange';
  return row.kind === 'fee' ? 'open_long' : 'close_long';
}

export function futuresBills(context: Context): object {
  const { account, call, world } = context;
  const product = productIn(context);
  const wallet = product === 'COIN-FUTURES' ? 'inverse' : 'linear';
  const type = call.parameters.get('businessType');
  const isServed = product === 'COIN-FUTURES' || product === 'USDT-FUTURES';
  const rows = world.ledger
    .rows(account.id)
    .filter(
      (row) => isServed && row.wallet === wallet && (type === null || businessOf(row) === type),
    );
  const page = pageOf(context, rows, 30);
  const bills = page.map((row) => {
    const fill = account.fills.find(({ number }) => number === row.reference);
    const funding = account.fundings.find(({ number }) => number === row.reference);
    return {
      billId: String(row.number),
      symbol: fill?.market.id ?? funding?.market.id ?? '',
      amount: formatAmount(row.amount),
      fee: '0',
      feeByCoupon: '',
      businessType: businessOf(row),
      coin: row.currency,
      cTime: String(row.timeMs),
    };
  });
  return { bills, endId: String(page.at(-1)?.number ?? '') };
}
