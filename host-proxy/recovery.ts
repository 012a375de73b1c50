// What the host does before it starts an epoch: the folder of every epoch that ended without its spool
// being removed is completed from the spool, again and again if need be, and only then is the spool
// removed. Trusts the disk. Refuses `spool_corrupt` instead of leaving anything out silently.

import type { WireCrypto } from '../wire/crypto.ts';
import type { Result } from '../wire/result.ts';
import { clientOrderIdOf } from '../wire/payloads.ts';
import { accept, refuse } from '../wire/result.ts';
import { verifyCheckpoint } from '../wire/tlog/checkpoint.ts';
import { leafHash } from '../wire/tlog/merkle.ts';
import { CommitChecker } from './commit-check.ts';
import { EpochFolder } from './epoch-folder.ts';
import { EpochTree } from './epoch-tree.ts';
import type { Files } from './files.ts';
import { FolderReader } from './folder-reader.ts';
import { Publisher } from './publisher.ts';
import { readSpool, syncSpool } from './spool.ts';

const REMOVED = '.removed';

/** Where the host keeps things, as absolute paths without a slash at the end. */
export interface HostFolders {
  /** Spools and journals: the host's own, not for readers. */
  readonly state: string;
  /** The log folder that is served. */
  readonly log: string;
}

function epochName(epoch: number): string {
  return String(epoch).padStart(10, '0');
}

export function spoolDirectory(folders: HostFolders, epoch: number): string {
  return `${folders.state}/spool/${epochName(epoch)}`;
}

export interface RecoveredEpoch {
  readonly epoch: number;
  readonly commits: number;
  /** Leaves; 0 when no commit was whole. */
  readonly size: number;
  /** Of its commits. */
  readonly bytes: number;
  /** Bytes of a commit that was never acknowledged. */
  readonly cutBytes: number;
  /** Null when no commit was whole. */
  readonly origin: string | null;
  /** Client order ids of its outputs, by leaf index. */
  readonly outputs: ReadonlyMap<number, string>;
  /** Those that a report in its log is about. */
  readonly reported: ReadonlySet<number>;
  /** It ended with a close leaf. */
  readonly closed: boolean;
}

/** Removes a spool whose folder is complete. A crash in between leaves a name that is removed later. */
export async function removeSpool(files: Files, directory: string): Promise<void> {
  const removed = `${directory}${REMOVED}`;
  const parent = directory.slice(0, directory.lastIndexOf('/'));
  await files.rename(directory, removed);
  await files.syncDirectory(parent);
  await removeAll(files, removed);
}

/** A directory of files, if it is there. */
export async function removeAll(files: Files, directory: string): Promise<void> {
  if (!files.isDirectory(directory)) return;
  for (const name of files.list(directory)) await files.removeFile(`${directory}/${name}`);
  await files.removeDirectory(directory);
}

/** Epochs whose spool is there, ascending. */
export async function listSpools(files: Files, folders: HostFolders): Promise<readonly number[]> {
  const parent = `${folders.state}/spool`;
  const epochs: number[] = [];
  for (const name of files.list(parent)) {
    if (name.endsWith(REMOVED)) await removeAll(files, `${parent}/${name}`);
    else if (/^\d{10}$/u.test(name)) epochs.push(Number(name));
  }
  return epochs;
}

/**
 * Completes the folder of an epoch from its spool; the spool stays. Rejects with a DiskFailure or a
 * FolderConflict. Doing it again changes nothing.
 */
export async function completeFolder(
  files: Files,
  crypto: WireCrypto,
  folders: HostFolders,
  epoch: number,
): Promise<Result<RecoveredEpoch>> {
  const folder = new EpochFolder(files, folders.log, epoch);
  const published = new FolderReader(crypto, folder, 0);
  const tree = new EpochTree(crypto, (level, index) => published.tile(level, index));
  const checker = new CommitChecker(crypto, tree, epoch);
  const publisher = new Publisher(crypto, folder, tree);
  const outputs = new Map<number, string>();
  const reported = new Set<number>();
  let [commits, bytes, size, closed] = [0, 0, 0, false];
  await syncSpool(files, spoolDirectory(folders, epoch));
  const reader = readSpool(files, spoolDirectory(folders, epoch));
  let next = reader.next();
  for (; next.done !== true; next = reader.next()) {
    const checked = checker.check(next.value);
    if (!checked.ok)
      return refuse('spool_corrupt', { epoch, commit: commits, as: checked.refusal.code });
    if (commits === 0) await folder.open();
    const { commit } = checked.value;
    await publisher.add(commit);
    for (const index of checked.value.outputs) {
      const leaf = commit.leaves[index - commit.firstIndex] ?? new Uint8Array();
      outputs.set(index, clientOrderIdOf(leafHash(crypto, leaf)));
    }
    for (const output of checked.value.reports) if (output !== null) reported.add(output);
    ({ size, closed } = checked.value);
    commits++;
    bytes += next.value.length;
  }
  if (!next.value.ok) return next.value;
  const beyond = checkPublished(crypto, folder, checker, size);
  if (!beyond.ok) return beyond;
  if (commits > 0) await publisher.finish();
  const { cutBytes } = next.value.value;
  const origin = checker.header?.origin ?? null;
  return accept({ epoch, origin, commits, bytes, size, cutBytes, outputs, reported, closed });
}

/** Only acknowledged commits are published, so a spool that ends before the checkpoint has lost some. */
function checkPublished(
  crypto: WireCrypto,
  folder: EpochFolder,
  checker: CommitChecker,
  size: number,
): Result<null> {
  const note = folder.read('checkpoint', 1 << 20);
  if (note === null) return accept(null);
  const { header } = checker;
  if (header === null) return refuse('spool_corrupt', { size });
  const checkpoint = verifyCheckpoint(crypto, note, header.origin, header.logKey);
  if (!checkpoint.ok) return checkpoint;
  return checkpoint.value.size > size
    ? refuse('spool_corrupt', { size, published: checkpoint.value.size })
    : accept(null);
}
