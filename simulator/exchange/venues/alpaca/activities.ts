// An account's activities at Alpaca: fills, cash, dividends, interest and fees in one history, the newest first,
// a hundred at most, paged by the last id seen.

import { formatAmount } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { newestFirst, oldestFirst } from '../../pages.ts';
import { uuidOf } from '../../world.ts';
import type { Fill, Flow } from '../../world.ts';
import type { Context } from './context.ts';
import { alpacaRefusal } from './context.ts';

const MAX_PAGE = 100;

interface Activity {
  readonly timeMs: number;
  readonly number: number;
  readonly id: string;
  readonly type: string;
  readonly body: object;
}

function stamp(timeMs: number): string {
  return new Date(timeMs).toISOString().replaceAll(/[-:TZ.]/gu, '');
}

function dateOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

function fillActivity(fill: Fill): Activity {
  const id = `${stamp(fill.timeMs)}::${uuidOf('alpaca-fill', fill.number)}`;
  return {
    timeMs: fill.timeMs,
    number: fill.number,
    id,
    type: 'FILL',
    body: {
      id,
      activity_type: 'FILL',
      transaction_time: new Date(fill.timeMs).toISOString(),
      type: 'fill',
      price: formatAmount(fill.price),
      qty: formatAmount(fill.amount),
      side: fill.side,
      symbol: fill.market.id,
      leaves_qty: '0',
      order_id: uuidOf('alpaca-order', fill.order),
      cum_qty: formatAmount(fill.amount),
      order_status: 'filled',
    },
  };
}

function cash(
  number: number,
  timeMs: number,
  type: string,
  amount: Amount,
  more: object,
): Activity {
  const id = `${stamp(timeMs).slice(0, 8)}000000000::${uuidOf(`alpaca-${type}`, number)}`;
  const body = {
    id,
    activity_type: type,
    date: dateOf(timeMs),
    net_amount: formatAmount(amount),
    description: '',
    status: 'executed',
    ...more,
  };
  return { timeMs, number, id, type, body };
}

/** Fees come as activities of their own: in coins as CFEE with a quantity, in dollars as FEE. */
function feeActivity(fill: Fill): readonly Activity[] {
  if (fill.fee === 0n) return [];
  const { number, timeMs, market, fee, feeCurrency, price } = fill;
  if (feeCurrency === 'USD') {
    return [cash(number, timeMs, 'FEE', -fee, { description: 'Transaction Fee' })];
  }
  const more = {
    symbol: `${market.base}${market.quote}`,
    qty: formatAmount(-fee),
    price: formatAmount(price),
    description: 'Coin Pair Transaction Fee (Non USD)',
  };
  return [cash(number, timeMs, 'CFEE', 0n, more)];
}

const TYPES: Readonly<Record<Flow['type'], string>> = {
  deposit: 'CSD',
  withdrawal: 'CSW',
  transfer: 'JNLC',
  interest: 'INT',
  dividend: 'DIV',
  fee: 'FEE',
  rebate: 'PTR',
  other: 'MISC',
};

function flowActivity(flow: Flow, isOut: boolean): Activity {
  const type = TYPES[flow.type];
  const signed = isOut ? -flow.amount : flow.amount;
  return cash(flow.number, flow.timeMs, type, signed - flow.fee, {});
}

function all({ account, world }: Context): readonly Activity[] {
  const outs = new Set(
    world.ledger
      .rows(account.id)
      .filter(({ kind, amount }) => kind === 'transfer' && amount < 0n)
      .map(({ reference }) => reference),
  );
  const flows = account.flows.filter(
    ({ status, currency }) => status === 'ok' && currency === 'USD',
  );
  return [
    ...account.fills.flatMap((fill) => [fillActivity(fill), ...feeActivity(fill)]),
    ...flows.map((flow) => flowActivity(flow, flow.type === 'withdrawal' || outs.has(flow.number))),
  ];
}

function timeIn({ call }: Context, name: string): number | null {
  const text = call.parameters.get(name);
  if (text === null) return null;
  const timeMs = Date.parse(text);
  if (Number.isNaN(timeMs)) throw alpacaRefusal(422, 42_210_000, `invalid ${name}`);
  return timeMs;
}

/** `type` from the path, or `activity_types` from the query. */
export function activities(context: Context, type: string | null): readonly object[] {
  const { parameters } = context.call;
  const listed = type ?? parameters.get('activity_types');
  const types = listed === null ? null : listed.split(',');
  const size = Number(parameters.get('page_size') ?? String(MAX_PAGE));
  if (!Number.isInteger(size) || size < 1 || size > MAX_PAGE) {
    throw alpacaRefusal(422, 42_210_000, 'page_size must be between 1 and 100');
  }
  const date = parameters.get('date');
  const category = parameters.get('category');
  const after = timeIn(context, 'after');
  const until = timeIn(context, 'until');
  const found = all(context).filter(
    (activity) =>
      (types === null || types.includes(activity.type)) &&
      (category === null || (category === 'trade_activity') === (activity.type === 'FILL')) &&
      (date === null || dateOf(activity.timeMs) === date) &&
      (after === null || activity.timeMs > after) &&
      (until === null || activity.timeMs <= until),
  );
  const sorted = parameters.get('direction') === 'asc' ? oldestFirst(found) : newestFirst(found);
  const token = parameters.get('page_token');
  const from = token === null ? 0 : sorted.findIndex(({ id }) => id === token) + 1;
  if (token !== null && from === 0) throw alpacaRefusal(422, 42_210_000, 'invalid page_token');
  return sorted.slice(from, from + size).map(({ body }) => body);
}
