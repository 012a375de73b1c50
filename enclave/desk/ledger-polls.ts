// What the ledger has to hear of polls: kept, encoded, until it has taken it, told again to the next ledger when one dies.
// It is bounded: beyond that all of the largest account goes, and that account is polled anew from empty cursors.
// Order is kept within an account, which is all that the ledger relies on.

import type { Coverage } from '../connector/classes.ts';
import type { RecordPage } from '../connector/pages.ts';
import type { PollHost } from '../ledger/frames.ts';
import { LATE_MS, LEDGER_FRAME } from '../ledger/frames.ts';
import {
  encodeLedgerMissed,
  encodeLedgerPoll,
  encodeLedgerRecords,
} from '../ledger/tell-ledger.ts';

/** A first poll has at most 100,000 records of about 300 bytes. */
export const MAX_KEPT_BYTES: number = 96 * 1024 * 1024;

export interface LedgerFrame {
  readonly type: number;
  readonly payload: Uint8Array;
}

/** The end of a poll, as polling knows it. */
export interface PollEnd {
  readonly leafIndex: number;
  readonly slotMs: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly outcome: 'complete' | 'partial' | 'failed';
  readonly reason: string | null;
  readonly coverage: readonly Coverage[];
  readonly hosts: readonly PollHost[];
  readonly sinceMs: number | null;
}

interface Kept {
  readonly id: string;
  readonly poll: number;
  /** Begin of the time that is missing when this is dropped. */
  readonly fromMs: number;
  readonly frames: readonly LedgerFrame[];
  readonly bytes: number;
  sent: boolean;
}

/** Records of a poll under way; what is dropped without an end counts nothing. */
export class PollDraft {
  readonly #id: string;
  readonly #poll: number;
  readonly #end: (kept: Kept) => void;
  readonly #maxBytes: number;
  readonly #frames: LedgerFrame[] = [];
  #bytes = 0;

  constructor(id: string, poll: number, maxBytes: number, end: (kept: Kept) => void) {
    this.#id = id;
    this.#poll = poll;
    this.#maxBytes = maxBytes;
    this.#end = end;
  }

  page({ kind, records }: RecordPage): void {
    // Prices are asked for, and answered to whoever asks.
    if (kind === 'price') return;
    const payload = encodeLedgerRecords({ id: this.#id, poll: this.#poll, kind, records });
    this.#bytes += payload.length;
    // What is more than all that may be kept is dropped when it ends: none of it is held until then.
    if (this.#bytes > this.#maxBytes) this.#frames.length = 0;
    else this.#frames.push({ type: LEDGER_FRAME.records, payload });
  }

  /** Records of a poll that failed are left out. */
  end(end: PollEnd): void {
    const payload = encodeLedgerPoll({ id: this.#id, poll: this.#poll, ...end });
    const isFailed = end.outcome === 'failed';
    const frames = [...(isFailed ? [] : this.#frames), { type: LEDGER_FRAME.poll, payload }];
    // A statement of yesterday tells of the day before.
    const fromMs = Math.min(end.slotMs, ...end.coverage.map((row) => row.fromMs));
    const kept = keptOf(this.#id, this.#poll, fromMs, frames);
    this.#end({ ...kept, bytes: isFailed ? kept.bytes : this.#bytes + payload.length });
  }
}

function keptOf(id: string, poll: number, fromMs: number, frames: readonly LedgerFrame[]): Kept {
  const bytes = frames.reduce((sum, { payload }) => sum + payload.length, 0);
  return { id, poll, fromMs, frames, bytes, sent: false };
}

export class LedgerPolls {
  readonly #maxBytes: number;
  readonly #onWork: () => void;
  /** What of an account was dropped, from when on. */
  readonly #onDropped: (id: string, fromMs: number) => void;
  readonly #kept = new Map<string, Kept[]>();
  /** The last number given, by account. */
  readonly #numbers = new Map<string, number>();
  #bytes = 0;

  constructor(
    maxBytes: number,
    onWork: () => void,
    onDropped: (id: string, fromMs: number) => void,
  ) {
    this.#maxBytes = maxBytes;
    this.#onWork = onWork;
    this.#onDropped = onDropped;
  }

  get counters(): Readonly<Record<string, number>> {
    let polls = 0;
    for (const { length } of this.#kept.values()) polls += length;
    return { ledger_polls_kept: polls, ledger_bytes_kept: this.#bytes };
  }

  /** One at a time for an account. */
  draft(id: string): PollDraft {
    const poll = (this.#numbers.get(id) ?? 0) + 1;
    this.#numbers.set(id, poll);
    return new PollDraft(id, poll, this.#maxBytes, (kept) => {
      this.#keep(kept);
    });
  }

  missed(id: string, fromMs: number, toMs: number, reason: string): void {
    const payload = encodeLedgerMissed({ id, fromMs, toMs, reason });
    // Forgotten with the next poll that is taken.
    const poll = (this.#numbers.get(id) ?? 0) + 1;
    this.#keep(keptOf(id, poll, fromMs, [{ type: LEDGER_FRAME.missed, payload }]));
  }

  taken(id: string, poll: number): void {
    const kept = this.#kept.get(id) ?? [];
    this.#put(
      id,
      kept.filter((one) => one.poll > poll),
    );
  }

  forget(id: string): void {
    this.#put(id, []);
    this.#numbers.delete(id);
  }

  /** Another ledger has heard of nothing. */
  rewind(): void {
    for (const kept of this.#kept.values()) for (const one of kept) one.sent = false;
  }

  /** What is to be sent next; null for nothing. It counts as sent. */
  next(): readonly LedgerFrame[] | null {
    for (const kept of this.#kept.values()) {
      const one = kept.find(({ sent }) => !sent);
      if (one === undefined) continue;
      one.sent = true;
      return one.frames;
    }
    return null;
  }

  #keep(one: Kept): void {
    this.#put(one.id, [...(this.#kept.get(one.id) ?? []), one]);
    while (this.#bytes > this.#maxBytes) this.#dropLargest();
    this.#onWork();
  }

  #put(id: string, kept: Kept[]): void {
    const before = bytesOf(this.#kept.get(id) ?? []);
    this.#bytes += bytesOf(kept) - before;
    if (kept.length === 0) this.#kept.delete(id);
    else this.#kept.set(id, kept);
  }

  #dropLargest(): void {
    const accounts = [...this.#kept].toSorted(([, a], [, b]) => bytesOf(b) - bytesOf(a));
    const [id, kept] = accounts[0] ?? ['', []];
    this.#put(id, []);
    this.#onDropped(id, Math.min(...kept.map(({ fromMs }) => fromMs)) - LATE_MS);
  }
}

function bytesOf(kept: readonly Kept[]): number {
  return kept.reduce((sum, { bytes }) => sum + bytes, 0);
}
