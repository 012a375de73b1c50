// Kraken Futures. Fills come for all symbols, a hundred before a moment at a time, and without fees; the account log
// has what each one cost, funding, and transfers, numbered from the account's first day.

import { krakenfutures } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { DAY_MS, FILL_OVERLAP_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { balancesSource, needList, positionsSource } from '../common.ts';
import type { BalanceLine } from '../common.ts';
import { CallError } from '../call-error.ts';
import type { ExchangeOptions } from '../exchange.ts';
import { closeExchange, openExchange } from '../exchange.ts';
import {
  balanceOf,
  digestOf,
  flowOf,
  idAt,
  marketOf,
  nameAt,
  negated,
  sumOf,
} from '../normalise.ts';
import { pageById, pageByTime } from '../paging.ts';
import type { Raw } from '../raw.ts';
import { at, decimalAt, isRaw, listAt, textAt } from '../raw.ts';
import type { ConnectorRecord, Fill } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, Source } from '../source.ts';

const FILLS = 100;
const LOGS = 500;

export const KRAKEN_FUTURES: ExchangeOptions<krakenfutures> = {
  type: krakenfutures,
  options: {},
  sandbox: 'hosts',
};

export async function openKrakenFutures(run: Run): Promise<Adapter> {
  const exchange = await openExchange(run, KRAKEN_FUTURES);
  return {
    check: async () => {
      await exchange.privateGetAccounts();
      // The venue says nothing about a key.
      return { ...UNKNOWN_PERMISSIONS, read: true };
    },
    phases: [() => Promise.resolve(sourcesOf(exchange))],
    close: () => {
      closeExchange(exchange);
    },
  };
}

function sourcesOf(exchange: krakenfutures): readonly Source[] {
  return [
    balancesSource('futures', async () => {
      const accounts = at(await exchange.privateGetAccounts(), 'accounts');
      if (!isRaw(accounts)) throw new CallError('bad_response');
      return Object.entries(accounts).flatMap(([name, account]) =>
        walletOf(exchange, name, account),
      );
    }),
    positionsSource(exchange, 'futures', async () => {
      const raws = listAt(await exchange.privateGetOpenpositions(), 'openPositions');
      return raws.map((raw) => exchange.parsePosition({ ...raw }));
    }),
    fills(exchange),
    accountLog(exchange),
  ];
}

/** The multi-collateral wallet holds currencies; the others balances by name. */
function walletOf(exchange: krakenfutures, name: string, account: unknown): readonly BalanceLine[] {
  const code = (asset: string): string | null => exchange.safeCurrencyCode(asset) ?? null;
  const currencies = at(account, 'currencies');
  if (isRaw(currencies)) {
    return Object.entries(currencies).map(([asset, raw]) =>
      balanceOf(name, code(asset), decimalAt(raw, 'quantity'), decimalAt(raw, 'available')),
    );
  }
  const balances = at(account, 'balances');
  if (!isRaw(balances)) return [];
  // Beside the currency, positions are listed there under their symbols.
  return Object.keys(balances)
    .filter((asset) => !/^(?:pi|pf|fi|ff|fv|in)_/u.test(asset))
    .map((asset) => balanceOf(name, code(asset), decimalAt(balances, asset), null));
}

function timeOfText(raw: Raw, name: string): number | null {
  const timeMs = Date.parse(textAt(raw, name) ?? '');
  return Number.isSafeInteger(timeMs) ? timeMs : null;
}

function fills(exchange: krakenfutures): HistorySource {
  return {
    type: 'history',
    what: 'fills',
    market: 'futures',
    key: 'fills',
    windowMs: null,
    historyMs: null,
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token) =>
      pageByTime(
        {
          limit: FILLS,
          shows: 'newest',
          ask: async ({ fromMs, toMs }) => {
            // What is before this moment; the moment itself has to be in it.
            const request = { lastFillTime: new Date(toMs + 1).toISOString() };
            const raws = needList(await exchange.privateGetFills(request), 'fills');
            return raws.filter((raw) => (timeOfText(raw, 'fillTime') ?? fromMs) >= fromMs);
          },
          timeOf: (raw) => timeOfText(raw, 'fillTime'),
          one: (raw) => fill(exchange, raw),
        },
        span,
        token,
      ),
  };
}

