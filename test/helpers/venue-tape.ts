// A capture played by a simulated venue: its messages to whoever is connected, and the book as it stands after them
// to whoever asks for a snapshot.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { LiveVenue } from './live-venue.ts';

type Levels = readonly (readonly [price: string, quantity: string])[];

interface Depth {
  readonly lastUpdateId?: number;
  readonly bids?: Levels;
  readonly asks?: Levels;
  readonly e?: string;
  readonly u?: number;
  readonly b?: Levels;
  readonly a?: Levels;
}

interface Line {
  readonly timeMs: number;
  readonly text: string;
}

function apply(side: Map<string, string>, levels: Levels = []): void {
  for (const [price, quantity] of levels) {
    if (Number(quantity) === 0) side.delete(price);
    else side.set(price, quantity);
  }
}

export class VenueTape {
  readonly #venue: LiveVenue;
  readonly #messages: readonly Line[];
  readonly #bids = new Map<string, string>();
  readonly #asks = new Map<string, string>();
  #lastUpdateId = 0;
  #stopped = false;
  sent = 0;

  constructor(venue: LiveVenue, capture: string) {
    this.#venue = venue;
    const lines = gunzipSync(readFileSync(capture)).toString('utf8').trimEnd().split('\n');
    const messages: Line[] = [];
    for (const line of lines) {
      const space = line.indexOf(' ');
      const timeMs = Number(BigInt(line.slice(0, space)) / 1_000_000n);
      const text = line.slice(space + 1);
      const { lastUpdateId, bids, asks } = JSON.parse(text) as Depth;
      if (lastUpdateId === undefined) {
        messages.push({ timeMs, text });
      } else if (this.#lastUpdateId === 0) {
        this.#lastUpdateId = lastUpdateId;
        apply(this.#bids, bids);
        apply(this.#asks, asks);
      }
    }
    this.#messages = messages;
    venue.onSnapshot = (_, answer) => {
      const [bids, asks] = [[...this.#bids], [...this.#asks]];
      answer.end(JSON.stringify({ lastUpdateId: this.#lastUpdateId, bids, asks }));
      return true;
    };
  }

  stop(): void {
    this.#stopped = true;
  }

  /** From the beginning, `speed` times as fast. */
  async play(speed: number): Promise<void> {
    const [first] = this.#messages;
    const startMs = performance.now();
    for (const { timeMs, text } of this.#messages) {
      const dueMs = startMs + (timeMs - (first?.timeMs ?? 0)) / speed;
      const waitMs = dueMs - performance.now();
      if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      if (this.#stopped) return;
      this.#venue.send(text);
      this.sent++;
      const { data } = JSON.parse(text) as { readonly data?: Depth };
      if (data?.e !== 'depthUpdate' || (data.u ?? 0) <= this.#lastUpdateId) continue;
      this.#lastUpdateId = data.u ?? 0;
      apply(this.#bids, data.b);
      apply(this.#asks, data.a);
    }
  }
}
