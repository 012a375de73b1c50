// What cannot be found is printed by every verdict that depends on it, for people and with --json, under
// the name by which docs/THREAT-MODEL.md has it.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { run as runAttest } from '../../verifier/commands/attest.ts';
import { run as runLogPull } from '../../verifier/commands/log-pull.ts';
import { run as runReplay } from '../../verifier/commands/replay.ts';
import { run as runVerifyAttestation } from '../../verifier/commands/verify-attestation.ts';
import { run as runVerifyBundle } from '../../verifier/commands/verify-bundle.ts';
import { run as runVerifyLog } from '../../verifier/commands/verify-log.ts';
import { run as runVerifyRecord } from '../../verifier/commands/verify-record.ts';
import { run as runVerifyResult } from '../../verifier/commands/verify-result.ts';
import { run as runVerifyProof } from '../../verifier/commands/verify-proof.ts';
import { HeadMemory } from '../../verifier/heads.ts';
import type { RiskFields } from '../../verifier/residual-risks.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { clientOrderIdOf } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { bundleOf, BTC_SELECTOR } from '../enclave/strategy/support.ts';
import type { EpochOptions } from '../helpers/epoch-builder.ts';
import { EpochBuilder } from '../helpers/epoch-builder.ts';
import { filesOf } from '../helpers/epoch-files.ts';
import { loggedResult } from '../helpers/signed-result.ts';
import { RecordBuilder } from '../helpers/track-record.ts';
import { hour } from '../wire/performance/hours.ts';
import type { FileMap, LogFolder } from '../verifier/log/log-folder.ts';
import { changeFile, removeFiles, runCommand } from '../verifier/log/log-folder.ts';
import { boot, close, newVerifier, serve } from './stage.ts';
import { readRemainders } from './threat-model.ts';

type Command = Parameters<typeof runCommand>[0];

const SALT = new Uint8Array(32).fill(5);
const BUNDLE = utf8(bundleOf({ subscribe: `return [${BTC_SELECTOR}];` }));
const PARAMETERS = utf8('{}');

let folder: LogFolder;
let trust: readonly string[] = [];
let anyImage: readonly string[] = [];
/** By verdict, the risks that it has printed in any of the scenes. */
const printed = new Map<string, Set<string>>();

/** Numbers of a fresh document differ; the words do not. */
function words(text: string): string {
  return text.replaceAll(/\d+(?:\.\d+)?/gu, '0');
}

/** Runs a command twice, for a machine and for a person. Answers what only one of them is told. */
async function show(
  verdict: string,
  command: Command,
  args: readonly string[],
  prepare: () => Promise<unknown> = () => Promise.resolve(),
): Promise<readonly string[]> {
  await prepare();
  const machine = await runCommand(command, ...args, '--json');
  expect(machine.exit, machine.out + machine.err).toBe(0);
  const fields = JSON.parse(machine.out) as RiskFields;
  const { operator_could_still: operator, rests_on: rests, residual_risks: risks } = fields;
  expect(risks).toHaveLength(operator.length + rests.length);
  await prepare();
  const person = await runCommand(command, ...args);
  const [, list = ''] = person.out.split('  the operator could still\n');
  const lines = [...list.matchAll(/^ {4}- (.*) \[([a-z_]+)\]$/gmu)];
  const set = printed.get(verdict) ?? new Set();
  printed.set(verdict, set);
  for (const risk of risks) set.add(risk);
  const told = [...operator, ...rests].map((sentence, at) => `${risks[at] ?? ''}: ${sentence}`);
  const shown = lines.map(([, sentence = '', risk = '']) => `${risk}: ${sentence}`);
  return [
    ...told.filter((line, at) => words(line) !== words(shown[at] ?? '')),
    ...shown.slice(told.length),
  ];
}

/** An epoch that can be replayed: a strategy that says nothing, a few batches. */
async function epochOf(options: EpochOptions = {}): Promise<EpochBuilder> {
  const commitment = nodeCrypto.sha256(SALT, BUNDLE);
  const entry = { name: 'example', version: '1.0.0', commitment: toHex(commitment) };
  const epoch = await EpochBuilder.create({
    ...options,
    configuration: { ...options.configuration, strategies: [{ ...entry, time_budget_ms: 100 }] },
    header: (header) => ({
      ...(options.header?.(header) ?? header),
      strategies: header.strategies.map((strategy) => ({
        ...strategy,
        bundleCommitment: commitment,
        parametersCommitment: nodeCrypto.sha256(SALT, PARAMETERS),
      })),
    }),
  });
  epoch.startStrategy();
  for (let count = 0; count < 3; count++) epoch.addInput();
  epoch.commit();
  return epoch;
}

