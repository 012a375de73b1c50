// CRC-32 of any part of some bytes, without reading that part again: from the checksums of what lies in
// front of its begin and of its end. So whoever asks for many parts that overlap, which a damaged file may
// make us do, costs time by their number and not by their size.
//
//   crc(a ‖ b) = crc(a) · x^(8 · length of b) ⊕ crc(b)      modulo the polynomial, bit 31 is x^0

import { crc32 } from 'node:zlib';

const POLYNOMIAL = 0xedb88320;
const ONE = 0x8000_0000;
const STEP_BYTES = 4096;

/** a · b modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = 31; bit >= 0; bit--) {
    if (((a >>> bit) & 1) === 1) product ^= factor;
    factor = (factor & 1) === 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product >>> 0;
}

/** x^(8 · 2^k) at k. */
const POWERS: readonly number[] = (() => {
  const powers = [0x0080_0000];
  for (let power = 0x0080_0000; powers.length < 32;) {
    power = multiply(power, power);
    powers.push(power);
  }
  return powers;
})();

/** The checksum of `a ‖ b`, from those of both and the length of `b` in bytes, below 2^32. */
export function joinCrcs(crcOfA: number, crcOfB: number, bytesOfB: number): number {
  let power = ONE;
  for (let rest = bytesOfB, at = 0; rest > 0; rest = Math.floor(rest / 2), at++) {
    if (rest % 2 === 1) power = multiply(POWERS[at] ?? ONE, power);
  }
  return (multiply(power, crcOfA) ^ crcOfB) >>> 0;
}

export class CrcIndex {
  readonly #bytes: Uint8Array;
  /** Of the first n · 4,096 bytes at n. */
  readonly #steps: number[] = [0];

  /** The bytes must not change afterwards. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    let crc = 0;
    for (let at = 0; at + STEP_BYTES <= bytes.length; at += STEP_BYTES) {
      crc = crc32(bytes.subarray(at, at + STEP_BYTES), crc);
      this.#steps.push(crc);
    }
  }

  /** The checksum of [begin, end). */
  of(begin: number, end: number): number {
    // What is joined from the front is taken away the same way.
    return joinCrcs(this.#upTo(begin), this.#upTo(end), end - begin);
  }

  #upTo(end: number): number {
    const step = Math.floor(end / STEP_BYTES);
    return crc32(this.#bytes.subarray(step * STEP_BYTES, end), this.#steps[step] ?? 0);
  }
}
