// Reads the bytes of proto3 messages (protobuf.ts) from one end to the other. Nothing is copied.

export const MAX_VARINT_BYTES = 10;

/** Thrown inside `decodeMessage` only; it becomes a refusal there. */
export class ProtobufError extends Error {
  /** A name of a schema of ours, or empty. */
  readonly field: string;

  constructor(field: string) {
    super('protobuf');
    this.field = field;
  }
}

/** One for all of an answer: a message in a message is a part of it that ends earlier. */
export class ProtobufReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  /** From here to the end of what has its length before it; gives the end for `leave`. */
  enter(field: string): number {
    const outer = this.#end;
    this.#end = this.#lengthEnd(field);
    return outer;
  }

  leave(outer: number): void {
    this.#end = outer;
  }

  /** Signed, of 64 bits. */
  #varint(field: string): bigint {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      if (this.#at === this.#end) throw new ProtobufError(field);
      const byte = this.#bytes[this.#at++] ?? 0;
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) {
        if (value >= 1n << 64n) throw new ProtobufError(field);
        return BigInt.asIntN(64, value);
      }
    }
    throw new ProtobufError(field);
  }

  /** Nearly all: below 2^49, without a BigInt. */
  #short(): number | null {
    let value = 0;
    let weight = 1;
    for (let at = this.#at; at < this.#end && weight < 2 ** 49; at++) {
      const byte = this.#bytes[at] ?? 0;
      value += (byte & 0x7f) * weight;
      weight *= 128;
      if (byte >= 0x80) continue;
      this.#at = at + 1;
      return value;
    }
    return null;
  }

  skipVarint(): void {
    this.#varint('');
  }

  integer(field: string, bits: 32 | 53): number {
    const short = this.#short();
    if (short !== null && (bits === 53 || short < 2 ** 31)) return short;
    if (short !== null) throw new ProtobufError(field);
    const value = this.#varint(field);
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new ProtobufError(field);
    if (bits === 32 && BigInt.asIntN(32, value) !== value) throw new ProtobufError(field);
    return number;
  }

  bytes(field: string): Uint8Array {
    return this.#takeTo(this.#lengthEnd(field));
  }

  skip(length: number): void {
    if (length > this.#end - this.#at) throw new ProtobufError('');
    this.#at += length;
  }

  #lengthEnd(field: string): number {
    const length = this.integer(field, 53);
    if (length < 0 || length > this.#end - this.#at) throw new ProtobufError(field);
    return this.#at + length;
  }

  #takeTo(end: number): Uint8Array {
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
