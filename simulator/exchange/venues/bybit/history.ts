// An account's history at Bybit: executions (trades and funding), orders, the transaction log, deposits,
// withdrawals and transfers. The newest first, in windows and pages as v5 has them.

import { formatAmount } from '../../amount.ts';
import type { Row } from '../../ledger.ts';
import type { Market } from '../../markets.ts';
import { pageOf, within } from '../../pages.ts';
import type { Kept } from '../../pages.ts';
import { hashOf, uuidOf } from '../../world.ts';
import type { Fill, Flow, Funding } from '../../world.ts';
import { bybitRefusal } from './access.ts';
import type { Context } from './context.ts';
import { category, integer, marketIn } from './context.ts';

const DAY_MS = 86_400_000;

interface PageRule {
  readonly days: number;
  readonly limit: number;
  readonly maximum: number;
  /** What the list is called in the answer. */
  readonly list: 'list' | 'rows';
}

const EXECUTIONS: PageRule = { days: 7, limit: 50, maximum: 100, list: 'list' };
const LOG: PageRule = { days: 7, limit: 20, maximum: 50, list: 'list' };
const TRANSFERS: PageRule = { days: 7, limit: 20, maximum: 50, list: 'list' };
const CAPITAL: PageRule = { days: 30, limit: 50, maximum: 50, list: 'rows' };

function answer<T extends Kept>(
  context: Context,
  rule: PageRule,
  records: readonly T[],
  write: (record: T) => object,
): object {
  const { call } = context;
  const spanMs = rule.days * DAY_MS;
  const start = integer(context, 'startTime');
  const end = integer(context, 'endTime');
  const startMs = start ?? (end ?? call.nowMs) - spanMs;
  const endMs = end ?? (start === null ? call.nowMs : startMs + spanMs);
  if (endMs - startMs > spanMs || endMs < startMs) {
    const text = `The time range between startTime and endTime cannot exceed ${String(rule.days)} days`;
    throw bybitRefusal(call, 10_001, text);
  }
  const limit = integer(context, 'limit') ?? rule.limit;
  if (limit < 1) throw bybitRefusal(call, 10_001, 'limit params error');
  const found = within(records, { startMs, endMs });
  const page = pageOf(found, Math.min(limit, rule.maximum), call.parameters.get('cursor'));
  if (page === null) throw bybitRefusal(call, 10_001, 'cursor params error');
  return { nextPageCursor: page.cursor, [rule.list]: page.records.map(write) };
}

function execution(fill: Fill): object {
  return {
    symbol: fill.market.id,
    orderType: 'Limit',
    underlyingPrice: '',
    orderLinkId: fill.clientOrderId ?? '',
    side: fill.side === 'buy' ? 'Buy' : 'Sell',
    indexPrice: '',
    orderId: uuidOf('bybit-order', fill.order),
    stopOrderType: 'UNKNOWN',
    leavesQty: '0',
    execTime: String(fill.timeMs),
    feeCurrency: fill.market.settle === null ? fill.feeCurrency : '',
    feeCoin: fill.feeCurrency,
    isMaker: fill.isMaker,
    execFee: formatAmount(fill.fee),
    feeRate: fill.market.settle === null ? '0.001' : '0.0005',
    execId: uuidOf('bybit-exec', fill.number),
    tradeIv: '',
    blockTradeId: '',
    markPrice: formatAmount(fill.price),
    execPrice: formatAmount(fill.price),
    markIv: '',
    orderQty: formatAmount(fill.amount),
    orderPrice: formatAmount(fill.price),
    execValue: formatAmount(fill.cost),
    execType: 'Trade',
    execQty: formatAmount(fill.amount),
    closedSize: '',
    execPnl: formatAmount(fill.realized),
    seq: fill.number,
  };
}

