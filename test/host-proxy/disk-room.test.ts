import { describe, expect, it } from 'vitest';
import { DiskRoom } from '../../host-proxy/disk-room.ts';
import type { Files, OpenFile } from '../../host-proxy/files.ts';
import { DiskFailure } from '../../host-proxy/files.ts';
import type { LogFields } from '../../host-proxy/logger.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';

const PLACES = [
  { name: 'state', directory: '/disk/state' },
  { name: 'log', directory: '/disk/log' },
] as const;

class Rig {
  readonly disk = new MemoryFiles();
  readonly lines: [string, LogFields][] = [];
  readonly pauses: number[] = [];
  readonly room: DiskRoom;
  readonly files: Files;
  nowMs = 1000;
  #sleepers: (() => void)[] = [];

  constructor() {
    const add = (event: string, fields: LogFields = {}): void => {
      this.lines.push([event, fields]);
    };
    this.room = new DiskRoom({
      logger: { debug: add, info: add, warn: add, error: add },
      places: PLACES,
      nowMs: () => this.nowMs,
      sleep: (ms, signal) => {
        this.pauses.push(ms);
        return new Promise((resolve) => {
          this.#sleepers.push(resolve);
          signal.addEventListener('abort', () => {
            resolve();
          });
        });
      },
    });
    this.files = this.room.filesOf(this.disk);
  }

  /** Ends all pauses, and waits until nothing moves. */
  async wake(ms = 100): Promise<void> {
    this.nowMs += ms;
    for (const resolve of this.#sleepers.splice(0)) resolve();
    await settled();
  }

  async file(path = '/disk/state/file'): Promise<OpenFile> {
    await this.disk.makeDirectory('/disk');
    await this.disk.makeDirectory('/disk/state');
    await this.disk.makeDirectory('/disk/log');
    return this.files.create(path);
  }

  eventsOf(event: string): readonly LogFields[] {
    return this.lines.flatMap(([name, fields]) => (name === event ? [fields] : []));
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('a full disk', () => {
  it('holds a write until there is room, and what it left is written over', async () => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.capacityBytes = 10;
    let done = false;
    const bytes = new Uint8Array(16).fill(7);
    const writing = file.write(bytes, 0).then(() => {
      done = true;
    });
    await settled();
    expect(rig.disk.size('/disk/state/file')).toBe(10);
    expect([done, rig.room.held]).toEqual([false, 1]);
    for (let round = 0; round < 8; round++) await rig.wake();
    // From 100 ms on, twice as long each time, at most 5 s.
    expect(rig.pauses).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    expect([done, rig.room.held]).toEqual([false, 1]);
    rig.disk.capacityBytes = 16;
    await rig.wake();
    await writing;
    expect(rig.disk.readFile('/disk/state/file', 100)).toEqual(bytes);
    expect(rig.room.held).toBe(0);
  });

  it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('%s is one', async (code) => {
    const rig = new Rig();
    await rig.file();
    rig.disk.refuse = (operation) => (operation === 'mkdir' ? code : null);
    const made = rig.files.makeDirectory('/disk/log/epochs');
    await settled();
    expect(rig.eventsOf('disk_full')).toMatchObject([
      { place: 'log', folder: '/disk/log', operation: 'mkdir', error: code },
    ]);
    rig.disk.refuse = () => null;
    await rig.wake();
    expect(await made).toBe(true);
  });

  it('holds what needs room: to create, write, rename, remove, and set modes', async () => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.refuse = () => 'ENOSPC';
    const held = [
      rig.files.create('/disk/state/other'),
      file.write(Uint8Array.of(1), 0),
      file.setMode(0o444),
      rig.files.makeDirectory('/disk/state/directory'),
      rig.files.rename('/disk/state/file', '/disk/state/renamed'),
    ];
    await settled();
    expect(rig.room.held).toBe(held.length);
    rig.disk.refuse = () => null;
    await rig.wake();
    await Promise.all(held);
    const removed = rig.files.removeFile('/disk/state/renamed');
    await removed;
    expect(rig.disk.list('/disk/state')).toEqual(['directory', 'other']);
  });

  it.each<[string, (file: OpenFile, files: Files) => Promise<unknown>]>([
    ['fsync', (file) => file.sync()],
    ['fdatasync', (file) => file.datasync()],
    ['fsync directory', (_, files) => files.syncDirectory('/disk/state')],
    ['close', (file) => file.close()],
  ])('ends the process at %s, whatever its code: it is not tried again', async (name, work) => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.refuse = (operation) => (operation === name ? 'ENOSPC' : null);
    await expect(work(file, rig.files)).rejects.toThrow(DiskFailure);
    expect(rig.pauses).toEqual([]);
    expect(rig.lines).toEqual([]);
  });

  it('is not what another failure is', async () => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.refuse = () => 'EIO';
    await expect(file.write(Uint8Array.of(1), 0)).rejects.toMatchObject({ systemCode: 'EIO' });
    await expect(rig.room.hold(() => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
    expect(rig.pauses).toEqual([]);
  });

  it('stays a failure when it turns into one', async () => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.refuse = () => 'ENOSPC';
    const writing = file.write(Uint8Array.of(1), 0);
    writing.catch(() => undefined);
    await settled();
    rig.disk.refuse = () => 'EIO';
    await rig.wake();
    await expect(writing).rejects.toMatchObject({ systemCode: 'EIO' });
    expect(rig.room.held).toBe(0);
  });

  it('is alarmed once for each disk, again each minute, and says when there is room', async () => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.refuse = (_, path) => (path.startsWith('/disk/state') ? 'ENOSPC' : null);
    const held = [file.write(Uint8Array.of(1), 0), file.write(Uint8Array.of(2), 1)];
    await settled();
    expect(rig.eventsOf('disk_full')).toEqual([
      {
        place: 'state',
        folder: '/disk/state',
        operation: 'write',
        path: '/disk/state/file',
        error: 'ENOSPC',
        waiting_ms: 0,
        next: expect.stringContaining('acknowledgements wait') as string,
      },
    ]);
    await rig.wake(59_999);
    expect(rig.eventsOf('disk_full')).toHaveLength(1);
    rig.disk.refuse = () => 'ENOSPC';
    held.push(rig.files.create('/disk/log/tile').then(() => undefined));
    await settled();
    expect(rig.eventsOf('disk_full').map(({ place }) => place)).toEqual(['state', 'log']);
    await rig.wake(1);
    expect(rig.eventsOf('disk_full').at(2)).toMatchObject({ place: 'state', waiting_ms: 60_000 });
    expect(rig.eventsOf('disk_has_room')).toEqual([]);
    rig.disk.refuse = () => null;
    await rig.wake(5000);
    await Promise.all(held);
    expect(rig.eventsOf('disk_has_room')).toEqual([
      { place: 'state', waited_ms: 65_000 },
      { place: 'log', waited_ms: 5001 },
    ]);
  });

  it('fails what waits and what comes later once it was given up', async () => {
    const rig = new Rig();
    const file = await rig.file();
    rig.disk.refuse = () => 'ENOSPC';
    const writing = file.write(Uint8Array.of(1), 0);
    writing.catch(() => undefined);
    await settled();
    rig.room.giveUp();
    await expect(writing).rejects.toMatchObject({ systemCode: 'ENOSPC', operation: 'write' });
    await expect(rig.files.create('/disk/log/x')).rejects.toMatchObject({ systemCode: 'ENOSPC' });
    expect(rig.eventsOf('disk_has_room')).toEqual([]);
    // What needs no waiting still works.
    rig.disk.refuse = () => null;
    await file.write(Uint8Array.of(1), 0);
  });
});
