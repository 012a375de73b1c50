// Series of returns for tests: periods of one length, one after the other.

import type { ReturnPoint } from '../../../wire/performance/link.ts';
import { formatRatio, ratioOf } from '../../../wire/performance/ratio.ts';

export function series(
  returns: readonly (number | string | null)[],
  startMs = 0,
  lengthMs = 86_400_000,
): readonly ReturnPoint[] {
  return returns.map((value, at) => {
    const times = { startMs: startMs + at * lengthMs, endMs: startMs + (at + 1) * lengthMs };
    return value === null
      ? { ...times, ratio: null, method: null, reason: 'incomplete' }
      : { ...times, ratio: formatRatio(ratioOf(String(value))), method: 'twr', reason: null };
  });
}
