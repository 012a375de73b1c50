// Byte streams over one Channel (wire/channel.ts), each a Duplex of its own with a window, so that a slow reader of one
// holds nobody else: what waits for it is bounded by its window, and the Channel's credit is granted at once. The peer
// is not trusted: a stream that it did not open, bytes beyond a window, or a malformed frame is a refusal, and whoever
// owns the Channel ends it. Streams are opened with bytes at once; one that cannot be had is reset. What is written is not
// copied: nobody changes it afterwards, as nobody does what a socket, TLS or HTTP/2 of Node gives.
//
//   OPEN    u32 stream | u8 kind | label (0 to 64 bytes)        DATA   u32 stream | bytes (1 to 16 KiB)
//   WINDOW  u32 stream | u32 bytes                              END    u32 stream      RESET  u32 stream

import { Duplex } from 'node:stream';
import { readU32, writeU32 } from '../bytes.ts';
import type { Refusal } from '../result.ts';

/** What may be under way and unread, for each stream and direction. */
export const STREAM_WINDOW_BYTES: number = 256 * 1024;
export const MAX_STREAM_CHUNK_BYTES: number = 16 * 1024;
export const MAX_STREAM_LABEL_BYTES = 64;
const STREAM_BYTES = 4;
const MAX_STREAM = 0xffff_fffe;

/** Types of the five frames on the channel. */
export interface StreamFrames {
  readonly open: number;
  readonly data: number;
  readonly window: number;
  readonly end: number;
  readonly reset: number;
}

export interface StreamMuxOptions {
  /** The numbers that we give: the two sides differ. */
  readonly numbers: 'odd' | 'even';
  readonly frames: StreamFrames;
  /** As `Channel.send`; false: wait for `drained`. */
  readonly send: (type: number, head: Uint8Array, rest: Uint8Array) => boolean;
  readonly drained: () => Promise<boolean>;
  /** Opened by the peer and not over; one more is reset. */
  readonly maxPeerStreams: number;
  /** False: it is reset. The stream has nobody who reads it yet. */
  readonly onStream: (stream: Duplex, kind: number, label: Uint8Array) => boolean;
}

/** What a stream asks of its mux. */
interface Wires {
  /** There is something to send, or the window has grown. */
  readonly pump: () => void;
  readonly send: (type: keyof StreamFrames, number: number, rest: Uint8Array) => void;
  readonly forget: (number: number) => void;
}

/** Of frames as they are received, for the channel. */
export function maxStreamFrameBytes(frames: StreamFrames): ReadonlyMap<number, number> {
  return new Map([
    [frames.open, STREAM_BYTES + 1 + MAX_STREAM_LABEL_BYTES],
    [frames.data, STREAM_BYTES + MAX_STREAM_CHUNK_BYTES],
    [frames.window, STREAM_BYTES + 4],
    [frames.end, STREAM_BYTES],
    [frames.reset, STREAM_BYTES],
  ]);
}

const NOTHING = new Uint8Array(0);

class MuxStream extends Duplex {
  readonly number: number;
  readonly #wires: Wires;
  #sendWindow = STREAM_WINDOW_BYTES;
  #receiveWindow = STREAM_WINDOW_BYTES;
  /** Taken by the reader and not granted again. */
  #ungranted = 0;
  readonly #unread: Uint8Array[] = [];
  #wanted = false;
  #peerEnded = false;
  #endTold = false;
  #weEnded = false;
  /** What `_write` was given and is not sent. */
  #rest: Uint8Array = NOTHING;
  #written: ((error?: Error | null) => void) | null = null;

