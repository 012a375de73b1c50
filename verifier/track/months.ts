// Months of UTC of a record, each linked from its hours.

import type { CalendarReturn } from '../../wire/performance/calendar.ts';
import { calendarReturns } from '../../wire/performance/calendar.ts';
import type { ReturnPoint } from '../../wire/performance/link.ts';

/** Start of the month of UTC; `offset` months later. */
function monthOf(ms: number, offset = 0): number {
  const date = new Date(ms);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset, 1);
}

export function monthlyReturns(hours: readonly ReturnPoint[]): readonly CalendarReturn[] {
  return calendarReturns(hours, monthOf, (startMs) => monthOf(startMs, 1));
}
