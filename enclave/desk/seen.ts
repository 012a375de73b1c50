// Which records were counted already, so that no overlap, retry or restart counts one twice. Ids are kept as far back as
// venues may tell them again; what is older than that is not counted any more and is said to be late. Ids are the
// venue's and come from outside: they are kept as hashes, and there are so many at most.

import { createHash } from 'node:crypto';
import { concatBytes, readU32, writeU32 } from '../../wire/bytes.ts';

const HASH_BYTES = 10;
const ENTRY_BYTES: number = HASH_BYTES + 4;
/** Of one kind of records. */
export const MAX_SEEN = 4096;
export const MAX_SEEN_BYTES: number = MAX_SEEN * ENTRY_BYTES;

/** Ten bytes of a hash, one character each. */
export function seenKey(...parts: readonly string[]): string {
  const hash = createHash('sha256').update(parts.map((part) => `${part.length}:${part}`).join(''));
  return hash.digest().toString('latin1', 0, HASH_BYTES);
}

export class Seen {
  /** Time of each, in seconds. */
  readonly #ids = new Map<string, number>();
  /** Nothing before it is counted. */
  #floorMs = 0;

  get floorMs(): number {
    return this.#floorMs;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(key: string): boolean {
    return this.#ids.has(key);
  }

  add(key: string, timeMs: number): void {
    this.#ids.set(key, Math.floor(timeMs / 1000));
  }

  /** Everything before `floorMs` is settled. */
  settle(floorMs: number): void {
    if (floorMs <= this.#floorMs) return;
    this.#floorMs = floorMs;
    const floorS = Math.floor(floorMs / 1000);
    for (const [key, timeS] of this.#ids) if (timeS < floorS) this.#ids.delete(key);
  }

  /** Forgets the oldest beyond the maximum, and settles them with it. */
  bound(): void {
    if (this.#ids.size <= MAX_SEEN) return;
    const times = [...this.#ids.values()].sort((a, b) => a - b);
    const newestDroppedS = times[times.length - MAX_SEEN - 1] ?? 0;
    this.settle((newestDroppedS + 1) * 1000);
  }

  encode(): Uint8Array {
    const entries = [...this.#ids].map(([key, timeS]) => {
      const entry = new Uint8Array(ENTRY_BYTES);
      entry.set(Buffer.from(key, 'latin1'));
      writeU32(entry, HASH_BYTES, timeS);
      return entry;
    });
    return concatBytes(...entries);
  }

  /** Null for bytes that are no list of entries. */
  static parse(bytes: Uint8Array, floorMs: number): Seen | null {
    if (bytes.length % ENTRY_BYTES !== 0 || bytes.length > MAX_SEEN_BYTES) return null;
    const seen = new Seen();
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) {
      const key = Buffer.from(bytes.subarray(at, at + HASH_BYTES)).toString('latin1');
      seen.#ids.set(key, readU32(bytes, at + HASH_BYTES));
    }
    seen.#floorMs = floorMs;
    return seen;
  }
}
