// Which operation a request asks for, by method and subresource. What is not here answers 501, so that nothing
// seems to work that does not.

import type { Call, Reply } from './call.ts';
import * as buckets from './bucket-operations.ts';
import * as rules from './bucket-rules.ts';
import { listObjects, listVersions } from './list-operations.ts';
import * as locks from './lock-operations.ts';
import { deleteObject, getObject, putObject } from './object-operations.ts';
import { notImplemented } from './refusal.ts';

export interface Route {
  /** AWS's name. */
  readonly operation: string;
  readonly act: (call: Call) => Reply;
}

type Table = Readonly<Record<string, Readonly<Record<string, Route>>>>;

function route(operation: string, act: (call: Call) => Reply): Route {
  return { operation, act };
}

const BUCKET: Table = {
  '': {
    PUT: route('CreateBucket', buckets.createBucket),
    HEAD: route('HeadBucket', buckets.headBucket),
    DELETE: route('DeleteBucket', buckets.deleteBucket),
    GET: route('ListObjectsV2', listObjects),
  },
  versions: { GET: route('ListObjectVersions', listVersions) },
  versioning: {
    GET: route('GetBucketVersioning', buckets.getVersioning),
    PUT: route('PutBucketVersioning', buckets.putVersioning),
  },
  'object-lock': {
    GET: route('GetObjectLockConfiguration', buckets.getObjectLock),
    PUT: route('PutObjectLockConfiguration', buckets.putObjectLock),
  },
  policy: {
    GET: route('GetBucketPolicy', buckets.getPolicy),
    PUT: route('PutBucketPolicy', buckets.putPolicy),
    DELETE: route('DeleteBucketPolicy', buckets.deletePolicy),
  },
  lifecycle: {
    GET: route('GetBucketLifecycleConfiguration', rules.getLifecycle),
    PUT: route('PutBucketLifecycleConfiguration', rules.putLifecycle),
    DELETE: route('DeleteBucketLifecycle', rules.deleteLifecycle),
  },
  encryption: {
    GET: route('GetBucketEncryption', rules.getEncryption),
    PUT: route('PutBucketEncryption', rules.putEncryption),
    DELETE: route('DeleteBucketEncryption', rules.deleteEncryption),
  },
  publicAccessBlock: {
    GET: route('GetPublicAccessBlock', buckets.getPublicAccessBlock),
    PUT: route('PutPublicAccessBlock', buckets.putPublicAccessBlock),
    DELETE: route('DeletePublicAccessBlock', buckets.deletePublicAccessBlock),
  },
};

const OBJECT: Table = {
  '': {
    PUT: route('PutObject', putObject),
    GET: route('GetObject', getObject),
    HEAD: route('HeadObject', getObject),
    DELETE: route('DeleteObject', deleteObject),
  },
  retention: {
    GET: route('GetObjectRetention', locks.getRetention),
    PUT: route('PutObjectRetention', locks.putRetention),
  },
  'legal-hold': {
    GET: route('GetObjectLegalHold', locks.getLegalHold),
    PUT: route('PutObjectLegalHold', locks.putLegalHold),
  },
};

/** Parameters that are not subresources. */
const PARAMETERS: ReadonlySet<string> = new Set([
  'continuation-token',
  'delimiter',
  'encoding-type',
  'key-marker',
  'list-type',
  'max-keys',
  'prefix',
  'start-after',
  'version-id-marker',
  'versionId',
  'x-id',
]);

const LIST_BUCKETS: Route = route('ListBuckets', buckets.listBuckets);

/** Throws `NotImplemented`. */
export function findRoute(
  method: string,
  bucket: string,
  key: string,
  query: ReadonlyMap<string, string>,
): Route {
  if (bucket === '' && method === 'GET') return LIST_BUCKETS;
  const named = [...query.keys()].filter((name) => !PARAMETERS.has(name));
  const subresource = named[0] ?? '';
  const found = (key === '' ? BUCKET : OBJECT)[subresource]?.[method];
  if (bucket === '' || found === undefined || named.length > 1) {
    throw notImplemented(`${method} with ${named.join(' and ') || 'this path'}`);
  }
  return found;
}
