// What is known of a venue's market data: where its streams are, how they are subscribed to, how a book
// gets its snapshot, and how messages are read. Pure, so that the host's live feed and the enclave's own
// read the same words the same way. Everything that a venue sends is hostile to a parser.

import type { Instrument, Market, SequenceRule } from '../../instrument.ts';
import type { Result } from '../../result.ts';
import type { DepthEvent, MarketEvent } from '../events.ts';

export interface VenueParser {
  /**
   * The events of one message, in its order; none for an answer to a request or about what is not ours.
   * Refuses `capture_malformed` {field}, and `venue_refused` when the venue refuses a subscription.
   */
  parse(text: string, receiveTimeNs: bigint): Result<readonly MarketEvent[]>;
  /** The answer to `snapshotPath`. */
  parseSnapshot(
    text: string,
    instrument: Instrument,
    receiveTimeNs: bigint,
  ): Result<DepthEvent | null>;
}

export interface Venue {
  /** Name in configurations: `<venue of the instruments>-<their market>`. */
  readonly id: string;
  readonly venue: string;
  readonly market: Market;
  /** The rule that its update ids follow; instruments have to have it. */
  readonly rule: SequenceRule;
  /** Public hosts of its streams, and of the HTTPS interface that goes with each; null without one. */
  readonly hosts: ReadonlyMap<string, string | null>;
  readonly port: number;
  /** Of the WebSocket. */
  readonly path: string;
  /** Texts to send when the stream is open. */
  subscribe(instruments: readonly Instrument[]): readonly string[];
  /** Texts that make the stream send this book's snapshot again; none where HTTPS has it. */
  resubscribe(instrument: Instrument): readonly string[];
  /** Path and query of a book's snapshot over HTTPS; null where the stream brings its own. */
  snapshotPath(instrument: Instrument): string | null;
  /** Text to send every 15 s, where the venue wants more than WebSocket's own ping. */
  readonly ping: string | null;
  parser(instruments: readonly Instrument[]): VenueParser;
}
