// Coinbase Advanced Trade. Fills of all products come by cursor; deposits and everything else that moves money is in a
// list per currency account, so accounts with another balance than at the last job are asked, all at the first.

import { coinbase } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, HOUR_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { needList } from '../common.ts';
import { CallError } from '../call-error.ts';
import type { Cursors } from '../cursors.ts';
import type { ExchangeOptions } from '../exchange.ts';
import { closeExchange, openExchange } from '../exchange.ts';
import { balanceOf, fillOf, flowOf, idAt, nameAt, sumOf } from '../normalise.ts';
import { convert } from '../paging.ts';
import type { Raw } from '../raw.ts';
import { boolAt, decimalAt, textAt } from '../raw.ts';
import type { Balance, ConnectorRecord, FlowStatus, FlowType } from '../records.ts';
import { isSound } from '../sound.ts';
import type { Run } from '../run.ts';
import type { HistorySource, MomentSource, Source } from '../source.ts';
import { changedAssets } from '../symbols.ts';

const FILLS = 250;
const ACCOUNTS = 250;
const TRANSACTIONS = 100;

interface Context {
  readonly exchange: coinbase;
  readonly run: Run;
  readonly cursors: Cursors;
  /** Accounts of the balances just read, by currency. */
  readonly accounts: Map<string, string>;
  changed: ReadonlySet<string>;
}

export const COINBASE: ExchangeOptions<coinbase> = {
  type: coinbase,
  options: { defaultType: 'spot', fetchMarkets: 'fetchMarketsV3' },
};

export async function openCoinbase(run: Run, cursors: Cursors): Promise<Adapter> {
  const exchange = await openExchange(run, COINBASE);
  const context: Context = { exchange, run, cursors, accounts: new Map(), changed: new Set() };
  return {
    check: async () => {
      const key: unknown = await exchange.v3PrivateGetBrokerageKeyPermissions();
      return {
        ...UNKNOWN_PERMISSIONS,
        read: boolAt(key, 'can_view'),
        trade: boolAt(key, 'can_trade'),
        withdraw: boolAt(key, 'can_transfer'),
        transfer: boolAt(key, 'can_transfer'),
        accountId: idAt(key, 'portfolio_uuid'),
      };
    },
    phases: [
      () => Promise.resolve([balances(context), fills(exchange)]),
      () => Promise.resolve(transactionSources(context)),
    ],
    close: () => {
      closeExchange(exchange);
    },
  };
}

function balances(context: Context): MomentSource {
  return {
    type: 'moment',
    what: 'balances',
    market: 'spot',
    read: async () => {
      const records: Balance[] = [];
      let malformed = 0;
      for (const raw of await readAccounts(context.exchange)) {
        const currency = nameAt(raw, 'currency');
        const free = decimalAt(raw, 'available_balance', 'value');
        const hold = decimalAt(raw, 'hold', 'value');
        const total = free === null || hold === null ? null : sumOf(free, hold);
        const balance = balanceOf('spot', currency, total, free);
        if (balance === 'malformed' || (balance !== null && !isSound(balance))) malformed++;
        else if (balance !== null) records.push(balance);
        const uuid = idAt(raw, 'uuid');
        if (currency !== null && uuid !== null) context.accounts.set(currency, uuid);
      }
      context.changed = changedAssets(context.cursors, records);
      return { records, malformed };
    },
  };
}

async function readAccounts(exchange: coinbase): Promise<readonly Raw[]> {
  const accounts: Raw[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < 50; pages++) {
    const request: Record<string, unknown> = { limit: ACCOUNTS };
    if (cursor !== null) request['cursor'] = cursor;
    const answer: unknown = await exchange.v3PrivateGetBrokerageAccounts(request);
    accounts.push(...needList(answer, 'accounts'));
    cursor = boolAt(answer, 'has_next') === true ? textAt(answer, 'cursor') : null;
    if (cursor === null) return accounts;
  }
  throw new CallError('bad_response');
}

function fills(exchange: coinbase): HistorySource {
  return {
    type: 'history',
    what: 'fills',
    market: 'spot',
    key: 'fills',
    windowMs: null,
    historyMs: null,
    overlapMs: FILL_OVERLAP_MS,
    page: async ({ fromMs, toMs }, token) => {
      const request: Record<string, unknown> = {
        limit: FILLS,
        start_sequence_timestamp: new Date(fromMs).toISOString(),
        end_sequence_timestamp: new Date(toMs).toISOString(),
      };
      if (token !== null) request['cursor'] = token;
      const answer: unknown = await exchange.v3PrivateGetBrokerageOrdersHistoricalFills(request);
      const raws = needList(answer, 'fills');
      const one = (raw: Raw): ConnectorRecord | null => {
        const unified = exchange.parseTrade({ ...raw });
        const id = idAt(raw, 'entry_id') ?? idAt(raw, 'trade_id');
        const inQuote = boolAt(raw, 'size_in_quote') === true;
        const cost = inQuote ? decimalAt(raw, 'size') : null;
        // ccxt would work the price out again, from an amount that it had to divide.
        const price = decimalAt(raw, 'price');
        return fillOf(exchange, { ...unified, id, price }, { cost, raw });
      };
      return { ...convert(raws, one), next: raws.length === 0 ? null : textAt(answer, 'cursor') };
    },
  };
}

