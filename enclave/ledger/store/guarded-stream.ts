// What a database says, before the client library reads it. The database is hostile: every message is of a known type,
// within a limit that is checked before its bytes are kept, and let through whole and well-formed, since the library throws
// or never ends at others; all messages of one statement are within a budget; and it is answered by SCRAM or not at all, so that
// no password is sent to whoever asks. Anything else ends the connection.
//
//   message   u8 type | i32 length, of itself and the rest | rest

import { Duplex } from 'node:stream';

/** One row at most: a sealed state. */
export const MAX_DATABASE_MESSAGE_BYTES: number = 20 * 1024 * 1024;
/** Of all rows that answer one statement. */
export const MAX_DATABASE_ANSWER_BYTES: number = 32 * 1024 * 1024;
const HEAD_BYTES = 5;
/**
 * Authentication, parameters, key data, ready, row description, data row, complete, parse, bind and close complete, no
 * data, suspended, empty, error, notice, notification, parameter description.
 */
const KNOWN: ReadonlySet<number> = new Set(Buffer.from('RSKZTDC123nsIENAt', 'latin1'));
const AUTHENTICATION = 0x52;
const NOTHING = Buffer.alloc(0);

export class DatabaseProtocolError extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'DatabaseProtocolError';
  }
}

/** Of a row, or of its description; ours have fewer. */
const MAX_COLUMNS = 64;

/** Reads the body of one message; anything beyond its end is false from then on. */
class Body {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isOver(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(count: number): boolean {
    this.#at += count;
    return count >= 0 && this.#at <= this.#bytes.length;
  }

  /** Up to its zero; null without one. */
  text(): 'empty' | 'full' | null {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) return null;
    const isEmpty = end === this.#at;
    this.#at = end + 1;
    return isEmpty ? 'empty' : 'full';
  }

  texts(count: number): boolean {
    for (let at = 0; at < count; at++) if (this.text() === null) return false;
    return true;
  }

  /** Texts up to an empty one: fields of an error, mechanisms. */
  list(): boolean {
    let text = this.text();
    while (text === 'full') text = this.text();
    return text === 'empty';
  }

  int(bytes: 2 | 4): number | null {
    const at = this.#at;
    return this.skip(bytes) ? this.#bytes.readIntBE(at, bytes) : null;
  }

  rest(): boolean {
    this.#at = this.#bytes.length;
    return true;
  }

  /** Of a row or its description. */
  columns(each: () => boolean): boolean {
    const count = this.int(2);
    if (count === null || count < 0 || count > MAX_COLUMNS) return false;
    for (let at = 0; at < count; at++) if (!each()) return false;
    return true;
  }
}

/** The client library reads beyond a message that is cut short, and without an end where an error has none. */
function isWellFormed(type: number, bytes: Buffer): boolean {
  const body = new Body(bytes);
  return readsWhole(String.fromCodePoint(type), body) && body.isOver;
}

function readsWhole(type: string, body: Body): boolean {
  switch (type) {
    case 'D':
      return body.columns(() => {
        const length = body.int(4);
        return length === -1 || (length !== null && body.skip(length));
      });
    case 'T':
      return body.columns(() => body.texts(1) && body.skip(18));
    case 't':
      return body.columns(() => body.skip(4));
    case 'C':
      return body.texts(1);
    case 'S':
      return body.texts(2);
    case 'A':
      return body.skip(4) && body.texts(2);
    case 'E':
    case 'N':
      return body.list();
    case 'K':
      return body.skip(8);
    case 'Z':
      return body.skip(1);
    case 'R':
      return readsAuthentication(body);
    default:
      return true;
  }
}

function readsAuthentication(body: Body): boolean {
  const code = body.int(4);
  if (code === 10) return body.list();
  if (code === 11 || code === 12) return body.rest();
  return code === 0;
}

/** Whole messages, wherever the bytes are cut. */
export class MessageCheck {
  #parts: Buffer[] = [];
  #have = 0;
  /** Bytes without which nothing can be said. */
  #needed = HEAD_BYTES;
  #budget = MAX_DATABASE_ANSWER_BYTES;

  /** The next statement has a whole budget. */
  renew(): void {
    this.#budget = MAX_DATABASE_ANSWER_BYTES;
  }

  /** The messages that are whole now, or what is wrong. */
  take(bytes: Buffer): Buffer | string {
    this.#budget -= bytes.length;
    if (this.#budget < 0) return 'answer';
    this.#parts.push(bytes);
    this.#have += bytes.length;
    if (this.#have < this.#needed) return NOTHING;
    const all = Buffer.concat(this.#parts);
    let at = 0;
    this.#needed = HEAD_BYTES;
    while (all.length - at >= HEAD_BYTES) {
      const type = all[at] ?? 0;
      const length = all.readInt32BE(at + 1) - 4;
      if (!KNOWN.has(type)) return 'message';
      if (length < 0 || length > MAX_DATABASE_MESSAGE_BYTES) return 'length';
      this.#needed = HEAD_BYTES + length;
      if (all.length - at < this.#needed) break;
      const body = all.subarray(at + HEAD_BYTES, at + this.#needed);
      if (!isWellFormed(type, body)) return type === AUTHENTICATION ? 'authentication' : 'message';
      at += this.#needed;
      this.#needed = HEAD_BYTES;
    }
    this.#parts = [all.subarray(at)];
    this.#have = all.length - at;
    return all.subarray(0, at);
  }
}

/** The stream that the client library is given in place of a socket: TLS is below it, and it is connected. */
export class GuardedStream extends Duplex {
  readonly #inner: Duplex;
  readonly #check = new MessageCheck();

  constructor(inner: Duplex) {
    super({ allowHalfOpen: false });
    this.#inner = inner;
    inner.on('data', (bytes: Buffer) => {
      const whole = this.#check.take(bytes);
      if (typeof whole === 'string') this.destroy(new DatabaseProtocolError(whole));
      else if (whole.length > 0 && !this.push(whole)) inner.pause();
    });
    inner.on('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    inner.on('close', () => this.destroy());
  }

  /** Before each statement. */
  renew(): void {
    this.#check.renew();
  }

  /** As net.Socket has it: there is nothing to connect any more. */
  connect(): this {
    queueMicrotask(() => this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(bytes: Buffer, _: BufferEncoding, written: (error?: Error | null) => void): void {
    this.#inner.write(bytes, written);
  }

  override _final(done: () => void): void {
    this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy();
    done(error);
  }
}
