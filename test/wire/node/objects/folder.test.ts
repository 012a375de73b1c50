import { chmod, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { FolderStore } from '../../../../wire/node/objects/folder.ts';
import type { FolderDisk } from '../../../../wire/node/objects/folder.ts';
import { bytesOf, codeOf, listed, storeContract } from './contract.ts';

const folders: string[] = [];

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-objects-'));
  folders.push(folder);
  return join(folder, 'log');
}

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

const OPTIONS = { retainUntil: null };

describe('a folder is a store', () => {
  storeContract({ open: async () => new FolderStore(await newFolder()), keepsRetention: false });
});

describe('a folder', () => {
  it('holds files that nobody may write, and nothing half-written', async () => {
    const root = await newFolder();
    await new FolderStore(root).putOnce('epochs/0000000001/claim', bytesOf('x'), OPTIONS);
    expect((await stat(join(root, 'epochs/0000000001/claim'))).mode & 0o777).toBe(0o444);
    expect(await readdir(join(root, '~incoming'))).toEqual([]);
  });

  it('two stores over one folder are one', async () => {
    const root = await newFolder();
    const [one, two] = [new FolderStore(root), new FolderStore(root)];
    const puts = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        (at % 2 === 0 ? one : two).putOnce('a/b', bytesOf(String(at)), OPTIONS),
      ),
    );
    expect(puts.filter(({ outcome }) => outcome === 'written').length).toBe(1);
  });

  it('what a process left half-written is no object, and goes after an hour', async () => {
    const root = await newFolder();
    await new FolderStore(root).putOnce('a', bytesOf('x'), OPTIONS);
    const [old, young] = ['old', 'young'].map((name) => join(root, '~incoming', name));
    await writeFile(String(old), 'half');
    await writeFile(String(young), 'half');
    const hours = new Date(Date.now() - 2 * 3600_000);
    await utimes(String(old), hours, hours);
    const store = new FolderStore(root);
    await store.putOnce('b', bytesOf('x'), OPTIONS);
    expect((await listed(store)).map(({ key }) => key)).toEqual(['a', 'b']);
    expect(await readdir(join(root, '~incoming'))).toEqual(['young']);
  });

  it('a symbolic link is no object', async () => {
    const root = await newFolder();
    const store = new FolderStore(root);
    await store.putOnce('a', bytesOf('x'), OPTIONS);
    await symlink(join(root, 'a'), join(root, 'b'));
    expect(await store.get('b', 10)).toBe(null);
    expect((await listed(store)).map(({ key }) => key)).toEqual(['a']);
    expect((await store.putOnce('b', bytesOf('x'), OPTIONS)).outcome).toBe('different');
  });

  it('a key above another one is refused, not overwritten', async () => {
    const root = await newFolder();
    const store = new FolderStore(root);
    await store.putOnce('a/b', bytesOf('x'), OPTIONS);
    expect((await store.putOnce('a', bytesOf('x'), OPTIONS)).outcome).toBe('different');
    expect(await codeOf(store.putOnce('a/b/c', bytesOf('x'), OPTIONS))).toBe('disk_failed');
    expect((await listed(store)).map(({ key }) => key)).toEqual(['a/b']);
  });
});

function recorded(): { readonly disk: FolderDisk; readonly synced: string[] } {
  const synced: string[] = [];
  const sync = async (handle: FileHandle): Promise<void> => {
    synced.push((await handle.stat()).isDirectory() ? 'folder' : 'file');
    await handle.sync();
  };
  return { disk: { sync }, synced };
}

describe('the disk', () => {
  it('has the bytes before the name, and the name before the answer', async () => {
    const root = await newFolder();
    const { disk, synced } = recorded();
    const store = new FolderStore(root, disk);
    await store.putOnce('a/b', bytesOf('x'), OPTIONS);
    synced.length = 0;
    await store.putOnce('a/c', bytesOf('x'), OPTIONS);
    expect(synced).toEqual(['file', 'folder']);
  });

  it('has the name also of what another process wrote, before it is called the same', async () => {
    const root = await newFolder();
    await new FolderStore(root).putOnce('a/b', bytesOf('x'), OPTIONS);
    const { disk, synced } = recorded();
    const store = new FolderStore(root, disk);
    await store.putOnce('a/b', bytesOf('x'), OPTIONS);
    // Of the folders root, ~incoming, a; of the bytes; of the name.
    expect(synced.at(-1)).toBe('folder');
    expect(synced.filter((kind) => kind === 'folder').length).toBeGreaterThanOrEqual(4);
  });

  it.each([1, 2, 3, 4, 5])('that fails at sync %i is not trusted any more', async (failing) => {
    const root = await newFolder();
    let syncs = 0;
    const store = new FolderStore(root, {
      sync: async (handle) => {
        syncs += 1;
        if (syncs === failing) throw Object.assign(new Error('broken'), { code: 'EIO' });
        await handle.sync();
      },
    });
    expect(await codeOf(store.putOnce('a/b', bytesOf('x'), OPTIONS))).toBe('disk_failed');
    // The kernel may call it synced now; it is not.
    expect(await codeOf(store.putOnce('a/b', bytesOf('x'), OPTIONS))).toBe('disk_failed');
    expect(await codeOf(store.get('a/b', 10))).toBe('disk_failed');
  });

  it('that cannot be read is a failure, not an absence', async () => {
    const root = await newFolder();
    const store = new FolderStore(root);
    await store.putOnce('a/b', bytesOf('x'), OPTIONS);
    await chmod(join(root, 'a/b'), 0);
    // As root everything can be read.
    const expected = process.getuid?.() === 0 ? 'none' : 'disk_failed';
    expect(await codeOf(store.get('a/b', 10))).toBe(expected);
  });
});
