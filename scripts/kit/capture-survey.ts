// What a capture is about, from the capture itself: symbols, spot or futures, and how many decimals its
// prices and quantities have. A REST snapshot names no symbol; its decimals count for the only symbol of the
// file. Lines that cannot be read are left to the host's reader, which refuses them with their number.

import { readCapture } from '../../host-proxy/feed/capture.ts';
import type { CaptureParser } from '../../host-proxy/feed/capture.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

export interface SurveyedSymbol {
  readonly symbol: string;
  /** Futures number an update by the one before it (`pu`). */
  readonly futures: boolean;
  /** Decimals after which there are only zeros, over the whole file. */
  readonly priceScale: number;
  readonly quantityScale: number;
}

export interface CaptureSurvey {
  readonly path: string;
  readonly messages: number;
  /** Receive times of the first and the last line. */
  readonly firstTimeNs: bigint;
  readonly lastTimeNs: bigint;
  /** In the order of their first message. */
  readonly symbols: readonly SurveyedSymbol[];
}

interface Seen {
  futures: boolean;
  priceScale: number;
  quantityScale: number;
}

/** Decimals of a text like `61837.63000000`, without zeros at the end; 0 for anything else. */
export function decimalsOf(text: unknown): number {
  if (typeof text !== 'string') return 0;
  const point = text.indexOf('.');
  if (point < 0) return 0;
  let end = text.length;
  while (text[end - 1] === '0') end--;
  return Math.max(end - point - 1, 0);
}

class Surveyor implements CaptureParser {
  messages = 0;
  firstTimeNs = 0n;
  lastTimeNs = 0n;
  readonly seen = new Map<string, Seen>();
  /** Of snapshots. */
  readonly #unnamed: Seen = { futures: false, priceScale: 0, quantityScale: 0 };

  parse(text: string, receiveTimeNs: bigint): Result<null> {
    if (this.firstTimeNs === 0n) this.firstTimeNs = receiveTimeNs;
    this.lastTimeNs = receiveTimeNs;
    try {
      const message = JSON.parse(text) as Readonly<Record<string, unknown>>;
      const data = (message['data'] ?? message) as Readonly<Record<string, unknown>>;
      this.#take(data);
    } catch {
      // Not for this reader to say.
    }
    return accept(null);
  }

  get symbols(): readonly SurveyedSymbol[] {
    const only = this.seen.size === 1 ? this.#unnamed : null;
    return Array.from(this.seen, ([symbol, { futures, priceScale, quantityScale }]) => ({
      symbol,
      futures,
      priceScale: Math.max(priceScale, only?.priceScale ?? 0),
      quantityScale: Math.max(quantityScale, only?.quantityScale ?? 0),
    }));
  }

  #take(data: Readonly<Record<string, unknown>>): void {
    this.messages++;
    const symbol = data['s'];
    const seen = typeof symbol === 'string' ? this.#of(symbol) : this.#unnamed;
    if (data['pu'] !== undefined) seen.futures = true;
    for (const field of ['b', 'a', 'bids', 'asks']) {
      const levels = data[field];
      if (!Array.isArray(levels)) continue;
      for (const level of levels as readonly unknown[]) {
        if (Array.isArray(level)) this.#decimals(seen, level[0], level[1]);
      }
    }
    if (data['e'] === 'trade') this.#decimals(seen, data['p'], data['q']);
    this.#decimals(seen, data['b'], data['B']);
    this.#decimals(seen, data['a'], data['A']);
  }

  #of(symbol: string): Seen {
    const seen = this.seen.get(symbol) ?? { futures: false, priceScale: 0, quantityScale: 0 };
    this.seen.set(symbol, seen);
    return seen;
  }

  #decimals(seen: Seen, price: unknown, quantity: unknown): void {
    seen.priceScale = Math.max(seen.priceScale, decimalsOf(price));
    seen.quantityScale = Math.max(seen.quantityScale, decimalsOf(quantity));
  }
}

/** Refuses `file_unreadable`, and `capture_malformed` for a file without a single message. */
export async function surveyCapture(path: string): Promise<Result<CaptureSurvey>> {
  const surveyor = new Surveyor();
  let broken: Refusal | null = null;
  for await (const { refusals } of readCapture(path, surveyor, { onMalformed: 'continue' })) {
    broken ??= refusals.find(({ code }) => code === 'file_unreadable') ?? null;
  }
  if (broken !== null) return refuse('file_unreadable', { file: path });
  const { messages, symbols, firstTimeNs, lastTimeNs } = surveyor;
  if (symbols.length === 0) return refuse('capture_malformed', { file: path, what: 'no messages' });
  return accept({ path, messages, firstTimeNs, lastTimeNs, symbols });
}
