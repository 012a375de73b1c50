// What the log of a running epoch is given, and its bounds.

import type { WireCrypto } from '../wire/crypto.ts';
import type { Files } from './files.ts';
import type { ReleaseJournal } from './release-journal.ts';

/** Commits that wait to be published stay in memory up to this; beyond it they are read from the spool. */
export const DEFAULT_KEPT_BYTES: number = 32 * 1024 * 1024;
/**
 * What is acknowledged and not in the folder yet costs 64 bytes a leaf for its hashes and about 150 a commit
 * for its place in the spool: 84 MiB at most. Beyond it acknowledgements wait for the folder, whose disk
 * may be full or slow while the spool's is not.
 */
export const MAX_UNPUBLISHED_LEAVES: number = 1024 * 1024;
export const MAX_UNPUBLISHED_COMMITS: number = 128 * 1024;
/** Nor does the spool grow by more than this for a log folder that takes nothing. */
export const MAX_UNPUBLISHED_BYTES: number = 1024 * 1024 * 1024;
export const CHECKPOINT_INTERVAL_MS = 1000;

export interface EpochLogOptions {
  readonly files: Files;
  readonly crypto: WireCrypto;
  readonly spoolDirectory: string;
  readonly logDirectory: string;
  readonly epoch: number;
  readonly segmentBytes?: number;
  readonly checkpointIntervalMs?: number;
  /** Of commits in memory. */
  readonly maxKeptBytes?: number;
  readonly maxUnpublishedLeaves?: number;
  readonly maxUnpublishedCommits?: number;
  readonly maxUnpublishedBytes?: number;
  /** Its marks go with the segments of the spool that they are about. */
  readonly releases?: ReleaseJournal;
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
  /** Commits that the store has shown, from the first on: no other may go from the spool. */
  readonly shippedCommits: () => number;
}
