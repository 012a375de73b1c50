// Binance's futures: positions, and the income history, which has funding and transfers, and names every symbol that was
// traded, so that those sold out are asked for too.

import { DAY_MS, HOUR_MS } from '../../adapter.ts';
import type { binance } from '../../ccxt.ts';
import { positionsSource } from '../../common.ts';
import type { Cursors } from '../../cursors.ts';
import { idAt, nameAt } from '../../normalise.ts';
import { pageByTime } from '../../paging.ts';
import type { Raw } from '../../raw.ts';
import { decimalAt, textAt, timeAt } from '../../raw.ts';
import type { ConnectorRecord, Flow } from '../../records.ts';
import type { HistorySource, MomentSource, Source } from '../../source.ts';
import { noteSymbol, symbolsToAsk } from '../../symbols.ts';
import type { Context } from './context.ts';
import { bounds, flow, LIMIT, listOf } from './context.ts';
import { fillSource, keyOfFills } from './fills.ts';

export function positionSource({ exchange, kind }: Context): MomentSource {
  return positionsSource(exchange, kind, () =>
    exchange.fetchPositions(undefined, { method: 'positionRisk' }),
  );
}

/** What income is that is neither part of a fill nor a transfer. Bonuses and commissions of other traders are `other`. */
const INCOME_FLOWS: Readonly<Record<string, Flow['type']>> = {
  TRANSFER: 'transfer_in',
  INTERNAL_TRANSFER: 'transfer_in',
  CROSS_COLLATERAL_TRANSFER: 'transfer_in',
  STRATEGY_UMFUTURES_TRANSFER: 'transfer_in',
  INSURANCE_CLEAR: 'fee',
  COIN_SWAP_DEPOSIT: 'conversion',
  COIN_SWAP_WITHDRAW: 'conversion',
  AUTO_EXCHANGE: 'conversion',
  POSITION_LIMIT_INCREASE_FEE: 'fee',
  FEE_RETURN: 'rebate',
  BFUSD_REWARD: 'interest',
};

/** In fills already. */
const INCOME_OF_FILLS: ReadonlySet<string> = new Set(['COMMISSION', 'REALIZED_PNL']);

/** Funding, transfers, and the name of every symbol that was traded: sold out ones too. */
export function incomeSource(context: Context): HistorySource {
  const { exchange, kind, cursors } = context;
  return {
    type: 'history',
    what: 'funding',
    also: ['transfers'],
    market: kind,
    key: 'income',
    windowMs: kind === 'linear' ? 30 * DAY_MS : 7 * DAY_MS,
    historyMs: 90 * DAY_MS,
    overlapMs: HOUR_MS,
    page: (span, token) =>
      pageByTime(
        {
          limit: LIMIT,
          shows: 'oldest',
          ask: async (asked) => {
            const request = { ...bounds(asked), limit: LIMIT };
            return listOf(
              kind === 'linear'
                ? exchange.fapiPrivateGetIncome(request)
                : exchange.dapiPrivateGetIncome(request),
            );
          },
          timeOf: (raw) => timeAt(raw, 'time'),
          one: (raw) => income(exchange, cursors, raw),
        },
        span,
        token,
      ),
  };
}

function income(exchange: binance, cursors: Cursors, raw: Raw): ConnectorRecord | [] | null {
  const type = textAt(raw, 'incomeType') ?? '';
  const marketId = textAt(raw, 'symbol');
  const symbol =
    marketId === null ? null : exchange.safeSymbol(marketId, undefined, undefined, 'swap');
  if (symbol !== null && (INCOME_OF_FILLS.has(type) || type === 'FUNDING_FEE')) {
    noteSymbol(cursors, symbol);
  }
  if (INCOME_OF_FILLS.has(type)) return [];
  const amount = decimalAt(raw, 'income');
  const currency = nameAt(raw, 'asset');
  const timeMs = timeAt(raw, 'time');
  const tranId = idAt(raw, 'tranId');
  if (amount === null || currency === null || timeMs === null || tranId === null) return null;
  if (type === 'FUNDING_FEE') {
    return { kind: 'funding', id: tranId, symbol, currency, amount, timeMs };
  }
  // A transfer id is one for both of its sides; the type keeps them apart.
  const names = { time: 'time', ids: ['id'], amount: 'income' };
  return flow(exchange, { ...raw, id: `${type}-${tranId}` }, INCOME_FLOWS[type] ?? 'other', names);
}

export function futuresFills(context: Context): readonly Source[] {
  const { exchange, run, cursors } = context;
  const lists = [run.job.settings.symbols, cursors.symbols];
  const symbols = symbolsToAsk(exchange, cursors, keyOfFills, ...lists);
  return symbols.map((symbol) => fillSource(context, symbol));
}
