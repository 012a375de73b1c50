// The configuration of an epoch: JSON in canonical form, fixed for the epoch, its digest extended into
// PCR16 and logged (docs/PROTOCOL.md 9). It comes from the host: an LP's policy may pin its digest.
// It holds no secrets, because the epoch header shows it to everybody.

import * as z from 'zod';
import { equalBytes, parseUtf8, utf8 } from './bytes.ts';
import type { Instrument, Market, SequenceRule } from './instrument.ts';
import { MARKETS, SEQUENCE_RULES } from './instrument.ts';
import { MAX_CONFIGURATION_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';
import type { SealedPurpose } from './sealed.ts';
import {
  KEY_ARN,
  MAX_DATA_KEYS,
  MAX_SEALED_ITEMS,
  parseKeyArn,
  SEALED_PURPOSES,
} from './sealed.ts';

// zod would compile validators with `new Function`; the enclave runs without code generation.
z.config({ jitless: true });

export type { Instrument, Market, SequenceRule };

export interface ConfiguredStrategy {
  readonly name: string;
  readonly version: string;
  /** SHA-256(salt ‖ bundle), hex; the image must have measured the same. */
  readonly commitment: string;
  /** Longest time for one batch; the strategy is ended beyond it. */
  readonly time_budget_ms: number;
}

/** Who has to have a commit before its outputs are released: the host's spool, or S3 as well. */
export type CommitPolicy = 'spool' | 's3';

/** Something that must come sealed under a key of KMS, and under this key. */
export interface ConfiguredSeal {
  readonly purpose: SealedPurpose;
  readonly name: string;
  readonly key_arn: string;
}

/** `host` is in the measured manifest with port 443, or nothing is sent to it. */
export interface ConfiguredKms {
  readonly region: string;
  readonly host: string;
}

/** Keys are addressed as https://host/bucket/prefix/…; `host` as above. */
export interface ConfiguredS3 {
  readonly region: string;
  readonly host: string;
  readonly bucket: string;
  readonly prefix: string;
  /** What is written cannot be deleted for this long. */
  readonly retention_days: number;
  /** AWS account id. */
  readonly expected_bucket_owner?: string | undefined;
}

/** Traders' accounts; without it the enclave takes none. */
export interface ConfiguredDesk {
  /** Name of the data key under which sessions outlive an epoch; without it they do not. */
  readonly vault?: string | undefined;
  readonly polling_ms: number;
  readonly max_sessions: number;
  /** Accounts at the venues' test systems are taken. */
  readonly sandbox: boolean;
}

/** Where the enclave itself gets a stream's data: over its own TLS, from a measured host. */
export interface ConfiguredSource {
  /** `<venue>-<market>` of the instruments that it brings; one stream has them all. */
  readonly venue: string;
  readonly host: string;
}

/**
 * A PostgreSQL server, over a stream that the host opens to `host` and `port`; TLS ends in the enclave and trusts `roots`
 * alone. It is not trusted with more than keeping what it is given.
 */
export interface ConfiguredDatabase {
  readonly host: string;
  readonly port: number;
  /** Of the database. */
  readonly name: string;
  readonly user: string;
  /** Certificates of the authorities, PEM. */
  readonly roots: string;
  /** The name in the server's certificate, where it is another one than `host`. */
  readonly server_name?: string | undefined;
  /** A record of which the database has lost the end goes on, and says so for ever; else it stops. Default false. */
  readonly accept_loss?: boolean | undefined;
}

/** Inputs: from the host, label `host`; with a source from the enclave's own connection, label `tls`. */
export interface ConfiguredStream {
  readonly id: number;
  readonly name: string;
  readonly source?: ConfiguredSource | undefined;
}

/** Requests; where one is missing the desk has its own. */
export interface ApiLimits {
  readonly client_per_minute?: number | undefined;
  readonly session_per_minute?: number | undefined;
  readonly registrations_per_minute?: number | undefined;
}

export interface Configuration {
  readonly version: 1;
  /** Name of the log across epochs: lower-case host-like segments. */
  readonly log_id: string;
  readonly feed_mode: 'live' | 'replay';
  readonly commit_policy: CommitPolicy;
  /** X25519, raw, hex: whoever has the private key can open all private leaves. */
  readonly compliance_public_key: string;
  readonly instruments: readonly Instrument[];
  readonly streams: readonly ConfiguredStream[];
  readonly strategies: readonly ConfiguredStrategy[];
  readonly intervals: {
    readonly anchor_ms: number;
    readonly heartbeat_ms: number;
    /** An incomplete commit is closed after this. */
    readonly commit_ms: number;
  };
  readonly limits: {
    /** Guest clock against NSM time. */
    readonly clock_divergence_ms: number;
    readonly attestations_per_second: number;
    readonly api?: ApiLimits | undefined;
  };
  /** Names in the enclave's TLS certificate. */
  readonly tls_names: readonly string[];
  readonly kms?: ConfiguredKms | undefined;
  readonly sealed?: readonly ConfiguredSeal[] | undefined;
  readonly data_keys?: readonly { readonly name: string; readonly key_arn: string }[] | undefined;
  readonly s3?: ConfiguredS3 | undefined;
  readonly desk?: ConfiguredDesk | undefined;
  readonly database?: ConfiguredDatabase | undefined;
}

/** RFC 1123, in lower case. */
export const DNS_NAME: RegExp =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/u;
/** AWS's rules for names of buckets. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/u;
/** Segments that nothing on the way rewrites. */
const PREFIX = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){0,7}$/u;

