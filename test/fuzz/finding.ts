// What the fuzzer found, and how its input is made as small as it gets without losing the finding.

import { createHash } from 'node:crypto';

export type FindingType = 'oracle' | 'threw' | 'steps' | 'growth' | 'hang' | 'crash';

export interface Finding {
  readonly type: FindingType;
  readonly what: string;
  readonly input: Uint8Array;
  /** Inputs that had been tried. */
  readonly after: number;
}

/** Findings of one cause have one key, whatever numbers they name. */
export function keyOf(type: FindingType, what: string): string {
  return `${type}: ${what.replaceAll(/[0-9]+/gu, '#').slice(0, 200)}`;
}

/** Asks whether an input still shows the finding. */
export type Shows = (input: Uint8Array) => Promise<boolean>;

class Minimiser {
  smallest: Uint8Array;
  readonly #shows: Shows;
  #left: number;

  constructor(input: Uint8Array, shows: Shows, tries: number) {
    this.smallest = input;
    this.#shows = shows;
    this.#left = tries;
  }

  get #over(): boolean {
    return this.#left <= 0;
  }

  async removePieces(): Promise<void> {
    for (let size = Math.ceil(this.smallest.length / 2); size >= 1 && !this.#over;) {
      let at = 0;
      while (at < this.smallest.length && !this.#over) {
        const rest = [this.smallest.subarray(0, at), this.smallest.subarray(at + size)];
        if (!(await this.#attempt(new Uint8Array(Buffer.concat(rest))))) at += size;
      }
      size = Math.floor(size / 2);
    }
  }

  /** Printable bytes become `0`, others zero. */
  async simplify(): Promise<void> {
    for (let at = 0; at < this.smallest.length && !this.#over; at++) {
      const byte = this.smallest[at] ?? 0;
      const plain = byte >= 0x20 && byte < 0x7f ? 0x30 : 0;
      if (byte === plain) continue;
      const candidate = this.smallest.slice();
      candidate[at] = plain;
      await this.#attempt(candidate);
    }
  }

  async #attempt(candidate: Uint8Array): Promise<boolean> {
    if (this.#left-- <= 0 || !(await this.#shows(candidate))) return false;
    this.smallest = candidate;
    return true;
  }
}

/** Removes pieces, then zeroes what is left, for as long as the finding stays; at most `tries` questions. */
export async function minimise(
  input: Uint8Array,
  shows: Shows,
  tries: number,
): Promise<Uint8Array> {
  const minimiser = new Minimiser(input, shows, tries);
  await minimiser.removePieces();
  await minimiser.simplify();
  return minimiser.smallest;
}

/** A file name that says what was found: the type, and a few digits of the input's hash. */
export function nameOfFinding({ type, input }: Finding): string {
  return `${type}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`;
}