/** `verify log` and `replay` of the same log. */
async function showLog(
  args: readonly string[],
  write: () => Promise<unknown>,
  prepare?: () => Promise<unknown>,
): Promise<readonly string[]> {
  await write();
  const key = ['--key', folder.path('key.pem')];
  const strategy = ['--strategy', folder.path('pack')];
  return [
    ...(await show('log', runVerifyLog, [folder.log, ...args, ...key], prepare)),
    ...(await show('replay', runReplay, [folder.log, ...args, ...key, ...strategy], prepare)),
  ];
}

beforeAll(async () => {
  folder = await newVerifier();
  trust = folder.trust();
  anyImage = ['--unsafe-any-image', '--unsafe-root', folder.path('root.pem')];
  const pack = folder.path('pack');
  await mkdir(pack);
  await writeFile(`${pack}/bundle.js`, BUNDLE);
  await writeFile(`${pack}/salt`, toHex(SALT));
  await writeFile(`${pack}/parameters.json`, PARAMETERS);
  await writeFile(`${pack}/parameters.salt`, toHex(SALT));
});

it('a log that is open, under no policy, and without a memory', async () => {
  const epoch = await epochOf();
  expect(await showLog([...anyImage, '--no-heads'], () => folder.write([epoch]))).toEqual([]);
  expect([...(printed.get('log') ?? [])]).toContain('any_image');
});

it('a log whose checkpoint is older than its notes, or that has no notes', async () => {
  const epoch = await epochOf();
  const older = view(epoch);
  epoch.addInput();
  epoch.commit();
  const tiles = [...filesOf(older)].filter(([path]) => path.includes('/tile/'));
  const rollBack = (files: FileMap): void => {
    changeFile(files, 1, 'checkpoint', () => older.checkpoint);
    for (const [path, bytes] of tiles) files.set(path, bytes);
  };
  expect(
    await showLog([...trust, '--no-heads'], () => folder.write([view(epoch)], rollBack)),
  ).toEqual([]);
  expect(
    await showLog([...trust, '--no-heads'], () =>
      folder.write([view(epoch)], (files) => {
        removeFiles(files, 1, 'commits/');
      }),
    ),
  ).toEqual([]);
});

it('a log whose earlier epochs are unclean, not there, or not linked to the remembered ones', async () => {
  const first = await epochOf();
  const second = await epochOf({ epoch: 2, previous: first.link() });
  expect(await showLog([...trust, '--no-heads'], () => folder.write([first, second]))).toEqual([]);
  const third = await epochOf({ epoch: 3, previous: second.link() });
  const heads = folder.path('risk-heads.json');
  expect(
    await showLog(
      [...trust, '--heads', heads],
      () => folder.write([first, third]),
      async () => {
        await rm(heads, { force: true });
        const { logKeyHash, size, root } = first.link();
        const memory = assertAccepted(await HeadMemory.load(heads));
        memory.remember({ origin: first.origin, logKeyHash, size, root }, 1);
        await memory.save();
      },
    ),
  ).toEqual([]);
});

it('a replay of a log that was not verified', async () => {
  await folder.write([await epochOf()]);
  const key = ['--key', folder.path('key.pem')];
  expect(
    await show('replay', runReplay, [folder.log, ...key, '--strategy', folder.path('pack')]),
  ).toEqual([]);
  expect([...(printed.get('replay') ?? [])]).toContain('unverified_log');
});

it('a proof of a signal, and of a report', async () => {
  const epoch = await epochOf();
  const output = epoch.addOutput(epoch.addInput());
  const report = epoch.addReport(output);
  epoch.commit();
  await folder.write([epoch]);
  for (const [index, options] of [
    [output, [...anyImage, '--no-heads']],
    [report, [...trust, '--heads', folder.path('proof-heads.json')]],
  ] as const) {
    const file = await folder.prove(index, '--key', folder.path('key.pem'));
    expect(await show('proof', runVerifyProof, [file, ...options])).toEqual([]);
  }
});

it('an evidence file of a time, of an order, and without a memory', async () => {
  const epoch = await epochOf();
  const output = epoch.addOutput(epoch.addInput());
  epoch.addReport(output);
  epoch.commit();
  await folder.write([epoch]);
  const order = clientOrderIdOf(leafHash(nodeCrypto, epoch.leaves[output] ?? utf8('')));
  const file = folder.path('evidence.zip');
  const key = ['--key', folder.path('key.pem'), '-o', file];
  const times = ['--from', '2020-01-01T00:00Z', '--to', '2100-01-01T00:00Z'];
  for (const [pull, options] of [
    [times, [...anyImage, '--no-heads']],
    [
      ['--order', order],
      [...trust, '--no-heads'],
    ],
    [
      ['--index', String(output)],
      [...trust, '--heads', folder.path('bundle-heads.json')],
    ],
  ] as const) {
    const pulled = await runCommand(runLogPull, folder.log, ...pull, ...key);
    expect(pulled.err).toBe('');
    expect(await show('bundle', runVerifyBundle, [file, ...options])).toEqual([]);
  }
});

