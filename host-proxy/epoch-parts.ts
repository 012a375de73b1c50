// What one epoch is written into: its log, the journal of its releases, and its shipping; opened before the enclave starts,
// and settled when all of the epoch is over.

import type { BootMaterial } from './boot-server.ts';
import { EpochLog } from './epoch-log.ts';
import type { EpochServices } from './epoch-services.ts';
import { removeAll, removeSpool, spoolDirectory } from './recovery.ts';
import { ReleaseJournal } from './release-journal.ts';
import { journalDirectory, settleEpoch } from './settle.ts';
import type { EpochProgress } from './ship/epoch-progress.ts';

export interface EpochParts {
  readonly services: EpochServices;
  readonly epoch: number;
  readonly material: BootMaterial;
  readonly log: EpochLog;
  readonly journal: ReleaseJournal;
  readonly progress: EpochProgress | null;
  /** The disk or execution failed. */
  readonly failed: PromiseWithResolvers<never>;
}

/** Rejects with a DiskFailure. */
export async function openEpochParts(
  services: EpochServices,
  epoch: number,
  material: BootMaterial,
): Promise<EpochParts> {
  const { files, crypto, folders, segmentBytes, checkpointIntervalMs } = services;
  const failed = Promise.withResolvers<never>();
  // Whoever runs the epoch sees it; before that it waits here.
  failed.promise.catch(() => undefined);
  const shipper = services.shipper ?? null;
  const progress = shipper?.begin(epoch) ?? null;
  const journal = await ReleaseJournal.create(files, journalDirectory(folders, epoch));
  const log = await EpochLog.create({
    files,
    crypto,
    spoolDirectory: spoolDirectory(folders, epoch),
    logDirectory: folders.log,
    epoch,
    releases: journal,
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
    ...(checkpointIntervalMs === undefined ? {} : { checkpointIntervalMs }),
    ...(shipper === null || progress === null ? {} : { shipping: shipper.shippingOf(progress) }),
    onFailure: failed.reject,
  });
  if (shipper !== null) {
    shipper.onRoom = () => {
      log.catchUp();
    };
    shipper.failed.catch(failed.reject);
  }
  return { services, epoch, material, log, journal, progress, failed };
}

/** Once nothing of the epoch runs and its journal is closed. An epoch without a leaf leaves nothing. */
export async function settleEpochParts(
  { services, epoch, log, progress }: EpochParts,
  closed: boolean,
): Promise<void> {
  const { files, folders, logger } = services;
  if (log.acknowledgedSize === 0) {
    await removeSpool(files, spoolDirectory(folders, epoch));
    await removeAll(files, journalDirectory(folders, epoch));
    services.shipper?.forget(epoch);
    return;
  }
  const unshipped = progress?.durableBytes ?? null;
  await settleEpoch(files, folders, epoch, [...log.outputs.unreleased], unshipped);
  progress?.end(log.acknowledgedSize);
  logger.info('epoch_settled', {
    epoch,
    size: log.acknowledgedSize,
    closed,
    unreleased: log.outputs.unreleased.size,
  });
}
