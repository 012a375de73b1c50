// One live stream of market data, from a venue's words to batches: the rules that do not depend on who holds
// the connection. Follows each book by the venue's sequence rule to know which ones need a snapshot, and
// declares a gap when the connection was lost. What a venue sends can end its own books, and nothing else.

import { GROUP_FLAG } from '../batch.ts';
import type { Instrument } from '../instrument.ts';
import type { Refusal } from '../result.ts';
import type { Backoff } from './backoff.ts';
import { backoffMs } from './backoff.ts';
import { Batcher } from './batcher.ts';
import { BookSequence, MAX_EVENT_ROWS } from './book-sequence.ts';
import type { DepthEvent, MarketEvent } from './events.ts';
import { rowsOf } from './events.ts';
import type { FeedSender } from './sender.ts';
import type { Venue, VenueParser } from './venues/venue.ts';

const SNAPSHOT_BACKOFF: Backoff = { firstMs: 1000, maxMs: 60_000 };
/** A book without an update does not wait longer than this for its snapshot. */
const QUIET_MS = 2000;
/** Snapshots that come in the stream by themselves get this long. */
const IN_STREAM_MS = 5000;

export interface LiveFeedOptions {
  readonly venue: Venue;
  readonly instruments: readonly Instrument[];
  /** Stream id of the configuration. */
  readonly stream: number;
  readonly closeRows: number;
  readonly closeMs: number;
  readonly sender: Pick<FeedSender, 'send' | 'skip'>;
  /** In [0, 1). */
  readonly random: () => number;
}

const NOTHING = {
  messages: 0,
  /** Rows. */
  events: 0,
  batches: 0,
  /** Messages and snapshots that could not be read, or in which the venue refuses something. */
  refused: 0,
  snapshots: 0,
  snapshotsAsked: 0,
  /** Books that ended because the venue's ids do not follow one another. */
  booksLost: 0,
  /** Times that data went missing with its connection. */
  gaps: 0,
};
export type LiveFeedCounters = typeof NOTHING;

interface Book {
  readonly instrument: Instrument;
  readonly sequence: BookSequence;
  attempts: number;
  notBeforeMs: number;
  /** Its updates broke the rule on this connection. */
  lost: boolean;
}

export class LiveFeed {
  readonly counters: LiveFeedCounters = { ...NOTHING };
  readonly #options: LiveFeedOptions;
  readonly #parser: VenueParser;
  readonly #batcher: Batcher;
  readonly #books = new Map<number, Book>();
  /** Since when the connection is open; null while there is none. */
  #openMs: number | null = null;
  /** Something was sent since the last gap. */
  #fed = false;

  constructor(options: LiveFeedOptions) {
    const { venue, instruments, stream, closeRows, closeMs, sender } = options;
    this.#options = options;
    this.#parser = venue.parser(instruments);
    this.#batcher = new Batcher({
      stream,
      closeRows,
      closeMs,
      onBatch: (batch) => {
        this.counters.batches++;
        sender.send(batch);
      },
    });
    for (const instrument of instruments) {
      const sequence = new BookSequence(instrument.sequence_rule);
      this.#books.set(instrument.id, {
        instrument,
        sequence,
        attempts: 0,
        notBeforeMs: 0,
        lost: false,
      });
    }
  }

  /** True while there is a book of it. */
  bookValid(instrument: number): boolean {
    return this.#books.get(instrument)?.sequence.valid ?? false;
  }

  /** The connection is there, and all is subscribed to. */
  opened(nowMs: number): void {
    this.#openMs = nowMs;
    for (const book of this.#books.values()) book.lost = false;
  }

  /** A message. A refusal means that its data is lost: the caller ends the connection. */
  message(text: string, receiveTimeNs: bigint): Refusal | null {
    this.counters.messages++;
    const parsed = this.#parser.parse(text, receiveTimeNs);
    if (!parsed.ok) return this.#refuse(parsed.refusal);
    return this.#takeAll(parsed.value);
  }

  /** The answer to a request for a snapshot; one that comes too late for its connection is passed over. */
  snapshot(text: string, instrument: Instrument, receiveTimeNs: bigint): Refusal | null {
    const parsed = this.#parser.parseSnapshot(text, instrument, receiveTimeNs);
    if (!parsed.ok) return this.#refuse(parsed.refusal);
    if (this.#openMs === null || parsed.value === null) return null;
    return this.#takeAll([parsed.value]);
  }

  /**
   * The next book that has to be asked for again, over HTTPS or in the stream, as the venue does it; null
   * while there is none. It is not named again before its time, which grows with each attempt.
   */
  due(nowMs: number): Instrument | null {
    if (this.#openMs === null) return null;
    const openForMs = nowMs - this.#openMs;
    for (const book of this.#books.values()) {
      if (book.sequence.valid || nowMs < book.notBeforeMs || !this.#isDue(book, openForMs))
        continue;
      const { random } = this.#options;
      book.notBeforeMs = nowMs + backoffMs(SNAPSHOT_BACKOFF, book.attempts++, random());
      this.counters.snapshotsAsked++;
      return book.instrument;
    }
    return null;
  }

  /** Closes the open batch. */
  flush(): void {
    this.#batcher.flush();
  }

  /** The connection is gone: what the venue says from now on is missing, and declared once. */
  interrupt(): void {
    this.#openMs = null;
    for (const book of this.#books.values()) {
      // What was good is asked for at once; what was tried again and again goes on waiting.
      if (book.sequence.valid) {
        book.attempts = 0;
        book.notBeforeMs = 0;
      }
      book.sequence.interrupt();
    }
    if (!this.#fed) return;
    this.#fed = false;
    this.counters.gaps++;
    this.#options.sender.skip(this.#options.stream, this.#batcher.skip());
  }

  #isDue({ instrument, sequence, lost }: Book, openForMs: number): boolean {
    // The first snapshot comes by itself, and none does after a violation.
    if (this.#options.venue.snapshotPath(instrument) === null) {
      return lost || openForMs >= IN_STREAM_MS;
    }
    // Older than the first update it would be of no use.
    return sequence.heldEvents > 0 || openForMs >= QUIET_MS;
  }

  #takeAll(events: readonly MarketEvent[]): Refusal | null {
    for (const event of events) {
      if (rowsOf(event) > MAX_EVENT_ROWS) {
        return this.#refuse({ code: 'capture_malformed', detail: { field: 'levels' } });
      }
      if (event.type === 'depth') this.#follow(event);
      this.#fed = true;
      this.counters.events += rowsOf(event);
      this.#batcher.add(event);
    }
    return null;
  }

  #follow(event: DepthEvent): void {
    const book = this.#books.get(event.instrument);
    if (book === undefined) return;
    const { sequence } = book;
    const { snapshot, firstId, lastId, previousId } = event;
    const flags = GROUP_FLAG.first | GROUP_FLAG.last | (snapshot ? GROUP_FLAG.snapshot : 0);
    const step = sequence.group(flags, firstId, lastId, previousId, rowsOf(event));
    if (snapshot) this.counters.snapshots++;
    if (step === 'reset') while (sequence.nextHeld() !== null);
    if (step === 'apply') book.attempts = 0;
    if (sequence.takeGap() === null) return;
    book.lost = true;
    this.counters.booksLost++;
  }

  #refuse(refusal: Refusal): Refusal {
    this.counters.refused++;
    return refusal;
  }
}
