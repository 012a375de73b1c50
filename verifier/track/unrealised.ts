// What is not realised at the end of an hour is what was not at the end of the hour before it, and the change over the hour:
// one book makes both. Hours that were stated together come out of one run of it, and where they do not meet, one of them is
// wrong. Others may honestly not: a book that was lost is opened anew with another cost of what is held, and an hour that
// nobody waited for keeps what was stated of it. Nothing is refused then, and a report says where it is so.

import { formatFixed } from '../../wire/fixed.ts';
import { isCostJump } from '../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { Wrong } from './hour-basis.ts';

/** What is not realised begins with something else than it ended with before; null where it does not, or one is not known. */
export function unrealisedJump(before: HourFigures | undefined, hour: HourFigures): Wrong | null {
  if (!isCostJump(before, hour)) return null;
  const expected = (before?.unrealisedEnd ?? 0n) + (hour.unrealisedChange ?? 0n);
  const [stated, made] = [formatFixed(hour.unrealisedEnd ?? 0n), formatFixed(expected)];
  return { what: 'not realised at the end', expected: made, actual: stated };
}

/** Of two that are in one leaf. Corrections may take up what two runs have stated. */
export function wrongUnrealised(before: HourStatement, hour: HourStatement): Wrong | null {
  if (before.supersedes !== null || hour.supersedes !== null) return null;
  return unrealisedJump(before.figures, hour.figures);
}
