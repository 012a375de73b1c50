// The return of an hour of an account, from the figures that are signed for it. The hour counts when its figures rest on
// what the venue told: every poll told everything, or balances and positions that were told in the hour were compared with
// the ledger, or a later poll told everything that earlier ones could not. An hour of which none is true is a gap,
// whatever its figures say.

import type { HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import type { ReturnPoint } from './link.ts';
import type { PeriodReturn } from './period-return.ts';
import { periodReturn } from './period-return.ts';

/** Codes of `gaps` that say that something may still be missing; with others a later poll has told what earlier ones had not. */
const MISSING: ReadonlySet<string> = new Set([
  'not_completed',
  'not_booked',
  'not_known',
  'too_precise',
]);

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
  if (complete || status !== 'unknown') return true;
  return gaps.length > 0 && !gaps.some((gap) => MISSING.has(gap));
}

export function hourReturn(figures: HourBasis): PeriodReturn {
  const { startMs, equityStart, equityEnd, inflow, outflow, flows } = figures;
  if ((inflow === null || outflow === null) && isObserved(figures)) {
    return { ratio: null, method: null, reason: 'flow_not_valued' };
  }
  // It may be a deposit that the venue does not list. A loss that nobody explains counts: what has no name never helps.
  if (figures.status === 'beyond' && figures.residual !== null && figures.residual > 0n) {
    return { ratio: null, method: null, reason: 'gain_unexplained' };
  }
  return periodReturn({
    startMs,
    endMs: startMs + HOUR_MS,
    equityStart,
    equityEnd,
    flows,
    complete: isObserved(figures),
  });
}

export function hourPoint(figures: HourBasis): ReturnPoint {
  const { startMs } = figures;
  return { startMs, endMs: startMs + HOUR_MS, ...hourReturn(figures) };
}
