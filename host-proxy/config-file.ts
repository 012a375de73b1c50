// The host's own configuration file (JSON). It is the operator's: nothing in it is seen by the enclave but
// the files that it names, and nothing in it is evidence of anything. Unknown keys are refused; paths are
// relative to the file.

import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { CloudConfig } from './config-cloud.ts';
import { cloudShape } from './config-cloud.ts';
import type { DatabaseConfig } from './config-database.ts';
import { databaseSchema } from './config-database.ts';
import type { ShareConfig } from './config-share.ts';
import { findShareMistake, shareSchema } from './config-share.ts';
import { parseDecimal } from '../wire/market/scaled.ts';
import type { LiveFeedConfig } from './feed/live.ts';
import type { Level } from './logger.ts';
import { LEVELS } from './logger.ts';
import type { ShipConfig } from './ship/ship-config.ts';
import { shipSchema, withAbsoluteShipPaths } from './ship/ship-config.ts';
import { DEFAULT_SEGMENT_BYTES } from './spool.ts';

const MIN_SEGMENT_BYTES: number = 64 * 1024;
const MAX_SEGMENT_BYTES: number = 512 * 1024 * 1024;

const path = z.string().min(1).max(4096);
const host = z.string().min(1).max(255);
const port = z.int().min(0).max(65_535);
const ms = z.int().min(1).max(86_400_000);
const ppm = z.int().min(-1_000_000).max(1_000_000);
const batching = {
  close_rows: z.int().min(1).max(1024).default(256),
  close_ms: z.int().min(1).max(60_000).default(50),
};
/** Without a path: the venue's own is appended. */
const url = (pattern: RegExp): z.ZodString =>
  z.string().max(4096).regex(pattern, 'an address like "wss://127.0.0.1:9443", without a path');
/** Decimal text of the quote currency, to × 10^8. */
const money = z.string().transform((text, context) => {
  const value = parseDecimal(text, 8);
  if (value !== null && value >= 0) return BigInt(value);
  context.addIssue({ code: 'custom', message: 'not an amount like "10000.50"' });
  return z.NEVER;
});

/** A capture file. */
export interface ReplayConfig {
  readonly source: 'replay';
  readonly stream: number;
  readonly capture: string;
  /** 1 is real time; null is as fast as the enclave takes it. */
  readonly speed: number | null;
  readonly limit_events: number | null;
  readonly close_rows: number;
  readonly close_ms: number;
  readonly skip_malformed: boolean;
  /** `drop`: whole batches are dropped and declared; for sources that cannot wait. */
  readonly when_full: 'wait' | 'drop';
  /** `stay`: the enclave goes on until it is asked to stop; it has other things to do than this feed. */
  readonly at_end: 'close' | 'stay';
}

