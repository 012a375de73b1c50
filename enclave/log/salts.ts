// Random salts, 16 bytes each, drawn in pools: a system call for each leaf would cost more than hashing
// a small one.

import { randomBytes } from 'node:crypto';
import { SALT_BYTES } from '../../wire/leaf.ts';

const POOL_SALTS = 256;

export class Salts {
  #pool: Uint8Array = new Uint8Array(0);
  #offset = 0;

  /** Never the same bytes twice; the caller may keep them. */
  next(): Uint8Array {
    if (this.#offset === this.#pool.length) {
      this.#pool = new Uint8Array(randomBytes(POOL_SALTS * SALT_BYTES));
      this.#offset = 0;
    }
    const start = this.#offset;
    this.#offset += SALT_BYTES;
    return this.#pool.subarray(start, this.#offset);
  }
}
