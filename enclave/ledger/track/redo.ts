// What of the hours that are closed has to be done again: the book opens them, and those that say something else are stated anew.

export class Redo {
  /** The first closed hour for which the book has got a record, or that is told of after all. */
  reopenMs: number | null = null;
  /** From this hour on what was stated may have to be corrected. */
  correctMs: number | null = null;

  all(startMs: number): void {
    this.reopen(startMs);
    this.correct(startMs);
  }

  reopen(startMs: number): void {
    this.reopenMs = Math.min(this.reopenMs ?? startMs, startMs);
  }

  correct(startMs: number): void {
    this.correctMs = Math.min(this.correctMs ?? startMs, startMs);
  }
}
