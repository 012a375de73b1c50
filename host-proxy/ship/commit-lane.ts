// Claim and groups of commits, one at a time and in order, so that their numbers have no holes whenever this
// process dies. What is there already, from before a crash or from the enclave itself, must be what our
// spool has next, wherever its groups were cut: then it goes on behind it. Anything else is a finding.
// Holds one group in memory, at most 16 MiB.

import { equalBytes, parseUtf8, toHex } from '../../wire/bytes.ts';
import type { Commit } from '../../wire/commit.ts';
import { parseCommit } from '../../wire/commit.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { parseHeader } from '../../wire/header.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import type { ObjectHead } from '../../wire/node/objects/store.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { blobKey } from '../../wire/host-keys.ts';
import { encodeCommitGroup, groupedBytes, MAX_COMMIT_GROUP_BYTES } from '../../wire/objects.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import type { EpochCommits } from './epoch-commits.ts';
import type { EpochProgress } from './epoch-progress.ts';
import { isSuperseded, MAX_SUPERSEDED_BYTES } from './next-commit.ts';
import type { Uploads } from './uploads.ts';
import { ShipFinding } from './uploads.ts';

const BLOBS_AT_ONCE = 4;
export interface LaneTimes {
  readonly nowMs: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface CommitLaneOptions extends LaneTimes {
  readonly crypto: WireCrypto;
  readonly uploads: Uploads;
  readonly progress: EpochProgress;
  readonly commits: EpochCommits;
  /** A group is closed with this many bytes, or this long after its first commit. */
  readonly groupBytes: number;
  readonly groupMs: number;
  /** Resolves when the next group may go. */
  readonly mayGo: () => Promise<void>;
}

/** A commit that is in the store, and what follows from it. */
export interface CommittedHead {
  readonly size: number;
  /** As the note says. */
  readonly root: Uint8Array;
  readonly note: Uint8Array;
  readonly newestNs: bigint;
}

interface Record {
  readonly payload: Uint8Array;
  readonly commit: Commit;
}

export class CommitLane {
  readonly #options: CommitLaneOptions;
  #head: CommittedHead | null = null;
  /** Read and not in the store yet, oldest first. */
  #pending: Record[] = [];
  /** Leaves up to the end of what was read. */
  #readSize = 0;
  #number = 1;
  /** The enclave writes claim and groups itself. */
  #enclaveWrites = false;
  #expected: boolean;

  constructor(options: CommitLaneOptions) {
    this.#options = options;
    this.#expected = options.progress.isResumed;
  }

  /** The last commit that is in the store. */
  get head(): CommittedHead | null {
    return this.#head;
  }

