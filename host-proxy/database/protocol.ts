// The PostgreSQL wire protocol (version 3.0), as much of it as a server needs that hands the rest to an engine:
//
//   first messages   u32 length (with itself) | u32 code | body        SSLRequest, StartupMessage, ...
//   later ones       u8 type | u32 length (with itself, without type) | body
//
// What a client sends is hostile: a length is checked before anything is kept, and a type that is not known ends
// the connection (the engine would end itself). https://www.postgresql.org/docs/15/protocol-message-formats.html

export const SSL_REQUEST = 80_877_103;
export const GSS_REQUEST = 80_877_104;
export const CANCEL_REQUEST = 80_877_102;
export const PROTOCOL_3_0 = 196_608;

export interface Message {
  /** One ASCII letter. */
  readonly type: string;
  /** With type and length. */
  readonly bytes: Buffer;
}

export const HEAD_BYTES = 5;

/** A whole message. */
export function encodeMessage(type: string, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt32BE(4 + body.length, 1);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

export function encodeQuery(sql: string): Buffer {
  return encodeMessage('Q', cString(sql));
}

export const SYNC: Buffer = encodeMessage('S', new Uint8Array(0));

/** The text up to the next NUL from `from`; null without one. */
export function readCString(bytes: Buffer, from: number): string | null {
  const end = bytes.indexOf(0, from);
  return end === -1 ? null : bytes.toString('utf8', from, end);
}

/** ErrorResponse. `code` is an SQLSTATE of PostgreSQL's list (Appendix A). */
export function encodeError(severity: 'ERROR' | 'FATAL', code: string, message: string): Buffer {
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${message}`];
  return encodeMessage('E', Buffer.concat([...fields.map(cString), Buffer.of(0)]));
}

export function encodeParameter(name: string, value: string): Buffer {
  return encodeMessage('S', Buffer.concat([cString(name), cString(value)]));
}

/** AuthenticationSASL, its continuation and its end. */
export const SASL = 10;
export const SASL_CONTINUE = 11;
export const SASL_FINAL = 12;

/** 0: it is over. */
export function encodeAuthentication(
  code: 0 | typeof SASL | typeof SASL_CONTINUE | typeof SASL_FINAL,
  data: Uint8Array = new Uint8Array(0),
): Buffer {
  return encodeMessage('R', Buffer.concat([Buffer.of(0, 0, 0, code), data]));
}

export function encodeReady(status: 'I' | 'T' | 'E'): Buffer {
  return encodeMessage('Z', Buffer.from(status, 'latin1'));
}

/**
 * Pairs of a StartupMessage's body. Null where it is not pairs of text, or has more than 32.
 */
export function parseStartup(body: Buffer): ReadonlyMap<string, string> | null {
  const found = new Map<string, string>();
  let at = 0;
  while (found.size <= 32) {
    const name = readCString(body, at);
    if (name === null) return null;
    at += Buffer.byteLength(name) + 1;
    if (name === '') return at === body.length ? found : null;
    const value = readCString(body, at);
    if (value === null || found.has(name)) return null;
    at += Buffer.byteLength(value) + 1;
    found.set(name, value);
  }
  return null;
}

/** Splits what an engine of ours answers: bounded by its caller, of sound lengths. */
export class BackendSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Uint8Array): readonly Message[] {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const messages: Message[] = [];
    let at = 0;
    while (this.#rest.length - at >= HEAD_BYTES) {
      const end = at + 1 + this.#rest.readUInt32BE(at + 1);
      if (end > this.#rest.length) break;
      const bytes = this.#rest.subarray(at, end);
      messages.push({ type: String.fromCharCode(bytes[0] ?? 0), bytes });
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    return messages;
  }
}
