// The verifier over objects: a simulated S3 through its own HTTP, and a folder of the same layout.

import { readFile, rm } from 'node:fs/promises';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run as runLogList } from '../../../verifier/commands/log-list.ts';
import { run as runLogProve } from '../../../verifier/commands/log-prove.ts';
import { run as runLogPull } from '../../../verifier/commands/log-pull.ts';
import { run as runVerifyBundle } from '../../../verifier/commands/verify-bundle.ts';
import { run as runVerifyLog } from '../../../verifier/commands/verify-log.ts';
import type { BundleVerdict } from '../../../verifier/evidence/bundle-verdict.ts';
import type { LogVerdict } from '../../../verifier/log/verdict.ts';
import { FolderStore } from '../../../wire/node/objects/folder.ts';
import { clientOrderIdOf } from '../../../wire/payloads.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { encodeSuperseded } from '../../../wire/superseded.ts';
import { encodeNote } from '../../../wire/tlog/note.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import { closeKey } from '../../../wire/host-keys.ts';
import { entriesKey, tileKey } from '../../../wire/tile-keys.ts';
import { EpochBuilder } from '../../helpers/epoch-builder.ts';
import type { ObjectsOptions } from '../../helpers/epoch-objects.ts';
import { objectsOf } from '../../helpers/epoch-objects.ts';
import type { TestS3 } from '../../wire/node/objects/s3-server.ts';
import { ALICE, BUCKET, startTestS3 } from '../../wire/node/objects/s3-server.ts';
import { LogFolder, runCommand } from './log-folder.ts';

const DAY_MS = 24 * 3600 * 1000;
let folder: LogFolder;
let s3: TestS3;
let epoch: EpochBuilder;
let output = 0;

beforeAll(async () => {
  folder = await LogFolder.create();
  s3 = await startTestS3();
  process.env['AWS_ACCESS_KEY_ID'] = ALICE.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = ALICE.secretAccessKey;
  epoch = await EpochBuilder.create({ startMs: Date.now() });
  epoch.startStrategy();
  for (let at = 0; at < 300; at++) {
    epoch.addInput();
    if (at % 40 === 0) epoch.commit();
  }
  output = epoch.addOutput(epoch.size - 1);
  epoch.addReport(output);
  for (let at = 0; at < 300; at++) {
    epoch.addInput();
    if (at % 40 === 0) epoch.commit();
  }
  epoch.addClose();
  epoch.commit();
});

afterAll(async () => {
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await s3.close();
  await folder.remove();
});

let prefixes = 0;

interface Bucketed {
  readonly address: string;
  readonly key: (name: string) => string;
}

/** Puts the objects under a prefix of their own, locked for 30 days but for what `change` says. */
async function bucketOf(
  objects: ReadonlyMap<string, Uint8Array>,
  change: (key: string) => Partial<PutObjectCommandInput> | null = () => ({}),
): Promise<Bucketed> {
  const prefix = `source/${prefixes++}`;
  const retention = {
    ObjectLockMode: 'COMPLIANCE',
    ObjectLockRetainUntilDate: new Date(Date.now() + 30 * DAY_MS),
  } as const;
  for (const [name, bytes] of objects) {
    const changed = change(name);
    await s3.client.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: `${prefix}/${name}`,
        Body: bytes,
        ChecksumAlgorithm: 'SHA256',
        ...(changed === null ? {} : { ...retention, ...changed }),
      }),
    );
  }
  return { address: `s3://${BUCKET}/${prefix}`, key: (name) => `${prefix}/${name}` };
}

function where(): readonly string[] {
  return ['--endpoint', s3.s3.url, '--region', s3.s3.region];
}

async function verify(address: string, ...args: readonly string[]): Promise<LogVerdict> {
  const outcome = await runCommand(
    runVerifyLog,
    address,
    ...folder.trust(),
    '--no-heads',
    ...args,
    '--json',
  );
  return JSON.parse(outcome.out) as LogVerdict;
}

