// A framed stream with credits (docs/PROTOCOL.md 2). Both sides are bounded: what waits to be sent by
// `send` answering false, what was received by the credit granted and not yet used up. Trusts nothing
// of the peer: it can stall the stream, and beyond its credit or the limits it is refused.
//
// Frames are handed over in order, without waiting for the one before; the promise of `onFrame` only
// says when its bytes may be granted again. A promise that rejects is a bug and is left unhandled.

import { readU32, writeU32 } from './bytes.ts';
import type { Frame } from './frame.ts';
import { encodeFrame, encodeFrameHead, FRAME_HEAD_BYTES, FrameDecoder } from './frame.ts';
import { MAX_WRITE_BYTES } from './limits.ts';
import type { Refusal } from './result.ts';
import { Slices } from './slices.ts';

export const CREDIT_TYPE = 0x00;
export const MAX_CREDIT_BYTES = 0x7fff_ffff;
const CREDIT_PAYLOAD_BYTES = 4;
const NOTHING = new Uint8Array(0);
const DEFAULT_HIGH_WATER_BYTES = 256 * 1024;

/** What a Node Duplex offers of itself, so that wire/ needs no Node types. */
export interface ByteStream {
  /** False: wait for `drain`. */
  write(chunk: Uint8Array): boolean;
  once(event: 'drain', listener: () => void): unknown;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'end' | 'error' | 'close', listener: () => void): unknown;
  /** The callback comes when all that was written has been handed to the system. */
  end(callback?: () => void): unknown;
  destroy(): unknown;
}

export interface ChannelOptions {
  /** Maximum payload of a received frame, in bytes. */
  readonly maxReceiveBytes: number;
  /** Smaller maxima of single types. */
  readonly maxReceiveBytesOf?: ReadonlyMap<number, number>;
  /** What each side may send before the first CREDIT; both sides know it. */
  readonly firstCreditBytes: number;
  /** Frame types that may be received, CREDIT aside. */
  readonly types: readonly number[];
  /** `send` answers false from this many waiting bytes. Default 256 KiB. */
  readonly highWaterBytes?: number;
  readonly onFrame: (frame: Frame) => void | Promise<void>;
  /** Once: null when the peer ended its side cleanly (ours may go on), or why the stream is dead. */
  readonly onEnd: (refusal: Refusal | null) => void;
}

interface WaitingFrame extends Frame {
  readonly rest: Uint8Array;
  /** With its head, as credit counts it. */
  readonly cost: number;
}

export interface ChannelCounters {
  framesIn: number;
  framesOut: number;
  bytesIn: number;
  bytesOut: number;
  writes: number;
  creditFramesIn: number;
  creditFramesOut: number;
  /** How often a frame had to wait for credit of the peer. */
  creditStalls: number;
  /** How often the stream asked to wait for `drain`. */
  streamStalls: number;
}

export class Channel {
  readonly counters: ChannelCounters = {
    framesIn: 0,
    framesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    writes: 0,
    creditFramesIn: 0,
    creditFramesOut: 0,
    creditStalls: 0,
    streamStalls: 0,
  };
  readonly #stream: ByteStream;
  readonly #options: ChannelOptions;
  readonly #decoder: FrameDecoder;
  readonly #highWaterBytes: number;
  readonly #grantFromBytes: number;
  /** Bytes that the peer may still send, and bytes used up that were not granted again yet. */
  #receiveCredit: number;
  #ungranted = 0;
  #sendCredit: number;
  /** Frames that wait for credit, from `#first` on; then what waits for the stream. */
  #waiting: WaitingFrame[] = [];
  #first = 0;
  readonly #slices = new Slices(MAX_WRITE_BYTES);
  #queuedBytes = 0;
  #flushScheduled = false;
  #streamBlocked = false;
  #creditBlocked = false;
  #peerEnded = false;
  #closing = false;
  #ended = false;
  #dead = false;
  #drainWaiters: ((alive: boolean) => void)[] = [];
  #closeWaiters: ((flushed: boolean) => void)[] = [];

