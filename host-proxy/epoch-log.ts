// The log of the running epoch on the host: check, spool, acknowledge, then publish behind the
// acknowledgements. Answers leaves and inclusion proofs of what is acknowledged. Not trusted by
// anybody: what it withholds or loses after acknowledging it shows as a gap that the enclave has signed.

import type { Ack, Commit } from '../wire/commit.ts';
import { parseCommit } from '../wire/commit.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { EpochHeader } from '../wire/header.ts';
import type { Result } from '../wire/result.ts';
import { accept, assertAccepted, refuse } from '../wire/result.ts';
import { inclusionProof } from '../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../wire/tlog/tile.ts';
import type { CheckedCommit } from './commit-check.ts';
import { CommitChecker } from './commit-check.ts';
import { EpochFolder } from './epoch-folder.ts';
import { EpochTree } from './epoch-tree.ts';
import type { Files } from './files.ts';
import { FolderReader } from './folder-reader.ts';
import { Publisher } from './publisher.ts';
import type { SpoolCounters, SpoolPosition } from './spool.ts';
import { Spool } from './spool.ts';

/** Commits that wait to be published stay in memory up to this; beyond it they are read from the spool. */
const DEFAULT_KEPT_BYTES: number = 32 * 1024 * 1024;
/**
 * What is acknowledged and not in the folder yet costs 64 bytes a leaf for its hashes and about 150 a commit
 * for its place in the spool: 84 MiB at most. Beyond it acknowledgements wait for the folder, whose disk
 * may be full or slow while the spool's is not.
 */
const MAX_UNPUBLISHED_LEAVES: number = 1024 * 1024;
const MAX_UNPUBLISHED_COMMITS: number = 128 * 1024;
/** Publishing gives way to acknowledgements after this. */
const PUBLISH_SLICE_MS = 2;
export const CHECKPOINT_INTERVAL_MS = 1000;

/** Acknowledged leaves only. */
export interface LogReader {
  leaf(index: number): Uint8Array | null;
  inclusion(index: number): InclusionAnswer | null;
}

export interface InclusionAnswer {
  readonly proof: readonly Uint8Array[];
  readonly size: number;
  readonly root: Uint8Array;
}

export interface EpochLogOptions {
  readonly files: Files;
  readonly crypto: WireCrypto;
  readonly spoolDirectory: string;
  readonly logDirectory: string;
  readonly epoch: number;
  readonly segmentBytes?: number;
  readonly checkpointIntervalMs?: number;
  readonly maxKeptBytes?: number;
  readonly maxUnpublishedLeaves?: number;
  readonly maxUnpublishedCommits?: number;
  /** Told what may be shipped; when too much is not, acknowledgements wait. */
  readonly shipping?: LogShipping;
  /** Called once when publishing fails: the process must stop. */
  readonly onFailure: (error: unknown) => void;
}

export interface LogShipping {
  readonly isFull: () => boolean;
  /** A commit of so many bytes is durable in the spool. */
  readonly durable: (bytes: number) => void;
  /** So many leaves are durable in the log folder. */
  readonly published: (size: number) => void;
}

interface Entry {
  readonly firstIndex: number;
  readonly size: number;
  readonly bytes: number;
  readonly position: SpoolPosition;
  /** Null when memory was short. */
  commit: Commit | null;
}

export interface LogWaiting {
  readonly spoolBytes: number;
  readonly keptBytes: number;
  readonly unpublishedLeaves: number;
  readonly unpublishedCommits: number;
}

export interface ReceivedCommit {
  readonly ack: Ack;
  readonly checked: CheckedCommit;
}

export class EpochLog implements LogReader {
  readonly epoch: number;
  readonly #options: EpochLogOptions;
  readonly #spool: Spool;
  readonly #tree: EpochTree;
  readonly #checker: CommitChecker;
  readonly #publisher: Publisher;
  readonly #published: FolderReader;
  /** Acknowledged commits whose leaves are not all in durable full bundles, oldest first. */
  #entries: Entry[] = [];
  #nextToPublish = 0;
  /** Those before it are not in memory. */
  #oldestKept = 0;
  readonly #maxKeptBytes: number;
  readonly #intervalMs: number;
  #keptBytes = 0;
  /** Settles when publishing and shipping have caught up; null while it is not far behind. */
  #behind: PromiseWithResolvers<void> | null = null;
  #acknowledged: { readonly size: number; readonly root: Uint8Array } | null = null;
  #publishing: Promise<void> | null = null;
  #lastPublishMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #failure: unknown = null;
  /** What the first commit waits for, and with it those behind it; null: for nothing. */
  #admission: Promise<void> | null = null;
  /** Asked with the header of the first commit: null when it may be stored at once, else when it may. */
  admit: (header: EpochHeader) => Promise<void> | null = () => null;

