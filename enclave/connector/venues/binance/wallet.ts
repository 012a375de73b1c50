// Binance's wallets: deposits and withdrawals, transfers between them, dividends, and what margin costs.

import { DAY_MS, FLOW_OVERLAP_MS, HOUR_MS } from '../../adapter.ts';
import type { binance } from '../../ccxt.ts';
import { negated, transactionOf, transferOf } from '../../normalise.ts';
import { convert, pageByTime } from '../../paging.ts';
import type { Raw } from '../../raw.ts';
import { decimalAt, listAt, textAt, timeAt } from '../../raw.ts';
import type { Flow } from '../../records.ts';
import type { HistorySource, Source } from '../../source.ts';
import type { Context } from './context.ts';
import { bounds, flow, LIMIT, listOf } from './context.ts';

/** Transfers between wallets have a type each; those that touch ours. */
const TRANSFER_TYPES: Readonly<Record<'spot' | 'margin', readonly string[]>> = {
  spot: ['UMFUTURE', 'CMFUTURE', 'MARGIN', 'FUNDING'].flatMap((other) => [
    `MAIN_${other}`,
    `${other}_MAIN`,
  ]),
  margin: ['MAIN', 'UMFUTURE', 'CMFUTURE', 'FUNDING'].flatMap((other) => [
    `MARGIN_${other}`,
    `${other}_MARGIN`,
  ]),
};

export function walletSources(context: Context): readonly Source[] {
  const wallet = context.kind === 'margin' ? 'margin' : 'spot';
  if (context.run.job.settings.environment === 'sandbox') {
    return (['deposits', 'withdrawals', 'transfers'] as const).map((what) => ({
      type: 'missing',
      what,
      market: wallet,
      reason: 'venue_lacks',
    }));
  }
  return [
    ...(wallet === 'spot' ? depositSources(context) : [interestSource(context)]),
    ...TRANSFER_TYPES[wallet].map((type) => transferSource(context, type, wallet)),
  ];
}

function depositSources({ exchange }: Context): readonly Source[] {
  const common = { type: 'history', market: 'spot', historyMs: null, overlapMs: DAY_MS } as const;
  return [
    {
      ...common,
      what: 'deposits',
      key: 'deposits',
      windowMs: 90 * DAY_MS - 1,
      page: async (span, token) => {
        const offset = Number(token ?? '0');
        const raws = await listOf(
          exchange.sapiGetCapitalDepositHisrec({ ...bounds(span), limit: LIMIT, offset }),
        );
        return {
          ...convert(raws, (raw) => transaction(exchange, raw, 'deposit')),
          next: more(raws, offset),
        };
      },
    },
    {
      ...common,
      what: 'withdrawals',
      key: 'withdrawals',
      windowMs: 90 * DAY_MS - 1,
      page: async (span, token) => {
        const offset = Number(token ?? '0');
        const raws = await listOf(
          exchange.sapiGetCapitalWithdrawHistory({ ...bounds(span), limit: LIMIT, offset }),
        );
        return {
          ...convert(raws, (raw) => transaction(exchange, raw, 'withdrawal')),
          next: more(raws, offset),
        };
      },
    },
    // Bank transfers, cards, Binance Pay and C2C have histories of their own with heavy weights.
    { type: 'missing', what: 'deposits', market: 'fiat', reason: 'not_supported' },
    { type: 'missing', what: 'withdrawals', market: 'fiat', reason: 'not_supported' },
    // Convert, and what becomes of small amounts.
    { type: 'missing', what: 'transfers', market: 'conversions', reason: 'not_supported' },
    {
      ...common,
      what: 'interest',
      key: 'dividends',
      windowMs: 180 * DAY_MS - 1,
      everyMs: HOUR_MS,
      page: (span, token) =>
        pageByTime(
          {
            limit: 500,
            shows: 'newest',
            ask: async (asked) =>
              listAt(
                await exchange.sapiGetAssetAssetDividend({ ...bounds(asked), limit: 500 }),
                'rows',
              ),
            timeOf: (raw) => timeAt(raw, 'divTime'),
            one: (raw) => dividend(exchange, raw),
          },
          span,
          token,
        ),
    },
  ];
}

/** Of what is held: income. Airdrops, referrals and what else is distributed come from outside. */
function dividend(exchange: binance, raw: Raw): Flow | null {
  const isIncome = /\b(?:interest|staking|savings|earn|locked|flexible|vault)\b/iu.test(
    textAt(raw, 'enInfo') ?? '',
  );
  const amount = decimalAt(raw, 'amount');
  const signed = textAt(raw, 'direction') === '-1' ? negated(amount) : amount;
  const names = { time: 'divTime', ids: ['id', 'tranId'] };
  return flow(exchange, { ...raw, amount: signed }, isIncome ? 'interest' : 'other', names);
}

function more(raws: readonly Raw[], offset: number): string | null {
  return raws.length >= LIMIT ? String(offset + raws.length) : null;
}

function transaction(exchange: binance, raw: Raw, type: 'deposit' | 'withdrawal'): Flow | null {
  return transactionOf(exchange.parseTransaction({ ...raw, type }), type);
}

function transferSource(context: Context, type: string, wallet: 'spot' | 'margin'): HistorySource {
  const { exchange } = context;
  const ours = wallet === 'spot' ? 'MAIN' : 'MARGIN';
  return {
    type: 'history',
    what: 'transfers',
    market: type.toLowerCase(),
    key: `transfers/${type}`,
    windowMs: 30 * DAY_MS - 1,
    historyMs: 180 * DAY_MS,
    overlapMs: FLOW_OVERLAP_MS,
    page: async (span, token) => {
      const current = Number(token ?? '1');
      const answer: unknown = await exchange.sapiGetAssetTransfer({
        type,
        ...bounds(span),
        size: 100,
        current,
      });
      const raws = listAt(answer, 'rows');
      const [from = '', to = ''] = type.split('_');
      const one = (raw: Raw): Flow | null => {
        const unified = { ...exchange.parseTransfer(raw), fromAccount: from, toAccount: to };
        return transferOf(unified, (name) => name === ours);
      };
      return { ...convert(raws, one), next: raws.length >= 100 ? String(current + 1) : null };
    },
  };
}

function interestSource({ exchange }: Context): HistorySource {
  return {
    type: 'history',
    what: 'interest',
    market: 'margin',
    key: 'interest',
    windowMs: 30 * DAY_MS - 1,
    historyMs: 180 * DAY_MS,
    overlapMs: FLOW_OVERLAP_MS,
    everyMs: HOUR_MS,
    page: async (span, token) => {
      const current = Number(token ?? '1');
      const answer: unknown = await exchange.sapiGetMarginInterestHistory({
        ...bounds(span),
        size: 100,
        current,
      });
      const raws = listAt(answer, 'rows');
      const one = (raw: Raw): Flow | null => {
        const owed = { ...raw, amount: negated(decimalAt(raw, 'interest')) };
        return flow(exchange, owed, 'interest', { time: 'interestAccuredTime', ids: ['txId'] });
      };
      return { ...convert(raws, one), next: raws.length >= 100 ? String(current + 1) : null };
    },
  };
}
