// One epoch to the store: commits first, full tiles behind them, a checkpoint now and then, and when the
// epoch is over the partial tiles, the last checkpoint and, last of all, its close. Can be begun again
// at any point: what is there is taken over. Resolves when the store has shown every object of the epoch;
// only then may its spool go.

import { equalBytes } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { checkpointKey, closeKey } from '../../wire/host-keys.ts';
import { encodeEpochClose } from '../../wire/epoch-close.ts';
import { inclusionProof, rootAt } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import { EpochFolder } from '../epoch-folder.ts';
import type { Files } from '../files.ts';
import { FolderReader } from '../folder-reader.ts';
import type { CommittedHead, LaneTimes } from './commit-lane.ts';
import { CommitLane } from './commit-lane.ts';
import { EpochCommits } from './epoch-commits.ts';
import type { EpochProgress } from './epoch-progress.ts';
import { TileLane } from './tile-lane.ts';
import type { Uploads } from './uploads.ts';
import { ShipFinding } from './uploads.ts';

/** Bundles that tiles may be behind commits. */
const MAX_LAG_BUNDLES = 64;

export interface ShipTimes {
  readonly checkpointMs: number;
  readonly groupBytes: number;
  readonly groupMs: number;
}

export interface EpochShipperOptions extends LaneTimes, ShipTimes {
  readonly files: Files;
  readonly crypto: WireCrypto;
  readonly logDirectory: string;
  readonly uploads: Uploads;
  readonly progress: EpochProgress;
  /** Where the epoch's spool is now. */
  readonly locateSpool: () => string | null;
}

export class EpochShipper {
  readonly #options: EpochShipperOptions;
  readonly #folder: EpochFolder;
  readonly #commits: CommitLane;
  readonly #tiles: TileLane;
  readonly #failed = new AbortController();
  #checkpoint: CommittedHead | null = null;
  #checkpointMs: number;

  constructor(options: EpochShipperOptions) {
    this.#options = options;
    this.#checkpointMs = options.nowMs();
    const { files, crypto, logDirectory, uploads, progress, locateSpool } = options;
    const signal = AbortSignal.any([options.signal, this.#failed.signal]);
    this.#folder = new EpochFolder(files, logDirectory, progress.epoch);
    this.#commits = new CommitLane({
      ...options,
      signal,
      commits: new EpochCommits({
        files,
        logDirectory,
        epoch: progress.epoch,
        finalSize: () => progress.finalSize,
        locateSpool,
      }),
      mayGo: async () => {
        await this.#waitForTiles(signal);
        await this.#placeCheckpoint();
      },
    });
    this.#tiles = new TileLane({
      crypto,
      uploads,
      progress,
      signal,
      folder: this.#folder,
      committedSize: () => this.committedSize,
    });
  }

  /** Leaves whose commits are in the store. */
  get committedSize(): number {
    return this.#commits.head?.size ?? 0;
  }

  /** Rejects with a ShipFinding, a DiskFailure, or when the signal aborts; nothing of it runs afterwards. */
  async run(): Promise<void> {
    let failure: unknown = null;
    const guard = async (lane: Promise<void>): Promise<void> => {
      try {
        await lane;
      } catch (error) {
        failure ??= error;
        this.#failed.abort();
        this.#options.progress.nudge();
      }
    };
    await Promise.all([guard(this.#commits.run()), guard(this.#tiles.run())]);
    if (failure !== null) throw failure;
    await this.#finish();
  }

  async #waitForTiles(signal: AbortSignal): Promise<void> {
    while (this.#tiles.lag > MAX_LAG_BUNDLES) await this.#options.progress.change(signal);
  }

  /** Now and then the head of that moment, once the tiles have come as far. */
  async #placeCheckpoint(): Promise<void> {
    const { checkpointMs, nowMs } = this.#options;
    if (this.#checkpoint === null) {
      if (nowMs() - this.#checkpointMs < checkpointMs) return;
      this.#checkpoint = this.#commits.head;
      this.#checkpointMs = nowMs();
    }
    const head = this.#checkpoint;
    if (head === null || this.#tiles.bundles < Math.floor(head.size / TILE_WIDTH)) return;
    await this.#place(checkpointKey(this.#options.progress.epoch, head.size), head.note, head);
    this.#checkpoint = null;
  }

  async #finish(): Promise<void> {
    const { crypto, progress } = this.#options;
    const head = this.#commits.head;
    if (head === null) return;
    const { size, note } = head;
    if (size !== progress.finalSize) throw new ShipFinding('folder_damaged', 'checkpoint');
    await this.#tiles.finish(head);
    const reader = new FolderReader(crypto, this.#folder, size);
    const lastLeaf = reader.leaf(size - 1);
    if (lastLeaf === null || !equalBytes(rootAt(crypto, reader, size), head.root)) {
      throw new ShipFinding('folder_damaged', 'tile');
    }
    await this.#place(checkpointKey(progress.epoch, size), note, head);
    const proof = inclusionProof(crypto, reader, size - 1, size);
    const close = encodeEpochClose({ note, lastLeaf, proof });
    await this.#place(closeKey(progress.epoch), close, head);
  }

  async #place(key: string, bytes: Uint8Array, { newestNs }: CommittedHead): Promise<void> {
    const { uploads, progress } = this.#options;
    if (await uploads.place(key, bytes, newestNs, progress.isResumed)) return;
    throw new ShipFinding('object_different', key);
  }
}
