// The log folder of a built epoch, as a map of files that a test may change before it is written.

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { concatBytes, writeU32 } from '../../wire/bytes.ts';
import { encodeEntryBundle, entriesPath, tilePath, tilesOf } from '../../wire/tlog/tile.ts';
import type { EpochBuilder } from './epoch-builder.ts';

const NOTES_PER_FILE = 1024;

export function epochFolder(epoch: number): string {
  return `epochs/${String(epoch).padStart(10, '0')}`;
}

/** Name of a file in commits/, by the indexes of its first and last leaf. */
export function commitsName(first: number, last: number): string {
  return `${String(first).padStart(20, '0')}-${String(last).padStart(20, '0')}`;
}

export function encodeNotes(notes: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    ...notes.flatMap((note) => {
      const head = new Uint8Array(4);
      writeU32(head, 0, note.length);
      return [head, note];
    }),
  );
}

/** What a host knows of an epoch. */
export type BuiltEpoch = Pick<
  EpochBuilder,
  'notes' | 'leaves' | 'tree' | 'blobs' | 'header' | 'checkpoint'
>;

/** Paths below the log folder; the last note is the checkpoint. */
export function filesOf(epoch: BuiltEpoch): Map<string, Uint8Array> {
  const { notes, leaves, tree, blobs, header } = epoch;
  const folder = epochFolder(header.epoch);
  const files = new Map<string, Uint8Array>();
  for (const { level, index, width } of tilesOf(notes.at(-1)?.size ?? 0)) {
    const hashes = Array.from(
      { length: width },
      (_, at) => tree.node(level * 8, index * 256 + at) ?? new Uint8Array(),
    );
    files.set(`${folder}/${tilePath(level, index, width)}`, concatBytes(...hashes));
    if (level > 0) continue;
    const bundle = encodeEntryBundle(leaves.slice(index * 256, index * 256 + width));
    files.set(`${folder}/${entriesPath(index, width)}`, bundle);
  }
  for (const [hash, blob] of blobs) files.set(`blobs/${hash}`, blob);
  for (let first = 0; first < notes.length; first += NOTES_PER_FILE) {
    const some = notes.slice(first, first + NOTES_PER_FILE);
    const name = commitsName(notes[first - 1]?.size ?? 0, (some.at(-1)?.size ?? 0) - 1);
    files.set(`${folder}/commits/${name}`, encodeNotes(some.map(({ note }) => note)));
  }
  files.set(`${folder}/checkpoint`, epoch.checkpoint);
  return files;
}

export async function writeFiles(
  directory: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  for (const [path, bytes] of files) {
    const whole = join(directory, path);
    await mkdir(dirname(whole), { recursive: true });
    await writeFile(whole, bytes);
  }
}
