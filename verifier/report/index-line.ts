// The linked index of a record as a line, and how far it is below its peak.

import { fallOf } from '../../wire/performance/drawdown.ts';
import type { ReturnPoint } from '../../wire/performance/link.ts';
import { GrowthIndex, INDEX_ONE, stepOf } from '../../wire/performance/link.ts';
import { exactRatio } from '../../wire/performance/ratio.ts';

export interface IndexPoint {
  readonly atMs: number;
  /** 1 + linked return, 18 digits. */
  readonly index: string;
  /** 1 − index / highest index until then. */
  readonly drawdown: string;
}

/** At the end of each period that is known. */
export function indexLine(points: readonly ReturnPoint[]): readonly IndexPoint[] {
  const index = new GrowthIndex();
  let peak = INDEX_ONE;
  const line: IndexPoint[] = [];
  for (const point of points) {
    const step = stepOf(point);
    if (step === null) continue;
    const value = index.apply(step);
    if (value > peak) peak = value;
    const written = exactRatio(value, INDEX_ONE);
    if (written === null) continue;
    line.push({ atMs: point.endMs, index: written, drawdown: fallOf(value, peak) });
  }
  return line;
}
