// Drawdowns of a linked index: from a peak to the first period that ends at it or above it again. The index starts at 1
// where the first period starts; deposits do not move it. Over a gap it moves by what the value changed; where that is not known it
// goes on where it was, so that a depth is a lower bound then, and whoever shows it says so.

import type { ReturnPoint } from './link.ts';
import { GrowthIndex, INDEX_ONE, stepOf } from './link.ts';
import { exactRatio, ratioUnits } from './ratio.ts';

export interface Drawdown {
  /** Above 0: 0.2 is a fall by a fifth; 1 or more when all was lost. */
  readonly depth: string;
  readonly peakMs: number;
  readonly troughMs: number;
  /** Null when it has not recovered. */
  readonly recoveryMs: number | null;
}

interface Open {
  readonly depth: string;
  readonly peakMs: number;
  readonly troughMs: number;
}

function close({ depth, peakMs, troughMs }: Open, recoveryMs: number | null): Drawdown {
  return { depth, peakMs, troughMs, recoveryMs };
}

/** 1 − value / peak: 0 or more. Beyond what can be written is not reached: nothing falls below a loss of 10^30 times all. */
export function fallOf(value: bigint, peak: bigint): string {
  return exactRatio(peak - value, peak) ?? '1';
}

/** In the order of time. */
export function drawdowns(points: readonly ReturnPoint[]): readonly Drawdown[] {
  const index = new GrowthIndex();
  let peak = { value: INDEX_ONE, atMs: points[0]?.startMs ?? 0 };
  let open: Open | null = null;
  const found: Drawdown[] = [];
  for (const point of points) {
    const step = stepOf(point);
    if (step === null) continue;
    const { endMs } = point;
    const value = index.apply(step);
    if (value >= peak.value) {
      if (open !== null) found.push(close(open, endMs));
      open = null;
      peak = { value, atMs: endMs };
      continue;
    }
    const depth = fallOf(value, peak.value);
    if (open === null || ratioUnits(depth) > ratioUnits(open.depth)) {
      open = { depth, peakMs: peak.atMs, troughMs: endMs };
    }
  }
  return open === null ? found : [...found, close(open, null)];
}

/** The deepest, of equals the first; null when the index never fell. */
export function maximumDrawdown(points: readonly ReturnPoint[]): Drawdown | null {
  let deepest: Drawdown | null = null;
  let depth = 0n;
  for (const each of drawdowns(points)) {
    const value = ratioUnits(each.depth);
    if (value <= depth) continue;
    deepest = each;
    depth = value;
  }
  return deepest;
}
