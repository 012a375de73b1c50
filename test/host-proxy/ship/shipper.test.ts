import { describe, expect, it } from 'vitest';
import { listUnshipped } from '../../../host-proxy/ship/unshipped.ts';
import { KIND } from '../../../wire/leaf.ts';
import type { ObjectLock } from '../../../wire/node/objects/store.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import { closeKey } from '../../../wire/host-keys.ts';
import { entriesKey, tileKey } from '../../../wire/tile-keys.ts';
import { encodeCommitGroup } from '../../../wire/objects.ts';
import { LogWriter } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import {
  receiveAll,
  SHIP_FOLDERS,
  ShipHost,
  shipRest,
  unshippedEpoch,
  wholeEpoch,
} from '../../helpers/ship-host.ts';
import { readShippedLog } from '../../helpers/shipped-log.ts';

const LONG_MS = 60_000;
const LOCKED: ObjectLock = {
  mode: 'COMPLIANCE',
  retainUntil: new Date(Date.now() + 1e12),
  legalHold: false,
};

describe('shipper', () => {
  it('ships an epoch while it runs and the rest when it is over, and removes the spool last', async () => {
    const store = new MemoryStore();
    const files = new MemoryFiles();
    const host = await ShipHost.open(files, store);
    const writer = new LogWriter();
    await host.begin(1);
    await receiveAll(host, wholeEpoch(writer, 40, 17));
    while (host.shipper.counters.unshippedBytes > 0) await new Promise(setImmediate);
    expect(store.keys('epochs/0000000001/commits/').length).toBeGreaterThan(2);
    expect(store.objects.has(closeKey(1))).toBe(false);
    await host.settle();
    const left: number[] = [];
    store.before = () => {
      left.push(listUnshipped(files, SHIP_FOLDERS).length);
    };
    await host.shipper.finish(LONG_MS);
    expect(new Set(left)).toEqual(new Set([1]));
    const { findings, epochs } = await readShippedLog(store, true);
    expect(findings).toEqual([]);
    expect(epochs).toMatchObject([{ epoch: 1, size: writer.size, leaves: writer.leaves }]);
    expect(epochs[0]?.checkpoints).toBeGreaterThan(1);
    expect(store.calls.findLast((call) => call.startsWith('put'))).toBe(`put ${closeKey(1)}`);
    expect(listUnshipped(files, SHIP_FOLDERS)).toEqual([]);
    expect(host.shipper.counters).toMatchObject({ epochs: 0, unshippedBytes: 0, findings: 0 });
  });

  it('ships an epoch of one commit, and one of exactly a full bundle', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store);
    const single = new LogWriter(1);
    await host.begin(1);
    await receiveAll(host, [single.commit()]);
    await host.settle();
    const full = new LogWriter(2);
    full.addInputs(255);
    await host.begin(2);
    await receiveAll(host, [full.commit()]);
    await host.settle();
    await host.shipper.finish(LONG_MS);
    const { findings, epochs } = await readShippedLog(store, true);
    expect(findings).toEqual([]);
    expect(epochs).toMatchObject([
      { size: 1, groups: 0 },
      { size: 256, groups: 0 },
    ]);
    expect(store.objects.has(entriesKey(2, 0, 256))).toBe(true);
  });

  it('ships blobs before the commits that name them', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store);
    const writer = new LogWriter();
    const commits = [writer.commit()];
    for (const fill of [1, 2, 1, 3, 4, 5, 6]) {
      writer.add(KIND.output, new Uint8Array(70_000).fill(fill));
      writer.add(KIND.input, new Uint8Array(65_000).fill(9));
      commits.push(writer.commit());
    }
    await host.begin(1);
    await receiveAll(host, commits);
    await host.settle();
    await host.shipper.finish(LONG_MS);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
    expect(store.keys('blobs/').length).toBeGreaterThan(3);
    const puts = store.calls.filter((call) => call.startsWith('put '));
    const firstGroup = puts.indexOf(`put ${commitsKey(1, 1)}`);
    const firstBlob = puts.findIndex((call) => call.startsWith('put blobs/'));
    expect(firstBlob).toBeGreaterThanOrEqual(0);
    expect(firstBlob).toBeLessThan(firstGroup);
  });

  it('asks for COMPLIANCE and for a date that counts from the time of writing', async () => {
    const store = new MemoryStore();
    const nowMs = Date.UTC(2026, 10, 21);
    const host = await ShipHost.open(new MemoryFiles(), store, { nowMs: () => nowMs });
    await host.begin(1);
    await receiveAll(host, wholeEpoch(new LogWriter(), 2, 3));
    await host.settle();
    await host.shipper.finish(LONG_MS);
    expect(store.objects.size).toBeGreaterThan(5);
    for (const [key, { lock }] of store.objects) {
      const leftMs = (lock.retainUntil?.getTime() ?? 0) - nowMs;
      expect([key, lock.mode, leftMs >= 10 * 86_400_000]).toEqual([key, 'COMPLIANCE', true]);
      expect(leftMs).toBeLessThan(11 * 86_400_000);
    }
  });

  it.each<[string, ObjectLock]>([
    ['nothing', { ...LOCKED, mode: 'none', retainUntil: null }],
    ['what somebody may unlock', { ...LOCKED, mode: 'GOVERNANCE' }],
    [
      'for a day less than asked',
      { ...LOCKED, retainUntil: new Date(Date.now() + 9 * 86_400_000) },
    ],
  ])('keeps the spool when the store locks %s', async (_, lock) => {
    const store = new MemoryStore();
    store.lock = () => lock;
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 2, 3));
    const host = await shipRest(files, store);
    expect(host.shipper.findings).toEqual([
      { epoch: 1, code: 'object_not_locked', key: claimKey(1) },
    ]);
    expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
    expect(host.events('ship_refused')).toHaveLength(1);
  });

  it('asks again when a head lies', async () => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 3, 90));
    const store = new MemoryStore();
    let heads = 0;
    store.tell = (head) => {
      heads++;
      if (heads % 3 === 0) return { ...head, sha256: new Uint8Array(32) };
      if (heads % 3 === 1) return { ...head, sha256: null };
      return heads % 2 === 0 ? { ...head, bytes: head.bytes + 1 } : head;
    };
    const { shipper } = await shipRest(files, store);
    expect(shipper.findings).toEqual([]);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('keeps the spool when the store does not keep what it took', async () => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 3, 90));
    const store = new MemoryStore();
    store.afterPut = (key) => {
      if (key === commitsKey(1, 1)) store.objects.delete(key);
    };
    const { shipper } = await shipRest(files, store);
    expect(shipper.findings).toMatchObject([{ code: 'object_not_kept', key: commitsKey(1, 1) }]);
    expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
  });

  it.each([
    ['the claim', claimKey(1)],
    ['a group', commitsKey(1, 2)],
    ['a bundle', entriesKey(1, 0, 256)],
    ['a tile', tileKey(1, 0, 0, 256)],
    ['a partial tile', tileKey(1, 1, 0, 1)],
    ['the close', closeKey(1)],
  ])('stops at other bytes in the place of %s, and overwrites nothing', async (_, key) => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 12, 30));
    const store = new MemoryStore();
    const foreign = new Uint8Array(100).fill(7);
    store.objects.set(key, { bytes: foreign, lock: LOCKED });
    const host = await shipRest(files, store);
    expect(host.shipper.findings).toEqual([{ epoch: 1, code: 'object_different', key }]);
    expect(store.objects.get(key)?.bytes).toEqual(foreign);
    expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
    expect(store.objects.has(closeKey(1))).toBe(key === closeKey(1));
    expect(host.shipper.counters.findings).toBe(1);
    // The epochs behind it go on.
    const next = await ShipHost.open(host.kill(), store);
    await next.begin(2);
    await receiveAll(next, wholeEpoch(new LogWriter(2), 2, 3));
    await next.settle();
    await next.shipper.finish(LONG_MS);
    expect(store.objects.has(closeKey(2))).toBe(true);
    expect(next.shipper.findings).toHaveLength(1);
  });

  it('goes on behind groups that were cut elsewhere, but not behind other commits', async () => {
    const writer = new LogWriter();
    const commits = wholeEpoch(writer, 12, 10);
    const files = await unshippedEpoch(writer, commits);
    const [claim = new Uint8Array(), ...rest] = commits;
    const storeWith = (second: readonly Uint8Array[]): MemoryStore => {
      const store = new MemoryStore();
      const first = encodeCommitGroup(rest.slice(0, 1));
      store.objects.set(claimKey(1), { bytes: claim, lock: LOCKED });
      store.objects.set(commitsKey(1, 1), { bytes: first, lock: LOCKED });
      store.objects.set(commitsKey(1, 2), { bytes: encodeCommitGroup(second), lock: LOCKED });
      return store;
    };
    const store = storeWith(rest.slice(1, 8));
    await shipRest(files.afterCrash('everything'), store);
    expect(await readShippedLog(store, true)).toMatchObject({
      findings: [],
      epochs: [{ size: writer.size }],
    });
    const altered = rest.slice(1, 8).map((commit) => commit.slice());
    altered.at(-1)?.fill(0, -1);
    for (const second of [rest.slice(2, 8), [...rest.slice(1), claim], altered]) {
      const { shipper } = await shipRest(files.afterCrash('everything'), storeWith(second));
      expect(shipper.findings).toMatchObject([{ code: 'object_different', key: commitsKey(1, 2) }]);
    }
  });

  it('goes on behind a request of its own that comes late, cut elsewhere', async () => {
    const writer = new LogWriter();
    const [claim = new Uint8Array(), ...rest] = wholeEpoch(writer, 12, 10);
    const files = await unshippedEpoch(writer, [claim, ...rest]);
    const store = new MemoryStore();
    const late = encodeCommitGroup(rest.slice(0, 2));
    store.before = (call, key) => {
      // Nothing was there when it was looked for.
      if (call === 'put' && key === commitsKey(1, 1)) {
        store.objects.set(key, { bytes: late, lock: LOCKED });
      }
    };
    const { shipper } = await shipRest(files, store, { groupBytes: 3000 });
    expect(shipper.findings).toEqual([]);
    expect(store.objects.get(commitsKey(1, 1))?.bytes).toEqual(late);
    expect(await readShippedLog(store, true)).toMatchObject({
      findings: [],
      epochs: [{ size: writer.size }],
    });
  });

  it('takes over no group that is not locked', async () => {
    const writer = new LogWriter();
    const [claim = new Uint8Array(), ...rest] = wholeEpoch(writer, 12, 10);
    const files = await unshippedEpoch(writer, [claim, ...rest]);
    const store = new MemoryStore();
    const open: ObjectLock = {
      mode: 'GOVERNANCE',
      retainUntil: LOCKED.retainUntil,
      legalHold: true,
    };
    const group = encodeCommitGroup(rest.slice(0, 2));
    store.objects.set(claimKey(1), { bytes: claim, lock: LOCKED });
    store.objects.set(commitsKey(1, 1), { bytes: group, lock: open });
    const { shipper } = await shipRest(files, store);
    expect(shipper.findings).toEqual([
      { epoch: 1, code: 'object_not_locked', key: commitsKey(1, 1) },
    ]);
  });

  it.each([
    ['entries/000', 300],
    ['0/000', 300],
    // So many that commits would wait for it.
    ['entries/000', 100 * 256],
    ['entries/001.p/45', 301],
    ['0/001.p/45', 301],
    ['1/000.p/1', 300],
    ['1/000', 256 * 256],
  ])(
    'makes nothing of tile/%s of %d leaves permanent once a disk has damaged it',
    async (name, size) => {
      const writer = new LogWriter();
      const commits = [writer.commit()];
      while (writer.size < size) {
        writer.addInputs(Math.min(4096, size - writer.size), 1);
        commits.push(writer.commit());
      }
      const files = await unshippedEpoch(writer, commits);
      files.damage(`/log/epochs/0000000001/tile/${name}`, (bytes) => {
        const damaged = bytes.slice();
        damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
        return damaged;
      });
      const store = new MemoryStore();
      const { shipper } = await shipRest(files, store, { groupBytes: 1 });
      expect(shipper.findings).toMatchObject([{ epoch: 1, code: 'folder_damaged' }]);
      expect(store.objects.has(`epochs/0000000001/tile/${name}`)).toBe(false);
      expect(store.objects.has(closeKey(1))).toBe(false);
      expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
    },
  );

  it('ships a checkpoint only when the tiles under it are there', async () => {
    const store = new MemoryStore();
    const host = await ShipHost.open(new MemoryFiles(), store, { groupBytes: 1 });
    const gate = Promise.withResolvers<null>();
    store.before = async (call, key) => {
      if (call === 'put' && key === entriesKey(1, 0, 256)) await gate.promise;
    };
    await host.begin(1);
    await receiveAll(host, wholeEpoch(new LogWriter(), 40, 17));
    while (host.shipper.counters.unshippedBytes > 0) await new Promise(setImmediate);
    const sizes = store.keys('epochs/0000000001/checkpoints/').map((key) => key.slice(-20));
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes.map(Number))).toBeLessThan(256);
    gate.resolve(null);
    await host.settle();
    await host.shipper.finish(LONG_MS);
    expect(await readShippedLog(store, true)).toMatchObject({ findings: [] });
  });

  it('keeps the spool of an epoch whose folder is gone, and says so', async () => {
    const writer = new LogWriter();
    const files = await unshippedEpoch(writer, wholeEpoch(writer, 2, 3));
    await files.removeFile('/log/epochs/0000000001/checkpoint');
    const { shipper } = await shipRest(files, new MemoryStore());
    expect(shipper.findings).toMatchObject([{ epoch: 1, code: 'folder_damaged' }]);
    expect(listUnshipped(files, SHIP_FOLDERS)).toHaveLength(1);
  });
});
