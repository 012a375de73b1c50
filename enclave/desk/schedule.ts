// When an account is polled: slots at multiples of the interval since the Unix epoch, so that they do not depend on who
// started what when; within a slot each account has a time of its own, by a hash. The first slot of a UTC day is the
// snapshot: then all are due at once, and first.

import { createHash } from 'node:crypto';

const DAY_MS = 86_400_000;
/** Of the interval; the rest is for those that run late. */
const SPREAD = 0.9;

export function slotOf(timeMs: number, intervalMs: number): number {
  return timeMs - (timeMs % intervalMs);
}

/** The first one that begins in its UTC day. */
export function isSnapshot(slotMs: number, intervalMs: number): boolean {
  return Math.floor(slotMs / DAY_MS) !== Math.floor((slotMs - intervalMs) / DAY_MS);
}

/** When the account is due in the slot. */
export function dueMs(slotMs: number, intervalMs: number, id: string): number {
  if (isSnapshot(slotMs, intervalMs)) return slotMs;
  const hash = createHash('sha256').update(id).digest().readUInt32BE(0);
  return slotMs + Math.floor((hash / 2 ** 32) * SPREAD * intervalMs);
}

/** The first slot in which the account is due after `afterMs`. */
export function nextSlot(afterMs: number, intervalMs: number, id: string): number {
  const slotMs = slotOf(afterMs, intervalMs);
  return dueMs(slotMs, intervalMs, id) > afterMs ? slotMs : slotMs + intervalMs;
}
