// Whose turn it is at the engine: one at a time, in the order in which they asked.

interface Waiting {
  readonly give: () => void;
}

export class Turns {
  readonly #waiting: Waiting[] = [];
  #taken = false;

  get waiting(): number {
    return this.#waiting.length;
  }

  /** False: it took longer than `timeoutMs`, and the place in the queue is given up. */
  take(timeoutMs: number): Promise<boolean> {
    if (!this.#taken) {
      this.#taken = true;
      return Promise.resolve(true);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting: Waiting = {
      give: () => {
        clearTimeout(timer);
        resolve(true);
      },
    };
    const timer = setTimeout(() => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      resolve(false);
    }, timeoutMs);
    this.#waiting.push(waiting);
    return promise;
  }

  /** By whoever has it. */
  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken = false;
    else next.give();
  }
}
