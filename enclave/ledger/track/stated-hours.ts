// What an account has stated of its hours and days, as far back as it can be corrected: new hours become statements, of
// hours that are closed again only those that say something else, and days follow their hours.

import {
  COST_JUMP,
  isCostJump,
  isJump,
  NOT_BOOKED,
  VALUE_JUMP,
} from '../../../wire/performance/hour-return.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { DAY_MS, HOUR_MS } from '../../../wire/track/head.ts';
import type { MissingPrices } from '../../../wire/track/hour.ts';
import type { ChainStatement } from '../../../wire/track/statement.ts';
import type { PriceTable } from '../book/price-table.ts';
import { MAX_SIGN_BYTES } from '../protocol.ts';
import type { TrackBook } from './account-parts.ts';
import type { DayHour } from './day-figures.ts';
import { dayFigures } from './day-figures.ts';
import { gapHour, gapsWith } from './gap-hour.ts';
import type { CoverageLog } from './hour-coverage.ts';
import type { AskedPrices } from './price-questions.ts';
import type { StatementMaker } from './statements.ts';
import { boundedFigures, markOfDay, markOfHour } from './statements.ts';

/** What a book can go back: three days, and a week of history while those are its first. A day more, for whole days. */
export const CORRECTED_HOURS = 264;
/** A month of hours of which nothing is known, in one round. */
const MAX_MISSING_HOURS = 744;
const MAX_ROUND_BYTES: number = MAX_SIGN_BYTES - 64 * 1024;

interface StatedHour extends DayHour {
  readonly mark: string;
  readonly rebuilt: boolean;
}

/** One round of hours that are closed together. */
export interface Round {
  readonly chain: ChainCheck;
  readonly maker: StatementMaker;
  readonly coverage: CoverageLog;
  /** From this hour on what was stated may be corrected; null: none. */
  readonly correctMs: number | null;
}

interface OpenRound extends Round {
  readonly missing: readonly MissingPrices[];
  /** Midnights whose hours have changed. */
  readonly days: Set<number>;
}

interface Hours {
  readonly fromMs: number;
  readonly toMs: number;
}

export class StatedHours {
  readonly #stated = new Map<number, StatedHour>();
  readonly #dayMarks = new Map<number, string>();

  /**
   * States hours of the book, for which it asks for prices, or the hours that are missing before them; and their midnights.
   * Gives how many hours were corrections.
   */
  async stateRound(
    round: Round,
    book: Pick<TrackBook, 'closeHour'>,
    hours: Hours,
    ask: () => Promise<AskedPrices>,
  ): Promise<number> {
    const { lastHourMs } = round.chain;
    const days = new Set<number>();
    let corrected = 0;
    if (lastHourMs !== null && lastHourMs + HOUR_MS < hours.fromMs) {
      // The book was lost, or opened anew: what is between is stated first.
      this.#stateMissing({ ...round, days, missing: [] }, lastHourMs, hours.fromMs);
    } else {
      const { table, missing } = await ask();
      corrected = this.#closeHours({ ...round, days, missing }, book, table, hours);
    }
    for (const atMs of [...days].toSorted((a, b) => a - b)) this.#stateDay(round, atMs);
    return corrected;
  }

