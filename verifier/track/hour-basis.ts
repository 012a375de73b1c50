// What an hour says of how well it is known, held against what it rests on: status and tolerance against the residual,
// polls and `complete` against the basis and the gaps. An enclave that calls an hour reconciled that is not, or complete
// with polls that failed, is refused. Not recomputed: the differences without their signs and what contracts were worth,
// which are in no statement, so that a status `beyond` and a tolerance above the least one are taken as they are stated.

import { OUTCOME } from '../../wire/exchange-call.ts';
import type { Fixed } from '../../wire/fixed.ts';
import { absolute, formatFixed } from '../../wire/fixed.ts';
import { COST_JUMP, VALUE_JUMP } from '../../wire/performance/hour-return.ts';
import { toleranceOf } from '../../wire/performance/tolerance.ts';
import type { HourFigures, HourStatus } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';

/** Gaps that come from prices, instruments and the hour before, and not from polls: an hour whose polls all told everything may have them. */
export const VALUED_GAPS: ReadonlySet<string> = new Set([
  'asset_unpriced',
  'contract_unknown',
  'flow_unpriced',
  'price_missing',
  'price_old',
  COST_JUMP,
  VALUE_JUMP,
]);

/** What is stated is not what it would have to be. */
export interface Wrong {
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** Of an hour of which nothing is known there is none, and nothing that it would be held against. */
function leastTolerance({ equityStart, equityEnd, residual }: HourFigures): Fixed {
  if (equityStart === null && equityEnd === null && residual === null) return 0n;
  return toleranceOf(equityStart, equityEnd, 0n);
}

function statusesOf({ residual, tolerance }: HourFigures): readonly HourStatus[] {
  if (residual === null) return ['unknown'];
  return absolute(residual) > tolerance ? ['beyond'] : ['reconciled', 'beyond'];
}

function wrongStatus(figures: HourFigures): Wrong | null {
  const expected = statusesOf(figures);
  if (expected.includes(figures.status)) return null;
  return { what: 'status', expected: expected.join(' or '), actual: figures.status };
}

function wrongTolerance(figures: HourFigures): Wrong | null {
  const least = leastTolerance(figures);
  if (figures.tolerance >= least) return null;
  const expected = `${formatFixed(least)} at least`;
  return { what: 'tolerance', expected, actual: formatFixed(figures.tolerance) };
}

/** Those that took place: of the times when nobody asked there is a row, too. */
function wrongPolls({ figures, basis }: HourStatement): Wrong | null {
  const told = basis.polls.filter(({ outcome }) => outcome !== OUTCOME.missed).length;
  if (figures.polls === told) return null;
  return { what: 'polls', expected: String(told), actual: String(figures.polls) };
}

/** Complete: at least one poll, all of them told everything, and no gap but those of prices. */
function wrongComplete({ figures, basis }: HourStatement): Wrong | null {
  const { complete, gaps, polls } = figures;
  const gap = gaps.find((code) => !VALUED_GAPS.has(code));
  const isTold = basis.polls.every(({ outcome }) => outcome === OUTCOME.complete);
  const expected = polls > 0 && isTold && gap === undefined;
  if (complete === expected) return null;
  // An hour is not complete for a reason, and the reason is a gap.
  const reason = complete ? (gap ?? `${polls} polls, not all complete`) : 'no gap says why';
  return { what: `complete (${reason})`, expected: String(expected), actual: String(complete) };
}

/** The first that is wrong; null: none. */
export function wrongOf(statement: HourStatement): Wrong | null {
  const { figures } = statement;
  return (
    wrongStatus(figures) ??
    wrongTolerance(figures) ??
    wrongPolls(statement) ??
    wrongComplete(statement)
  );
}

/** What contracts would have to be worth for the tolerance that is stated. */
export function impliedContracts({ equityStart, equityEnd, tolerance }: HourFigures): Fixed {
  const above = tolerance - toleranceOf(equityStart, equityEnd, 0n);
  return above <= 0n ? 0n : above * 1_000_000n;
}
