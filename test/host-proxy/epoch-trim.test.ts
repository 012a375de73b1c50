import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEpochStart } from '../../host-proxy/epoch-start.ts';
import { spoolDirectory } from '../../host-proxy/recovery.ts';
import { segmentPath } from '../../host-proxy/spool.ts';
import { toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { LongEpochOptions, Recovered, Round } from '../helpers/long-epoch.ts';
import {
  KeepingFiles,
  LONG_FOLDERS,
  recoverLongEpoch,
  runLongEpoch,
} from '../helpers/long-epoch.ts';
import type { Survival } from '../helpers/memory-files.ts';
import { Crash, MemoryFiles } from '../helpers/memory-files.ts';
import { randomPicks } from '../helpers/random.ts';

const SEGMENT_BYTES: number = 8 * 1024;
const SPOOL: string = spoolDirectory(LONG_FOLDERS, 1);
const START = `${SPOOL}/start`;

const round: fc.Arbitrary<Round> = fc.record({
  inputs: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(254, 255, 256)),
  inputBytes: fc.integer({ min: 1, max: 300 }),
  blob: fc.integer({ min: 0, max: 20 }).map((pick) => pick === 0),
  outputs: fc.integer({ min: 0, max: 4 }),
  releases: fc.integer({ min: 0, max: 4 }),
  decisions: fc.integer({ min: 0, max: 4 }),
  reports: fc.integer({ min: 0, max: 4 }),
  unshipped: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 10 })),
  turns: fc.constantFrom(0, 0, 1, 8),
});

/** Rounds of about a segment each, with an output that waits for each of its steps. */
function steadyRounds(count: number, change: Partial<Round> = {}): readonly Round[] {
  return Array.from({ length: count }, (_, at) => ({
    inputs: 60 + (at % 7),
    inputBytes: 40 + at,
    blob: at === 3,
    outputs: 2,
    releases: at % 3,
    decisions: at % 4,
    reports: 2,
    unshipped: null,
    turns: 8,
    ...change,
  }));
}

const SURVIVALS: readonly ((seed: number) => Survival)[] = [
  () => 'nothing',
  () => 'everything',
  (seed) => randomPicks(seed),
];

function digestsOf(commits: readonly Uint8Array[]): readonly string[] {
  return commits.map((commit) => toHex(nodeCrypto.sha256(commit)));
}

/** Runs to the crash; the recovery with and without what was dropped, which must be the same. */
async function crashAndCompare(
  options: LongEpochOptions,
  crashAt: number,
  survival: Survival,
  survivalAgain: Survival = survival,
): Promise<{
  readonly recovered: Recovered;
  readonly dropped: number;
  readonly disk: MemoryFiles;
}> {
  const files = new KeepingFiles();
  files.crashAt = crashAt;
  const { commits, acknowledged, released, dropped } = await runLongEpoch(files, options);
  const disk = files.afterCrash(survival);
  const left = disk.afterCrash('everything');
  const whole = await files.withAll(files.afterCrash(survivalAgain));
  const recovered = await recoverLongEpoch(disk);
  expect(recovered).toEqual(await recoverLongEpoch(whole));
  // Nothing that was acknowledged or released is lost, and what would be shipped is what was sent.
  const found = recovered.epochs[0] === undefined ? 0 : recovered.commits.length;
  expect(found).toBeGreaterThanOrEqual(acknowledged);
  expect(recovered.commits).toEqual(digestsOf(commits.slice(0, found)));
  expect(recovered.unreleased.some((leaf) => released.includes(leaf))).toBe(false);
  return { recovered, dropped, disk: left };
}

