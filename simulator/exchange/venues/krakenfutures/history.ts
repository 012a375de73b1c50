// An account's history at Kraken Futures: fills (a hundred at a time, without their fees), executions with fees by
// continuation token, and the account log, where each trade is a row of cash and a row of position.

import { formatAmount } from '../../amount.ts';
import type { Row } from '../../ledger.ts';
import { newestFirst, oldestFirst, pageOf } from '../../pages.ts';
import type { Kept } from '../../pages.ts';
import { jsonNumber } from '../../raw-json.ts';
import { uuidOf } from '../../world.ts';
import type { Fill } from '../../world.ts';
import { futuresRefusal } from './access.ts';
import type { Context } from './context.ts';

const FILLS = 100;
const MAX_LOGS = 500;
const MAX_EXECUTIONS = 1000;

export function executionId(number: number): string {
  return uuidOf('krakenfutures-execution', number);
}

function orderId(number: number): string {
  return uuidOf('krakenfutures-order', number);
}

export function currencyId(currency: string): string {
  return currency === 'BTC' ? 'xbt' : currency.toLowerCase();
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Those before `lastFillTime`, or the last ones. */
export function fills({ account, call }: Context): object {
  const last = call.parameters.get('lastFillTime');
  const beforeMs = last === null ? Number.MAX_SAFE_INTEGER : Date.parse(last);
  if (Number.isNaN(beforeMs)) throw futuresRefusal(call, 'invalidArgument: lastFillTime');
  const found = newestFirst(account.fills.filter(({ timeMs }) => timeMs < beforeMs));
  return {
    fills: found.slice(0, FILLS).map((fill) => ({
      fill_id: executionId(fill.number),
      order_id: orderId(fill.order),
      cliOrdId: fill.clientOrderId ?? undefined,
      symbol: fill.market.id,
      side: fill.side,
      size: jsonNumber(fill.amount),
      price: jsonNumber(fill.price),
      fillTime: iso(fill.timeMs),
      fillType: fill.isMaker ? 'maker' : 'taker',
    })),
  };
}

function execution(fill: Fill): object {
  const { timeMs } = fill;
  const amount = formatAmount(fill.amount);
  const price = formatAmount(fill.price);
  return {
    uid: uuidOf('krakenfutures-event', fill.number),
    timestamp: timeMs,
    event: {
      execution: {
        execution: {
          uid: executionId(fill.number),
          order: {
            uid: orderId(fill.order),
            accountUid: '',
            tradeable: fill.market.id,
            direction: fill.side === 'buy' ? 'Buy' : 'Sell',
            quantity: amount,
            filled: amount,
            timestamp: timeMs,
            limitPrice: price,
            orderType: 'Limit',
            clientId: fill.clientOrderId ?? '',
            reduceOnly: false,
            lastUpdateTimestamp: timeMs,
          },
          orderData: {
            positionSize: amount,
            fee: formatAmount(fill.fee),
            feeCurrency: fill.feeCurrency,
          },
          executionType: fill.isMaker ? 'maker' : 'taker',
          timestamp: timeMs,
          quantity: amount,
          price,
          markPrice: price,
          limitFilled: true,
          usdValue: formatAmount(fill.cost),
        },
        takerReducedQuantity: '',
      },
    },
  };
}

interface Span {
  readonly sinceMs: number;
  readonly beforeMs: number;
}

function spanOf({ call }: Context): Span {
  const { parameters } = call;
  return {
    sinceMs: Number(parameters.get('since') ?? '0'),
    beforeMs: Number(parameters.get('before') ?? Number.MAX_SAFE_INTEGER),
  };
}

function within<T extends Kept>(records: readonly T[], { sinceMs, beforeMs }: Span): readonly T[] {
  return records.filter(({ timeMs }) => timeMs >= sinceMs && timeMs <= beforeMs);
}

function countOf({ call }: Context, maximum: number): number {
  const count = Number(call.parameters.get('count') ?? String(maximum));
  if (!Number.isInteger(count) || count < 1) throw futuresRefusal(call, 'invalidArgument: count');
  return Math.min(count, maximum);
}

export function executions(context: Context): object {
  const { account, call } = context;
  const tradeable = call.parameters.get('tradeable');
  const found = within(account.fills, spanOf(context)).filter(
    ({ market }) => tradeable === null || market.id === tradeable,
  );
  const token = call.parameters.get('continuationToken');
  const page = pageOf(found, countOf(context, MAX_EXECUTIONS), token);
  if (page === null) throw futuresRefusal(call, 'invalidArgument: continuationToken');
  return {
    accountUid: uuidOf('krakenfutures-account', account.uid),
    len: page.records.length,
    elements: page.records.map(execution),
    ...(page.cursor === '' ? {} : { continuationToken: page.cursor }),
  };
}

const INFOS: Readonly<Record<string, string>> = {
  pnl: 'futures trade',
  fee: 'futures trade',
  funding: 'funding rate change',
  deposit: 'cross-exchange transfer',
  withdrawal: 'cross-exchange transfer',
  transfer: 'transfer',
  interest: 'interest payment',
};

interface LogRow extends Kept {
  readonly info: string;
  readonly value: object;
}

function cashRow(context: Context, parts: readonly Row[]): LogRow | null {
  const { account } = context;
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) return null;
  const fill = account.fills.find(({ number }) => number === first.reference);
  const funding = account.fundings.find(({ number }) => number === first.reference);
  const contract = fill?.market.id ?? funding?.market.id;
  const profit = parts.find(({ kind }) => kind === 'pnl');
  const info = INFOS[first.kind] ?? 'admin transfer';
  return {
    timeMs: first.timeMs,
    number: first.number * 2,
    info,
    value: {
      asset: currencyId(first.currency),
      contract: contract?.toLowerCase() ?? null,
      booking_uid: uuidOf('krakenfutures-booking', first.number),
      date: iso(first.timeMs),
      execution: fill === undefined ? null : executionId(fill.number),
      fee: fill === undefined ? null : jsonNumber(fill.fee),
      funding_rate: funding === undefined ? null : 0.0001,
      id: first.number * 2,
      info,
      margin_account: first.wallet === 'inverse' ? `f-${first.currency.toLowerCase()}:usd` : 'flex',
      mark_price: fill === undefined ? null : jsonNumber(fill.price),
      new_average_entry_price: null,
      old_average_entry_price: null,
      old_balance: jsonNumber(first.balance - first.amount),
      new_balance: jsonNumber(last.balance),
      realized_funding: funding === undefined ? null : jsonNumber(funding.amount),
      realized_pnl: profit === undefined ? null : jsonNumber(profit.amount),
      trade_price: fill === undefined ? null : jsonNumber(fill.price),
      liquidation_fee: null,
      collateral: null,
    },
  };
}

