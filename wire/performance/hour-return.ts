// The return of an hour of an account, from the figures that are signed for it. The hour counts when its figures rest on
// what the venue told: every poll told everything, or balances and positions that were told in the hour were compared with
// the ledger, or a later poll told everything that earlier ones could not. An hour of which none is true is a gap,
// whatever its figures say.

import type { Fixed } from '../fixed.ts';
import { absolute } from '../fixed.ts';
import type { HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import type { ReturnPoint } from './link.ts';
import type { PeriodReturn, PeriodValues } from './period-return.ts';
import { instantsOf, periodReturn } from './period-return.ts';

/** There are records of the hour that are in no figure: what balances say does not make it known. */
export const NOT_BOOKED = 'not_booked';

/** The venue had let go of what happened then when it was asked: what it was is in no record, only in what is held after it. */
export const HISTORY_LIMIT = 'history_limit';

/** The hour before it was stated with another value at its end: what happened in between is in no hour. */
export const VALUE_JUMP = 'value_jump';

/** What is held had another cost by then: a part of what was not realised before is realised nowhere. The return has no cost in it. */
export const COST_JUMP = 'cost_jump';

/** Codes of `gaps` that say that something may still be missing; with others a later poll has told what earlier ones had not. */
const MISSING: ReadonlySet<string> = new Set([
  'not_completed',
  'not_known',
  'too_precise',
  'record_malformed',
]);

/** Flows without a value before them that come to more than a tenth of the capital are large: only values tell them apart. */
const LARGE_FLOW_PARTS = 10n;

/** What of the figures the return rests on. */
export type HourBasis = Pick<
  HourFigures,
  | 'startMs'
  | 'equityStart'
  | 'equityEnd'
  | 'inflow'
  | 'outflow'
  | 'flows'
  | 'residual'
  | 'complete'
  | 'status'
  | 'gaps'
>;

/** Whether all of the hour is known by now: figures of an hour that nobody saw are no record. */
export function isObserved({
  complete,
  status,
  gaps,
}: Pick<HourBasis, 'complete' | 'status' | 'gaps'>): boolean {
  if (gaps.includes(NOT_BOOKED) || gaps.includes(HISTORY_LIMIT)) return false;
  if (complete || status !== 'unknown') return true;
  return gaps.length > 0 && !gaps.some((gap) => MISSING.has(gap));
}

/** What is there beyond all records. It may be a deposit that the venue does not list, so no return has it. */
export function unexplainedGain({ residual }: Pick<HourBasis, 'residual'>): Fixed {
  return residual !== null && residual > 0n ? residual : 0n;
}

/** Whether it is more than what venues round: then money may have been paid in. */
export function mayHideFlow(figures: Pick<HourBasis, 'residual' | 'status'>): boolean {
  return figures.status === 'beyond' && unexplainedGain(figures) > 0n;
}

/**
 * Whether flows without a value before them could be most of what was there at the last known value: Modified Dietz says
 * nothing then.
 */
export function hasLargeUnvalued(
  values: Pick<PeriodValues, 'startMs' | 'equityStart' | 'flows'>,
): boolean {
  let [sum, capital] = [0n, values.equityStart ?? 0n];
  for (const { amount, before } of instantsOf(values)) {
    if (before !== null) [sum, capital] = [0n, before + amount];
    else if (isLargeFlow((sum += absolute(amount)), capital)) return true;
  }
  return false;
}

export function isLargeFlow(sum: Fixed, capital: Fixed): boolean {
  return sum * LARGE_FLOW_PARTS > absolute(capital);
}

export function hourReturn(figures: HourBasis): PeriodReturn {
  const found = ownReturn(figures);
  if (found.ratio === null || !figures.gaps.includes(VALUE_JUMP)) return found;
  return { ratio: null, method: null, reason: VALUE_JUMP };
}

function ownReturn(figures: HourBasis): PeriodReturn {
  const { startMs, equityStart, equityEnd, inflow, outflow, flows } = figures;
  const unpriced = inflow === null || outflow === null || hasLargeUnvalued(figures);
  if (unpriced && isObserved(figures)) {
    return { ratio: null, method: null, reason: 'flow_not_valued' };
  }
  const found = periodReturn({
    startMs,
    endMs: startMs + HOUR_MS,
    equityStart,
    equityEnd: equityEnd === null ? null : equityEnd - unexplainedGain(figures),
    flows,
    complete: isObserved(figures),
  });
  // A loss counts all the same: otherwise whoever has one sends himself a little money.
  if (!mayHideFlow(figures) || found.ratio?.startsWith('-') === true) return found;
  return { ratio: null, method: null, reason: 'gain_unexplained' };
}

export function hourPoint(figures: HourBasis): ReturnPoint {
  const { startMs } = figures;
  return { startMs, endMs: startMs + HOUR_MS, ...hourReturn(figures) };
}

/** Whether the hour before it ended with another value. */
export function isJump(
  before: Pick<HourFigures, 'startMs' | 'equityEnd'> | undefined,
  hour: Pick<HourFigures, 'startMs' | 'equityStart'>,
): boolean {
  if (before?.startMs !== hour.startMs - HOUR_MS) return false;
  const { equityEnd } = before;
  const { equityStart } = hour;
  return equityEnd !== null && equityStart !== null && equityEnd !== equityStart;
}

/** Whether what was not realised begins with something else than it ended with; not where one is not known. */
export function isCostJump(
  before: Pick<HourFigures, 'startMs' | 'unrealisedEnd'> | undefined,
  hour: Pick<HourFigures, 'startMs' | 'unrealisedEnd' | 'unrealisedChange'>,
): boolean {
  if (before?.startMs !== hour.startMs - HOUR_MS || before.unrealisedEnd === null) return false;
  const { unrealisedChange, unrealisedEnd } = hour;
  if (unrealisedChange === null || unrealisedEnd === null) return false;
  return before.unrealisedEnd + unrealisedChange !== unrealisedEnd;
}
