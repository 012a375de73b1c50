// An account's history at OKX: fills (three months), orders, bills, deposits and withdrawals. The newest first, a
// hundred at a time; `after` and `before` name bill ids, and times for deposits and withdrawals, both exclusive.

import { formatAmount } from '../../amount.ts';
import type { Row } from '../../ledger.ts';
import type { Market } from '../../markets.ts';
import { newestFirst } from '../../pages.ts';
import { hashOf } from '../../world.ts';
import type { Fill, Flow } from '../../world.ts';
import { okxRefusal } from './access.ts';
import type { Context } from './context.ts';

const DAY_MS = 86_400_000;
const KEPT_MS: number = 92 * DAY_MS;
const RECENT_MS: number = 7 * DAY_MS;
const MAX_PAGE = 100;

export function typeOf(market: Market): string {
  return market.settle === null ? 'SPOT' : 'SWAP';
}

function numberIn({ call }: Context, name: string): number | null {
  const text = call.parameters.get(name);
  if (text === null || text === '') return null;
  if (!/^\d{1,19}$/u.test(text)) throw okxRefusal(400, '51000', `Parameter ${name} error`);
  return Number(text);
}

function limitOf(context: Context): number {
  const limit = numberIn(context, 'limit') ?? MAX_PAGE;
  if (limit < 1) throw okxRefusal(400, '51000', 'Parameter limit error');
  return Math.min(limit, MAX_PAGE);
}

interface Billed {
  readonly timeMs: number;
  readonly number: number;
}

/** `begin` and `end` inclusive, `after` for older bills, `before` for newer ones. */
function pageOf<T extends Billed>(
  context: Context,
  records: readonly T[],
  keptMs: number,
): readonly T[] {
  const begin = numberIn(context, 'begin') ?? 0;
  const end = numberIn(context, 'end') ?? Number.MAX_SAFE_INTEGER;
  const after = numberIn(context, 'after') ?? Number.MAX_SAFE_INTEGER;
  const before = numberIn(context, 'before') ?? 0;
  const oldestMs = Math.max(begin, context.call.nowMs - keptMs);
  const found = records.filter(
    ({ timeMs, number }) =>
      timeMs >= oldestMs && timeMs <= end && number < after && number > before,
  );
  return newestFirst(found).slice(0, limitOf(context));
}

function isAsked({ call }: Context, market: Market): boolean {
  const type = call.parameters.get('instType');
  const id = call.parameters.get('instId');
  return (type === null || typeOf(market) === type) && (id === null || market.id === id);
}

/** A charged fee is negative there. */
function fill(record: Fill): object {
  return {
    instType: typeOf(record.market),
    instId: record.market.id,
    tradeId: String(record.number),
    ordId: String(record.order),
    clOrdId: record.clientOrderId ?? '',
    billId: String(record.number),
    subType: record.side === 'buy' ? '1' : '2',
    tag: '',
    fillPx: formatAmount(record.price),
    fillSz: formatAmount(record.amount),
    fillPnl: formatAmount(record.realized),
    side: record.side,
    posSide: 'net',
    execType: record.isMaker ? 'M' : 'T',
    feeCcy: record.feeCurrency,
    fee: formatAmount(-record.fee),
    feeRate: '-0.001',
    ts: String(record.timeMs),
    fillTime: String(record.timeMs),
  };
}

export function fills(context: Context, days: number): readonly object[] {
  const found = context.account.fills.filter(({ market }) => isAsked(context, market));
  return pageOf(context, found, days * DAY_MS).map(fill);
}

export function fillsHistory(context: Context): readonly object[] {
  if (context.call.parameters.get('instType') === null) {
    throw okxRefusal(400, '51000', 'Parameter instType error');
  }
  return fills(context, KEPT_MS / DAY_MS);
}

export function orders(context: Context): readonly object[] {
  const asked = context.account.fills.filter(({ market }) => isAsked(context, market));
  const groups = Map.groupBy(asked, ({ order }) => order);
  const listed = [...groups].map(([number, parts]) => ({
    number,
    timeMs: parts[0]?.timeMs ?? 0,
    parts,
  }));
  return pageOf(context, listed, KEPT_MS).flatMap(({ number, parts }) =>
    parts.slice(0, 1).map((first) => ({
      instType: typeOf(first.market),
      instId: first.market.id,
      ordId: String(number),
      clOrdId: first.clientOrderId ?? '',
      px: formatAmount(first.price),
      sz: formatAmount(parts.reduce((sum, { amount }) => sum + amount, 0n)),
      accFillSz: formatAmount(parts.reduce((sum, { amount }) => sum + amount, 0n)),
      avgPx: formatAmount(first.price),
      ordType: 'limit',
      side: first.side,
      posSide: 'net',
      tdMode: first.market.settle === null ? 'cash' : 'cross',
      state: 'filled',
      feeCcy: first.feeCurrency,
      fee: formatAmount(parts.reduce((sum, one) => sum - one.fee, 0n)),
      cTime: String(first.timeMs),
      uTime: String(first.timeMs),
      fillTime: String(first.timeMs),
    })),
  );
}

