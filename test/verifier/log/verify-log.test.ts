import { spawnSync } from 'node:child_process';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TileServer } from '../../../host-proxy/tile-server.ts';
import { run as runVerifyLog } from '../../../verifier/commands/verify-log.ts';
import { generateComplianceKey } from '../../../verifier/compliance-key.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { KIND, encodePublicLeaf } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { MemoryTree, leafHash } from '../../../wire/tlog/merkle.ts';
import type { EpochBuilder } from '../../helpers/epoch-builder.ts';
import { EpochBuilder as Epochs, INPUT_STREAM, sampleEpoch } from '../../helpers/epoch-builder.ts';
import type { BuiltEpoch } from '../../helpers/epoch-files.ts';
import { commitsName, encodeNotes, epochFolder } from '../../helpers/epoch-files.ts';
import type { FileMap } from './log-folder.ts';
import {
  LogFolder,
  changeFile,
  flipByte,
  forgeSignature,
  removeFiles,
  runCommand,
} from './log-folder.ts';

let folder: LogFolder;
let epoch: EpochBuilder;
/** 300 leaves under notes at 2, 200 and 300; no close leaf. */
let long: EpochBuilder;

beforeAll(async () => {
  folder = await LogFolder.create();
  epoch = await sampleEpoch();
  long = await Epochs.create();
  while (long.size < 200) long.addInput();
  long.commit();
  while (long.size < 300) long.addInput();
  long.commit();
});

afterAll(() => folder.remove());

/** The code of the refusal, or the verdict. */
async function outcome(
  epochs: readonly BuiltEpoch[],
  change: (files: FileMap) => void = () => undefined,
): Promise<string> {
  await folder.write(epochs, change);
  const { exit, verdict } = await folder.verify();
  expect(exit).toBe({ verified: 0, refused: 1, undecided: 2 }[verdict.verdict]);
  return verdict.code ?? verdict.verdict;
}

function commitsPath(last: number, first = 0): string {
  return `commits/${commitsName(first, last)}`;
}

