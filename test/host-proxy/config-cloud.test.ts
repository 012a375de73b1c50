import { describe, expect, it } from 'vitest';
import { parseHostConfig } from '../../host-proxy/config-file.ts';
import type { HostConfig } from '../../host-proxy/config-file.ts';
import type { EnclaveFiles } from '../../host-proxy/items.ts';
import { isPermanent } from '../../host-proxy/permanent.ts';
import { findMissingWay, findSealMistake } from '../../host-proxy/secrets/configured-secrets.ts';
import { failedItem, failureFields, nextStep } from '../../host-proxy/secrets/failure.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { encodeSealed, encodeStatement } from '../../wire/seal.ts';
import type { SealedPurpose } from '../../wire/sealed.ts';

const BASE = {
  transport: 'unix:s',
  state: 'state',
  log: 'log',
  configuration: 'c.json',
  strategies: [],
  enclave: { command: null },
  feed: null,
  execution: {
    paper: { latency_ms: 0, taker_fee_ppm: 0, maker_fee_ppm: 0, slippage_ticks: 0 },
    limits: {
      max_order_notional: '1',
      max_position_notional: '1',
      max_orders: 1,
      order_window_ms: 1,
      price_band_ppm: 0,
      max_daily_loss: '1',
    },
  },
  tiles: null,
  ingress: null,
};
const KMS = 'kms.eu-central-1.amazonaws.com';
const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef';

function parse(part: object): ReturnType<typeof parseHostConfig> {
  return parseHostConfig(JSON.stringify({ ...BASE, ...part }), '/etc/trackseal/host.json');
}

function target(change: object): object {
  return { egress: { allow: [{ host: KMS, port: 443, ...change }] } };
}

function configOf(part: object): HostConfig {
  const parsed = parse(part);
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.config;
}

describe("the host's configuration of what comes from AWS", () => {
  it('has nothing of it by default: no way out, no credentials, nothing sealed, no metrics', () => {
    expect(configOf({})).toMatchObject({
      egress: null,
      credentials: null,
      sealed: [],
      metrics: null,
    });
  });

  it('fills in defaults, and reads addresses', () => {
    const allow = [
      { host: KMS, port: 443 },
      { host: 's3', port: 443, address: '127.0.0.1:4711' },
      { host: 's6', port: 443, address: '[::1]:4711' },
    ];
    const config = configOf({ egress: { allow }, credentials: { source: 'imds' }, sealed: ['a'] });
    expect(config.egress).toEqual({
      allow: [
        { host: KMS, port: 443, address: null },
        { host: 's3', port: 443, address: { host: '127.0.0.1', port: 4711 } },
        { host: 's6', port: 443, address: { host: '::1', port: 4711 } },
      ],
      max_connections: 64,
      connect_ms: 10_000,
      first_byte_ms: 30_000,
      idle_ms: 300_000,
    });
    expect(config.credentials).toEqual({ source: 'imds', refresh_before_ms: 900_000 });
    expect(config.sealed).toEqual(['/etc/trackseal/a']);
  });

  it.each<[string, object, string]>([
    ['a name in capitals', target({ host: 'KMS' }), 'egress.allow.0.host'],
    ['a URL', target({ host: 'https://kms' }), 'egress.allow.0.host'],
    ['port 0', target({ port: 0 }), 'egress.allow.0.port'],
    ['an address without a port', target({ address: '127.0.0.1' }), 'egress.allow.0.address'],
    [
      'an address with port 65536',
      target({ address: '127.0.0.1:65536' }),
      'egress.allow.0.address',
    ],
    ['a source that is none', { credentials: { source: 'file' } }, 'credentials.source'],
    ['metrics for everybody', { metrics: { host: '0.0.0.0', port: 1 } }, 'metrics.host'],
    ['metrics for the network', { metrics: { host: '10.0.0.1', port: 1 } }, 'metrics.host'],
    [
      'metrics at a name that looks like loopback',
      { metrics: { host: '127.evil.com', port: 1 } },
      'metrics.host',
    ],
  ])('refuses %s', (_, part, where) => {
    const parsed = parse(part);
    expect(parsed.ok ? [] : parsed.problems).toEqual([expect.stringContaining(where)]);
  });

  it.each([
    [{ host: '127.0.0.1', port: 9464 }],
    [{ host: '::1', port: 9464 }],
    [{ host: 'localhost', port: 0 }],
    [{ port: 9464 }],
    [{ host: '10.0.0.1', port: 9464, remote: true }],
  ])('takes metrics at %j', (metrics) => {
    expect(parse({ metrics }).ok).toBe(true);
  });
});

describe('a way to AWS', () => {
  const nothing = { streams: [{ id: 1, name: 'host' }] } as unknown as Configuration;
  const wants: Configuration = { ...nothing, kms: { region: 'eu-central-1', host: KMS } };
  const egress = { allow: [{ host: KMS, port: 443 }] };
  it.each<[string, object, Configuration, string]>([
    ['is not missing where nothing wants one', {}, nothing, 'nothing'],
    ['is missing without egress', {}, wants, 'egress.allow: kms'],
    [
      'is missing at another port',
      { egress: { allow: [{ host: KMS, port: 80 }] } },
      wants,
      'egress.allow: kms',
    ],
    ['is missing without credentials', { egress }, wants, 'credentials: '],
    ['is there with both', { egress, credentials: { source: 'chain' } }, wants, 'nothing'],
  ])('%s', (_, part, configuration, expected) => {
    expect(findMissingWay(configOf(part), configuration) ?? 'nothing').toContain(expected);
  });
});

