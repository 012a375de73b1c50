// Lies about what runs: configuration, instruments, strategy, parameters, image.

import { mkdir, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { measure } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { run as runReplay } from '../../verifier/commands/replay.ts';
import { generateComplianceKey } from '../../verifier/compliance-key.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { encodeHeader } from '../../wire/header.ts';
import { encodePublicLeaf } from '../../wire/leaf.ts';
import { PORT } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import type { HostOptions, TestHost } from '../helpers/enclave-host.ts';
import {
  hostConfiguration,
  manifestOf,
  newNsm,
  startHost,
  testItems,
} from '../helpers/enclave-host.ts';
import { measurements, simulatedRoot } from '../helpers/epoch-builder.ts';
import { runCommand } from '../verifier/log/log-folder.ts';
import {
  attest,
  batch,
  boot,
  bootAfter,
  close,
  digestOf,
  unnamedIn,
  refusalOf,
  gaps,
  instruments,
  logOf,
  movableTime,
  newVerifier,
  pinning,
  send,
  serve,
  verify,
} from './stage.ts';

/** The code with which the enclave ends before it listens to anybody or logs anything. */
async function failureOf(options: HostOptions): Promise<string> {
  const host = await startHost(options);
  const code = await host.failed();
  expect(await host.end).toEqual({ code });
  expect(host.listens(PORT.feed) || host.listens(PORT.https)).toBe(false);
  expect(host.commits).toEqual([]);
  return code;
}

/** What an LP says of a challenge and of the log, with `agreed` pinned and without. */
async function verdictsOn(host: TestHost, agreed: Configuration): Promise<object> {
  const folder = await newVerifier();
  const pinned = await pinning(folder, { config_digest: digestOf(agreed) });
  const url = await serve(host);
  const answer = await attest(folder, url, pinned);
  const loose = await attest(folder, url);
  await close(host);
  await folder.write([logOf(host)]);
  return {
    answer: [answer.report.code, answer.exit],
    log: refusalOf(await folder.verifyLog(folder.log, ...pinned, '--no-heads')),
    unpinned: [loose.exit, loose.report.residual_risks?.includes('chosen_configuration')],
    unnamed: unnamedIn(await folder.verify(), 'chosen_configuration'),
  };
}

const REFUSED_WHERE_PINNED = {
  answer: ['config_mismatch', 1],
  log: 'config_mismatch',
  unpinned: [0, true],
  unnamed: [],
};

it('a host that swaps the configuration: `config_mismatch` where the policy pins it, `chosen_configuration` in the verdict elsewhere', async () => {
  const intervals = { anchor_ms: 86_400_000, heartbeat_ms: 86_400_000, commit_ms: 1000 };
  expect(
    await verdictsOn(await boot({ configuration: { intervals } }), hostConfiguration()),
  ).toEqual(REFUSED_WHERE_PINNED);
});

it('a host that swaps the instrument table: `config_mismatch` where the policy pins it, `chosen_configuration` in the verdict elsewhere', async () => {
  // Another scale makes other prices of the same numbers, and without a rule no hole is found.
  const host = await boot({ configuration: instruments('none') });
  await send(host, batch(0), batch(1, { trades: [{ id: 900 }] }));
  expect(gaps(host)).toEqual([]);
  expect(await verdictsOn(host, hostConfiguration())).toEqual(REFUSED_WHERE_PINNED);
});

it("a host that names a compliance key of its own: `config_mismatch` where the policy pins it, `disclosure_key_wrong` for compliance's", async () => {
  const compliance_public_key = generateComplianceKey().publicHex;
  const host = await boot({ configuration: { compliance_public_key } });
  expect(await verdictsOn(host, hostConfiguration())).toEqual(REFUSED_WHERE_PINNED);
  const folder = await newVerifier();
  await folder.write([logOf(host)]);
  expect(refusalOf(await folder.verify('--key', folder.path('key.pem')))).toBe(
    'disclosure_key_wrong',
  );
});

it('a host that shows another configuration in leaf 0 than was measured: `header_mismatch`, `config_mismatch` with its digest', async () => {
  const host = await boot();
  await close(host);
  const log = logOf(host);
  const shown = canonicalJson(hostConfiguration(instruments('none')));
  const folder = await newVerifier();
  const digest = nodeCrypto.sha256(shown);
  for (const [code, header] of [
    ['header_mismatch', { ...log.header, configuration: shown }],
    ['config_mismatch', { ...log.header, configuration: shown, configurationDigest: digest }],
  ] as const) {
    const salt = new Uint8Array(16);
    const first = encodePublicLeaf(nodeCrypto, host.leaf(0), salt, encodeHeader(header)).bytes;
    const leaves = log.leaves.with(0, first);
    const tree = new MemoryTree(nodeCrypto);
    for (const leaf of leaves) tree.append(leafHash(nodeCrypto, leaf));
    await folder.write([{ ...log, leaves, tree }]);
    expect(refusalOf(await folder.verify())).toBe(code);
  }
});

it('a host that swaps the strategy: `commitment_mismatch` FAILED, and no leaf', async () => {
  const [strategy, parameters] = testItems();
  expect(
    await failureOf({ items: [{ ...strategy, bytes: utf8('export default evil;') }, parameters] }),
  ).toBe('commitment_mismatch');
});

it('a host that swaps the strategy and the configuration with it: `commitment_not_measured` FAILED, and no leaf', async () => {
  const [strategy, parameters] = testItems();
  const evil = { ...strategy, bytes: utf8('export default evil;') };
  const commitment = toHex(nodeCrypto.sha256(evil.salt, evil.bytes));
  const entry = { name: 'example', version: '1.0.0', commitment, time_budget_ms: 100 };
  expect(
    await failureOf({
      configuration: { strategies: [entry] },
      items: [evil, parameters],
      measured: manifestOf(hostConfiguration()),
    }),
  ).toBe('commitment_not_measured');
});

it('a host that withholds the strategy or brings another one along: `item_missing`, `item_unexpected` FAILED', async () => {
  const [strategy, parameters] = testItems();
  expect(await failureOf({ items: [parameters] })).toBe('item_missing');
  expect(await failureOf({ items: [strategy, parameters, ...testItems('spy')] })).toBe(
    'item_unexpected',
  );
});

it('a host that swaps the parameters: `changed` and `chosen_parameters` in the verdict, `commitment_mismatch` when replayed', async () => {
  const agreed = await boot();
  await close(agreed);
  const [strategy, parameters] = testItems();
  const others = { ...parameters, bytes: utf8('{"risk": 100}') };
  const swapped = await bootAfter(agreed, { items: [strategy, others] });
  await close(swapped);
  const folder = await newVerifier();
  const judged = await verify(folder, [agreed, swapped]);
  expect(unnamedIn(judged, 'chosen_parameters')).toEqual([]);
  expect(judged.verdict.previous?.changed).toEqual(['parameters']);
  const commitment = toHex(nodeCrypto.sha256(others.salt, others.bytes));
  expect(judged.verdict.strategies?.[0]?.parameters_commitment).toBe(commitment);

  const [bundle, own] = testItems();
  const pack = folder.path('pack');
  await mkdir(pack);
  await writeFile(`${pack}/bundle.js`, bundle.bytes);
  await writeFile(`${pack}/salt`, toHex(bundle.salt));
  await writeFile(`${pack}/parameters.json`, own.bytes);
  await writeFile(`${pack}/parameters.salt`, toHex(own.salt));
  const args = [folder.log, '--strategy', pack, '--key', folder.path('key.pem'), '--json'];
  const { exit, out } = await runCommand(runReplay, ...args);
  expect([exit, JSON.parse(out)]).toMatchObject([2, { code: 'commitment_mismatch' }]);
});

it('a host that boots another image: `pcr_mismatch`', async () => {
  const other = measure({
    boot: utf8('boot parts'),
    application: utf8('an application that lies'),
  });
  const nsmDevice = new SimulatedNsm({ root: await simulatedRoot(), measurements: other });
  const host = await boot({ nsmDevice });
  const folder = await newVerifier();
  const answer = await attest(folder, await serve(host));
  expect([answer.report.code, answer.exit]).toEqual(['pcr_mismatch', 1]);
  await close(host);
  expect(refusalOf(await verify(folder, [host]))).toBe('pcr_mismatch');
  await folder.write([logOf(host)]);
  const any = ['--unsafe-any-image', '--unsafe-root', folder.path('root.pem'), '--no-heads'];
  expect(unnamedIn(await folder.verifyLog(folder.log, ...any), 'any_image')).toEqual([]);
});

it('a host that boots the image in debug mode, to read its memory: `debug_mode`', async () => {
  const root = await simulatedRoot();
  const host = await boot({ nsmDevice: new SimulatedNsm({ root, measurements, debugMode: true }) });
  const folder = await newVerifier();
  const answer = await attest(folder, await serve(host));
  expect([answer.report.code, answer.exit]).toEqual(['debug_mode', 1]);
  await close(host);
  expect(refusalOf(await verify(folder, [host]))).toBe('debug_mode');
});

it('a host with an NSM of its own making: `chain_root`', async () => {
  const root = await SimulatedRoot.create();
  const host = await boot({ nsmDevice: new SimulatedNsm({ root, measurements }) });
  const folder = await newVerifier();
  const answer = await attest(folder, await serve(host));
  expect([answer.report.code, answer.exit]).toEqual(['chain_root', 1]);
  await close(host);
  expect(refusalOf(await verify(folder, [host]))).toBe('chain_root');
});

it('a host that opens a second epoch in a running enclave: `nsm_malformed` FAILED, and no leaf', async () => {
  const nsmDevice = await newNsm();
  const first = await boot({ nsmDevice });
  expect(await failureOf({ nsmDevice })).toBe('nsm_malformed');
  await close(first);
});

it('a host that moves the clock of the guest: `clock_divergence` FAILED at the next anchor, end `unclean`', async () => {
  const time = await movableTime();
  const intervals = { anchor_ms: 100, heartbeat_ms: 3_600_000, commit_ms: 2 };
  const { clock = null } = time.options;
  const host = await boot({ ...(clock === null ? {} : { clock }), configuration: { intervals } });
  time.pass(5000);
  expect([await host.failed(), await host.end]).toEqual([
    'clock_divergence',
    { code: 'clock_divergence' },
  ]);
  const next = await bootAfter(host);
  await close(next);
  const { exit, verdict } = await verify(
    await newVerifier(),
    [host, next],
    undefined,
    '--epoch',
    '1',
  );
  expect([exit, verdict.end]).toEqual([0, 'unclean']);
});
