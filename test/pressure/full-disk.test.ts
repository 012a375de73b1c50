import { afterEach, describe, expect, it } from 'vitest';
import { DiskFailure } from '../../host-proxy/files.ts';
import { KIND } from '../../wire/leaf.ts';
import { MAX_COMMITS_IN_FLIGHT } from '../../wire/limits.ts';
import { PORT } from '../../wire/messages.ts';
import { expectWhole, MemoryAppliance } from './appliance.ts';

const MIB = 1024 * 1024;

describe('a full disk', () => {
  let appliance: MemoryAppliance;
  afterEach(() => {
    appliance.disk.refuse = () => null;
    appliance.disk.capacityBytes = Number.POSITIVE_INFINITY;
    appliance.stop();
  });

  it('of the state stops acknowledgements and the source, and frees them when there is room', async () => {
    appliance = await new MemoryAppliance({ batches: 1500, rows: 400 }).start();
    const { disk } = appliance;
    await appliance.until(() => appliance.released.length >= 3);
    // As much more as the disk has now, and a little.
    disk.capacityBytes = disk.usedBytes + 3 * MIB;
    await appliance.stuck();
    const { produced } = appliance;
    expect(produced).toBeLessThan(1500);
    expect(appliance.event('disk_full')).toMatchObject({ error: 'ENOSPC', level: 'error' });
    expect(appliance.room.held).toBeGreaterThan(0);
    // Bounded: what the enclave has in flight waits for the spool, or in front of it.
    const { feedQueue, brokerBytes, spoolBytes, keptBytes } = appliance.waiting;
    expect(feedQueue).toBeLessThan(MIB / 2);
    expect(brokerBytes).toBeLessThan(20 * MIB);
    expect(spoolBytes).toBeLessThan(20 * MIB);
    expect(keptBytes).toBeLessThan(33 * MIB);
    expect(appliance.counter('commits_in_flight')).toBeLessThanOrEqual(MAX_COMMITS_IN_FLIGHT);
    expect(appliance.codes.at(-1)).toBe('log_stalled');
    expect((await appliance.ask('/ready')).status).toBe(503);
    // Nothing ended, and nothing moves while there is no room.
    await appliance.stuck();
    expect([appliance.produced, appliance.enclaveEnd]).toEqual([produced, null]);

    disk.capacityBytes = Number.POSITIVE_INFINITY;
    const [epoch, ...more] = (await appliance.end()).epochs;
    expect(more).toEqual([]);
    expect(epoch).toMatchObject({ epoch: 1, closed: true, feedComplete: true, code: null });
    expect(appliance.event('disk_has_room')).not.toBeNull();
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expect(log.indexesOf(KIND.input)).toHaveLength(1500);
    expect(disk.list(`${appliance.folders.log}/tmp`)).toEqual([]);
  });

  it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])(
    'of the published log lets trading go on (%s), and is made up for',
    async (code) => {
      const timeouts = { logStallMs: 60_000 };
      appliance = await new MemoryAppliance({ batches: 900, rows: 60, timeouts }).start();
      const { disk, folders } = appliance;
      await appliance.until(() => appliance.released.length >= 2);
      disk.refuse = (operation, path) =>
        path.startsWith(folders.log) && !operation.includes('sync') ? code : null;
      const before = appliance.released.length;
      await appliance.until(
        () => appliance.produced === 900 && appliance.waiting.brokerBytes === 0,
      );
      expect(appliance.released.length).toBeGreaterThan(before + 50);
      const last = appliance.events('disk_full').filter(({ place }) => place === 'state');
      expect(last).toEqual([]);
      expect(appliance.event('disk_full')).toMatchObject({ place: 'log', error: code });
      expect(appliance.log?.waiting.unpublishedLeaves).toBeGreaterThan(500);
      expect(appliance.codes).not.toContain('log_stalled');
      disk.refuse = () => null;
      expect((await appliance.end()).clean).toBe(true);
      expectWhole(appliance, await appliance.verify());
      expect(disk.list(`${folders.log}/tmp`)).toEqual([]);
    },
  );

  it('when an epoch begins lets it wait for room, and then begin', async () => {
    appliance = new MemoryAppliance({ batches: 100, rows: 60 });
    const { disk } = appliance;
    let refused = 0;
    disk.refuse = (operation) => {
      if (operation.includes('sync') || refused >= 100) return null;
      refused++;
      return 'ENOSPC';
    };
    await appliance.start();
    expect(refused).toBe(100);
    expect(appliance.event('disk_full')).not.toBeNull();
    expect((await appliance.end()).clean).toBe(true);
    expectWhole(appliance, await appliance.verify());
  });

  it.each<[string, RegExp, RegExp]>([
    ['a segment of the spool', /^(create|write)$/u, /\/spool\//u],
    ['the journal of releases', /^(create|write)$/u, /\/releases\//u],
    ['the journal of execution', /^(create|write)$/u, /\/execution\//u],
    ['tiles and bundles', /^(create|write|mkdir|chmod|rename)$/u, /\/tile|\/tmp\//u],
    ['the checkpoint', /^rename$/u, /\/checkpoint$/u],
    ['notes of commits', /^rename$/u, /\/commits/u],
  ])('at %s holds it, alone, and nothing is lost', async (_, operations, paths) => {
    appliance = await new MemoryAppliance({ batches: 300, rows: 200 }).start();
    const { disk } = appliance;
    let refused = 0;
    let open = false;
    disk.refuse = (operation, path) => {
      if (open || !operations.test(operation) || !paths.test(path)) return null;
      refused++;
      return 'ENOSPC';
    };
    // A write that waits is tried again, and passes from the twentieth attempt on.
    await appliance.until(() => refused >= 20);
    expect(appliance.enclaveEnd?.code ?? null).toBeNull();
    open = true;
    expect((await appliance.end()).clean).toBe(true);
    const log = await appliance.verify();
    expectWhole(appliance, log);
    expect(log.indexesOf(KIND.input)).toHaveLength(300);
    expect(appliance.transport.bytesOf(PORT.log).toEnclave).toBeGreaterThan(0);
  });

  it.each([
    ['a sync that finds no room', 'fdatasync', 'ENOSPC'],
    ['a failed sync', 'fdatasync', 'EIO'],
    ['a failed write', 'write', 'EIO'],
  ])(
    'is not what %s is: the process ends, and nothing acknowledged is lost',
    async (_, name, code) => {
      appliance = await new MemoryAppliance({ rows: 200 }).start();
      const { disk, folders } = appliance;
      await appliance.until(() => appliance.released.length >= 3);
      // The published log waits for room meanwhile.
      const isFull = (operation: string, path: string): boolean =>
        path.startsWith(folders.log) && !operation.includes('sync');
      disk.refuse = (operation, path) => (isFull(operation, path) ? 'ENOSPC' : null);
      await appliance.until(() => appliance.room.held > 0);
      disk.refuse = (operation, path) => {
        if (isFull(operation, path)) return 'ENOSPC';
        return operation === name && path.includes('/spool/') ? code : null;
      };
      await expect(appliance.end()).rejects.toThrow(DiskFailure);
      // Nothing of it goes on in a folder that another host may work in now.
      const published = (): number =>
        disk.trace.filter((line) => line.includes(folders.log)).length;
      const before = published();
      const { released } = appliance;
      const acknowledged = appliance.log?.acknowledgedSize ?? 0;
      disk.refuse = () => null;
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect([appliance.room.held, published()]).toEqual([0, before]);
      // What the next start finds, after a loss of power.
      appliance = new MemoryAppliance({ disk: disk.afterCrash('nothing'), folders, batches: 20 });
      await appliance.start();
      expect((await appliance.end()).clean).toBe(true);
      const log = await appliance.verify(1);
      expect(log.leaves.length).toBeGreaterThanOrEqual(acknowledged);
      const outputs = log.indexesOf(KIND.output);
      for (const index of released) expect(outputs).toContain(index);
      expectWhole(appliance, await appliance.verify(2));
    },
  );

  it('and a stop: the host gives up at its deadline, and the next start recovers', async () => {
    appliance = await new MemoryAppliance({ rows: 200, closeMs: 200 }).start();
    const { disk, folders } = appliance;
    await appliance.until(() => appliance.released.length >= 3);
    disk.refuse = (operation) => (operation === 'write' ? 'ENOSPC' : null);
    await appliance.until(() => appliance.room.held > 0);
    appliance.stop();
    await expect(appliance.end()).rejects.toThrow(DiskFailure);
    const { released } = appliance;
    const acknowledged = appliance.log?.acknowledgedSize ?? 0;
    // The process is gone: nothing of it touches the disk any more.
    disk.crashAt = disk.operations;
    appliance = new MemoryAppliance({ disk: disk.afterKill(), folders, batches: 20 });
    await appliance.start();
    expect((await appliance.end()).clean).toBe(true);
    const log = await appliance.verify(1);
    expect(log.leaves.length).toBeGreaterThanOrEqual(acknowledged);
    expect(log.indexesOf(KIND.output)).toEqual(expect.arrayContaining([...released]));
    expect(appliance.disk.list(`${folders.log}/tmp`)).toEqual([]);
  });
});