const ways = (...hosts: readonly string[]): object => ({
  egress: { allow: hosts.map((host) => ({ host, port: 443 })) },
});

describe('a way to a venue', () => {
  const source = { venue: 'binance-spot', host: 'stream.binance.com' };
  const configuration = { streams: [{ id: 1, name: 'own', source }] } as unknown as Configuration;
  it.each<[string, object, string]>([
    ['is missing without egress', {}, 'egress.allow: stream.binance.com:443'],
    [
      'is missing to its snapshots',
      ways('stream.binance.com'),
      'egress.allow: api.binance.com:443',
    ],
    [
      'is there with both, without credentials',
      ways('stream.binance.com', 'api.binance.com'),
      'nothing',
    ],
  ])('%s', (_, part, expected) => {
    expect(findMissingWay(configOf(part), configuration) ?? 'nothing').toContain(expected);
  });
});

describe('mistakes in what is sealed', () => {
  const configurationBytes = utf8('{}\n');
  const configuration = {
    log_id: 'trackseal.test/log',
    sealed: [{ purpose: 'strategy', name: 'one', key_arn: ARN }],
  } as unknown as Configuration;
  const sealedOf = (change: {
    readonly purpose?: SealedPurpose;
    readonly logId?: string;
    readonly configurationDigest?: Uint8Array;
  }): Uint8Array =>
    encodeSealed({
      statement: encodeStatement({
        purpose: 'strategy',
        logId: 'trackseal.test/log',
        name: 'one',
        label: '1',
        version: 1,
        configurationDigest: nodeCrypto.sha256(configurationBytes),
        commitment: new Uint8Array(32),
        keyArn: ARN,
        // The host does not know which image runs: the enclave refuses another one.
        image: new Uint8Array(48),
        ...change,
      }),
      signature: new Uint8Array(70),
      wrappedKey: new Uint8Array(10),
      content: new Uint8Array(100),
    });
  const find = (...sealed: readonly Uint8Array[]): ReturnType<typeof findSealMistake> => {
    const files = sealed.map((bytes, at) => ({ file: `/sealed/${at}`, bytes }));
    const enclave: EnclaveFiles = { configuration, configurationBytes, items: [], sealed: files };
    return findSealMistake(nodeCrypto, enclave);
  };

  it('there are none in what fits', () => {
    expect(find(sealedOf({}))).toBeNull();
  });

  it.each<[string, readonly Uint8Array[], string, object]>([
    ['one is missing', [], 'seal_missing', { item: 'strategy/one' }],
    ['one is there twice', [sealedOf({}), sealedOf({})], 'seal_unexpected', { file: '/sealed/1' }],
    [
      'another purpose',
      [sealedOf({ purpose: 'client_ca' })],
      'seal_unexpected',
      { file: '/sealed/0' },
    ],
    [
      'another log',
      [sealedOf({ logId: 'other' })],
      'seal_wrong_configuration',
      { file: '/sealed/0' },
    ],
    [
      'another configuration',
      [sealedOf({ configurationDigest: new Uint8Array(32) })],
      'seal_wrong_configuration',
      { file: '/sealed/0' },
    ],
    ['no sealed item', [utf8('{}')], 'seal_malformed', { file: '/sealed/0' }],
  ])('%s: found before the enclave starts, with its file', (_, sealed, code, detail) => {
    expect(find(...sealed)).toMatchObject({ code, detail });
  });
});

describe('why an enclave stopped, for an operator', () => {
  const sealed = [
    { file: '/a', bytes: new Uint8Array() },
    { file: '/b', bytes: new Uint8Array() },
  ];
  it('names the item, its file, what it means and what to do', () => {
    const failed = { code: 'kms_denied', position: 1, purpose: 'strategy', name: 'one' } as const;
    expect(failureFields(failed, sealed)).toMatchObject({
      code: 'kms_denied',
      could_not_unseal: 'strategy/one',
      file: '/b',
      next: nextStep('kms_denied') ?? 'a next step',
    });
  });

  it('has to be started again after kms_denied: it says so, and what to check in which order', () => {
    expect(isPermanent('kms_denied')).toBe(true);
    const next = nextStep('kms_denied') ?? '';
    expect(next).toMatch(/does not try again.*`enclave\.restart`.*start it again/u);
    expect(next).toMatch(
      /image.*PCR0.*key policy.*changed just now.*clock.*`trackseal kms canary`/u,
    );
  });

  it('names no file for a data key, whose position is that of a record', () => {
    const failed = { code: 'kms_denied', position: 1, purpose: 'data_key', name: 'venue' } as const;
    expect(failureFields(failed, sealed)).not.toHaveProperty('file');
    expect(failedItem(failed)).toBe('data_key/venue');
  });

  it('says what it can of a failure of another kind', () => {
    const failed = { code: 'nsm_error', position: null, purpose: null, name: null } as const;
    const { could_not_unseal: item, file, next } = failureFields(failed, sealed);
    expect([item, file, next]).toEqual([undefined, undefined, undefined]);
  });

  it('sends an operator without the record of a data key to the copy of it', () => {
    expect(nextStep('seal_rolled_back')).toContain('`state/data-keys` from your copy');
  });

  it('knows a next step for each way in which an item can be refused', () => {
    const codes = [
      'seal_malformed',
      'seal_signature_invalid',
      'seal_wrong_image',
      'seal_missing',
    ] as const;
    for (const code of [...codes, 'seal_rolled_back', 'seal_unexpected'] as const) {
      expect(nextStep(code), code).not.toBeNull();
    }
  });
});
