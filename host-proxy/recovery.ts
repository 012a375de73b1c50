// What the host does before it starts an epoch: the folder of every epoch that ended without its spool
// being removed is completed from the spool, again and again if need be, and only then is the spool
// removed. A spool without its begin goes on where its start says (epoch-start.ts). Trusts the disk. Refuses
// `spool_corrupt` instead of leaving anything out silently.

import type { WireCrypto } from '../wire/crypto.ts';
import type { Result } from '../wire/result.ts';
import { clientOrderIdOf } from '../wire/payloads.ts';
import { accept, refuse } from '../wire/result.ts';
import { verifyCheckpoint } from '../wire/tlog/checkpoint.ts';
import { leafHash } from '../wire/tlog/merkle.ts';
import type { CommitChecker } from './commit-check.ts';
import { EpochFolder } from './epoch-folder.ts';
import { beginEpoch, resumeEpoch } from './epoch-resume.ts';
import type { EpochStart } from './epoch-start.ts';
import { readEpochStart } from './epoch-start.ts';
import type { Files } from './files.ts';
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
  /** Leaves whose commits were not in its spool any more. */
  readonly from: number;
  /** Client order ids of its outputs, by leaf index, without those before `from` that are closed. */
  readonly outputs: ReadonlyMap<number, string>;
  /** Those that a report in its log is about, and the last closed one before `from`. */
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
  const directory = spoolDirectory(folders, epoch);
  const folder = new EpochFolder(files, folders.log, epoch);
  await syncSpool(files, directory);
  const found = readEpochStart(files, directory, epoch);
  if (!found.ok) return found;
  const start = found.value;
  const copy =
    start === null
      ? accept(beginEpoch(crypto, folder, epoch))
      : resumeEpoch(crypto, folder, epoch, start);
  if (!copy.ok) return copy;
  const { checker, publisher } = copy.value;
  const { outputs, reported } = knownOutputs(start);
  let commits = start?.spool.record ?? 0;
  let { bytes } = start ?? { bytes: 0 };
  let { size } = publisher;
  let closed = false;
  if (start !== null) await folder.open();
  const reader = readSpool(files, directory, start?.spool);
  let next = reader.next();
  for (; next.done !== true; next = reader.next()) {
    // In the folder already.
    if (commits++ < (start?.commits ?? 0)) continue;
    const checked = checker.check(next.value);
    if (!checked.ok)
      return refuse('spool_corrupt', { epoch, commit: commits - 1, as: checked.refusal.code });
    if (commits === 1) await folder.open();
    const { commit } = checked.value;
    await publisher.add(commit);
    for (const index of checked.value.outputs) {
      const leaf = commit.leaves[index - commit.firstIndex] ?? new Uint8Array();
      outputs.set(index, clientOrderIdOf(leafHash(crypto, leaf)));
    }
    for (const output of checked.value.reports) if (output !== null) reported.add(output);
    ({ size, closed } = checked.value);
    bytes += next.value.length;
  }
  if (!next.value.ok) return next.value;
  if (commits < (start?.commits ?? 0)) return refuse('spool_corrupt', { epoch, commit: commits });
  const beyond = checkPublished(crypto, folder, checker, size);
  if (!beyond.ok) return beyond;
  if (commits > 0) await publisher.finish();
  const { cutBytes } = next.value.value;
  const origin = checker.header?.origin ?? null;
  const from = start?.published.size ?? 0;
  return accept({ epoch, origin, from, commits, bytes, size, cutBytes, outputs, reported, closed });
}

function knownOutputs(start: EpochStart | null): {
  readonly outputs: Map<number, string>;
  readonly reported: Set<number>;
} {
  const outputs = new Map<number, string>();
  const reported = new Set<number>();
  const { published, lastClosed } = start ?? { published: { size: 0 }, lastClosed: null };
  if (lastClosed !== null) reported.add(lastClosed);
  for (const output of start?.outputs ?? []) {
    // What comes later is read from the spool.
    if (output.index >= published.size) continue;
    outputs.set(output.index, output.clientOrderId);
    if (output.reported) reported.add(output.index);
  }
  return { outputs, reported };
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
