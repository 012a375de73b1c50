import { describe, expect, it } from 'vitest';
import { EpochLog } from '../../host-proxy/epoch-log.ts';
import type { Files } from '../../host-proxy/files.ts';
import { listEpochs, readPrevious } from '../../host-proxy/previous.ts';
import { spoolDirectory } from '../../host-proxy/recovery.ts';
import { readReleases, ReleaseJournal } from '../../host-proxy/release-journal.ts';
import type { BrokenEpoch } from '../../host-proxy/settle.ts';
import {
  journalDirectory,
  readUnreleased,
  settleAll,
  settleEpoch,
} from '../../host-proxy/settle.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { clientOrderIdOf } from '../../wire/payloads.ts';
import { accept, assertAccepted, refuse } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash, verifyInclusion } from '../../wire/tlog/merkle.ts';
import { LogWriter } from '../helpers/log-writer.ts';
import { Crash, MemoryFiles } from '../helpers/memory-files.ts';
import { randomPicks } from '../helpers/random.ts';

const FOLDERS = { state: '/state', log: '/log' };

interface Epoch {
  readonly writer: LogWriter;
  readonly commits: readonly Uint8Array[];
  readonly outputs: readonly number[];
}

/** An epoch with three outputs among its leaves. */
function makeEpoch(epoch: number, leaves = 20): Epoch {
  const writer = new LogWriter(epoch);
  const commits = [writer.commit()];
  const outputs: number[] = [];
  for (let round = 0; round < 3; round++) {
    writer.addInputs(leaves);
    outputs.push(writer.add(KIND.output, new Uint8Array(50)));
    commits.push(writer.commit());
  }
  return { writer, commits, outputs };
}

