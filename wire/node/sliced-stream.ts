// A stream that hands on what is written to it in slices of at most 32 KiB, one after the other. A native
// handle joins what waits in writev, and TLS writes to it past JavaScript, whole records joined; over this
// Duplex every write(2) on vsock stays below what kernels carry (wire/limits.ts), whoever writes.

import { Duplex } from 'node:stream';
import { MAX_WRITE_BYTES } from '../limits.ts';

type Done = (error?: Error | null) => void;

export interface SlicedStreamOptions {
  /** False: when the peer ends its side, ours ends too. */
  readonly allowHalfOpen: boolean;
}

export class SlicedStream extends Duplex {
  readonly #under: Duplex;

  constructor(under: Duplex, { allowHalfOpen }: SlicedStreamOptions) {
    super({ allowHalfOpen });
    this.#under = under;
    under.on('data', (chunk: Uint8Array) => {
      if (!this.push(chunk)) under.pause();
    });
    under.on('end', () => {
      this.push(null);
    });
    under.on('error', (error: Error) => {
      this.destroy(error);
    });
    under.on('close', () => {
      // Both sides ended in order: what was received may still be read.
      if (!under.readableEnded || !under.writableFinished) this.destroy();
    });
  }

  override _read(): void {
    this.#under.resume();
  }

  override _write(chunk: Uint8Array, _: BufferEncoding, done: Done): void {
    this.#writeFrom(chunk, 0, done);
  }

  override _final(done: Done): void {
    this.#under.end(() => done());
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#under.destroy();
    done(error);
  }

  #writeFrom(chunk: Uint8Array, start: number, done: Done): void {
    const end = Math.min(start + MAX_WRITE_BYTES, chunk.length);
    this.#under.write(chunk.subarray(start, end), (error) => {
      if (error !== null && error !== undefined) done(error);
      else if (end < chunk.length) this.#writeFrom(chunk, end, done);
      else done();
    });
  }
}
