// Repeatable choices of the fuzzer: the same seed makes the same inputs.

import { randomPicks } from '../helpers/random.ts';

export class Random {
  readonly #below: (bound: number) => number;

  constructor(seed: number) {
    this.#below = randomPicks(seed);
  }

  /** An integer from [0, bound). */
  below(bound: number): number {
    return this.#below(bound);
  }

  /** An integer from [minimum, maximum]. */
  between(minimum: number, maximum: number): number {
    return minimum + this.#below(maximum - minimum + 1);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.#below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    const index = this.#below(list.length);
    if (index >= list.length) throw new RangeError('nothing to pick from');
    return list[index] as T;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.#below(256);
    return bytes;
  }

  /** Mostly small, now and then up to `maximum`. */
  length(maximum: number): number {
    const bound = Math.min(maximum, this.pick([4, 16, 16, 64, 256, 2048, maximum]));
    return this.#below(bound + 1);
  }
}
