// One authenticated request, and what the operations share: rights, buckets, keys.

import type { PolicyRequest } from './policy.ts';
import { isDenied } from './policy.ts';
import { S3Refusal, denied, invalidArgument } from './refusal.ts';
import type { S3User } from './signature.ts';
import type { Bucket, S3State } from './state.ts';

export interface Call {
  readonly state: S3State;
  readonly user: S3User;
  readonly account: string;
  readonly region: string;
  readonly now: number;
  readonly isTls: boolean;
  readonly method: string;
  /** '' for none. */
  readonly bucket: string;
  /** '' for none. */
  readonly key: string;
  readonly query: ReadonlyMap<string, string>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** When the first byte of the request came, in events of the key (see `Arrivals`). */
  readonly changesAtArrival: number;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export const MS_PER_DAY: number = 24 * 3600 * 1000;

export function isRoot({ user, account }: Call): boolean {
  return user.arn === `arn:aws:iam::${account}:root`;
}

/** 403 where the bucket's policy denies the action. */
export function authorize(
  call: Call,
  action: string,
  context: Readonly<Record<string, string | undefined>> = {},
): void {
  if (!may(call, action, context)) {
    const what = `User: ${call.user.arn} is not authorized to perform: ${action}`;
    throw denied(`${what} with an explicit deny in a resource-based policy`);
  }
}

export function may(
  call: Call,
  action: string,
  context: Readonly<Record<string, string | undefined>> = {},
): boolean {
  const policy = call.state.buckets.get(call.bucket)?.settings.policy ?? null;
  const all: Readonly<Record<string, string | undefined>> = {
    'aws:principalarn': call.user.arn,
    'aws:securetransport': String(call.isTls),
    's3:tlsversion': call.isTls ? '1.3' : undefined,
    's3:versionid': call.query.get('versionId'),
    ...context,
  };
  const known = Object.entries(all).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const request: PolicyRequest = {
    principal: call.user.arn,
    action,
    resource: `arn:aws:s3:::${call.bucket}${call.key === '' ? '' : `/${call.key}`}`,
    context: new Map(known),
  };
  return !isDenied(policy, request);
}

/** The bucket of the request. 404 without it, 403 where another owner is expected. */
export function bucketOf(call: Call): Bucket {
  const bucket = call.state.buckets.get(call.bucket);
  if (bucket === undefined) {
    throw new S3Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist');
  }
  const expected = call.headers['x-amz-expected-bucket-owner'];
  if (expected !== undefined && expected !== call.account) throw denied();
  return bucket;
}

/** A time of a request, as milliseconds; it must be in the future. */
export function parseRetainUntil(text: string, now: number): number {
  const until = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/u.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(until)) {
    throw invalidArgument('The retain until date must be provided in ISO 8601 format');
  }
  if (until <= now) throw invalidArgument('The retain until date must be in the future!');
  return until;
}