  constructor(number: number, wires: Wires) {
    super({ allowHalfOpen: true, readableHighWaterMark: MAX_STREAM_CHUNK_BYTES });
    this.number = number;
    this.#wires = wires;
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  override _write(
    chunk: Uint8Array,
    _: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#rest = chunk;
    this.#written = done;
    this.#wires.pump();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#weEnded = true;
    this.#wires.send('end', this.number, NOTHING);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wires.forget(this.number);
    if (!this.#peerEnded || !this.#weEnded) this.#wires.send('reset', this.number, NOTHING);
    this.#peerEnded = true;
    this.#weEnded = true;
    this.#unread.length = 0;
    this.#settleWrite(new Error('the stream is over'));
    done(error);
  }

  /** The next bytes that may go out; null when there are none, or the window is used up. */
  nextChunk(): Uint8Array | null {
    const bytes = Math.min(this.#rest.length, this.#sendWindow, MAX_STREAM_CHUNK_BYTES);
    if (bytes === 0) return null;
    const chunk = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(bytes);
    this.#sendWindow -= bytes;
    return chunk;
  }

  /** What `nextChunk` gave is on its way: only now may the writer hear of it, and end. */
  settle(): void {
    if (this.#rest.length === 0) this.#settleWrite(null);
  }

  /** False: beyond the window, or after its end. */
  takeData(bytes: Uint8Array): boolean {
    if (this.#peerEnded || bytes.length > this.#receiveWindow) return false;
    this.#receiveWindow -= bytes.length;
    this.#unread.push(bytes);
    this.#deliver();
    return true;
  }

  /** False: more than was used up. */
  takeWindow(bytes: number): boolean {
    if (bytes === 0 || this.#sendWindow + bytes > STREAM_WINDOW_BYTES) return false;
    this.#sendWindow += bytes;
    this.#wires.pump();
    return true;
  }

  /** False: twice. */
  takeEnd(): boolean {
    if (this.#peerEnded) return false;
    this.#peerEnded = true;
    this.#deliver();
    return true;
  }

  takeReset(): void {
    this.#peerEnded = true;
    this.#weEnded = true;
    this.destroy();
  }

  #deliver(): void {
    while (this.#wanted) {
      const chunk = this.#unread.shift();
      if (chunk === undefined) break;
      this.#wanted = this.push(chunk);
      this.#ungranted += chunk.length;
    }
    if (this.#peerEnded) {
      if (this.#unread.length > 0 || this.#endTold || this.destroyed) return;
      this.#endTold = true;
      this.push(null);
      return;
    }
    if (this.#ungranted < STREAM_WINDOW_BYTES / 2) return;
    const grant = new Uint8Array(4);
    writeU32(grant, 0, this.#ungranted);
    this.#receiveWindow += this.#ungranted;
    this.#ungranted = 0;
    this.#wires.send('window', this.number, grant);
  }

  #settleWrite(error: Error | null): void {
    const done = this.#written;
    this.#written = null;
    this.#rest = NOTHING;
    done?.(error);
  }
}

function malformed(frame: string): Refusal {
  return { code: 'message_malformed', detail: { message: `stream_${frame}` } };
}

export class StreamMux {
  readonly #options: StreamMuxOptions;
  readonly #streams = new Map<number, MuxStream>();
  readonly #wires: Wires;
  #lastOwn: number;
  #lastPeer: number;
  #peerStreams = 0;
  #pumping = false;
  #due = false;
  #over = false;

  constructor(options: StreamMuxOptions) {
    this.#options = options;
    this.#lastOwn = options.numbers === 'odd' ? -1 : 0;
    this.#lastPeer = options.numbers === 'odd' ? 0 : -1;
    this.#wires = {
      pump: () => {
        this.#pump();
      },
      send: (type, number, rest) => {
        this.#send(type, number, rest);
      },
      forget: (number) => {
        if (this.#streams.delete(number) && !this.#isOwn(number)) this.#peerStreams--;
      },
    };
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Bytes may be written at once; the peer resets what it does not want. After `destroy` it is over at once. */
  open(kind: number, label: Uint8Array): Duplex {
    if (label.length > MAX_STREAM_LABEL_BYTES) throw new RangeError('a label beyond its limit');
    this.#lastOwn += 2;
    if (this.#lastOwn > MAX_STREAM) throw new Error('no numbers left');
    const stream = new MuxStream(this.#lastOwn, this.#wires);
    if (this.#over) {
      stream.destroy();
      return stream;
    }
    this.#streams.set(stream.number, stream);
    const head = new Uint8Array(1 + label.length);
    head[0] = kind;
    head.set(label, 1);
    this.#send('open', stream.number, head);
    return stream;
  }

  /** A frame of one of the five types. A refusal: the peer broke the rules, and the channel should end. */
  receive(type: number, payload: Uint8Array): Refusal | null {
    if (this.#over) return null;
    const number = payload.length < STREAM_BYTES ? 0 : readU32(payload, 0);
    if (number === 0) return malformed('number');
    const rest = payload.subarray(STREAM_BYTES);
    const { frames } = this.#options;
    if (type === frames.open) return this.#takeOpen(number, rest);
    const isKnown = number <= (this.#isOwn(number) ? this.#lastOwn : this.#lastPeer);
    if (!isKnown) return malformed('number');
    // One that is over on our side: what was under way falls on nobody.
    const stream = this.#streams.get(number) ?? null;
    if (type === frames.data) {
      if (rest.length === 0 || rest.length > MAX_STREAM_CHUNK_BYTES) return malformed('data');
      return stream === null || stream.takeData(rest)
        ? null
        : { code: 'credit_exceeded', detail: { bytes: rest.length } };
    }
    if (type === frames.window) {
      if (rest.length !== 4) return malformed('window');
      const taken = stream === null || stream.takeWindow(readU32(rest, 0));
      return taken ? null : { code: 'credit_malformed', detail: {} };
    }
    if (rest.length > 0) return malformed('end');
    if (type === frames.end) return stream === null || stream.takeEnd() ? null : malformed('end');
    stream?.takeReset();
    return null;
  }

  /** The channel is over, and so is every stream. */
  destroy(): void {
    this.#over = true;
    for (const stream of this.#streams.values()) stream.takeReset();
  }

  #isOwn(number: number): boolean {
    return (number % 2 === 1) === (this.#options.numbers === 'odd');
  }

  #takeOpen(number: number, rest: Uint8Array): Refusal | null {
    const kind = rest[0];
    const isNext = !this.#isOwn(number) && number > this.#lastPeer && number <= MAX_STREAM;
    if (!isNext) return malformed('number');
    if (kind === undefined || rest.length > 1 + MAX_STREAM_LABEL_BYTES) return malformed('open');
    this.#lastPeer = number;
    if (this.#peerStreams >= this.#options.maxPeerStreams) {
      this.#send('reset', number, NOTHING);
      return null;
    }
    const stream = new MuxStream(number, this.#wires);
    this.#streams.set(number, stream);
    this.#peerStreams++;
    if (!this.#options.onStream(stream, kind, new Uint8Array(rest.subarray(1)))) stream.destroy();
    return null;
  }

  #send(type: keyof StreamFrames, number: number, rest: Uint8Array): boolean {
    if (this.#over) return false;
    const head = new Uint8Array(STREAM_BYTES);
    writeU32(head, 0, number);
    return this.#options.send(this.#options.frames[type], head, rest);
  }

  /** One chunk of each stream in turn, while the channel has room. */
  #pump(): void {
    this.#due = true;
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pumpAll();
  }

  async #pumpAll(): Promise<void> {
    while (this.#due && !this.#over) {
      this.#due = false;
      for (const stream of this.#streams.values()) {
        const chunk = stream.nextChunk();
        const hasRoom = chunk === null || this.#send('data', stream.number, chunk);
        stream.settle();
        if (chunk !== null) this.#due = true;
        if (hasRoom) continue;
        await this.#options.drained();
      }
    }
    this.#pumping = false;
  }
}
