// An account's history at Coinbase: fills and orders (v3, by cursor) and, in each currency's own account, deposits,
// withdrawals and transactions (v2, by the last id seen). The newest first.

import { formatAmount } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { newestFirst, pageOf } from '../../pages.ts';
import { hashOf, uuidOf } from '../../world.ts';
import type { Fill, Flow } from '../../world.ts';
import { coinbaseRefusal } from './access.ts';
import type { Context } from './context.ts';

const FIAT: ReadonlySet<string> = new Set(['USD', 'EUR']);

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Without a fraction, as v2 has it. */
function isoSeconds(timeMs: number): string {
  return `${iso(timeMs).slice(0, 19)}Z`;
}

export function accountId(uid: string, currency: string): string {
  return uuidOf(`coinbase-account-${uid}`, currency);
}

function timeOf(context: Context, name: string, standard: number): number {
  const text = context.call.parameters.get(name);
  if (text === null || text === '') return standard;
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) {
    throw coinbaseRefusal(context.call, 400, 'invalid_argument', `${name} is invalid`);
  }
  return timeMs;
}

export function limitOf(context: Context, standard: number, maximum: number): number {
  const text = context.call.parameters.get('limit') ?? String(standard);
  if (!/^[1-9]\d{0,6}$/u.test(text)) {
    throw coinbaseRefusal(context.call, 400, 'invalid_argument', 'limit is invalid');
  }
  return Math.min(Number(text), maximum);
}

function fill(record: Fill, uid: string): object {
  return {
    entry_id: hashOf('coinbase-entry', record.number),
    trade_id: uuidOf('coinbase-trade', record.number),
    order_id: uuidOf('coinbase-order', record.order),
    trade_time: iso(record.timeMs),
    trade_type: 'FILL',
    price: formatAmount(record.price),
    size: formatAmount(record.amount),
    commission: formatAmount(record.fee),
    product_id: record.market.id,
    sequence_timestamp: iso(record.timeMs),
    liquidity_indicator: record.isMaker ? 'MAKER' : 'TAKER',
    size_in_quote: false,
    user_id: uuidOf('coinbase-user', uid),
    side: record.side.toUpperCase(),
    retail_portfolio_id: uuidOf('coinbase-portfolio', uid),
  };
}

function productsOf(context: Context): readonly string[] {
  const { parameters } = context.call;
  return [...parameters.getAll('product_id'), ...parameters.getAll('product_ids')];
}

/** From `start_sequence_timestamp` inclusive to `end_sequence_timestamp` exclusive. */
export function fills(context: Context): object {
  const { account, call } = context;
  const products = productsOf(context);
  const orders = call.parameters.getAll('order_ids');
  const startMs = timeOf(context, 'start_sequence_timestamp', 0);
  const endMs = timeOf(context, 'end_sequence_timestamp', Number.MAX_SAFE_INTEGER);
  const found = account.fills.filter(
    ({ market, timeMs, order }) =>
      (products.length === 0 || products.includes(market.id)) &&
      (orders.length === 0 || orders.includes(uuidOf('coinbase-order', order))) &&
      timeMs >= startMs &&
      timeMs < endMs,
  );
  const page = pageOf(found, limitOf(context, 100, 250), call.parameters.get('cursor'));
  if (page === null) throw coinbaseRefusal(call, 400, 'invalid_argument', 'cursor is invalid');
  return { fills: page.records.map((one) => fill(one, account.uid)), cursor: page.cursor };
}