  constructor(stream: ByteStream, options: ChannelOptions) {
    this.#stream = stream;
    this.#options = options;
    const largest = options.maxReceiveBytes + FRAME_HEAD_BYTES;
    if (largest > options.firstCreditBytes)
      throw new Error('the first credit covers no full frame');
    // Credit that is held back never keeps the largest frame from being sent.
    this.#grantFromBytes = Math.max(
      1,
      Math.min(Math.floor(options.firstCreditBytes / 4), options.firstCreditBytes - largest),
    );
    this.#receiveCredit = options.firstCreditBytes;
    this.#sendCredit = options.firstCreditBytes;
    this.#highWaterBytes = options.highWaterBytes ?? DEFAULT_HIGH_WATER_BYTES;
    const maxima = new Map([[CREDIT_TYPE, CREDIT_PAYLOAD_BYTES]]);
    for (const type of options.types) {
      maxima.set(type, options.maxReceiveBytesOf?.get(type) ?? options.maxReceiveBytes);
    }
    this.#decoder = new FrameDecoder({
      maxPayloadBytes: maxima,
      admit: (type, bytes) => this.#admit(type, bytes),
    });
    stream.on('data', (chunk) => {
      this.#receive(chunk);
    });
    stream.on('end', () => {
      this.#receiveEnd();
    });
    stream.on('error', () => {
      this.destroy({ code: 'stream_closed', detail: {} });
    });
    stream.on('close', () => {
      this.destroy({ code: 'stream_closed', detail: {} });
    });
  }

  /** Bytes that wait in here, for credit or for the stream. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** False once the stream failed, was destroyed or was closed by us. */
  get alive(): boolean {
    return !this.#dead && !this.#closing;
  }

  /**
   * Queues a frame; the payload, which goes on in `rest`, must not change afterwards. False: wait for `drained()`
   * before the next one. What is sent after the end of the stream is dropped, as `onEnd` has said.
   */
  send(type: number, payload: Uint8Array, rest: Uint8Array = NOTHING): boolean {
    if (!this.alive) return false;
    const cost = FRAME_HEAD_BYTES + payload.length + rest.length;
    if (cost > this.#options.firstCreditBytes) {
      throw new RangeError('a frame larger than the first credit can never be sent');
    }
    this.#waiting.push({ type, payload, rest, cost });
    this.#queuedBytes += cost;
    this.#scheduleFlush();
    return this.#queuedBytes < this.#highWaterBytes;
  }

  /** True when there is room again; false when the stream is over. */
  drained(): Promise<boolean> {
    if (!this.alive) return Promise.resolve(false);
    if (this.#queuedBytes < this.#highWaterBytes) return Promise.resolve(true);
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /**
   * Sends what is queued and ends our side; what still arrives is handed over, but no more credit can be
   * granted. True when all of it was handed to the system.
   */
  close(): Promise<boolean> {
    if (this.#dead || this.#ended) return Promise.resolve(!this.#dead);
    this.#closing = true;
    const flushed = new Promise<boolean>((resolve) => this.#closeWaiters.push(resolve));
    this.#scheduleFlush();
    return flushed;
  }

  /** Ends both sides at once, without sending what is queued. `refusal` goes to `onEnd`. */
  destroy(refusal: Refusal): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#waiting = [];
    this.#slices.clear();
    this.#first = 0;
    this.#queuedBytes = 0;
    this.#stream.destroy();
    for (const resolve of this.#drainWaiters.splice(0)) resolve(false);
    for (const resolve of this.#closeWaiters.splice(0)) resolve(false);
    if (!this.#peerEnded) {
      this.#peerEnded = true;
      this.#options.onEnd(refusal);
    }
  }

  #admit(type: number, payloadBytes: number): Refusal | null {
    if (type === CREDIT_TYPE) {
      if (payloadBytes === CREDIT_PAYLOAD_BYTES) return null;
      return { code: 'credit_malformed', detail: { bytes: payloadBytes } };
    }
    const cost = FRAME_HEAD_BYTES + payloadBytes;
    if (cost > this.#receiveCredit) {
      return { code: 'credit_exceeded', detail: { bytes: cost, credit: this.#receiveCredit } };
    }
    this.#receiveCredit -= cost;
    return null;
  }

  #receive(chunk: Uint8Array): void {
    if (this.#dead) return;
    this.counters.bytesIn += chunk.length;
    const { frames, refusal } = this.#decoder.push(chunk);
    for (const frame of frames) {
      if (frame.type === CREDIT_TYPE) this.#receiveCreditFrame(frame.payload);
      else this.#deliver(frame);
      if (this.#dead) return;
    }
    if (refusal !== null) this.destroy(refusal);
  }

  #receiveCreditFrame(payload: Uint8Array): void {
    this.counters.creditFramesIn++;
    const granted = readU32(payload, 0);
    if (granted < 1 || this.#sendCredit + granted > MAX_CREDIT_BYTES) {
      this.destroy({ code: 'credit_malformed', detail: { granted, credit: this.#sendCredit } });
      return;
    }
    this.#sendCredit += granted;
    this.#creditBlocked = false;
    this.#scheduleFlush();
  }

  #deliver(frame: Frame): void {
    this.counters.framesIn++;
    const cost = FRAME_HEAD_BYTES + frame.payload.length;
    const settled = this.#options.onFrame(frame);
    if (settled === undefined) this.#settle(cost);
    else {
      void settled.then(() => {
        this.#settle(cost);
      });
    }
  }

  #settle(cost: number): void {
    this.#ungranted += cost;
    if (this.#ungranted >= this.#grantFromBytes && !this.#peerEnded) this.#scheduleFlush();
  }

  #receiveEnd(): void {
    if (this.#dead || this.#peerEnded) return;
    if (this.#decoder.partial) {
      this.destroy({ code: 'stream_closed', detail: { partial: true } });
      return;
    }
    this.#peerEnded = true;
    this.#options.onEnd(null);
    // Credit that is missing now will never come.
    this.#scheduleFlush();
  }

  /** Joins all that is sent within one turn of the microtask queue. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#streamBlocked || this.#ended || this.#dead) return;
    this.#flushScheduled = true;
    void Promise.resolve().then(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (!this.#dead && !this.#streamBlocked) {
      const chunk = this.#nextChunk();
      if (chunk === null) break;
      this.#write(chunk);
    }
    if (this.#dead) return;
    if (this.#queuedBytes < this.#highWaterBytes) {
      for (const resolve of this.#drainWaiters.splice(0)) resolve(true);
    }
    if (this.#peerEnded && this.#creditBlocked) {
      this.destroy({ code: 'stream_closed', detail: {} });
    } else if (this.#closing && this.#queuedBytes === 0) {
      this.#finish();
    }
  }

  #write(chunk: Uint8Array): void {
    this.counters.writes++;
    this.counters.bytesOut += chunk.length;
    if (this.#stream.write(chunk) || this.#dead) return;
    this.#streamBlocked = true;
    this.counters.streamStalls++;
    this.#stream.once('drain', () => {
      this.#streamBlocked = false;
      this.#flush();
    });
  }

  #nextChunk(): Uint8Array | null {
    while (!this.#slices.full && this.#admitNextFrame());
    const chunk = this.#slices.take();
    if (chunk !== null) this.#queuedBytes -= chunk.length;
    return chunk;
  }

  /** Moves one frame, CREDIT first, to the slices; false when none may go. */
  #admitNextFrame(): boolean {
    if (this.#ungranted >= this.#grantFromBytes && !this.#peerEnded) {
      this.#admitCredit();
      return true;
    }
    const frame = this.#waiting[this.#first];
    if (frame === undefined) return false;
    const { type, payload, rest, cost } = frame;
    if (cost > this.#sendCredit) {
      if (!this.#creditBlocked) this.counters.creditStalls++;
      this.#creditBlocked = true;
      return false;
    }
    this.#sendCredit -= cost;
    this.counters.framesOut++;
    this.#first++;
    if (this.#first === this.#waiting.length || this.#first === 1024) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    this.#slices.push(encodeFrameHead(type, cost - FRAME_HEAD_BYTES));
    for (const part of [payload, rest]) if (part.length > 0) this.#slices.push(part);
    return true;
  }

  #admitCredit(): void {
    const payload = new Uint8Array(CREDIT_PAYLOAD_BYTES);
    writeU32(payload, 0, this.#ungranted);
    this.#receiveCredit += this.#ungranted;
    this.#ungranted = 0;
    this.counters.creditFramesOut++;
    const frame = encodeFrame(CREDIT_TYPE, payload);
    this.#slices.push(frame);
    this.#queuedBytes += frame.length;
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    const waiters = this.#closeWaiters.splice(0);
    this.#stream.end(() => {
      for (const resolve of waiters) resolve(!this.#dead);
    });
  }
}
