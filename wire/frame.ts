// Frames of docs/PROTOCOL.md 2: encoder and incremental decoder. Trusts nothing: the type and the
// announced length are checked before a payload is allocated, so hostile input can hold at most one
// payload of its type's maximum. One byte at a time gives the same frames as one shot.
//
//   u32 length of the payload | u8 type | payload

import { readU32, writeU32 } from './bytes.ts';
import type { Refusal, Result } from './result.ts';
import { accept, refuse } from './result.ts';

export const FRAME_HEAD_BYTES = 5;

/** Payloads up to this size are copied out of their chunk, so that they do not keep it alive. */
const COPY_BELOW_BYTES = 4096;

export interface Frame {
  readonly type: number;
  /** May share memory with the chunk it arrived in; nobody writes to either. */
  readonly payload: Uint8Array;
}

export interface FrameLimits {
  /** The frame types that this direction of the stream has, with their maximum payload in bytes. */
  readonly maxPayloadBytes: ReadonlyMap<number, number>;
  /** Asked when a head is complete, before the payload is allocated. */
  readonly admit?: (type: number, payloadBytes: number) => Refusal | null;
}

/** Frames that were complete before the refusal, if there is one, are valid. */
export interface DecodedFrames {
  readonly frames: readonly Frame[];
  readonly refusal: Refusal | null;
}

/** The five bytes in front of a payload. */
export function encodeFrameHead(type: number, payloadBytes: number): Uint8Array {
  const head = new Uint8Array(FRAME_HEAD_BYTES);
  writeU32(head, 0, payloadBytes);
  head[4] = type;
  return head;
}

export function encodeFrame(type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  writeU32(frame, 0, payload.length);
  frame[4] = type;
  frame.set(payload, FRAME_HEAD_BYTES);
  return frame;
}

export class FrameDecoder {
  readonly #limits: FrameLimits;
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #headBytes = 0;
  #type = 0;
  #length = 0;
  /** The payload of a frame that crosses chunks, and how much of it is there. */
  #payload: Uint8Array | null = null;
  #payloadBytes = 0;
  #refusal: Refusal | null = null;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** True in the middle of a frame: an end of the stream here cuts it off. */
  get partial(): boolean {
    return this.#headBytes > 0;
  }

  /**
   * Takes the next bytes of the stream. Refuses `frame_unknown`, `frame_too_large` and whatever `admit`
   * says; after a refusal the decoder stays refused.
   */
  push(chunk: Uint8Array): DecodedFrames {
    const frames: Frame[] = [];
    let offset = 0;
    while (this.#refusal === null && offset < chunk.length) {
      offset =
        this.#headBytes < FRAME_HEAD_BYTES
          ? this.#takeHead(chunk, offset, frames)
          : this.#takePayload(chunk, offset, frames);
    }
    return { frames, refusal: this.#refusal };
  }

  #takeHead(chunk: Uint8Array, start: number, frames: Frame[]): number {
    const count = Math.min(FRAME_HEAD_BYTES - this.#headBytes, chunk.length - start);
    this.#head.set(chunk.subarray(start, start + count), this.#headBytes);
    this.#headBytes += count;
    if (this.#headBytes < FRAME_HEAD_BYTES) return start + count;
    this.#length = readU32(this.#head, 0);
    this.#type = this.#head[4] ?? 0;
    const checked = this.#checkHead();
    if (!checked.ok) this.#refusal = checked.refusal;
    else if (this.#length === 0) this.#complete(frames, new Uint8Array(0));
    return start + count;
  }

  #checkHead(): Result<null> {
    const type = this.#type;
    const maximum = this.#limits.maxPayloadBytes.get(type);
    if (maximum === undefined) return refuse('frame_unknown', { type });
    if (this.#length > maximum) {
      return refuse('frame_too_large', { type, bytes: this.#length, maximum });
    }
    const refusal = this.#limits.admit?.(type, this.#length) ?? null;
    return refusal === null ? accept(null) : { ok: false, refusal };
  }

  #takePayload(chunk: Uint8Array, start: number, frames: Frame[]): number {
    const missing = this.#length - this.#payloadBytes;
    const end = Math.min(start + missing, chunk.length);
    if (this.#payload === null && end - start === this.#length) {
      const whole = chunk.subarray(start, end);
      this.#complete(frames, whole.length <= COPY_BELOW_BYTES ? new Uint8Array(whole) : whole);
      return end;
    }
    this.#payload ??= new Uint8Array(this.#length);
    this.#payload.set(chunk.subarray(start, end), this.#payloadBytes);
    this.#payloadBytes += end - start;
    if (this.#payloadBytes === this.#length) this.#complete(frames, this.#payload);
    return end;
  }

  #complete(frames: Frame[], payload: Uint8Array): void {
    frames.push({ type: this.#type, payload });
    this.#headBytes = 0;
    this.#payload = null;
    this.#payloadBytes = 0;
  }
}
