// What rows of gRPC make of the chains that their statements are of: hours and snapshots that hold, in the order of each
// chain. What was superseded and what revokes is in no row, so that a chain with a correction or a loss has holes here; the
// account's owner has all of it (`trackseal session track`).

import type { VerifiedReturn, VerifiedSnapshot } from './track-rows.ts';

export type ChainRow = VerifiedReturn | VerifiedSnapshot;

/** Counter of the last statement of each account that its signed metrics know; a revocation is in no row. */
export type ChainEnds = ReadonlyMap<string, number>;

export interface ChainRows {
  /** By account, then by counter. */
  readonly rows: readonly ChainRow[];
  /** Counters from 1 to the last of each account that no row has: 0 for whole chains. */
  readonly missing: number;
}

type Place = Pick<ChainRow, 'account' | 'counter'>;

function lastsOf(rows: readonly Place[]): ReadonlyMap<string, number> {
  const lasts = new Map<string, number>();
  for (const { account, counter } of rows) {
    lasts.set(account, Math.max(counter, lasts.get(account) ?? 0));
  }
  return lasts;
}

/** Whether a chain ends behind the last of its rows. */
export function goesOn(rows: readonly Place[], ends: ChainEnds): boolean {
  const lasts = lastsOf(rows);
  return [...ends].some(([account, end]) => end > (lasts.get(account) ?? 0));
}

/** `snapshots` were asked for behind `returns`, and both behind `ends`: those of hours that had not been there are left out. */
export function chainsOf(
  returns: readonly VerifiedReturn[],
  snapshots: readonly VerifiedSnapshot[],
  ends: ChainEnds,
): ChainRows {
  const lasts = lastsOf(returns);
  const known = snapshots.filter(({ account, counter }) => {
    return counter <= Math.max((lasts.get(account) ?? 0) + 1, ends.get(account) ?? 0);
  });
  const rows = [...returns, ...known].toSorted((a, b) => {
    if (a.account !== b.account) return a.account < b.account ? -1 : 1;
    return a.counter - b.counter;
  });
  let missing = 0;
  for (const [account, own] of Map.groupBy(rows, (row) => row.account)) {
    const counters = new Set(own.map(({ counter }) => counter));
    missing += Math.max(own.at(-1)?.counter ?? 0, ends.get(account) ?? 0) - counters.size;
  }
  return { rows, missing };
}
