// Up to which an hour counts as reconciled: a cent, and a millionth of what the account and its contracts are worth, which
// is what venues round. What the contracts are worth is not stated: a reader of the hour knows the least that it must be.

import type { Fixed } from '../fixed.ts';
import { absolute, toFixed } from '../fixed.ts';

const CENT: Fixed = toFixed('0.01') ?? 0n;
const PARTS = 1_000_000n;

/** `notional`: of all open contracts at the end of the hour, without their signs, in US dollars. */
export function toleranceOf(start: Fixed | null, end: Fixed | null, notional: Fixed): Fixed {
  const [before, after] = [absolute(start ?? 0n), absolute(end ?? 0n)];
  return CENT + ((before > after ? before : after) + notional) / PARTS;
}
