// Statements of one answer, account by account. A query may be broken out by day: an account has a statement for each day of
// business then, and the last days of one may come later than those of others. What is held is taken of one day alone, the
// last that all accounts have: money of different days is no sum.

import type { ConnectorRecord } from '../records.ts';
import type { Span } from '../source.ts';
import { weekdayOf } from './dates.ts';
import type { FlexStatement, Section } from './statement.ts';
import { SECTIONS } from './statement.ts';

const HOUR_MS = 3_600_000;

/** Statements of one account; between two of its spans are days that none of them is of. */
export interface Joined extends FlexStatement {
  readonly spans: readonly Span[];
  /** End of the day of which it says what is held. */
  readonly heldMs: number;
  /** Nothing is in it, and nobody waits for another statement: it counts as told until the end of all. */
  readonly ended: boolean;
}

export interface Answer {
  readonly accounts: readonly Joined[];
  /** Until when all of them are told. */
  readonly heldMs: number;
  /** Whether each says what it held then. */
  readonly isHeld: boolean;
}

/** -Infinity for none. */
export function endOf(statements: readonly FlexStatement[]): number {
  return Math.max(...statements.map(({ toMs }) => toMs));
}

export function joinStatements(statements: readonly FlexStatement[]): Answer {
  const sorted = statements.toSorted((a, b) => a.toMs - b.toMs);
  const endMs = endOf(sorted);
  const lasts = new Map(sorted.map((one) => [one.accountId, one]));
  for (const one of lasts.values())
    if (endMs - one.toMs > ENDED_MS && isEmptied(one)) lasts.delete(one.accountId);
  const heldMs = Math.min(...Array.from(lasts.values(), ({ toMs }) => toMs));
  const joined = new Map<string, Joined>();
  for (const next of sorted) {
    const { accountId, fromMs, toMs } = next;
    const before = joined.get(accountId);
    const one = { ...next, spans: [{ fromMs, toMs }], heldMs: toMs, ended: false };
    joined.set(accountId, before === undefined ? one : join(before, one, heldMs));
  }
  const accounts = Array.from(joined.values(), (one) =>
    lasts.has(one.accountId) ? one : extended(one, endMs, heldMs),
  );
  return { accounts, heldMs, isHeld: accounts.every((one) => one.heldMs === heldMs) };
}

/** As long as hours wait for a venue that tells later: what is empty may have something again on the next day. */
export const ENDED_MS: number = 5 * 24 * HOUR_MS;

/** Nothing is in it: that it has no later statement is no reason to wait for one. */
function isEmptied({ records, malformed, missing }: FlexStatement): boolean {
  const isKnown = ENDINGS.every(
    (section) => malformed[section].length === 0 && !missing.includes(section),
  );
  const held = records.filter(isOfTheEnd);
  return isKnown && held.every((record) => record.kind === 'balance' && record.total === '0');
}

export function isOfTheEnd({ kind }: ConnectorRecord): boolean {
  return kind === 'balance' || kind === 'position';
}

/** Of these only what one day says is used: no other is missed. */
const ENDINGS = ['OpenPositions', 'CashReport'] as const;
export const OF_THE_END: ReadonlySet<Section> = new Set(ENDINGS);

/** What is held is what the later one says, if it is not of after `heldMs`. */
function join(before: Joined, next: Joined, heldMs: number): Joined {
  const held = next.toMs > heldMs ? before : next;
  const malformed = { ...held.malformed };
  for (const section of SECTIONS) {
    if (OF_THE_END.has(section)) continue;
    malformed[section] = [...before.malformed[section], ...next.malformed[section]];
  }
  const both = [before, next];
  const missing = both.flatMap((one) =>
    one.missing.filter((section) => one === held || !OF_THE_END.has(section)),
  );
  return {
    ...next,
    fromMs: before.fromMs,
    records: both.flatMap((one) =>
      one.records.filter((record) => one === held || !isOfTheEnd(record)),
    ),
    malformed,
    missing: [...new Set(missing)],
    untaken: [...before.untaken, ...next.untaken],
    bookedMs: new Map([...before.bookedMs, ...next.bookedMs]),
    spans: joinSpans(before.spans, next),
    heldMs: held.heldMs,
  };
}

function joinSpans(spans: readonly Span[], { fromMs, toMs }: Span): readonly Span[] {
  const last = spans.at(-1);
  if (last === undefined || hasWeekday(last.toMs, fromMs)) return [...spans, { fromMs, toMs }];
  return [...spans.slice(0, -1), { fromMs: Math.min(last.fromMs, fromMs), toMs }];
}

function extended(one: Joined, endMs: number, heldMs: number): Joined {
  const spans = one.spans.map((span, at) =>
    at === one.spans.length - 1 ? { ...span, toMs: endMs } : span,
  );
  // What it says at its end it says of every day since.
  const since = one.toMs < heldMs ? { heldMs } : {};
  return { ...one, ...since, toMs: endMs, spans, ended: true };
}

/** Between the end of one and the start of another. A weekday may be a holiday, but nothing tells it from one that is lost. */
export function hasWeekday(endMs: number, startMs: number): boolean {
  for (let timeMs = endMs + 1; timeMs < startMs; timeMs += HOUR_MS) {
    const day = weekdayOf(timeMs);
    if (day !== 0 && day !== 6) return true;
  }
  return false;
}