describe('the spool of a running epoch', () => {
  it('drops what is published and shipped, and a recovery is that of a whole one', async () => {
    let drops = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(round, { minLength: 1, maxLength: 40 }),
        fc.option(fc.integer({ min: 0, max: 1500 })),
        fc.integer({ min: 0, max: 2 }),
        fc.integer(),
        async (rounds, crashAt, pick, seed) => {
          const survivalOf = SURVIVALS[pick] ?? SURVIVALS[0] ?? ((): Survival => 'nothing');
          const { dropped } = await crashAndCompare(
            { segmentBytes: SEGMENT_BYTES, rounds },
            crashAt ?? Number.POSITIVE_INFINITY,
            survivalOf(seed),
            survivalOf(seed),
          );
          drops += dropped;
        },
      ),
      { numRuns: 60 },
    );
    // The samples are worth something only if files were dropped in them.
    expect(drops).toBeGreaterThan(20);
  });

  it('loses nothing in a crash at any step of the dropping', async () => {
    const options = { segmentBytes: SEGMENT_BYTES, rounds: steadyRounds(12) };
    const steps = new KeepingFiles();
    const paths: string[] = [];
    steps.crashWhen = (operation, path) => {
      paths.push(`${operation} ${path}`);
      return false;
    };
    await runLongEpoch(steps, options);
    const first = paths.findIndex((step) => step.includes(START));
    const last = paths.findLastIndex((step) => step.startsWith(`unlink ${SPOOL}/`));
    expect(last).toBeGreaterThan(first);
    let drops = 0;
    // The first dropping in single steps, the others in longer ones.
    for (let crashAt = first - 2; crashAt < last + 3; crashAt += crashAt < first + 20 ? 1 : 61) {
      for (const survivalOf of SURVIVALS) {
        const survival = survivalOf(crashAt);
        drops += (await crashAndCompare(options, crashAt, survival, survivalOf(crashAt))).dropped;
      }
    }
    expect(drops).toBeGreaterThan(10);
  });

  it('is recovered again after a crash at any step of the recovery', async () => {
    const options = { segmentBytes: SEGMENT_BYTES, rounds: steadyRounds(12) };
    const files = new KeepingFiles();
    const { dropped } = await runLongEpoch(files, options);
    expect(dropped).toBeGreaterThan(3);
    const expected = await recoverLongEpoch(files.afterCrash('nothing'));
    let steps = 0;
    for (let crashAt = 0; ; crashAt += 3) {
      const disk = files.afterCrash('nothing');
      disk.crashAt = crashAt;
      const ended = await recoverLongEpoch(disk).catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
        return null;
      });
      if (ended !== null) break;
      steps++;
      const again = disk.afterCrash(randomPicks(crashAt));
      // Settled or not when it crashed: what is there afterwards is the same.
      const { log, unreleased, previous, journal, unshipped } = await recoverLongEpoch(again);
      expect({ log, unreleased, previous, journal, unshipped }).toEqual({
        log: expected.log,
        unreleased: expected.unreleased,
        previous: expected.previous,
        journal: expected.journal,
        unshipped: expected.unshipped,
      });
    }
    expect(steps).toBeGreaterThan(10);
  });

  it('stays within a few segments, however long the epoch is', async () => {
    const kept: number[] = [];
    const disk = new MemoryFiles();
    const inSpool = (): number =>
      [...disk.contents('/state').values()].reduce((sum, { length }) => sum + length, 0);
    const end = await runLongEpoch(disk, {
      segmentBytes: SEGMENT_BYTES,
      rounds: steadyRounds(150, { blob: false, releases: 4, decisions: 4 }),
      look: (log, { leaves }) => {
        kept.push(log.counters.keptBytes);
        // What is read from the spool is still there, and what is not is in the folder.
        const { acknowledgedSize: size } = log;
        for (let at = size - 1; at >= 0; at -= at > size - 600 ? 7 : 997) {
          expect(log.leaf(at)).toEqual(leaves[at]);
        }
      },
    });
    const written = end.commits.reduce((sum, { length }) => sum + length, 0);
    // The segments of what the folder has not in full bundles, the one before them, and the prepared one.
    const bound = 20 * SEGMENT_BYTES;
    expect(written).toBeGreaterThan(10 * bound);
    expect(Math.max(...kept)).toBeLessThan(bound);
    expect(inSpool()).toBeGreaterThan(0);
  });

  it('keeps what is not shipped, to the commit', async () => {
    const files = new KeepingFiles();
    const { commits } = await runLongEpoch(files, {
      segmentBytes: SEGMENT_BYTES,
      rounds: steadyRounds(40, { unshipped: 25 }),
    });
    const names = files.list(SPOOL).filter((name) => /^\d+$/u.test(name));
    const bytes = names.reduce((sum, name) => sum + (files.size(`${SPOOL}/${name}`) ?? 0), 0);
    const unshipped = commits.slice(-25).reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeGreaterThanOrEqual(unshipped);
    expect(bytes).toBeLessThan(unshipped + 4 * SEGMENT_BYTES);
  });
});

