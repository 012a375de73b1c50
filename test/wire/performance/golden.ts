// The published examples, as they lie in test/fixtures/performance. Numbers of the file become decimal texts and whole
// numbers at once: no test computes with floating-point money.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toFixed } from '../../../wire/fixed.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import { ROOT } from '../../../scripts/bundle.ts';

export const FIXTURES: string = join(ROOT, 'test/fixtures/performance');

export type GoldenCase = Readonly<Record<string, unknown>> & { readonly id: string };

export const GOLDEN: readonly GoldenCase[] = JSON.parse(
  readFileSync(join(FIXTURES, 'golden-metrics.json'), 'utf8'),
) as GoldenCase[];

export function goldenCase(id: string): GoldenCase {
  const found = GOLDEN.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no golden case ${id}`);
  return found;
}

/** Of what a file says: a number in the shortest form, or text. */
export function money(value: number | string): Fixed {
  const fixed = toFixed(String(value));
  if (fixed === null) throw new Error(`not an amount: ${String(value)}`);
  return fixed;
}

export function numberOf(text: string | null): number {
  if (text === null) throw new Error('no figure');
  return Number(text);
}
