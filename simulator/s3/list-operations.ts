// Listing versions and objects, in pages. Source: Amazon S3 API, ListObjectVersions and ListObjectsV2.

import type { Call, Reply } from './call.ts';
import { authorize, bucketOf } from './call.ts';
import { invalidArgument, notImplemented } from './refusal.ts';
import type { Bucket, Version } from './state.ts';
import type { XmlFields } from './xml.ts';
import { escapeXml, writeXml, xmlDocument } from './xml.ts';

const MAX_KEYS = 1000;

function maxKeys(call: Call): number {
  const text = call.query.get('max-keys') ?? String(MAX_KEYS);
  if (!/^\d{1,9}$/u.test(text))
    throw invalidArgument('Provided max-keys not an integer or within integer range');
  return Math.min(Number(text), MAX_KEYS);
}

/** Names as S3 sorts them: by their bytes. */
function sortedKeys(bucket: Bucket, prefix: string): readonly string[] {
  const keys = [...bucket.keys.keys()].filter((key) => key.startsWith(prefix));
  return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function refuseDelimiter(call: Call): void {
  for (const name of ['delimiter', 'encoding-type']) {
    if ((call.query.get(name) ?? '') !== '') throw notImplemented(`${name} in a list`);
  }
}

interface Entry {
  readonly key: string;
  readonly version: Version;
  readonly isLatest: boolean;
}

function describe({ key, version, isLatest }: Entry): string {
  const common = {
    Key: key,
    VersionId: version.id,
    IsLatest: String(isLatest),
    LastModified: new Date(version.modified).toISOString(),
  };
  const fields: XmlFields = version.isDeleteMarker
    ? { DeleteMarker: common }
    : {
        Version: {
          ...common,
          ETag: `"${version.md5Hex}"`,
          ChecksumAlgorithm: Object.keys(version.checksums).map((name) => name.toUpperCase())[0],
          Size: String(version.body.length),
          StorageClass: 'STANDARD',
        },
      };
  return writeXml(fields);
}

function* entries(bucket: Bucket, prefix: string, after: string, id: string): Generator<Entry> {
  for (const key of sortedKeys(bucket, prefix)) {
    if (key < after || (key === after && id === '')) continue;
    const versions = bucket.keys.get(key) ?? [];
    // The page before ended with this version; a list that changes in between goes on as well as it can.
    const start = key === after ? versions.findIndex((one) => one.id === id) + 1 : 0;
    for (const [at, version] of versions.entries()) {
      if (at >= start) yield { key, version, isLatest: at === 0 };
    }
  }
}

export function listVersions(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:ListBucketVersions');
  refuseDelimiter(call);
  const { query } = call;
  const [prefix, after, id] = ['prefix', 'key-marker', 'version-id-marker'].map(
    (name) => query.get(name) ?? '',
  ) as [string, string, string];
  if (id !== '' && after === '') {
    throw invalidArgument('A version-id marker cannot be specified without a key marker.');
  }
  const count = maxKeys(call);
  const page: Entry[] = [];
  let isTruncated = false;
  for (const entry of entries(bucket, prefix, after, id)) {
    isTruncated = page.length === count;
    if (isTruncated) break;
    page.push(entry);
  }
  const last = page.at(-1);
  const more = isTruncated && last !== undefined;
  const head = {
    Name: bucket.name,
    Prefix: prefix,
    KeyMarker: after,
    VersionIdMarker: id,
    MaxKeys: String(count),
    IsTruncated: String(more),
    ...(more ? { NextKeyMarker: last.key, NextVersionIdMarker: last.version.id } : {}),
  };
  // In one order, versions and delete markers mixed.
  const document = xmlDocument('ListVersionsResult', head);
  const end = '</ListVersionsResult>';
  const body = `${document.slice(0, -end.length)}${page.map(describe).join('')}${end}`;
  return { status: 200, body };
}

export function listObjects(call: Call): Reply {
  const bucket = bucketOf(call);
  authorize(call, 's3:ListBucket');
  refuseDelimiter(call);
  if (call.query.get('list-type') !== '2') throw notImplemented('ListObjects version 1');
  const prefix = call.query.get('prefix') ?? '';
  const token = call.query.get('continuation-token');
  const after = token === undefined ? (call.query.get('start-after') ?? '') : atob(token);
  const count = maxKeys(call);
  const keys = sortedKeys(bucket, prefix).filter(
    (key) => key > after && bucket.keys.get(key)?.[0]?.isDeleteMarker === false,
  );
  const page = keys.slice(0, count);
  const more = keys.length > page.length && page.length > 0;
  const contents = page.flatMap((key) => {
    const version = bucket.keys.get(key)?.[0];
    if (version === undefined) return [];
    return [
      {
        Key: key,
        LastModified: new Date(version.modified).toISOString(),
        ETag: `"${version.md5Hex}"`,
        Size: String(version.body.length),
        StorageClass: 'STANDARD',
      },
    ];
  });
  const fields = {
    Name: bucket.name,
    Prefix: prefix,
    KeyCount: String(page.length),
    MaxKeys: String(count),
    IsTruncated: String(more),
    ...(more ? { NextContinuationToken: btoa(page.at(-1) ?? '') } : {}),
    Contents: contents,
  };
  return { status: 200, body: xmlDocument('ListBucketResult', fields) };
}

/** AWS's body of an error. */
export function errorDocument(code: string, message: string, resource: string, id: string): string {
  const fields = { Code: code, Message: message, Resource: resource, RequestId: id };
  const text = Object.entries(fields).map(
    ([name, value]) => `<${name}>${escapeXml(value)}</${name}>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${text.join('')}</Error>`;
}
