// The tap: gets market data over the enclave's own TLS for the streams that have a source, and hands batches
// and declared gaps to the core as a host's feed does. It has no key and no secret. What venues send is parsed
// here, away from the log key: a venue that breaks the tap ends its own data, and the core logs no more of it.

import type { ByteStream } from '../../wire/channel.ts';
import { Channel } from '../../wire/channel.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Configuration, ConfiguredSource } from '../../wire/configuration.ts';
import { parseConfiguration, sourceVenueOf } from '../../wire/configuration.ts';
import { DESK_FRAME } from '../../wire/desk-frames.ts';
import { parseDeskOpen } from '../../wire/desk-open.ts';
import type { DeskOpen } from '../../wire/desk-frames.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_BOOT_BYTES } from '../../wire/limits.ts';
import type { MeasuredManifest } from '../../wire/manifest.ts';
import { parseManifest } from '../../wire/manifest.ts';
import { LiveFeed } from '../../wire/market/live-feed.ts';
import { FeedSender } from '../../wire/market/sender.ts';
import type { Venue } from '../../wire/market/venues/venue.ts';
import { findVenue } from '../../wire/market/venues/venues.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { LiveTimes } from '../../wire/node/live-stream.ts';
import { LiveStream } from '../../wire/node/live-stream.ts';
import type { Transport } from '../../wire/node/transport.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { Egress } from '../egress.ts';
import { EgressDialer } from './dialer.ts';

/** As a host's feed by default: strategies see a book at most 50 ms late. */
const CLOSE_ROWS = 256;
const CLOSE_MS = 50;
/** Batches that wait for the core; from here on whole ones are dropped, and declared. */
const MAX_QUEUED_BYTES: number = 4 * 1024 * 1024;
const HTTPS_PORT = 443;

export interface TapOptions {
  /** To the core. */
  readonly stream: ByteStream;
  readonly transport: Transport;
  /** Once; null when the core has ended it. */
  readonly onExit: (code: RefusalCode | null) => void;
  readonly times?: Partial<LiveTimes>;
}

/** One stream of the configuration with its venue. */
interface Source {
  readonly stream: number;
  readonly venue: Venue;
  readonly host: string;
}

/** Refuses `config_invalid` and `host_not_measured`. */
function sourceOf(
  { id, source }: { readonly id: number; readonly source: ConfiguredSource },
  { hosts }: Pick<MeasuredManifest, 'hosts'>,
): Result<Source> {
  const { host } = source;
  const venue = findVenue(source.venue);
  const restHost = venue?.hosts.get(host);
  // Another host than the venue's own would be somebody else's prices under its name.
  if (venue === null || restHost === undefined) return refuse('config_invalid', { stream: id });
  const isMeasured = (name: string | null, port: number): boolean =>
    name === null || hosts.some((one) => one.host === name && one.port === port);
  if (!isMeasured(host, venue.port) || !isMeasured(restHost, HTTPS_PORT)) {
    return refuse('host_not_measured', { stream: id });
  }
  return accept({ stream: id, venue, host });
}

export class Tap {
  readonly #options: TapOptions;
  readonly #channel: Channel;
  readonly #abort = new AbortController();
  #opened = false;

  constructor(options: TapOptions) {
    this.#options = options;
    this.#channel = new Channel(options.stream, {
      maxReceiveBytes: MAX_BOOT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [DESK_FRAME.open],
      onFrame: ({ payload }) => {
        const code = this.#opened ? 'frame_unknown' : this.#open(payload);
        this.#opened = true;
        if (code !== null) this.end(code);
      },
      onEnd: () => {
        this.end(null);
      },
    });
  }

  /** Once; with a code when it could not go on. */
  end(code: RefusalCode | null): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
    this.#options.onExit(code);
  }

  #open(payload: Uint8Array): RefusalCode | null {
    const open = parseDeskOpen(payload);
    if (!open.ok) return open.refusal.code;
    const configuration = parseConfiguration(open.value.configuration);
    if (!configuration.ok) return configuration.refusal.code;
    const manifest = parseManifest(open.value.manifest);
    if (!manifest.ok) return manifest.refusal.code;
    const egress = Egress.open(
      nodeCrypto,
      this.#options.transport,
      manifest.value,
      open.value.roots,
    );
    if (!egress.ok) return egress.refusal.code;
    const sources: Source[] = [];
    for (const { id, source } of configuration.value.streams) {
      if (source === undefined) continue;
      const found = sourceOf({ id, source }, manifest.value);
      if (!found.ok) return found.refusal.code;
      sources.push(found.value);
    }
    const nowNs = clockFrom(open.value);
    for (const source of sources) void this.#run(source, configuration.value, egress.value, nowNs);
    return null;
  }

  #run(
    { stream, venue, host }: Source,
    configuration: Configuration,
    egress: Egress,
    nowNs: () => bigint,
  ): Promise<void> {
    const { random } = Math;
    const { times = {} } = this.#options;
    const instruments = configuration.instruments.filter((one) => sourceVenueOf(one) === venue.id);
    const sender = new FeedSender(this.#channel, {
      whenFull: 'drop',
      maxQueuedBytes: MAX_QUEUED_BYTES,
    });
    const feed = new LiveFeed({
      venue,
      instruments,
      stream,
      closeRows: CLOSE_ROWS,
      closeMs: CLOSE_MS,
      sender,
      random,
    });
    const dialer = new EgressDialer({ egress, venue, host });
    const live = new LiveStream({ venue, instruments, feed, dialer, nowNs, random, times });
    return live.run(this.#abort.signal);
  }
}

/** The core's wall clock, carried on by a clock that does not jump. */
function clockFrom({ nowNs: startNs }: Pick<DeskOpen, 'nowNs'>): () => bigint {
  const bornNs = process.hrtime.bigint();
  return () => startNs + process.hrtime.bigint() - bornNs;
}
