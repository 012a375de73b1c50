// The return of one period from its values and external flows. True time-weighted where the
// value right before each flow is known; between two known values with flows that have none, Modified Dietz with the exact
// fraction of the time. What is not known is null with a reason, never zero. Pure; amounts are bigint in one unit, and the
// result is exact until it is rounded once.
//
//   time-weighted     (V before flow 1 / V start) · (V before flow 2 / (V before flow 1 + flow 1)) · … − 1
//   Modified Dietz    (V1 − V0 − ΣF) / (V0 + Σ F·(t1 − t)/(t1 − t0))

import { exactRatio } from './ratio.ts';

export type ReturnMethod = 'twr' | 'modified_dietz';

export type ReturnReason =
  /** Polls, pages or prices of the period are missing. */
  | 'incomplete'
  /** No value at the start or at the end. */
  | 'no_value'
  /** A flow whose amount nobody could value. */
  | 'flow_not_valued'
  /** More is there than any record explains. */
  | 'gain_unexplained'
  /** Nothing was invested at any time of the period. */
  | 'no_capital'
  /** The capital that a return would rest on is below zero, or zero while there were gains. */
  | 'capital_not_positive'
  /** It begins with another value than the period before ended with: what happened in between is in no return. */
  | 'value_jump'
  /** Worked out backwards after hours that were seen: it counts for nothing but the change over the gap. */
  | 'rebuilt'
  /** A flow outside of its period: the figures contradict themselves. */
  | 'flow_outside'
  /** Not a figure that can be written with 30 digits before the point. */
  | 'too_large';

/** An amount that enters (+) or leaves (−) the account, and the account's value right before it. */
export interface ExternalFlow {
  readonly atMs: number;
  readonly amount: bigint | null;
  readonly equityBefore: bigint | null;
}

export interface PeriodValues {
  readonly startMs: number;
  readonly endMs: number;
  readonly equityStart: bigint | null;
  readonly equityEnd: bigint | null;
  readonly flows: readonly ExternalFlow[];
  /** All that happened in the period is known. */
  readonly complete: boolean;
}

export interface PeriodReturn {
  /** 0.01 is one per cent; 18 digits after the point; −1 or less when all was lost. */
  readonly ratio: string | null;
  readonly method: ReturnMethod | null;
  readonly reason: ReturnReason | null;
}

/** All flows of one instant; `before` is the value before the first of them. */
export interface Instant {
  readonly atMs: number;
  readonly amount: bigint;
  readonly before: bigint | null;
}

/** From one known value to the next, with the flows in between that have none. */
interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly unvalued: readonly Instant[];
}

function refused(reason: ReturnReason): PeriodReturn {
  return { ratio: null, method: null, reason };
}

/** What is wrong before anything is computed; null when nothing is. */
function faultOf(values: PeriodValues): ReturnReason | null {
  const { startMs, endMs, complete, flows, equityStart, equityEnd } = values;
  if (!complete) return 'incomplete';
  if (equityStart === null || equityEnd === null) return 'no_value';
  if (flows.some(({ amount }) => amount === null)) return 'flow_not_valued';
  if (flows.some(({ atMs }) => atMs < startMs || atMs > endMs)) return 'flow_outside';
  return null;
}

const NO_INSTANTS: readonly Instant[] = [];

/** Flows of the same millisecond are one flow. At the start of the period the value is the period's own. */
export function instantsOf({
  flows,
  startMs,
  equityStart,
}: Pick<PeriodValues, 'flows' | 'startMs' | 'equityStart'>): readonly Instant[] {
  if (flows.length === 0) return NO_INSTANTS;
  const instants: Instant[] = [];
  for (const { atMs, amount, equityBefore } of flows.toSorted((a, b) => a.atMs - b.atMs)) {
    const last = instants.at(-1);
    if (last?.atMs === atMs) {
      instants[instants.length - 1] = { ...last, amount: last.amount + (amount ?? 0n) };
    } else {
      const before = atMs === startMs ? equityStart : equityBefore;
      instants.push({ atMs, amount: amount ?? 0n, before });
    }
  }
  return instants;
}

function stretchesOf(values: PeriodValues, start: bigint, end: bigint): readonly Stretch[] {
  const stretches: Stretch[] = [];
  let from = { fromMs: values.startMs, start };
  let unvalued: Instant[] = [];
  for (const instant of instantsOf(values)) {
    const { atMs, amount, before } = instant;
    if (before === null) {
      unvalued.push(instant);
    } else {
      stretches.push({ ...from, toMs: atMs, end: before, unvalued });
      from = { fromMs: atMs, start: before + amount };
      unvalued = [];
    }
  }
  stretches.push({ ...from, toMs: values.endMs, end, unvalued });
  return stretches;
}

/** 1 + return, exact; the denominator is positive. */
interface Growth {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** `empty`: nothing was there, so there is no return, and nothing is lost by leaving it out. */
function growthOf(stretch: Stretch): Growth | 'empty' | 'capital_not_positive' {
  const { fromMs, toMs, start, end, unvalued } = stretch;
  if (unvalued.length === 0) {
    if (start > 0n) return { numerator: end, denominator: start };
    return start === 0n && end === 0n ? 'empty' : 'capital_not_positive';
  }
  const length = BigInt(toMs - fromMs);
  // Amounts times milliseconds.
  const weighted = unvalued.reduce(
    (sum, { atMs, amount }) => sum + amount * BigInt(toMs - atMs),
    start * length,
  );
  const flows = unvalued.reduce((sum, { amount }) => sum + amount, 0n);
  if (weighted <= 0n) return 'capital_not_positive';
  return { numerator: (end - start - flows) * length + weighted, denominator: weighted };
}

/**
 * The return of a period. When capital falls to zero or below, what was lost stays lost: later flows of the period do
 * not bring it back.
 */
export function periodReturn(values: PeriodValues): PeriodReturn {
  const { equityStart, equityEnd } = values;
  const fault = faultOf(values);
  if (fault !== null) return refused(fault);
  if (equityStart === null || equityEnd === null) return refused('no_value');
  const stretches = stretchesOf(values, equityStart, equityEnd);
  let numerator = 1n;
  let denominator = 1n;
  let isEmpty = true;
  for (const stretch of stretches) {
    const factor = growthOf(stretch);
    if (factor === 'capital_not_positive') return refused(factor);
    if (factor === 'empty') continue;
    isEmpty = false;
    numerator *= factor.numerator;
    denominator *= factor.denominator;
    if (numerator <= 0n) break;
  }
  if (isEmpty) return refused('no_capital');
  const ratio = exactRatio(numerator - denominator, denominator);
  if (ratio === null) return refused('too_large');
  const isDietz = stretches.some(({ unvalued }) => unvalued.length > 0);
  const method = isDietz ? 'modified_dietz' : 'twr';
  return { ratio, method, reason: null };
}
