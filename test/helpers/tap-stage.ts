// A tap in this process between a simulated venue over TLS and the core's end of its pipe.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import { Tap } from '../../enclave/tap/tap.ts';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import type { Batch } from '../../wire/batch.ts';
import { BatchMemory, parseBatch } from '../../wire/batch.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { Channel } from '../../wire/channel.ts';
import type { Configuration, ConfiguredStream } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { DeskOpen } from '../../wire/desk-messages.ts';
import { DESK_FRAME, encodeDeskOpen } from '../../wire/desk-messages.ts';
import type { Frame } from '../../wire/frame.ts';
import type { Instrument } from '../../wire/instrument.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_FEED_IN_BYTES } from '../../wire/limits.ts';
import type { MeasuredHost, MeasuredManifest } from '../../wire/manifest.ts';
import { Market } from '../../wire/market/market.ts';
import { SequenceTracker } from '../../wire/market/sequence.ts';
import type { DeclaredGap } from '../../wire/messages.ts';
import { FRAME, parseDeclaredGap } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { LiveTimes } from '../../wire/node/live-stream.ts';
import type { Gap } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { EgressHost } from './egress-host.ts';
import { egressHost } from './egress-host.ts';
import { hostConfiguration } from './enclave-host.ts';
import { LiveVenue } from './live-venue.ts';

export const TAP_BTC: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'BTCUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
};
export const TAP_STREAM = 5;
export const TAP_START_NS = 1_800_000_000_000_000_000n;
const FAST: Partial<LiveTimes> = {
  tickMs: 5,
  askMs: 5,
  reconnect: { firstMs: 10, maxMs: 20 },
};

/** The core's end. */
export class CoreEnd {
  readonly market: Market;
  readonly tracker: SequenceTracker;
  readonly batches: Pick<Batch, 'stream' | 'sequence' | 'timeNs'>[] = [];
  readonly prices: number[] = [];
  readonly declared: DeclaredGap[] = [];
  readonly venueGaps: Gap[] = [];
  readonly channel: Channel;
  /** While it is set nothing is taken. */
  busy: Promise<void> | null = null;
  ended = false;

  constructor(stream: Duplex, instruments: readonly Instrument[]) {
    this.market = new Market(instruments);
    this.tracker = new SequenceTracker(instruments);
    this.channel = new Channel(stream, {
      maxReceiveBytes: MAX_FEED_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.batch, FRAME.gap],
      onFrame: (frame) => {
        this.#take(frame);
        return this.busy ?? undefined;
      },
      onEnd: () => {
        this.ended = true;
      },
    });
  }

  get book(): { readonly valid: boolean; readonly lastUpdateId: number } {
    return this.market.of(1)?.book ?? { valid: false, lastUpdateId: 0 };
  }

  #take({ type, payload }: Frame): void {
    if (type === FRAME.gap) {
      this.declared.push(assertAccepted(parseDeclaredGap(payload)));
      return;
    }
    const batch = assertAccepted(parseBatch(payload, null, new BatchMemory()));
    this.batches.push(batch);
    this.venueGaps.push(...this.tracker.apply(batch));
    this.market.apply(batch);
    this.prices.push(...Array.from(batch.price.subarray(0, batch.rows)));
  }
}

export interface TapStageOptions {
  readonly times?: Partial<LiveTimes>;
  readonly instruments?: readonly Instrument[];
  readonly source?: ConfiguredStream['source'];
  /** Measured; by default all that the source needs. */
  readonly hosts?: readonly MeasuredHost[];
  /** Who has signed the venue's certificate, where it is not the measured root. */
  readonly signer?: TlsAuthority;
  /** Names in it. */
  readonly names?: readonly string[];
  /** In place of OPEN. */
  readonly open?: (open: DeskOpen) => Uint8Array;
}

export interface TapStage {
  readonly venue: LiveVenue;
  readonly core: CoreEnd;
  readonly egress: EgressHost;
  readonly exit: Promise<string | null>;
}

let authority: TlsAuthority | null = null;

export async function tapAuthority(): Promise<TlsAuthority> {
  authority ??= await TlsAuthority.open(null);
  return authority;
}

const SOURCE = { venue: 'binance-spot', host: 'stream.binance.com' };
const HOSTS: readonly MeasuredHost[] = [
  { host: 'stream.binance.com', port: 443 },
  { host: 'api.binance.com', port: 443 },
];

export async function startTapStage(options: TapStageOptions = {}): Promise<TapStage> {
  const { source = SOURCE, hosts = HOSTS, instruments = [TAP_BTC] } = options;
  const root = await tapAuthority();
  const names = options.names ?? hosts.map(({ host }) => host);
  const { keyPem, certificatePem } = await (options.signer ?? root).issue([...names]);
  const venue = await LiveVenue.start({ tls: { key: keyPem, cert: certificatePem } });
  const egress = await egressHost();
  for (const { host, port } of hosts) egress.routes.set(`${host}:${port}`, venue.port);
  const roots = utf8(root.pem);
  const manifest = canonicalJson({
    version: 2,
    strategies: [],
    owner_key: null,
    hosts,
    roots_sha256: toHex(nodeCrypto.sha256(roots)),
  } satisfies MeasuredManifest);
  const configuration: Configuration = hostConfiguration({
    instruments,
    strategies: [],
    streams: [
      { id: 1, name: 'from the host' },
      { id: TAP_STREAM, name: 'own', source },
    ],
  });
  const [coreStream, tapStream] = duplexPair();
  const core = new CoreEnd(coreStream, instruments);
  const exit = Promise.withResolvers<string | null>();
  const tap = new Tap({
    stream: tapStream,
    transport: egress.transport,
    times: { ...FAST, ...options.times },
    onExit: exit.resolve,
  });
  onTestFinished(() => {
    tap.end('internal');
  });
  const open: DeskOpen = {
    origin: 'trackseal.test/log/e0000000001',
    epoch: 1,
    configuration: canonicalJson(configuration),
    nowNs: TAP_START_NS,
    vaultKeys: [],
    accounts: [],
    clientCa: null,
    databasePassword: null,
    manifest,
    roots,
    document: new Uint8Array(),
    leafZeroHash: new Uint8Array(32),
  };
  core.channel.send(DESK_FRAME.open, (options.open ?? encodeDeskOpen)(open));
  return { venue, core, egress, exit: exit.promise };
}
