// A progress bar on stderr, when that is a terminal: one line, redrawn at most ten times a second.

import type { CommandIo } from '../io.ts';

const WIDTH = 32;
const INTERVAL_MS = 100;

export class ProgressBar {
  readonly #io: CommandIo;
  readonly #label: string;
  #drawnMs = 0;
  #drawn = false;

  constructor(io: CommandIo, label: string) {
    this.#io = io;
    this.#label = label;
  }

  update(done: number, total: number): void {
    const nowMs = performance.now();
    if (!this.#io.isTerminal || nowMs - this.#drawnMs < INTERVAL_MS) return;
    this.#drawnMs = nowMs;
    this.#drawn = true;
    const share = total === 0 ? 1 : done / total;
    const filled = Math.round(share * WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
    this.#io.stderr(
      `\r${this.#label} ${bar} ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`,
    );
  }

  /** Leaves an empty line behind. */
  clear(): void {
    if (this.#drawn) this.#io.stderr('\r\u001B[K');
    this.#drawn = false;
  }
}