/** `execFee` is what was paid: negative where funding was received. */
function fundingExecution(funding: Funding): object {
  return {
    symbol: funding.market.id,
    orderType: 'UNKNOWN',
    orderLinkId: '',
    side: 'Buy',
    orderId: uuidOf('bybit-funding-order', funding.number),
    stopOrderType: 'UNKNOWN',
    leavesQty: '0',
    execTime: String(funding.timeMs),
    isMaker: false,
    execFee: formatAmount(-funding.amount),
    feeRate: '0.0001',
    execId: uuidOf('bybit-funding', funding.number),
    markPrice: '0',
    execPrice: '0',
    execValue: '0',
    execType: 'Funding',
    execQty: '0',
    seq: funding.number,
  };
}

function isAbout(context: Context, market: Market): boolean {
  const id = context.call.parameters.get('symbol');
  return market.segment === category(context) && (id === null || market.id === id);
}

/** Of all kinds where `execType` names none. */
export function executions(context: Context): object {
  const { account, call } = context;
  const type = call.parameters.get('execType');
  const asked = call.parameters.get('symbol');
  if (asked !== null) marketIn(context, asked);
  const fills = account.fills.filter(({ market }) => isAbout(context, market));
  const fundings = account.fundings.filter(({ market }) => isAbout(context, market));
  const records = [
    ...(type === null || type === 'Trade' ? fills : []),
    ...(type === null || type === 'Funding' ? fundings : []),
  ];
  const answered = answer(context, EXECUTIONS, records, (record) =>
    'side' in record ? execution(record) : fundingExecution(record),
  );
  return { category: category(context), ...answered };
}

export function orders(context: Context): object {
  const fills = context.account.fills.filter(({ market }) => isAbout(context, market));
  const firsts = [...Map.groupBy(fills, ({ order }) => order).values()].flatMap((parts) =>
    parts.slice(0, 1),
  );
  const answered = answer(context, { ...EXECUTIONS, limit: 20, maximum: 50 }, firsts, (fill) => ({
    orderId: uuidOf('bybit-order', fill.order),
    orderLinkId: fill.clientOrderId ?? '',
    symbol: fill.market.id,
    price: formatAmount(fill.price),
    qty: formatAmount(fill.amount),
    side: fill.side === 'buy' ? 'Buy' : 'Sell',
    orderStatus: 'Filled',
    avgPrice: formatAmount(fill.price),
    leavesQty: '0',
    cumExecQty: formatAmount(fill.amount),
    cumExecValue: formatAmount(fill.cost),
    cumExecFee: formatAmount(fill.fee),
    timeInForce: 'GTC',
    orderType: 'Limit',
    createdTime: String(fill.timeMs),
    updatedTime: String(fill.timeMs),
  }));
  return { category: category(context), ...answered };
}

const LOG_TYPES: Readonly<Record<string, string>> = {
  trade: 'TRADE',
  pnl: 'TRADE',
  fee: 'TRADE',
  funding: 'SETTLEMENT',
  interest: 'INTEREST',
  other: 'BONUS',
  rebate: 'FEE_REFUND',
  dividend: 'AIRDROP',
};

export function transactionLog(context: Context): object {
  const { account, call, world } = context;
  const currency = call.parameters.get('currency');
  const wanted = call.parameters.get('type');
  const fills = new Map(account.fills.map((fill) => [fill.number, fill]));
  const rows = world.ledger
    .rows(account.id)
    .filter((row) => row.wallet === 'trading' && (currency === null || row.currency === currency))
    .filter((row) => wanted === null || typeOf(row) === wanted);
  return answer(context, LOG, rows, (row) => {
    const fill = fills.get(row.reference);
    const isFee = row.kind === 'fee';
    return {
      id: `${String(row.number)}_${row.currency}`,
      symbol: fill?.market.id ?? '',
      category: fill?.market.segment ?? '',
      side: fill === undefined ? 'None' : fill.side === 'buy' ? 'Buy' : 'Sell',
      transactionTime: String(row.timeMs),
      type: typeOf(row),
      qty: fill === undefined ? '0' : formatAmount(fill.amount),
      size: '0',
      currency: row.currency,
      tradePrice: fill === undefined ? '' : formatAmount(fill.price),
      funding: row.kind === 'funding' ? formatAmount(row.amount) : '',
      fee: isFee ? formatAmount(-row.amount) : '0',
      cashFlow: isFee ? '0' : formatAmount(row.amount),
      change: formatAmount(row.amount),
      cashBalance: formatAmount(row.balance),
      feeRate: '0',
      tradeId: fill === undefined ? '' : uuidOf('bybit-exec', fill.number),
      orderId: fill === undefined ? '' : uuidOf('bybit-order', fill.order),
      orderLinkId: fill?.clientOrderId ?? '',
    };
  });
}

