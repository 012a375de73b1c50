// Kraken spot and margin. Trades of all symbols come by offset; the ledger has everything that moves money, so flows of
// all kinds come from it, and instant buys too, which are in no trade history. What reads goes by POST here.

import { kraken } from '../ccxt.ts';
import type { Adapter } from '../adapter.ts';
import { FILL_OVERLAP_MS, FLOW_OVERLAP_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { balancesSource, positionsSource } from '../common.ts';
import { CallError } from '../call-error.ts';
import { READS_BY_POST } from '../classes.ts';
import type { ExchangeOptions } from '../exchange.ts';
import { closeExchange, openExchange } from '../exchange.ts';
import { balanceOf, fillOf, flowOf, idAt, nameAt, sumOf, negated } from '../normalise.ts';
import { convert } from '../paging.ts';
import type { Permissions } from '../protocol.ts';
import type { Raw } from '../raw.ts';
import { at, decimalAt, isRaw, rawOf, textAt, timeAt } from '../raw.ts';
import type { ConnectorRecord, FlowType } from '../records.ts';
import type { Run } from '../run.ts';
import type { HistorySource, Page, Source, Span } from '../source.ts';

const PAGE = 50;

export const KRAKEN: ExchangeOptions<kraken> = {
  type: kraken,
  options: {},
  readsByPost: READS_BY_POST.kraken,
  publicCurrencies: true,
};

export async function openKraken(run: Run): Promise<Adapter> {
  const exchange = await openExchange(run, KRAKEN);
  return {
    check: () => check(exchange),
    phases: [() => Promise.resolve(sourcesOf(exchange))],
    close: () => {
      closeExchange(exchange);
    },
  };
}

async function check(exchange: kraken): Promise<Permissions> {
  // It answers for a key with permission to query funds, as any of ours needs.
  await exchange.privatePostBalanceEx();
  try {
    const key = at(await exchange.privatePostGetApiKeyInfo(), 'result');
    const listed = at(key, 'permissions');
    if (!Array.isArray(listed)) return { ...UNKNOWN_PERMISSIONS, read: true };
    const permissions = listed.map(String);
    const may = (pattern: RegExp): boolean => permissions.some((name) => pattern.test(name));
    const ips = at(key, 'ipAllowlist');
    // Seconds; 0 for ever.
    const validUntil = timeAt(key, 'validUntil');
    return {
      ...UNKNOWN_PERMISSIONS,
      read: true,
      trade: may(/^(?!query-|export-).*(?:trade|order)/iu),
      withdraw: may(/^withdraw/iu),
      transfer: may(/transfer|^earn/iu),
      ipRestricted: Array.isArray(ips) ? ips.length > 0 : null,
      expiresMs: validUntil === null || validUntil === 0 ? null : validUntil * 1000,
      accountId: idAt(key, 'iban'),
    };
  } catch (error) {
    if (error instanceof CallError && error.errorClass !== 'authentication') {
      return { ...UNKNOWN_PERMISSIONS, read: true };
    }
    throw error;
  }
}

function sourcesOf(exchange: kraken): readonly Source[] {
  return [
    balancesSource('spot', async () => {
      const result = at(await exchange.privatePostBalanceEx(), 'result');
      if (!isRaw(result)) throw new CallError('bad_response');
      return Object.entries(result).map(([asset, raw]) => {
        const balance = decimalAt(raw, 'balance');
        const used = decimalAt(raw, 'credit_used') ?? '0';
        const total = balance === null ? null : sumOf(balance, negated(used) ?? '0');
        const held = decimalAt(raw, 'hold_trade');
        const free =
          balance === null || held === null ? null : sumOf(balance, negated(held) ?? '0');
        return balanceOf('spot', exchange.safeCurrencyCode(asset) ?? null, total, free);
      });
    }),
    positionsSource(exchange, 'margin', () => exchange.fetchPositions(), 'margin'),
    history({
      what: 'fills',
      overlapMs: FILL_OVERLAP_MS,
      ask: (request) => exchange.privatePostTradesHistory(request),
      list: 'trades',
      one: (raw) => trade(exchange, raw),
    }),
    history({
      what: 'transfers',
      overlapMs: FLOW_OVERLAP_MS,
      ask: (request) => exchange.privatePostLedgers(request),
      list: 'ledger',
      one: (raw) => entry(exchange, raw),
    }),
  ];
}

interface Listing {
  readonly what: 'fills' | 'transfers';
  readonly overlapMs: number;
  readonly ask: (request: Record<string, unknown>) => Promise<unknown>;
  readonly list: 'trades' | 'ledger';
  readonly one: (raw: Raw) => ConnectorRecord | readonly ConnectorRecord[] | null;
}

function history({ what, overlapMs, ask, list, one }: Listing): HistorySource {
  return {
    type: 'history',
    what,
    ...(what === 'transfers' ? { also: ['deposits', 'withdrawals', 'interest'] as const } : {}),
    market: 'all',
    key: list,
    windowMs: null,
    historyMs: null,
    overlapMs,
    page: (span, token) => pageByOffset(ask, span, token, list, one),
  };
}

/** The span's end stays the same from page to page, so that offsets do not shift. */
async function pageByOffset(
  ask: Listing['ask'],
  span: Span,
  token: string | null,
  list: Listing['list'],
  one: Listing['one'],
): Promise<Page> {
  const offset = Number(token ?? '0');
  const start = Math.max(Math.floor(span.fromMs / 1000) - 1, 0);
  const end = Math.ceil(span.toMs / 1000);
  const answer = await ask({ start, end, ofs: offset });
  const found = at(answer, 'result', list);
  if (!isRaw(found)) throw new CallError('bad_response');
  const raws: Raw[] = [];
  for (const [id, raw] of Object.entries(found)) raws.push({ ...rawOf(raw), id });
  const count = Number(textAt(answer, 'result', 'count') ?? Number.NaN);
  const reached = offset + raws.length;
  const more = raws.length >= PAGE && (Number.isNaN(count) || reached < count);
  const total = Number.isNaN(count) ? {} : { total: count };
  return { ...convert(raws, one), ...total, next: more ? String(reached) : null };
}

/** Seconds with a fraction. */
function secondsAt(raw: Raw, name: string): number | null {
  const seconds = Number(decimalAt(raw, name) ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.floor(seconds * 1000) : null;
}

function trade(exchange: kraken, raw: Raw): ConnectorRecord | null {
  const unified = exchange.parseTrade({ ...raw });
  return fillOf(exchange, unified, {
    cost: decimalAt(raw, 'cost'),
    clientOrderId: textAt(raw, 'cl_ord_id'),
    margin: decimalAt(raw, 'margin') !== null && decimalAt(raw, 'margin') !== '0',
    raw,
  });
}

/** Entries of trades are fills already, their fees with them. */
const OF_FILLS: ReadonlySet<string> = new Set(['trade', 'margin']);
/** What came by a promotion (`invite_bonus`, `reward`, airdrops) is `other`: it is no income of the account. */
const FLOWS: Readonly<Record<string, FlowType>> = {
  deposit: 'deposit',
  withdrawal: 'withdrawal',
  transfer: 'transfer_in',
  spend: 'conversion',
  receive: 'conversion',
  sale: 'conversion',
  conversion: 'conversion',
  rollover: 'interest',
  staking: 'interest',
  earn: 'interest',
  dividend: 'dividend',
};

function entry(exchange: kraken, raw: Raw): ConnectorRecord | readonly ConnectorRecord[] | null {
  const type = textAt(raw, 'type') ?? '';
  if (OF_FILLS.has(type)) return [];
  const currency = exchange.safeCurrencyCode(textAt(raw, 'asset') ?? undefined) ?? null;
  const cost = decimalAt(raw, 'fee');
  const fee =
    cost === null || cost === '0' || currency === null ? null : { currency, amount: cost };
  const subtype = textAt(raw, 'subtype') ?? '';
  // Staking moves between two wallets of ours are transfers, whatever they are called.
  const moved =
    /^(?:spot|staking)(?:from|to)(?:spot|staking)$|^(?:de)?allocation$|^autoallocation$/u.test(
      subtype,
    );
  return flowOf({
    id: idAt(raw, 'id'),
    type: moved ? 'transfer_in' : (FLOWS[type] ?? 'other'),
    currency,
    amount: decimalAt(raw, 'amount'),
    timeMs: secondsAt(raw, 'time'),
    fee,
    networkId: idAt(raw, 'refid'),
    from: nameAt(raw, 'subclass'),
  });
}
