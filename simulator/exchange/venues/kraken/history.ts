// An account's history at Kraken (spot): trades, ledger entries, orders, deposits and withdrawals. The newest
// first, fifty at a time by offset; times are seconds with a fraction.

import { formatPlaces } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { krakenAltName, krakenAsset } from '../../markets.ts';
import type { Market } from '../../markets.ts';
import { newestFirst } from '../../pages.ts';
import { hashOf } from '../../world.ts';
import type { Account, Fill, Flow, World } from '../../world.ts';
import { krakenRefusal } from './access.ts';
import type { Context } from './context.ts';

const PAGE = 50;

/** `TXXXXX-XXXXX-XXXXXX`: Kraken's ids of trades, orders and ledger entries. */
export function krakenId(first: string, what: string, number: number): string {
  const text = hashOf(`kraken-${what}`, number).toUpperCase();
  return `${first}${text.slice(0, 5)}-${text.slice(5, 10)}-${text.slice(10, 16)}`;
}

function eight(value: Amount): string {
  return formatPlaces(value, 8);
}

function ten(value: Amount): string {
  return formatPlaces(value, 10);
}

function seconds(timeMs: number): number {
  return timeMs / 1000;
}

interface Known {
  readonly timeMs: number;
  readonly number: number;
  readonly id: string;
}

/** A number is a time, anything else an id, after which and up to which. */
function boundOf(context: Context, name: string, records: readonly Known[]): number | null {
  const text = context.call.parameters.get(name);
  if (text === null || text === '') return null;
  if (/^\d+(?:\.\d+)?$/u.test(text)) return Math.round(Number(text) * 1000);
  const record = records.find(({ id }) => id === text);
  if (record === undefined) throw krakenRefusal(`EGeneral:Invalid arguments:${name}`);
  return record.timeMs;
}

/** `start` is exclusive, `end` inclusive. Answers one page and how many there are. */
function pageOf<T extends Known>(context: Context, records: readonly T[]): [readonly T[], number] {
  const start = boundOf(context, 'start', records) ?? -1;
  const end = boundOf(context, 'end', records) ?? Number.MAX_SAFE_INTEGER;
  const offset = context.call.parameters.get('ofs') ?? '0';
  if (!/^\d{1,9}$/u.test(offset)) throw krakenRefusal('EGeneral:Invalid arguments:ofs');
  const found = newestFirst(records).filter(({ timeMs }) => timeMs > start && timeMs <= end);
  return [found.slice(Number(offset), Number(offset) + PAGE), found.length];
}

function named(fills: readonly Fill[]): readonly (Known & { readonly fill: Fill })[] {
  return fills.map((fill) => ({
    timeMs: fill.timeMs,
    number: fill.number,
    id: krakenId('T', 'trade', fill.number),
    fill,
  }));
}

function writtenTrade(fill: Fill): object {
  return {
    ordertxid: krakenId('O', 'order', fill.order),
    postxid: krakenId('T', 'position', fill.order),
    pair: fill.market.id,
    aclass: 'forex',
    time: seconds(fill.timeMs),
    type: fill.side,
    ordertype: 'limit',
    price: eight(fill.price),
    cost: eight(fill.cost),
    fee: eight(fill.fee),
    vol: eight(fill.amount),
    margin: '0.00000',
    leverage: '0',
    misc: '',
    trade_id: fill.number,
    maker: fill.isMaker,
  };
}

export function tradesHistory(context: Context): object {
  const [page, count] = pageOf(context, named(context.account.fills));
  return {
    trades: Object.fromEntries(page.map(({ id, fill }) => [id, writtenTrade(fill)])),
    count,
  };
}

export function queryTrades(context: Context): object {
  const ids = new Set((context.call.parameters.get('txid') ?? '').split(','));
  const found = named(context.account.fills).filter(({ id }) => ids.has(id));
  if (found.length === 0) throw krakenRefusal('EQuery:Unknown transaction');
  return Object.fromEntries(found.map(({ id, fill }) => [id, writtenTrade(fill)]));
}

interface LedgerRecord extends Known {
  readonly refid: string;
  readonly type: string;
  readonly currency: string;
  readonly amount: Amount;
  readonly fee: Amount;
  readonly balance: Amount;
}

const TYPES: Readonly<Record<string, string>> = {
  trade: 'trade',
  fee: 'trade',
  deposit: 'deposit',
  withdrawal: 'withdrawal',
  transfer: 'transfer',
  interest: 'staking',
  dividend: 'dividend',
  rebate: 'credit',
  other: 'adjustment',
};

/** Kraken puts a fee into the entry of what it was paid for. */
function ledgerOf(world: World, account: Account): readonly LedgerRecord[] {
  const fills = new Set(account.fills.map(({ number }) => number));
  const rows = world.ledger.rows(account.id).filter(({ wallet }) => wallet === 'spot');
  const groups = Map.groupBy(rows, ({ reference, currency }) => `${String(reference)} ${currency}`);
  return [...groups.values()].flatMap((parts) => {
    const [first] = parts;
    const last = parts.at(-1);
    if (first === undefined || last === undefined) return [];
    const isFeeAlone = first.kind === 'fee' && fills.has(first.reference);
    const others = parts.slice(isFeeAlone ? 0 : 1);
    const record: LedgerRecord = {
      timeMs: first.timeMs,
      number: first.number,
      id: krakenId('L', 'ledger', first.number),
      refid: fills.has(first.reference)
        ? krakenId('T', 'trade', first.reference)
        : krakenId('Q', 'flow', first.reference),
      type: TYPES[first.kind] ?? 'adjustment',
      currency: first.currency,
      amount: isFeeAlone ? 0n : first.amount,
      fee: others.reduce((sum, { amount }) => sum - amount, 0n),
      balance: last.balance,
    };
    return [record];
  });
}

