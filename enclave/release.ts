// Outputs wait here until the host has acknowledged the commit with their leaf; before that nothing of
// their plaintext leaves the enclave in the clear. Then RELEASE goes out in the order of the leaves, and
// PROGRESS for a batch once all that it led to is durable and released. A host that does not read its
// side of the feed stalls its own input, and nothing is dropped.

import type { Channel } from '../wire/channel.ts';
import { encodeProgress, encodeRefused, encodeRelease, FRAME } from '../wire/enclave-messages.ts';
import type { Refused } from '../wire/enclave-messages.ts';
import { Fifo } from './fifo.ts';

export interface Output {
  readonly index: number;
  readonly salt: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly onReleased: () => void;
}

/** A batch on its way: who must still answer it, and the log size that holds all it led to. */
export interface BatchInWork {
  readonly stream: number;
  readonly sequence: number;
  readonly leafIndex: number;
  neededSize: number;
  strategiesWaiting: number;
}

/**
 * Batches that may be without their PROGRESS. Only the enclave's own connections bring any while no host
 * reads; a host with a feed has the credit and the log before it.
 */
export const MAX_BATCHES_IN_WORK = 4096;

export class Releases {
  readonly #outputs = new Fifo<Output>();
  readonly #batches = new Fifo<BatchInWork>();
  #acknowledgedSize = 0;
  #channel: Channel | null = null;
  #blocked = false;
  #stopped = false;
  #roomWaiters: (() => void)[] = [];
  #released = 0;

  /** False while the host does not read: take nothing more. */
  get hasRoom(): boolean {
    return !this.#blocked && this.#batches.length < MAX_BATCHES_IN_WORK;
  }

  get counters(): Readonly<Record<string, number>> {
    return {
      outputs_released: this.#released,
      outputs_waiting: this.#outputs.length,
      batches_in_work: this.#batches.length,
    };
  }

  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** The feed stream from now on; what waits is sent on it. */
  attach(channel: Channel): void {
    this.#channel = channel;
    this.#unblock();
  }

  detach(channel: Channel): void {
    if (this.#channel !== channel) return;
    this.#channel = null;
    this.#unblock();
  }

  addOutput(output: Output): void {
    this.#outputs.push(output);
  }

  addBatch(batch: BatchInWork): void {
    this.#batches.push(batch);
  }

  /** A refusal tells nothing of the log, so it does not wait. */
  refuse(refused: Refused): void {
    this.#send(FRAME.refused, encodeRefused(refused));
  }

  acknowledge(size: number): void {
    this.#acknowledgedSize = size;
    this.advance();
  }

  /** Sends all that is due. */
  advance(): void {
    while (this.#channel !== null && !this.#blocked && !this.#stopped) {
      if (!this.#releaseNext() && !this.#progressNext()) return;
    }
  }

  /** Resolves when all that is due has been sent, or when there is no stream to send it on. */
  async settled(): Promise<void> {
    while (this.#blocked && this.#channel !== null && !this.#stopped) await this.ready();
  }

  /** Nothing leaves any more. */
  stop(): void {
    this.#stopped = true;
    this.#unblock();
  }

  #releaseNext(): boolean {
    const output = this.#outputs.first;
    if (output === undefined || output.index >= this.#acknowledgedSize) return false;
    this.#outputs.shift();
    const { index: leafIndex, salt, plaintext } = output;
    this.#send(FRAME.release, encodeRelease({ leafIndex, salt, plaintext }));
    this.#released++;
    output.onReleased();
    return true;
  }

  #progressNext(): boolean {
    const batch = this.#batches.first;
    if (batch === undefined || batch.strategiesWaiting > 0) return false;
    if (batch.neededSize > this.#acknowledgedSize) return false;
    this.#batches.shift();
    this.#wake();
    const { stream, sequence, leafIndex } = batch;
    const acknowledgedSize = this.#acknowledgedSize;
    const message = encodeProgress({ stream, sequence, leafIndex, acknowledgedSize });
    this.#send(FRAME.progress, message);
    return true;
  }

  #send(type: number, payload: Uint8Array): void {
    const channel = this.#channel;
    if (channel === null || this.#stopped) return;
    if (channel.send(type, payload) || !channel.alive) return;
    this.#blocked = true;
    void channel.drained().then(() => {
      if (channel === this.#channel) this.#unblock();
    });
  }

  #unblock(): void {
    this.#blocked = false;
    this.advance();
    this.#wake();
  }

  #wake(): void {
    if (!this.hasRoom && !this.#stopped) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}
