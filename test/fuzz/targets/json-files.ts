// JSON from outside: the configuration of an epoch, the measured manifest, a verifier's policy, and the host's
// own file. What is accepted says nothing beyond what was understood: written again from the parsed value it
// is the same JSON.

import { generateKeyPairSync } from 'node:crypto';
import { parseManifest } from '../../../wire/manifest.ts';
import { parseHostConfig } from '../../../host-proxy/config-file.ts';
import {
  signMeasurements,
  verifyMeasurements,
  MAX_LIST_BYTES,
} from '../../../verifier/measurements/list.ts';
import type { MeasurementsList } from '../../../verifier/measurements/list.ts';
import { parsePolicyFile } from '../../../verifier/policy-file.ts';
import type { ImagePcrs } from '../../../wire/attestation/policy.ts';
import { parseUtf8, toBase64, toHex, utf8 } from '../../../wire/bytes.ts';
import { canonicalJson, parseConfiguration } from '../../../wire/configuration.ts';
import { MAX_CONFIGURATION_BYTES } from '../../../wire/limits.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { testConfiguration } from '../../helpers/epoch-header.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateJson } from '../mutate/json.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge, sameValue } from '../target.ts';

const HASH = 'ab'.repeat(32);
const PCR = 'cd'.repeat(48);

/** JSON of trusted sources may use `\uFEFF` and broken UTF-8 as `readFile` takes them. */
function asText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

function runConfiguration(bytes: Uint8Array): string {
  const parsed = parseConfiguration(bytes);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const read: unknown = JSON.parse(parseUtf8(bytes) ?? '');
  expectThat(sameValue(parsed.value, read), 'the file says more than was understood');
  expectSameBytes(canonicalJson(read), bytes, 'accepted bytes are not canonical');
  const { streams, strategies } = parsed.value;
  return `${outcome} ${streams.length > 1} ${strategies.length > 1}`;
}

export function configurationTarget(): Target {
  const whole = testConfiguration();
  const [instrument] = whole.instruments;
  if (instrument === undefined) throw new Error('a configuration has an instrument');
  const second = { ...instrument, id: 2, market: 'linear', sequence_rule: 'none' } as const;
  const seeds = [
    whole,
    {
      ...whole,
      instruments: [instrument, second],
      streams: [
        { id: 1, name: 'a' },
        { id: 9, name: 'b' },
      ],
    },
    { ...whole, feed_mode: 'live', strategies: [], tls_names: ['a.b', 'localhost'] },
  ];
  return {
    name: 'configuration',
    files: ['wire/configuration.ts', 'wire/bytes.ts'],
    maxBytes: MAX_CONFIGURATION_BYTES + 1,
    seeds: seeds.map((seed) => canonicalJson(seed)),
    mutate: mix(
      [6, mutateJson({ words: ['version', 'log_id', 'spot', HASH], canonicalOfTen: 9 })],
      [1, mutateBytes],
    ),
    run: runConfiguration,
  };
}

function runManifest(bytes: Uint8Array): string {
  const parsed = parseManifest(bytes);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const read: unknown = JSON.parse(parseUtf8(bytes) ?? '');
  expectThat(sameValue(parsed.value, read), 'the file says more than was understood');
  return `${outcome} ${parsed.value.strategies.length > 1}`;
}

export function manifestTarget(): Target {
  const strategy = { name: 'example', version: '1.0.0', commitment: HASH };
  const manifest = {
    version: 2,
    strategies: [strategy, { ...strategy, name: 'other' }],
    owner_key: `3059301306072a8648ce3d020106082a8648ce3d03010703420004${HASH}${HASH}`,
    hosts: [
      { host: 'kms.eu-central-1.amazonaws.com', port: 443 },
      { host: 'localhost', port: 1, tls_name: 'exchange.example' },
    ],
    roots_sha256: HASH,
  };
  return {
    name: 'manifest',
    files: ['wire/manifest.ts'],
    maxBytes: 64 * 1024 + 1,
    seeds: [canonicalJson(manifest)],
    mutate: mix([6, mutateJson({ words: ['version', HASH], canonicalOfTen: 8 })], [1, mutateBytes]),
    run: runManifest,
  };
}

function hex(value: Uint8Array | undefined): string | undefined {
  return value && toHex(value);
}

function base64(value: Uint8Array | undefined): string | undefined {
  return value && toBase64(value);
}

function lower(value: unknown): unknown {
  return typeof value === 'string' ? value.toLowerCase() : value;
}

/** Registers by number, as hex; the key `HashAlgorithm` decides nothing else. */
function registersOf(measured: unknown): unknown {
  return Object.fromEntries(
    Object.entries(measured as Record<string, string>)
      .filter(([key]) => key !== 'HashAlgorithm')
      .map(([key, value]) => [key, value.toLowerCase()]),
  );
}

function registersAllowed({ pcr0, pcr1, pcr2, others }: ImagePcrs): unknown {
  return Object.fromEntries([
    ['PCR0', toHex(pcr0)],
    ['PCR1', toHex(pcr1)],
    ['PCR2', toHex(pcr2)],
    ...Array.from(others ?? [], ([index, value]) => [`PCR${index}`, toHex(value)]),
  ]) as unknown;
}

