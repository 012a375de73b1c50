import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run as runLogPull } from '../../../verifier/commands/log-pull.ts';
import { run as runVerifyBundle } from '../../../verifier/commands/verify-bundle.ts';
import type { BundleVerdict } from '../../../verifier/evidence/bundle-verdict.ts';
import type { Manifest } from '../../../verifier/evidence/manifest.ts';
import { PART, isPartName, leafPart, proofPart } from '../../../verifier/evidence/manifest.ts';
import { readZip, writeZip } from '../../../verifier/evidence/zip.ts';
import { HeadMemory } from '../../../verifier/heads.ts';
import { isoOfNs } from '../../../verifier/log/payload.ts';
import { concatBytes, toBase64, toHex, utf8 } from '../../../wire/bytes.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import { unwrapDisclosureKey } from '../../../wire/open-disclosure.ts';
import { KIND, leafKey } from '../../../wire/leaf.ts';
import { encodeBundleIndex } from '../../../wire/log-index.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { clientOrderIdOf } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { EpochBuilder, complianceKeys } from '../../helpers/epoch-builder.ts';
import { LogFolder, forgeSignature, runCommand } from '../log/log-folder.ts';
import type { FileMap } from '../log/log-folder.ts';

const execute = promisify(execFile);
type Parts = Map<string, Uint8Array>;

let folder: LogFolder;
let epoch: EpochBuilder;
const outputs: number[] = [];
const reports = new Map<number, readonly number[]>();

beforeAll(async () => {
  folder = await LogFolder.create();
  epoch = await EpochBuilder.create();
  epoch.startStrategy();
  // Over two bundles, a trade every fifty inputs, with two reports a while later.
  for (let round = 0; round < 12; round++) {
    for (let at = 0; at < 50; at++) epoch.addInput();
    const output = epoch.addOutput(epoch.size - 1);
    outputs.push(output);
    const first = epoch.addReport(output, { status: 1, filledQuantity: 0, fills: [] });
    for (let at = 0; at < 5; at++) epoch.addInput();
    reports.set(output, [first, epoch.addReport(output)]);
  }
  await epoch.addAnchor();
  epoch.addClose();
  epoch.commit();
  await folder.write([epoch]);
});

afterAll(() => folder.remove());

function timeOf(index: number): bigint {
  // The builder's clock: a millisecond for each leaf.
  return epoch.nowNs - BigInt(epoch.size - index) * 1_000_000n;
}

function iso(index: number): string {
  return isoOfNs(timeOf(index));
}

function orderOf(output: number): string {
  return clientOrderIdOf(leafHash(nodeCrypto, epoch.leaves[output] ?? new Uint8Array()));
}

let pulls = 0;

/** Answers the path of the file. */
async function pull(...args: readonly string[]): Promise<string> {
  const file = folder.path(`evidence-${pulls++}.zip`);
  const outcome = await runCommand(runLogPull, folder.log, ...args, '-o', file);
  expect(outcome.err).toBe('');
  expect(outcome.exit).toBe(0);
  return file;
}

function withKey(): readonly string[] {
  return ['--key', folder.path('key.pem')];
}

async function verify(file: string, ...args: readonly string[]): Promise<BundleVerdict> {
  const outcome = await runCommand(
    runVerifyBundle,
    file,
    ...folder.trust(),
    '--no-heads',
    '--json',
    ...args,
  );
  const verdict = JSON.parse(outcome.out) as BundleVerdict;
  expect(outcome.exit).toBe({ verified: 0, refused: 1, undecided: 2 }[verdict.verdict]);
  return verdict;
}

async function partsOf(file: string): Promise<Parts> {
  return new Map(assertAccepted(readZip(new Uint8Array(await readFile(file)), isPartName)));
}

function manifestOf(parts: Parts): Manifest {
  return JSON.parse(Buffer.from(parts.get(PART.manifest) ?? []).toString('utf8')) as Manifest;
}

/** Packs changed parts with a manifest that fits them, as a careful forger would. */
async function repack(parts: Parts, change: Partial<Manifest> = {}): Promise<string> {
  const { files: _, ...manifest } = { ...manifestOf(parts), ...change };
  const others = [...parts].filter(([name]) => name !== PART.manifest);
  const files = Object.fromEntries(
    others
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, bytes]) => [name, toHex(nodeCrypto.sha256(bytes))]),
  );
  const file = folder.path('forged.zip');
  const whole = new Map(others).set(PART.manifest, canonicalJson({ ...manifest, files }));
  await writeFile(file, writeZip(whole));
  return file;
}

