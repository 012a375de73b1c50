// States from before the hours that can be closed again. Late data goes back to the latest one that is not after its hour:
// after a restart there is one for the whole day, and the hours in between come to what they were.

import type { BookState } from './book-state.ts';

export interface Checkpoint {
  readonly hourMs: number;
  /** From before the hour. */
  readonly state: BookState;
}

/** After a restart: what it takes is stored with every state. */
export const RESTART_KEEP_HOURS = 24;

export class Checkpoints {
  /** In the order of time: what is kept is later than what is there. */
  readonly #states = new Map<number, BookState>();

  /** `state` may go on: a copy of it is kept. */
  keep(hourMs: number, state: BookState): void {
    this.#states.set(hourMs, state.copy());
  }

  restore({ hourMs, state }: Checkpoint): void {
    this.#states.set(hourMs, state);
  }

  /** The latest that is not after `hourMs`. Whoever goes on with it calls dropFrom() first. */
  last(hourMs: number): Checkpoint | null {
    let found: Checkpoint | null = null;
    for (const [at, state] of this.#states) {
      if (at <= hourMs && (found === null || at > found.hourMs)) found = { hourMs: at, state };
    }
    return found;
  }

  /** The latest that is not after `hourMs`; if all are, the first. */
  base(hourMs: number): Checkpoint | null {
    const [first] = this.#states;
    const last = this.last(hourMs);
    return last ?? (first === undefined ? null : { hourMs: first[0], state: first[1] });
  }

  dropFrom(hourMs: number): void {
    for (const at of this.#states.keys()) if (at >= hourMs) this.#states.delete(at);
  }

  /** All that hours from `hourMs` on do not go back to; gives the hour of the first that is left. */
  dropBefore(hourMs: number): number {
    let firstMs: number | null = null;
    for (const at of this.#states.keys()) {
      if (at > hourMs) break;
      if (firstMs !== null) this.#states.delete(firstMs);
      firstMs = at;
    }
    return firstMs ?? hourMs;
  }
}
