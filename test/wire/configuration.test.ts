import { describe, expect, it } from 'vitest';
import { utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson, parseConfiguration } from '../../wire/configuration.ts';
import { MAX_CONFIGURATION_BYTES } from '../../wire/limits.ts';

const CONFIGURATION: Configuration = {
  version: 1,
  log_id: 'trackseal.example/test',
  feed_mode: 'replay',
  commit_policy: 'spool',
  compliance_public_key: 'ab'.repeat(32),
  instruments: [
    {
      id: 1,
      venue: 'binance',
      symbol: 'ETHUSDT',
      market: 'spot',
      price_scale: 2,
      quantity_scale: 4,
      sequence_rule: 'binance-spot',
    },
  ],
  streams: [{ id: 1, name: 'binance-spot' }],
  strategies: [
    { name: 'imbalance', version: '1', commitment: 'cd'.repeat(32), time_budget_ms: 1000 },
  ],
  intervals: { anchor_ms: 60_000, heartbeat_ms: 1000, commit_ms: 5 },
  limits: { clock_divergence_ms: 5000, attestations_per_second: 5 },
  tls_names: ['localhost'],
};

function codeOf(bytes: Uint8Array): string {
  const result = parseConfiguration(bytes);
  return result.ok ? 'accepted' : result.refusal.code;
}

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const KMS = { region: 'eu-central-1', host: 'kms.eu-central-1.amazonaws.com' };
const SEAL = { purpose: 'strategy', name: 'imbalance', key_arn: ARN } as const;
const WITH_SECRETS: Configuration = {
  ...CONFIGURATION,
  commit_policy: 's3',
  kms: KMS,
  sealed: [SEAL, { ...SEAL, purpose: 'parameters' }, { ...SEAL, purpose: 'client_ca', name: 'x' }],
  data_keys: [{ name: 'book', key_arn: ARN.replace(/key.*/u, `key/mrk-${'0'.repeat(32)}`) }],
  s3: {
    region: 'eu-central-1',
    host: 's3.eu-central-1.amazonaws.com',
    bucket: 'a-bucket',
    prefix: 'logs/a',
    retention_days: 365,
    expected_bucket_owner: '111122223333',
  },
};

function sourced(id: number, venue: string): object {
  return { id, name: 'own', source: { venue, host: 'stream.binance.com' } };
}

describe('what comes sealed, and S3', () => {
  it('is taken in the canonical form', () => {
    expect(parseConfiguration(canonicalJson(WITH_SECRETS))).toEqual({
      ok: true,
      value: WITH_SECRETS,
    });
  });

  it('takes a source of instruments that are there', () => {
    const value = { ...CONFIGURATION, streams: [sourced(1, 'binance-spot')] };
    expect(parseConfiguration(canonicalJson(value)).ok).toBe(true);
  });

  it.each<[string, Partial<Record<keyof Configuration, unknown>>, string]>([
    ['policy s3 without a bucket', { s3: undefined }, 's3'],
    ['a source without instruments', { streams: [sourced(1, 'binance-linear')] }, 'streams'],
    [
      'a source twice',
      { streams: [sourced(1, 'binance-spot'), sourced(2, 'binance-spot')] },
      'streams',
    ],
    [
      'a source that is a URL',
      { streams: [{ id: 1, name: 'x', source: { venue: 'binance-spot', host: 'wss://x' } }] },
      'streams.0.source.host',
    ],
    ['sealed items without KMS', { kms: undefined, data_keys: undefined }, 'sealed'],
    ['data keys without KMS', { kms: undefined, sealed: undefined }, 'data_keys'],
    ['a key of another region', { kms: { ...KMS, region: 'eu-west-1' } }, 'sealed'],
    ['an item twice', { sealed: [SEAL, SEAL] }, 'sealed'],
    ['a strategy that is not there', { sealed: [{ ...SEAL, name: 'other' }] }, 'sealed'],
    ['a purpose of its own', { sealed: [{ ...SEAL, purpose: 'x' }] }, 'sealed.0.purpose'],
    [
      'an alias',
      { sealed: [{ ...SEAL, key_arn: ARN.replace(/key.*/u, 'alias/x') }] },
      'sealed.0.key_arn',
    ],
    [
      'a data key twice',
      { data_keys: [1, 2].map(() => ({ name: 'x', key_arn: ARN })) },
      'data_keys',
    ],
    ['an empty list', { sealed: [] }, 'sealed'],
    ['a host with a port', { kms: { ...KMS, host: 'kms.example:443' } }, 'kms.host'],
    ['a bucket that is none', { s3: { ...WITH_SECRETS.s3, bucket: 'A' } }, 's3.bucket'],
    ['a prefix with an empty segment', { s3: { ...WITH_SECRETS.s3, prefix: 'a//b' } }, 's3.prefix'],
    ['a prefix that climbs', { s3: { ...WITH_SECRETS.s3, prefix: 'a/../b' } }, 's3.prefix'],
    ['no retention', { s3: { ...WITH_SECRETS.s3, retention_days: 0 } }, 's3.retention_days'],
  ])('refuses %s', (_, changes, field) => {
    expect(parseConfiguration(canonicalJson({ ...WITH_SECRETS, ...changes }))).toMatchObject({
      refusal: { code: 'config_invalid', detail: { field } },
    });
  });
});