async function codeOf(file: string): Promise<string> {
  const { code, verdict } = await verify(file);
  return code ?? verdict;
}

async function rangeBetween(from: bigint, to: bigint): Promise<unknown> {
  const file = await pull('--from', isoOfNs(from), '--to', isoOfNs(to));
  return (await verify(file)).range;
}

describe('log pull', () => {
  it('takes a range of time, and the file proves that nothing of it is missing', async () => {
    const [from, to] = [iso(100), iso(300)];
    const file = await pull('--from', from, '--to', to, ...withKey(), '--reason', 'audit 17');
    const inside = outputs.filter((output) => output >= 100 && output <= 300);
    const verdict = await verify(file);
    expect(verdict).toMatchObject({
      verdict: 'verified',
      origin: epoch.origin,
      size: epoch.size,
      reason: 'audit 17',
      range: { first: 100, last: 300 },
      counts: { shown: 201, closed: 0, withheld: 0, kinds: { output: inside.length } },
      redactions: [],
      time: { before_ns: String(timeOf(99)), after_ns: String(timeOf(301)), end: 'later_leaf' },
      unproven_versions: null,
      unsafe: ['--unsafe-root'],
    });
    const shown = await runCommand(runVerifyBundle, file, ...folder.trust(), '--no-heads');
    expect(shown.out).toContain('every leaf of that time is shown or withheld');
    expect(shown.out).toContain('audit 17 (not proven)');
    expect(shown.out).toContain('the operator could still');
  });

  it('takes times between two leaves, down to the nanosecond', async () => {
    const [first, last] = [timeOf(255), timeOf(257)];
    expect(await rangeBetween(first, last)).toEqual({ first: 255, last: 257 });
    expect(await rangeBetween(first + 1n, last - 1n)).toEqual({ first: 256, last: 256 });
    expect(await rangeBetween(first - 1n, last + 1n)).toEqual({ first: 255, last: 257 });
  });

  it('says so when the range begins or ends with the epoch', async () => {
    const all = await verify(await pull('--from', iso(0), '--to', iso(epoch.size), ...withKey()));
    expect(all).toMatchObject({
      verdict: 'verified',
      range: { first: 0, last: epoch.size - 1 },
      time: { before_ns: null, after_ns: null, end: 'close' },
      // The seed of the strategy is in the range, and stays closed.
      counts: { closed: 1, disclosed: 3 * outputs.length },
    });
    const open = await EpochBuilder.create();
    for (let at = 0; at < 5; at++) open.addInput();
    open.commit();
    await folder.write([open]);
    const head = await verify(
      await pull('--from', '2026-08-31T00:00Z', '--to', '2027-01-01T00:00Z'),
    );
    expect(head.time).toEqual({ before_ns: null, after_ns: null, end: 'head' });
    await folder.write([epoch]);
  });

  it('takes one order with its reports, and withholds what lies between', async () => {
    const [output = 0] = outputs.slice(4);
    const about = reports.get(output) ?? [];
    const file = await pull('--order', orderOf(output), ...withKey());
    const last = about.at(-1) ?? 0;
    expect(await verify(file)).toMatchObject({
      verdict: 'verified',
      selection: { by: 'order', order: orderOf(output) },
      range: { first: output, last },
      counts: { shown: 3, disclosed: 3, withheld: last - output - 2 },
      redactions: [{ first: output + 2, last: last - 1, why: 'other' }],
      proofs: 3,
      time: null,
    });
    const csv = Buffer.from((await partsOf(file)).get(PART.csv) ?? []).toString('utf8');
    // Of the report, with the scales of the signal that it is about.
    expect(csv).toContain(`${orderOf(output)},binance,BTCUSDT`);
    expect(csv).toContain('filled,,0.01000,0,60000.00,0.01000,0.00000001');
  });

  it('takes one leaf, whatever its kind', async () => {
    for (const index of [0, 1, 2, 3, 256, epoch.size - 1]) {
      const verdict = await verify(await pull('--index', String(index), ...withKey()));
      expect(verdict).toMatchObject({ verdict: 'verified', counts: { shown: 1, closed: 0 } });
      expect(verdict.proofs).toBe(1);
    }
  });

  it('leaves private leaves closed without the key', async () => {
    const [output = 0] = outputs;
    const file = await pull('--order', orderOf(output));
    expect(await verify(file)).toMatchObject({
      verdict: 'verified',
      counts: { closed: 3, disclosed: 0 },
    });
  });

  it('withholds kinds, and proves their places all the same', async () => {
    const file = await pull(
      '--from',
      iso(100),
      '--to',
      iso(300),
      '--withhold',
      'input',
      ...withKey(),
    );
    const verdict = await verify(file);
    expect(verdict.counts).toMatchObject({ withheld: 201 - (verdict.counts?.shown ?? 0) });
    expect(verdict.counts?.kinds).not.toHaveProperty('input');
    const parts = await partsOf(file);
    const withheld = Buffer.from(parts.get(PART.withheld) ?? []).toString('utf8');
    expect(withheld.split('\r\n')).toHaveLength((verdict.counts?.withheld ?? 0) + 2);
    expect(withheld).toContain(
      `100,${toHex(leafHash(nodeCrypto, epoch.leaves[100] ?? utf8('')))},kind`,
    );
    // The leaf before the range, not the withheld ones.
    expect(parts.has(leafPart(99))).toBe(true);
    expect(parts.has(leafPart(100))).toBe(false);
  });

  it('makes the same file of the same log', async () => {
    const args = ['--from', iso(10), '--to', iso(400), ...withKey()];
    const [one, two] = [await pull(...args), await pull(...args)];
    expect(Buffer.compare(await readFile(one), await readFile(two))).toBe(0);
  });

  it('finds an order by the index, and without it, and when it lies', async () => {
    const [output = 0] = outputs.slice(7);
    const indexed = (lie: (json: string) => string) => (files: FileMap) => {
      for (let first = 0; first < epoch.size; first += 256) {
        const leaves = epoch.leaves.slice(first, first + 256);
        const { day, bytes } = assertAccepted(encodeBundleIndex(nodeCrypto, 1, first, leaves));
        const name = `0000000001-${String(first).padStart(20, '0')}.json`;
        const json = lie(Buffer.from(bytes).toString('utf8'));
        files.set(`index/${day.replaceAll('-', '/')}/${name}`, utf8(json));
      }
    };
    const plain = await pull('--order', orderOf(output), ...withKey());
    await folder.write(
      [epoch],
      indexed((json) => json),
    );
    const fast = await pull('--order', orderOf(output), ...withKey());
    expect(Buffer.compare(await readFile(plain), await readFile(fast))).toBe(0);
    // Points to another leaf: its hash says that it is not that order.
    await folder.write(
      [epoch],
      indexed((json) => json.replaceAll(/"leaf":\d+/gu, '"leaf":5')),
    );
    const lied = await pull('--order', orderOf(output), ...withKey());
    expect(Buffer.compare(await readFile(plain), await readFile(lied))).toBe(0);
    await folder.write(
      [epoch],
      indexed(() => 'nothing'),
    );
    const broken = await pull('--order', orderOf(output), ...withKey());
    expect(Buffer.compare(await readFile(plain), await readFile(broken))).toBe(0);
    await folder.write([epoch]);
  });

  it('takes blobs along where their leaves can be read', async () => {
    const large = await EpochBuilder.create();
    large.startStrategy();
    const cause = large.addOutput(large.addInput());
    large.add({ kind: KIND.gap, stream: 1 }, new Uint8Array(60_500));
    const index = large.add({ kind: KIND.seed, stream: 1000 }, new Uint8Array(60_000), true);
    large.commit();
    await folder.write([large]);
    const closed = await partsOf(await pull('--index', String(index)));
    expect([...closed.keys()].some((name) => name.startsWith('blobs/'))).toBe(false);
    const open = await partsOf(await pull('--index', String(index), ...withKey()));
    expect([...open.keys()].filter((name) => name.startsWith('blobs/'))).toHaveLength(1);
    expect(await codeOf(await repack(open))).toBe('verified');
    const blob = [...open.keys()].find((name) => name.startsWith('blobs/')) ?? '';
    open.delete(blob);
    expect(await codeOf(await repack(open))).toBe('blob_missing');
    expect(cause).toBeGreaterThan(0);
    await folder.write([epoch]);
  });

  it('refuses what it cannot take', async () => {
    const key = withKey();
    for (const [code, ...args] of [
      ['usage_invalid'],
      ['usage_invalid', '--index', '1', '--order', orderOf(outputs[0] ?? 0)],
      ['usage_invalid', '--from', iso(1)],
      ['usage_invalid', '--from', iso(9), '--to', iso(1)],
      ['usage_invalid', '--from', '2026-02-30T00:00:00Z', '--to', iso(9)],
      ['usage_invalid', '--from', '2020-01-01T00:00Z', '--to', '2020-01-02T00:00Z'],
      ['usage_invalid', '--order', 'ts0123'],
      ['usage_invalid', '--order', 'ts0123456789abcdef'],
      ['usage_invalid', '--index', String(epoch.size)],
      ['usage_invalid', '--index', '1', '--withhold', 'input'],
      ['usage_invalid', '--from', iso(1), '--to', iso(9), '--withhold', 'nothing'],
      ['usage_invalid', '--index', '1', '--reason', 'tab\there'],
      ['usage_invalid', '--index', '1', '--reason', 'x'.repeat(501)],
    ] as const) {
      const { exit, err } = await runCommand(
        runLogPull,
        folder.log,
        ...args,
        ...key,
        '-o',
        folder.path('no.zip'),
      );
      expect([exit, err.split(/[ :]+/u)[1], ...args]).toEqual([2, code, ...args]);
    }
  });

  it('refuses a damaged copy instead of making evidence that fails elsewhere', async () => {
    const damage = async (path: string, code: string): Promise<void> => {
      await folder.write([epoch], (files) => {
        const whole = `epochs/0000000001/${path}`;
        const bytes = files.get(whole) ?? utf8('');
        files.set(whole, bytes.with(50, (bytes[50] ?? 0) ^ 1));
      });
      const { exit, err } = await runCommand(
        runLogPull,
        folder.log,
        '--index',
        '256',
        '-o',
        folder.path('no.zip'),
      );
      expect([path, exit, err.split(/[ :]+/u)[1]]).toEqual([path, 1, code]);
    };
    await damage('tile/entries/001', 'tile_mismatch');
    await damage('tile/0/001', 'tile_mismatch');
    await damage('tile/1/000.p/2', 'root_mismatch');
    await folder.write([epoch]);
  });
});

