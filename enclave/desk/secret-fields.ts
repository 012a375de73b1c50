// A flat JSON object, read from bytes to bytes: what is in an envelope or a sealed account must not become strings,
// which cannot be wiped. Texts become buffers of their own, integers numbers; lists of texts and booleans are what
// settings of sealed accounts need. Everything else, a key twice, or a byte too many is refused with one code.

import { isUtf8 } from 'node:buffer';
import { parseUtf8 } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const MAX_FIELDS = 16;
const MAX_KEY_BYTES = 32;
const MAX_LIST = 100;

export type SecretValue = Buffer | number | boolean | null | readonly Buffer[];
export type SecretFields = ReadonlyMap<string, SecretValue>;

class Malformed extends Error {}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPES: ReadonlyMap<number, number> = new Map([
  [QUOTE, QUOTE],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  next(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Malformed();
    return byte;
  }

  space(): void {
    while ([0x20, 0x09, 0x0a, 0x0d].includes(this.peek())) this.#at++;
  }

  /** The next byte that is no space, when it is `byte`. */
  skip(byte: number): boolean {
    this.space();
    if (this.peek() !== byte) return false;
    this.#at++;
    return true;
  }

  expect(byte: number): void {
    if (!this.skip(byte)) throw new Malformed();
  }

  word(text: string): boolean {
    for (let index = 0; index < text.length; index++) {
      if (this.#bytes[this.#at + index] !== text.charCodeAt(index)) return false;
    }
    this.#at += text.length;
    return true;
  }

  text(): Buffer {
    this.expect(QUOTE);
    // A text never grows by decoding.
    const end = this.#findQuote();
    const text = Buffer.alloc(end - this.#at);
    let length = 0;
    while (this.#at < end) {
      const byte = this.next();
      if (byte < 0x20) throw new Malformed();
      if (byte === BACKSLASH) length += this.#escape(text, length);
      else text[length++] = byte;
    }
    this.#at++;
    const exact = Buffer.from(text.subarray(0, length));
    text.fill(0);
    return exact;
  }

  #findQuote(): number {
    for (let at = this.#at; at < this.#bytes.length; at++) {
      if (this.#bytes[at] === BACKSLASH) at++;
      else if (this.#bytes[at] === QUOTE) return at;
    }
    throw new Malformed();
  }

  /** Writes what an escape stands for; the number of bytes. */
  #escape(target: Buffer, offset: number): number {
    const letter = this.next();
    const plain = ESCAPES.get(letter);
    if (plain !== undefined) {
      target[offset] = plain;
      return 1;
    }
    if (letter !== 0x75) throw new Malformed();
    const code = this.#hex();
    // Half a pair has no UTF-8; credentials outside of the first plane do not exist, and escapes of them neither.
    if (code >= 0xd800 && code <= 0xdfff) throw new Malformed();
    return target.write(String.fromCharCode(code), offset, 'utf8');
  }

  #hex(): number {
    let code = 0;
    for (let digit = 0; digit < 4; digit++) {
      const value = Number.parseInt(String.fromCharCode(this.next()), 16);
      if (Number.isNaN(value)) throw new Malformed();
      code = code * 16 + value;
    }
    return code;
  }

  integer(): number {
    let text = '';
    while (/[-0-9]/u.test(String.fromCharCode(this.peek())) && text.length < 17) {
      text += String.fromCharCode(this.next());
    }
    const value = Number(text);
    if (!/^(?:0|-?[1-9][0-9]*)$/u.test(text) || !Number.isSafeInteger(value)) throw new Malformed();
    return value;
  }

  list(made: Buffer[]): readonly Buffer[] {
    const list: Buffer[] = [];
    this.expect(0x5b);
    if (this.skip(0x5d)) return list;
    do {
      if (list.length === MAX_LIST) throw new Malformed();
      const text = this.text();
      made.push(text);
      list.push(text);
    } while (this.skip(0x2c));
    this.expect(0x5d);
    return list;
  }

  value(made: Buffer[]): SecretValue {
    this.space();
    const byte = this.peek();
    if (byte === QUOTE) {
      const text = this.text();
      made.push(text);
      return text;
    }
    if (byte === 0x5b) return this.list(made);
    if (this.word('true')) return true;
    if (this.word('false')) return false;
    return this.word('null') ? null : this.integer();
  }
}

function readFields(reader: Reader, made: Buffer[]): SecretFields {
  const fields = new Map<string, SecretValue>();
  reader.expect(0x7b);
  if (!reader.skip(0x7d)) {
    do {
      const key = reader.text();
      const name = key.length > MAX_KEY_BYTES ? null : parseUtf8(key);
      if (name === null || fields.has(name) || fields.size === MAX_FIELDS) throw new Malformed();
      reader.expect(0x3a);
      fields.set(name, reader.value(made));
    } while (reader.skip(0x2c));
    reader.expect(0x7d);
  }
  reader.space();
  if (!reader.atEnd) throw new Malformed();
  return fields;
}

/** Refuses `envelope_malformed`; whatever had been read is wiped then. `bytes` is for the caller to wipe. */
export function parseSecretFields(bytes: Uint8Array): Result<SecretFields> {
  const made: Buffer[] = [];
  try {
    // Buffers below are copied byte by byte: the whole has to be UTF-8 before.
    if (!isUtf8(bytes)) throw new Malformed();
    return accept(readFields(new Reader(bytes), made));
  } catch (error) {
    for (const text of made) text.fill(0);
    if (error instanceof Malformed) return refuse('envelope_malformed');
    throw error;
  }
}

/** Wipes all texts. */
export function wipeFields(fields: SecretFields): void {
  for (const value of fields.values()) {
    if (Buffer.isBuffer(value)) value.fill(0);
    else if (Array.isArray(value)) for (const text of value as readonly Buffer[]) text.fill(0);
  }
}
