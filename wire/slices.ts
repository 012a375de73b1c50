// What waits to be written to a stream, cut to slices: small pieces are copied together, a large one is
// handed out in slices of itself without a copy.

/** From this size on a write of its own costs less than a copy. */
const LARGE_BYTES = 8192;

export class Slices {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #first = 0;
  #bytes = 0;

  /** No slice is larger than `maxBytes`. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Another piece would not make the next slice larger. */
  get full(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  /** The piece must not change afterwards. */
  push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  clear(): void {
    this.#pieces = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  /** The next slice, as large as there are bytes for; null when there are none. */
  take(): Uint8Array | null {
    const most = Math.min(this.#bytes, this.#maxBytes);
    if (most === 0) return null;
    const whole = this.#part(most);
    if (whole.length === most || whole.length >= LARGE_BYTES) return whole;
    const size = this.#joinable(whole.length, most);
    const joined = new Uint8Array(size);
    joined.set(whole);
    for (let offset = whole.length; offset < size;) {
      const part = this.#part(size - offset);
      joined.set(part, offset);
      offset += part.length;
    }
    return joined;
  }

  /** How much of `most` follows small pieces of `bytes` and is small too, or too short to stand alone. */
  #joinable(bytes: number, most: number): number {
    let size = bytes;
    for (let at = this.#first; size < most; at++) {
      const next = this.#pieces[at]?.length ?? 0;
      if (next >= LARGE_BYTES) break;
      size = Math.min(size + next, most);
    }
    return size;
  }

  /** Takes at most `bytes` from the first piece. */
  #part(bytes: number): Uint8Array {
    const piece = this.#pieces[this.#first];
    if (piece === undefined) throw new Error('pieces are shorter than their sum');
    const part = piece.length <= bytes ? piece : piece.subarray(0, bytes);
    this.#bytes -= part.length;
    if (part.length < piece.length) this.#pieces[this.#first] = piece.subarray(bytes);
    else this.#first++;
    if (this.#first === this.#pieces.length || this.#first === 1024) {
      this.#pieces = this.#pieces.slice(this.#first);
      this.#first = 0;
    }
    return part;
  }
}