describe('verify log', () => {
  it('says what is proven, and what is not', async () => {
    await folder.write([epoch]);
    const { exit, verdict } = await folder.verify('--key', folder.path('key.pem'));
    expect(exit).toBe(0);
    expect(verdict).toMatchObject({
      verdict: 'verified',
      code: null,
      origin: epoch.origin,
      epoch: 1,
      size: epoch.size,
      commit_policy: 'spool',
      feed_mode: 'replay',
      end: 'clean',
      close_reason: 'host',
      counts: { input: 3, output: 2, report: 1, gap: 2, strategy_event: 1, heartbeat: 1 },
      gaps: { total: 2, by_reason: { declared: 1, trade_sequence: 1 }, truncated: false },
      attestation: { image_checked: true },
      anchors: { count: 1 },
      commits: { checked: true, notes: epoch.notes.length, beyond_checkpoint: null },
      private_leaves: { total: 4, opened: 4 },
      previous: null,
      consistency: { result: 'none' },
      unsafe: ['--unsafe-root'],
    });
    const could = verdict.operator_could_still?.join('\n');
    expect(could).toContain('hide a whole epoch');
    expect(could).toContain('streams labelled "host": btcusdt');
    expect(could).toContain('delay the enclave');
    expect(could).toContain('"replay", not "live"');
  });

  it('keeps the names of its JSON', async () => {
    await folder.write([epoch]);
    const good = await folder.verify();
    const bad = await folder.verify('--epoch', '1', '--pcr0', '00');
    expect(bad.exit).toBe(2);
    expect(Object.keys(good.verdict)).toEqual([
      'verdict',
      'code',
      'detail',
      'source',
      'root_certificate',
      'skipped',
      'unsafe',
      'origin',
      'epoch',
      'size',
      'root',
      'log_key',
      'commit_policy',
      'feed_mode',
      'config_digest',
      'streams',
      'strategies',
      'counts',
      'rows',
      'gaps',
      'feed',
      'time',
      'end',
      'close_reason',
      'hand_over',
      'sealed',
      'data_keys',
      'key_accounts',
      'attestation',
      'anchors',
      'commits',
      'storage',
      'private_leaves',
      'blobs',
      'previous',
      'consistency',
      'operator_could_still',
      'rests_on',
      'residual_risks',
    ]);
    await folder.write([epoch], (files) => {
      changeFile(files, 1, 'tile/0/000.p/15', flipByte(0));
    });
    const refused = await folder.verify();
    expect(Object.keys(refused.verdict).sort()).toEqual(Object.keys(good.verdict).sort());
    expect(refused.verdict).toMatchObject({ code: 'tile_mismatch', origin: null, size: null });
  });

  it('takes a log, an epoch in it, an epoch alone, or a URL', async () => {
    await folder.write([epoch]);
    const inLog = `${folder.log}/${epochFolder(1)}`;
    await cp(inLog, folder.path('alone'), { recursive: true });
    const server = await TileServer.listen({ logDirectory: folder.log, port: 0 });
    const url = `http://127.0.0.1:${server.port}`;
    const addresses = [folder.log, inLog, folder.path('alone'), url, `${url}/`];
    addresses.push(`${url}/${epochFolder(1)}`);
    for (const address of addresses) {
      const judged = await folder.verifyLog(address, ...folder.trust(), '--no-heads');
      expect(judged.exit).toBe(0);
      expect(judged.verdict).toMatchObject({ epoch: 1, commits: { checked: true, notes: 6 } });
    }
    await server.close();
    const gone = await folder.verifyLog(url, ...folder.trust(), '--no-heads');
    expect([gone.exit, gone.verdict.code]).toEqual([2, 'source_unreachable']);
  });

  it('decides nothing without an image policy, but refuses what is wrong', async () => {
    await folder.write([epoch]);
    const root = ['--unsafe-root', folder.path('root.pem')];
    const undecided = await folder.verifyLog(folder.log, ...root);
    expect(undecided.exit).toBe(2);
    expect(undecided.verdict).toMatchObject({
      verdict: 'undecided',
      code: 'policy_missing',
      size: epoch.size,
    });
    const any = await folder.verifyLog(folder.log, ...root, '--unsafe-any-image');
    expect(any.exit).toBe(0);
    expect(any.verdict.unsafe).toEqual(['--unsafe-root', '--unsafe-any-image']);
    expect(any.verdict.operator_could_still?.[0]).toContain('run any code');
    const aws = await folder.verifyLog(folder.log, '--policy', folder.path('policy.json'));
    expect([aws.exit, aws.verdict.code]).toEqual([1, 'chain_root']);
    const pcrs = ['--pcr0', '--pcr1', '--pcr2'].flatMap((name) => [name, '11'.repeat(48)]);
    const other = await folder.verifyLog(folder.log, ...root, ...pcrs);
    expect([other.exit, other.verdict.code]).toEqual([1, 'pcr_mismatch']);
    await folder.write([epoch], (files) => {
      changeFile(files, 1, 'checkpoint', forgeSignature);
    });
    const broken = await folder.verifyLog(folder.log, ...root);
    expect([broken.exit, broken.verdict.code]).toEqual([1, 'note_signature']);
  });

  it('explains a refusal to people', async () => {
    await folder.write([epoch], (files) => {
      changeFile(files, 1, 'tile/entries/000.p/15', flipByte(1000));
    });
    const args = [folder.log, ...folder.trust(), '--no-heads'];
    const refused = await runCommand(runVerifyLog, ...args);
    expect(refused.exit).toBe(1);
    expect(refused.out).toContain('REFUSED');
    expect(refused.out).toContain('tile_mismatch');
    expect(refused.out).toMatch(/next +the copy of the log was changed/u);
    await folder.write([epoch]);
    const verified = await runCommand(runVerifyLog, ...args);
    expect(verified.out).toContain('VERIFIED');
    expect(verified.out).toContain('clean, asked for by host');
    expect(verified.out).toContain('do not rely on this verdict');
  });

  it('prints nothing that a terminal would obey', async () => {
    const hostile = await Epochs.create({
      header: (header) => ({
        ...header,
        streams: header.streams.map((stream) => ({ ...stream, name: 'x\u001B[2J\u009B1m\n' })),
      }),
    });
    await folder.write([hostile]);
    const { exit, out } = await runCommand(runVerifyLog, folder.log, ...folder.trust());
    expect(exit).toBe(1);
    expect(out).toMatch(/^[\n\u0020-\u007e]*$/u);
  });

  it('answers 2 for wrong usage and for what is no log', async () => {
    const wrong: readonly (readonly [string, ...(readonly string[])])[] = [
      ['usage_invalid'],
      ['usage_invalid', 'a', 'b'],
      ['usage_invalid', folder.log, '--epoch', '0'],
      ['usage_invalid', folder.log, '--epoch', 'x'],
      ['usage_invalid', folder.log, '--nonsense'],
      ['usage_invalid', 'http://127.0.0.1:1/?x'],
      ['file_unreadable', folder.path('nothing')],
      ['file_unreadable', folder.root],
      ['file_unreadable', folder.log, '--epoch', '7'],
      ['file_unreadable', folder.log, '--key', folder.path('nothing')],
      ['policy_malformed', folder.log, '--policy', folder.path('root.pem')],
    ];
    for (const [code, ...args] of wrong) {
      const { exit, err } = await runCommand(runVerifyLog, ...args);
      expect([exit, err.split(/[ :]+/u)[1]]).toEqual([2, code]);
    }
    const help = await runCommand(runVerifyLog, '--help');
    expect(help.exit).toBe(0);
    expect(help.out).toContain('usage: trackseal verify log');
  });

  it('opens private leaves with the right key only', async () => {
    await folder.write([epoch]);
    await writeFile(folder.path('other.pem'), generateComplianceKey().pem);
    const wrong = await folder.verify('--key', folder.path('other.pem'));
    expect([wrong.exit, wrong.verdict.code]).toEqual([1, 'disclosure_key_wrong']);
  });
});