/** Every way in which the bytes could be written into a file. */
function spellings(secret: Uint8Array): readonly Buffer[] {
  const raw = Buffer.from(secret);
  const texts = [
    toHex(secret),
    toHex(secret).toUpperCase(),
    toBase64(secret),
    raw.toString('base64url'),
  ];
  return [raw, ...texts.map((text) => Buffer.from(text.replace(/=+$/u, '')))];
}

describe('disclosure', () => {
  it('gives away the keys of the leaves that are disclosed, and no other secret', async () => {
    const { origin, wrappedDisclosureKey } = epoch.header;
    const keys = complianceKeys();
    const disclosureKey = assertAccepted(
      unwrapDisclosureKey(nodeCrypto, wrappedDisclosureKey, keys, origin),
    );
    const file = await pull('--from', iso(100), '--to', iso(300), ...withKey());
    const parts = await partsOf(file);
    const disclosed = new Set(manifestOf(parts).disclosed);
    expect(disclosed.size).toBeGreaterThan(5);
    // Base64 in the extra line of a proof hides bytes from a search: look inside, too.
    const content = Buffer.concat(
      Array.from(parts, ([name, bytes]) => {
        const extra = name.startsWith('proofs/')
          ? /^extra (.*)$/mu.exec(Buffer.from(bytes).toString('latin1'))?.[1]
          : undefined;
        return Buffer.concat([bytes, Buffer.from(extra ?? '', 'base64')]);
      }),
    );
    const holds = (secret: Uint8Array): boolean =>
      spellings(secret).some((spelling) => content.indexOf(spelling) !== -1);
    for (let index = 0; index < epoch.size; index++) {
      const key = leafKey(nodeCrypto, disclosureKey, origin, index);
      expect(holds(key), `key of leaf ${index}`).toBe(disclosed.has(index));
    }
    expect(holds(disclosureKey)).toBe(false);
    expect(holds(keys.privateKey)).toBe(false);
    // The search would find it.
    expect(holds(epoch.header.logKey)).toBe(true);
  });

  it('does not open any other leaf with the keys that it gives away', async () => {
    const [output = 0, next = 0] = outputs;
    const parts = await partsOf(await pull('--order', orderOf(output), ...withKey()));
    const other = await partsOf(await pull('--order', orderOf(next)));
    const key = JSON.parse(Buffer.from(parts.get(PART.keys) ?? []).toString('utf8')) as Record<
      string,
      string
    >;
    other.set(PART.keys, canonicalJson({ [`leaf ${next}`]: key[`leaf ${output}`] }));
    expect(await codeOf(await repack(other, { disclosed: [next] }))).toBe('leaf_key_wrong');
  });
});