/** Not by ccxt, which takes a fee from the price list and leaves out the amount of inverse contracts. */
function fill(exchange: krakenfutures, raw: Raw): Fill | null {
  const id = idAt(raw, 'fill_id');
  const symbol = exchange.safeSymbol(textAt(raw, 'symbol') ?? undefined);
  const market = marketOf(exchange, symbol);
  const side = textAt(raw, 'side');
  const price = decimalAt(raw, 'price');
  const amount = decimalAt(raw, 'size');
  const timeMs = timeOfText(raw, 'fillTime');
  if (id === null || price === null || amount === null || timeMs === null) return null;
  if (side !== 'buy' && side !== 'sell') return null;
  const type = textAt(raw, 'fillType') ?? '';
  return {
    kind: 'fill',
    id,
    orderId: idAt(raw, 'order_id'),
    clientOrderId: idAt(raw, 'cliOrdId'),
    symbol,
    market: market?.kind ?? 'swap',
    base: market?.base ?? null,
    quote: market?.quote ?? null,
    settle: market?.settle ?? null,
    side,
    price,
    amount,
    contractSize: market?.contractSize ?? null,
    inverse: market?.inverse ?? null,
    cost: null,
    fees: null,
    timeMs,
    liquidity: type.startsWith('maker') ? 'maker' : type.startsWith('taker') ? 'taker' : null,
    rawDigest: digestOf(raw),
  };
}

function accountLog(exchange: krakenfutures): HistorySource {
  const ask = async (request: Record<string, unknown>): Promise<readonly Raw[]> => {
    const answer = await exchange.historyGetAccountLog({ sort: 'asc', count: LOGS, ...request });
    return needList(answer, 'logs');
  };
  return {
    type: 'history',
    what: 'funding',
    also: ['transfers', 'fees', 'interest'],
    market: 'futures',
    key: 'log',
    windowMs: null,
    historyMs: null,
    overlapMs: DAY_MS,
    page: (span, token, cursor) =>
      pageById(
        {
          limit: LOGS,
          fromId: (id) => ask({ from: id.toString() }),
          ofSpan: ({ fromMs, toMs }) => ask({ since: fromMs, before: toMs }),
          idOf: (raw) => {
            const id = textAt(raw, 'id');
            return id !== null && /^[0-9]{1,18}$/u.test(id) ? BigInt(id) : null;
          },
          one: (raw) => entry(exchange, raw),
        },
        span,
        token,
        cursor,
      ),
  };
}

function entry(
  exchange: krakenfutures,
  raw: Raw,
): ConnectorRecord | readonly ConnectorRecord[] | null {
  const number = idAt(raw, 'id');
  const timeMs = timeOfText(raw, 'date');
  const info = textAt(raw, 'info') ?? '';
  const asset = textAt(raw, 'collateral') ?? textAt(raw, 'asset') ?? '';
  const currency = exchange.safeCurrencyCode(asset) ?? null;
  if (number === null || timeMs === null || currency === null) return null;
  const contract = textAt(raw, 'contract');
  const symbol = contract === null ? null : exchange.safeSymbol(contract.toUpperCase());
  const records: (ConnectorRecord | null)[] = [];
  const funding = decimalAt(raw, 'realized_funding');
  if (funding !== null && funding !== '0') {
    records.push({ kind: 'funding', id: number, symbol, currency, amount: funding, timeMs });
  }
  const fee = decimalAt(raw, 'fee');
  if (fee !== null && fee !== '0') {
    const amount = negated(fee);
    const id = `fee-${number}`;
    const networkId = idAt(raw, 'execution');
    const market = marketOf(exchange, symbol)?.kind ?? 'swap';
    records.push(flowOf({ id, type: 'fee', currency, amount, timeMs, networkId, market }));
  }
  if (/transfer|deposit|withdrawal|interest|conversion/iu.test(info)) {
    const before = decimalAt(raw, 'old_balance');
    const after = decimalAt(raw, 'new_balance');
    const amount = before === null || after === null ? null : differenceOf(after, before);
    const type = /interest/iu.test(info)
      ? 'interest'
      : /conversion/iu.test(info)
        ? 'conversion'
        : 'transfer_in';
    const from = nameAt(raw, 'margin_account');
    records.push(flowOf({ id: `log-${number}`, type, currency, amount, timeMs, from }));
  }
  if (records.includes(null)) return null;
  return records.filter((record) => record !== null);
}

function differenceOf(after: string, before: string): string | null {
  const minus = negated(before);
  return minus === null ? null : sumOf(after, minus);
}
