// Linking returns of consecutive periods: hours to days, to months, to the whole record. A period without a return, or
// a hole between two periods, makes the linked return null: nobody can say what happened there. Beside it stands what the
// value changed over the gaps linked with the rest (`bridged`), and what the other periods made together (`observed`), which is
// never shown without it: whoever has a gap in a bad hour would look better.

import { divideRounded, FIXED_ONE } from '../fixed.ts';
import type { PeriodReturn, ReturnReason } from './period-return.ts';
import { exactRatio, ratioUnits } from './ratio.ts';

/** Periods in the order of time; none overlaps another. */
export interface ReturnPoint extends PeriodReturn {
  readonly startMs: number;
  readonly endMs: number;
  /** Of a gap whose change is known (bridges.ts): the last period has it, those before it 0. */
  readonly bridged?: string | null;
}

/** What moves an index over the period; null where nobody knows. */
export function stepOf({ ratio, bridged }: ReturnPoint): string | null {
  return ratio ?? bridged ?? null;
}

/** `missing`: no record of that time at all. */
export type GapReason = ReturnReason | 'missing';

export interface ReturnGap {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: GapReason;
}

export interface LinkedReturn {
  readonly startMs: number;
  readonly endMs: number;
  /** Null when there is a gap. */
  readonly ratio: string | null;
  /** With what the value changed over the gaps; null when one of them is not known. */
  readonly bridged: string | null;
  /** Of the periods that have a return, which is none of the whole; null when there is none. */
  readonly observed: string | null;
  readonly method: PeriodReturn['method'];
  readonly periods: number;
  readonly gaps: readonly ReturnGap[];
}

/** 1 of a linked index: whole numbers in units of 10^-48, so that a year of hours is rounded far below the 18th digit. */
export const INDEX_ONE: bigint = 10n ** 48n;

/** Product of 1 + each ratio, rounded half even after each; once nothing is left, nothing is left. */
export class GrowthIndex {
  #value = INDEX_ONE;

  get value(): bigint {
    return this.#value;
  }

  apply(ratio: string): bigint {
    if (this.#value > 0n) {
      this.#value = divideRounded(this.#value * (FIXED_ONE + ratioUnits(ratio)), FIXED_ONE);
    }
    return this.#value;
  }
}

/** Neighbours of one reason are one gap. */
export function gapsOf(
  points: readonly ReturnPoint[],
  startMs: number,
  endMs: number,
): readonly ReturnGap[] {
  const gaps: ReturnGap[] = [];
  const add = (fromMs: number, toMs: number, reason: GapReason): void => {
    const last = gaps.at(-1);
    if (last?.toMs === fromMs && last.reason === reason) gaps[gaps.length - 1] = { ...last, toMs };
    else gaps.push({ fromMs, toMs, reason });
  };
  let atMs = startMs;
  for (const point of points) {
    if (point.startMs < atMs) throw new RangeError('periods overlap or are not in order');
    if (point.startMs > atMs) add(atMs, point.startMs, 'missing');
    if (point.ratio === null) add(point.startMs, point.endMs, point.reason ?? 'incomplete');
    atMs = point.endMs;
  }
  if (atMs < endMs) add(atMs, endMs, 'missing');
  return gaps;
}

function isStep(point: ReturnPoint): boolean {
  return stepOf(point) !== null;
}

/** Null of none. */
function grown(points: readonly ReturnPoint[]): string | null {
  const index = new GrowthIndex();
  for (const point of points) index.apply(stepOf(point) ?? '0');
  return points.length === 0 ? null : exactRatio(index.value - INDEX_ONE, INDEX_ONE);
}

/** Of `[startMs, endMs)`: what the points leave uncovered is a gap. The points lie in it. */
export function linkReturns(
  points: readonly ReturnPoint[],
  startMs: number = points[0]?.startMs ?? 0,
  endMs: number = points.at(-1)?.endMs ?? startMs,
): LinkedReturn {
  const gaps = gapsOf(points, startMs, endMs);
  const known = points.filter(({ ratio }) => ratio !== null);
  const observed = grown(known);
  const isBridged = gaps.every(({ reason }) => reason !== 'missing') && points.every(isStep);
  const isDietz = known.some(({ method }) => method === 'modified_dietz');
  const method = isDietz ? 'modified_dietz' : 'twr';
  return {
    startMs,
    endMs,
    ratio: gaps.length === 0 ? observed : null,
    bridged: isBridged ? grown(points) : null,
    observed,
    method: observed === null ? null : method,
    periods: known.length,
    gaps,
  };
}
