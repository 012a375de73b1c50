// Spools of settled epochs that the store may not have all of yet: `<state>/unshipped/<epoch>.<bytes>`, where
// bytes are those of its commits. An epoch gets there by one rename and leaves when the store has shown
// every object of it; nothing here is ever changed.

import type { Files } from '../files.ts';
import { makeDirectories } from '../files.ts';
import type { HostFolders } from '../recovery.ts';
import { removeSpool, spoolDirectory } from '../recovery.ts';

const NAME = /^(\d{10})\.(\d{1,15})$/u;
const REMOVED = '.removed';

export interface UnshippedEpoch {
  readonly epoch: number;
  /** Of its COMMIT payloads. */
  readonly bytes: number;
  readonly directory: string;
}

function parentOf(folders: HostFolders): string {
  return `${folders.state}/unshipped`;
}

/** Ascending. */
export function listUnshipped(files: Files, folders: HostFolders): readonly UnshippedEpoch[] {
  const parent = parentOf(folders);
  return files.list(parent).flatMap((name) => {
    const [, epoch, bytes] = NAME.exec(name) ?? [];
    if (epoch === undefined || bytes === undefined) return [];
    return [{ epoch: Number(epoch), bytes: Number(bytes), directory: `${parent}/${name}` }];
  });
}

/** In place of the removal of its spool, when its folder is complete and durable. */
export async function keepUnshipped(
  files: Files,
  folders: HostFolders,
  epoch: number,
  bytes: number,
): Promise<void> {
  const parent = parentOf(folders);
  await makeDirectories(files, parent);
  const name = `${String(epoch).padStart(10, '0')}.${bytes}`;
  await files.rename(spoolDirectory(folders, epoch), `${parent}/${name}`);
  await files.syncDirectory(parent);
  await files.syncDirectory(`${folders.state}/spool`);
}

/** Where the spool of an epoch is, while it runs and afterwards; null when it is nowhere. */
export function locateSpool(files: Files, folders: HostFolders, epoch: number): string | null {
  const live = spoolDirectory(folders, epoch);
  if (files.isDirectory(live)) return live;
  return listUnshipped(files, folders).find((other) => other.epoch === epoch)?.directory ?? null;
}

/** The store has all of it. */
export async function removeShipped(
  files: Files,
  folders: HostFolders,
  epoch: number,
): Promise<void> {
  const found = listUnshipped(files, folders).find((other) => other.epoch === epoch);
  if (found !== undefined) await removeSpool(files, found.directory);
}

/** What a crash has left of a removal. */
export async function finishRemovals(files: Files, folders: HostFolders): Promise<void> {
  const parent = parentOf(folders);
  for (const name of files.list(parent)) {
    if (!name.endsWith(REMOVED)) continue;
    for (const file of files.list(`${parent}/${name}`)) {
      await files.removeFile(`${parent}/${name}/${file}`);
    }
    await files.removeDirectory(`${parent}/${name}`);
  }
}
