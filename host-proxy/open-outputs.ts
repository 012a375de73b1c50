// Outputs of the running epoch that a recovery would have to know: those that are not released, or on which
// no report was logged. One that is released and reported was decided on, which execution has on its disk
// before it reports (execution.ts), so that nobody asks for it again. Bounded by what is open, not by the
// length of the epoch.

export interface OpenOutput {
  readonly index: number;
  readonly clientOrderId: string;
  /** Its mark is durable. */
  readonly released: boolean;
  /** A report in the log is about it. */
  readonly reported: boolean;
}

interface Entry {
  readonly clientOrderId: string;
  released: boolean;
  reported: boolean;
}

export class OpenOutputs {
  readonly #entries = new Map<number, Entry>();
  readonly #unreleased = new Set<number>();
  #lastClosed: number | null = null;

  /** Logged and not released, in no order. */
  get unreleased(): ReadonlySet<number> {
    return this.#unreleased;
  }

  /** In the order of their leaves. */
  get list(): readonly OpenOutput[] {
    return [...this.#entries].map(([index, { clientOrderId, released, reported }]) => ({
      index,
      clientOrderId,
      released,
      reported,
    }));
  }

  /** Leaf of the last one that was closed; null before the first. */
  get lastClosed(): number | null {
    return this.#lastClosed;
  }

  /** It is durable in the spool. */
  add(index: number, clientOrderId: string): void {
    this.#entries.set(index, { clientOrderId, released: false, reported: false });
    this.#unreleased.add(index);
  }

  /** Its mark is durable. */
  readonly released = (index: number): void => {
    const entry = this.#entries.get(index);
    if (entry !== undefined) entry.released = true;
    this.#unreleased.delete(index);
  };

  reported(index: number): void {
    const entry = this.#entries.get(index);
    if (entry !== undefined) entry.reported = true;
  }

  /** Forgets what is closed of the leaves before `size`. */
  close(size: number): void {
    for (const [index, { released, reported }] of this.#entries) {
      if (index >= size) return;
      if (!released || !reported) continue;
      this.#entries.delete(index);
      this.#lastClosed = Math.max(index, this.#lastClosed ?? 0);
    }
  }
}
