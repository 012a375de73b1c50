// Small files that are there whole or not at all, whatever happens: written beside their place, synced,
// renamed, and the folder synced. What a killed process has left beside is removed when the folder is listed.

import type { Files } from './files.ts';

const PART = '.part';

/** Replaces what is there. Rejects with a DiskFailure. */
export async function writeDurably(
  files: Files,
  directory: string,
  name: string,
  bytes: Uint8Array,
  mode = 0o600,
): Promise<void> {
  const part = `${directory}/${name}${PART}`;
  if (files.size(part) !== null) await files.removeFile(part);
  const file = await files.create(part);
  await file.setMode(mode);
  await file.write(bytes, 0);
  await file.sync();
  await file.close();
  await files.rename(part, `${directory}/${name}`);
  await files.syncDirectory(directory);
}

/** Gone after a crash, too. */
export async function removeDurably(files: Files, directory: string, name: string): Promise<void> {
  await files.removeFile(`${directory}/${name}`);
  await files.syncDirectory(directory);
}

/** Names of whole files. */
export async function listWhole(files: Files, directory: string): Promise<readonly string[]> {
  const names = files.list(directory);
  for (const name of names) {
    if (name.endsWith(PART)) await files.removeFile(`${directory}/${name}`);
  }
  return names.filter((name) => !name.endsWith(PART));
}
