// What the value changed over each gap of a record, so that nobody gains from a gap in a bad hour. From the last value before
// it to the first behind it, by the rules of an hour's return: flows that were valued split it, others are weighted by
// time (Modified Dietz). Where a flow of the gap is not known, nothing is. What no record explains never helps.

import type { Fixed } from '../fixed.ts';
import type { HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import { hasLargeUnvalued, isObserved, unexplainedGain } from './hour-return.ts';
import type { GapReason, ReturnGap, ReturnPoint } from './link.ts';
import type { ExternalFlow } from './period-return.ts';
import { periodReturn } from './period-return.ts';
import { ratioUnits } from './ratio.ts';

export interface BridgedGap extends ReturnGap {
  /** 0.01: the account made one per cent over the gap. Null: not known. */
  readonly change: string | null;
  /** Why it is not. */
  readonly unknown: GapReason | null;
}

export interface Bridged {
  /** Of the same times; over a gap whose change is known the last hour has it, those before it 0. */
  readonly points: readonly ReturnPoint[];
  /** In the order of time. `reason` is that of the first hour. */
  readonly gaps: readonly BridgedGap[];
}

/** Hours `[first, end)` without a return, and holes between and before them. */
interface Run {
  readonly first: number;
  readonly fromMs: number;
  readonly reason: GapReason;
  hasHole: boolean;
}

/** Money that appeared: what balances show beyond the ledger, and values at which an hour begins above the end of the one before. */
export function unexplainedSum(hours: readonly HourFigures[], before?: HourFigures): Fixed {
  return hours.reduce((sum, hour, at) => {
    const ended = (hours[at - 1] ?? before)?.equityEnd ?? null;
    const jump = ended === null || hour.equityStart === null ? 0n : hour.equityStart - ended;
    return sum + unexplainedGain(hour) + (jump > 0n ? jump : 0n);
  }, 0n);
}

/** A value that both hours know, and that all of both was seen for: a gap may end at it, and another begin. */
function isAnchor(before: HourFigures, hour: HourFigures): boolean {
  const isSeen = [before, hour].every((one) => isObserved(one) && !one.rebuilt);
  return isSeen && before.equityEnd !== null && before.equityEnd === hour.equityStart;
}

/** More flows than an hour lists, each with a price: what came and went, from its begin on. */
function sumsOf({ startMs, inflow, outflow }: HourFigures): readonly ExternalFlow[] {
  const amounts = [inflow, outflow === null ? null : -outflow];
  return amounts.map((amount, at) => ({ atMs: startMs + 1 + at, amount, equityBefore: null }));
}

/** A value at a flow counts where all of its hour was seen: otherwise a loss may have been booked after it only. */
function flowsOf(hours: readonly HourFigures[]): readonly ExternalFlow[] | null {
  const flows = hours.flatMap((hour) => {
    const isSeen = isObserved(hour) && !hour.rebuilt;
    if (hour.flows.some(({ amount }) => amount === null)) return sumsOf(hour);
    return hour.flows.map((flow) => (isSeen ? flow : { ...flow, equityBefore: null }));
  });
  const isKnown = hours.every(({ inflow, outflow }) => inflow !== null && outflow !== null);
  return isKnown && flows.every(({ amount }) => amount !== null) ? flows : null;
}

function changeOf(
  hours: readonly HourFigures[],
  { first, fromMs, hasHole, reason }: Run,
  end: number,
): Pick<BridgedGap, 'change' | 'unknown'> {
  const own = hours.slice(first, end);
  const before = hours[first - 1];
  const last = own.at(-1);
  const flows = flowsOf(own);
  if (hasHole || last === undefined) return { change: null, unknown: 'missing' };
  if (flows === null) return { change: null, unknown: reason };
  const after = hours[end];
  const values = {
    startMs: fromMs,
    endMs: last.startMs + HOUR_MS,
    equityStart: before === undefined ? (own[0]?.equityStart ?? null) : before.equityEnd,
    equityEnd: after === undefined ? last.equityEnd : after.equityStart,
    flows,
    complete: true,
  };
  if (hasLargeUnvalued(values)) return { change: null, unknown: 'flow_not_valued' };
  const { equityEnd } = values;
  const found = unexplainedSum(own, before);
  const explained = { ...values, equityEnd: equityEnd === null ? null : equityEnd - found };
  const made = periodReturn(explained);
  if (made.reason === 'no_capital') return { change: '0', unknown: null };
  if (found === 0n || made.ratio === null || made.ratio.startsWith('-')) {
    return { change: made.ratio, unknown: made.reason };
  }
  // A gain may have been made with what was found, too: it rests on both. Of the two the lower one, because with the values at
  // flows left out a gain can come out too large.
  const paidIn = { atMs: fromMs, amount: found, equityBefore: null };
  const unvalued = flows.map(({ atMs, amount }) => ({ atMs, amount, equityBefore: null }));
  const { ratio, reason: fault } = periodReturn({ ...values, flows: [paidIn, ...unvalued] });
  const isLess = ratio !== null && ratioUnits(made.ratio) < ratioUnits(ratio);
  return { change: isLess ? made.ratio : ratio, unknown: fault };
}

/** `hours` in the order of time, `points` one for each of them. */
export function bridge(hours: readonly HourFigures[], points: readonly ReturnPoint[]): Bridged {
  const bridged = [...points];
  const gaps: BridgedGap[] = [];
  let run: Run | null = null;
  const close = (end: number, toMs: number): void => {
    if (run === null) return;
    const found = changeOf(hours, run, end);
    const { first, fromMs, reason } = run;
    gaps.push({ fromMs, toMs, reason, ...found });
    for (let at = first; at < end && found.change !== null; at++) {
      const point = points[at];
      if (point !== undefined)
        bridged[at] = { ...point, bridged: at === end - 1 ? found.change : '0' };
    }
    run = null;
  };
  for (const [at, hour] of hours.entries()) {
    const before = hours[at - 1];
    const reason = points[at]?.reason ?? null;
    const beforeMs = before === undefined ? hour.startMs : before.startMs + HOUR_MS;
    const isHole = hour.startMs > beforeMs;
    const isOther = run !== null && run.reason !== reason && before !== undefined;
    if (isOther && !isHole && isAnchor(before, hour)) close(at, hour.startMs);
    if (isHole) {
      run ??= { first: at, fromMs: beforeMs, reason: 'missing', hasHole: true };
      run.hasHole = true;
    }
    if (reason === null) close(at, hour.startMs);
    else run ??= { first: at, fromMs: hour.startMs, reason, hasHole: false };
  }
  const last = hours.at(-1);
  if (last !== undefined) close(hours.length, last.startMs + HOUR_MS);
  return { points: bridged, gaps };
}
