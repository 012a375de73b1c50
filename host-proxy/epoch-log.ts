// The log of the running epoch on the host: check, spool, acknowledge, then publish behind the
// acknowledgements, and drop what was published from the spool. Answers leaves and inclusion proofs of what is acknowledged. Not trusted by
// anybody: what it withholds or loses after acknowledging it shows as a gap that the enclave has signed.

import type { Ack, Commit } from '../wire/commit.ts';
import { parseCommit } from '../wire/commit.ts';
import type { EpochHeader } from '../wire/header.ts';
import type { Result } from '../wire/result.ts';
import { accept, assertAccepted, refuse } from '../wire/result.ts';
import { inclusionProof, leafHash } from '../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../wire/tlog/tile.ts';
import { clientOrderIdOf } from '../wire/payloads.ts';
import type { CheckedCommit } from './commit-check.ts';
import { EpochFolder } from './epoch-folder.ts';
import type { EpochLogOptions } from './epoch-log-options.ts';
import {
  CHECKPOINT_INTERVAL_MS,
  DEFAULT_KEPT_BYTES,
  MAX_UNPUBLISHED_BYTES,
  MAX_UNPUBLISHED_COMMITS,
  MAX_UNPUBLISHED_LEAVES,
} from './epoch-log-options.ts';
import type { EpochCopy } from './epoch-resume.ts';
import { beginEpoch } from './epoch-resume.ts';
import { EpochTrim } from './epoch-trim.ts';
import { OpenOutputs } from './open-outputs.ts';
import type { SpoolCounters, SpoolPosition } from './spool.ts';
import { Spool } from './spool.ts';

/** Publishing gives way to acknowledgements after this. */
const PUBLISH_SLICE_MS = 2;

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
  /** Of what is durable. */
  readonly outputs: OpenOutputs = new OpenOutputs();
  readonly #spool: Spool;
  readonly #copy: EpochCopy;
  readonly #trim: EpochTrim;
  /** Acknowledged commits whose leaves are not all in durable full bundles, oldest first. */
  #entries: Entry[] = [];
  #nextToPublish = 0;
  /** Of all commits, and of those that the publisher has taken. */
  #durable = { commits: 0, bytes: 0 };
  #taken = { commits: 0, bytes: 0 };
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
    this.#copy = beginEpoch(options.crypto, folder, options.epoch);
    const { files, spoolDirectory: directory, epoch, releases = null } = options;
    const { outputs } = this;
    this.#trim = new EpochTrim({ files, directory, epoch, spool, outputs, releases });
  }

  /** Rejects with a DiskFailure. The epoch must be new: neither spool nor folder may know it. */
  static async create(options: EpochLogOptions): Promise<EpochLog> {
    const folder = new EpochFolder(options.files, options.logDirectory, options.epoch);
    await folder.open();
    const spool = await Spool.create(options.files, options.spoolDirectory, options.segmentBytes);
    return new EpochLog(options, spool, folder);
  }

  get header(): EpochHeader | null {
    return this.#copy.checker.header;
  }

  get acknowledgedSize(): number {
    return this.#acknowledged?.size ?? 0;
  }

  get publishedSize(): number {
    return this.#copy.publisher.publishedSize;
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
    const isFirst = this.#copy.checker.header === null;
    const result = this.#copy.checker.check(payload);
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
    count(this.#durable, payload.length);
    this.#takeOutputs(checked);
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

  #takeOutputs({ commit, outputs, reports }: CheckedCommit): void {
    for (const index of outputs) {
      const leaf = commit.leaves[index - commit.firstIndex] ?? new Uint8Array();
      this.outputs.add(index, clientOrderIdOf(leafHash(this.#options.crypto, leaf)));
    }
    for (const output of reports) if (output !== null) this.outputs.reported(output);
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
    if (oldest === undefined || index < oldest.firstIndex) return this.#copy.published.leaf(index);
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
    const proof = inclusionProof(this.#options.crypto, this.#copy.tree, index, head.size);
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
    await this.#copy.publisher.finish();
    this.#dropPublished();
  }

  /** After a failure, of whatever: resolves when nothing of this writes any more. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#failure ??= new Error('the epoch was abandoned');
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#publishing;
    await this.#copy.publisher.idle();
  }

  get #unpublishedLeaves(): number {
    return this.acknowledgedSize - this.#copy.publisher.publishedSize;
  }

  /** Those that the publisher has not taken; what it has taken it bounds itself. */
  get #unpublishedCommits(): number {
    return this.#entries.length - this.#nextToPublish;
  }

  #isBehind(): boolean {
    const {
      maxUnpublishedLeaves = MAX_UNPUBLISHED_LEAVES,
      maxUnpublishedCommits = MAX_UNPUBLISHED_COMMITS,
      maxUnpublishedBytes = MAX_UNPUBLISHED_BYTES,
    } = this.#options;
    return (
      this.#unpublishedLeaves > maxUnpublishedLeaves ||
      this.#unpublishedCommits > maxUnpublishedCommits ||
      this.#durable.bytes - this.#taken.bytes > maxUnpublishedBytes ||
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
      await this.#copy.publisher.add(this.#load(entry));
      this.#nextToPublish++;
      count(this.#taken, entry.bytes);
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
    await this.#copy.publisher.publish();
    const { shipping } = this.#options;
    shipping?.published(this.#copy.publisher.publishedSize);
    this.#dropPublished();
    const unread = this.#durable.commits - this.#entries.length;
    const needed = Math.min(unread, shipping?.shippedCommits() ?? unread);
    await this.#trim.run(needed, { ...this.#taken, part: () => this.#copy.publisher.part() });
  }

  /** Forgets the entries that full, durable bundles cover. */
  #dropPublished(): void {
    const covered = Math.floor(this.#copy.publisher.publishedSize / TILE_WIDTH) * TILE_WIDTH;
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

function count(counts: { commits: number; bytes: number }, bytes: number): void {
  counts.commits++;
  counts.bytes += bytes;
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
