// JSON numbers with all their digits, for venues that write amounts as numbers: a float would lose some.

import { formatAmount } from './amount.ts';
import type { Amount } from './amount.ts';

interface WithRaw {
  rawJSON(text: string): object;
}

/** For JSON.stringify: the decimal as it is. */
export function jsonNumber(value: Amount): object {
  return (JSON as unknown as WithRaw).rawJSON(formatAmount(value));
}