describe('the start of a spool', () => {
  const options = { segmentBytes: SEGMENT_BYTES, rounds: steadyRounds(12) };

  async function trimmed(): Promise<MemoryFiles> {
    const files = new KeepingFiles();
    expect((await runLongEpoch(files, options)).dropped).toBeGreaterThan(3);
    return files.afterCrash('nothing');
  }

  it('refuses any damage, before anything is changed', async () => {
    const files = await trimmed();
    const bytes = files.size(START) ?? 0;
    const before = files.contents('');
    for (let at = 0; at < bytes; at += 13) {
      const disk = files.afterCrash('nothing');
      disk.damage(START, (start) => start.with(at, (start[at] ?? 0) ^ 1));
      await expect(recoverLongEpoch(disk)).rejects.toThrow('spool_corrupt');
      expect(disk.contents('').size).toBe(before.size);
    }
  });

  it.each([
    ['without the start', START, null],
    ['without its first segment', 'first', null],
    ['with a tile that is another', '/log/epochs/0000000001/tile/0/000', 5],
    ['with leaves that are others', '/log/epochs/0000000001/tile/entries/000', 40],
    ['without a tile', '/log/epochs/0000000001/tile/0/001', null],
  ])('refuses a disk %s', async (_, path, at) => {
    const disk = await trimmed();
    const start = assertAccepted(readEpochStart(disk, SPOOL, 1));
    const file = path === 'first' ? segmentPath(SPOOL, start?.spool.segment ?? 0) : path;
    if (at === null) await disk.removeFile(file);
    else disk.damage(file, (bytes) => bytes.with(at, (bytes[at] ?? 0) ^ 1));
    await expect(recoverLongEpoch(disk)).rejects.toThrow('spool_corrupt');
  });

  it('refuses a spool that ends before its start', async () => {
    const disk = await trimmed();
    const start = assertAccepted(readEpochStart(disk, SPOOL, 1));
    const segments = disk.list(SPOOL).filter((name) => /^\d+$/u.test(name));
    for (const name of segments) {
      if (Number(name) < (start?.spool.segment ?? 0)) continue;
      disk.damage(`${SPOOL}/${name}`, (bytes) => bytes.fill(0));
    }
    await expect(recoverLongEpoch(disk)).rejects.toThrow('spool_corrupt');
  });

  it('refuses an execution journal that does not know what was closed', async () => {
    const nothing = { outputs: 0, releases: 9, decisions: 9, reports: 9 };
    const files = new KeepingFiles();
    await runLongEpoch(files, {
      segmentBytes: SEGMENT_BYTES,
      rounds: [...steadyRounds(6), ...steadyRounds(12, nothing)],
    });
    const disk = files.afterCrash('nothing');
    expect(assertAccepted(readEpochStart(disk, SPOOL, 1))?.outputs).toEqual([]);
    const older = disk.afterCrash('nothing');
    for (const path of older.contents('/state/execution').keys()) {
      await older.removeFile(`/state/execution/${path}`);
    }
    await recoverLongEpoch(disk);
    await expect(recoverLongEpoch(older)).rejects.toThrow('spool_corrupt');
  });
});
