// The end of an epoch on the host, live or at the next start: when its folder is complete, the outputs
// that were never released are written down for the next epoch, and only then are spool and journal
// removed, or kept elsewhere until they are shipped. Each step can be done again after a crash.

import { crc32 } from 'node:zlib';
import type { WireCrypto } from '../wire/crypto.ts';
import { parseUtf8, utf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { readEpochStart } from './epoch-start.ts';
import type { Files } from './files.ts';
import { makeDirectories } from './files.ts';
import type { HostFolders, RecoveredEpoch } from './recovery.ts';
import { completeFolder, listSpools, removeAll, removeSpool, spoolDirectory } from './recovery.ts';
import { readReleases } from './release-journal.ts';
import { keepUnshipped } from './ship/unshipped.ts';
import { syncSpool } from './spool.ts';

/** docs/PROTOCOL.md: PREVIOUS names at most this many. */
const MAX_UNRELEASED = 4096;
const MAX_FILE_BYTES: number = 128 * 1024;

export function journalDirectory(folders: HostFolders, epoch: number): string {
  return `${folders.state}/releases/${String(epoch).padStart(10, '0')}`;
}

function unreleasedPath(folders: HostFolders): string {
  return `${folders.state}/unreleased-outputs`;
}

/**
 * After the folder of `epoch` is complete and durable. `unshippedBytes`: its spool, with so many bytes of
 * commits, is kept to be shipped; null when nothing is.
 */
export async function settleEpoch(
  files: Files,
  folders: HostFolders,
  epoch: number,
  unreleased: readonly number[],
  unshippedBytes: number | null,
): Promise<void> {
  await writeUnreleased(files, folders, epoch, unreleased);
  if (unshippedBytes === null) await removeSpool(files, spoolDirectory(folders, epoch));
  else await keepUnshipped(files, folders, epoch, unshippedBytes);
  await removeAll(files, journalDirectory(folders, epoch));
}

async function writeUnreleased(
  files: Files,
  folders: HostFolders,
  epoch: number,
  unreleased: readonly number[],
): Promise<void> {
  await makeDirectories(files, folders.state);
  const path = unreleasedPath(folders);
  const temporary = `${path}.tmp`;
  if (files.size(temporary) !== null) await files.removeFile(temporary);
  const file = await files.create(temporary);
  const named = unreleased.toSorted((a, b) => a - b).slice(0, MAX_UNRELEASED);
  const text = [epoch, ...named].join(' ');
  await file.write(utf8(`${crc32(text)} ${text}\n`), 0);
  await file.sync();
  await file.close();
  await files.rename(temporary, path);
  await files.syncDirectory(folders.state);
}

/**
 * Leaf indexes of outputs of `epoch` that were logged and never released; empty when this state folder
 * knows nothing of that epoch. Refuses `spool_corrupt` when the list is damaged.
 */
export function readUnreleased(
  files: Files,
  folders: HostFolders,
  epoch: number,
): Result<readonly number[]> {
  const bytes = files.readFile(unreleasedPath(folders), MAX_FILE_BYTES);
  if (bytes === null) return accept([]);
  const [, checksum, text] = /^(\d+) ([\d ]+)\n$/u.exec(parseUtf8(bytes) ?? '') ?? [];
  if (text === undefined || Number(checksum) !== crc32(text)) {
    return refuse('spool_corrupt', { file: 'unreleased' });
  }
  const [named, ...indexes] = text.split(' ').map(Number);
  return accept(named === epoch ? indexes : []);
}

/** An epoch that was not settled by the host that ran it. */
export interface BrokenEpoch {
  readonly origin: string;
  /** Of the leaves before it only some outputs are named; the others were released, decided on and reported. */
  readonly from: number;
  /** Client order ids of its outputs, by leaf index. */
  readonly outputs: ReadonlyMap<number, string>;
  /** Those that a report in its log is about. */
  readonly reported: ReadonlySet<number>;
  /** Leaf indexes of the outputs that were released. */
  readonly released: ReadonlySet<number>;
}

/** Execution's part, before the list of released outputs goes; doing it again changes nothing. */
export type Reconcile = (epoch: BrokenEpoch) => Promise<Result<null>>;

/** Leaf indexes of what was released, from the journal and from the start of the spool. */
async function readMarks(
  files: Files,
  folders: HostFolders,
  epoch: number,
): Promise<Result<ReadonlySet<number>>> {
  const [spool, journal] = [spoolDirectory(folders, epoch), journalDirectory(folders, epoch)];
  await syncSpool(files, spool);
  const start = readEpochStart(files, spool, epoch);
  if (!start.ok) return start;
  await syncSpool(files, journal);
  const marks = readReleases(files, journal, start.value?.releases);
  if (!marks.ok) return marks;
  const known = start.value?.outputs.filter(({ released }) => released) ?? [];
  return accept(new Set([...known.map(({ index }) => index), ...marks.value]));
}

/**
 * Settles every epoch that a stopped host has left. Rejects with a DiskFailure or a FolderConflict,
 * refuses `spool_corrupt`; either way nothing was removed that is not in the folder. `ships`: spools are
 * kept to be shipped.
 */
export async function settleAll(
  files: Files,
  crypto: WireCrypto,
  folders: HostFolders,
  reconcile: Reconcile = () => Promise.resolve(accept(null)),
  ships = false,
): Promise<Result<readonly RecoveredEpoch[]>> {
  const settled: RecoveredEpoch[] = [];
  for (const epoch of await listSpools(files, folders)) {
    const marks = await readMarks(files, folders, epoch);
    if (!marks.ok) return marks;
    const recovered = await completeFolder(files, crypto, folders, epoch);
    if (!recovered.ok) return recovered;
    const { from, origin, outputs, reported, size } = recovered.value;
    // One that was closed may have kept its mark.
    const released = new Set([...marks.value].filter((at) => at >= from || outputs.has(at)));
    // What was released was acknowledged before: a log without it has lost its end.
    const lost = [...released].find((index) => !outputs.has(index));
    if (lost !== undefined) return refuse('spool_corrupt', { epoch, size, released_leaf: lost });
    if (origin !== null) {
      const reconciled = await reconcile({ origin, from, outputs, reported, released });
      if (!reconciled.ok) return reconciled;
    }
    const unreleased = [...outputs.keys()].filter((index) => !released.has(index));
    const { commits, bytes } = recovered.value;
    if (commits > 0) await settleEpoch(files, folders, epoch, unreleased, ships ? bytes : null);
    else await removeSpool(files, spoolDirectory(folders, epoch));
    settled.push(recovered.value);
  }
  // A crash between the removal of a spool and of its journal.
  const journals = `${folders.state}/releases`;
  for (const name of files.list(journals)) await removeAll(files, `${journals}/${name}`);
  return accept(settled);
}
