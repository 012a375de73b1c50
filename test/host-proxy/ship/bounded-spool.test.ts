import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EpochLog } from '../../../host-proxy/epoch-log.ts';
import { listUnshipped, locateSpool } from '../../../host-proxy/ship/unshipped.ts';
import { StoreError } from '../../../wire/node/objects/store.ts';
import { LogWriter } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import {
  SHIP_FOLDERS,
  SHIP_SEGMENT_BYTES,
  ShipHost,
  shipRest,
  wholeEpoch,
} from '../../helpers/ship-host.ts';
import { readShippedLog } from '../../helpers/shipped-log.ts';

const MAX_UNSHIPPED_BYTES: number = 64 * 1024;
/** A leaf of 100 bytes with its header, and its part of a commit's note. */
const LEAF_BYTES = 200;
/** As JSON has it. */
const NOTE_BYTES = 300;
/**
 * docs/OPERATE.md: what the store lacks; leaves that do not fill a bundle; in segments, where that begins, the one
 * that is written, the prepared one, and what came since the last checkpoint; and the start.
 */
const BOUND_BYTES: number =
  MAX_UNSHIPPED_BYTES + 256 * LEAF_BYTES + 6 * SHIP_SEGMENT_BYTES + 1024 * NOTE_BYTES;
const LONG_MS = 60_000;

function bytesOf(files: MemoryFiles, epoch = 1): number {
  const directory = locateSpool(files, SHIP_FOLDERS, epoch);
  if (directory === null) return 0;
  return [...files.contents(directory).values()].reduce((sum, { length }) => sum + length, 0);
}

/** Sends commits as an enclave does that waits for its acknowledgements; answers the most that the spool took. */
async function sendAll(
  host: ShipHost,
  log: EpochLog,
  commits: readonly Uint8Array[],
): Promise<number> {
  let most = 0;
  for (const [at, commit] of commits.entries()) {
    expect((await log.receive(commit)).ok).toBe(true);
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    if (at % 5 === 0) most = Math.max(most, bytesOf(host.files));
  }
  return most;
}

/** Runs the epoch until its spool has lost something, then the host is killed. */
async function killedAfterDrops(store: MemoryStore, writer: LogWriter): Promise<MemoryFiles> {
  const host = await ShipHost.open(new MemoryFiles(), store, { groupBytes: 700, groupMs: 1 });
  const log = await host.begin(1);
  await sendAll(host, log, wholeEpoch(writer, 60, 20).slice(0, -1));
  while (log.counters.dropped < 5) {
    writer.addInputs(20);
    await sendAll(host, log, [writer.commit()]);
  }
  const files = host.kill();
  await log.abandon();
  return files;
}