function order(parts: readonly Fill[], uid: string): object | null {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) return null;
  const total = (of: (part: Fill) => Amount): string =>
    formatAmount(parts.reduce((sum, part) => sum + of(part), 0n));
  const size = total(({ amount }) => amount);
  const price = formatAmount(first.price);
  return {
    order_id: uuidOf('coinbase-order', first.order),
    product_id: first.market.id,
    user_id: uuidOf('coinbase-user', uid),
    order_configuration: {
      limit_limit_gtc: { base_size: size, limit_price: price, post_only: false },
    },
    side: first.side.toUpperCase(),
    client_order_id: first.clientOrderId ?? uuidOf('coinbase-client', first.order),
    status: 'FILLED',
    time_in_force: 'GOOD_UNTIL_CANCELLED',
    created_time: iso(first.timeMs),
    completion_percentage: '100.00',
    filled_size: size,
    average_filled_price: price,
    fee: '',
    number_of_fills: String(parts.length),
    filled_value: total(({ cost }) => cost),
    pending_cancel: false,
    size_in_quote: false,
    total_fees: total(({ fee }) => fee),
    size_inclusive_of_fees: false,
    total_value_after_fees: total(({ cost, fee }) => cost + fee),
    trigger_status: 'INVALID_ORDER_TYPE',
    order_type: 'LIMIT',
    reject_reason: 'REJECT_REASON_UNSPECIFIED',
    settled: true,
    product_type: 'SPOT',
    last_fill_time: iso(last.timeMs),
  };
}

export function orders(context: Context): object {
  const { account, call } = context;
  const products = productsOf(context);
  const startMs = timeOf(context, 'start_date', 0);
  const endMs = timeOf(context, 'end_date', Number.MAX_SAFE_INTEGER);
  const groups = Map.groupBy(account.fills, (one) => one.order);
  const found = [...groups]
    .map(([number, parts]) => ({ number, timeMs: parts[0]?.timeMs ?? 0, parts }))
    .filter(({ parts, timeMs }) => {
      const id = parts[0]?.market.id ?? '';
      return (
        (products.length === 0 || products.includes(id)) && timeMs >= startMs && timeMs < endMs
      );
    });
  const page = pageOf(found, limitOf(context, 100, 1000), call.parameters.get('cursor'));
  if (page === null) throw coinbaseRefusal(call, 400, 'invalid_argument', 'cursor is invalid');
  return {
    orders: page.records.map(({ parts }) => order(parts, account.uid)),
    sequence: '0',
    has_next: page.cursor !== '',
    cursor: page.cursor,
  };
}

export function oneOrder(context: Context, id: string): object {
  const parts = context.account.fills.filter((one) => uuidOf('coinbase-order', one.order) === id);
  const found = order(parts, context.account.uid);
  if (found === null) throw coinbaseRefusal(context.call, 404, 'not_found', 'order not found');
  return { order: found };
}

interface Listed {
  readonly timeMs: number;
  readonly number: number;
  readonly id: string;
}

/** v2: `starting_after` is the last id of the page before. */
function v2Page<T extends Listed>(
  context: Context,
  records: readonly T[],
  write: (record: T) => object,
): object {
  const { call } = context;
  const limit = limitOf(context, 25, 100);
  const after = call.parameters.get('starting_after');
  const sorted = newestFirst(records);
  const from = after === null ? 0 : sorted.findIndex(({ id }) => id === after) + 1;
  if (after !== null && from === 0) {
    throw coinbaseRefusal(call, 400, 'validation_error', 'starting_after is invalid');
  }
  const page = sorted.slice(from, from + limit);
  const next = from + limit < sorted.length ? (page.at(-1)?.id ?? null) : null;
  const uri = next === null ? null : `${call.path}?limit=${String(limit)}&starting_after=${next}`;
  return {
    pagination: {
      ending_before: null,
      starting_after: after,
      previous_ending_before: null,
      next_starting_after: next,
      limit,
      order: 'desc',
      previous_uri: null,
      next_uri: uri,
    },
    data: page.map(write),
  };
}

function money(amount: Amount, currency: string): object {
  return { amount: formatAmount(amount), currency };
}

function fiatFlow(flow: Flow, path: string): object {
  const status = { pending: 'created', ok: 'completed', failed: 'canceled' } as const;
  const { currency, amount, fee } = flow;
  const id = uuidOf(`coinbase-${flow.type}`, flow.number);
  const total = flow.type === 'withdrawal' ? amount + fee : amount - fee;
  return {
    id,
    status: status[flow.status],
    payment_method: { id: uuidOf('coinbase-bank', 1), resource: 'payment_method' },
    transaction: { id: uuidOf('coinbase-tx', flow.number), resource: 'transaction' },
    user_reference: 'SIMULATED',
    created_at: isoSeconds(flow.timeMs),
    updated_at: isoSeconds(flow.timeMs),
    resource: flow.type,
    resource_path: `${path}/${id}`,
    committed: flow.status === 'ok',
    payout_at: isoSeconds(flow.timeMs),
    instant: false,
    fee: money(fee, currency),
    amount: money(amount, currency),
    subtotal: money(total, currency),
  };
}

