// A bounded number of requests at the same time, over a list that may be long, with a line of progress.

import type { CommandIo } from '../command-line.ts';

const AT_A_TIME = 16;
const INTERVAL_MS = 100;
const WIDTH = 32;

export class Progress {
  readonly #io: CommandIo;
  readonly #label: string;
  readonly #total: number | null;
  #done = 0;
  #drawnMs = 0;
  #drawn = false;

  /** `total`: null where it is not known. */
  constructor(io: CommandIo, label: string, total: number | null) {
    this.#io = io;
    this.#label = label;
    this.#total = total;
  }

  step(): void {
    this.#done += 1;
    const nowMs = performance.now();
    if (this.#io.isTerminal !== true || nowMs - this.#drawnMs < INTERVAL_MS) return;
    this.#drawnMs = nowMs;
    this.#drawn = true;
    const total = this.#total;
    const filled = total === null ? 0 : Math.round((this.#done / total) * WIDTH);
    const bar = total === null ? '' : `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} `;
    const of = total === null ? '' : ` of ${total.toLocaleString('en')}`;
    this.#io.stderr(`\r${this.#label} ${bar}${this.#done.toLocaleString('en')}${of}`);
  }

  /** Leaves an empty line behind. */
  clear(): void {
    if (this.#drawn) this.#io.stderr('\r\u001B[K');
    this.#drawn = false;
  }
}

/** Throws the first failure; what is under way then ends on its own. */
export async function forEachOf<T>(
  items: AsyncIterable<T> | Iterable<T>,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  for await (const item of items) {
    const one = act(item).finally(() => running.delete(one));
    // Waited for below: until then its failure is nobody's.
    one.catch(() => null);
    running.add(one);
    if (running.size >= AT_A_TIME) await Promise.race(running);
  }
  await Promise.all(running);
}
