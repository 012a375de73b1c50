// Writes the epoch's commits into its bucket, in order and without holes: the first one as the claim, the
// others in groups, one object at a time. Each number is written once by whoever comes first, so that
// other bytes at ours prove another writer: then this epoch is over, and nothing more is released. S3 away
// or refusing is a log that waits.

import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { encodeCommitGroup, groupedBytes, MAX_COMMIT_GROUP_BYTES } from '../../wire/objects.ts';
import { Fatal } from '../fatal.ts';
import type { Guard } from '../fatal.ts';
import { Fifo } from '../fifo.ts';
import { createOnce, insist } from './insist.ts';
import type { Lease } from './lease.ts';

export interface CommitterOptions {
  readonly lease: Lease;
  readonly epoch: number;
  readonly guard: Guard;
  /** The bucket has the first `size` leaves. Answers the size that the next object waits for. */
  readonly onStored: (size: number) => number;
}

interface WaitingCommit {
  readonly commit: Uint8Array;
  /** Leaves of the log with it. */
  readonly size: number;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #waiting = new Fifo<WaitingCommit>();
  /** 0 is the claim. */
  #number = 0;
  #busy = false;
  /** Leaves that the host has acknowledged. */
  #lastSize = 0;
  /** Not before the host has acknowledged so many. */
  #neededSize = 0;
  #retries = 0;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  get counters(): Readonly<Record<string, number>> {
    return { s3_objects: this.#number, s3_retries: this.#retries };
  }

  /** A commit that the host has acknowledged: the bucket never has what the host may have lost. */
  add(commit: Uint8Array, size: number): void {
    this.#waiting.push({ commit, size });
    this.#lastSize = size;
    this.#writeNext();
  }

  #writeNext(): void {
    if (this.#busy || this.#waiting.length === 0 || this.#lastSize < this.#neededSize) return;
    this.#busy = true;
    void this.#options.guard.runAsync(async () => {
      const size = await this.#write();
      this.#busy = false;
      this.#neededSize = this.#options.onStored(size);
      this.#writeNext();
    });
  }

  /** Throws a Fatal: `epoch_claimed`, `superseded`, `object_replaced`. */
  async #write(): Promise<number> {
    const { lease, epoch } = this.#options;
    const { bucket, retainUntil } = lease;
    const isClaim = this.#number === 0;
    const { commits, size } = this.#take(isClaim ? 1 : Number.POSITIVE_INFINITY);
    const [first = new Uint8Array(0)] = commits;
    const bytes = isClaim ? first : encodeCommitGroup(commits);
    const key = isClaim ? claimKey(epoch) : commitsKey(epoch, this.#number);
    const insistence = {
      ...lease.insistence,
      refusable: isClaim,
      onRetry: () => {
        this.#retries++;
      },
    };
    const other = await insist(insistence, () => createOnce(bucket, key, bytes, retainUntil()));
    if (other !== null) throw new Fatal(isClaim ? 'epoch_claimed' : 'superseded');
    // A claim that was hidden before would make two of us.
    if (isClaim && !(await insist(insistence, () => bucket.isOnlyVersion(key)))) {
      throw new Fatal('object_replaced');
    }
    this.#number++;
    return size;
  }

  /** As many as fit into one object. */
  #take(most: number): { readonly commits: readonly Uint8Array[]; readonly size: number } {
    const commits: Uint8Array[] = [];
    let bytes = 0;
    let size = 0;
    for (let next = this.#waiting.first; next !== undefined; next = this.#waiting.first) {
      bytes += groupedBytes(next.commit.length);
      if (commits.length === most || (commits.length > 0 && bytes > MAX_COMMIT_GROUP_BYTES)) break;
      this.#waiting.shift();
      commits.push(next.commit);
      ({ size } = next);
    }
    return { commits, size };
  }
}
