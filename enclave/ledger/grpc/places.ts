// Places that are bounded in total and for each client, so that one of them cannot have all.

export class Places {
  readonly #most: number;
  readonly #mostEach: number;
  readonly #taken = new Map<string, number>();
  #total = 0;

  constructor(most: number, mostEach: number) {
    this.#most = most;
    this.#mostEach = mostEach;
  }

  get total(): number {
    return this.#total;
  }

  /** Gives the place back, once, however often it is called; null when there is none. */
  take(client: string): (() => void) | null {
    const own = this.#taken.get(client) ?? 0;
    if (this.#total >= this.#most || own >= this.#mostEach) return null;
    this.#total++;
    this.#taken.set(client, own + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#total--;
      const left = (this.#taken.get(client) ?? 1) - 1;
      if (left === 0) this.#taken.delete(client);
      else this.#taken.set(client, left);
    };
  }
}
