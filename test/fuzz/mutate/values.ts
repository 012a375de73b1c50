// Numbers and lengths at which parsers change their mind: powers of two, the protocol's limits, and their
// neighbours.

import * as limits from '../../../wire/limits.ts';
import type { Random } from '../random.ts';

const POWERS: readonly bigint[] = [0n, 7n, 8n, 15n, 16n, 31n, 32n, 52n, 53n, 62n, 63n, 64n].map(
  (power) => 1n << power,
);
const LIMITS: readonly bigint[] = Object.values(limits).flat().map(BigInt);
const OTHERS: readonly bigint[] = [
  0n,
  10n,
  18n,
  24n,
  27n,
  64n,
  69n,
  79n,
  999n,
  1000n,
  1999n,
  2000n,
  65_535n,
  86_400_000n,
  9_999_999_999n,
  8_640_000_000_000n,
  8_640_000_000_000_000n,
  1_723_161_254_206_652_067n,
];

const INTERESTING: readonly bigint[] = [
  ...new Set([...POWERS, ...LIMITS, ...OTHERS].flatMap((value) => [value - 1n, value, value + 1n])),
].filter((value) => value >= 0n && value < 1n << 64n);

/** 0 to 2^64-1. */
export function interestingUint(random: Random): bigint {
  return random.oneIn(4) ? BigInt(random.below(300)) : random.pick(INTERESTING);
}

const LENGTHS: readonly number[] = [
  0, 1, 2, 12, 16, 20, 32, 47, 48, 64, 80, 91, 96, 120, 128, 253, 255, 256, 272, 512, 1024, 2048,
].flatMap((length) => [Math.max(0, length - 1), length, length + 1]);

const LONG_LENGTHS: readonly number[] = [
  4096, 8192, 16_384, 32_768, 49_168, 61_440, 65_535, 65_536, 131_072, 262_144, 1_048_576,
].flatMap((length) => [length - 1, length, length + 1]);

/** A length of a string or list; long ones are rare, because they are slow. */
export function interestingLength(random: Random, maximum: number): number {
  const length = random.pick(random.oneIn(64) ? LONG_LENGTHS : LENGTHS);
  return Math.min(length, maximum);
}

/** A value near `value`, or another interesting one. */
export function changedUint(random: Random, value: bigint): bigint {
  const choice = random.below(6);
  if (choice === 0 && value > 0n) return value - 1n;
  if (choice === 1 && value < (1n << 64n) - 1n) return value + 1n;
  if (choice === 2) return value ^ (1n << BigInt(random.below(64)));
  return interestingUint(random);
}