function writtenEntry(record: LedgerRecord): object {
  return {
    aclass: 'currency',
    amount: ten(record.amount),
    asset: krakenAsset(record.currency),
    balance: ten(record.balance),
    fee: ten(record.fee),
    refid: record.refid,
    time: seconds(record.timeMs),
    type: record.type,
    subtype: '',
  };
}

export function ledgers(context: Context): object {
  const { account, call, world } = context;
  const type = call.parameters.get('type') ?? 'all';
  const asset = call.parameters.get('asset') ?? 'all';
  const assets = asset.split(',');
  const records = ledgerOf(world, account).filter(
    (record) =>
      (type === 'all' || record.type === type) &&
      (asset === 'all' || assets.includes(krakenAsset(record.currency))),
  );
  const [page, count] = pageOf(context, records);
  return { ledger: Object.fromEntries(page.map((one) => [one.id, writtenEntry(one)])), count };
}

function pairName({ base, quote }: Market): string {
  return krakenAltName(base, quote);
}

function writtenOrder(fills: readonly Fill[]): object | null {
  const [first] = fills;
  const last = fills.at(-1);
  if (first === undefined || last === undefined) return null;
  const total = (of: (fill: Fill) => Amount): Amount =>
    fills.reduce((sum, fill) => sum + of(fill), 0n);
  const volume = eight(total(({ amount }) => amount));
  const price = eight(first.price);
  const pair = pairName(first.market);
  return {
    refid: null,
    userref: null,
    cl_ord_id: first.clientOrderId ?? undefined,
    status: 'closed',
    reason: null,
    opentm: seconds(first.timeMs),
    closetm: seconds(last.timeMs),
    starttm: 0,
    expiretm: 0,
    descr: {
      pair,
      aclass: 'forex',
      type: first.side,
      ordertype: 'limit',
      price,
      price2: '0',
      leverage: 'none',
      order: `${first.side} ${volume} ${pair} @ limit ${price}`,
      close: '',
    },
    vol: volume,
    vol_exec: volume,
    cost: eight(total(({ cost }) => cost)),
    fee: eight(total(({ fee }) => fee)),
    price,
    stopprice: '0.00000',
    limitprice: '0.00000',
    misc: '',
    oflags: 'fciq',
    trades: fills.map(({ number }) => krakenId('T', 'trade', number)),
  };
}

function ordersOf(account: Account): readonly (Known & { readonly fills: readonly Fill[] })[] {
  const groups = Map.groupBy(account.fills, ({ order }) => order);
  return [...groups].map(([number, fills]) => ({
    timeMs: fills.at(-1)?.timeMs ?? 0,
    number,
    id: krakenId('O', 'order', number),
    fills,
  }));
}

export function closedOrders(context: Context): object {
  const [page, count] = pageOf(context, ordersOf(context.account));
  return {
    closed: Object.fromEntries(page.map((one) => [one.id, writtenOrder(one.fills)])),
    count,
  };
}

export function queryOrders(context: Context): object {
  const ids = new Set((context.call.parameters.get('txid') ?? '').split(','));
  const found = ordersOf(context.account).filter(({ id }) => ids.has(id));
  if (found.length === 0) throw krakenRefusal('EOrder:Unknown order');
  return Object.fromEntries(found.map((one) => [one.id, writtenOrder(one.fills)]));
}

function writtenFlow(flow: Flow): object {
  const status = { pending: 'Pending', ok: 'Success', failed: 'Failure' } as const;
  const isOut = flow.type === 'withdrawal';
  return {
    method: flow.network,
    aclass: 'currency',
    asset: krakenAsset(flow.currency),
    refid: krakenId('Q', 'flow', flow.number),
    txid: flow.transaction,
    info: `bc1q${hashOf('address', flow.number).slice(0, 38)}`,
    amount: ten(flow.amount),
    fee: ten(flow.fee),
    time: Math.floor(flow.timeMs / 1000),
    status: status[flow.status],
    key: isOut ? 'my wallet' : undefined,
    network: flow.network,
  };
}

/** A plain list, or with `cursor` a page of `limit` and the next cursor. */
export function status(context: Context, type: 'deposit' | 'withdrawal'): unknown {
  const { parameters } = context.call;
  const asset = parameters.get('asset');
  const startS = Number(parameters.get('start') ?? '0');
  const endS = Number(parameters.get('end') ?? Number.MAX_SAFE_INTEGER);
  const flows = newestFirst(context.account.flows).filter(
    (flow) =>
      flow.type === type &&
      (asset === null || krakenAsset(flow.currency) === asset || flow.currency === asset) &&
      flow.timeMs / 1000 >= startS &&
      flow.timeMs / 1000 <= endS,
  );
  const limit = Number(parameters.get('limit') ?? '500');
  const cursor = parameters.get('cursor');
  if (cursor === null || cursor === 'false') return flows.slice(0, limit).map(writtenFlow);
  const from = cursor === 'true' ? 0 : flows.findIndex(({ number }) => String(number) === cursor);
  if (from < 0) throw krakenRefusal('EGeneral:Invalid arguments:cursor');
  const page = flows.slice(from, from + limit).map(writtenFlow);
  const next = flows[from + limit];
  const list = type === 'deposit' ? 'deposits' : 'withdrawals';
  return { [list]: page, ...(next === undefined ? {} : { next_cursor: String(next.number) }) };
}
