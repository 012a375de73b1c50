// The log to a store that the host cannot change afterwards: epoch after epoch, behind the acknowledgements,
// across restarts. What the store does not have yet is bounded: beyond it acknowledgements wait, and with
// them the enclave and its feed. Nothing local is removed before the store has shown it. Not trusted by
// anybody; an operator who ships nothing shows readers a log that ends early.

import { setTimeout as sleepFor } from 'node:timers/promises';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { ObjectStore } from '../../wire/node/objects/store.ts';
import { StoreError } from '../../wire/node/objects/store.ts';
import { parseUtf8 } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { EpochFolder } from '../epoch-folder.ts';
import type { LogShipping } from '../epoch-log-options.ts';
import type { Files } from '../files.ts';
import type { Logger } from '../logger.ts';
import type { HostFolders } from '../recovery.ts';
import type { CircuitState } from './circuit.ts';
import { Circuit } from './circuit.ts';
import { EpochProgress } from './epoch-progress.ts';
import type { ShipTimes } from './epoch-shipper.ts';
import { EpochShipper } from './epoch-shipper.ts';
import { finishRemovals, listUnshipped, locateSpool, removeShipped } from './unshipped.ts';
import { findNextCommit } from './next-commit.ts';
import type { RestoredEpoch } from './restore.ts';
import { restoreEpochs } from './restore.ts';
import type { FindingCode } from './uploads.ts';
import { ShipFinding, Uploads } from './uploads.ts';

/** Held acknowledgements go on below this part of the maximum. */
const ROOM_PART = 0.75;

export interface ShipperOptions extends ShipTimes {
  /** Its calls end with `stopped` when the signal aborts. */
  readonly openStore: (signal: AbortSignal) => ObjectStore;
  /** Whether it keeps locks; a folder does not. */
  readonly locks: boolean;
  readonly files: Files;
  readonly crypto: WireCrypto;
  readonly folders: HostFolders;
  readonly logger: Logger;
  readonly retentionDays: number;
  readonly maxUnshippedBytes: number;
  readonly maxPauseMs: number;
  /** Wall clock, for retention. */
  readonly nowMs?: () => number;
  readonly random?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface ShipCounters {
  /** Of the store: closed is well. */
  readonly circuit: CircuitState;
  /** Epochs that the store does not have all of, the running one among them. */
  readonly epochs: number;
  readonly unshippedBytes: number;
  readonly maxUnshippedBytes: number;
  /** Acknowledgements wait. */
  readonly isHeld: boolean;
  /** How often they had to, and for how long, in ms, until now. */
  readonly holds: number;
  readonly heldMs: number;
  readonly objectsWritten: number;
  readonly bytesWritten: number;
  /** Objects that were there already, with the same bytes. */
  readonly objectsSame: number;
  readonly retries: number;
  /** Epochs whose shipping has stopped for good. */
  readonly findings: number;
}

export interface Finding {
  readonly epoch: number;
  readonly code: FindingCode;
  readonly key: string;
}

export class Shipper {
  /** Of the store, for messages. */
  readonly name: string;
  readonly #options: ShipperOptions;
  readonly #stop = new AbortController();
  readonly #circuit: Circuit;
  readonly #uploads: Uploads;
  readonly #findings: Finding[] = [];
  /** Not shipped yet, ascending. */
  #epochs: EpochProgress[] = [];
  #running: Promise<void> = Promise.resolve();
  readonly #failed: PromiseWithResolvers<never> = Promise.withResolvers<never>();
  #failure: unknown = null;
  #change: PromiseWithResolvers<null> = Promise.withResolvers<null>();
  #isFull = false;
  #lifted = false;
  #holds = 0;
  #heldMs = 0;
  #heldSinceMs = 0;
  #onRoom: () => void = () => undefined;

  constructor(options: ShipperOptions) {
    this.#options = options;
    // Whoever runs the host sees it; before that it waits here.
    this.#failed.promise.catch(() => undefined);
    const { logger, crypto, maxPauseMs, locks, retentionDays } = options;
    const store = options.openStore(this.#stop.signal);
    this.name = store.name;
    this.#circuit = new Circuit({
      store,
      logger,
      maxPauseMs,
      nowMs: () => performance.now(),
      random: options.random ?? Math.random,
      sleep: this.#sleep,
      signal: this.#stop.signal,
    });
    const rules = { retentionDays, locks, nowMs: options.nowMs ?? Date.now };
    this.#uploads = new Uploads(crypto, this.#circuit, rules);
  }