it('a log whose secrets came from KMS', async () => {
  const arn = 'arn:aws:kms:eu-central-1:210987654321:key/12345678-1234-1234-1234-123456789012';
  const items = ['strategy', 'parameters'] as const;
  const epoch = await epochOf({
    configuration: {
      kms: { region: 'eu-central-1', host: 'kms.eu-central-1.amazonaws.com' },
      sealed: items.map((purpose) => ({ purpose, name: 'example', key_arn: arn })),
    },
    header: (header) => ({
      ...header,
      sealed: items.map((purpose) => ({
        purpose,
        name: 'example',
        version: 1,
        commitment: new Uint8Array(32),
        keyArn: arn,
      })),
    }),
  });
  expect(await showLog([...trust, '--no-heads'], () => folder.write([epoch]))).toEqual([]);
  const output = epoch.addOutput(epoch.addInput());
  epoch.commit();
  await folder.write([epoch]);
  const proof = await folder.prove(output, '--key', folder.path('key.pem'));
  expect(await show('proof', runVerifyProof, [proof, ...trust, '--no-heads'])).toEqual([]);
  const file = folder.path('sealed.zip');
  await runCommand(runLogPull, folder.log, '--index', String(output), '-o', file);
  expect(await show('bundle', runVerifyBundle, [file, ...trust, '--no-heads'])).toEqual([]);
  for (const verdict of ['log', 'replay', 'proof', 'bundle']) {
    expect([...(printed.get(verdict) ?? [])], verdict).toContain('aws_kms');
  }
});

it('an answer to a challenge', async () => {
  const host = await boot();
  const url = await serve(host);
  expect(await show('attest', runAttest, [url, ...anyImage])).toEqual([]);
  expect(
    await show('attest', runAttest, [url, ...trust, '--heads', folder.path('lp-heads.json')]),
  ).toEqual([]);
  await close(host);
});

it('a document', async () => {
  const host = await boot();
  const path = folder.path('boot.cbor');
  await writeFile(path, host.open(1));
  expect(await show('attestation', runVerifyAttestation, [path, ...anyImage])).toEqual([]);
  expect(
    await show('attestation', runVerifyAttestation, [path, ...trust, '--purpose', 'boot']),
  ).toEqual([]);
  await close(host);
});

it('a signed result, with and without the log', async () => {
  const { epoch, file } = await loggedResult();
  await folder.write([epoch]);
  const [path, boot] = [folder.path('result.json'), folder.path('result-boot.cbor')];
  await writeFile(path, JSON.stringify(file));
  const leaf = assertAccepted(parseLeaf(epoch.leaves[1] ?? new Uint8Array()));
  await writeFile(boot, assertAccepted(openLeaf(nodeCrypto, leaf, null, null)).plaintext);
  const args = [path, '--attestation', boot];
  expect(await show('result', runVerifyResult, [...args, ...anyImage])).toEqual([]);
  expect(await show('result', runVerifyResult, [...args, ...trust, '--log', folder.log])).toEqual(
    [],
  );
  expect([...(printed.get('result') ?? [])]).toContain('unlogged_result');
});

it('a track record', async () => {
  const builder = await RecordBuilder.create();
  builder.addHours([hour(0), hour(1)]);
  const path = folder.path('record.json');
  await writeFile(path, builder.file());
  expect(await show('record', runVerifyRecord, [path, ...anyImage])).toEqual([]);
  expect(await show('record', runVerifyRecord, [path, ...trust])).toEqual([]);
  const lost = { from: 2, to: 2 };
  builder.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: Date.UTC(2026, 0, 2) });
  await writeFile(path, builder.file());
  expect(await show('record', runVerifyRecord, [path, ...trust])).toEqual([]);
});

it('docs/THREAT-MODEL.md has each risk that is printed, where it is printed, and what to do about it', async () => {
  const remainders = await readRemainders();
  const said = remainders.flatMap(({ risk, printed: verdicts }) =>
    verdicts.map((verdict) => `${risk}: ${verdict}`),
  );
  const seen = Array.from(printed, ([verdict, risks]) =>
    Array.from(risks, (risk) => `${risk}: ${verdict}`),
  ).flat();
  expect(said.toSorted()).toEqual(seen.toSorted());
  for (const { risk, advice } of remainders) expect(advice.length, risk).toBeGreaterThan(20);
});

/** An epoch as it is now. */
function view({
  notes,
  leaves,
  tree,
  blobs,
  header,
  checkpoint,
}: EpochBuilder): Parameters<typeof filesOf>[0] {
  return { notes: [...notes], leaves: [...leaves], tree, blobs, header, checkpoint };
}