describe('a changed log', () => {
  it('is refused for any bundle, tile or checkpoint', async () => {
    const cases: readonly (readonly [string, string, (files: FileMap) => void])[] = [
      ['an entry', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/entries/000', flipByte(5000))],
      ['a length', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/entries/000', flipByte(0))],
      ['a bundle cut', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/entries/001.p/44', cut)],
      ['a tile', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/0/000', flipByte(99))],
      ['a tile cut', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/0/001.p/44', cut)],
      ['a tile too long', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/0/000', lengthen)],
      ['an upper tile', 'tile_mismatch', (f) => changeFile(f, 1, 'tile/1/000.p/1', flipByte(3))],
      [
        'no upper tile',
        'tile_missing',
        (f) => {
          removeFiles(f, 1, 'tile/1');
        },
      ],
      [
        'no bundle',
        'tile_missing',
        (f) => {
          removeFiles(f, 1, 'tile/entries/001');
        },
      ],
      [
        'no tile',
        'tile_missing',
        (f) => {
          removeFiles(f, 1, 'tile/0/000');
        },
      ],
      ['a note', 'note_malformed', (f) => changeFile(f, 1, 'checkpoint', cut)],
      ['a signature', 'note_signature', (f) => changeFile(f, 1, 'checkpoint', forgeSignature)],
      ['a size', 'note_signature', (f) => changeFile(f, 1, 'checkpoint', claimSize('299'))],
      ['a size more', 'note_signature', (f) => changeFile(f, 1, 'checkpoint', claimSize('301'))],
      [
        'a huge size',
        'note_signature',
        (f) => changeFile(f, 1, 'checkpoint', claimSize('9007199254740991')),
      ],
    ];
    expect(await outcome([long])).toBe('verified');
    for (const [what, expected, change] of cases) {
      expect(`${what}: ${await outcome([long], change)}`).toBe(`${what}: ${expected}`);
    }
  });

  it('is refused under a checkpoint that is signed but not its root', async () => {
    const forged = long.signNote(long.size, new Uint8Array(32));
    const code = await outcome([long], (files) => {
      changeFile(files, 1, 'checkpoint', () => forged);
    });
    expect(code).toBe('root_mismatch');
  });

  it('is refused when a blob is missing or another', async () => {
    const withBlob = await Epochs.create();
    withBlob.startStrategy();
    const output = withBlob.addOutput(withBlob.addInput());
    const header = { kind: KIND.report, stream: 2000, causes: [output] };
    withBlob.add(header, new Uint8Array(60_000), true);
    withBlob.commit();
    const [hash] = withBlob.blobs.keys();
    const path = `blobs/${hash ?? ''}`;
    expect(await outcome([withBlob])).toBe('verified');
    expect(await outcome([withBlob], (files) => files.delete(path))).toBe('blob_missing');
    const other = await outcome([withBlob], (files) => files.set(path, new Uint8Array(65_536)));
    expect(other).toBe('blob_mismatch');
  });

  it('is not waited for where a file is something else', async () => {
    await folder.write([epoch]);
    const path = `${folder.log}/${epochFolder(1)}/tile/0/000.p/15`;
    await rm(path);
    await mkdir(path);
    const { exit, verdict } = await folder.verify();
    expect([exit, verdict.code]).toEqual([2, 'file_unreadable']);
    await rm(path, { recursive: true });
    spawnSync('mkfifo', [path]);
    expect((await folder.verify()).verdict.code).toBe('file_unreadable');
  });

  it('is refused when it ended before it was attested', async () => {
    const { leaves, tree, blobs, header, notes: all } = await Epochs.create();
    const only = all.slice(0, 1);
    const checkpoint = only[0]?.note ?? new Uint8Array();
    const unattested = { leaves, tree, blobs, header, notes: only, checkpoint };
    expect(await outcome([unattested])).toBe('leaf_misplaced');
    await expect(folder.prove(0)).rejects.toThrow('leaf_misplaced');
  });
});

describe('commits', () => {
  it('may lag behind the checkpoint or be absent', async () => {
    const { size } = epoch.notes[2] ?? { size: 0 };
    await folder.write([epoch], replace(size - 1, encodeNotes(notes().slice(0, 3))));
    const lagging = await folder.verify();
    expect(lagging.verdict).toMatchObject({
      verdict: 'verified',
      commits: { notes: 3, covered_size: size },
    });
    await folder.write([epoch], (files) => {
      removeFiles(files, 1, 'commits/');
    });
    const absent = await folder.verify();
    expect(absent.verdict).toMatchObject({ verdict: 'verified', commits: { checked: false } });
    expect(absent.verdict.skipped).toContain('commits');
    expect(absent.verdict.operator_could_still?.join()).toContain('other intermediate heads');
  });

  it('that are a folder without files were not checked either', async () => {
    await folder.write([epoch], (files) => {
      removeFiles(files, 1, 'commits/');
    });
    await mkdir(`${folder.log}/${epochFolder(1)}/commits`);
    const { verdict } = await folder.verify();
    expect(verdict).toMatchObject({ verdict: 'verified', commits: { checked: false, notes: 0 } });
    expect(verdict.skipped).toContain('commits');
    expect(verdict.operator_could_still?.join()).toContain('other intermediate heads');
  });

  it('are refused when they contradict the tree or one another', async () => {
    const all = notes();
    const last = epoch.size - 1;
    const forged = epoch.signNote(epoch.notes[2]?.size ?? 0, new Uint8Array(32).fill(1));
    const bad = forgeSignature(all[2] ?? new Uint8Array());
    const cases: readonly (readonly [string, string, (files: FileMap) => void])[] = [
      ['another root', 'fork', replace(last, encodeNotes(all.with(2, forged)))],
      ['a bad signature', 'commit_mismatch', replace(last, encodeNotes(all.with(2, bad)))],
      ['no note', 'commit_mismatch', replace(last, encodeNotes(all.with(2, new Uint8Array())))],
      ['an order', 'commit_mismatch', replace(last, encodeNotes(all.toReversed()))],
      ['a repetition', 'commit_mismatch', replace(last, encodeNotes([...all, ...all]))],
      ['nothing', 'commit_mismatch', replace(last, new Uint8Array())],
      ['bytes behind', 'commit_mismatch', replace(last, lengthen(encodeNotes(all)))],
      ['a cut', 'commit_mismatch', replace(last, cut(encodeNotes(all)))],
      ['another end', 'commit_mismatch', replace(last + 1, encodeNotes(all))],
      ['a name', 'commit_mismatch', (f) => f.set(`${epochFolder(1)}/commits/x`, new Uint8Array())],
      [
        'a hole',
        'commit_mismatch',
        (f) => {
          removeFiles(f, 1, 'commits/');
          const first = epoch.notes[1]?.size ?? 0;
          f.set(`${epochFolder(1)}/${commitsPath(last, first)}`, encodeNotes(all.slice(2)));
        },
      ],
    ];
    for (const [what, expected, change] of cases) {
      expect(`${what}: ${await outcome([epoch], change)}`).toBe(`${what}: ${expected}`);
    }
  });

  it('beyond the checkpoint show what is withheld', async () => {
    // Only the full bundle is there: it serves for the partial one of size 200.
    await folder.write([long], (files) => {
      const { note } = long.notes.at(-2) ?? { note: new Uint8Array() };
      changeFile(files, 1, 'checkpoint', () => note);
      removeFiles(files, 1, 'tile/1');
    });
    const { verdict } = await folder.verifyAgain();
    expect(verdict).toMatchObject({
      verdict: 'verified',
      size: 200,
      end: 'open',
      commits: { covered_size: 300, beyond_checkpoint: { size: 300 } },
    });
    expect(verdict.operator_could_still?.join()).toContain('withhold leaves 200 to 299');
    // The signed head is remembered, so that the rest cannot disappear.
    await folder.write([long], (files) => {
      const { note } = long.notes.at(-2) ?? { note: new Uint8Array() };
      changeFile(files, 1, 'checkpoint', () => note);
      removeFiles(files, 1, 'tile/1');
      removeFiles(files, 1, 'commits/');
    });
    const again = await folder.verifyAgain();
    expect(again.verdict.code).toBe('rollback');
    await folder.forget();
  });

  it('behind a close leaf are refused', async () => {
    const beyond = epoch.signNote(epoch.size + 1, new Uint8Array(32));
    const code = await outcome([epoch], replace(epoch.size, encodeNotes([...notes(), beyond])));
    expect(code).toBe('leaf_after_close');
  });
});

describe('a chain of epochs', () => {
  it('is followed to the epoch before', async () => {
    const first = await sampleEpoch();
    const second = await sampleEpoch({ epoch: 2, previous: first.link({ clean: true }) });
    await folder.write([first, second]);
    const { verdict } = await folder.verify();
    expect(verdict).toMatchObject({
      epoch: 2,
      previous: { epoch: 1, size: first.size, clean: true, link: 'verified', changed: [] },
    });
    const before = await folder.verify('--epoch', '1');
    expect(before.verdict).toMatchObject({ epoch: 1, end: 'clean', previous: null });
    await folder.write([second]);
    const alone = await folder.verify();
    expect(alone.verdict).toMatchObject({ verdict: 'verified', previous: { link: 'not_present' } });
  });

  it('shows an unclean end', async () => {
    const first = await Epochs.create();
    first.addInput();
    first.commit();
    await folder.write([first]);
    expect((await folder.verify()).verdict).toMatchObject({ end: 'open' });
    const second = await sampleEpoch({ epoch: 2, previous: first.link() });
    await folder.write([first, second]);
    const { verdict } = await folder.verify('--epoch', '1');
    expect(verdict).toMatchObject({ end: 'unclean', close_reason: null });
    expect(verdict.operator_could_still?.join()).toContain('have cut off');
    expect((await folder.verify()).verdict.verdict).toBe('verified');
  });

  it('is refused where the epochs do not fit', async () => {
    const first = await sampleEpoch();
    const link = first.link({ clean: true });
    const root = new Uint8Array(32).fill(3);
    const other = await sampleEpoch();
    const foreign = await sampleEpoch({ configuration: { log_id: 'trackseal.test/other' } });
    const cases: readonly (readonly [string, string, Partial<typeof link>, EpochBuilder])[] = [
      ['verified', 'honest', {}, first],
      ['epoch_link', 'more than there is', { size: link.size + 1 }, first],
      ['epoch_link', 'another root', { root }, first],
      ['epoch_link', 'another key', { logKeyHash: root }, first],
      ['epoch_link', 'not closed', { clean: false }, first],
      ['epoch_link', 'another log of that name', {}, other],
      ['epoch_link', 'a log of another name', foreign.link({ clean: true }), foreign],
      [
        'rollback',
        'an older head',
        { size: link.size - 1, root: first.tree.root(link.size - 1), clean: false },
        first,
      ],
    ];
    for (const [expected, what, changes, before] of cases) {
      const second = await sampleEpoch({ epoch: 2, previous: { ...link, ...changes } });
      expect(`${what}: ${await outcome([before, second])}`).toBe(`${what}: ${expected}`);
    }
    const second = await sampleEpoch({ epoch: 2, previous: link });
    const signed = await outcome([first, second], (files) => {
      changeFile(files, 1, 'checkpoint', forgeSignature);
    });
    expect(signed).toBe('epoch_link');
    const noNote = await outcome([first, second], (files) => {
      changeFile(files, 1, 'checkpoint', cut);
    });
    expect(noNote).toBe('epoch_link');
    const noHeader = await outcome([first, second], (files) => {
      changeFile(files, 1, 'tile/entries/000.p/15', flipByte(20));
    });
    expect(noHeader).toBe('epoch_link');
    const entry = await outcome([first, second], (files) => {
      changeFile(files, 1, 'tile/entries/000.p/15', flipByte(-9));
    });
    expect(entry).toBe('epoch_link');
  });

  it('says what changed from one epoch to the next', async () => {
    const first = await sampleEpoch();
    const entry = { name: 'example', version: '1.0.1', commitment: 'ab'.repeat(32) };
    const second = await sampleEpoch({
      epoch: 2,
      previous: first.link({ clean: true }),
      configuration: { strategies: [{ ...entry, time_budget_ms: 100 }] },
      header: (header) => ({
        ...header,
        strategies: header.strategies.map((strategy) => ({
          ...strategy,
          version: '1.0.1',
          bundleCommitment: new Uint8Array(32).fill(0xab),
          parametersCommitment: new Uint8Array(32).fill(3),
        })),
      }),
    });
    await folder.write([first, second]);
    const { verdict } = await folder.verify();
    expect(verdict.strategies).toMatchObject([{ parameters_commitment: '03'.repeat(32) }]);
    expect(verdict.previous?.changed).toEqual(['configuration', 'strategies', 'parameters']);
    const { out } = await runCommand(runVerifyLog, folder.log, ...folder.trust(), '--no-heads');
    expect(out).toContain('verified; changed since: configuration, strategies, parameters');
  });

  it('is refused where no enclave made the epoch before', async () => {
    const forged = await sampleEpoch();
    const document = utf8('no document of any NSM');
    const leaf = encodePublicLeaf(
      nodeCrypto,
      {
        kind: KIND.attestation,
        timeNs: forged.nowNs,
        stream: 0,
        label: 0,
        sequence: 1,
        causes: [],
      },
      new Uint8Array(16),
      document,
    );
    const leaves = forged.leaves.with(1, leaf.bytes);
    const tree = new MemoryTree(nodeCrypto);
    for (const bytes of leaves) tree.append(leafHash(nodeCrypto, bytes));
    // The key of that log signs whatever its owner likes.
    const checkpoint = forged.signNote(forged.size, tree.root());
    const notes = [{ size: forged.size, note: checkpoint }];
    const { blobs, header } = forged;
    const link = forged.link({ clean: true, root: tree.root() });
    const second = await sampleEpoch({ epoch: 2, previous: link });
    await folder.write([{ leaves, tree, notes, checkpoint, blobs, header }, second]);
    const { exit, verdict } = await folder.verify();
    expect([exit, verdict.code, verdict.detail['cause']]).toEqual([
      1,
      'epoch_link',
      'cbor_trailing_bytes',
    ]);
    const debug = await sampleEpoch({ debugMode: true });
    const after = await sampleEpoch({ epoch: 2, previous: debug.link({ clean: true }) });
    expect(await outcome([debug, after])).toBe('epoch_link');
  });

  it('is refused where the list of unreleased outputs contradicts the epoch before', async () => {
    const first = await Epochs.create();
    first.startStrategy();
    const input = first.addInput();
    const [reported, silent] = [first.addOutput(input), first.addOutput(input)];
    first.addReport(reported);
    first.commit();
    const cases: readonly (readonly [string, readonly number[]])[] = [
      ['verified', []],
      ['verified', [silent]],
      ['epoch_link', [reported]],
      ['epoch_link', [reported, silent]],
      ['epoch_link', [input]],
    ];
    for (const [expected, unreleased] of cases) {
      const second = await Epochs.create({ epoch: 2, previous: first.link() });
      second.addRecovery(1, unreleased);
      second.commit();
      expect(`${unreleased.join()}: ${await outcome([first, second])}`).toBe(
        `${unreleased.join()}: ${expected}`,
      );
    }
  });

  it('may have been closed with nothing logged after', async () => {
    const first = await Epochs.create();
    first.add({ kind: KIND.input, stream: INPUT_STREAM }, new Uint8Array(1));
    first.commit();
    // The epoch before is only linked here: that it is itself wrong shows when it is verified.
    const second = await sampleEpoch({ epoch: 2, previous: first.link() });
    expect(await outcome([first, second])).toBe('verified');
    const before = await folder.verify('--epoch', '1');
    expect(before.verdict.code).toBe('batch_malformed');
  });
});

function notes(): Uint8Array[] {
  return epoch.notes.map(({ note }) => note);
}

/** All of commits/ is one file with these bytes. */
function replace(last: number, bytes: Uint8Array): (files: FileMap) => void {
  return (files) => {
    removeFiles(files, 1, 'commits/');
    files.set(`${epochFolder(1)}/${commitsPath(last)}`, bytes);
  };
}

function cut(bytes: Uint8Array): Uint8Array {
  return bytes.slice(0, -1);
}

function lengthen(bytes: Uint8Array): Uint8Array {
  return Uint8Array.of(...bytes, 0);
}

function claimSize(size: string): (note: Uint8Array) => Uint8Array {
  return (note) => {
    const lines = Buffer.from(note).toString('utf8').split('\n');
    return new Uint8Array(Buffer.from(lines.with(1, size).join('\n')));
  };
}
