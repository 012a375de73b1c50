// The door to the files of a host: once it is closed nothing that is left of the host can change them any
// more, and what was under way is over. A host closes it before it gives up its folder, so that whatever
// its end has cut off (a publication on a timer, an order that was being journaled) cannot get in the
// way of the next host, which may start at once.

import type { Files, OpenFile } from './files.ts';
import { DiskFailure } from './files.ts';

export class FilesGate {
  readonly files: Files;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(files: Files) {
    const pass = <T>(operation: string, path: string, run: () => Promise<T>): Promise<T> =>
      this.#pass(operation, path, run);
    const openFile = (file: OpenFile, path: string): OpenFile => ({
      write: (bytes, position) => pass('write', path, () => file.write(bytes, position)),
      datasync: () => pass('fdatasync', path, () => file.datasync()),
      sync: () => pass('fsync', path, () => file.sync()),
      setMode: (mode) => pass('chmod', path, () => file.setMode(mode)),
      // Changes nothing, and a descriptor should not be left over.
      close: () => file.close(),
    });
    this.files = {
      create: (path) => pass('create', path, async () => openFile(await files.create(path), path)),
      readFile: (path, maxBytes) => files.readFile(path, maxBytes),
      readAt: (path, position, bytes) => files.readAt(path, position, bytes),
      size: (path) => files.size(path),
      isDirectory: (path) => files.isDirectory(path),
      list: (directory) => files.list(directory),
      makeDirectory: (path) => pass('mkdir', path, () => files.makeDirectory(path)),
      rename: (from, to) => pass('rename', to, () => files.rename(from, to)),
      removeFile: (path) => pass('unlink', path, () => files.removeFile(path)),
      removeDirectory: (path) => pass('rmdir', path, () => files.removeDirectory(path)),
      syncFile: (path) => pass('fsync', path, () => files.syncFile(path)),
      syncDirectory: (path) => pass('fsync directory', path, () => files.syncDirectory(path)),
    };
  }

  /** Resolves when nothing is under way any more. Operations that come later reject. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  async #pass<T>(operation: string, path: string, run: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      throw new DiskFailure(operation, path, Object.assign(new Error(), { code: 'ECANCELED' }));
    }
    const running = run();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }
}