const FULL: ObjectsOptions = { closed: true };

describe('a log in a bucket', () => {
  it('verifies like the folder of a host', async () => {
    await folder.write([epoch]);
    const plain = await verify(folder.log);
    const { address } = await bucketOf(objectsOf(epoch, FULL));
    const verdict = await verify(address, ...where());
    expect(verdict).toMatchObject({
      verdict: 'verified',
      size: plain.size,
      root: plain.root,
      counts: plain.counts,
      end: 'clean',
      commits: { checked: true, notes: epoch.notes.length, covered_size: epoch.size },
      storage: { store: address, findings: [] },
    });
    expect(plain.storage).toBeNull();
    expect(verdict.storage?.locked).toBe(verdict.storage?.objects);
    const byEpoch = await verify(`${address}/epochs/0000000001`, ...where());
    expect(byEpoch.verdict).toBe('verified');
    const shown = await runCommand(
      runVerifyLog,
      address,
      ...folder.trust(),
      '--no-heads',
      ...where(),
    );
    expect(shown.out).toMatch(/store +s3:.* objects locked \(COMPLIANCE\)/u);
  });

  it.each<[string, ObjectsOptions]>([
    ['with every full bundle', { closed: false }],
    ['with a shipper that is a bundle behind', { closed: false, bundles: 1 }],
    ['with nothing but commits', { closed: false, bundles: 0 }],
    ['in a single group', { closed: false, bundles: 0, notesPerGroup: 1000 }],
    ['with a group for each commit', { closed: false, notesPerGroup: 1 }],
  ])('that still runs verifies up to its last commit, %s', async (_, options) => {
    const { address } = await bucketOf(objectsOf(epoch, options));
    expect(await verify(address, ...where())).toMatchObject({
      verdict: 'verified',
      size: epoch.size,
      commits: { notes: epoch.notes.length, covered_size: epoch.size },
    });
  });

  it('is listed, proved and pulled from there', async () => {
    const { address } = await bucketOf(objectsOf(epoch, { closed: false, bundles: 1 }));
    const list = await runCommand(runLogList, address, ...where(), '--kind', 'output', '--json');
    expect(JSON.parse(list.out)).toMatchObject({ index: output, kind: 'output' });
    const proof = folder.path('s3.tlog-proof');
    const proved = await runCommand(
      runLogProve,
      address,
      ...where(),
      '--index',
      String(output),
      '-o',
      proof,
    );
    expect(proved.exit).toBe(0);
    const { verdict } = await folder.verifyProof(proof, ...folder.trust());
    expect(verdict.verdict).toBe('verified');
    const hash = leafHash(nodeCrypto, epoch.leaves[output] ?? new Uint8Array());
    const file = folder.path('s3.zip');
    const before = total(s3);
    const pulled = await runCommand(
      runLogPull,
      address,
      ...where(),
      '--order',
      clientOrderIdOf(hash),
      '--key',
      folder.path('key.pem'),
      '-o',
      file,
    );
    expect(pulled.err).toBe('');
    // Not the whole log: index, a few tiles and bundles, the last commits.
    expect(total(s3) - before).toBeLessThan(120);
    const checked = await runCommand(
      runVerifyBundle,
      file,
      ...folder.trust(),
      '--no-heads',
      '--json',
    );
    const bundle = JSON.parse(checked.out) as BundleVerdict;
    expect(bundle).toMatchObject({
      verdict: 'verified',
      counts: { disclosed: 2 },
      unproven_versions: { store: address, findings: [] },
    });
    expect(bundle.unproven_versions?.locked).toBe(bundle.unproven_versions?.objects);
  });

  it('makes the same evidence as the folder but for what the store says', async () => {
    await folder.write([epoch]);
    const { address } = await bucketOf(objectsOf(epoch, FULL));
    const [one, two] = [folder.path('one.zip'), folder.path('two.zip')];
    const args = ['--index', String(output), '-o'];
    await runCommand(runLogPull, folder.log, ...args, one);
    await runCommand(runLogPull, address, ...where(), ...args, two);
    const bundles = await Promise.all(
      [one, two].map((file) =>
        runCommand(runVerifyBundle, file, ...folder.trust(), '--no-heads', '--json'),
      ),
    );
    const [plain, stored] = bundles.map(({ out }) => JSON.parse(out) as BundleVerdict);
    expect({ ...stored, source: '', unproven_versions: null }).toEqual({ ...plain, source: '' });
    expect(Buffer.compare(await readFile(one), await readFile(two))).not.toBe(0);
  });
});

