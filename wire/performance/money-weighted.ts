// The money-weighted return of a record: what was there at its start and each deposit count as paid in, each
// withdrawal and what is there at its end as paid out. It needs every flow of the time, so a gap makes it null.

import type { HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import { unexplainedSum } from './bridges.ts';
import { isJump, isObserved, mayHideFlow } from './hour-return.ts';
import type { InvestorFlow, MoneyWeighted } from './xirr.ts';
import { noRate, xirr, XIRR_YEAR_MS } from './xirr.ts';

/** Nobody looked, or there is more than any record explains, which may have been paid in. */
function mayHideFlows(hour: HourFigures, before: HourFigures | undefined): boolean {
  return !isObserved(hour) || hour.rebuilt || mayHideFlow(hour) || isJump(before, hour);
}

/** `hours` in the order of time. */
export function moneyWeighted(hours: readonly HourFigures[]): MoneyWeighted {
  const first = hours[0];
  const last = hours.at(-1);
  if (first === undefined || last === undefined) return noRate('none');
  const isWhole = hours.every((hour, at) => hour.startMs === first.startMs + at * HOUR_MS);
  if (!isWhole || hours.some((hour, at) => mayHideFlows(hour, hours[at - 1]))) {
    return noRate('gaps');
  }
  if (first.equityStart === null || last.equityEnd === null) return noRate('no_value');
  const flows: InvestorFlow[] = [{ atMs: first.startMs, amount: -first.equityStart }];
  for (const { inflow, outflow, flows: told } of hours) {
    if (inflow === null || outflow === null) return noRate('gaps');
    for (const { atMs, amount } of told) {
      if (amount === null) return noRate('no_value');
      flows.push({ atMs, amount: -amount });
    }
  }
  const endMs = last.startMs + HOUR_MS;
  // Little sums that no record explains, hour by hour, are no gain.
  const found = xirr([...flows, { atMs: endMs, amount: last.equityEnd - unexplainedSum(hours) }]);
  // GIPS does not let shorter periods be annualised.
  const isShort = endMs - first.startMs < XIRR_YEAR_MS && found.annual !== null;
  return isShort ? { ...found, annual: null, reason: 'below_minimum' } : found;
}