  /** Resolves when the store has all commits of the epoch. */
  async run(): Promise<void> {
    const { progress } = this.#options;
    const first = await this.#fill(1);
    if (first === undefined) return;
    this.#enclaveWrites = policyOf(this.#options.crypto, first.commit) === 's3';
    await this.#placeClaim(first);
    for (;;) {
      await this.#options.mayGo();
      if (await this.#adopt()) continue;
      if (this.#enclaveWrites && progress.finalSize === null) {
        // Only looked for while the enclave is alive.
        await this.#pause();
        continue;
      }
      if ((await this.#fill(1)) === undefined) return;
      await this.#gather();
      await this.#placeGroup();
    }
  }

  async #placeClaim(first: Record): Promise<void> {
    const { progress, uploads } = this.#options;
    const key = claimKey(progress.epoch);
    while (this.#enclaveWrites && progress.finalSize === null) {
      if ((await uploads.run((store) => store.head(key))) !== null) break;
      await this.#pause();
    }
    await this.#placeBlobs([first]);
    const newestNs = newestOf(first.commit);
    if (!(await uploads.place(key, first.payload, newestNs, this.#mayExist))) {
      throw new ShipFinding('object_different', key);
    }
    this.#advance(1);
  }

  /** Takes over the group that is in the store under the next number; false when there is none. */
  async #adopt(): Promise<boolean> {
    const { progress, uploads } = this.#options;
    if (!this.#mayExist) return false;
    const key = commitsKey(progress.epoch, this.#number);
    const head = await uploads.run((store) => store.head(key));
    if (head === null) {
      // Numbers are dense: behind it there is nothing of a host that has ended.
      this.#expected = false;
      return false;
    }
    return this.#compare(head);
  }

  /**
   * The object must be the next commits, to the end of one of them; they are taken as shipped. False when it
   * is the mark of a successor, whose place is behind all of them.
   */
  async #compare(head: ObjectHead): Promise<boolean> {
    const { uploads } = this.#options;
    const records = await this.#recordsOf(head.bytes);
    if (records === null || !(await this.#isGroup(head, records))) {
      if (!(await this.#isSuperseded(head))) throw new ShipFinding('object_different', head.key);
      return false;
    }
    uploads.checkLock(head, newestOf(records.at(-1)?.commit ?? null));
    uploads.counters.same++;
    await this.#placeBlobs(records);
    this.#number++;
    this.#advance(records.length);
    return true;
  }

  /** The next commits that make a group of just so many bytes; null when none do. */
  async #recordsOf(groupBytes: number): Promise<readonly Record[] | null> {
    if (groupBytes > MAX_COMMIT_GROUP_BYTES) return null;
    let [bytes, count] = [0, 0];
    while (bytes < groupBytes) {
      const next = await this.#fill(count + 1);
      if (next === undefined) break;
      bytes += groupedBytes(next.payload.length);
      count++;
    }
    return count > 0 && bytes === groupBytes ? this.#pending.slice(0, count) : null;
  }

  async #isGroup(head: ObjectHead, records: readonly Record[]): Promise<boolean> {
    const { crypto, uploads } = this.#options;
    const ours = encodeCommitGroup(records.map(({ payload }) => payload));
    if (head.sha256 !== null && equalBytes(head.sha256, crypto.sha256(ours))) return true;
    const there = await uploads.run((store) => store.get(head.key, head.bytes));
    return there !== null && equalBytes(there.bytes, ours);
  }

  async #isSuperseded({ key, bytes }: ObjectHead): Promise<boolean> {
    if (bytes > MAX_SUPERSEDED_BYTES) return false;
    const there = await this.#options.uploads.run((store) => store.get(key, bytes));
    return there !== null && isSuperseded(there.bytes);
  }

  /** Waits for the rest of a group. */
  async #gather(): Promise<void> {
    const { groupBytes, groupMs, progress, signal, sleep } = this.#options;
    let isOver = false;
    const over = sleep(groupMs, signal).then(() => {
      isOver = true;
    });
    let count = 1;
    let bytes = groupedBytes(this.#pending[0]?.payload.length ?? 0);
    while (bytes < groupBytes) {
      const next = this.#pending[count] ?? this.#read();
      if (next !== null) {
        bytes += groupedBytes(next.payload.length);
        count++;
        continue;
      }
      if (isOver || progress.finalSize !== null) return;
      await progress.change(signal, over);
    }
  }

  async #placeGroup(): Promise<void> {
    const { progress, uploads } = this.#options;
    const { records, bytes } = this.#group();
    await this.#placeBlobs(records);
    const key = commitsKey(progress.epoch, this.#number);
    const newestNs = newestOf(records.at(-1)?.commit ?? null);
    if (await uploads.place(key, bytes, newestNs, false)) {
      this.#number++;
      this.#advance(records.length);
      return;
    }
    // Our own request of before a crash may have come late, with other commits in it.
    const head = await uploads.run((store) => store.head(key));
    if (head === null) throw new ShipFinding('object_not_kept', key);
    if (!(await this.#compare(head))) throw new ShipFinding('epoch_superseded', key);
  }

  /** As many of what was read as a group takes. */
  #group(): { readonly records: readonly Record[]; readonly bytes: Uint8Array } {
    let [bytes, count] = [0, 0];
    for (const { payload } of this.#pending) {
      if (count > 0 && bytes >= this.#options.groupBytes) break;
      bytes += groupedBytes(payload.length);
      count++;
    }
    const records = this.#pending.slice(0, count);
    return { records, bytes: encodeCommitGroup(records.map(({ payload }) => payload)) };
  }

  /** Before the commits that name them. */
  async #placeBlobs(records: readonly Record[]): Promise<void> {
    const { crypto, uploads } = this.#options;
    const waiting = records.flatMap(({ commit }) =>
      commit.blobs.map((blob) => ({ blob, newestNs: newestOf(commit) })),
    );
    while (waiting.length > 0) {
      await Promise.all(
        waiting.splice(0, BLOBS_AT_ONCE).map(async ({ blob, newestNs }) => {
          const key = blobKey(toHex(crypto.sha256(blob)));
          if (await uploads.place(key, blob, newestNs, true)) return;
          throw new ShipFinding('object_different', key);
        }),
      );
    }
  }

  #advance(count: number): void {
    const records = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    const last = records.at(-1)?.commit;
    if (last === undefined) return;
    const { note } = last;
    this.#head = { size: sizeOf(last), root: rootOf(note), note, newestNs: newestOf(last) };
    const bytes = records.reduce((sum, { payload }) => sum + payload.length, 0);
    this.#options.progress.shipped(records.length, bytes);
  }

  /** Waits until `count` are pending; the last of them, or undefined when the epoch ends before. */
  async #fill(count: number): Promise<Record | undefined> {
    const { progress, signal } = this.#options;
    while (this.#pending.length < count) {
      signal.throwIfAborted();
      if (this.#read() !== null) continue;
      if (progress.finalSize !== null) return undefined;
      await progress.change(signal);
    }
    return this.#pending[count - 1];
  }

  /** The next commit of the spool, behind what is pending; null when none is durable. */
  #read(): Record | null {
    const { progress, commits } = this.#options;
    if (commits.records >= progress.durableRecords) return null;
    if (progress.finalSize !== null && this.#readSize >= progress.finalSize) return null;
    const payload = commits.next();
    // It was checked before it was acknowledged.
    const record = { payload, commit: assertAccepted(parseCommit(payload)) };
    this.#readSize = sizeOf(record.commit);
    this.#pending.push(record);
    return record;
  }

  /** Something that the enclave writes is not there yet. */
  async #pause(): Promise<void> {
    const { sleep, groupMs, signal } = this.#options;
    await sleep(groupMs, signal);
    signal.throwIfAborted();
  }

  get #mayExist(): boolean {
    return this.#expected || this.#enclaveWrites;
  }
}

function sizeOf({ firstIndex, leaves }: Commit): number {
  return firstIndex + leaves.length;
}

/** Of a note that was verified before the commit was acknowledged. */
function rootOf(note: Uint8Array): Uint8Array {
  const text = parseUtf8(note) ?? '';
  return assertAccepted(parseCheckpoint(text.slice(0, text.indexOf('\n\n') + 1))).root;
}

/** Leaves' times never decrease. */
function newestOf(commit: Commit | null): bigint {
  const leaf = parseLeaf(commit?.leaves.at(-1) ?? new Uint8Array());
  return leaf.ok ? leaf.value.timeNs : 0n;
}

function policyOf(crypto: WireCrypto, first: Commit): string {
  const leaf = assertAccepted(parseLeaf(first.leaves[0] ?? new Uint8Array()));
  const { plaintext } = assertAccepted(openLeaf(crypto, leaf, null, null));
  return assertAccepted(parseHeader(plaintext)).commitPolicy;
}