  /** Closes and states as many as one signature has room for. Gives how many were corrections. */
  #closeHours(
    round: OpenRound,
    book: Pick<TrackBook, 'closeHour'>,
    table: PriceTable,
    { fromMs, toMs }: Hours,
  ): number {
    const { coverage, maker } = round;
    let corrected = 0;
    let bytes = 0;
    for (let startMs = fromMs; startMs < toMs && bytes < MAX_ROUND_BYTES; startMs += HOUR_MS) {
      const figures = boundedFigures(book.closeHour(startMs, table, coverage.coverage(startMs)));
      if (this.#stateHour(round, figures)) corrected++;
      bytes = maker.made.reduce((sum, one) => sum + one.bytes.length, 0);
    }
    return corrected;
  }

  /** Gives whether it was a correction. */
  #stateHour(round: OpenRound, closed: HourFigures): boolean {
    const { chain, correctMs, days } = round;
    const { startMs } = closed;
    const figures = this.#joined(closed);
    const mark = markOfHour(figures);
    const endMs = startMs + HOUR_MS;
    const dayMs = Math.ceil(endMs / DAY_MS) * DAY_MS;
    if (chain.lastHourMs === null || startMs > chain.lastHourMs) {
      this.#make(round, figures, mark, null);
      if (endMs === dayMs) days.add(dayMs);
      return false;
    }
    const known = this.#stated.get(startMs);
    const counter = chain.effective('hour', startMs);
    if (correctMs === null || counter === null) return false;
    // What was worked out backwards rests on all that happened after it.
    const isBackwards = figures.rebuilt && this.#stated.get(correctMs)?.rebuilt !== false;
    if (startMs < correctMs && !isBackwards) return false;
    if (known === undefined || known.mark === mark) return false;
    this.#make(round, figures, mark, counter);
    if (dayMs <= (chain.lastSnapshotMs ?? 0)) days.add(dayMs);
    return true;
  }

  /**
   * After a restart hours are closed again that stay as they were stated, whatever prices are had for them by then: the
   * first one that is stated behind them says so. One that was seen does not go on from what was worked out backwards.
   */
  #joined(closed: HourFigures): HourFigures {
    const before = this.#stated.get(closed.startMs - HOUR_MS);
    const goesOn = closed.rebuilt || before?.rebuilt === false;
    const isApart = isJump(before, closed);
    if (!goesOn || !(isApart || isCostJump(before, closed))) return closed;
    return { ...closed, gaps: gapsWith(closed.gaps, isApart ? VALUE_JUMP : COST_JUMP) };
  }

  #stateMissing(round: OpenRound, lastHourMs: number, fromMs: number): void {
    const untilMs = Math.min(fromMs, lastHourMs + (1 + MAX_MISSING_HOURS) * HOUR_MS);
    for (let startMs = lastHourMs + HOUR_MS; startMs < untilMs; startMs += HOUR_MS) {
      const { polls, gaps } = round.coverage.coverage(startMs);
      this.#stateHour(round, gapHour(startMs, polls, [...new Set([...gaps, NOT_BOOKED])]));
    }
  }

  /** What was stated before a restart. */
  remember(statement: ChainStatement): void {
    if (statement.kind === 'hour') {
      const { figures } = statement;
      this.#stated.set(figures.startMs, statedOf(figures, markOfHour(figures)));
    } else if (statement.kind === 'snapshot') {
      this.#dayMarks.set(statement.atMs, markOfDay(statement));
    }
  }

  forget(beforeMs: number): void {
    for (const startMs of this.#stated.keys()) if (startMs < beforeMs) this.#stated.delete(startMs);
    for (const atMs of this.#dayMarks.keys()) if (atMs < beforeMs) this.#dayMarks.delete(atMs);
  }

  #make(
    { maker, coverage, missing }: OpenRound,
    figures: HourFigures,
    mark: string,
    superseded: number | null,
  ): void {
    const { startMs } = figures;
    const basis = { polls: coverage.polls(startMs), late: coverage.late(startMs) };
    const supersedes = superseded === null ? null : { counter: superseded, reason: 'late_data' };
    maker.hour(figures, basis, missing, supersedes);
    this.#stated.set(startMs, statedOf(figures, mark));
  }

  #stateDay({ chain, maker }: Round, atMs: number): void {
    const day = dayFigures(this.#stated, atMs);
    if (day === null) return;
    const mark = markOfDay(day);
    const isCorrection = atMs <= (chain.lastSnapshotMs ?? 0);
    const counter = isCorrection ? chain.effective('snapshot', atMs) : null;
    if (isCorrection && (counter === null || this.#dayMarks.get(atMs) === mark)) return;
    const supersedes = counter === null ? null : { counter, reason: 'late_data' };
    maker.snapshot(atMs, day, lastCounterOf(chain, maker, atMs), supersedes);
    this.#dayMarks.set(atMs, mark);
  }
}

function statedOf(figures: HourFigures, mark: string): StatedHour {
  const { startMs, equityEnd, unrealisedEnd, inflow, outflow, byMarket } = figures;
  const { complete, gaps, rebuilt } = figures;
  const known = { startMs, equityEnd, unrealisedEnd, inflow, outflow, byMarket, complete, gaps };
  return { ...known, mark, rebuilt };
}

/** Of the hour before a midnight. */
export function lastCounterOf(chain: ChainCheck, maker: StatementMaker, atMs: number): number {
  const made = maker.made.findLast(
    ({ parsed }) => parsed.kind === 'hour' && parsed.figures.startMs === atMs - HOUR_MS,
  );
  return made?.parsed.counter ?? chain.effective('hour', atMs - HOUR_MS) ?? maker.counter;
}
