// What an epoch needs of the host, and what the host hears of it when it is over.

import type { RefusalCode } from '../wire/codes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { Failed } from '../wire/messages.ts';
import type { Transport } from '../wire/node/transport.ts';
import type { Result } from '../wire/result.ts';
import type { EpochLog } from './epoch-log.ts';
import type { ExecutionSummary } from './execution/execution-summary.ts';
import type { ReplaySummary } from './feed/replay.ts';
import type { FeedNumbers, FeedSource, SignalHandler } from './feed-session.ts';
import type { Files } from './files.ts';
import type { Logger } from './logger.ts';
import type { HostFolders } from './recovery.ts';
import type { Secrets } from './secrets/secrets.ts';
import type { Shipper } from './ship/shipper.ts';
import type { SpoolCounters } from './spool.ts';
import type { EnclaveCommand, EnclaveExit } from './supervisor.ts';

export interface EpochTimeouts {
  /** From the start to READY. */
  readonly readyMs: number;
  /** From the request to close to the end. */
  readonly closeMs: number;
  /** From the end of the last epoch to the end of its shipping; default a minute. */
  readonly shipMs?: number;
}

/** Execution of one epoch. */
export interface EpochExecution extends SignalHandler {
  /** Reports what a former process has left open. */
  start(): Promise<void>;
  /** Report leaves that became durable: the output that each names, null for a late report. */
  logged(outputs: readonly (number | null)[]): void;
  /** After the last commit of the epoch. */
  finish(): Promise<void>;
  summary(): ExecutionSummary;
}

export interface EpochServices {
  readonly files: Files;
  readonly crypto: WireCrypto;
  readonly transport: Transport;
  readonly folders: HostFolders;
  readonly logger: Logger;
  readonly command: EnclaveCommand | null;
  readonly timeouts: EpochTimeouts;
  readonly source: FeedSource;
  /** What happens to batches when the enclave is slower than the source. */
  readonly whenFull: 'wait' | 'drop';
  /** Preallocated at once; default 16 MiB. */
  readonly segmentBytes?: number;
  /** What waits for room on a full disk must fail now: somebody asked to stop, or something else failed. */
  readonly giveUpRoom?: () => void;
  /** Null or absent: the log stays on this machine. */
  readonly shipper?: Shipper | null;
  /** Between two checkpoints of a running epoch; default a second. */
  readonly checkpointIntervalMs?: number;
  /** What comes sealed, data keys, and credentials; nothing of it by default. */
  readonly secrets?: Secrets;
  /** Execution against the log of this epoch; `report` sends a REPORT. A refusal ends the epoch, and the host. */
  readonly createExecution: (
    log: EpochLog,
    origin: string,
    report: (payload: Uint8Array) => void,
  ) => Promise<Result<EpochExecution>>;
}

/** An epoch as it is now. */
export interface LiveEpoch {
  readonly epoch: number;
  /** And not over. */
  readonly ready: boolean;
  /** Acknowledged. */
  readonly leaves: number;
  readonly unreleased: number;
  readonly feed: Readonly<FeedNumbers> | null;
  readonly spool: Readonly<SpoolCounters>;
}

export interface EpochSummary {
  readonly epoch: number;
  /** Null when no commit arrived. */
  readonly origin: string | null;
  readonly ready: boolean;
  /** For how long it was ready, in ms. */
  readonly readyMs: number;
  /** The last leaf is a close leaf. */
  readonly closed: boolean;
  /** All of the feed was sent and answered. */
  readonly feedComplete: boolean;
  /** The source itself failed: another epoch would not help. */
  readonly feedFailed: boolean;
  /** Why it ended, when the enclave or a check said so. */
  readonly code: RefusalCode | null;
  /** What the enclave said of its end, if it said anything. */
  readonly failure: Failed | null;
  /** It was asked to tell its log which image comes next. */
  readonly handedOver: boolean;
  /** Acknowledged leaves and their root. */
  readonly size: number;
  readonly root: string | null;
  readonly feed: Readonly<FeedNumbers> | null;
  readonly replay: ReplaySummary | null;
  readonly execution: ExecutionSummary | null;
  readonly spool: Readonly<SpoolCounters>;
  readonly unreleased: readonly number[];
  readonly exit: EnclaveExit | null;
}
