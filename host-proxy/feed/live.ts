// The live feed: market data of venues over ccxt's connections, one stream of the configuration each. Runs
// until it is asked to stop; a venue that cannot be reached is tried again for as long. What was missed is
// declared to the enclave, which logs it. The host asserts these prices: the label of its streams is `host`.

import type { Configuration, Instrument } from '../../wire/configuration.ts';
import { sourceVenueOf } from '../../wire/configuration.ts';
import { LiveFeed } from '../../wire/market/live-feed.ts';
import type { LiveFeedCounters } from '../../wire/market/live-feed.ts';
import type { FeedSender } from '../../wire/market/sender.ts';
import type { Venue } from '../../wire/market/venues/venue.ts';
import { findVenue } from '../../wire/market/venues/venues.ts';
import type { LiveDialer, LiveStreamCounters, LiveTimes } from '../../wire/node/live-stream.ts';
import { LiveStream, NO_CONNECTIONS } from '../../wire/node/live-stream.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { FeedSource } from '../feed-session.ts';
import type { Logger } from '../logger.ts';
import { CcxtDialer, openCcxt } from './ccxt-dialer.ts';
import { HOST_VENUES } from './host-venues.ts';
import type { ReplaySummary } from './replay.ts';

/** One stream, as the operator's file has it. */
export interface LiveStreamConfig {
  /** Id of the stream in the configuration. */
  readonly stream: number;
  /** Such as `binance-spot`: the stream brings the configuration's instruments of it. */
  readonly venue: string;
  /** In place of the venue's public addresses. */
  readonly url: string | null;
  readonly rest_url: string | null;
}

export interface LiveFeedConfig {
  readonly streams: readonly LiveStreamConfig[];
  readonly close_rows: number;
  readonly close_ms: number;
}

/** A stream with what it was found to mean. */
export interface LivePlan {
  readonly stream: number;
  readonly venue: Venue;
  readonly instruments: readonly Instrument[];
  readonly url: string;
  readonly restUrl: string | null;
}

/** Classes of ccxt, where they are not called like the venue. */
const CCXT_CLASS: Readonly<Record<string, string>> = { 'binance-linear': 'binanceusdm' };
/** Weight of a snapshot of 1,000 levels, in ccxt's units. */
const SNAPSHOT_COST = 20;

/** Refuses `config_invalid` {field, stream or venue}. */
export function planLive(
  config: LiveFeedConfig,
  configuration: Pick<Configuration, 'streams' | 'instruments'>,
): Result<readonly LivePlan[]> {
  const plans: LivePlan[] = [];
  for (const { stream, venue: id, url, rest_url: restUrl } of config.streams) {
    const invalid = (field: string): Result<never> =>
      refuse('config_invalid', { field: `feed.streams.${field}`, stream, venue: id });
    const declared = configuration.streams.find((one) => one.id === stream);
    // The enclave fetches a stream with a source itself, and refuses ours.
    if (declared === undefined || declared.source !== undefined) return invalid('stream');
    if (plans.some((plan) => plan.stream === stream || plan.venue.id === id)) {
      return invalid('stream');
    }
    const venue = findVenue(id, HOST_VENUES);
    if (venue === null) return invalid('venue');
    const instruments = configuration.instruments.filter((one) => sourceVenueOf(one) === id);
    const fits = instruments.every((one) => one.sequence_rule === venue.rule);
    if (instruments.length === 0 || !fits) return invalid('venue');
    const [[host, restHost] = ['', null]] = venue.hosts;
    plans.push({
      stream,
      venue,
      instruments,
      url: `${url ?? `wss://${host}:${venue.port}`}${venue.path}`,
      restUrl: restUrl ?? (restHost === null ? null : `https://${restHost}`),
    });
  }
  return accept(plans);
}

/** What a scrape of the metrics reads. */
export interface LiveStats {
  readonly stream: number;
  readonly venue: string;
  readonly counters: Readonly<LiveFeedCounters & LiveStreamCounters>;
  /** Instruments that have a book now. */
  readonly books: number;
}

export interface LiveOptions {
  readonly plans: readonly LivePlan[];
  readonly closeRows: number;
  readonly closeMs: number;
  readonly logger: Logger;
  /** By default through ccxt. */
  readonly openDialer?: (plan: LivePlan) => Promise<LiveDialer & { close(): void }>;
  readonly times?: Partial<LiveTimes>;
  readonly random?: () => number;
}

async function openDialer({ venue, url, restUrl }: LivePlan): Promise<CcxtDialer> {
  const exchange = await openCcxt(CCXT_CLASS[venue.id] ?? venue.venue);
  return new CcxtDialer(exchange, { url, restUrl, snapshotCost: SNAPSHOT_COST });
}

export class LiveSource {
  readonly #options: LiveOptions;
  #stats: readonly (() => LiveStats)[] = [];

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Of the streams of the running epoch. */
  get stats(): readonly LiveStats[] {
    return this.#stats.map((read) => read());
  }

  readonly run: FeedSource = async (_, signal, openSender) => {
    const summary: ReplaySummary = {
      messages: 0,
      events: 0,
      batches: 0,
      refusedLines: 0,
      firstTimeNs: 0n,
      lastTimeNs: 0n,
      ended: 'aborted',
    };
    const { plans } = this.#options;
    const senders = plans.map(() => openSender());
    const streams = plans.map((plan, at) => this.#open(plan, senders[at] ?? openSender()));
    this.#stats = streams.map(({ stats }) => stats);
    const startNs = nowNs();
    await Promise.all(streams.map(({ run }) => run(signal)));
    for (const sender of senders) sender.finish();
    for (const { counters } of this.stats) {
      summary.messages += counters.messages;
      summary.events += counters.events;
      summary.batches += counters.batches;
      summary.refusedLines += counters.refused;
    }
    if (summary.messages > 0) {
      summary.firstTimeNs = startNs;
      summary.lastTimeNs = nowNs();
    }
    return accept(summary);
  };

  #open(
    plan: LivePlan,
    sender: FeedSender,
  ): { readonly stats: () => LiveStats; readonly run: (signal: AbortSignal) => Promise<void> } {
    const { closeRows, closeMs, logger, times, random = Math.random } = this.#options;
    const { stream, venue, instruments } = plan;
    const feed = new LiveFeed({
      venue,
      instruments,
      stream,
      closeRows,
      closeMs,
      sender,
      random,
    });
    const names = { stream, venue: venue.id };
    let live: LiveStream | null = null;
    return {
      stats: () => ({
        ...names,
        counters: { ...feed.counters, ...(live?.counters ?? NO_CONNECTIONS) },
        books: instruments.filter(({ id }) => feed.bookValid(id)).length,
      }),
      run: async (signal) => {
        const dialer = await (this.#options.openDialer ?? openDialer)(plan);
        live = new LiveStream({
          venue,
          instruments,
          feed,
          dialer,
          nowNs,
          random,
          ...(times === undefined ? {} : { times }),
          onRefusal: ({ code, detail }: Refusal) => {
            logger.warn('live_refused', { ...detail, ...names, code });
          },
          onConnected: () => {
            logger.info('live_connected', names);
          },
          onLost: () => {
            logger.warn('live_lost', names);
          },
        });
        // Also what is still being dialled.
        signal.addEventListener('abort', () => {
          dialer.close();
        });
        await live.run(signal);
        dialer.close();
      },
    };
  }
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
