// Several accounts in one hour, and sums in which what is not known stays so.

import type { Fixed } from '../../wire/fixed.ts';
import type { HourFigures } from '../../wire/track/figures.ts';

export interface Member {
  readonly figures: HourFigures;
  /** The hour before it, if the record has it. */
  readonly before: HourFigures | undefined;
  /** Its record begins with this hour, within that of others: it comes in with its value. */
  readonly joins: boolean;
}

/** All that are there in one hour. */
export interface Members {
  readonly startMs: number;
  readonly there: readonly Member[];
  /** Last hours of accounts whose records end where this hour begins: they leave with their value. */
  readonly gone: readonly HourFigures[];
}

/** Null as soon as one is null. */
export function addAll(values: readonly (Fixed | null)[]): Fixed | null {
  let sum = 0n;
  for (const value of values) {
    if (value === null) return null;
    sum += value;
  }
  return sum;
}
