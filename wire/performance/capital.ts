// How much capital the returns of a record rest on: a return of 900 % on forty dollars is forty dollars' worth. Money, exact.

import type { Fixed } from '../fixed.ts';
import { divideRounded } from '../fixed.ts';
import type { HourFigures } from '../track/figures.ts';
import { HOUR_MS } from '../track/figures.ts';
import { unexplainedSum } from './bridges.ts';
import { instantsOf } from './period-return.ts';
import { exactRatio } from './ratio.ts';

/** An hour that begins with less than this part of the mean is a small one. */
const SMALL_PARTS = 10n;

/** Of the value at the start of each hour where it is known; null where it is known of none. */
export interface Capital {
  /** Of those and of what each flow left: what is away for most of an hour is no capital of it. */
  readonly lowest: Fixed | null;
  /** Rounded half even at the 18th digit. */
  readonly mean: Fixed | null;
  readonly highest: Fixed | null;
  /** Hours whose value at the start is known. */
  readonly hours: number;
  /** Of them, those in which it, or what a flow left, was below a tenth of the mean. */
  readonly smallHours: number;
  /** `smallHours / hours`. */
  readonly smallShare: string | null;
  /** Dollars that were made: change of value without flows, and without what no record explains. */
  readonly gain: Fixed | null;
}

function gainOf(hours: readonly HourFigures[]): Fixed | null {
  const [first, last] = [hours[0], hours.at(-1)];
  if (first === undefined || last === undefined) return null;
  if (first.equityStart === null || last.equityEnd === null) return null;
  if (hours.some(({ startMs }, at) => startMs !== first.startMs + at * HOUR_MS)) return null;
  let gain = last.equityEnd - first.equityStart - unexplainedSum(hours);
  for (const { inflow, outflow } of hours) {
    if (inflow === null || outflow === null) return null;
    gain += outflow - inflow;
  }
  return gain;
}

/** The least that returns of an hour rest on. */
function leastOf(hour: HourFigures, equityStart: Fixed): Fixed {
  const left = instantsOf(hour).map(({ before, amount }) => (before ?? equityStart) + amount);
  return left.reduce((least, value) => (value < least ? value : least), equityStart);
}

function sorted(values: readonly Fixed[]): readonly Fixed[] {
  return values.toSorted((a, b) => (a < b ? -1 : 1));
}

/** `hours` in the order of time. */
export function capitalOf(hours: readonly HourFigures[]): Capital {
  const known = hours.flatMap((hour) =>
    hour.equityStart === null ? [] : [{ value: hour.equityStart, hour }],
  );
  const values = sorted(known.map(({ value }) => value));
  const least = sorted(known.map(({ hour, value }) => leastOf(hour, value)));
  const count = BigInt(values.length);
  const sum = values.reduce((total, value) => total + value, 0n);
  const small = least.filter((value) => value * SMALL_PARTS * count < sum).length;
  return {
    lowest: least[0] ?? null,
    mean: count === 0n ? null : divideRounded(sum, count),
    highest: values.at(-1) ?? null,
    hours: values.length,
    smallHours: small,
    smallShare: count === 0n ? null : exactRatio(BigInt(small), count),
    gain: gainOf(hours),
  };
}