/** Ids rise with time: a position's row comes right after the cash's. */
function positionRows({ account, world }: Context): readonly LogRow[] {
  const held = new Map<string, bigint>();
  const rows = new Map<number, number>();
  for (const { reference, number } of world.ledger.rows(account.id)) {
    if (!rows.has(reference)) rows.set(reference, number);
  }
  return oldestFirst(account.fills).map((fill) => {
    const before = held.get(fill.market.id) ?? 0n;
    const after = before + (fill.side === 'buy' ? fill.amount : -fill.amount);
    held.set(fill.market.id, after);
    const id = (rows.get(fill.number) ?? 0) * 2 + 1;
    return {
      timeMs: fill.timeMs,
      number: id,
      info: 'futures trade',
      value: {
        asset: fill.market.id.toLowerCase(),
        contract: fill.market.id.toLowerCase(),
        booking_uid: uuidOf('krakenfutures-position', fill.number),
        date: iso(fill.timeMs),
        execution: executionId(fill.number),
        fee: null,
        funding_rate: null,
        id,
        info: 'futures trade',
        margin_account: fill.market.segment === 'inverse' ? 'f-margin' : 'flex',
        mark_price: jsonNumber(fill.price),
        old_balance: jsonNumber(before),
        new_balance: jsonNumber(after),
        realized_funding: null,
        realized_pnl: null,
        trade_price: jsonNumber(fill.price),
      },
    };
  });
}

/** `info` chooses a kind of entry; the newest first unless `sort` is `asc`. */
export function accountLog(context: Context): object {
  const { account, call, world } = context;
  const rows = world.ledger.rows(account.id);
  const groups = Map.groupBy(
    rows,
    ({ reference, currency, wallet }) => `${String(reference)} ${currency} ${wallet}`,
  );
  const cash = [...groups.values()].flatMap((parts) => cashRow(context, parts) ?? []);
  const info = call.parameters.get('info');
  const all = [...cash, ...positionRows(context)].filter(
    (row) => info === null || row.info === info,
  );
  const from = Number(call.parameters.get('from') ?? '0');
  const to = Number(call.parameters.get('to') ?? Number.MAX_SAFE_INTEGER);
  const found = within(all, spanOf(context)).filter(({ number }) => number >= from && number <= to);
  const sorted = call.parameters.get('sort') === 'asc' ? oldestFirst(found) : newestFirst(found);
  return {
    accountUid: uuidOf('krakenfutures-account', account.uid),
    logs: sorted.slice(0, countOf(context, MAX_LOGS)).map(({ value }) => value),
  };
}
