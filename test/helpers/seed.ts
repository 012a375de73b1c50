// What random tests draw from. The same numbers in every run, so that a check of a change says something about the change;
// `TRACKSEAL_SEED=new` (each night) looks for what nobody has found yet, and `TRACKSEAL_SEED=N` looks again.

import process from 'node:process';

const ALWAYS = 20_261_122;

export function testSeed(): number {
  const asked = process.env['TRACKSEAL_SEED'];
  if (asked === undefined) return ALWAYS;
  if (asked === 'new') return Math.floor(Math.random() * 2 ** 31);
  const seed = Number(asked);
  if (!Number.isSafeInteger(seed))
    throw new Error(`TRACKSEAL_SEED=${asked}: a whole number or new`);
  return seed;
}
