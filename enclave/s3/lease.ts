// What the enclave does under policy s3 before it makes an epoch (docs/PROTOCOL.md 7): the bucket must keep
// what is written, the offered previous epoch must end as the bucket says, and then it may not go on. The
// host offers what it likes; a bucket whose objects it could delete or hide would make it master of both,
// so versions are looked at too.

import { utf8, equalBytes } from '../../wire/bytes.ts';
import { parseCommit } from '../../wire/commit.ts';
import type { Configuration } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { PreviousEpoch } from '../../wire/header.ts';
import type { Previous } from '../../wire/enclave-messages.ts';
import { claimKey, commitsKey } from '../../wire/object-keys.ts';
import { MAX_COMMIT_GROUP_BYTES, parseCommitGroup } from '../../wire/objects.ts';
import type { Superseded } from '../../wire/superseded.ts';
import { encodeSuperseded } from '../../wire/superseded.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { encodeNote, noteKeyId, unsafeNoteText } from '../../wire/tlog/note.ts';
import type { Clock } from '../clock.ts';
import type { Egress } from '../egress.ts';
import type { HttpLimits } from '../egress-http.ts';
import { EgressHttp } from '../egress-http.ts';
import { Fatal } from '../fatal.ts';
import type { LogKey } from '../keys.ts';
import type { Credentials } from '../kms/credentials.ts';
import type { Bucket, HttpHandler } from './bucket.ts';
import { S3Bucket } from './bucket.ts';
import { createOnce, insist } from './insist.ts';
import type { Insistence } from './insist.ts';

export interface Lease {
  readonly crypto: WireCrypto;
  readonly bucket: Bucket;
  readonly retentionDays: number;
  readonly retainUntil: () => Date;
  readonly insistence: Insistence;
}

export interface LeaseServices {
  readonly crypto: WireCrypto;
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly ending: AbortSignal;
}

const DAY_MS = 86_400_000;
const PAUSES = { firstPauseMs: 50, longestPauseMs: 5000 };

/** Below 16 MiB there is every object of ours. */
const HTTP_LIMITS: HttpLimits = {
  timeoutMs: 15_000,
  maxAnswerBytes: MAX_COMMIT_GROUP_BYTES,
  maxConnections: 2,
};

/** Null under policy spool. */
export function openLease(
  { crypto, clock, credentials, ending }: LeaseServices,
  { commit_policy: policy, s3 }: Configuration,
  egress: Egress,
): Lease | null {
  if (policy !== 's3' || s3 === undefined) return null;
  const sender = new EgressHttp(egress, HTTP_LIMITS);
  type Request = Parameters<typeof sender.handle>[0];
  // The same fields; the class only adds ways to copy them.
  const http: HttpHandler = { handle: (request) => sender.handle(request as Request) };
  const now = (): Date => new Date(Number(clock.nowNs() / 1_000_000n));
  const bucket = new S3Bucket(s3, { http, credentials, now });
  return leaseOf(crypto, clock, bucket, s3.retention_days, ending);
}

/** Nothing was asked of the bucket yet. Aborting the signal ends all that waits for it. */
export function leaseOf(
  crypto: WireCrypto,
  clock: Clock,
  bucket: Bucket,
  retentionDays: number,
  signal: AbortSignal,
): Lease {
  const retainUntil = (): Date =>
    new Date(Number(clock.nowNs() / 1_000_000n) + retentionDays * DAY_MS);
  return {
    crypto,
    bucket,
    retentionDays,
    retainUntil,
    insistence: { signal, refusable: true, ...PAUSES },
  };
}

/** Throws a Fatal unless versions are kept and locked in compliance mode, for long enough by default. */
export async function checkBucket(lease: Lease): Promise<void> {
  const { bucket, retentionDays, insistence } = lease;
  const { versioned, locked, mode, days } = await insist(insistence, () => bucket.describe());
  if (!versioned) throw new Fatal('bucket_unversioned');
  if (!locked) throw new Fatal('bucket_unlocked');
  // Without a default our explicit dates are all there is, and they suffice for what we write.
  if (mode === null) return;
  if (mode !== 'COMPLIANCE') throw new Fatal('bucket_governance');
  if (days < retentionDays) throw new Fatal('bucket_retention_short');
}

/**
 * The previous epoch ends with the offered head and can write nothing more. `nextCommit` is the number
 * of its next object, as the host says. Throws a Fatal: `previous_stale`, `object_replaced`.
 */
export async function takeOver(
  lease: Lease,
  previous: Pick<Previous, 'origin' | 'logKey' | 'nextCommit'>,
  entry: PreviousEpoch,
  successor: { readonly origin: string; readonly key: LogKey },
): Promise<void> {
  const { bucket, insistence } = lease;
  const { origin, logKey, nextCommit: number } = previous;
  if (number === null || number === 0) throw new Fatal('previous_stale');
  const lastKey = number === 1 ? claimKey(entry.epoch) : commitsKey(entry.epoch, number - 1);
  const last = await insist(insistence, () => bucket.read(lastKey));
  if (last === null || !endsWith(lease.crypto, last, number === 1, origin, logKey, entry)) {
    throw new Fatal('previous_stale');
  }
  await assertOnlyVersion(lease, lastKey);
  const { size, root } = entry;
  await fence(
    lease,
    entry.epoch,
    { origin, number, size, root, successor: successor.origin },
    successor.key,
  );
}

/** Whether the object's last commit has the note of this head. */
function endsWith(
  crypto: WireCrypto,
  bytes: Uint8Array,
  isClaim: boolean,
  origin: string,
  logKey: Uint8Array,
  { size, root }: PreviousEpoch,
): boolean {
  const group = isClaim ? null : parseCommitGroup(bytes);
  if (group?.ok === false) return false;
  const commit = parseCommit(group?.value.at(-1) ?? bytes);
  if (!commit.ok) return false;
  const head = verifyCheckpoint(crypto, commit.value.note, origin, logKey);
  return head.ok && head.value.size === size && equalBytes(head.value.root, root);
}

async function fence(
  lease: Lease,
  epoch: number,
  superseded: Superseded,
  key: LogKey,
): Promise<void> {
  const { crypto, bucket, retainUntil, insistence } = lease;
  const text = encodeSuperseded(superseded);
  const keyId = noteKeyId(crypto, key.spki);
  const note = encodeNote(text, superseded.successor, keyId, key.sign(utf8(text)));
  const place = commitsKey(epoch, superseded.number);
  const there = await insist(insistence, () => createOnce(bucket, place, note, retainUntil()));
  // One of us was here before and did not get as far as its claim, or is about to: the claim decides.
  if (there !== null && !saysTheSame(there, text)) throw new Fatal('previous_stale');
  await assertOnlyVersion(lease, place);
}

function saysTheSame(bytes: Uint8Array, text: string): boolean {
  const note = unsafeNoteText(bytes);
  return note.ok && note.value === text;
}

/** A second version or a delete marker hides what came first, and lets others write again. */
async function assertOnlyVersion({ bucket, insistence }: Lease, key: string): Promise<void> {
  if (!(await insist(insistence, () => bucket.isOnlyVersion(key))))
    throw new Fatal('object_replaced');
}