describe('verify bundle', () => {
  it('refuses a change to any part, with a manifest that fits the change', async () => {
    const [output = 0] = outputs.slice(3);
    const file = await pull('--order', orderOf(output), ...withKey());
    const parts = await partsOf(file);
    const codes = new Map<string, string>();
    for (const [name, bytes] of parts) {
      if (name === PART.manifest) continue;
      for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
        const changed = new Map(parts).set(name, bytes.with(at, (bytes[at] ?? 0) ^ 1));
        const code = await codeOf(await repack(changed));
        codes.set(`${name} ${at}`, code);
      }
    }
    const accepted = [...codes].filter(([, code]) => code === 'verified' || code === 'undecided');
    expect(accepted).toEqual([]);
    expect(new Set(codes.values()).size).toBeGreaterThan(5);
  });

  it('refuses a part that is missing, and one that nothing looks at', async () => {
    const [output = 0] = outputs.slice(3);
    const file = await pull('--order', orderOf(output), ...withKey());
    const parts = await partsOf(file);
    for (const name of parts.keys()) {
      if (name === PART.manifest) continue;
      const fewer = new Map(parts);
      fewer.delete(name);
      expect(await codeOf(await repack(fewer)), name).not.toBe('verified');
    }
    for (const [name, code] of [
      [leafPart(9), 'bundle_parts'],
      [proofPart(output + 3), 'bundle_parts'],
      [`blobs/${'ab'.repeat(32)}`, 'bundle_parts'],
      ['tile/0/000.p/7', 'bundle_parts'],
    ] as const) {
      const more = new Map(parts).set(name, utf8('more'));
      expect(await codeOf(await repack(more)), name).toBe(code);
    }
    await writeFile(
      folder.path('unlisted.zip'),
      writeZip(new Map(parts).set(leafPart(9), utf8('x'))),
    );
    expect(await codeOf(folder.path('unlisted.zip'))).toBe('bundle_parts');
  });

  it('refuses a manifest that says something else', async () => {
    const file = await pull('--from', iso(100), '--to', iso(140), ...withKey());
    const parts = await partsOf(file);
    const manifest = manifestOf(parts);
    const [disclosed = 0] = manifest.disclosed;
    const cases: readonly (readonly [string, string, Partial<Manifest>])[] = [
      ['origin', 'bundle_contradiction', { origin: 'other/e0000000001' }],
      ['epoch', 'bundle_contradiction', { epoch: 2 }],
      ['root', 'bundle_contradiction', { root: 'ab'.repeat(32) }],
      ['size', 'bundle_contradiction', { size: epoch.size + 1 }],
      ['a shorter range', 'bundle_manifest', { range: { first: 101, last: 140 } }],
      [
        'a shorter range, with other neighbours',
        'bundle_contradiction',
        { range: { first: 101, last: 140 }, boundary: { before: 100, after: 141 } },
      ],
      [
        'a longer range',
        'bundle_incomplete',
        { range: { first: 100, last: 141 }, boundary: { before: 99, after: 142 } },
      ],
      ['no neighbours', 'bundle_manifest', { boundary: { before: null, after: null } }],
      [
        'a longer time',
        'bundle_contradiction',
        { selection: { by: 'time', from_ns: String(timeOf(99)), to_ns: String(timeOf(140)) } },
      ],
      [
        'a shorter time',
        'bundle_contradiction',
        { selection: { by: 'time', from_ns: String(timeOf(101)), to_ns: String(timeOf(140)) } },
      ],
      ['another selection', 'bundle_manifest', { selection: { by: 'index', index: 120 } }],
      ['fewer disclosed', 'bundle_contradiction', { disclosed: [] }],
      [
        'a leaf withheld that is there',
        'bundle_contradiction',
        { redactions: [{ first: 100, last: 100, why: 'kind' }] },
      ],
      [
        'a disclosed one withheld',
        'bundle_manifest',
        { redactions: [{ first: disclosed, last: disclosed, why: 'kind' }] },
      ],
      [
        'redactions that overlap',
        'bundle_manifest',
        {
          redactions: [
            { first: 100, last: 102, why: 'kind' },
            { first: 102, last: 103, why: 'kind' },
          ],
        },
      ],
    ];
    for (const [what, code, change] of cases) {
      expect(`${what}: ${await codeOf(await repack(parts, change))}`).toBe(`${what}: ${code}`);
    }
    expect(await codeOf(await repack(parts))).toBe('verified');
  });

  it('refuses a time that skips leaves at its edge', async () => {
    // Leaves 100 to 140 as evidence of the time up to leaf 145: the neighbour gives it away.
    const file = await pull('--from', iso(100), '--to', iso(140));
    const parts = await partsOf(file);
    const selection = {
      by: 'time',
      from_ns: String(timeOf(100)),
      to_ns: String(timeOf(145)),
    } as const;
    expect(await codeOf(await repack(parts, { selection }))).toBe('bundle_contradiction');
  });

  it('refuses a part that is not the one in the manifest', async () => {
    const parts = await partsOf(await pull('--index', '300'));
    const file = folder.path('other-part.zip');
    // What the store has said is the one part that nothing else holds.
    const said = canonicalJson({ store: 'x', objects: [], findings: [] });
    await writeFile(file, writeZip(new Map(parts).set(PART.versions, said)));
    expect(await codeOf(file)).toBe('bundle_parts');
    expect(await codeOf(await repack(new Map(parts).set(PART.versions, said)))).toBe('verified');
  });

  it('refuses a leaf that is not the one at its place, open or closed', async () => {
    const [output = 0] = outputs;
    const parts = await partsOf(await pull('--index', String(output)));
    const leaf = parts.get(leafPart(output)) ?? utf8('');
    const changed = new Map(parts).set(leafPart(output), forgeSignature(leaf));
    expect(await codeOf(await repack(changed))).toBe('inclusion_invalid');
  });

  it('refuses leaves as evidence of another order', async () => {
    const [output = 0, other = 0] = outputs;
    const parts = await partsOf(await pull('--from', iso(output), '--to', iso(output + 1)));
    const change = {
      selection: { by: 'order', order: orderOf(other) },
      boundary: { before: null, after: null },
      other_epochs: null,
    } as const;
    expect(await codeOf(await repack(parts, change))).toBe('bundle_contradiction');
  });

  it('refuses another head, header or document', async () => {
    const parts = await partsOf(await pull('--index', '300'));
    const forged = new Map(parts).set(
      PART.checkpoint,
      forgeSignature(parts.get(PART.checkpoint) ?? utf8('')),
    );
    expect(await codeOf(await repack(forged))).toBe('note_signature');
    const other = await EpochBuilder.create();
    const foreign = new Map(parts).set(leafPart(0), other.leaves[0] ?? utf8(''));
    expect(await codeOf(await repack(foreign))).toBe('public_key_mismatch');
  });

  it('is refused under another policy, undecided without one, and compares heads', async () => {
    const file = await pull('--index', '300');
    const root = ['--unsafe-root', folder.path('root.pem'), '--json'];
    const pcrs = ['--pcr0', '--pcr1', '--pcr2'].flatMap((name) => [name, '11'.repeat(48)]);
    const none = await runCommand(runVerifyBundle, file, ...root, '--no-heads');
    expect([none.exit, none.out]).toEqual([2, expect.stringContaining('policy_missing')]);
    const foreign = await runCommand(runVerifyBundle, file, ...root, ...pcrs, '--no-heads');
    expect([foreign.exit, foreign.out]).toEqual([1, expect.stringContaining('pcr_mismatch')]);
    const memory = assertAccepted(await HeadMemory.load(folder.heads));
    const logKeyHash = nodeCrypto.sha256(epoch.header.logKey);
    const head = { origin: epoch.origin, logKeyHash, size: epoch.size, root: new Uint8Array(32) };
    memory.remember(head, 1);
    await memory.save();
    const fork = await runCommand(
      runVerifyBundle,
      file,
      ...folder.trust(),
      '--heads',
      folder.heads,
      '--json',
    );
    expect([fork.exit, fork.out]).toEqual([1, expect.stringContaining('"fork"')]);
    await folder.forget();
  });

  it('says nothing of a file that is none', async () => {
    await writeFile(folder.path('none.zip'), 'nothing of the kind, and longer than an end record');
    expect(await codeOf(folder.path('none.zip'))).toBe('bundle_zip_malformed');
    const { exit } = await runCommand(runVerifyBundle, folder.path('missing.zip'));
    expect(exit).toBe(2);
  });
});

