// The commits of an epoch, from the first to the last, wherever they are: those that its spool does not have any
// more from the log folder, the others from the spool. While an epoch runs nothing goes from its spool that
// was not shipped, so that only epochs of hosts that have ended need the folder.

import { DiskFailure } from '../files.ts';
import type { Files } from '../files.ts';
import { readEpochStart } from '../epoch-start.ts';
import { FolderCommits } from './folder-commits.ts';
import { SpoolTail } from './spool-tail.ts';

export interface EpochCommitsOptions {
  readonly files: Files;
  readonly logDirectory: string;
  readonly epoch: number;
  /** Leaves of the whole epoch; null while it runs. */
  readonly finalSize: () => number | null;
  /** Where the epoch's spool is now; null when it is nowhere. */
  readonly locateSpool: () => string | null;
}

export class EpochCommits {
  readonly #options: EpochCommitsOptions;
  #tail: SpoolTail | null = null;
  #older: FolderCommits | null = null;
  /** Commits that come from the folder. */
  #olderCount = 0;
  #records = 0;

  constructor(options: EpochCommitsOptions) {
    this.#options = options;
  }

  /** Commits that were read. */
  get records(): number {
    return this.#records;
  }

  /** The next one, which is durable. Throws a DiskFailure or a ShipFinding when it cannot be read. */
  next(): Uint8Array {
    const tail = this.#tail ?? this.#begin();
    const older = this.#records < this.#olderCount ? this.#older : null;
    const payload = (older ?? tail).next();
    this.#records++;
    if (this.#records === this.#olderCount) this.#older = null;
    return payload;
  }

  #begin(): SpoolTail {
    const { files, logDirectory, epoch, finalSize, locateSpool } = this.#options;
    const directory = locateSpool() ?? 'spool';
    const start = readEpochStart(files, directory, epoch);
    if (!start.ok) {
      const cause = Object.assign(new Error(), { code: 'EBADMSG' });
      throw new DiskFailure('read', `${directory}/start`, cause);
    }
    const spool = start.value?.spool;
    this.#tail = new SpoolTail(files, locateSpool, spool);
    if (spool === undefined) return this.#tail;
    const size = finalSize();
    if (size === null)
      throw new Error('a running epoch whose commits went before they were shipped');
    this.#older = new FolderCommits(files, logDirectory, epoch, size);
    this.#olderCount = spool.record;
    return this.#tail;
  }
}
