// Messages of one client, one at a time: nothing more is read from the connection than has been asked for, but for
// one chunk, so that a client that is ahead of the engine waits in its own buffers.

import type { Duplex } from 'node:stream';
import { HEAD_BYTES } from './protocol.ts';
import type { Message } from './protocol.ts';

export type ReadFailure = 'ended' | 'too_large' | 'timeout';

export class MessageReader {
  readonly #stream: Duplex;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wake: (() => void) | null = null;
  #isOver = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    const wake = (): void => {
      this.#wake?.();
    };
    const end = (): void => {
      this.#isOver = true;
      wake();
    };
    stream.on('readable', wake);
    stream.on('end', end);
    stream.on('close', end);
    stream.on('error', end);
  }

  /** What was read and not asked for. */
  get buffered(): number {
    return this.#bytes + this.#stream.readableLength;
  }

  /** Length and code of a first message, with its body. `timeoutMs` null: waits as long as it takes. */
  async startup(
    maxBytes: number,
    timeoutMs: number | null,
  ): Promise<{ readonly code: number; readonly body: Buffer } | ReadFailure> {
    const deadline = deadlineOf(timeoutMs);
    const head = await this.#take(8, deadline);
    if (typeof head === 'string') return head;
    const length = head.readUInt32BE(0);
    if (length < 8 || length > maxBytes) return 'too_large';
    const body = await this.#take(length - 8, deadline);
    if (typeof body === 'string') return body;
    return { code: head.readUInt32BE(4), body };
  }

  async message(maxBytes: number, timeoutMs: number | null): Promise<Message | ReadFailure> {
    const deadline = deadlineOf(timeoutMs);
    const head = await this.#take(HEAD_BYTES, deadline);
    if (typeof head === 'string') return head;
    const length = head.readUInt32BE(1);
    if (length < 4 || length + 1 > maxBytes) return 'too_large';
    const body = await this.#take(length - 4, deadline);
    if (typeof body === 'string') return body;
    return { type: head.toString('latin1', 0, 1), bytes: Buffer.concat([head, body]) };
  }

  async #take(count: number, deadline: number | null): Promise<Buffer | 'ended' | 'timeout'> {
    for (;;) {
      if (this.#bytes >= count) return this.#cut(count);
      const chunk = this.#stream.read() as Buffer | null;
      if (chunk !== null) {
        this.#chunks.push(chunk);
        this.#bytes += chunk.length;
        continue;
      }
      if (this.#isOver) return 'ended';
      const leftMs = deadline === null ? null : deadline - performance.now();
      if (leftMs !== null && leftMs <= 0) return 'timeout';
      await this.#more(leftMs);
    }
  }

  async #more(timeoutMs: number | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const done = (): void => {
      resolve(undefined);
    };
    const timer = timeoutMs === null ? null : setTimeout(done, timeoutMs);
    this.#wake = done;
    await promise;
    this.#wake = null;
    if (timer !== null) clearTimeout(timer);
  }

  #cut(count: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const whole = all ?? Buffer.alloc(0);
    this.#bytes -= count;
    this.#chunks = this.#bytes === 0 ? [] : [whole.subarray(count)];
    return whole.subarray(0, count);
  }
}

function deadlineOf(timeoutMs: number | null): number | null {
  return timeoutMs === null ? null : performance.now() + timeoutMs;
}
