// Notices that acknowledgements stay away while commits wait for them, and that they come again. It
// ends nothing: an enclave whose host is slow waits, with the bounds of the log writer, for as long as
// it takes (docs/decisions/0007). The host can make it say so at any time; that is all it can do here.

import type { Clock } from '../clock.ts';

export interface StallWatchOptions {
  readonly clock: Clock;
  /** Without an acknowledgement for this long the log counts as stalled. */
  readonly afterMs: number;
  /** True: stalled; false: acknowledgements come again. In turns. */
  readonly onChange: (stalled: boolean) => void;
  /** For errors of the timer. */
  readonly onTimer: (work: () => void) => void;
}

export class StallWatch {
  readonly #options: StallWatchOptions;
  #timer: NodeJS.Timeout | null = null;
  /** Since when the oldest commit has waited, or since the last acknowledgement; null: none waits. */
  #sinceNs: bigint | null = null;
  #stalled = false;
  #stalls = 0;

  constructor(options: StallWatchOptions) {
    this.#options = options;
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** `log_stalled_ms` is 0 while it is not stalled. */
  get counters(): Readonly<Record<string, number>> {
    const sinceNs = this.#stalled ? this.#sinceNs : null;
    const nowNs = sinceNs === null ? 0n : this.#options.clock.nowNs();
    const log_stalled_ms = Number((nowNs - (sinceNs ?? 0n)) / 1_000_000n);
    return { log_stalls: this.#stalls, log_stalled_ms };
  }

  /** A commit was sent. */
  sent(): void {
    if (this.#sinceNs === null) this.#start();
  }

  /** An acknowledgement came; `waiting`: commits still wait for theirs. */
  acknowledged(waiting: boolean): void {
    if (waiting) this.#start();
    else this.stop();
    if (!this.#stalled) return;
    this.#stalled = false;
    this.#options.onChange(false);
  }

  /** Watches nothing until the next commit. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sinceNs = null;
  }

  #start(): void {
    const { clock, afterMs, onTimer } = this.#options;
    this.#sinceNs = clock.nowNs();
    if (this.#timer !== null) this.#timer.refresh();
    else {
      this.#timer = setTimeout(() => {
        onTimer(() => {
          this.#stall();
        });
      }, afterMs);
    }
  }

  #stall(): void {
    if (this.#stalled) return;
    this.#stalled = true;
    this.#stalls++;
    this.#options.onChange(true);
  }
}