function total({ s3: { counts } }: TestS3): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

describe('a bucket that somebody has been at', () => {
  it('gives the oldest version, and says that there is another', async () => {
    const objects = objectsOf(epoch, FULL);
    const { address, key } = await bucketOf(objects);
    const changed = entriesKey(1, 0, 256);
    await s3.client.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: key(changed),
        Body: 'something else',
        ChecksumAlgorithm: 'SHA256',
      }),
    );
    const hidden = tileKey(1, 0, 1, 256);
    await s3.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key(hidden) }));
    const verdict = await verify(address, ...where());
    expect(verdict).toMatchObject({ verdict: 'verified', size: epoch.size });
    expect(verdict.storage?.findings.map(({ problem, key: name }) => [problem, name])).toEqual([
      ['other_version', changed],
      ['delete_marker', hidden],
    ]);
    const shown = await runCommand(
      runVerifyLog,
      address,
      ...folder.trust(),
      '--no-heads',
      ...where(),
    );
    expect(shown.out).toContain(`FINDING       other_version ${changed}`);
    const file = folder.path('findings.zip');
    const pulled = await runCommand(runLogPull, address, ...where(), '--index', '5', '-o', file);
    expect(pulled.out).toContain('FINDINGS: 1');
  });

  it('is told by the locks that are missing, short, or can be taken away', async () => {
    const objects = objectsOf(epoch, FULL);
    const locks: Readonly<Record<string, Partial<PutObjectCommandInput> | null>> = {
      [entriesKey(1, 0, 256)]: null,
      [entriesKey(1, 1, 256)]: { ObjectLockMode: 'GOVERNANCE' },
    };
    const { address } = await bucketOf(objects, (name) =>
      name in locks ? (locks[name] ?? null) : {},
    );
    const { storage } = await verify(address, ...where());
    expect(storage?.findings.map(({ problem, key }) => [problem, key])).toEqual([
      ['lock_missing', entriesKey(1, 0, 256)],
      ['lock_governance', entriesKey(1, 1, 256)],
    ]);
  });

  it('is refused when an older lie was there first', async () => {
    const objects = objectsOf(epoch, FULL);
    const name = entriesKey(1, 0, 256);
    const honest = objects.get(name) ?? new Uint8Array();
    objects.set(name, honest.with(50, (honest[50] ?? 0) ^ 1));
    const { address, key } = await bucketOf(objects);
    await s3.client.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: key(name),
        Body: honest,
        ChecksumAlgorithm: 'SHA256',
      }),
    );
    expect(await verify(address, ...where())).toMatchObject({
      verdict: 'refused',
      code: 'tile_mismatch',
    });
  });

  it('is refused with a hole in its commits, and with one that contradicts the tree', async () => {
    const hole = objectsOf(epoch, FULL);
    hole.delete(commitsKey(1, 2));
    expect((await verify((await bucketOf(hole)).address, ...where())).code).toBe('commit_mismatch');
    const other = await EpochBuilder.create();
    other.addInput();
    other.commit();
    const foreign = objectsOf(epoch, FULL);
    foreign.set(commitsKey(1, 2), objectsOf(other, FULL).get(commitsKey(1, 1)) ?? new Uint8Array());
    expect((await verify((await bucketOf(foreign)).address, ...where())).code).toBe(
      'commit_mismatch',
    );
    const rubbish = objectsOf(epoch, FULL);
    rubbish.set(commitsKey(1, 2), new Uint8Array(9));
    expect((await verify((await bucketOf(rubbish)).address, ...where())).code).toBe(
      'commit_mismatch',
    );
  });

  it('without a claim has no epoch to look at', async () => {
    const objects = objectsOf(epoch, { closed: false });
    objects.delete(claimKey(1));
    const verdict = await verify((await bucketOf(objects)).address, ...where());
    expect([verdict.verdict, verdict.code]).toEqual(['undecided', 'file_unreadable']);
  });

  it('cannot be read without credentials, bucket or region, and says why', async () => {
    for (const [code, ...args] of [
      ['source_unreachable', `s3://${BUCKET}-other/x`, ...where()],
      ['usage_invalid', `s3://${BUCKET}/x`, '--endpoint', s3.s3.url],
      ['usage_invalid', `s3://${BUCKET}/x`, '--region', 'nowhere'],
      ['usage_invalid', `s3://${BUCKET}/../x`, ...where()],
      ['usage_invalid', 's3://B/x', ...where()],
      [
        'usage_invalid',
        `s3://${BUCKET}/x`,
        '--region',
        s3.s3.region,
        '--endpoint',
        'http://example.com',
      ],
    ] as const) {
      const verdict = await verify(...(args as [string, ...string[]]));
      expect([verdict.verdict, verdict.code]).toEqual(['undecided', code]);
    }
  });
});

