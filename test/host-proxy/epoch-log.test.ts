import { beforeAll, describe, expect, it } from 'vitest';
import { FolderConflict } from '../../host-proxy/epoch-folder.ts';
import { DiskRoom } from '../../host-proxy/disk-room.ts';
import { EpochLog } from '../../host-proxy/epoch-log.ts';
import type { EpochLogOptions } from '../../host-proxy/epoch-log-options.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { DiskFailure } from '../../host-proxy/files.ts';
import type { Files } from '../../host-proxy/files.ts';
import type { RecoveredEpoch } from '../../host-proxy/recovery.ts';
import {
  completeFolder,
  listSpools,
  removeSpool,
  spoolDirectory,
} from '../../host-proxy/recovery.ts';
import { readU32, toHex } from '../../wire/bytes.ts';
import { parseCommit } from '../../wire/commit.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { clientOrderIdOf } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash, MemoryTree, verifyInclusion } from '../../wire/tlog/merkle.ts';
import { encodeEntryBundle, entriesPath, tilePath, tilesOf } from '../../wire/tlog/tile.ts';
import { LogWriter } from '../helpers/log-writer.ts';
import { Crash, MemoryFiles } from '../helpers/memory-files.ts';
import { randomPicks } from '../helpers/random.ts';

const FOLDERS = { state: '/state', log: '/log' };

function optionsOf(files: Files, epoch = 1): EpochLogOptions {
  return {
    files,
    crypto: nodeCrypto,
    spoolDirectory: spoolDirectory(FOLDERS, epoch),
    logDirectory: FOLDERS.log,
    epoch,
    segmentBytes: 256 * 1024,
    onFailure: () => undefined,
  };
}

/** The files that tlog-tiles prescribes for these leaves, from an implementation of its own. */
function expectedTiles(leaves: readonly Uint8Array[], size: number): Map<string, Uint8Array> {
  const tree = new MemoryTree(nodeCrypto);
  for (const leaf of leaves) tree.append(leafHash(nodeCrypto, leaf));
  const files = new Map<string, Uint8Array>();
  for (const { level, index, width } of tilesOf(size)) {
    const first = index * 256;
    const hashes = Array.from({ length: width }, (_, at) => tree.node(level * 8, first + at));
    files.set(
      tilePath(level, index, width),
      Buffer.concat(hashes.map((hash) => hash ?? new Uint8Array())),
    );
    if (level === 0) {
      files.set(entriesPath(index, width), encodeEntryBundle(leaves.slice(first, first + width)));
    }
  }
  return files;
}

/** Path below the epoch's folder → bytes, without partial tiles of earlier checkpoints. */
function finalFiles(
  files: MemoryFiles,
  size: number,
  epoch = '0000000001',
): Map<string, Uint8Array> {
  const partials = new Set<string>();
  for (const { level, index, width } of tilesOf(size)) {
    partials.add(tilePath(level, index, width));
    if (level === 0) partials.add(entriesPath(index, width));
  }
  const found = files.contents(`/log/epochs/${epoch}`);
  return new Map([...found].filter(([path]) => !path.includes('.p/') || partials.has(path)));
}

function digests(files: Map<string, Uint8Array>): Map<string, string> {
  return new Map(
    [...files]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, bytes]) => [path, `${bytes.length} ${toHex(nodeCrypto.sha256(bytes))}`]),
  );
}

/** What the checkpoint in the folder says; 0 without one. */
function publishedSize(files: MemoryFiles, { header, key }: LogWriter): number {
  const note = files.readFile('/log/epochs/0000000001/checkpoint', 4096);
  if (note === null) return 0;
  return assertAccepted(verifyCheckpoint(nodeCrypto, note, header.origin, key.spki)).size;
}

const expectedDigests = new Map<number, Map<string, string>>();

/** All that the checkpoint covers is there, whole, before any recovery. */
function assertCovered(files: MemoryFiles, writer: LogWriter): void {
  const size = publishedSize(files, writer);
  const expected = expectedDigests.get(size) ?? digests(expectedTiles(writer.leaves, size));
  expectedDigests.set(size, expected);
  const found = finalFiles(files, size);
  const tiles = new Map([...found].filter(([path]) => expected.has(path)));
  expect(digests(tiles)).toEqual(expected);
}

