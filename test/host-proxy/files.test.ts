import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EpochLog } from '../../host-proxy/epoch-log.ts';
import type { Files } from '../../host-proxy/files.ts';
import { DiskFailure, makeDirectories, nodeFiles } from '../../host-proxy/files.ts';
import { completeFolder, spoolDirectory } from '../../host-proxy/recovery.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { LogWriter } from '../helpers/log-writer.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';

describe.each(['real', 'in memory'])('files, %s', (name) => {
  let directory: string;
  let files: Files;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'files-'));
    files = name === 'real' ? nodeFiles : new MemoryFiles();
    await makeDirectories(files, directory);
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('writes, reads, renames and removes', async () => {
    const file = await files.create(`${directory}/a`);
    await file.write(Uint8Array.of(1, 2, 3), 0);
    await file.write(Uint8Array.of(9), 5);
    await file.datasync();
    await file.sync();
    await file.setMode(0o444);
    await file.close();
    expect(files.size(`${directory}/a`)).toBe(6);
    expect(files.readFile(`${directory}/a`, 6)).toEqual(Uint8Array.of(1, 2, 3, 0, 0, 9));
    expect(files.readAt(`${directory}/a`, 1, 2)).toEqual(Uint8Array.of(2, 3));
    expect(files.readAt(`${directory}/a`, 4, 99)).toEqual(Uint8Array.of(0, 9));
    await files.rename(`${directory}/a`, `${directory}/b`);
    await files.syncDirectory(directory);
    expect(files.list(directory)).toEqual(['b']);
    await files.removeFile(`${directory}/b`);
    expect(files.list(directory)).toEqual([]);
  });

  it('says what is not there, and makes directories once', async () => {
    expect(files.size(`${directory}/a`)).toBeNull();
    expect(files.readFile(`${directory}/a`, 10)).toBeNull();
    expect(files.readAt(`${directory}/a`, 0, 10)).toBeNull();
    expect(files.list(`${directory}/a`)).toEqual([]);
    expect(files.isDirectory(`${directory}/a`)).toBe(false);
    expect(await files.makeDirectory(`${directory}/a`)).toBe(true);
    expect(await files.makeDirectory(`${directory}/a`)).toBe(false);
    expect(files.isDirectory(`${directory}/a`)).toBe(true);
    await files.removeDirectory(`${directory}/a`);
    expect(files.isDirectory(`${directory}/a`)).toBe(false);
  });

  it('fails with the operation and the code of the system', async () => {
    await (await files.create(`${directory}/a`)).write(new Uint8Array(11), 0);
    await expect(files.create(`${directory}/a`)).rejects.toMatchObject({
      name: 'DiskFailure',
      operation: 'create',
      systemCode: 'EEXIST',
    });
    await expect(files.create(`${directory}/no/a`)).rejects.toMatchObject({ systemCode: 'ENOENT' });
    await expect(files.rename(`${directory}/x`, `${directory}/y`)).rejects.toThrow(DiskFailure);
    await expect(files.removeDirectory(directory)).rejects.toMatchObject({
      systemCode: 'ENOTEMPTY',
    });
    expect(files.readFile(`${directory}/a`, 11)).toHaveLength(11);
    expect(() => files.readFile(`${directory}/a`, 10)).toThrow(DiskFailure);
  });

  it('keeps a whole log, read-only, and recovers it', async () => {
    const folders = { state: join(directory, 'state'), log: join(directory, 'log') };
    const log = await EpochLog.create({
      files,
      crypto: nodeCrypto,
      spoolDirectory: spoolDirectory(folders, 1),
      logDirectory: folders.log,
      epoch: 1,
      segmentBytes: 64 * 1024,
      onFailure: () => undefined,
    });
    const writer = new LogWriter();
    for (let count = 0; count < 5; count++) {
      writer.addInputs(100);
      assertAccepted(await log.receive(writer.commit()));
    }
    await log.finish();
    const before = files.list(`${folders.log}/epochs/0000000001/tile/entries`);
    const recovered = assertAccepted(await completeFolder(files, nodeCrypto, folders, 1));
    expect(recovered).toMatchObject({ commits: 5, size: 501, cutBytes: 0 });
    expect(files.list(`${folders.log}/epochs/0000000001/tile/entries`)).toEqual(before);
    expect(before).toContain('000');
  });
});

describe('real files', () => {
  it('are read-only in the log folder, whatever the umask is', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'modes-'));
    mkdirSync(join(directory, 'state'));
    const folders = { state: join(directory, 'state'), log: join(directory, 'log') };
    const log = await EpochLog.create({
      files: nodeFiles,
      crypto: nodeCrypto,
      spoolDirectory: spoolDirectory(folders, 1),
      logDirectory: folders.log,
      epoch: 1,
      segmentBytes: 64 * 1024,
      onFailure: () => undefined,
    });
    const writer = new LogWriter();
    writer.addInputs(300);
    assertAccepted(await log.receive(writer.commit()));
    await log.finish();
    const epoch = join(folders.log, 'epochs/0000000001');
    const modes = readdirSync(epoch, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(epoch.length + 1), statSync(path).mode & 0o777]);
    expect(Object.fromEntries(modes)).toMatchObject({
      checkpoint: 0o644,
      'tile/0/000': 0o444,
      'tile/entries/000': 0o444,
      'tile/entries/001.p/45': 0o444,
    });
    expect(readFileSync(join(epoch, 'tile/0/000'))).toHaveLength(8192);
    rmSync(directory, { recursive: true });
  });
});
