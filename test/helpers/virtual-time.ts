// Time that passes when a test says so: timers run in order, and what they set going runs out in between.

import type { Time } from '../../enclave/desk/time.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly work: () => void;
}

/** Promises that settle each other, and frames that cross a stream. */
export async function settle(turns = 6): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

export class VirtualTime implements Time {
  #nowMs: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, work: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, work };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Up to and including `untilMs`; `turns` of the event loop between two times. */
  async runUntil(untilMs: number, turns?: number): Promise<void> {
    await settle(turns);
    for (;;) {
      const next = this.#next();
      if (next === null || next.atMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#timers.delete(next);
      next.work();
      await settle(turns);
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  async run(ms: number, turns?: number): Promise<void> {
    await this.runUntil(this.#nowMs + ms, turns);
  }

  #next(): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (
        next === null ||
        timer.atMs < next.atMs ||
        (timer.atMs === next.atMs && timer.order < next.order)
      ) {
        next = timer;
      }
    }
    return next;
  }
}
