// The settings of a bucket as S3 tells them, each either known, absent, or not readable with the rights at hand.

import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
} from '@aws-sdk/client-s3';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { BucketAddress } from './address.ts';
import { answerName, bucketFailure } from './address.ts';
import type { LifecycleRule } from './lifecycle.ts';
import { parseLifecycleRule } from './lifecycle.ts';

export type Setting<T> = { readonly value: T } | { readonly unreadable: string };

export interface LockSettings {
  readonly enabled: boolean;
  /** Null without default retention. */
  readonly defaultMode: string | null;
  /** Years count 365 days. */
  readonly defaultDays: number | null;
}

export interface BucketFacts {
  readonly versioning: Setting<string>;
  readonly lock: Setting<LockSettings>;
  /** Null without one. */
  readonly policy: Setting<string | null>;
  /** All four switches. */
  readonly publicAccessBlocked: Setting<boolean>;
  readonly lifecycle: Setting<readonly LifecycleRule[]>;
  /** KMS keys that default encryption names. */
  readonly encryptionKeys: Setting<readonly string[]>;
}

const NO_LOCK: LockSettings = { enabled: false, defaultMode: null, defaultDays: null };
const DAYS_PER_YEAR = 365;

/** What is absent has a name of its own; what is denied or not implemented is not readable. */
async function read<T>(
  ask: () => Promise<T>,
  absent: Readonly<Record<string, T>>,
): Promise<Setting<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    const name = answerName(error);
    if (name === null) throw error;
    const value = absent[name];
    return value === undefined ? { unreadable: name } : { value };
  }
}

/** Refuses what `bucketFailure` has: the bucket cannot be reached at all. */
export async function readSettings({
  client,
  target,
}: BucketAddress): Promise<Result<BucketFacts>> {
  try {
    await client.send(new HeadBucketCommand(target));
  } catch (error) {
    // A HEAD has no body that could name the error.
    const isMissing = answerName(error) === 'NotFound';
    return isMissing ? bucketFailure(named(error, 'NoSuchBucket')) : bucketFailure(error);
  }
  try {
    const versioning = await read(async () => {
      const { Status } = await client.send(new GetBucketVersioningCommand(target));
      return Status ?? 'Off';
    }, {});
    const lock = await read(
      async (): Promise<LockSettings> => {
        const answer = await client.send(new GetObjectLockConfigurationCommand(target));
        const { ObjectLockEnabled, Rule } = answer.ObjectLockConfiguration ?? {};
        const { Mode, Days, Years } = Rule?.DefaultRetention ?? {};
        const days = Days ?? (Years === undefined ? null : Years * DAYS_PER_YEAR);
        const enabled = ObjectLockEnabled === 'Enabled';
        return { enabled, defaultMode: Mode ?? null, defaultDays: days };
      },
      { ObjectLockConfigurationNotFoundError: NO_LOCK },
    );
    const policy = await read<string | null>(
      async () => (await client.send(new GetBucketPolicyCommand(target))).Policy ?? null,
      { NoSuchBucketPolicy: null },
    );
    const publicAccessBlocked = await read(
      async () => {
        const answer = await client.send(new GetPublicAccessBlockCommand(target));
        const switches = answer.PublicAccessBlockConfiguration ?? {};
        const { BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls } = switches;
        const all = [BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls];
        return [...all, switches.RestrictPublicBuckets].every((one) => one === true);
      },
      { NoSuchPublicAccessBlockConfiguration: false },
    );
    const lifecycle = await read<readonly LifecycleRule[]>(
      async () => {
        const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand(target));
        return (Rules ?? []).map(parseLifecycleRule);
      },
      { NoSuchLifecycleConfiguration: [] },
    );
    const encryptionKeys = await read<readonly string[]>(
      async () => {
        const answer = await client.send(new GetBucketEncryptionCommand(target));
        const rules = answer.ServerSideEncryptionConfiguration?.Rules ?? [];
        return rules.flatMap(
          ({ ApplyServerSideEncryptionByDefault: one }) => one?.KMSMasterKeyID ?? [],
        );
      },
      { ServerSideEncryptionConfigurationNotFoundError: [] },
    );
    const settings = { versioning, lock, policy, publicAccessBlocked };
    return accept({ ...settings, lifecycle, encryptionKeys });
  } catch (error) {
    return bucketFailure(error);
  }
}

function named(error: unknown, name: string): unknown {
  return Object.assign(new Error('there is no such bucket'), { name, cause: error });
}
