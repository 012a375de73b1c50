// Transfers between accounts of one user, found in their signed flows: what left one and came to another under one reference,
// which only the enclave can make. Nothing else pairs a flow away. What looks like the two halves of one by amount and time and has no
// reference in common stays what it is in both accounts, a flow from and to outside, and is listed.

import { toHex } from '../../wire/bytes.ts';
import type { Fixed } from '../../wire/fixed.ts';
import { absolute } from '../../wire/fixed.ts';
import type { HourFigures, HourFlow } from '../../wire/track/figures.ts';

/** From one account to the other: banks and slow networks take days. What takes longer came from outside. */
export const MAX_TRANSIT_MS: number = 7 * 86_400_000;
/** Venues' clocks differ, and some book what comes before what went: it may have come so much earlier. */
export const MAX_AHEAD_MS = 3_600_000;
/** Amounts that differ by less, in parts of what left, look alike. */
export const ALIKE_PARTS = 50n;
const MAX_ALIKE = 1000;
/** Pairs that are looked at for them: a second of work. */
const MAX_LOOKS = 20_000_000;

export interface Half {
  /** Of the list of accounts. */
  readonly account: number;
  /** Start of the hour whose figures have it. */
  readonly hourMs: number;
  readonly atMs: number;
  /** In US dollars where it was told, positive. */
  readonly amount: Fixed;
}

export interface Transfer {
  readonly left: Half;
  readonly arrived: Half;
  /** Hex. */
  readonly reference: string;
}

/** `no_reference`: at least one of the venues names no transaction. `references_differ`: both name one, and not the same. */
export interface LooksAlike extends Omit<Transfer, 'reference'> {
  readonly reason: 'no_reference' | 'references_differ';
}

export interface Transfers {
  /** In the order in which they left. */
  readonly internal: readonly Transfer[];
  readonly alike: readonly LooksAlike[];
  /** The half that a flow is; of internal transfers only. */
  readonly of: ReadonlyMap<HourFlow, Transfer>;
}

interface Candidate extends Half {
  readonly flow: HourFlow;
  readonly reference: string | null;
}

function candidatesOf(
  accounts: readonly (readonly HourFigures[])[],
  isWanted: (amount: Fixed) => boolean,
): readonly Candidate[] {
  return accounts.flatMap((hours, account) =>
    hours.flatMap(({ startMs: hourMs, flows }) =>
      flows.flatMap((flow): readonly Candidate[] => {
        const { atMs, amount } = flow;
        if (amount === null || !isWanted(amount)) return [];
        const reference = flow.reference === null ? null : toHex(flow.reference);
        return [{ account, hourMs, atMs, amount: absolute(amount), flow, reference }];
      }),
    ),
  );
}

function mayBeOne(left: Candidate, arrived: Candidate): boolean {
  const tookMs = arrived.atMs - left.atMs;
  const isInTime = tookMs >= -MAX_AHEAD_MS && tookMs <= MAX_TRANSIT_MS;
  return isInTime && left.account !== arrived.account;
}

function halfOf({ account, hourMs, atMs, amount }: Candidate): Half {
  return { account, hourMs, atMs, amount };
}

type Pair = readonly [Candidate, Candidate];

/** Of one reference, those with the nearest amounts first: one transaction may pay several. */
function pairsOf(lefts: readonly Candidate[], arrivals: readonly Candidate[]): readonly Pair[] {
  const all = lefts.flatMap((left) =>
    arrivals.filter((arrived) => mayBeOne(left, arrived)).map((arrived): Pair => [left, arrived]),
  );
  const difference = ([left, arrived]: Pair): Fixed => absolute(arrived.amount - left.amount);
  const used = new Set<Candidate>();
  return all
    .toSorted((a, b) =>
      difference(a) < difference(b) ? -1 : difference(a) > difference(b) ? 1 : 0,
    )
    .filter((pair) => {
      if (pair.some((half) => used.has(half))) return false;
      for (const half of pair) used.add(half);
      return true;
    });
}

function isAlike({ amount: left }: Candidate, { amount: arrived }: Candidate): boolean {
  return absolute(arrived - left) * ALIKE_PARTS <= left;
}

/** Each with the first that fits; what is found is only told, and changes no figure. */
function alikeOf(
  lefts: readonly Candidate[],
  arrivals: readonly Candidate[],
): readonly LooksAlike[] {
  const byTime = arrivals.toSorted((a, b) => a.atMs - b.atMs);
  const used = new Set<Candidate>();
  const alike: LooksAlike[] = [];
  let [first, looks] = [0, 0];
  for (const left of lefts.toSorted((a, b) => a.atMs - b.atMs)) {
    while ((byTime[first]?.atMs ?? left.atMs) < left.atMs - MAX_AHEAD_MS) first++;
    let arrived: Candidate | undefined;
    for (let at = first; at < byTime.length; at++) {
      const one = byTime[at];
      if (one === undefined || one.atMs > left.atMs + MAX_TRANSIT_MS) break;
      if (++looks > MAX_LOOKS) return alike;
      if (used.has(one) || !mayBeOne(left, one) || !isAlike(left, one)) continue;
      arrived = one;
      break;
    }
    if (arrived === undefined) continue;
    used.add(arrived);
    const hasBoth = left.reference !== null && arrived.reference !== null;
    const reason = hasBoth ? 'references_differ' : 'no_reference';
    alike.push({ left: halfOf(left), arrived: halfOf(arrived), reason });
    if (alike.length === MAX_ALIKE) break;
  }
  return alike;
}

/** Hours of each account in the order of time. */
export function findTransfers(accounts: readonly (readonly HourFigures[])[]): Transfers {
  const lefts = candidatesOf(accounts, (amount) => amount < 0n);
  const arrivals = candidatesOf(accounts, (amount) => amount > 0n);
  const named = Map.groupBy(arrivals, ({ reference }) => reference);
  const internal: Transfer[] = [];
  const of = new Map<HourFlow, Transfer>();
  for (const [reference, group] of Map.groupBy(lefts, (left) => left.reference)) {
    if (reference === null) continue;
    for (const [left, arrived] of pairsOf(group, named.get(reference) ?? [])) {
      const transfer = { left: halfOf(left), arrived: halfOf(arrived), reference };
      internal.push(transfer);
      of.set(left.flow, transfer);
      of.set(arrived.flow, transfer);
    }
  }
  const isOpen = ({ flow }: Candidate): boolean => !of.has(flow);
  return {
    internal: internal.toSorted((a, b) => a.left.atMs - b.left.atMs),
    alike: alikeOf(lefts.filter(isOpen), arrivals.filter(isOpen)),
    of,
  };
}