const certificate = (base64: string): string =>
  `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
const ROOT = certificate(`${'A'.repeat(64)}\nAA==`);
const DATABASE = {
  host: 'db.internal',
  port: 5432,
  name: 'trackseal',
  user: 'enclave_user',
  roots: ROOT,
};
const clientCa = (name: string): object => ({ purpose: 'client_ca', name, key_arn: ARN });
const PASSWORD = { ...SEAL, purpose: 'database_password', name: 'main' };
const parseWith = (changes: object): ReturnType<typeof parseConfiguration> =>
  parseConfiguration(canonicalJson({ ...WITH_SECRETS, ...changes }));

describe('a database', () => {
  it.each<[string, object]>([
    ['without a password', { database: DATABASE }],
    ['with its password', { database: DATABASE, sealed: [PASSWORD] }],
    ['under another name', { database: { ...DATABASE, server_name: 'pg.example' } }],
    ['with eight authorities', { database: { ...DATABASE, roots: ROOT.repeat(8) } }],
    ['that may lose', { database: { ...DATABASE, accept_loss: true } }],
    ['that may not lose', { database: { ...DATABASE, accept_loss: false } }],
    ['at the highest port', { database: { ...DATABASE, port: 65_535 } }],
  ])('is taken %s', (_, changes) => {
    expect(parseWith(changes).ok).toBe(true);
  });

  it.each<[string, object, string]>([
    ['a password without a database', { sealed: [PASSWORD] }, 'sealed'],
    [
      'two passwords',
      { database: DATABASE, sealed: [PASSWORD, { ...PASSWORD, name: 'other' }] },
      'sealed',
    ],
    ['two authorities of clients', { sealed: [clientCa('a'), clientCa('b')] }, 'sealed'],
    ['port 0', { database: { ...DATABASE, port: 0 } }, 'database.port'],
    ['a port beyond the last', { database: { ...DATABASE, port: 65_536 } }, 'database.port'],
    ['an address', { database: { ...DATABASE, host: '::1' } }, 'database.host'],
    ['a name to be quoted', { database: { ...DATABASE, name: 'a"b' } }, 'database.name'],
    ['a user to be quoted', { database: { ...DATABASE, user: 'A' } }, 'database.user'],
    ['no authority', { database: { ...DATABASE, roots: '' } }, 'database.roots'],
    ['nine authorities', { database: { ...DATABASE, roots: ROOT.repeat(9) } }, 'database.roots'],
    ['more than certificates', { database: { ...DATABASE, roots: `x${ROOT}` } }, 'database.roots'],
    [
      'a key among them',
      { database: { ...DATABASE, roots: ROOT.replaceAll('CERTIFICATE', 'PRIVATE KEY') } },
      'database.roots',
    ],
    ['half a leave', { database: { ...DATABASE, accept_loss: 'once' } }, 'database.accept_loss'],
    ['a field that nobody knows', { database: { ...DATABASE, password: 'x' } }, 'database'],
  ])('refuses %s', (_, changes, field) => {
    expect(parseWith(changes)).toMatchObject({
      refusal: { code: 'config_invalid', detail: { field } },
    });
  });

  it('takes back no time for roots that almost fit', () => {
    const roots = `${ROOT.repeat(7)}${certificate('A'.repeat(8000))}`;
    expect(parseWith({ database: { ...DATABASE, roots } }).ok).toBe(false);
  });
});

describe('parseConfiguration', () => {
  it('takes the canonical form', () => {
    expect(parseConfiguration(canonicalJson(CONFIGURATION))).toEqual({
      ok: true,
      value: CONFIGURATION,
    });
  });

  it('refuses every other spelling of the same value', () => {
    expect(codeOf(utf8(JSON.stringify(CONFIGURATION)))).toBe('config_not_canonical');
    const text = JSON.stringify(CONFIGURATION, null, 2);
    expect(codeOf(utf8(text))).toBe('config_not_canonical');
    const twice = `${text.replace('"version": 1,', '"version": 2,\n  "version": 1,')}\n`;
    expect(codeOf(utf8(twice))).toBe('config_not_canonical');
    expect(codeOf(utf8(text.slice(0, -1)))).toBe('json_malformed');
    expect(codeOf(Uint8Array.of(0xff))).toBe('json_malformed');
  });

  it.each<[string, unknown]>([
    ['an unknown key', { ...CONFIGURATION, debug: true }],
    ['an unknown key inside', { ...CONFIGURATION, limits: { ...CONFIGURATION.limits, x: 1 } }],
    ['a missing key', { ...CONFIGURATION, tls_names: undefined }],
    ['another version', { ...CONFIGURATION, version: 2 }],
    ['an upper-case log id', { ...CONFIGURATION, log_id: 'Log' }],
    ['a short compliance key', { ...CONFIGURATION, compliance_public_key: 'ab' }],
    ['no stream', { ...CONFIGURATION, streams: [] }],
    ['stream 1000', { ...CONFIGURATION, streams: [{ id: 1000, name: 'x' }] }],
    [
      'a stream twice',
      { ...CONFIGURATION, streams: [CONFIGURATION.streams[0], CONFIGURATION.streams[0]] },
    ],
    [
      'an instrument twice',
      {
        ...CONFIGURATION,
        instruments: [CONFIGURATION.instruments[0], CONFIGURATION.instruments[0]],
      },
    ],
    [
      'a strategy twice',
      { ...CONFIGURATION, strategies: [CONFIGURATION.strategies[0], CONFIGURATION.strategies[0]] },
    ],
    ['a fraction', { ...CONFIGURATION, intervals: { ...CONFIGURATION.intervals, commit_ms: 1.5 } }],
    ['null', null],
  ])('refuses %s', (_, value) => {
    expect(codeOf(canonicalJson(value))).toBe('config_invalid');
  });

  it('refuses JSON of any depth', () => {
    for (const depth of [10, 1000, MAX_CONFIGURATION_BYTES / 2]) {
      expect(codeOf(utf8('['.repeat(depth) + ']'.repeat(depth)))).toBe('config_invalid');
    }
    const deep = '['.repeat(10_000) + ']'.repeat(10_000);
    const text = JSON.stringify(CONFIGURATION).replace('"spool"', deep);
    expect(codeOf(utf8(text))).toBe('config_invalid');
  });

  it('refuses more than the limit before it parses', () => {
    expect(codeOf(new Uint8Array(MAX_CONFIGURATION_BYTES))).toBe('json_malformed');
    expect(codeOf(new Uint8Array(MAX_CONFIGURATION_BYTES + 1))).toBe('config_invalid');
  });
});