export interface HostConfig extends CloudConfig {
  /** `unix:DIR`, `hvsock:PATH` or `vsock:CID` */
  readonly transport: string;
  /** The native addon, for `vsock:CID`. */
  readonly addon: string | null;
  /** Spool and journals; the host's own. */
  readonly state: string;
  /** The log folder, which is served. */
  readonly log: string;
  /** The file that the enclave gets as its configuration. */
  readonly configuration: string;
  /** What `trackseal strategy pack` wrote, and the parameters with their salt (64 hex digits). */
  readonly strategies: readonly {
    readonly pack: string;
    readonly parameters: string;
    /** Null: a random one at each start. */
    readonly parameters_salt: string | null;
  }[];
  readonly enclave: {
    /** Program and arguments; null when somebody else starts the enclave. */
    readonly command: readonly string[] | null;
    readonly show_output: boolean;
    /** Starts another epoch after an end that nobody asked for. */
    readonly restart: boolean;
    readonly ready_ms: number;
    readonly close_ms: number;
  };
  /** Null: nothing is fed; the enclave only runs. */
  readonly feed: ReplayConfig | (LiveFeedConfig & { readonly source: 'live' }) | null;
  readonly execution: {
    readonly paper: {
      readonly latency_ms: number;
      readonly taker_fee_ppm: number;
      readonly maker_fee_ppm: number;
      readonly slippage_ticks: number;
    };
    /** Amounts × 10^8 of the quote currency. */
    readonly limits: {
      readonly max_order_notional: bigint;
      readonly max_position_notional: bigint;
      readonly max_orders: number;
      readonly order_window_ms: number;
      readonly price_band_ppm: number;
      readonly max_daily_loss: bigint;
    };
    /** A file that stops trading when it is there. */
    readonly kill_switch: string | null;
    /** Journals of earlier epochs stay in the state folder. */
    readonly keep_journals: boolean;
  };
  readonly disk: {
    /** Fewer free bytes than this at `state` or `log` are warned of; 0: never. */
    readonly min_free_bytes: number;
    /** What is prepared of the spool at once, and dropped at once. */
    readonly spool_segment_bytes: number;
  };
  /** Null: the log stays on this machine. */
  readonly ship: ShipConfig | null;
  /** Null: the host brings no database along. */
  readonly database: DatabaseConfig | null;
  /** Null: the enclave runs whatever other hosts do. */
  readonly share: ShareConfig | null;
  readonly tiles: { readonly host: string; readonly port: number } | null;
  readonly ingress: {
    readonly host: string;
    readonly port: number;
    readonly max_connections: number;
    readonly idle_ms: number;
  } | null;
  /** TCP in front of the enclave's gRPC; null: nobody reaches it. */
  readonly ingress_grpc: HostConfig['ingress'];
  readonly logging: {
    readonly level: Level;
    /** Null is stderr. */
    readonly file: string | null;
  };
}

const schema: z.ZodType<HostConfig> = z.strictObject({
  ...cloudShape,
  transport: z.string().min(6).max(4096),
  addon: path.nullable().default(null),
  state: path,
  log: path,
  configuration: path,
  strategies: z
    .array(
      z.strictObject({
        pack: path,
        parameters: path,
        parameters_salt: path.nullable().default(null),
      }),
    )
    .max(8),
  enclave: z.strictObject({
    command: z.array(z.string().max(4096)).min(1).max(64).nullable(),
    show_output: z.boolean().default(true),
    restart: z.boolean().default(true),
    ready_ms: ms.default(90_000),
    close_ms: ms.default(30_000),
  }),
  feed: z.preprocess(
    // Files from before there was a live source name none.
    (value) =>
      typeof value === 'object' && value !== null && !('source' in value)
        ? { ...value, source: 'replay' }
        : value,
    z
      .discriminatedUnion('source', [
        z.strictObject({
          source: z.literal('replay'),
          stream: z.int().min(1).max(999),
          capture: path,
          speed: z.number().positive().max(1e6).nullable(),
          limit_events: z.int().min(1).nullable().default(null),
          ...batching,
          skip_malformed: z.boolean().default(false),
          when_full: z.enum(['wait', 'drop']).default('wait'),
          at_end: z.enum(['close', 'stay']).default('close'),
        }),
        z.strictObject({
          source: z.literal('live'),
          ...batching,
          streams: z
            .array(
              z.strictObject({
                stream: z.int().min(1).max(999),
                venue: z.string().min(1).max(65),
                url: url(/^wss:\/\/[^/?#@]+$/u)
                  .nullable()
                  .default(null),
                rest_url: url(/^https:\/\/[^/?#@]+$/u)
                  .nullable()
                  .default(null),
              }),
            )
            .min(1)
            .max(64),
        }),
      ])
      .nullable(),
  ),
  execution: z.strictObject({
    paper: z.strictObject({
      latency_ms: z.int().min(0).max(60_000),
      taker_fee_ppm: ppm,
      maker_fee_ppm: ppm,
      slippage_ticks: z.int().min(0).max(1_000_000),
    }),
    limits: z.strictObject({
      max_order_notional: money,
      max_position_notional: money,
      max_orders: z.int().min(0).max(1_000_000),
      order_window_ms: ms,
      price_band_ppm: z.int().min(0).max(1_000_000),
      max_daily_loss: money,
    }),
    kill_switch: path.nullable().default(null),
    keep_journals: z.boolean().default(false),
  }),
  disk: z
    .strictObject({
      min_free_bytes: z
        .int()
        .min(0)
        .default(1024 * 1024 * 1024),
      spool_segment_bytes: z
        .int()
        .min(MIN_SEGMENT_BYTES)
        .max(MAX_SEGMENT_BYTES)
        .default(DEFAULT_SEGMENT_BYTES),
    })
    .prefault({}),
  ship: shipSchema,
  database: databaseSchema,
  share: shareSchema,
  tiles: z.strictObject({ host: host.default('127.0.0.1'), port }).nullable(),
  ingress: z
    .strictObject({
      host: host.default('127.0.0.1'),
      port,
      max_connections: z.int().min(1).max(65_536).default(256),
      idle_ms: ms.default(60_000),
    })
    .nullable(),
  ingress_grpc: z
    .strictObject({
      host: host.default('127.0.0.1'),
      port,
      max_connections: z.int().min(1).max(65_536).default(64),
      idle_ms: ms.default(300_000),
    })
    .nullable()
    .default(null),
  logging: z
    .strictObject({
      level: z.enum(LEVELS).default('info'),
      file: path.nullable().default(null),
    })
    .prefault({}),
});

export type ParsedHostConfig =
  | { readonly ok: true; readonly config: HostConfig }
  /** Lines for a person: where, and what is expected there. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** `file` is the path that `text` came from. */
export function parseHostConfig(text: string, file: string): ParsedHostConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const what = error instanceof Error ? error.message : 'unreadable';
    return { ok: false, problems: [`not JSON: ${what}`] };
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const where = issue.path.length === 0 ? 'the file' : issue.path.join('.');
      return `${where}: ${issue.message}`;
    });
    return { ok: false, problems };
  }
  const mistake = findShareMistake(parsed.data.share, parsed.data.enclave.close_ms);
  if (mistake !== null) return { ok: false, problems: [mistake] };
  return { ok: true, config: withAbsolutePaths(parsed.data, dirname(file)) };
}

