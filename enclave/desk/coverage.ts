// Which time is covered, by subject and market, as the connectors said after each poll: complete spans are merged, a span
// that is missing between two stays visible. The same for gaps of polling itself: the time in which nothing, or
// not all, could be asked.

import type { Coverage, CoverageReason, CoverageSubject } from '../connector/classes.ts';
import type { CoverageRow, GapRow } from './accounts.ts';

export const MAX_SPANS = 8;
export const MAX_STREAMS = 640;
export const MAX_GAPS = 128;
/** What a venue lacks it will lack at the next poll too. */
const LASTING: ReadonlySet<CoverageReason> = new Set<CoverageReason>([
  'venue_lacks',
  'venue_closed',
  'not_supported',
  'symbols_unknown',
  'history_limit',
  'delayed',
]);

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Stream {
  readonly what: string;
  readonly market: string;
  /** Complete ones, ascending and apart. */
  spans: Span[];
  last: { readonly toMs: number; readonly complete: boolean; readonly reason: string | null };
}

function mergeSpan(spans: readonly Span[], added: Span): Span[] {
  let { fromMs, toMs } = added;
  const apart = spans.filter((span) => {
    const touches = span.fromMs <= toMs && span.toMs >= fromMs;
    if (touches) {
      fromMs = Math.min(fromMs, span.fromMs);
      toMs = Math.max(toMs, span.toMs);
    }
    return !touches;
  });
  // The oldest go first: what they covered then shows as a hole, never the other way round.
  return [...apart, { fromMs, toMs }].sort((a, b) => a.fromMs - b.fromMs).slice(-MAX_SPANS);
}

export class CoverageMap {
  readonly #streams = new Map<string, Stream>();

  get streams(): readonly Stream[] {
    return [...this.#streams.values()];
  }

  /** `all`: the poll asked for everything; what never was complete and is not spoken of any more, where its
   * subject is, is over. False: there are more streams than are kept. */
  take(rows: readonly Coverage[], all: boolean): boolean {
    let fits = true;
    const spoken = new Set(rows.map(({ what, market }) => `${what}|${market}`));
    const subjects = new Set<string>(rows.map(({ what }) => what));
    for (const [key, { what, spans }] of this.#streams) {
      const isOver = all && spans.length === 0 && subjects.has(what) && !spoken.has(key);
      if (isOver) this.#streams.delete(key);
    }
    for (const { what, market, fromMs, toMs, complete, reason } of rows) {
      const key = `${what}|${market}`;
      const known = this.#streams.get(key);
      if (known === undefined && this.#streams.size >= MAX_STREAMS) {
        fits = false;
        continue;
      }
      const stream = known ?? { what, market, spans: [], last: { toMs, complete, reason } };
      if (complete) stream.spans = mergeSpan(stream.spans, { fromMs, toMs });
      stream.last = { toMs, complete, reason };
      this.#streams.set(key, stream);
    }
    return fits;
  }

  restore(stream: Stream): void {
    this.#streams.set(`${stream.what}|${stream.market}`, stream);
  }

  /** All streams of the subject cover all of the time; false where there is none. */
  covers(what: CoverageSubject, fromMs: number, toMs: number): boolean {
    const streams = this.streams.filter((stream) => stream.what === what);
    const within = ({ spans }: Stream): boolean =>
      spans.some((span) => span.fromMs <= fromMs && span.toMs >= toMs);
    return streams.length > 0 && streams.every(within);
  }

  rows(fromMs: number): readonly CoverageRow[] {
    return this.streams.map(({ what, market, spans, last }) => {
      const span = spans.at(-1);
      const isMoment = what === 'balances' || what === 'positions';
      const whole = isMoment || (span !== undefined && span.fromMs <= fromMs);
      const complete = last.complete && whole;
      const reason = last.complete && !whole ? 'hole' : last.reason;
      return {
        what,
        market,
        from_ms: isMoment ? last.toMs : fromMs,
        to_ms: last.toMs,
        complete,
        reason,
      };
    });
  }
}

/**
 * How far the subjects are covered without a hole that the next poll would fill; null when there is one, or
 * nothing was said.
 */
export function coveredToMs(
  rows: readonly Coverage[],
  subjects: readonly CoverageSubject[],
): number | null {
  const own = rows.filter(({ what }) => subjects.includes(what));
  const open = own.filter(({ reason }) => reason === null || !LASTING.has(reason));
  if (open.length === 0 || open.some(({ complete }) => !complete)) return null;
  return Math.min(...open.map(({ toMs }) => toMs));
}

/** The time in which polls failed, in rows of one reason each. */
export class Gaps {
  #closed: GapRow[] = [];
  #open: GapRow | null = null;

  get rows(): readonly GapRow[] {
    return this.#open === null ? this.#closed : [...this.#closed, this.#open];
  }

  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** A poll that was due at `fromMs` did not give all; `toMs` is now. */
  extend(fromMs: number, toMs: number, reason: string): void {
    if (this.#open?.reason === reason) this.#open = { ...this.#open, to_ms: toMs };
    else {
      const beginMs = this.#open === null ? fromMs : this.#open.to_ms;
      this.#close();
      this.#open = { from_ms: Math.min(beginMs, toMs), to_ms: toMs, reason };
    }
  }

  /** A poll that began at `atMs` gave all. */
  end(atMs: number): void {
    if (this.#open !== null)
      this.#open = { ...this.#open, to_ms: Math.max(atMs, this.#open.to_ms) };
    this.#close();
  }

  restore(rows: readonly GapRow[], isOpen: boolean): void {
    this.#closed = rows.slice(0, isOpen ? -1 : undefined);
    this.#open = isOpen ? (rows.at(-1) ?? null) : null;
  }

  #close(): void {
    if (this.#open === null) return;
    this.#closed.push(this.#open);
    this.#open = null;
    const [first, second] = this.#closed;
    if (this.#closed.length < MAX_GAPS || first === undefined || second === undefined) return;
    // Two old ones become one that is longer than both: never less than what was missing.
    const reason = first.reason === second.reason ? first.reason : 'several';
    this.#closed.splice(0, 2, { from_ms: first.from_ms, to_ms: second.to_ms, reason });
  }
}
