import { describe, expect, it } from 'vitest';
import { DiskFailure } from '../../host-proxy/files.ts';
import { FilesGate } from '../../host-proxy/files-gate.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';

describe('files behind a gate', () => {
  it('are not changed any more once it is closed, by nobody who has them', async () => {
    const disk = new MemoryFiles();
    const { files, close } = gateOf(disk);
    await files.makeDirectory('/a');
    const file = await files.create('/a/b');
    await file.write(Uint8Array.of(1), 0);
    await close();
    const before = disk.trace.length;
    const attempts = [
      () => file.write(Uint8Array.of(2), 0),
      () => file.datasync(),
      () => file.sync(),
      () => file.setMode(0o444),
      () => files.create('/a/c'),
      () => files.makeDirectory('/c'),
      () => files.rename('/a/b', '/a/c'),
      () => files.removeFile('/a/b'),
      () => files.removeDirectory('/a'),
      () => files.syncFile('/a/b'),
      () => files.syncDirectory('/a'),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toThrow(DiskFailure);
    expect(disk.trace).toHaveLength(before);
    expect(files.readFile('/a/b', 10)).toEqual(Uint8Array.of(1));
    expect(files.list('/a')).toEqual(['b']);
    await file.close();
  });

  it('closes when what is under way is over, failed or not', async () => {
    const disk = new MemoryFiles();
    const { files, close } = gateOf(disk);
    const file = await files.create('/b');
    const syncing = Promise.withResolvers<null>();
    disk.beforeSync = async () => {
      await syncing.promise;
      throw new Error('EIO');
    };
    const sync = file.sync();
    let closed = false;
    const closing = close().then(() => {
      closed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(closed).toBe(false);
    syncing.resolve(null);
    await expect(sync).rejects.toThrow('EIO');
    await closing;
    expect(closed).toBe(true);
  });
});

function gateOf(disk: MemoryFiles): { files: FilesGate['files']; close: () => Promise<void> } {
  const gate = new FilesGate(disk);
  return { files: gate.files, close: () => gate.close() };
}
