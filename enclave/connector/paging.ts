// Ways through a list that a venue shows in pages. Where it has marks of its own (ids, cursors) those are used; by
// time alone, the last moment of a full page is asked for again, because more of it may be on the next.

import type { ConnectorRecord } from './records.ts';
import { isSound } from './sound.ts';
import type { Raw } from './raw.ts';
import type { Page, Span } from './source.ts';

/** Null: malformed. An empty list: nothing for us. */
export type Convert = (raw: Raw) => ConnectorRecord | readonly ConnectorRecord[] | null;

/** ccxt's parsers take much for granted; what they choke on is one malformed record and not the end of a page. */
function oneOrMalformed(one: Convert, raw: Raw): ReturnType<Convert> {
  try {
    return one(raw);
  } catch {
    return null;
  }
}

export function convert(
  raws: readonly Raw[],
  one: Convert,
): { readonly records: readonly ConnectorRecord[]; readonly malformed: number } {
  const records: ConnectorRecord[] = [];
  let malformed = 0;
  for (const raw of raws) {
    const result = oneOrMalformed(one, raw);
    const all = result === null ? [] : 'kind' in result ? [result] : result;
    if (result === null || !all.every(isSound)) malformed++;
    else records.push(...all);
  }
  return { records, malformed };
}

export interface TimePaging {
  /** A page with as many is full. */
  readonly limit: number;
  /** What of a full page is shown: the span's oldest records, or its newest. */
  readonly shows: 'oldest' | 'newest';
  readonly ask: (span: Span) => Promise<readonly Raw[]>;
  readonly timeOf: (raw: Raw) => number | null;
  readonly one: Convert;
}

/** The token is the bound that moves: the first moment for `oldest`, the last one for `newest`. */
export async function pageByTime(
  { limit, shows, ask, timeOf, one }: TimePaging,
  span: Span,
  token: string | null,
): Promise<Page> {
  const bound = token === null ? null : Number(token);
  const asked: Span =
    shows === 'oldest'
      ? { fromMs: bound ?? span.fromMs, toMs: span.toMs }
      : { fromMs: span.fromMs, toMs: bound ?? span.toMs };
  const raws = await ask(asked);
  const page = convert(raws, one);
  if (raws.length < limit) return { ...page, next: null };
  const times = raws.map(timeOf).filter((timeMs) => timeMs !== null);
  if (times.length === 0) return { ...page, next: null, truncated: true };
  if (shows === 'oldest') {
    const last = Math.max(...times);
    // A full page of one moment: the rest of that moment cannot be reached by time.
    const stuck = last <= asked.fromMs;
    const next = stuck ? asked.fromMs + 1 : last;
    return { ...page, next: next > span.toMs ? null : String(next), truncated: stuck };
  }
  const first = Math.min(...times);
  const stuck = first >= asked.toMs;
  const next = stuck ? asked.toMs - 1 : first;
  return { ...page, next: next < span.fromMs ? null : String(next), truncated: stuck };
}

/**
 * For a venue that does not say which end of a full page's span it shows: the span is halved until no page is full. The
 * token is what is still to be asked for, `from-to,from-to`.
 */
export async function pageByHalves(
  { limit, ask, one }: Pick<TimePaging, 'limit' | 'ask' | 'one'>,
  span: Span,
  token: string | null,
): Promise<Page> {
  const [first = '', ...rest] = (token ?? `${span.fromMs}-${span.toMs}`).split(',');
  const [fromMs = 0, toMs = 0] = first.split('-').map(Number);
  const raws = await ask({ fromMs, toMs });
  const isFull = raws.length >= limit;
  const middleMs = Math.floor((fromMs + toMs) / 2);
  if (isFull && toMs > fromMs) rest.unshift(`${fromMs}-${middleMs}`, `${middleMs + 1}-${toMs}`);
  return {
    ...convert(raws, one),
    next: rest.length === 0 ? null : rest.join(','),
    truncated: isFull && toMs === fromMs,
  };
}

export interface IdPaging {
  readonly limit: number;
  /** Ascending ids from `id` on. */
  readonly fromId: (id: bigint) => Promise<readonly Raw[]>;
  /** Ascending, of a span; for when no id is known yet. */
  readonly ofSpan: (span: Span) => Promise<readonly Raw[]>;
  readonly idOf: (raw: Raw) => bigint | null;
  readonly one: Convert;
}

/**
 * Trades that the venue numbers. The last one known (`cursor.mark`) is asked for again: when it is there, nothing is
 * missing in front of what follows; when it is not, the venue has let go of some.
 */
export async function pageById(
  { limit, fromId, ofSpan, idOf, one }: IdPaging,
  span: Span,
  token: string | null,
  cursor: { mark: string | null },
): Promise<Page> {
  const mark = cursor.mark === null ? null : BigInt(cursor.mark);
  const start = token === null ? mark : BigInt(token);
  const raws = start === null ? await ofSpan(span) : await fromId(start);
  const ids = raws.map(idOf);
  const truncated = token === null && mark !== null && ids[0] !== mark;
  const fresh = raws.filter((_, at) => {
    const id = ids[at] ?? null;
    return id === null || mark === null || id > mark;
  });
  let last = mark;
  for (const id of ids) if (id !== null && (last === null || id > last)) last = id;
  if (last !== null) cursor.mark = last.toString();
  const more = raws.length >= limit && last !== null && last !== mark ? last + 1n : null;
  return {
    ...convert(fresh, one),
    next: more === null ? null : more.toString(),
    unique: true,
    ...(truncated ? { truncated } : {}),
  };
}
