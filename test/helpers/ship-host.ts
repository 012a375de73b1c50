// The part of a host that ships, over a disk and a store in memory: settles what a former one has left,
// ships it, and runs epochs whose commits the test makes. `kill` is what kill -9 leaves of it.

import { EpochLog } from '../../host-proxy/epoch-log.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { spoolDirectory } from '../../host-proxy/recovery.ts';
import { settleAll, settleEpoch } from '../../host-proxy/settle.ts';
import type { EpochProgress } from '../../host-proxy/ship/epoch-progress.ts';
import type { ShipperOptions } from '../../host-proxy/ship/shipper.ts';
import { Shipper } from '../../host-proxy/ship/shipper.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { KIND } from '../../wire/leaf.ts';
import { StoreError } from '../../wire/node/objects/store.ts';
import { encodeClose } from '../../wire/payloads.ts';
import type { LogWriter } from './log-writer.ts';
import { MemoryFiles } from './memory-files.ts';
import { MemoryStore } from './memory-store.ts';

export const SHIP_FOLDERS = { state: '/state', log: '/log' } as const;
export const SHIP_SEGMENT_BYTES: number = 8 * 1024;

export type ShipChange = Partial<Omit<ShipperOptions, 'openStore' | 'files' | 'folders'>>;

export class ShipHost {
  readonly files: MemoryFiles;
  readonly shipper: Shipper;
  /** Events that it logged. */
  readonly lines: Readonly<Record<string, unknown>>[] = [];
  log: EpochLog | null = null;
  #progress: EpochProgress | null = null;

  private constructor(files: MemoryFiles, store: MemoryStore, change: ShipChange) {
    this.files = files;
    this.shipper = new Shipper({
      openStore: () => store,
      locks: true,
      files,
      crypto: nodeCrypto,
      folders: SHIP_FOLDERS,
      logger: createLogger({
        level: 'debug',
        write: (line) => this.lines.push(JSON.parse(line) as Record<string, unknown>),
        now: () => new Date(0),
      }),
      retentionDays: 10,
      maxUnshippedBytes: 64 * 1024 * 1024,
      maxPauseMs: 20,
      checkpointMs: 0,
      groupBytes: 4096,
      groupMs: 5,
      ...change,
    });
  }

  static async open(
    files: MemoryFiles,
    store: MemoryStore,
    change: ShipChange = {},
  ): Promise<ShipHost> {
    const host = new ShipHost(files, store, change);
    assertAccepted(await settleAll(files, nodeCrypto, SHIP_FOLDERS, undefined, true));
    await host.shipper.start();
    return host;
  }

  events(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.lines.filter((line) => line['event'] === event);
  }

  async begin(epoch: number): Promise<EpochLog> {
    const progress = this.shipper.begin(epoch);
    const log = await EpochLog.create({
      files: this.files,
      crypto: nodeCrypto,
      spoolDirectory: spoolDirectory(SHIP_FOLDERS, epoch),
      logDirectory: SHIP_FOLDERS.log,
      epoch,
      segmentBytes: SHIP_SEGMENT_BYTES,
      checkpointIntervalMs: 1,
      shipping: this.shipper.shippingOf(progress),
      onFailure: () => undefined,
    });
    this.shipper.onRoom = () => {
      log.catchUp();
    };
    this.log = log;
    this.#progress = progress;
    return log;
  }

  /** Ends the epoch as a host does that goes on. */
  async settle(): Promise<void> {
    const { log } = this;
    const progress = this.#progress;
    if (log === null || progress === null) throw new Error('no epoch');
    await log.finish();
    await settleEpoch(this.files, SHIP_FOLDERS, log.epoch, [], progress.durableBytes);
    progress.end(log.acknowledgedSize);
    this.log = null;
  }

  /** The disk that the next host finds. What is left of this one changes nothing any more. */
  kill(): MemoryFiles {
    const files = this.files.afterKill();
    this.files.crashAt = 0;
    void this.shipper.stop();
    return files;
  }
}

/** Commits of an epoch: the boot's, `count` more of about `leaves` each, and the close. */
export function wholeEpoch(
  writer: LogWriter,
  count: number,
  leaves: number,
): readonly Uint8Array[] {
  const commits = [writer.commit()];
  for (let at = 0; at < count; at++) {
    writer.addInputs(leaves, 30 + at);
    if (at % 3 === 0) writer.add(KIND.output, new Uint8Array(40).fill(at));
    commits.push(writer.commit());
  }
  writer.add(KIND.close, encodeClose(2));
  return [...commits, writer.commit()];
}

export async function receiveAll(host: ShipHost, commits: readonly Uint8Array[]): Promise<void> {
  const { log } = host;
  if (log === null) throw new Error('no epoch');
  for (const commit of commits) assertAccepted(await log.receive(commit));
}

/** The disk of a host that has run an epoch and shipped nothing of it. */
export async function unshippedEpoch(
  { header }: LogWriter,
  commits: readonly Uint8Array[],
): Promise<MemoryFiles> {
  const nothing = new MemoryStore();
  nothing.before = () => {
    throw new StoreError('unreachable');
  };
  const host = await ShipHost.open(new MemoryFiles(), nothing);
  await host.begin(header.epoch);
  await receiveAll(host, commits);
  await host.settle();
  return host.kill();
}

/** A host that ships what is left and ends. */
export async function shipRest(
  files: MemoryFiles,
  store: MemoryStore,
  change: ShipChange = {},
): Promise<ShipHost> {
  const host = await ShipHost.open(files, store, change);
  await host.shipper.finish(60_000);
  return host;
}
