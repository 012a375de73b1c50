// What is on its way between two accounts: it left one and has not arrived at the other. It belongs to the sum of both, at the
// value that it left with; where a venue books what comes before what went, it is counted once all the same.

import type { Fixed } from '../../wire/fixed.ts';
import type { HourFlow } from '../../wire/track/figures.ts';
import type { Transfer } from './transfers.ts';

function isLeftLast({ left, arrived }: Transfer): boolean {
  return left.atMs > arrived.atMs;
}

/** Whether a flow is the half of it that comes second. */
export function isSecond({ amount }: HourFlow, transfer: Transfer): boolean {
  return (amount ?? 0n) < 0n === isLeftLast(transfer);
}

/** What transfers add to the sum of the accounts at a moment between their halves. */
function sumOf(
  transfers: readonly Transfer[],
  atMs: number,
  timeOf: (half: Transfer['left']) => number,
): Fixed {
  let sum = 0n;
  for (const transfer of transfers) {
    const { left, arrived } = transfer;
    const [leftMs, arrivedMs] = [timeOf(left), timeOf(arrived)];
    if (Math.min(leftMs, arrivedMs) >= atMs || Math.max(leftMs, arrivedMs) < atMs) continue;
    sum += isLeftLast(transfer) ? -arrived.amount : left.amount;
  }
  return sum;
}

/** At a full hour: one half is in an hour before it, the other is not. */
export function inTransitAt(transfers: readonly Transfer[], hourMs: number): Fixed {
  return sumOf(transfers, hourMs, (half) => half.hourMs);
}

/** Right before a moment. */
export function inTransitBefore(transfers: readonly Transfer[], atMs: number): Fixed {
  return sumOf(transfers, atMs, (half) => half.atMs);
}
