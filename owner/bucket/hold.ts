// Legal holds, on or off, on every version below a prefix: also on those that somebody wrote over a record, which
// are evidence. S3's answer is not taken for done: each version is asked again.

import { PutObjectLegalHoldCommand } from '@aws-sdk/client-s3';
import { DEFAULT_RETRY, retryTransient } from '../../wire/node/objects/retry.ts';
import { s3Outcome } from '../../wire/node/objects/s3-error.ts';
import { StoreError } from '../../wire/node/objects/store.ts';
import type { ObjectStore, ObjectVersion } from '../../wire/node/objects/store.ts';
import type { BucketAddress } from './address.ts';
import { forEachOf } from './pool.ts';

export interface HoldResult {
  readonly versions: number;
  /** Were as asked before. */
  readonly unchanged: number;
  readonly changed: number;
}

export interface HoldOptions {
  readonly address: BucketAddress;
  readonly store: ObjectStore;
  readonly versions: readonly ObjectVersion[];
  readonly status: 'ON' | 'OFF';
  readonly onVersion: () => void;
}

async function put(
  { address, status }: HoldOptions,
  { key, versionId }: ObjectVersion,
): Promise<void> {
  const { client, prefix, target } = address;
  const command = new PutObjectLegalHoldCommand({
    ...target,
    Key: prefix === '' ? key : `${prefix}/${key}`,
    VersionId: versionId,
    LegalHold: { Status: status },
    ChecksumAlgorithm: 'SHA256',
  });
  await retryTransient(DEFAULT_RETRY, undefined, async () => {
    try {
      await client.send(command);
    } catch (error) {
      const outcome = s3Outcome(error, key);
      throw typeof outcome === 'string' ? new StoreError('request_refused', { key }) : outcome;
    }
  });
}

async function isHeld(store: ObjectStore, { key, versionId }: ObjectVersion): Promise<boolean> {
  const head = await store.head(key, versionId);
  if (head === null) throw new StoreError('answer_invalid', { key, reason: 'the version is gone' });
  return head.lock.legalHold;
}

/** Throws StoreError; what was done until then stays done, and doing it again goes on. */
export async function setHolds(options: HoldOptions): Promise<HoldResult> {
  const { store, versions, status, onVersion } = options;
  const wanted = status === 'ON';
  let unchanged = 0;
  let changed = 0;
  await forEachOf(versions, async (version) => {
    if ((await isHeld(store, version)) === wanted) unchanged += 1;
    else {
      await put(options, version);
      if ((await isHeld(store, version)) !== wanted) {
        throw new StoreError('answer_invalid', {
          key: version.key,
          reason: 'the hold is not kept',
        });
      }
      changed += 1;
    }
    onVersion();
  });
  return { versions: versions.length, unchanged, changed };
}