interface Run {
  /** Leaves that were acknowledged. */
  readonly acknowledged: number;
}

async function run(files: Files, commits: readonly Uint8Array[]): Promise<Run> {
  let acknowledged = 0;
  try {
    const log = await EpochLog.create(optionsOf(files));
    for (const commit of commits) {
      const received = assertAccepted(await log.receive(commit));
      acknowledged = received.ack.size;
    }
    await log.finish();
    await removeSpool(files, spoolDirectory(FOLDERS, 1));
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  return { acknowledged };
}

async function recover(files: Files): Promise<readonly RecoveredEpoch[]> {
  const recovered: RecoveredEpoch[] = [];
  for (const epoch of await listSpools(files, FOLDERS)) {
    recovered.push(assertAccepted(await completeFolder(files, nodeCrypto, FOLDERS, epoch)));
    await removeSpool(files, spoolDirectory(FOLDERS, epoch));
  }
  return recovered;
}

function roomWithoutPauses(): DiskRoom {
  return new DiskRoom({
    logger: createLogger({ level: 'error', write: () => undefined, now: () => new Date(0) }),
    places: [{ name: 'log', directory: '/log' }],
    sleep: () => new Promise((resolve) => setImmediate(resolve)),
  });
}

describe('log of an epoch', () => {
  const writer = new LogWriter();
  const commits: Uint8Array[] = [];
  const folders = new Map<number, Map<string, string>>();

  /** The folder of a run with the commits up to `size`, which nothing interrupts. */
  const uninterrupted = async (size: number): Promise<Map<string, string>> => {
    const known = folders.get(size);
    if (known !== undefined) return known;
    const files = new MemoryFiles();
    const kept = commits.filter((commit) => {
      const { firstIndex, leaves } = assertAccepted(parseCommit(commit));
      return firstIndex + leaves.length <= size;
    });
    await run(files, kept);
    const folder = digests(finalFiles(files, size));
    folders.set(size, folder);
    return folder;
  };

  beforeAll(() => {
    commits.push(writer.commit());
    writer.addInputs(254);
    writer.add(KIND.output, new Uint8Array(100));
    commits.push(writer.commit());
    // A public payload beyond a leaf's size goes to a blob.
    writer.add(KIND.input, new Uint8Array(70_000).fill(5));
    writer.addInputs(300);
    commits.push(writer.commit());
    for (let count = 0; count < 4; count++) {
      writer.addInputs(2);
      commits.push(writer.commit());
    }
  });

  it('writes the folder that tlog-tiles prescribes, read-only', async () => {
    const files = new MemoryFiles();
    const { acknowledged } = await run(files, commits);
    expect(acknowledged).toBe(writer.size);
    const expected = expectedTiles(writer.leaves, writer.size);
    const found = finalFiles(files, writer.size);
    const tiles = new Map([...found].filter(([path]) => path.startsWith('tile/')));
    expect(digests(tiles)).toEqual(digests(expected));
    for (const path of files.contents('/log').keys()) {
      expect([path, files.mode(`/log/${path}`)]).toEqual([
        path,
        path.endsWith('checkpoint') ? 0o644 : 0o444,
      ]);
    }
    expect(files.contents('/log/blobs').size).toBe(1);
    expect(files.list('/log/tmp')).toEqual([]);
    expect(files.list('/state/spool')).toEqual([]);
  });

  it('keeps the note of every commit, and the last as checkpoint', async () => {
    const files = new MemoryFiles();
    await run(files, commits);
    const last = String(writer.size - 1).padStart(20, '0');
    const bytes =
      files.readFile(`/log/epochs/0000000001/commits/${'0'.repeat(20)}-${last}`, 1 << 20) ??
      new Uint8Array();
    const notes: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 4 + readU32(bytes, at);
      notes.push(bytes.slice(at + 4, end));
      at = end;
    }
    expect(notes).toEqual(
      commits.map((commit) => assertAccepted(parseCommit(commit)).note.slice()),
    );
    const checkpoint =
      files.readFile('/log/epochs/0000000001/checkpoint', 4096) ?? new Uint8Array();
    expect(checkpoint).toEqual(notes.at(-1));
    const { origin } = writer.header;
    expect(
      assertAccepted(verifyCheckpoint(nodeCrypto, checkpoint, origin, writer.key.spki)),
    ).toEqual({ origin, size: writer.size, root: writer.root() });
  });

  it('answers leaves and proofs of what is acknowledged, published or not', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(files));
    const check = (): void => {
      const size = log.acknowledgedSize;
      for (let index = 0; index < size; index += 1 + (index % 7)) {
        const leaf = log.leaf(index);
        expect(leaf).toEqual(writer.leaves[index]);
        const answer = log.inclusion(index);
        if (leaf === null || answer === null) throw new Error(`no answer at ${index}`);
        const claim = { ...answer, index, leafHash: leafHash(nodeCrypto, leaf) };
        expect(verifyInclusion(nodeCrypto, claim).ok).toBe(true);
      }
      expect(log.leaf(size)).toBeNull();
      expect(log.inclusion(size)).toBeNull();
      expect(log.leaf(-1)).toBeNull();
    };
    for (const commit of commits) {
      await log.receive(commit);
      check();
    }
    await log.finish();
    check();
  });

  it('answers nothing about a commit that is not durable yet', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(files));
    const gate = Promise.withResolvers<null>();
    files.beforeSync = async () => {
      await gate.promise;
    };
    const received = log.receive(commits[0] ?? new Uint8Array());
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.leaf(0)).toBeNull();
    expect(log.inclusion(0)).toBeNull();
    expect(log.acknowledgedSize).toBe(0);
    gate.resolve(null);
    expect((await received).ok).toBe(true);
    expect(log.leaf(0)).toEqual(writer.leaves[0]);
  });

  it('recovers the same folder after a crash between any two operations', async () => {
    const whole = new MemoryFiles();
    await run(whole, commits);
    let crashes = 0;
    for (let crashAt = 0; crashAt < whole.operations; crashAt++) {
      const files = new MemoryFiles();
      files.crashAt = crashAt;
      const { acknowledged } = await run(files, commits);
      for (const survival of ['nothing', 'everything', randomPicks(crashAt)] as const) {
        const disk = files.afterCrash(survival);
        assertCovered(disk, writer);
        await recover(disk);
        const size = publishedSize(disk, writer);
        expect(size).toBeGreaterThanOrEqual(acknowledged);
        expect(digests(finalFiles(disk, size))).toEqual(await uninterrupted(size));
        expect(disk.list('/state/spool')).toEqual([]);
        crashes++;
      }
    }
    expect(crashes).toBeGreaterThan(100);
  });

  it('is durable after a kill at any moment, a recovery, and a loss of power', async () => {
    const whole = new MemoryFiles();
    await run(whole, commits);
    for (let crashAt = 0; crashAt <= whole.operations; crashAt++) {
      const files = new MemoryFiles();
      files.crashAt = crashAt;
      const { acknowledged } = await run(files, commits);
      const restarted = files.afterKill();
      await recover(restarted);
      const disk = restarted.afterCrash('nothing');
      await recover(disk);
      const size = publishedSize(disk, writer);
      expect(size).toBeGreaterThanOrEqual(acknowledged);
      expect(size).toBe(publishedSize(restarted, writer));
      assertCovered(disk, writer);
    }
  });

  it('recovers after a crash between any two operations of the recovery itself', async () => {
    const crashed = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(crashed));
    for (const commit of commits) await log.receive(commit);
    const start = crashed.afterCrash('nothing');
    const whole = start.afterCrash('everything');
    await recover(whole);
    for (let crashAt = 0; crashAt < whole.operations; crashAt++) {
      const files = start.afterCrash('everything');
      files.crashAt = crashAt;
      await expect(recover(files)).rejects.toThrow(Crash);
      const disk = files.afterCrash(crashAt % 2 === 0 ? 'nothing' : randomPicks(crashAt));
      await recover(disk);
      expect(digests(disk.contents('/log/epochs'))).toEqual(digests(whole.contents('/log/epochs')));
      // And what it wrote survives the next loss of power.
      const durable = disk.afterCrash('nothing');
      for (const folder of ['/log/epochs', '/log/blobs']) {
        expect(digests(durable.contents(folder))).toEqual(digests(whole.contents(folder)));
      }
    }
  });

  it('acknowledges commits that arrive together, in order, and syncs them together', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(files));
    const order: number[] = [];
    await Promise.all(
      commits.map(async (commit) => {
        const received = assertAccepted(await log.receive(commit));
        order.push(received.ack.size);
      }),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order.at(-1)).toBe(writer.size);
    expect(log.counters.groups).toBeLessThan(commits.length);
    await log.finish();
  });

  it('reads commits back from the spool when they wait too long for the folder', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create({ ...optionsOf(files), maxKeptBytes: 1000 });
    for (const commit of commits) await log.receive(commit);
    expect(log.leaf(560)).toEqual(writer.leaves[560]);
    await log.finish();
    const expected = expectedTiles(writer.leaves, writer.size);
    const found = finalFiles(files, writer.size);
    expect([...expected.keys()].every((path) => found.has(path))).toBe(true);
  });

  it('keeps the newest commits in memory, as many as may be, and reads none of them back', async () => {
    const files = new MemoryFiles();
    const small = new LogWriter();
    const payloads = [small.commit()];
    for (let count = 0; count < 20; count++) {
      small.addInputs(1, 1000);
      payloads.push(small.commit());
    }
    const bytes = payloads.at(-1)?.length ?? 0;
    const maxKeptBytes = 3 * bytes + 100;
    const log = await EpochLog.create({ ...optionsOf(files), maxKeptBytes });
    const reads: string[] = [];
    const readAt = files.readAt.bind(files);
    files.readAt = (path, position, length) => {
      reads.push(path);
      return readAt(path, position, length);
    };
    for (const payload of payloads) {
      await log.receive(payload);
      // The publisher takes it, although no checkpoint covers it yet.
      while (log.waiting.unpublishedCommits > 0) await new Promise(setImmediate);
      expect(log.waiting.keptBytes).toBeLessThanOrEqual(maxKeptBytes);
    }
    for (const index of [20, 19, 18]) expect(log.leaf(index)).toEqual(small.leaves[index]);
    expect(reads).toEqual([]);
    expect(log.leaf(17)).toEqual(small.leaves[17]);
    expect(reads).toHaveLength(1);
    await log.finish();
  });

  it('writes the same folder when the disk is full at any one of its operations', async () => {
    const whole = new MemoryFiles();
    await run(whole, commits);
    const expected = await uninterrupted(writer.size);
    let held = 0;
    for (let at = 0; at < whole.operations; at++) {
      const files = new MemoryFiles();
      const room = roomWithoutPauses();
      let full = false;
      files.refuse = (operation) => {
        // Once; syncs are not tried again.
        if (full || files.operations <= at || /sync|close|rmdir/u.test(operation)) return null;
        full = true;
        held++;
        return 'ENOSPC';
      };
      const { acknowledged } = await run(room.filesOf(files), commits);
      expect([at, acknowledged, room.held]).toEqual([at, writer.size, 0]);
      expect(digests(finalFiles(files, writer.size))).toEqual(expected);
      expect(files.list('/log/tmp')).toEqual([]);
    }
    expect(held).toBeGreaterThan(100);
  });

  it.each([
    ['leaves', { maxUnpublishedLeaves: 561 }, (acks: number) => acks === 5],
    ['commits', { maxUnpublishedCommits: 2 }, (acks: number) => acks < 7],
  ])(
    'acknowledges no more than a bound in %s ahead of a folder that takes nothing, and then all in order',
    async (_, bound, isBounded) => {
      const files = new MemoryFiles();
      const room = roomWithoutPauses();
      const log = await EpochLog.create({ ...optionsOf(room.filesOf(files)), ...bound });
      files.refuse = (operation, path) =>
        operation === 'create' && path.startsWith('/log/') ? 'ENOSPC' : null;
      const sizes = [1, 256, 557, 559, 561, 563, 565];
      const acks: number[] = [];
      const received = commits.map(async (commit) => {
        acks.push(assertAccepted(await log.receive(commit)).ack.size);
      });
      while (log.acknowledgedSize < writer.size) await new Promise(setImmediate);
      await new Promise((resolve) => setTimeout(resolve, 20));
      // Durable and readable, but the enclave does not hear of it.
      expect(isBounded(acks.length)).toBe(true);
      expect(acks).toEqual(sizes.slice(0, acks.length));
      expect(log.waiting).toMatchObject({ unpublishedLeaves: 565, spoolBytes: 0 });
      expect(log.leaf(564)).toEqual(writer.leaves[564]);
      files.refuse = () => null;
      await Promise.all(received);
      expect(acks).toEqual(sizes);
      await log.finish();
      expect(log.waiting.unpublishedLeaves).toBe(0);
      assertCovered(files, writer);
    },
  );

  it('fails who waits for a folder that then fails', async () => {
    const files = new MemoryFiles();
    const failures: unknown[] = [];
    const log = await EpochLog.create({
      ...optionsOf(files),
      maxUnpublishedLeaves: 0,
      onFailure: (error) => failures.push(error),
    });
    files.refuse = (operation, path) =>
      operation === 'create' && path.startsWith('/log/') ? 'EIO' : null;
    await expect(log.receive(commits[0] ?? new Uint8Array())).rejects.toThrow(DiskFailure);
    expect(failures).toHaveLength(1);
  });

  it('reports an outputs list and a cut tail at recovery', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(files));
    for (const commit of commits) await log.receive(commit);
    const disk = files.afterCrash('nothing');
    const path = `${spoolDirectory(FOLDERS, 1)}/0000000000`;
    const used = Buffer.from(disk.readFile(path, 1 << 20) ?? []).lastIndexOf('\n');
    disk.damage(path, (bytes) => bytes.fill(0, used));
    const [recovered] = await recover(disk);
    expect(recovered).toMatchObject({ epoch: 1, commits: 6, closed: false });
    const id = clientOrderIdOf(leafHash(nodeCrypto, writer.leaves[255] ?? new Uint8Array()));
    expect([...(recovered?.outputs ?? [])]).toEqual([[255, id]]);
    expect(recovered?.cutBytes).toBeGreaterThan(0);
  });

  it('refuses a spool that ends before the published checkpoint', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(files));
    for (const commit of commits) await log.receive(commit);
    await log.finish();
    const path = `${spoolDirectory(FOLDERS, 1)}/0000000000`;
    const used = Buffer.from(files.readFile(path, 1 << 20) ?? []).lastIndexOf('\n');
    files.damage(path, (bytes) => bytes.fill(0, used));
    const result = await completeFolder(files, nodeCrypto, FOLDERS, 1);
    expect(result).toMatchObject({ ok: false, refusal: { code: 'spool_corrupt' } });
  });

  it('never replaces a file of the log folder by other bytes', async () => {
    const files = new MemoryFiles();
    const log = await EpochLog.create(optionsOf(files));
    for (const commit of commits) await log.receive(commit);
    await log.finish();
    const path = '/log/epochs/0000000001/tile/entries/000';
    files.damage(path, (bytes) => {
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      return bytes;
    });
    await expect(completeFolder(files, nodeCrypto, FOLDERS, 1)).rejects.toThrow(FolderConflict);
  });

  it('stops when the folder cannot be synced, and acknowledges nothing more after it', async () => {
    const files = new MemoryFiles();
    const failures: unknown[] = [];
    const log = await EpochLog.create({
      ...optionsOf(files),
      onFailure: (error) => failures.push(error),
    });
    const syncs = files.trace.filter((line) => line.startsWith('fsync /')).length;
    files.fault = { operation: 'fsync', at: syncs, systemCode: 'EIO' };
    for (const commit of commits.slice(0, 2)) await log.receive(commit);
    while (failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toHaveLength(1);
    expect(failures[0]).toBeInstanceOf(DiskFailure);
    await expect(log.receive(commits[2] ?? new Uint8Array())).rejects.toThrow(DiskFailure);
    await expect(log.finish()).rejects.toThrow(DiskFailure);
  });
});
