// Conventions for series of others: months, trading days.

import type { Conventions } from '../../../wire/performance/conventions.ts';
import { CONVENTIONS } from '../../../wire/performance/conventions.ts';

export function otherConventions(periodsPerYear: number, minimum: number): Conventions {
  return {
    ...CONVENTIONS.daily,
    frequency: 'other',
    periods_per_year: periodsPerYear,
    minimum_periods: { dispersion: minimum, counts: minimum, annual: periodsPerYear },
  };
}