function typeOf({ kind, amount }: Row): string {
  return LOG_TYPES[kind] ?? (amount < 0n ? 'TRANSFER_OUT' : 'TRANSFER_IN');
}

function flowsOf(context: Context, type: Flow['type']): readonly Flow[] {
  const coin = context.call.parameters.get('coin');
  return context.account.flows.filter(
    (flow) => flow.type === type && (coin === null || flow.currency === coin),
  );
}

export function deposits(context: Context): object {
  const status = { pending: 1, ok: 3, failed: 4 } as const;
  return answer(context, CAPITAL, flowsOf(context, 'deposit'), (flow) => ({
    coin: flow.currency,
    chain: flow.network,
    amount: formatAmount(flow.amount),
    txID: flow.transaction,
    status: status[flow.status],
    toAddress: `0x${hashOf('address', context.account.uid).slice(0, 40)}`,
    tag: '',
    depositFee: '',
    successAt: String(flow.timeMs),
    confirmations: '10',
    txIndex: '0',
    blockHash: hashOf('block', flow.number),
    batchReleaseLimit: '-1',
    depositType: '0',
    id: String(flow.number),
  }));
}

export function withdrawals(context: Context): object {
  const status = { pending: 'Pending', ok: 'success', failed: 'Fail' } as const;
  return answer(context, CAPITAL, flowsOf(context, 'withdrawal'), (flow) => ({
    coin: flow.currency,
    chain: flow.network,
    amount: formatAmount(flow.amount),
    txID: flow.transaction,
    status: status[flow.status],
    toAddress: `0x${hashOf('destination', flow.number).slice(0, 40)}`,
    tag: '',
    withdrawFee: formatAmount(flow.fee),
    createTime: String(flow.timeMs),
    updateTime: String(flow.timeMs),
    withdrawId: String(flow.number),
    withdrawType: 0,
  }));
}

function walletName(wallet: string | null): string {
  return wallet === 'funding' ? 'FUND' : 'UNIFIED';
}

export function transfers(context: Context): object {
  const own = flowsOf(context, 'transfer').filter(({ otherAccount }) => otherAccount === null);
  return answer(context, TRANSFERS, own, (flow) => ({
    transferId: `selfTransfer_${uuidOf('bybit-transfer', flow.number)}`,
    coin: flow.currency,
    amount: formatAmount(flow.amount),
    fromAccountType: walletName(flow.fromWallet),
    toAccountType: walletName(flow.toWallet),
    timestamp: String(flow.timeMs),
    status: 'SUCCESS',
  }));
}

/** Between main account and sub-accounts, told to both. */
export function universalTransfers(context: Context): object {
  const { account, world } = context;
  const shared = flowsOf(context, 'transfer').filter(({ otherAccount }) => otherAccount !== null);
  return answer(context, TRANSFERS, shared, (flow) => {
    const other = world.account(flow.otherAccount ?? account.id);
    const row = world.ledger
      .rows(account.id)
      .find(({ kind, reference }) => kind === 'transfer' && reference === flow.number);
    const isOut = row !== undefined && row.amount < 0n;
    return {
      transferId: uuidOf('bybit-transfer', flow.number),
      coin: flow.currency,
      amount: formatAmount(flow.amount),
      timestamp: String(flow.timeMs),
      status: 'SUCCESS',
      fromAccountType: walletName(flow.fromWallet),
      toAccountType: walletName(flow.toWallet),
      fromMemberId: isOut ? account.uid : other.uid,
      toMemberId: isOut ? other.uid : account.uid,
    };
  });
}
