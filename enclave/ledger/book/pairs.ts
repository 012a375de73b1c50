// Movements that are no flows because their other half is there too: a transfer between wallets that both belong to the
// account, and the legs of a conversion. What has no other half came from outside or went there. Nothing else can
// pair a movement away: a deposit and a withdrawal of the same amount are two flows.

import type { BookEvent, Movement } from './event.ts';

/** Between the two halves of a transfer. */
export const TRANSFER_MATCH_MS = 600_000;
/** Between the legs of a conversion. */
export const CONVERSION_MATCH_MS = 60_000;

export type Role = 'internal' | 'conversion';

export interface Roles {
  /** By key, of movements that are no flows. */
  readonly of: ReadonlyMap<string, Role>;
  /** From the first to the last leg of each conversion that took time: what is there meanwhile is not known. */
  readonly halfway: readonly (readonly [number, number])[];
}

/**
 * Same currency, same amount, and the same name outside of the venue where both have one, or else close in time and out
 * before in: what comes first and leaves again was capital of somebody else meanwhile.
 */
function areHalves(first: Movement, then: Movement): boolean {
  if (first.currency !== then.currency || first.amount !== -then.amount) return false;
  if (first.amount === 0n) return false;
  if (first.networkId !== null && then.networkId !== null) {
    return first.networkId === then.networkId;
  }
  if (first.amount > 0n) return first.atMs === then.atMs;
  return then.atMs - first.atMs <= TRANSFER_MATCH_MS;
}

/** Pairs of halves in a list that is sorted by time, each with the first one that fits. */
function pairHalves(halves: readonly Movement[]): readonly (readonly [Movement, Movement])[] {
  const pairs: (readonly [Movement, Movement])[] = [];
  const open = new Map<string, Movement[]>();
  for (const half of halves) {
    const waiting = open.get(`${-half.amount} ${half.currency}`) ?? [];
    const at = waiting.findIndex((other) => areHalves(other, half));
    const other = waiting[at];
    if (other !== undefined) {
      waiting.splice(at, 1);
      pairs.push([other, half]);
      continue;
    }
    const key = `${half.amount} ${half.currency}`;
    open.set(key, [...(open.get(key) ?? []), half]);
  }
  return pairs;
}

function isTransfer({ type }: Movement): boolean {
  return type === 'transfer_in' || type === 'transfer_out';
}

function isWhole(group: readonly Movement[]): boolean {
  return group.some(({ amount }) => amount > 0n) && group.some(({ amount }) => amount < 0n);
}

/** Legs that belong together, under one name or one after the other, where there are some in both directions. */
function conversionsOf(legs: readonly Movement[]): readonly (readonly Movement[])[] {
  const named = new Map<string, Movement[]>();
  const groups: Movement[][] = [];
  for (const leg of legs) {
    const known = leg.networkId === null ? groups.at(-1) : named.get(leg.networkId);
    const last = known?.at(-1);
    const isNear = last !== undefined && leg.atMs - last.atMs <= CONVERSION_MATCH_MS;
    if (known !== undefined && (leg.networkId !== null || isNear)) {
      known.push(leg);
      continue;
    }
    const group = [leg];
    if (leg.networkId === null) groups.push(group);
    else named.set(leg.networkId, group);
  }
  return [...groups, ...named.values()].filter(isWhole);
}

const NO_ROLES: Roles = { of: new Map(), halfway: [] };

/**
 * Of the movements of an hour; `events` are sorted. A conversion of what is left out of the value
 * is none: the other leg brings capital in.
 */
export function rolesOf(
  events: readonly BookEvent[],
  wallets: ReadonlySet<string>,
  isExcluded: (currency: string) => boolean,
): Roles {
  const roles = new Map<string, Role>();
  const halfway: (readonly [number, number])[] = [];
  const flows: Movement[] = [];
  for (const event of events) if (event.kind === 'flow') flows.push(event);
  if (flows.length === 0) return NO_ROLES;
  const transfers = flows.filter(isTransfer);
  const halves = transfers.filter((flow) => {
    const both = flow.from !== null && flow.to !== null && flow.from !== flow.to;
    if (!both || !wallets.has(flow.from ?? '') || !wallets.has(flow.to ?? '')) return true;
    roles.set(flow.key, 'internal');
    return false;
  });
  for (const [a, b] of pairHalves(halves)) {
    roles.set(a.key, 'internal');
    roles.set(b.key, 'internal');
  }
  for (const group of conversionsOf(flows.filter(({ type }) => type === 'conversion'))) {
    if (group.some(({ currency }) => isExcluded(currency))) continue;
    for (const leg of group) roles.set(leg.key, 'conversion');
    const times = group.map(({ atMs }) => atMs);
    const [fromMs, toMs] = [Math.min(...times), Math.max(...times)];
    if (fromMs < toMs) halfway.push([fromMs, toMs]);
  }
  return { of: roles, halfway };
}