  /** After what former hosts have left was settled; begins with what they have not shipped. */
  async start(): Promise<void> {
    const { files, folders, logger } = this.#options;
    await finishRemovals(files, folders);
    for (const { epoch, bytes } of listUnshipped(files, folders)) {
      const size = this.#publishedSize(epoch);
      if (size === null) {
        this.#report(epoch, new ShipFinding('folder_damaged', 'checkpoint'));
        continue;
      }
      this.#add(EpochProgress.settled(epoch, bytes, size, this.#changed));
      logger.info('ship_resumed', { epoch, bytes, size });
    }
    logger.info('ship_started', { store: this.name, epochs: this.#epochs.length });
    this.#running = this.#run().catch((error: unknown) => {
      this.#failure = error;
      this.#failed.reject(error);
      this.#stop.abort();
      this.#changed();
    });
  }

  get counters(): ShipCounters {
    const { written, writtenBytes, same } = this.#uploads.counters;
    return {
      circuit: this.#circuit.state,
      epochs: this.#epochs.length,
      unshippedBytes: this.#unshippedBytes,
      maxUnshippedBytes: this.#options.maxUnshippedBytes,
      isHeld: this.isFull,
      holds: this.#holds,
      heldMs: Math.round(this.#heldMs + (this.#isFull ? performance.now() - this.#heldSinceMs : 0)),
      objectsWritten: written,
      bytesWritten: writtenBytes,
      objectsSame: same,
      retries: this.#circuit.retries,
      findings: this.#findings.length,
    };
  }

  /** What stopped the shipping of an epoch; its spool is kept, and the next start tries again. */
  get findings(): readonly Finding[] {
    return this.#findings;
  }

  /** More is unshipped than may be: acknowledgements must wait. */
  get isFull(): boolean {
    return this.#isFull && !this.#lifted;
  }

  /** Rejects when the disk fails or something is wrong that nobody expected: the host must stop. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Called when there may be room again. */
  set onRoom(callback: () => void) {
    this.#onRoom = callback;
  }

  /** An epoch begins: its log tells the answer what became durable and what was published. */
  begin(epoch: number): EpochProgress {
    this.#lifted = false;
    const progress = EpochProgress.live(epoch, this.#changed);
    this.#add(progress);
    return progress;
  }

  /** What the log of that epoch needs. */
  shippingOf(progress: EpochProgress): LogShipping {
    return {
      isFull: () => this.isFull,
      durable: (bytes) => {
        progress.durable(bytes);
      },
      published: (size) => {
        progress.published(size);
      },
      shippedCommits: () => progress.shippedRecords,
    };
  }

  /** It ended without a commit. */
  forget(epoch: number): void {
    const progress = this.#epochs.find((other) => other.epoch === epoch);
    this.#epochs = this.#epochs.filter((other) => other !== progress);
    progress?.end(0);
    this.#changed();
  }

  /** The running epoch is about to end: what is left of it is little, and may be acknowledged. */
  lift(): void {
    this.#lifted = true;
    this.#onRoom();
  }

  /** Resolves when an epoch may begin, or when the signal aborts. */
  async waitForRoom(signal: AbortSignal): Promise<void> {
    if (!this.#isFull) return;
    const { logger, maxUnshippedBytes } = this.#options;
    logger.warn('ship_waits', { unshipped: this.#unshippedBytes, maximum: maxUnshippedBytes });
    await this.#until(() => !this.#isFull, signal);
  }

  /**
   * For commit policy `s3`: where the next epoch may take over this one, which was settled: the number behind
   * its last group, once the store has all of its commits. Null when the store does not know the epoch, or
   * when the signal aborts.
   */
  async nextCommit(epoch: number, signal: AbortSignal): Promise<number | null> {
    await this.#until(() => {
      const progress = this.#epochs.find((other) => other.epoch === epoch);
      return progress === undefined || progress.unshippedBytes === 0;
    }, signal);
    if (signal.aborted || this.#stop.signal.aborted) return null;
    return this.#uploads.run((store) => findNextCommit(store, epoch));
  }

  /** Policy `s3`: makes the folders of epochs that the store has behind the last one of the log folder. */
  restore(): Promise<Result<readonly RestoredEpoch[]>> {
    const { files, crypto, folders } = this.#options;
    return restoreEpochs({ run: (call) => this.#uploads.run(call), files, crypto, folders });
  }

  /** Waits until all is shipped, at most so long; then nothing of it runs any more. Rejects as `failed` does. */
  async finish(timeoutMs: number): Promise<void> {
    const timeout = AbortSignal.timeout(timeoutMs);
    await this.#until(() => this.#epochs.length === 0, timeout);
    if (this.#epochs.length > 0) {
      const bytes = this.#unshippedBytes;
      this.#options.logger.warn('ship_unfinished', { epochs: this.#epochs.length, bytes });
    }
    await this.stop();
    if (this.#failure !== null) throw this.#failure;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    for (const progress of this.#epochs) progress.nudge();
    this.#changed();
    await this.#running;
  }

  readonly #sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    const { sleep } = this.#options;
    const both = AbortSignal.any([signal, this.#stop.signal]);
    if (sleep !== undefined) await sleep(ms, both);
    else await sleepFor(ms, undefined, { signal: both }).catch(() => undefined);
  };

  readonly #changed = (): void => {
    const change = this.#change;
    this.#change = Promise.withResolvers<null>();
    change.resolve(null);
    this.#judge();
  };

  async #until(isDone: () => boolean, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', this.#changed);
    while (!isDone() && !signal.aborted && !this.#stop.signal.aborted) await this.#change.promise;
    signal.removeEventListener('abort', this.#changed);
  }

  #add(progress: EpochProgress): void {
    this.#epochs.push(progress);
    this.#changed();
  }

  get #unshippedBytes(): number {
    return this.#epochs.reduce((sum, { unshippedBytes }) => sum + unshippedBytes, 0);
  }

  #judge(): void {
    const { maxUnshippedBytes, logger } = this.#options;
    const unshipped = this.#unshippedBytes;
    if (!this.#isFull && unshipped > maxUnshippedBytes) {
      this.#isFull = true;
      this.#holds++;
      this.#heldSinceMs = performance.now();
      logger.error('ship_full', {
        unshipped,
        maximum: maxUnshippedBytes,
        next: 'acknowledgements wait for the store, and with them the enclave and its feed',
      });
    } else if (this.#isFull && unshipped <= maxUnshippedBytes * ROOM_PART) {
      this.#isFull = false;
      const heldMs = performance.now() - this.#heldSinceMs;
      this.#heldMs += heldMs;
      logger.warn('ship_has_room', { unshipped, held_ms: Math.round(heldMs) });
      this.#onRoom();
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await this.#until(() => this.#epochs.length > 0, signal);
      const [progress] = this.#epochs;
      if (progress === undefined || signal.aborted) return;
      await this.#ship(progress);
    }
  }

  async #ship(progress: EpochProgress): Promise<void> {
    const { files, folders, logger, crypto } = this.#options;
    const { epoch } = progress;
    const shipper = new EpochShipper({
      ...this.#options,
      crypto,
      logDirectory: folders.log,
      uploads: this.#uploads,
      progress,
      nowMs: () => performance.now(),
      sleep: this.#sleep,
      signal: this.#stop.signal,
      locateSpool: () => locateSpool(files, folders, epoch),
    });
    try {
      await shipper.run();
      await removeShipped(files, folders, epoch);
      const size = shipper.committedSize;
      if (size > 0) logger.info('epoch_shipped', { epoch, size });
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      await this.#refuse(progress, error);
    }
    this.#epochs = this.#epochs.filter((other) => other !== progress);
    this.#changed();
  }

  /** An epoch that runs stays until it ends, so that what nobody can ship is bounded as well. */
  async #refuse(progress: EpochProgress, error: unknown): Promise<void> {
    const finding = findingOf(error);
    if (finding === null) throw error;
    this.#report(progress.epoch, finding);
    await this.#until(() => progress.finalSize !== null, this.#stop.signal);
  }

  #report(epoch: number, { code, key }: ShipFinding): void {
    this.#findings.push({ epoch, code, key });
    this.#options.logger.error('ship_refused', {
      epoch,
      code,
      key,
      next: 'nothing was overwritten and the spool is kept: compare the object with the log folder',
    });
  }

  /** Of a settled epoch, whose folder was complete; null when it is not there any more. */
  #publishedSize(epoch: number): number | null {
    const { files, folders } = this.#options;
    const note = new EpochFolder(files, folders.log, epoch).read('checkpoint', 1 << 16);
    const text = parseUtf8(note ?? new Uint8Array()) ?? '';
    const checkpoint = parseCheckpoint(text.slice(0, text.indexOf('\n\n') + 1));
    return checkpoint.ok ? checkpoint.value.size : null;
  }
}

function findingOf(error: unknown): ShipFinding | null {
  if (error instanceof ShipFinding) return error;
  if (!(error instanceof StoreError)) return null;
  return new ShipFinding('store_failed', error.code);
}