function superseded(open: EpochBuilder, number: number, change: object = {}): Uint8Array {
  const text = encodeSuperseded({
    origin: open.origin,
    number,
    size: open.size,
    root: open.tree.root(),
    successor: open.origin.replace('e0000000001', 'e0000000002'),
    ...change,
  });
  // Of a key that nobody here knows.
  return encodeNote(text, 'trackseal.test/log/e0000000002', new Uint8Array(4), new Uint8Array(70));
}

describe('an epoch that another one has taken over', () => {
  it('says by whom, and is refused when the object does not fit its place', async () => {
    const open = await EpochBuilder.create();
    for (let at = 0; at < 9; at++) {
      open.addInput();
      open.commit();
    }
    const objects = objectsOf(open, { closed: false });
    const number = [...objects.keys()].filter((key) => key.includes('/commits/')).length + 1;
    const code = async (bytes: Uint8Array, at = number): Promise<unknown> => {
      const changed = new Map(objects).set(commitsKey(1, at), bytes);
      const verdict = await verify((await bucketOf(changed)).address, ...where());
      return verdict.code ?? verdict.commits?.superseded_by;
    };
    expect(await code(superseded(open, number))).toBe('trackseal.test/log/e0000000002');
    expect(await code(superseded(open, number + 1))).toBe('commit_mismatch');
    expect(await code(superseded(open, number, { size: open.size - 1 }))).toBe('commit_mismatch');
    expect(await code(superseded(open, number, { root: new Uint8Array(32) }))).toBe(
      'commit_mismatch',
    );
    expect(await code(superseded(open, number, { origin: 'other/e0000000001' }))).toBe(
      'commit_mismatch',
    );
    const earlier = { size: open.size - 1, root: open.tree.root(open.size - 1) };
    expect(await code(superseded(open, number, earlier))).toBe('commit_mismatch');
    // Not the last one: somebody went on.
    expect(await code(superseded(open, number - 1), number - 1)).not.toBe(
      'trackseal.test/log/e0000000002',
    );
    expect(objects.has(closeKey(1))).toBe(false);
  });
});

it('a folder in the layout of a bucket is read like one', async () => {
  const directory = folder.path('objects');
  const store = new FolderStore(directory);
  for (const [key, bytes] of objectsOf(epoch, { closed: false })) {
    await store.putOnce(key, bytes, { retainUntil: null });
  }
  expect(await verify(directory)).toMatchObject({
    verdict: 'verified',
    size: epoch.size,
    storage: { locked: 0, findings: [] },
  });
  await rm(directory, { recursive: true });
});
