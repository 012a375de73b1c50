// What the host is doing, for a person: one line that is rewritten on a terminal, and a plain line every
// few seconds where there is none. Numbers only.

import type { LiveEpoch } from './epoch-services.ts';

const TERMINAL_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 5000;

export interface ProgressNumbers {
  readonly epoch: number;
  /** Market events that were sent to the enclave. */
  readonly events: number;
  readonly batchesSent: number;
  /** Batches whose results are durable and released. */
  readonly batchesDone: number;
  readonly signals: number;
  /** Leaves that the host has acknowledged. */
  readonly leaves: number;
}

export function progressOf(live: LiveEpoch | null): ProgressNumbers {
  const feed = live?.feed ?? null;
  return {
    epoch: live?.epoch ?? 0,
    events: feed?.events ?? 0,
    batchesSent: feed?.batchesSent ?? 0,
    batchesDone: feed?.batchesDone ?? 0,
    signals: feed?.signals ?? 0,
    leaves: live?.leaves ?? 0,
  };
}

export interface ProgressOptions {
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly nowMs: () => number;
  readonly read: () => ProgressNumbers;
}

export class ProgressDisplay {
  readonly #options: ProgressOptions;
  #timer: NodeJS.Timeout | null = null;
  #lastMs: number;
  #lastEvents = 0;
  #eventsPerSecond = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#lastMs = options.nowMs();
  }

  start(): void {
    const everyMs = this.#options.isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
    this.#timer = setInterval(() => {
      this.show();
    }, everyMs);
    this.#timer.unref();
  }

  /** Shows the last numbers and leaves the line. */
  stop(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.show();
    if (this.#options.isTerminal) this.#options.write('\n');
  }

  show(): void {
    const numbers = this.#options.read();
    const nowMs = this.#options.nowMs();
    const seconds = (nowMs - this.#lastMs) / 1000;
    // Numbers that went back belong to a new epoch.
    if (numbers.events < this.#lastEvents) this.#lastEvents = 0;
    if (seconds > 0) this.#eventsPerSecond = (numbers.events - this.#lastEvents) / seconds;
    this.#lastMs = nowMs;
    this.#lastEvents = numbers.events;
    const line = formatProgress(numbers, this.#eventsPerSecond);
    this.#options.write(this.#options.isTerminal ? `\r\u001B[2K${line}` : `${line}\n`);
  }
}

function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

export function formatProgress(numbers: ProgressNumbers, eventsPerSecond: number): string {
  const { epoch, events, batchesSent, batchesDone, signals, leaves } = numbers;
  return [
    `epoch ${epoch}`,
    `${count(events)} events (${count(eventsPerSecond)}/s)`,
    `${count(batchesDone)}/${count(batchesSent)} batches`,
    `${count(signals)} signals`,
    `${count(leaves)} leaves`,
    `lag ${count(batchesSent - batchesDone)}`,
  ].join('  ');
}
