import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { run as runLogPull } from '../../../verifier/commands/log-pull.ts';
import { run as runVerifyBundle } from '../../../verifier/commands/verify-bundle.ts';
import type { BundleVerdict } from '../../../verifier/evidence/bundle-verdict.ts';
import type { OtherEpochs, TimeRange } from '../../../verifier/evidence/epoch-range.ts';
import { pullCommand } from '../../../verifier/evidence/epoch-range.ts';
import type { Manifest } from '../../../verifier/evidence/manifest.ts';
import { PART, isPartName } from '../../../verifier/evidence/manifest.ts';
import {
  firstTouched,
  otherEpochs,
  surveyEpochs,
} from '../../../verifier/evidence/survey-epochs.ts';
import { readZip, writeZip } from '../../../verifier/evidence/zip.ts';
import { isoOfNs } from '../../../verifier/log/payload.ts';
import type { LogSource } from '../../../verifier/log/source.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { encodeCommit } from '../../../wire/messages.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import { parseLeaf } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { claimKey, epochPrefix } from '../../../wire/object-keys.ts';
import { closeKey } from '../../../wire/host-keys.ts';
import { encodeEpochClose } from '../../../wire/epoch-close.ts';
import { clientOrderIdOf } from '../../../wire/payloads.ts';
import { accept, assertAccepted, refuse } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { EpochBuilder } from '../../helpers/epoch-builder.ts';
import { filesOf } from '../../helpers/epoch-files.ts';
import type { FileMap, Outcome } from '../log/log-folder.ts';
import { LogFolder, removeFiles, runCommand } from '../log/log-folder.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 8, 1);

let folder: LogFolder;
/** Three epochs, an hour from one start to the next, some milliseconds long each. */
const epochs: EpochBuilder[] = [];
let order = '';

beforeAll(async () => {
  folder = await LogFolder.create();
  for (const epoch of [1, 2, 3]) {
    const previous = epochs.at(-1)?.link() ?? null;
    const startMs = START_MS + epoch * HOUR_MS;
    const built = await EpochBuilder.create({ epoch, previous, startMs });
    built.startStrategy();
    for (let at = 0; at < 20; at++) built.addInput();
    const output = built.addOutput(built.size - 1);
    built.addReport(output);
    if (epoch === 3)
      order = clientOrderIdOf(leafHash(nodeCrypto, built.leaves[output] ?? utf8('')));
    built.addClose();
    built.commit();
    epochs.push(built);
  }
});

beforeEach(() => folder.write(epochs));
afterAll(() => folder.remove());

function timeIn(epoch: number, at: number): bigint {
  const leaf = epochs[epoch - 1]?.leaves.at(at) ?? utf8('');
  return assertAccepted(parseLeaf(leaf)).timeNs;
}

function rangeOf(fromNs: bigint, toNs: bigint): TimeRange {
  return { fromNs, toNs };
}

function evidence(): string {
  return folder.path('evidence.zip');
}

function times({ fromNs, toNs }: TimeRange): readonly string[] {
  return ['--from', isoOfNs(fromNs), '--to', isoOfNs(toNs)];
}

function pull(...args: readonly string[]): Promise<Outcome> {
  return runCommand(runLogPull, folder.log, ...args, '-o', evidence());
}

interface Pulled {
  readonly epoch: number;
  readonly touched: readonly number[];
  readonly missing: OtherEpochs['missing'];
  readonly looked: string;
}

/** From stdout's JSON, which must be what the manifest says, but for the commands. */
async function pulled(...args: readonly string[]): Promise<Pulled> {
  const { exit, out, err } = await pull(...args, '--json');
  expect([exit, err]).toEqual([0, '']);
  const facts = JSON.parse(out) as { origin: string; other_epochs: OtherEpochs };
  const manifest = await manifestOf(evidence());
  const { touched, missing, looked } = facts.other_epochs;
  expect(manifest.other_epochs).toMatchObject({
    looked,
    missing,
    touched: touched.map(({ epoch, first_ns, last_ns }) => ({ epoch, first_ns, last_ns })),
  });
  const numbers = touched.map(({ epoch }) => epoch);
  return { epoch: manifest.epoch, touched: numbers, missing, looked };
}

async function partsOf(file: string): Promise<Map<string, Uint8Array>> {
  return new Map(assertAccepted(readZip(new Uint8Array(await readFile(file)), isPartName)));
}

async function manifestOf(file: string): Promise<Manifest> {
  const bytes = (await partsOf(file)).get(PART.manifest) ?? utf8('');
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Manifest;
}

async function repack(change: (manifest: Manifest) => object): Promise<void> {
  const parts = await partsOf(evidence());
  const changed = canonicalJson(change(await manifestOf(evidence())));
  await writeFile(evidence(), writeZip(parts.set(PART.manifest, changed)));
}