/** PostgreSQL's names without quotes. */
const SQL_NAME = /^[a-z_][a-z0-9_]{0,62}$/u;
const PEM_CERTIFICATES =
  /^(?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/]{1,64}={0,2}\n)+-----END CERTIFICATE-----\n){1,8}$/u;
const MAX_ROOTS_CHARACTERS = 16_384;

const hash: z.ZodString = z.string().regex(/^[0-9a-f]{64}$/u);
const logId: z.ZodString = z.string().regex(/^[a-z0-9][a-z0-9./-]{0,82}$/u);
const nameOf = (maximum: number): z.ZodString =>
  z
    .string()
    .max(maximum)
    .regex(/^[A-Za-z0-9][A-Za-z0-9 ._/-]*$/u);
const keyArn: z.ZodString = z.string().regex(KEY_ARN);
const region: z.ZodString = z.string().regex(/^[a-z0-9-]{1,32}$/u);
const dnsName: z.ZodString = z.string().regex(DNS_NAME);
const uint = (minimum: number, maximum: number): z.ZodType<number> =>
  z.int().min(minimum).max(maximum);

const configurationSchema: z.ZodType<Configuration> = z.strictObject({
  version: z.literal(1),
  log_id: logId,
  feed_mode: z.enum(['live', 'replay']),
  commit_policy: z.enum(['spool', 's3']),
  compliance_public_key: hash,
  instruments: z
    .array(
      z.strictObject({
        id: uint(1, 0xffff),
        venue: nameOf(32),
        symbol: nameOf(32),
        market: z.enum(MARKETS),
        price_scale: uint(0, 12),
        quantity_scale: uint(0, 12),
        sequence_rule: z.enum(SEQUENCE_RULES),
      }),
    )
    .min(1)
    .max(1024),
  streams: z
    .array(
      z.strictObject({
        id: uint(1, 999),
        name: nameOf(64),
        source: z.strictObject({ venue: nameOf(32), host: dnsName }).optional(),
      }),
    )
    .min(1)
    .max(64),
  strategies: z
    .array(
      z.strictObject({
        name: nameOf(64),
        version: nameOf(32),
        commitment: hash,
        time_budget_ms: uint(1, 60_000),
      }),
    )
    .max(8),
  intervals: z.strictObject({
    anchor_ms: uint(100, 86_400_000),
    heartbeat_ms: uint(100, 86_400_000),
    commit_ms: uint(1, 1000),
  }),
  limits: z.strictObject({
    clock_divergence_ms: uint(1, 600_000),
    attestations_per_second: uint(1, 1000),
    api: z
      .strictObject({
        client_per_minute: uint(1, 1_000_000).optional(),
        session_per_minute: uint(1, 1_000_000).optional(),
        registrations_per_minute: uint(1, 1_000_000).optional(),
      })
      .optional(),
  }),
  tls_names: z
    .array(z.string().regex(/^[a-z0-9.-]{1,253}$/u))
    .min(1)
    .max(16),
  kms: z.strictObject({ region, host: dnsName }).optional(),
  sealed: z
    .array(z.strictObject({ purpose: z.enum(SEALED_PURPOSES), name: nameOf(64), key_arn: keyArn }))
    .min(1)
    .max(MAX_SEALED_ITEMS)
    .optional(),
  data_keys: z
    .array(z.strictObject({ name: nameOf(64), key_arn: keyArn }))
    .min(1)
    .max(MAX_DATA_KEYS)
    .optional(),
  s3: z
    .strictObject({
      region,
      host: dnsName,
      bucket: z.string().regex(BUCKET),
      prefix: z.string().regex(PREFIX),
      retention_days: uint(1, 36_500),
      expected_bucket_owner: z
        .string()
        .regex(/^\d{12}$/u)
        .optional(),
    })
    .optional(),
  desk: z
    .strictObject({
      vault: nameOf(64).optional(),
      polling_ms: uint(60_000, 3_600_000),
      max_sessions: uint(1, 10_000),
      sandbox: z.boolean(),
    })
    .optional(),
  database: z
    .strictObject({
      host: dnsName,
      port: uint(1, 0xffff),
      name: z.string().regex(SQL_NAME),
      user: z.string().regex(SQL_NAME),
      roots: z.string().max(MAX_ROOTS_CHARACTERS).regex(PEM_CERTIFICATES),
      server_name: dnsName.optional(),
      accept_loss: z.boolean().optional(),
    })
    .optional(),
});