/** The file's fields as the policy has them; unknown ones cannot be there. */
function runPolicy(bytes: Uint8Array): string {
  const text = asText(bytes);
  const parsed = parsePolicyFile(text);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const { images: allowed, configDigest, origin, ownerKey, releaseKey, rootSha256 } = parsed.value;
  const read = JSON.parse(text) as Record<string, unknown>;
  const { Measurements, images = [], owner_key, release_key, config_digest, root, ...rest } = read;
  const measured = [
    ...(Measurements === undefined ? [] : [Measurements]),
    ...(images as unknown[]),
  ];
  expectThat(measured.length > 0 || releaseKey !== undefined, 'a policy without any image');
  expectThat(
    sameValue(allowed.map(registersAllowed), measured.map(registersOf)),
    'other measurements than the file has',
  );
  expectThat(sameValue(rest, origin === undefined ? {} : { origin }), 'a field that nothing reads');
  expectThat(lower(config_digest) === hex(configDigest), 'another configuration digest');
  expectThat(lower(root) === rootSha256, 'another root');
  expectThat(owner_key === base64(ownerKey), 'another owner key');
  expectThat(release_key === base64(releaseKey), 'another release key');
  return `${outcome} ${allowed.length > 1}`;
}

export function policyFileTarget(): Target {
  const Measurements = { HashAlgorithm: 'Sha384 { ... }', PCR0: PCR, PCR1: PCR, PCR2: PCR };
  const key = toBase64(new Uint8Array(91).fill(5));
  const seeds = [
    { Measurements },
    { release_key: key },
    { Measurements, images: [{ ...Measurements, PCR0: 'ef'.repeat(48) }, Measurements] },
    {
      Measurements: { ...Measurements, PCR3: PCR, PCR4: PCR, PCR8: PCR.toUpperCase() },
      config_digest: HASH,
      origin: 'trackseal.test/log',
      owner_key: key,
      release_key: key,
      root: HASH,
    },
  ];
  const words = [
    'PCR0',
    'PCR3',
    'PCR16',
    'images',
    'root',
    'origin',
    HASH,
    PCR,
    'Sha384',
    key,
    'AA==',
  ];
  return {
    name: 'policy-file',
    files: ['verifier/policy-file.ts', 'wire/bytes.ts'],
    maxBytes: 64 * 1024,
    seeds: seeds.map((seed) => utf8(JSON.stringify(seed))),
    mutate: mix([6, mutateJson({ words, canonicalOfTen: 3 })], [1, mutateBytes]),
    run: runPolicy,
  };
}

/** Whoever has no key gets nothing past the signature: what is accepted was signed as it is. */
export function measurementsListTarget(): Target {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const image = { name: '1.0.0', pcr0: PCR, pcr1: PCR, pcr2: PCR, status: 'allowed', note: 'x' };
  const list = { format: 'trackseal/measurements/v1', counter: 1, issued: '2026-11-21' } as const;
  const signed = [
    { ...list, images: [image] },
    { ...list, images: [image, { ...image, pcr0: 'ef'.repeat(48), status: 'revoked' }] },
  ].map((each) => signMeasurements(each as MeasurementsList, pem)?.file ?? new Uint8Array());
  const accepted = new Set(signed.map((file) => Buffer.from(file).toString('latin1')));
  const words = ['revoked', 'allowed', 'counter', PCR, '2026-02-30', 'signature', 'images'];
  return {
    name: 'measurements-list',
    files: ['verifier/measurements/list.ts', 'wire/bytes.ts'],
    maxBytes: MAX_LIST_BYTES,
    seeds: signed,
    mutate: mix([6, mutateJson({ words, canonicalOfTen: 8 })], [1, mutateBytes]),
    run: (bytes) => {
      const verified = verifyMeasurements(nodeCrypto, bytes, spki);
      const original = accepted.has(Buffer.from(bytes).toString('latin1'));
      expectThat(verified.ok === original, 'a list that nobody signed, or one that was, refused');
      return judge(verified);
    },
  };
}

function runHostConfig(bytes: Uint8Array): string {
  const parsed = parseHostConfig(asText(bytes), '/etc/trackseal/host.json');
  if (parsed.ok) {
    const { state, log, transport } = parsed.config;
    expectThat(state.startsWith('/') && log.startsWith('/'), 'a path that is not absolute');
    expectThat(
      !transport.startsWith('unix:') || transport.startsWith('unix:/'),
      'a relative socket',
    );
    return 'accepted';
  }
  expectThat(parsed.problems.length > 0, 'refused for no reason');
  return `refused ${parsed.problems[0]?.replace(/[^a-z_. ][\s\S]*$/u, '')}`;
}

export function hostConfigTarget(): Target {
  const config = {
    transport: 'unix:run',
    state: 'state',
    log: '/log',
    configuration: 'configuration.json',
    strategies: [{ pack: 'pack', parameters: 'parameters.json', parameters_salt: 'salt' }],
    enclave: { command: ['enclave', '--x'], restart: false },
    feed: { stream: 1, capture: 'a.gz', speed: null },
    execution: {
      paper: { latency_ms: 5, taker_fee_ppm: 1000, maker_fee_ppm: -100, slippage_ticks: 1 },
      limits: {
        max_order_notional: '10000.50',
        max_position_notional: '1',
        max_orders: 3,
        order_window_ms: 1000,
        price_band_ppm: 5000,
        max_daily_loss: '0.00000001',
      },
      kill_switch: 'stop',
    },
    tiles: { port: 0 },
    ingress: { port: 65_535 },
    logging: { level: 'debug', file: 'log.txt' },
  };
  const least = { ...config, feed: null, tiles: null, ingress: null, logging: undefined };
  return {
    name: 'host-config',
    files: ['host-proxy/config-file.ts', 'wire/market/scaled.ts'],
    maxBytes: 256 * 1024,
    seeds: [utf8(JSON.stringify(config)), utf8(JSON.stringify(least))],
    mutate: mix(
      [6, mutateJson({ words: ['unix:', 'drop', 'wait', '1.5', 'host'], canonicalOfTen: 3 })],
      [1, mutateBytes],
    ),
    run: runHostConfig,
  };
}