async function verify(): Promise<BundleVerdict & { text: string }> {
  const args = [evidence(), ...folder.trust(), '--no-heads'];
  const { out } = await runCommand(runVerifyBundle, ...args, '--json');
  const { out: text } = await runCommand(runVerifyBundle, ...args);
  return { ...(JSON.parse(out) as BundleVerdict), text };
}

describe('a range of time that reaches into other epochs', () => {
  it('takes the first epoch that has a leaf of it, and names the others', async () => {
    const range = rangeOf(timeIn(1, -1), timeIn(3, 0));
    expect(await pulled(...times(range))).toEqual({
      epoch: 1,
      touched: [2, 3],
      missing: [],
      looked: 'all',
    });
    const manifest = await manifestOf(evidence());
    expect(manifest.other_epochs?.touched[0]).toEqual({
      epoch: 2,
      first_ns: String(timeIn(2, 0)),
      last_ns: String(timeIn(2, -1)),
      command: pullCommand(2, range),
    });
    // One nanosecond less at each end: other epochs, another choice.
    const less = rangeOf(timeIn(1, -1) + 1n, timeIn(3, 0) - 1n);
    expect(await pulled(...times(less))).toMatchObject({ epoch: 2, touched: [] });
  });

  it('says the command line that pulls each, and it does', async () => {
    const range = rangeOf(timeIn(1, 0), timeIn(2, -1));
    const reason = "o'clock; rm -rf $HOME";
    const { exit, out } = await pull(...times(range), '--reason', reason);
    expect(exit).toBe(0);
    expect(out).toContain('OTHER EPOCH: epoch 2');
    const command = out.split('\n').find((line) => line.startsWith('  trackseal log pull ')) ?? '';
    expect(command).toContain(`'o'\\''clock; rm -rf $HOME'`);
    // As a shell reads it.
    const script = command.replace('trackseal', "printf '%s\\0'");
    const { stdout } = await promisify(execFile)('sh', ['-c', script]);
    const [log, verb, ...args] = stdout.split('\0').slice(0, -1);
    expect([log, verb, args.at(args.indexOf('--reason') + 1)]).toEqual(['log', 'pull', reason]);
    const again = await runCommand(runLogPull, ...args);
    expect([again.exit, again.err]).toEqual([0, '']);
    expect(again.out).toContain('OTHER EPOCH: epoch 1');
    expect(await manifestOf(folder.path('evidence.epoch-2.zip'))).toMatchObject({
      epoch: 2,
      reason,
    });
  });

  it('takes the epoch that is asked for all the same, by its number or its folder', async () => {
    const range = times(rangeOf(timeIn(1, 5), timeIn(3, 5)));
    const asked = { epoch: 2, touched: [1, 3] };
    expect(await pulled(...range, '--epoch', '2')).toMatchObject(asked);
    const { out } = await runCommand(
      runLogPull,
      `${folder.log}/epochs/0000000002`,
      ...range,
      '--json',
      '-o',
      evidence(),
    );
    expect(JSON.parse(out)).toMatchObject({ origin: epochs[1]?.origin });
    expect(await manifestOf(evidence())).toMatchObject({ epoch: 2 });
  });

  it('says which epochs are not there, where they could be of the range', async () => {
    await folder.write(epochs, (files) => {
      removeFiles(files, 2, '');
    });
    const around = rangeOf(timeIn(1, -1), timeIn(3, 0));
    const hole = [{ first: 2, last: 2 }];
    expect(await pulled(...times(around))).toMatchObject({ epoch: 1, touched: [3], missing: hole });
    const { out } = await pull(...times(around));
    expect(out).toContain('MISSING: epoch 2 is not there');
    expect((await verify()).text).toContain('2 was not there');
    // Inside of the first one there is no room for it.
    const inside = rangeOf(timeIn(1, 2), timeIn(1, -2));
    expect(await pulled(...times(inside))).toMatchObject({ epoch: 1, touched: [], missing: [] });
    // Nothing to pull, and it says why that may be.
    const gone = await pull(...times(rangeOf(timeIn(2, 0), timeIn(2, -1))));
    expect([gone.exit, gone.err]).toEqual([2, expect.stringContaining('missing_epochs')]);
  });

  it('takes epochs that cannot be read for missing ones', async () => {
    await folder.write(epochs, (files) => {
      files.set(`${epochPrefix(2)}checkpoint`, utf8('nothing'));
    });
    const range = rangeOf(timeIn(1, -1), timeIn(3, 0));
    expect(await pulled(...times(range))).toMatchObject({
      epoch: 1,
      touched: [3],
      missing: [{ first: 2, last: 2 }],
    });
    await folder.write(epochs.slice(2));
    const before = rangeOf(timeIn(3, 0) - 1n, timeIn(3, 3));
    expect(await pulled(...times(before))).toMatchObject({ missing: [{ first: 1, last: 2 }] });
    const from = rangeOf(timeIn(3, 0) + 1n, timeIn(3, 3));
    expect(await pulled(...times(from))).toMatchObject({ missing: [] });
  });

  it('says that nobody has looked, of a folder that stands alone', async () => {
    const alone = `${folder.log}/epochs/../alone`;
    await runCommand(runLogPull, folder.log, '--index', '1', '-o', evidence());
    expect(await manifestOf(evidence())).toMatchObject({ other_epochs: null });
    await cp(`${folder.log}/epochs/0000000001`, alone, { recursive: true });
    const range = times(rangeOf(timeIn(1, 0), timeIn(2, 0)));
    const { exit, out } = await runCommand(runLogPull, alone, ...range, '-o', evidence());
    expect([exit, out]).toEqual([0, expect.not.stringContaining('OTHER')]);
    const verdict = await verify();
    expect(verdict.other_epochs).toMatchObject({ looked: null, range_inside: false });
    expect(verdict.text).toContain('nobody has looked');
  });
});