/** The one text form that is accepted: duplicate keys and odd spellings cannot hide in it. */
export function canonicalJson(value: unknown): Uint8Array {
  return utf8(`${JSON.stringify(value, null, 2)}\n`);
}

function hasDuplicates(values: readonly (string | number)[]): boolean {
  return new Set(values).size !== values.length;
}

/** The `source.venue` of a stream that brings this instrument. */
export function sourceVenueOf({ venue, market }: Pick<Instrument, 'venue' | 'market'>): string {
  return `${venue}-${market}`;
}

const SINGLE: ReadonlySet<SealedPurpose> = new Set(['client_ca', 'database_password']);

/** The first of the fields about secrets, S3 and sources that contradicts another; null when they agree. */
function findContradiction(configuration: Configuration): string | null {
  const {
    kms,
    sealed = [],
    data_keys: dataKeys = [],
    s3,
    strategies,
    desk,
    database,
  } = configuration;
  if (hasDuplicates(sealed.map(({ purpose, name }) => `${purpose}/${name}`))) return 'sealed';
  // There is one place for each of these.
  const single = sealed.map(({ purpose }) => purpose).filter((purpose) => SINGLE.has(purpose));
  if (hasDuplicates(single)) return 'sealed';
  if (single.includes('database_password') && database === undefined) return 'sealed';
  if (hasDuplicates(dataKeys.map(({ name }) => name))) return 'data_keys';
  const names = new Set(strategies.map(({ name }) => name));
  const known = ({ purpose, name }: ConfiguredSeal): boolean =>
    (purpose !== 'strategy' && purpose !== 'parameters') || names.has(name);
  if (!sealed.every(known)) return 'sealed';
  // KMS answers for keys of its own region only, whoever's account they are in.
  const inRegion = ({ key_arn: arn }: { readonly key_arn: string }): boolean =>
    parseKeyArn(arn)?.region === kms?.region;
  if (!sealed.every(inRegion)) return 'sealed';
  if (!dataKeys.every(inRegion)) return 'data_keys';
  if (configuration.commit_policy === 's3' && s3 === undefined) return 's3';
  const fetched = configuration.streams.flatMap(({ source }) => source?.venue ?? []);
  const venues = new Set(configuration.instruments.map(sourceVenueOf));
  if (hasDuplicates(fetched) || !fetched.every((venue) => venues.has(venue))) return 'streams';
  const vault = desk?.vault;
  if (vault !== undefined && !dataKeys.some(({ name }) => name === vault)) return 'desk';
  return null;
}

/** `config_invalid` names the path of the first wrong field, never its value. */
export function parseConfiguration(bytes: Uint8Array): Result<Configuration> {
  if (bytes.length > MAX_CONFIGURATION_BYTES) {
    return refuse('config_invalid', { bytes: bytes.length, maximum: MAX_CONFIGURATION_BYTES });
  }
  const text = parseUtf8(bytes);
  if (text === null) return refuse('json_malformed');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('json_malformed');
  }
  const parsed = configurationSchema.safeParse(value);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path.join('.') ?? '';
    return refuse('config_invalid', { field: path.slice(0, 128) });
  }
  // After the schema, which is flat: JSON of any depth would exhaust the stack when it is written again.
  if (!equalBytes(canonicalJson(value), bytes)) return refuse('config_not_canonical');
  const configuration = parsed.data;
  if (hasDuplicates(configuration.instruments.map(({ id }) => id))) {
    return refuse('config_invalid', { field: 'instruments' });
  }
  if (hasDuplicates(configuration.streams.map(({ id }) => id))) {
    return refuse('config_invalid', { field: 'streams' });
  }
  if (hasDuplicates(configuration.strategies.map((strategy) => strategy.name))) {
    return refuse('config_invalid', { field: 'strategies' });
  }
  const contradiction = findContradiction(configuration);
  if (contradiction !== null) return refuse('config_invalid', { field: contradiction });
  return accept(configuration);
}
