// Stream and sequence of a batch that was refused, so that its gap can be named. Only the fixed start of
// the layout is read; anything else answers null.
//
//   b5 | 01 01 | 02 stream | 03 sequence | …

export interface BatchHead {
  readonly stream: number;
  readonly sequence: number;
}

const START: readonly number[] = [0xb5, 0x01, 0x01, 0x02];

interface Uint {
  readonly value: number;
  readonly end: number;
}

/** A CBOR unsigned integer in its shortest form, up to 2^53-1. */
function readUint(bytes: Uint8Array, at: number): Uint | null {
  const head = bytes[at];
  if (head === undefined || head > 27) return null;
  if (head < 24) return { value: head, end: at + 1 };
  const width = 1 << (head - 24);
  const end = at + 1 + width;
  if (end > bytes.length) return null;
  let value = 0;
  for (const byte of bytes.subarray(at + 1, end)) value = value * 256 + byte;
  const shortest = width === 1 ? 24 : 2 ** (width * 4);
  return value >= shortest && Number.isSafeInteger(value) ? { value, end } : null;
}

export function peekBatch(bytes: Uint8Array): BatchHead | null {
  if (START.some((byte, at) => bytes[at] !== byte)) return null;
  const stream = readUint(bytes, START.length);
  if (stream === null || bytes[stream.end] !== 0x03) return null;
  const sequence = readUint(bytes, stream.end + 1);
  return sequence === null ? null : { stream: stream.value, sequence: sequence.value };
}