function currencyOf(context: Context, id: string): string {
  const { account, venue } = context;
  const names = [...venue.markets.values()].flatMap(({ base, quote }) => [base, quote]);
  const currency = names.find((name) => accountId(account.uid, name) === id || name === id);
  if (currency === undefined) throw coinbaseRefusal(context.call, 404, 'not_found', 'Not found');
  return currency;
}

/** Money of banks only; coins come and go as transactions of type `send`. */
export function fiatFlows(context: Context, id: string, type: 'deposit' | 'withdrawal'): object {
  const currency = currencyOf(context, id);
  const found = context.account.flows.filter(
    (flow) => flow.type === type && flow.currency === currency && FIAT.has(currency),
  );
  const listed = found.map((flow) => ({
    timeMs: flow.timeMs,
    number: flow.number,
    id: uuidOf(`coinbase-${type}`, flow.number),
    flow,
  }));
  return v2Page(context, listed, ({ flow }) => fiatFlow(flow, context.call.path));
}

const TYPES: Readonly<Record<string, string>> = {
  trade: 'advanced_trade_fill',
  fee: 'advanced_trade_fill',
  transfer: 'transfer',
  interest: 'interest',
  dividend: 'staking_reward',
  rebate: 'incentives_rewards_payout',
  other: 'other',
};

function typeOf(kind: string, currency: string): string {
  if (kind !== 'deposit' && kind !== 'withdrawal') return TYPES[kind] ?? 'other';
  return FIAT.has(currency) ? `fiat_${kind}` : 'send';
}

/** Everything that moved the currency's balance; a fee is in what it was paid for. */
export function transactions(context: Context, id: string): object {
  const { account, world } = context;
  const currency = currencyOf(context, id);
  const fills = new Map(account.fills.map((one) => [one.number, one]));
  const flows = new Map(account.flows.map((one) => [one.number, one]));
  const rows = world.ledger.rows(account.id).filter((row) => row.currency === currency);
  const groups = [...Map.groupBy(rows, ({ reference }) => reference).values()];
  const listed = groups.flatMap((parts) =>
    parts.slice(0, 1).map((first) => ({
      timeMs: first.timeMs,
      number: first.number,
      id: uuidOf('coinbase-transaction', first.number),
      kind: first.kind,
      amount: parts.reduce((sum, part) => sum + part.amount, 0n),
      fill: fills.get(first.reference),
      flow: flows.get(first.reference),
    })),
  );
  return v2Page(context, listed, (one) => {
    const type = typeOf(one.kind, currency);
    return {
      id: one.id,
      type,
      status: 'completed',
      amount: money(one.amount, currency),
      native_amount: money(one.amount, 'USD'),
      description: null,
      created_at: isoSeconds(one.timeMs),
      updated_at: isoSeconds(one.timeMs),
      resource: 'transaction',
      resource_path: `${context.call.path}/${one.id}`,
      network:
        type === 'send' && one.flow !== undefined
          ? {
              status: 'confirmed',
              hash: hashOf(one.kind, one.flow.number),
              network_name: one.flow.network.toLowerCase(),
              transaction_fee: money(one.flow.fee, currency),
              transaction_amount: money(one.flow.amount, currency),
            }
          : undefined,
      advanced_trade_fill:
        one.fill === undefined
          ? undefined
          : {
              fill_price: formatAmount(one.fill.price),
              product_id: one.fill.market.id,
              order_id: uuidOf('coinbase-order', one.fill.order),
              commission: formatAmount(one.fill.fee),
              order_side: one.fill.side,
            },
    };
  });
}