/** Accounts of the assets that changed, and those asked before that have not caught up. */
function transactionSources(context: Context): readonly Source[] {
  const { accounts, changed, cursors, run } = context;
  const nowMs = run.nowMs();
  const sources: Source[] = [];
  for (const [currency, uuid] of accounts) {
    const known = cursors.sources.get(keyOf(uuid));
    // Where the balance did not move, the first poll behind each hour is enough; where there never was one, nothing moved.
    const isDue =
      known === undefined
        ? cursors.totals.has(currency)
        : known.doneToMs < nowMs - (nowMs % HOUR_MS);
    if (!changed.has(currency) && !isDue) continue;
    sources.push(transactions(context, currency, uuid));
  }
  return sources;
}

function keyOf(uuid: string): string {
  return `transactions/${uuid}`;
}

/** Newest first, until one is older than the span. */
function transactions({ exchange }: Context, currency: string, uuid: string): HistorySource {
  return {
    type: 'history',
    what: 'transfers',
    also: ['deposits', 'withdrawals', 'interest'],
    market: currency,
    key: keyOf(uuid),
    windowMs: null,
    historyMs: null,
    overlapMs: DAY_MS,
    page: async ({ fromMs }, token) => {
      const request: Record<string, unknown> = { account_id: uuid, limit: TRANSACTIONS };
      if (token !== null) request['starting_after'] = token;
      const answer: unknown = await exchange.v2PrivateGetAccountsAccountIdTransactions(request);
      const raws = needList(answer, 'data');
      const last = raws.at(-1);
      const lastMs = last === undefined ? null : timeOf(last);
      const more = raws.length >= TRANSACTIONS && lastMs !== null && lastMs >= fromMs;
      const next = more
        ? (textAt(answer, 'pagination', 'next_starting_after') ?? textAt(last, 'id'))
        : null;
      return { ...convert(raws, (raw) => transaction(raw)), next };
    },
  };
}

function timeOf(raw: Raw): number | null {
  const timeMs = Date.parse(textAt(raw, 'created_at') ?? '');
  return Number.isSafeInteger(timeMs) ? timeMs : null;
}

/** Fills are listed elsewhere. */
const OF_FILLS: ReadonlySet<string> = new Set(['advanced_trade_fill', 'derivatives_settlement']);
/** What came by a promotion (`incentives_rewards_payout`, `earn_payout`, `subscription_rebate`) is `other`. */
const TYPES: Readonly<Record<string, FlowType>> = {
  send: 'deposit',
  receive: 'deposit',
  fiat_deposit: 'deposit',
  fiat_withdrawal: 'withdrawal',
  exchange_deposit: 'transfer_in',
  exchange_withdrawal: 'transfer_in',
  pro_deposit: 'transfer_in',
  pro_withdrawal: 'transfer_in',
  vault_withdrawal: 'transfer_in',
  intx_deposit: 'transfer_in',
  intx_withdrawal: 'transfer_in',
  transfer: 'transfer_in',
  buy: 'conversion',
  sell: 'conversion',
  trade: 'conversion',
  wrap_asset: 'conversion',
  unwrap_asset: 'conversion',
  interest: 'interest',
  staking_reward: 'interest',
  inflation_reward: 'interest',
  subscription: 'fee',
};
const STATUSES: Readonly<Record<string, FlowStatus>> = {
  completed: 'ok',
  pending: 'pending',
  waiting_for_clearing: 'pending',
  waiting_for_signature: 'pending',
  failed: 'failed',
  expired: 'failed',
  canceled: 'canceled',
};

function transaction(raw: Raw): ConnectorRecord | readonly ConnectorRecord[] | null {
  const name = textAt(raw, 'type') ?? '';
  if (OF_FILLS.has(name)) return [];
  const amount = decimalAt(raw, 'amount', 'amount');
  const type = TYPES[name] ?? 'other';
  const out = amount?.startsWith('-') === true;
  return flowOf({
    id: idAt(raw, 'id'),
    type: type === 'deposit' && out ? 'withdrawal' : type,
    currency: nameAt(raw, 'amount', 'currency'),
    amount,
    timeMs: timeOf(raw),
    status: STATUSES[textAt(raw, 'status') ?? ''] ?? 'ok',
    networkId: idAt(raw, 'network', 'hash'),
  });
}