  private constructor(options: EpochLogOptions, spool: Spool, folder: EpochFolder) {
    this.#options = options;
    this.epoch = options.epoch;
    this.#intervalMs = options.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS;
    this.#maxKeptBytes = options.maxKeptBytes ?? DEFAULT_KEPT_BYTES;
    this.#spool = spool;
    this.#published = new FolderReader(options.crypto, folder, 0);
    this.#tree = new EpochTree(options.crypto, (level, index) =>
      this.#published.tile(level, index),
    );
    this.#checker = new CommitChecker(options.crypto, this.#tree, options.epoch);
    this.#publisher = new Publisher(options.crypto, folder, this.#tree);
  }

  /** Rejects with a DiskFailure. The epoch must be new: neither spool nor folder may know it. */
  static async create(options: EpochLogOptions): Promise<EpochLog> {
    const folder = new EpochFolder(options.files, options.logDirectory, options.epoch);
    await folder.open();
    const spool = await Spool.create(options.files, options.spoolDirectory, options.segmentBytes);
    return new EpochLog(options, spool, folder);
  }

  get header(): EpochHeader | null {
    return this.#checker.header;
  }

  get acknowledgedSize(): number {
    return this.#acknowledged?.size ?? 0;
  }

  get publishedSize(): number {
    return this.#publisher.publishedSize;
  }

  get counters(): Readonly<SpoolCounters> {
    return this.#spool.counters;
  }

  /** What waits in memory: for the spool, and for the folder. */
  get waiting(): LogWaiting {
    return {
      spoolBytes: this.#spool.waitingBytes,
      keptBytes: this.#keptBytes,
      unpublishedLeaves: this.#unpublishedLeaves,
      unpublishedCommits: this.#unpublishedCommits,
    };
  }

  /**
   * Takes a COMMIT payload; resolves when it is durable and neither publishing nor shipping is too far behind, in the order
   * of the calls. A refusal means that nothing was stored. Rejects with a DiskFailure: the process must
   * stop.
   */
  async receive(payload: Uint8Array): Promise<Result<ReceivedCommit>> {
    if (this.#failure !== null) throw this.#failure;
    const isFirst = this.#checker.header === null;
    const result = this.#checker.check(payload);
    if (!result.ok) return result;
    const checked = result.value;
    const { commit, size, root } = checked;
    if (isFirst && this.header !== null) this.#admission = this.admit(this.header);
    if (this.#admission !== null) {
      // It stays: whoever came before goes first, also when it has just been settled.
      await this.#admission;
      if (this.#failure !== null) throw this.#failure;
      // The epoch ended meanwhile.
      if (this.#stopped) return refuse('stream_closed');
    }
    const position = await this.#spool.append(payload);
    this.#acknowledged = { size, root };
    const kept = this.#keep(payload.length);
    this.#entries.push({
      firstIndex: commit.firstIndex,
      size,
      bytes: payload.length,
      position,
      commit: kept ? commit : null,
    });
    this.#options.shipping?.durable(payload.length);
    this.#wakePublisher();
    if (this.#behind === null && this.#isBehind()) this.#behind = waitOfSeveral();
    // Also when it has just caught up: who came before goes first.
    await this.#behind?.promise;
    return accept({ ack: { epoch: this.epoch, size, root }, checked });
  }

  /** What acknowledgements wait for may have come. */
  catchUp(): void {
    const behind = this.#behind;
    if (behind === null || this.#isBehind()) return;
    behind.resolve();
    void behind.promise.then(() => {
      this.#behind = null;
    });
  }

  leaf(index: number): Uint8Array | null {
    if (!(index >= 0 && index < this.acknowledgedSize)) return null;
    const oldest = this.#entries[0];
    if (oldest === undefined || index < oldest.firstIndex) return this.#published.leaf(index);
    let [low, high] = [0, this.#entries.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#entries[middle]?.firstIndex ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    const entry = this.#entries[low];
    return entry === undefined
      ? null
      : (this.#load(entry).leaves[index - entry.firstIndex] ?? null);
  }

  inclusion(index: number): InclusionAnswer | null {
    const head = this.#acknowledged;
    if (head === null || !(index >= 0 && index < head.size)) return null;
    const proof = inclusionProof(this.#options.crypto, this.#tree, index, head.size);
    return { proof, size: head.size, root: head.root };
  }

  /**
   * Ends the epoch: waits for what was received, completes the folder durably and closes the spool, which
   * stays for the caller to remove.
   */
  async finish(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#spool.close();
    await this.#publishing;
    if (this.#failure !== null) throw this.#failure;
    await this.#publishEntries();
    await this.#publisher.finish();
    this.#dropPublished();
  }

  /** After a failure, of whatever: resolves when nothing of this writes any more. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#failure ??= new Error('the epoch was abandoned');
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#publishing;
    await this.#publisher.idle();
  }

  get #unpublishedLeaves(): number {
    return this.acknowledgedSize - this.#publisher.publishedSize;
  }

  /** Those that the publisher has not taken; what it has taken it bounds itself. */
  get #unpublishedCommits(): number {
    return this.#entries.length - this.#nextToPublish;
  }

  #isBehind(): boolean {
    const {
      maxUnpublishedLeaves = MAX_UNPUBLISHED_LEAVES,
      maxUnpublishedCommits = MAX_UNPUBLISHED_COMMITS,
    } = this.#options;
    return (
      this.#unpublishedLeaves > maxUnpublishedLeaves ||
      this.#unpublishedCommits > maxUnpublishedCommits ||
      this.#options.shipping?.isFull() === true
    );
  }

  /** The newest are asked for, by releases: the oldest that are published make room for them. */
  #keep(bytes: number): boolean {
    while (this.#oldestKept < this.#nextToPublish && this.#keptBytes + bytes > this.#maxKeptBytes) {
      const entry = this.#entries[this.#oldestKept++];
      if (entry !== undefined) this.#drop(entry);
    }
    if (this.#keptBytes + bytes > this.#maxKeptBytes) return false;
    this.#keptBytes += bytes;
    return true;
  }

  #drop(entry: Entry): void {
    if (entry.commit !== null) this.#keptBytes -= entry.bytes;
    entry.commit = null;
  }

  #load(entry: Entry): Commit {
    return entry.commit ?? assertAccepted(parseCommit(this.#spool.read(entry.position)));
  }

  #wakePublisher(): void {
    if (this.#publishing !== null || this.#stopped) return;
    this.#publishing = this.#publishAll()
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#failure = error;
        this.#behind?.reject(error);
        this.#options.onFailure(error);
      })
      .finally(() => {
        this.#publishing = null;
        if (this.#nextToPublish < this.#entries.length) this.#wakePublisher();
      });
  }

  async #publishAll(): Promise<void> {
    // Not in the turn of the event loop that sends the acknowledgement.
    await nextTurn();
    await this.#publishEntries();
    if (this.#failure !== null) return;
    const waitMs = this.#lastPublishMs + this.#intervalMs - performance.now();
    if (waitMs <= 0) await this.#publish();
    else this.#publishLater(waitMs);
  }

  #publishLater(waitMs: number): void {
    if (this.#stopped || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#wakePublisher();
    }, waitMs);
  }

  async #publishEntries(): Promise<void> {
    let sliceEndMs = performance.now() + PUBLISH_SLICE_MS;
    for (;;) {
      const entry = this.#entries[this.#nextToPublish];
      if (entry === undefined || this.#failure !== null) return;
      await this.#publisher.add(this.#load(entry));
      this.#nextToPublish++;
      if (performance.now() < sliceEndMs) continue;
      await nextTurn();
      sliceEndMs = performance.now() + PUBLISH_SLICE_MS;
      if (!this.#stopped && performance.now() - this.#lastPublishMs >= this.#intervalMs) {
        await this.#publish();
      }
    }
  }

  async #publish(): Promise<void> {
    this.#lastPublishMs = performance.now();
    await this.#publisher.publish();
    this.#options.shipping?.published(this.#publisher.publishedSize);
    this.#dropPublished();
  }

  /** Forgets the entries that full, durable bundles cover. */
  #dropPublished(): void {
    const covered = Math.floor(this.#publisher.publishedSize / TILE_WIDTH) * TILE_WIDTH;
    let count = 0;
    for (const entry of this.#entries) {
      if (entry.size > covered || count >= this.#nextToPublish) break;
      this.#drop(entry);
      count++;
    }
    this.#entries = this.#entries.slice(count);
    this.#nextToPublish -= count;
    this.#oldestKept = Math.max(0, this.#oldestKept - count);
    this.catchUp();
  }
}

/** A failure that nobody waits for is no unhandled rejection. */
function waitOfSeveral(): PromiseWithResolvers<void> {
  const wait = Promise.withResolvers<void>();
  wait.promise.catch(() => undefined);
  return wait;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