/** Runs an epoch, releasing the first `released` outputs; answers what was journaled. */
async function runEpoch(
  files: Files,
  { writer, commits, outputs }: Epoch,
  released: number,
  settle: boolean,
): Promise<number[]> {
  const { epoch } = writer.header;
  const journaled: number[] = [];
  try {
    const log = await EpochLog.create({
      files,
      crypto: nodeCrypto,
      spoolDirectory: spoolDirectory(FOLDERS, epoch),
      logDirectory: FOLDERS.log,
      epoch,
      segmentBytes: 32 * 1024,
      onFailure: () => undefined,
    });
    const journal = await ReleaseJournal.create(files, journalDirectory(FOLDERS, epoch));
    for (const commit of commits) assertAccepted(await log.receive(commit));
    for (const index of outputs.slice(0, released)) {
      await journal.record(index);
      journaled.push(index);
    }
    if (!settle) return journaled;
    await log.finish();
    await journal.close();
    await settleEpoch(files, FOLDERS, epoch, outputs.slice(released), null);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  return journaled;
}

function read(disk: MemoryFiles): ReturnType<typeof readReleases> {
  return readReleases(disk, '/state/releases/0000000001');
}

function unreleasedOf(files: Files, epoch: number): readonly number[] {
  return assertAccepted(readUnreleased(files, FOLDERS, epoch));
}

describe('journal of releases', () => {
  it('keeps what was recorded, and cuts a torn record', async () => {
    const files = new MemoryFiles();
    const journal = await ReleaseJournal.create(files, '/state/releases/0000000001');
    for (const index of [7, 300, 2 ** 40]) await journal.record(index);
    expect(read(files.afterCrash('nothing'))).toEqual({
      ok: true,
      value: new Set([7, 300, 2 ** 40]),
    });
    const torn = files.afterCrash('nothing');
    torn.damage('/state/releases/0000000001/0000000000', (bytes) => bytes.slice(0, 3 * 24 - 1));
    expect(read(torn)).toEqual({ ok: true, value: new Set([7, 300]) });
    const damaged = files.afterCrash('nothing');
    damaged.damage('/state/releases/0000000001/0000000000', (bytes) => bytes.fill(9, 20, 30));
    expect(read(damaged)).toMatchObject({ ok: false, refusal: { code: 'spool_corrupt' } });
  });
});

describe('end of an epoch', () => {
  it.each([20, 300])('offers it to the next one, with %i leaves a commit', async (leaves) => {
    const files = new MemoryFiles();
    const epoch = makeEpoch(1, leaves);
    await runEpoch(files, epoch, 1, true);
    expect(unreleasedOf(files, 1)).toEqual(epoch.outputs.slice(1));
    expect(unreleasedOf(files, 2)).toEqual([]);
    const found = assertAccepted(readPrevious(files, nodeCrypto, FOLDERS, []));
    if (found === null) throw new Error('no previous epoch');
    const { previous } = found;
    const { header, key, size } = epoch.writer;
    expect(previous).toMatchObject({ origin: header.origin, logKey: key.spki });
    const head = assertAccepted(
      verifyCheckpoint(nodeCrypto, previous.note, previous.origin, previous.logKey),
    );
    expect(head).toMatchObject({ size, root: epoch.writer.root() });
    expect(previous.lastLeaf).toEqual(epoch.writer.leaves.at(-1));
    const claim = {
      index: size - 1,
      size,
      leafHash: leafHash(nodeCrypto, previous.lastLeaf),
      root: head.root,
      proof: previous.proof,
    };
    expect(verifyInclusion(nodeCrypto, claim).ok).toBe(true);
  });

  it('has no previous epoch in a new log', () => {
    const previous = readPrevious(new MemoryFiles(), nodeCrypto, FOLDERS, []);
    expect(previous).toEqual({ ok: true, value: null });
  });

  it('refuses to offer an epoch whose folder is damaged', async () => {
    const files = new MemoryFiles();
    await runEpoch(files, makeEpoch(1), 0, true);
    const damaged = files.afterCrash('everything');
    damaged.damage('/log/epochs/0000000001/checkpoint', (bytes) => {
      bytes[60] = (bytes[60] ?? 0) ^ 1;
      return bytes;
    });
    expect(readPrevious(damaged, nodeCrypto, FOLDERS, []).ok).toBe(false);
    const missing = files.afterCrash('everything');
    await missing.removeFile('/log/epochs/0000000001/tile/entries/000.p/64');
    expect(readPrevious(missing, nodeCrypto, FOLDERS, [])).toMatchObject({
      refusal: { code: 'tile_missing' },
    });
  });

  it('lists exactly the outputs that were never journaled, after a crash at any moment', async () => {
    const epoch = makeEpoch(1);
    const whole = new MemoryFiles();
    await runEpoch(whole, epoch, 1, true);
    for (let crashAt = 0; crashAt < whole.operations; crashAt++) {
      const files = new MemoryFiles();
      files.crashAt = crashAt;
      const journaled = await runEpoch(files, epoch, 1, true);
      for (const survival of ['nothing', 'everything', randomPicks(crashAt)] as const) {
        const disk = files.afterCrash(survival);
        const again = disk.afterCrash('everything');
        assertAccepted(await settleAll(disk, nodeCrypto, FOLDERS));
        const unreleased = unreleasedOf(disk, 1);
        const logged = epoch.outputs.filter((index) => index < sizeOf(disk));
        // A journal record can survive without having been confirmed; a confirmed one always does.
        expect(logged.filter((index) => !journaled.includes(index))).toEqual(
          expect.arrayContaining([...unreleased]),
        );
        expect(unreleased.some((index) => journaled.includes(index))).toBe(false);
        expect(unreleased.length).toBeGreaterThanOrEqual(logged.length - journaled.length - 1);
        expect(disk.list('/state/spool')).toEqual([]);
        expect(disk.list('/state/releases')).toEqual([]);
        // A crash in the middle of settling, and settling again: the same.
        again.crashAt = crashAt % 40;
        await settleAll(again, nodeCrypto, FOLDERS).catch(() => null);
        const later = again.afterCrash('nothing');
        assertAccepted(await settleAll(later, nodeCrypto, FOLDERS));
        expect(unreleasedOf(later, 1)).toEqual(unreleased);
      }
    }
  });

  it('refuses a list of unreleased outputs with any damage', async () => {
    const files = new MemoryFiles();
    await runEpoch(files, makeEpoch(1), 1, true);
    const path = '/state/unreleased-outputs';
    for (let at = 0; at < (files.size(path) ?? 0); at++) {
      const disk = files.afterCrash('nothing');
      disk.damage(path, (bytes) => bytes.with(at, (bytes[at] ?? 0) ^ 1));
      expect(readUnreleased(disk, FOLDERS, 1)).toMatchObject({
        refusal: { code: 'spool_corrupt' },
      });
    }
    // Nothing is known in a state folder that is new.
    await files.removeFile(path);
    expect(unreleasedOf(files, 1)).toEqual([]);
  });

  it('refuses a log that has lost its end, when an output beyond it was released', async () => {
    const files = new MemoryFiles();
    const epoch = makeEpoch(1);
    await runEpoch(files, epoch, 3, false);
    const disk = files.afterCrash('nothing');
    // The last group, which nothing behind it proves: its output was released all the same.
    const path = `${spoolDirectory(FOLDERS, 1)}/0000000000`;
    const used = Buffer.from(disk.readFile(path, 1 << 24) ?? []).lastIndexOf('\n');
    disk.damage(path, (bytes) => bytes.fill(0, used));
    const settled = await settleAll(disk, nodeCrypto, FOLDERS);
    expect(settled).toMatchObject({
      refusal: { code: 'spool_corrupt', detail: { epoch: 1, released_leaf: epoch.outputs[2] } },
    });
    expect(disk.list('/state/spool')).toHaveLength(1);
    expect(disk.list('/state/releases')).toHaveLength(1);
  });

  it('lets execution look at what was released before it forgets it', async () => {
    const files = new MemoryFiles();
    const epoch = makeEpoch(1);
    await runEpoch(files, epoch, 2, false);
    const disk = files.afterCrash('nothing');
    const refused = refuse('spool_corrupt');
    expect(await settleAll(disk, nodeCrypto, FOLDERS, () => Promise.resolve(refused))).toBe(
      refused,
    );
    const seen: BrokenEpoch[] = [];
    const settled = await settleAll(disk, nodeCrypto, FOLDERS, (broken) => {
      seen.push(broken);
      expect(disk.list('/state/releases')).toHaveLength(1);
      return Promise.resolve(accept(null));
    });
    assertAccepted(settled);
    const idOf = (index: number): string =>
      clientOrderIdOf(leafHash(nodeCrypto, epoch.writer.leaves[index] ?? new Uint8Array()));
    expect(seen).toEqual([
      {
        origin: epoch.writer.header.origin,
        from: 0,
        outputs: new Map(epoch.outputs.map((index) => [index, idOf(index)])),
        reported: new Set(),
        released: new Set(epoch.outputs.slice(0, 2)),
      },
    ]);
  });

  it('settles one epoch after the other', async () => {
    const files = new MemoryFiles();
    await runEpoch(files, makeEpoch(1), 3, true);
    const second = makeEpoch(2);
    await runEpoch(files, second, 1, false);
    const disk = files.afterCrash('nothing');
    const settled = assertAccepted(await settleAll(disk, nodeCrypto, FOLDERS));
    expect(settled).toMatchObject([{ epoch: 2, commits: 4 }]);
    expect([...(settled[0]?.outputs.keys() ?? [])]).toEqual(second.outputs);
    expect(listEpochs(disk, FOLDERS)).toEqual([1, 2]);
    expect(unreleasedOf(disk, 2)).toEqual(second.outputs.slice(1));
    expect(assertAccepted(readPrevious(disk, nodeCrypto, FOLDERS, []))?.epoch).toBe(2);
  });
});

/** Leaves under the checkpoint of the folder. */
function sizeOf(files: MemoryFiles): number {
  const note = files.readFile('/log/epochs/0000000001/checkpoint', 4096);
  return Number(
    Buffer.from(note ?? [])
      .toString()
      .split('\n')[1] ?? 0,
  );
}
