// Binance's trades, per symbol and numbered: the newest, or by windows of time to the first one; by number from there on.

import { DAY_MS, FILL_OVERLAP_MS } from '../../adapter.ts';
import type { SourceCursor } from '../../cursors.ts';
import { fillOf } from '../../normalise.ts';
import { pageById } from '../../paging.ts';
import type { Raw } from '../../raw.ts';
import { decimalAt, textAt, timeAt } from '../../raw.ts';
import type { Fill } from '../../records.ts';
import type { HistorySource, Page, Span } from '../../source.ts';
import { noteSymbol } from '../../symbols.ts';
import type { Context, Kind } from './context.ts';
import { bounds, LIMIT, listOf } from './context.ts';

export function keyOfFills(symbol: string): string {
  return `fills/${symbol}`;
}

const HISTORY_MS: Readonly<Record<Kind, number | null>> = {
  spot: null,
  margin: null,
  linear: 180 * DAY_MS,
  inverse: 180 * DAY_MS,
};

const WINDOW_MS: Readonly<Record<Kind, number>> = {
  spot: DAY_MS - 1,
  margin: DAY_MS - 1,
  linear: 7 * DAY_MS - 1,
  inverse: 7 * DAY_MS - 1,
};

export function fillSource(context: Context, symbol: string): HistorySource {
  const { exchange, kind } = context;
  const id = exchange.marketId(symbol);
  const ask = (request: Record<string, unknown>): Promise<readonly Raw[]> =>
    listOf(askFills(context, { symbol: id, limit: LIMIT, ...request }));
  return {
    type: 'history',
    what: 'fills',
    market: symbol,
    key: keyOfFills(symbol),
    // Once a trade is known they are numbered from there on, whatever the window.
    windowMs: null,
    historyMs: HISTORY_MS[kind],
    overlapMs: FILL_OVERLAP_MS,
    page: (span, token, cursor) => pageOfFills(context, symbol, ask, { span, token, cursor }),
  };
}

interface Place {
  readonly span: Span;
  readonly token: string | null;
  readonly cursor: SourceCursor;
}

const WINDOW_TOKEN = 'from:';

/** The newest ones, in one question, where they are all of the span; null where there are more. */
async function newestOf(
  { kind }: Context,
  ask: (request: Record<string, unknown>) => Promise<readonly Raw[]>,
  span: Span,
): Promise<readonly Raw[] | null> {
  // Futures show a week without a window, which is what they are asked for anyway.
  if (kind === 'linear' || kind === 'inverse') return null;
  const newest = await ask({});
  const isOfSpan = (raw: Raw): boolean => (timeAt(raw, 'time') ?? span.fromMs) >= span.fromMs;
  const found = newest.filter(isOfSpan);
  return found.length < LIMIT ? found : null;
}

/** All at once, or windows from the span's start to the first trade, then by number. */
async function pageOfFills(
  context: Context,
  symbol: string,
  ask: (request: Record<string, unknown>) => Promise<readonly Raw[]>,
  { span, token, cursor }: Place,
): Promise<Page> {
  const windowed = cursor.mark === null;
  const newest = windowed && token === null ? await newestOf(context, ask, span) : null;
  const fromMs =
    token?.startsWith(WINDOW_TOKEN) === true
      ? Number(token.slice(WINDOW_TOKEN.length))
      : span.fromMs;
  const toMs = Math.min(fromMs + WINDOW_MS[context.kind], span.toMs);
  const page = await pageById(
    {
      limit: LIMIT,
      fromId: (fromId) => ask({ fromId: fromId.toString() }),
      ofSpan: () => (newest === null ? ask(bounds({ fromMs, toMs })) : Promise.resolve(newest)),
      idOf: (raw) => {
        const text = textAt(raw, 'id');
        return text !== null && /^[0-9]{1,20}$/u.test(text) ? BigInt(text) : null;
      },
      one: (raw) => oneFill(context, symbol, raw),
    },
    span,
    windowed ? null : token,
    cursor,
  );
  if (newest !== null) return page;
  // Nothing yet in this window: the next one.
  if (windowed && cursor.mark === null && toMs < span.toMs) {
    return { ...page, next: `${WINDOW_TOKEN}${toMs}` };
  }
  // The first trades are here; those of later windows follow by number.
  if (windowed && cursor.mark !== null && page.next === null && toMs < span.toMs) {
    return { ...page, next: (BigInt(cursor.mark) + 1n).toString() };
  }
  return page;
}

function oneFill({ exchange, cursors, kind }: Context, symbol: string, raw: Raw): Fill | null {
  const market = exchange.market(symbol);
  const fill = fillOf(exchange, exchange.parseTrade({ ...raw }, market), {
    margin: kind === 'margin',
    cost: decimalAt(raw, 'quoteQty') ?? decimalAt(raw, 'baseQty'),
    raw,
  });
  if (fill !== null) noteSymbol(cursors, fill.symbol);
  return fill;
}

function askFills({ exchange, kind }: Context, request: Record<string, unknown>): Promise<unknown> {
  if (kind === 'linear') return exchange.fapiPrivateGetUserTrades(request);
  if (kind === 'inverse') return exchange.dapiPrivateGetUserTrades(request);
  if (kind === 'margin') return exchange.sapiGetMarginMyTrades(request);
  return exchange.privateGetMyTrades(request);
}