describe('the spool of an epoch that is shipped', () => {
  it('is bounded while the store is there, away, and back', async () => {
    const store = new MemoryStore();
    const files = new MemoryFiles();
    const host = await ShipHost.open(files, store, { maxUnshippedBytes: MAX_UNSHIPPED_BYTES });
    const writer = new LogWriter();
    const log = await host.begin(1);
    const commits = Array.from({ length: 1350 }, () => {
      writer.addInputs(15, 100);
      return writer.commit();
    });
    const written = commits.reduce((sum, { length }) => sum + length, 0);
    expect(written).toBeGreaterThan(5 * BOUND_BYTES);
    let most = await sendAll(host, log, commits.slice(0, 450));
    const dropped = log.counters.dropped;
    expect(dropped).toBeGreaterThan(3);

    store.before = () => {
      throw new StoreError('unavailable');
    };
    let isAway = true;
    const sending = sendAll(host, log, commits.slice(450, 900)).finally(() => {
      isAway = false;
    });
    for (let turn = 0; turn < 2000 && host.events('ship_full').length === 0; turn++) {
      await new Promise(setImmediate);
    }
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    // Held, and nothing went that the store does not have.
    expect(isAway).toBe(true);
    expect(host.shipper.isFull).toBe(true);
    expect(bytesOf(files)).toBeGreaterThan(MAX_UNSHIPPED_BYTES);
    store.before = () => undefined;
    most = Math.max(most, await sending, await sendAll(host, log, commits.slice(900)));
    expect(most).toBeLessThan(BOUND_BYTES);
    expect(log.counters.dropped).toBeGreaterThan(dropped + 20);
    expect(log.counters.keptBytes).toBeLessThan(BOUND_BYTES);
    await host.settle();
    await host.shipper.finish(LONG_MS);
    expect(await readShippedLog(store, true)).toMatchObject({
      findings: [],
      epochs: [{ size: writer.size }],
    });
  });

  it('keeps what the store took and does not show', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store, {
      groupBytes: 700,
      groupMs: 1,
      maxUnshippedBytes: 10 * MAX_UNSHIPPED_BYTES,
    });
    const log = await host.begin(1);
    const writer = new LogWriter();
    const commits = wholeEpoch(writer, 120, 20);
    // Answers to all that it was given, and lost it.
    store.tell = ({ key, ...head }) => (key.includes('/commits/') ? null : { key, ...head });
    const get = store.get.bind(store);
    store.get = async (key, maxBytes) => (key.includes('/commits/') ? null : get(key, maxBytes));
    await sendAll(host, log, commits);
    expect(host.shipper.findings).toMatchObject([{ code: 'object_not_kept' }]);
    expect(log.counters.dropped).toBe(0);
    await host.shipper.stop();
    await log.abandon();
  });

  it('goes on shipping after a kill, though its first commits are in the log folder only', async () => {
    const store = new MemoryStore();
    const writer = new LogWriter();
    const files = await killedAfterDrops(store, writer);
    const host = await shipRest(files, store);
    expect(host.shipper.findings).toEqual([]);
    expect(listUnshipped(files, SHIP_FOLDERS)).toEqual([]);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('ships all of it to another store', async () => {
    const first = new MemoryStore();
    const writer = new LogWriter();
    const files = await killedAfterDrops(first, writer);
    const second = new MemoryStore();
    const host = await shipRest(files, second, { groupBytes: 900 });
    expect(host.shipper.findings).toEqual([]);
    const { findings, epochs } = await readShippedLog(second, true);
    expect(findings).toEqual([]);
    const leaves = epochs[0]?.size ?? 0;
    expect(leaves).toBeGreaterThan(1000);
    expect(listUnshipped(files, SHIP_FOLDERS)).toEqual([]);
  });

  it.each([
    ['a bundle', '/log/epochs/0000000001/tile/entries/000'],
    ['its notes', 'notes'],
  ])('makes nothing permanent of a log folder without %s', async (_, path) => {
    const writer = new LogWriter();
    const files = await killedAfterDrops(new MemoryStore(), writer);
    // Settled, with a store that takes nothing.
    const away = new MemoryStore();
    away.before = () => {
      throw new StoreError('unreachable');
    };
    const settled = await ShipHost.open(files, away);
    const disk = settled.kill();
    const [notes = ''] = disk.list('/log/epochs/0000000001/commits');
    await disk.removeFile(path === 'notes' ? `/log/epochs/0000000001/commits/${notes}` : path);
    const second = new MemoryStore();
    const { shipper } = await shipRest(disk, second);
    expect(shipper.findings).toMatchObject([{ epoch: 1, code: 'folder_damaged' }]);
    expect(listUnshipped(disk, SHIP_FOLDERS)).toHaveLength(1);
  });

  it('loses nothing, whenever it is killed or loses its power', async () => {
    let drops = 0;
    const life = fc.record({
      commits: fc.integer({ min: 10, max: 80 }),
      leaves: fc.integer({ min: 5, max: 40 }),
      groupBytes: fc.constantFrom(1, 2500, 1 << 20),
      operations: fc.integer({ min: 50, max: 3000 }),
      power: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 3 }), async (lives) => {
        const store = new MemoryStore();
        let files = new MemoryFiles();
        let epochs = 0;
        for (const { commits, leaves, groupBytes, operations, power } of lives) {
          const host = await ShipHost.open(files, store, { groupBytes, groupMs: 1 });
          const log = await host.begin(epochs + 1);
          files.crashAt = files.operations + operations;
          const all = wholeEpoch(new LogWriter(epochs + 1), commits, leaves);
          await sendAll(host, log, all).catch(() => null);
          drops += log.counters.dropped;
          if (log.acknowledgedSize > 0) epochs++;
          const left = power ? files.afterCrash('nothing') : files.afterKill();
          files.crashAt = 0;
          await host.shipper.stop();
          await log.abandon();
          files = left;
        }
        const host = await shipRest(files, store);
        expect(host.shipper.findings).toEqual([]);
        expect(listUnshipped(files, SHIP_FOLDERS)).toEqual([]);
        const shipped = await readShippedLog(store, true);
        expect(shipped.findings).toEqual([]);
        expect(shipped.epochs).toHaveLength(epochs);
      }),
      { numRuns: 12 },
    );
    expect(drops).toBeGreaterThan(10);
  });
});
