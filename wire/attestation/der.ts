// A strict reader of DER (X.690), as much of it as X.509 certificates need. It reads untrusted bytes
// and accepts one encoding per value only: what BER would also allow (indefinite or long-form lengths,
// padded integers, loose booleans, spare bits, local times) is an error, as are bytes after the end.
//
//   element   tag (1 byte, number below 31) | length | content
//   length    0..127 in one byte, or 81 nn (128..255), or 82 nn nn (256..65,535)

/** Thrown inside certificate parsing only, where it becomes a refusal. */
export class DerError extends Error {
  readonly offset: number;
  constructor(what: string, offset: number) {
    super(what);
    this.offset = offset;
  }
}

export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  explicit0: 0xa0,
  explicit3: 0xa3,
} as const;

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content as received: what signatures cover and names are compared by. */
  readonly whole: Uint8Array;
}

export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The next element of any tag. */
  any(): DerElement {
    const start = this.#offset;
    const tag = this.#byte();
    if ((tag & 31) === 31) throw new DerError('tag number', start);
    const length = this.#length();
    const from = this.#offset;
    if (length > this.#bytes.length - from) throw new DerError('truncated', start);
    this.#offset = from + length;
    return {
      tag,
      content: this.#bytes.subarray(from, this.#offset),
      whole: this.#bytes.subarray(start, this.#offset),
    };
  }

  element(tag: number): DerElement {
    const start = this.#offset;
    const element = this.any();
    if (element.tag !== tag) throw new DerError('tag', start);
    return element;
  }

  /** The next element when it has this tag, null when it has another or there is none. */
  optional(tag: number): DerElement | null {
    return this.#bytes[this.#offset] === tag ? this.any() : null;
  }

  /** A constructed element whose whole content `read` must consume. */
  inside<T>(tag: number, read: (reader: DerReader) => T): T {
    return readAll(this.element(tag).content, read);
  }

  end(): void {
    if (!this.done) throw new DerError('trailing bytes', this.#offset);
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new DerError('truncated', this.#offset);
    this.#offset++;
    return byte;
  }

  #length(): number {
    const start = this.#offset;
    const first = this.#byte();
    if (first < 128) return first;
    // 80 is indefinite, 83 and more is longer than any certificate here may be.
    if (first !== 0x81 && first !== 0x82) throw new DerError('length', start);
    const length = first === 0x81 ? this.#byte() : this.#byte() * 256 + this.#byte();
    if (length < (first === 0x81 ? 128 : 256)) throw new DerError('length not shortest', start);
    return length;
  }
}

/** Runs `read` over all of `bytes`; what it leaves is an error. */
export function readAll<T>(bytes: Uint8Array, read: (reader: DerReader) => T): T {
  const reader = new DerReader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

/** The content of a non-negative INTEGER, shortest form, without a sign byte. */
export function readUnsigned(reader: DerReader, maxBytes: number): Uint8Array {
  const { content } = reader.element(DER_TAG.integer);
  const first = content[0];
  if (first === undefined || first >= 128) throw new DerError('integer sign', 0);
  if (first === 0 && content.length > 1 && (content[1] ?? 0) < 128) {
    throw new DerError('integer not shortest', 0);
  }
  const digits = first === 0 && content.length > 1 ? content.subarray(1) : content;
  if (digits.length > maxBytes) throw new DerError('integer size', 0);
  return digits;
}

export function readBoolean(element: DerElement): boolean {
  const [value] = element.content;
  if (element.content.length !== 1 || (value !== 0 && value !== 255)) {
    throw new DerError('boolean', 0);
  }
  return value === 255;
}

/** The bytes of a BIT STRING that is a whole number of bytes. */
export function readBitStringBytes(reader: DerReader): Uint8Array {
  const { content } = reader.element(DER_TAG.bitString);
  if (content.length < 2 || content[0] !== 0) throw new DerError('bit string', 0);
  return content.subarray(1);
}

/** A BIT STRING of named bits (X.690 11.2.2: no trailing zero bits); bit 0 is the first one. */
export function readNamedBits(reader: DerReader): ReadonlySet<number> {
  const { content } = reader.element(DER_TAG.bitString);
  const unused = content[0];
  const last = content.at(-1);
  if (unused === undefined || last === undefined || unused > 7 || content.length > 3) {
    throw new DerError('bit string', 0);
  }
  if (content.length === 1) {
    if (unused !== 0) throw new DerError('bit string', 0);
    return new Set();
  }
  // The last used bit must be set and the spare ones clear: otherwise there is a shorter form.
  if ((last & ((1 << (unused + 1)) - 1)) !== 1 << unused) throw new DerError('spare bits', 0);
  const bits = new Set<number>();
  for (let bit = 0; bit < (content.length - 1) * 8; bit++) {
    if (((content[1 + (bit >> 3)] ?? 0) & (128 >> (bit & 7))) !== 0) bits.add(bit);
  }
  return bits;
}

/**
 * RFC 5280 4.1.2.5: UTCTime `YYMMDDHHMMSSZ` for 1950 to 2049, GeneralizedTime `YYYYMMDDHHMMSSZ` from
 * 2050, always UTC with seconds. Dates that do not exist are refused, not normalised. Milliseconds
 * since the Unix epoch.
 */
export function readTime(reader: DerReader): number {
  const { tag, content } = reader.any();
  const general = tag === DER_TAG.generalizedTime;
  if (!general && tag !== DER_TAG.utcTime) throw new DerError('time', 0);
  const text = String.fromCharCode(...content.subarray(0, 16));
  const yearDigits = general ? 4 : 2;
  if (content.length !== yearDigits + 11 || !/^[0-9]+Z$/u.test(text)) throw new DerError('time', 0);
  const short = Number(text.slice(0, yearDigits));
  const year = general ? short : short + (short < 50 ? 2000 : 1900);
  if (general && year < 2050) throw new DerError('time form', 0);
  const [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map((index) =>
    text.slice(yearDigits + index, yearDigits + index + 2),
  );
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const timeMs = Date.parse(iso);
  if (Number.isNaN(timeMs) || new Date(timeMs).toISOString() !== iso) throw new DerError('date', 0);
  return timeMs;
}
