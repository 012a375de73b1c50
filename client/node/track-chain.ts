// What rows of gRPC make of the chains that their statements are of: hours and snapshots that hold, in the order of each
// chain. What was superseded and what revokes is in no row, so that a chain with a correction or a loss has holes here; the
// account's owner has all of it (`trackseal session track`).

import type { VerifiedReturn, VerifiedSnapshot } from './track-rows.ts';

export type ChainRow = VerifiedReturn | VerifiedSnapshot;

export interface ChainRows {
  /** By account, then by counter. */
  readonly rows: readonly ChainRow[];
  /** Counters from 1 to the last of each account that no row has: 0 for whole chains. */
  readonly missing: number;
}

/** `snapshots` were asked for behind `returns`: those of hours that had not been there are left out. */
export function chainsOf(
  returns: readonly VerifiedReturn[],
  snapshots: readonly VerifiedSnapshot[],
): ChainRows {
  const lasts = new Map<string, number>();
  for (const { account, counter } of returns) {
    lasts.set(account, Math.max(counter, lasts.get(account) ?? 0));
  }
  const known = snapshots.filter(
    ({ account, counter }) => counter <= (lasts.get(account) ?? 0) + 1,
  );
  const rows = [...returns, ...known].toSorted((a, b) => {
    if (a.account !== b.account) return a.account < b.account ? -1 : 1;
    return a.counter - b.counter;
  });
  let missing = 0;
  for (const own of Map.groupBy(rows, ({ account }) => account).values()) {
    const counters = new Set(own.map(({ counter }) => counter));
    missing += (own.at(-1)?.counter ?? 0) - counters.size;
  }
  return { rows, missing };
}
