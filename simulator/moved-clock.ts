// A clock that can be moved ahead by whole minutes, for a demo that cannot wait until an hour has passed. Processes that
// follow the same file have the same time: its one byte says how many minutes were skipped. Whoever can write the file
// sets the enclave's clock, so this is for the local appliance alone; the image's programs cannot reach it.

import { openSync, readSync, writeSync } from 'node:fs';
import process from 'node:process';

const MINUTE_MS = 60_000;
const MINUTE_NS = 60_000_000_000n;
const MAX_MINUTES = 255;

export class MovedClock {
  readonly #descriptor: number;
  readonly #byte = new Uint8Array(1);
  readonly #now = Date.now;
  readonly #bigint = process.hrtime.bigint.bind(process.hrtime);

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** With the machine's time, until somebody moves it. */
  static create(file: string): MovedClock {
    const clock = new MovedClock(openSync(file, 'w+'));
    clock.#write(0);
    return clock;
  }

  /** Of another process. Needs no permission to read files from then on. */
  static open(file: string): MovedClock {
    return new MovedClock(openSync(file, 'r'));
  }

  /** Ahead to the first moment at or after `timeMs` that whole minutes lead to; never back. */
  moveTo(timeMs: number): void {
    const minutes = Math.ceil((timeMs - this.#now()) / MINUTE_MS);
    if (minutes > MAX_MINUTES) throw new Error('further than the clock goes');
    if (minutes > this.#minutes()) this.#write(minutes);
  }

  /** The machine's time again: back, which no enclave that runs would live through. */
  stop(): void {
    this.#write(0);
  }

  /**
   * Wall clock and monotonic clock of this process: Date.now, and process.hrtime.bigint, which only clocks of the enclave
   * read. Timers and deadlines are on others and stay as they are. Takes what it replaced back.
   */
  follow(): () => void {
    const { hrtime } = process;
    const [now, bigint] = [this.#now, this.#bigint];
    hrtime.bigint = () => bigint() + BigInt(this.#minutes()) * MINUTE_NS;
    // Frozen in the ledger, whose wall clock does not count.
    const hasWall = Object.getOwnPropertyDescriptor(Date, 'now')?.writable === true;
    if (hasWall) Date.now = () => now() + this.#minutes() * MINUTE_MS;
    return () => {
      hrtime.bigint = bigint;
      if (hasWall) Date.now = now;
    };
  }

  #minutes(): number {
    readSync(this.#descriptor, this.#byte, 0, 1, 0);
    return this.#byte[0] ?? 0;
  }

  /** One byte, so that nobody reads half of it. */
  #write(minutes: number): void {
    writeSync(this.#descriptor, new Uint8Array([minutes]), 0, 1, 0);
  }
}