/** Null when it is there. */
async function whyMissing(program: string, ...args: readonly string[]): Promise<string | null> {
  return execute(program, [...args]).then(
    () => null,
    () => `skipped: there is no ${program} here`,
  );
}

describe('other people’s tools', () => {
  it('unzip tests and lists the file', async (context) => {
    const missing = await whyMissing('unzip', '-v');
    if (missing !== null) {
      console.log(missing);
      context.skip();
    }
    const file = await pull('--from', iso(100), '--to', iso(300), ...withKey());
    const { stdout } = await execute('unzip', ['-t', file], { maxBuffer: 1 << 24 });
    expect(stdout).toContain('No errors detected');
    const listed = await execute('unzip', ['-Z1', file], { maxBuffer: 1 << 24 });
    expect(listed.stdout.trim().split('\n')).toEqual([...(await partsOf(file)).keys()]);
  });

  it('python’s zipfile, csv and hashlib read the same as the manifest says', async (context) => {
    const missing = await whyMissing('python3', '-c', 'import zipfile, csv, json, hashlib');
    if (missing !== null) {
      console.log(missing);
      context.skip();
    }
    const file = await pull(
      '--from',
      iso(100),
      '--to',
      iso(300),
      '--withhold',
      'input',
      ...withKey(),
    );
    const script = `
import csv, hashlib, io, json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
manifest = json.loads(z.read('manifest.json'))
names = [n for n in z.namelist() if n != 'manifest.json']
assert sorted(names) == sorted(manifest['files'])
for n in names:
    assert hashlib.sha256(z.read(n)).hexdigest() == manifest['files'][n], n
rows = list(csv.DictReader(io.TextIOWrapper(z.open('records.csv'), 'utf8', newline='')))
lines = [json.loads(l) for l in z.read('records.jsonl').decode().splitlines()]
assert sorted({int(r['index']) for r in rows}) == [l['index'] for l in lines]
for r in rows:
    if r['state'] == 'withheld': continue
    leaf = z.read('leaves/%020d.cbor' % int(r['index']))
    assert hashlib.sha256(b'\\0' + leaf).hexdigest() == r['leaf_hash']
print(len(rows), sum(r['kind'] == 'output' for r in rows))
`;
    const { stdout } = await execute('python3', ['-c', script, file], { maxBuffer: 1 << 24 });
    const { counts } = await verify(file);
    expect(stdout.trim().split(' ').map(Number)[1]).toBe(counts?.kinds['output']);
  });

  it('each proof file is one that `verify proof` takes', async () => {
    const parts = await partsOf(await pull('--from', iso(100), '--to', iso(300), ...withKey()));
    const proofs = [...parts].filter(([name]) => name.startsWith('proofs/'));
    expect(proofs.length).toBeGreaterThan(5);
    await mkdir(folder.path('proofs'), { recursive: true });
    for (const [name, bytes] of proofs) {
      const path = join(folder.path('.'), name);
      await writeFile(path, bytes);
      const { verdict } = await folder.verifyProof(path, ...folder.trust());
      expect(verdict).toMatchObject({ verdict: 'verified', disclosed: true });
    }
  });
});

it('an evidence file has the bytes of its parts once each', async () => {
  const file = await pull('--index', '300');
  const whole = new Uint8Array(await readFile(file));
  const parts = assertAccepted(readZip(whole, isPartName));
  expect(Buffer.compare(writeZip(parts), whole)).toBe(0);
  expect(concatBytes(...parts.values()).length).toBeGreaterThan(0);
});
