// A query of Interactive Brokers that is broken out by day: each business day has statements of its own. It is polled every
// three hours of nine days from Monday, 23 November 2026, in New York; what a ledger made of it is asked afterwards.

import { expect } from 'vitest';
import { formatFixed } from '../../wire/fixed.ts';
import { DAY_MS, HOUR_MS } from '../../wire/track/head.ts';
import type { ChainStatement } from '../../wire/track/statement.ts';
import { poll, query } from './flex-query.ts';
import { KeptStore } from './kept-store.ts';
import { TrackDesk } from './track-desk.ts';
import { LEDGER_ACCOUNT } from './track-store.ts';
import { openRecord, parsedOf, signedOf } from './track-story.ts';

const NEW_YORK_MS = 5 * HOUR_MS;
export const MONDAY_MS: number = Date.UTC(2026, 10, 23) + NEW_YORK_MS;
const OPENING_MS: number = MONDAY_MS + 8 * HOUR_MS;
const POLL_MS: number = 3 * HOUR_MS;
const POLLS = 70;
/** Days that the query is of. */
const QUERY_DAYS = 9;

export interface FlexDay {
  /** Counted from Monday. */
  readonly at: number;
  /** Of its statements. */
  readonly dates: string;
  /** As statements write it. */
  readonly name: string;
  readonly endMs: number;
}

/** Statements of a day that is over, as they are there at `nowMs`. */
export type StatementsOf = (day: FlexDay, nowMs: number) => readonly string[];

/** An hour whose money was not what it should have been. */
export interface Unexplained {
  readonly startMs: number;
  /** What is too much, and the gaps of the hour. */
  readonly said: string;
}

/** Behind which polls the ledger starts anew, which there are none of, and which no ledger ever hears of. */
export interface Troubles {
  readonly restarts?: readonly number[];
  readonly without?: readonly number[];
  readonly unheard?: readonly number[];
}

function flexDay(at: number): FlexDay {
  const startMs = MONDAY_MS + at * DAY_MS;
  const date = new Date(startMs - NEW_YORK_MS).toISOString().slice(0, 10);
  const name = date.replaceAll('-', '');
  return { at, dates: `fromDate="${name}" toDate="${name}"`, name, endMs: startMs + DAY_MS };
}

function isBusinessDay({ at }: FlexDay): boolean {
  return ![0, 6].includes(new Date(MONDAY_MS + at * DAY_MS).getUTCDay());
}

function answerAt(nowMs: number, statementsOf: StatementsOf): string {
  const last = Math.floor((nowMs - MONDAY_MS) / DAY_MS) - 1;
  const days = Array.from({ length: QUERY_DAYS }, (_, at) => flexDay(last + 1 - QUERY_DAYS + at));
  return query(...days.filter(isBusinessDay).flatMap((day) => statementsOf(day, nowMs)));
}

/** Whether a query of the last day of business is of this one. */
export function isLastAt({ at, endMs }: FlexDay, nowMs: number): boolean {
  const isFriday = new Date(MONDAY_MS + at * DAY_MS).getUTCDay() === 5;
  return nowMs < endMs + (isFriday ? 3 : 1) * DAY_MS;
}

async function pollOnce(
  desk: TrackDesk,
  statementsOf: StatementsOf,
  isHeard: boolean,
): Promise<void> {
  const { nowMs } = desk;
  const { cursors, fromMs, reads, sinceMs } = desk.state;
  const answers = [answerAt(nowMs, statementsOf)];
  const { done, records } = await poll(answers, { cursors, fromMs, reads, nowMs });
  desk.goesOn(done.cursors);
  if (isHeard) desk.poll({ sinceMs, records, coverage: done.coverage, outcome: done.outcome });
}

type Hour = Extract<ChainStatement, { readonly kind: 'hour' }>;

async function playHours(
  statementsOf: StatementsOf,
  { restarts = [], without = [], unheard = [] }: Troubles,
): Promise<readonly Hour[]> {
  const desk = new TrackDesk(OPENING_MS, { ...LEDGER_ACCOUNT, venue: 'ibkr' });
  let record = openRecord(desk, new KeptStore());
  for (let step = 0; step < POLLS; step++) {
    desk.nowMs = OPENING_MS + step * POLL_MS;
    if (without.includes(step)) desk.missed(desk.nowMs, desk.nowMs + POLL_MS, 'not_running');
    else await pollOnce(desk, statementsOf, !unheard.includes(step));
    record.look();
    await record.idle();
    if (!restarts.includes(step)) continue;
    record = openRecord(desk, record.store);
    await record.idle();
  }
  expect(desk.fatal).toEqual([]);
  const parsed = parsedOf(await signedOf({ desk, record }));
  return parsed.filter((one) => one.kind === 'hour');
}

/** Hours that have no return, as they were stated at last. */
export async function hoursWithoutReturn(
  statementsOf: StatementsOf,
  troubles: Troubles,
): Promise<readonly number[]> {
  const last = new Map<number, Hour>();
  for (const hour of await playHours(statementsOf, troubles)) last.set(hour.figures.startMs, hour);
  const without = [...last].filter(([, hour]) => hour.return.ratio === null);
  return without.map(([startMs]) => startMs);
}

export async function playWeek(
  statementsOf: StatementsOf,
  troubles: Troubles = {},
): Promise<readonly Unexplained[]> {
  const hours = await playHours(statementsOf, troubles);
  return hours.flatMap((hour) => {
    const { startMs, residual, gaps } = hour.figures;
    if (residual === null || residual === 0n) return [];
    return [{ startMs, said: `${formatFixed(residual)} ${gaps.join(' ')}` }];
  });
}
