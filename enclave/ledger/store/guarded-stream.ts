// What a database says, before the client library reads it. The database is hostile: every message is of a known type and
// within a limit that is checked before its bytes are let through, and all messages of one statement are within a budget.
// It may ask for a password by SCRAM or, inside of TLS under a measured authority, as it is (the host's own database does);
// never for MD5 or another system's tickets. Anything else ends the connection.
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
/** OK, clear password, SASL, SASL continue, SASL final. */
const AUTHENTICATIONS: ReadonlySet<number> = new Set([0, 3, 10, 11, 12]);

export class DatabaseProtocolError extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'DatabaseProtocolError';
  }
}

/** Reads heads, wherever the bytes are cut. */
export class MessageCheck {
  readonly #head = Buffer.alloc(HEAD_BYTES + 4);
  #have = 0;
  /** Of the message under way, what has not come. */
  #left = 0;
  #budget = MAX_DATABASE_ANSWER_BYTES;

  /** The next statement has a whole budget. */
  renew(): void {
    this.#budget = MAX_DATABASE_ANSWER_BYTES;
  }

  /** Null when all is well, or what is wrong. */
  check(bytes: Uint8Array): string | null {
    this.#budget -= bytes.length;
    if (this.#budget < 0) return 'answer';
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, bytes.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      this.#head[this.#have++] = bytes[at++] ?? 0;
      const wrong = this.#checkHead();
      if (wrong !== null) return wrong;
    }
    return null;
  }

  #checkHead(): string | null {
    if (this.#have < HEAD_BYTES) return null;
    const type = this.#head[0] ?? 0;
    const length = this.#head.readInt32BE(1) - 4;
    if (this.#have === HEAD_BYTES) {
      if (!KNOWN.has(type)) return 'message';
      if (length < 0 || length > MAX_DATABASE_MESSAGE_BYTES) return 'length';
    }
    if (type !== AUTHENTICATION) return this.#pass(length);
    if (length < 4) return 'length';
    if (this.#have < HEAD_BYTES + 4) return null;
    if (!AUTHENTICATIONS.has(this.#head.readInt32BE(HEAD_BYTES))) return 'authentication';
    return this.#pass(length - 4);
  }

  #pass(left: number): null {
    this.#have = 0;
    this.#left = left;
    return null;
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
      const wrong = this.#check.check(bytes);
      if (wrong !== null) this.destroy(new DatabaseProtocolError(wrong));
      else if (!this.push(bytes)) inner.pause();
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