const TYPES: Readonly<Record<string, string>> = {
  transfer: '1',
  deposit: '1',
  withdrawal: '1',
  trade: '2',
  pnl: '2',
  fee: '2',
  interest: '7',
  funding: '8',
};

function subTypeOf({ kind, amount }: Row): string {
  if (kind === 'funding') return amount < 0n ? '173' : '174';
  if (kind === 'interest') return '9';
  if (TYPES[kind] === '1') return amount < 0n ? '12' : '11';
  return amount < 0n ? '2' : '1';
}

/** Of the trading account. 18 is trading, 6 is funding. */
function bill(context: Context, row: Row): object {
  const { account } = context;
  const record = account.fills.find(({ number }) => number === row.reference);
  const paid = account.fundings.find(({ number }) => number === row.reference);
  const market = record?.market ?? paid?.market;
  const isTransfer = TYPES[row.kind] === '1';
  return {
    billId: String(row.number),
    instId: market?.id ?? '',
    instType: market === undefined ? '' : typeOf(market),
    ccy: row.currency,
    balChg: formatAmount(row.amount),
    bal: formatAmount(row.balance),
    posBalChg: '0',
    posBal: '0',
    type: TYPES[row.kind] ?? '2',
    subType: subTypeOf(row),
    sz: record === undefined ? formatAmount(row.amount) : formatAmount(record.amount),
    px: record === undefined ? '' : formatAmount(record.price),
    fee: row.kind === 'fee' ? formatAmount(row.amount) : '0',
    pnl: row.kind === 'pnl' || row.kind === 'funding' ? formatAmount(row.amount) : '0',
    mgnMode: market?.settle === null || market === undefined ? '' : 'cross',
    ordId: record === undefined ? '' : String(record.order),
    tradeId: record === undefined ? '' : String(record.number),
    execType: '',
    from: isTransfer ? (row.amount < 0n ? '18' : '6') : '',
    to: isTransfer ? (row.amount < 0n ? '6' : '18') : '',
    notes: '',
    ts: String(row.timeMs),
  };
}

export function bills(context: Context, isArchive: boolean): readonly object[] {
  const { account, call, world } = context;
  const type = call.parameters.get('type');
  const currency = call.parameters.get('ccy');
  const rows = world.ledger
    .rows(account.id)
    .filter(
      (row) =>
        row.wallet === 'trading' &&
        (type === null || (TYPES[row.kind] ?? '2') === type) &&
        (currency === null || row.currency === currency),
    );
  const page = pageOf(context, rows, isArchive ? KEPT_MS : RECENT_MS);
  return page.map((row) => bill(context, row));
}

function flowsOf(context: Context, type: 'deposit' | 'withdrawal'): readonly Flow[] {
  const currency = context.call.parameters.get('ccy');
  const after = numberIn(context, 'after') ?? Number.MAX_SAFE_INTEGER;
  const before = numberIn(context, 'before') ?? 0;
  const found = context.account.flows.filter(
    (flow) =>
      flow.type === type &&
      (currency === null || flow.currency === currency) &&
      flow.timeMs < after &&
      flow.timeMs > before,
  );
  return newestFirst(found).slice(0, limitOf(context));
}

export function deposits(context: Context): readonly object[] {
  const state = { pending: '0', ok: '2', failed: '13' } as const;
  return flowsOf(context, 'deposit').map((flow) => ({
    actualDepBlkConfirm: '2',
    amt: formatAmount(flow.amount),
    areaCodeFrom: '',
    ccy: flow.currency,
    chain: `${flow.currency}-${flow.network}`,
    depId: String(flow.number),
    from: '',
    fromWdId: '',
    state: state[flow.status],
    to: `0x${hashOf('address', context.account.uid).slice(0, 40)}`,
    ts: String(flow.timeMs),
    txId: flow.transaction,
  }));
}

export function withdrawals(context: Context): readonly object[] {
  const state = { pending: '0', ok: '2', failed: '-1' } as const;
  return flowsOf(context, 'withdrawal').map((flow) => ({
    amt: formatAmount(flow.amount),
    ccy: flow.currency,
    chain: `${flow.currency}-${flow.network}`,
    clientId: '',
    fee: formatAmount(flow.fee),
    feeCcy: flow.currency,
    from: '',
    nonTradableAsset: false,
    note: '',
    state: state[flow.status],
    to: `0x${hashOf('destination', flow.number).slice(0, 40)}`,
    ts: String(flow.timeMs),
    txId: flow.transaction,
    wdId: String(flow.number),
  }));
}