function withAbsolutePaths(config: HostConfig, directory: string): HostConfig {
  const absolute = (name: string): string => resolve(directory, name);
  const { transport, feed, execution, logging } = config;
  return {
    ...config,
    transport: transport.replace(/^(unix|hvsock):(.+)$/u, (_, scheme: string, name: string) =>
      [scheme, absolute(name)].join(':'),
    ),
    addon: config.addon === null ? null : absolute(config.addon),
    state: absolute(config.state),
    log: absolute(config.log),
    configuration: absolute(config.configuration),
    strategies: config.strategies.map((strategy) => ({
      pack: absolute(strategy.pack),
      parameters: absolute(strategy.parameters),
      parameters_salt:
        strategy.parameters_salt === null ? null : absolute(strategy.parameters_salt),
    })),
    ship: withAbsoluteShipPaths(config.ship, absolute),
    database:
      config.database === null
        ? null
        : { ...config.database, folder: absolute(config.database.folder) },
    share: shareOf(config.share, absolute),
    sealed: config.sealed.map(absolute),
    feed: feed?.source === 'replay' ? { ...feed, capture: absolute(feed.capture) } : feed,
    execution: {
      ...execution,
      kill_switch: execution.kill_switch === null ? null : absolute(execution.kill_switch),
    },
    logging: { ...logging, file: logging.file === null ? null : absolute(logging.file) },
  };
}

function shareOf(
  share: ShareConfig | null,
  absolute: (name: string) => string,
): ShareConfig | null {
  if (share === null) return null;
  const [ca, passwordFile] = [share.ca, share.password_file].map((name) =>
    name === null ? null : absolute(name),
  );
  return { ...share, ca: ca ?? null, password_file: passwordFile ?? null };
}
