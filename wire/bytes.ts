// Small helpers on byte strings. Pure; sizes are the caller's responsibility.

declare const TextEncoder: new () => {
  encode(text: string): Uint8Array;
  encodeInto(text: string, target: Uint8Array): { readonly written: number };
};
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const scratch = new Uint8Array(1024);
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** How many bytes `utf8` makes, well-formed or not: TextEncoder makes three of half a surrogate pair. */
export function utf8Bytes(text: string): number {
  const isShort = 3 * text.length <= scratch.length;
  return isShort ? encoder.encodeInto(text, scratch).written : utf8(text).length;
}

/** Writes what `utf8` makes, of which `utf8Bytes` has said the length. */
export function writeUtf8(target: Uint8Array, offset: number, text: string, bytes: number): void {
  const { written } = encoder.encodeInto(text, target.subarray(offset));
  // Node 26 stops early where there is room for no byte more (nodejs/node 65994).
  if (written !== bytes) target.set(utf8(text), offset);
}

/** Null when the bytes are not well-formed UTF-8. */
export function parseUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte] ?? '';
  return text;
}

/** Lower-case hex only, even length; null for anything else. */
export function parseHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/u.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  }
  return bytes;
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64_VALUES: ReadonlyMap<string, number> = new Map(
  Array.from(BASE64, (letter, value) => [letter, value]),
);

/** Standard base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const left = bytes.length - index;
    const word =
      ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    text += BASE64.charAt((word >> 18) & 63) + BASE64.charAt((word >> 12) & 63);
    text += left > 1 ? BASE64.charAt((word >> 6) & 63) : '=';
    text += left > 2 ? BASE64.charAt(word & 63) : '=';
  }
  return text;
}

/** Canonical standard base64 only: right padding, zero spare bits. Null for anything else. */
export function parseBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let offset = 0;
  for (let index = 0; index < text.length; index += 4) {
    const last = index + 4 === text.length;
    let word = 0;
    for (let step = 0; step < 4; step++) {
      const letter = text.charAt(index + step);
      const padded = last && step >= 4 - padding;
      const value = padded && letter === '=' ? 0 : BASE64_VALUES.get(letter);
      if (value === undefined) return null;
      word = (word << 6) | value;
    }
    const count = last ? 3 - padding : 3;
    if ((word & ((1 << ((3 - count) * 8)) - 1)) !== 0) return null;
    for (let step = 0; step < count; step++) bytes[offset++] = (word >> (16 - step * 8)) & 255;
  }
  return bytes;
}

export function writeU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

export function readU32(source: Uint8Array, offset: number): number {
  return (
    (source[offset] ?? 0) * 0x1000000 +
    (((source[offset + 1] ?? 0) << 16) |
      ((source[offset + 2] ?? 0) << 8) |
      (source[offset + 3] ?? 0))
  );
}

/** Eight bytes, big endian. */
export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}