/** Whether the verdict on this range of epoch 2 needs nobody's word. */
async function isProven(from: bigint, to: bigint): Promise<boolean> {
  await pull(...times(rangeOf(from, to)), '--epoch', '2');
  const { other_epochs: others, residual_risks: risks, text } = await verify();
  const proven = others?.range_inside === true;
  expect(risks?.includes('other_epochs')).toBe(!proven);
  expect(text.includes('lies between two leaves')).toBe(proven);
  return proven;
}

/** Other words about other epochs. */
function said(others: object): (manifest: Manifest) => object {
  return (manifest) => ({ ...manifest, other_epochs: { ...manifest.other_epochs, ...others } });
}

describe('verify bundle', () => {
  it('shows what the manifest says of other epochs, and that it is not proven', async () => {
    const range = rangeOf(timeIn(1, 5), timeIn(2, 0));
    await pull(...times(range));
    const verdict = await verify();
    expect(verdict).toMatchObject({
      verdict: 'verified',
      other_epochs: { looked: 'all', range_inside: false, touched: [{ epoch: 2 }] },
    });
    expect(verdict.residual_risks).toContain('other_epochs');
    expect(verdict.text).toContain('2 has leaves of that time, which are not here');
    expect(verdict.text).toContain('not proven');
    expect(verdict.text).toContain(pullCommand(2, range));
    // Whoever makes a file can leave it out; the verdict still says that it is their word.
    await repack((manifest) => ({
      ...manifest,
      other_epochs: { looked: 'all', touched: [], missing: [] },
    }));
    const silent = await verify();
    expect(silent.verdict).toBe('verified');
    expect(silent.text).toContain('none touched, it says (not proven)');
    expect(silent.residual_risks).toContain('other_epochs');
  });

  it('needs nobody’s word for a range between two leaves of the epoch', async () => {
    expect(await isProven(timeIn(2, 0) + 1n, timeIn(2, -1) - 1n)).toBe(true);
    expect(await isProven(timeIn(2, 0), timeIn(2, -1) - 1n)).toBe(false);
    expect(await isProven(timeIn(2, 0) + 1n, timeIn(2, -1))).toBe(false);
  });

  it('refuses words that do not fit the range, and commands that are not ours', async () => {
    const range = rangeOf(timeIn(1, 5), timeIn(2, 0));
    const two = {
      epoch: 2,
      first_ns: String(timeIn(2, 0)),
      last_ns: null,
      command: pullCommand(2, range),
    };
    for (const [what, others, verdict] of [
      ['nothing else', {}, 'verified'],
      ['an end that is not known', { touched: [two] }, 'verified'],
      ['another command', { touched: [{ ...two, command: 'curl example.com | sh' }] }, 'refused'],
      [
        'its own epoch',
        { touched: [{ ...two, epoch: 1, command: pullCommand(1, range) }] },
        'refused',
      ],
      ['one twice', { touched: [two, two] }, 'refused'],
      ['a later one', { touched: [{ ...two, first_ns: String(range.toNs + 1n) }] }, 'refused'],
      ['missing and there', { touched: [two], missing: [{ first: 2, last: 3 }] }, 'refused'],
      ['itself missing', { missing: [{ first: 1, last: 1 }] }, 'refused'],
      ['an empty run', { missing: [{ first: 4, last: 3 }] }, 'refused'],
      ['runs out of order', { missing: [4, 3].map((n) => ({ first: n, last: n })) }, 'refused'],
    ] as const) {
      await pull(...times(range));
      await repack(said(others));
      const { verdict: actual, code } = await verify();
      expect([what, actual, code]).toEqual([
        what,
        verdict,
        verdict === 'verified' ? null : 'bundle_manifest',
      ]);
    }
    await pull('--index', '3', '--epoch', '1');
    await repack(said({ looked: 'all', touched: [], missing: [] }));
    expect(await verify()).toMatchObject({ code: 'bundle_manifest' });
  });

  it('takes files from before manifests said anything of it', async () => {
    await pull(...times(rangeOf(timeIn(1, 5), timeIn(2, 0))));
    await repack((manifest) =>
      Object.fromEntries(Object.entries(manifest).filter(([name]) => name !== 'other_epochs')),
    );
    const { verdict, other_epochs: others } = await verify();
    expect(verdict).toBe('verified');
    expect(others).toMatchObject({ looked: null, touched: [] });
  });

  it('says of an order that later reports are not excluded', async () => {
    expect((await pull('--order', order)).exit).toBe(0);
    const { residual_risks: risks, text, other_epochs: others, range } = await verify();
    expect(risks).toContain('later_reports');
    expect(others).toBeNull();
    expect(text).toContain(`NO: reports behind leaf ${range?.last ?? 0}, late or in later epochs`);
    await pull('--index', '3');
    expect((await verify()).residual_risks).not.toContain('later_reports');
  });
});

/** Objects by key. Unlisted: a server that lists nothing. */
function sourceOf(files: FileMap, listed: boolean): LogSource & { readonly reads: string[] } {
  const reads: string[] = [];
  return {
    name: 'test',
    reads,
    read: async (path) => {
      reads.push(path);
      return Promise.resolve(accept(files.get(path) ?? null));
    },
    list: async (path) => {
      const names = [...files.keys()]
        .filter((key) => key.startsWith(`${path}/`))
        .map((key) => key.slice(path.length + 1).split('/')[0] ?? '');
      return Promise.resolve(accept(listed ? [...new Set(names)] : null));
    },
  };
}

function everyFile(): FileMap {
  const files: FileMap = new Map();
  for (const epoch of epochs) for (const [name, bytes] of filesOf(epoch)) files.set(name, bytes);
  return files;
}

function listNothing(): ReturnType<LogSource['list']> {
  return Promise.resolve(refuse('source_unreachable', {}));
}

async function lookedAt(source: LogSource, range: TimeRange, asked: number): Promise<OtherEpochs> {
  const survey = assertAccepted(await surveyEpochs(source, range, asked, () => undefined));
  return assertAccepted(otherEpochs(survey, asked, range));
}

describe('a survey', () => {
  it('reads claims and closes where there are some, and no bundle then', async () => {
    const files: FileMap = new Map();
    for (const { header, leaves, notes } of epochs) {
      const note = notes.at(-1)?.note ?? utf8('');
      const [zero = utf8(''), one = utf8('')] = leaves;
      const claim = { epoch: header.epoch, firstIndex: 0, leaves: [zero, one], blobs: [], note };
      files.set(claimKey(header.epoch), encodeCommit(claim));
      const close = { note, lastLeaf: leaves.at(-1) ?? utf8(''), proof: [] };
      files.set(closeKey(header.epoch), encodeEpochClose(close));
    }
    const source = sourceOf(files, true);
    const range = rangeOf(timeIn(1, -1), timeIn(2, 0));
    expect(await lookedAt(source, range, 2)).toMatchObject({ touched: [{ epoch: 1 }] });
    // The third begins behind the range: when it ended is not read.
    const keys = [claimKey(1), closeKey(1), claimKey(2), closeKey(2), claimKey(3)];
    expect(source.reads.toSorted()).toEqual(keys.toSorted());
  });

  it('looks at neighbours, where the source does not list', async () => {
    const files: FileMap = everyFile();
    const all = rangeOf(timeIn(1, -1), timeIn(3, 0));
    expect(await lookedAt(sourceOf(files, false), all, 2)).toMatchObject({
      looked: 'neighbours',
      touched: [{ epoch: 1 }, { epoch: 3 }],
      missing: [],
    });
    removeFiles(files, 1, '');
    expect(await lookedAt(sourceOf(files, false), all, 2)).toMatchObject({
      touched: [{ epoch: 3 }],
      missing: [{ first: 1, last: 1 }],
    });
  });

  it('chooses no epoch by a time that none has, and passes on what a source refuses', async () => {
    const files: FileMap = everyFile();
    const between = rangeOf(timeIn(1, -1) + 1n, timeIn(2, 0) - 1n);
    const survey = await surveyEpochs(sourceOf(files, true), between, 1, () => undefined);
    expect(firstTouched(assertAccepted(survey), between)).toBeNull();
    const source = { ...sourceOf(files, true), list: listNothing };
    expect(await surveyEpochs(source, between, 1, () => undefined)).toMatchObject({
      refusal: { code: 'source_unreachable' },
    });
  });
});
