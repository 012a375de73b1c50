// Objects: put, get, head, delete. Source: Amazon S3 API and User Guide, "How S3 Object Lock works", "How to
// prevent object overwrites with conditional writes". A lock keeps one version; it stops neither a newer one
// nor a delete marker on top.

import { createHash, randomBytes } from 'node:crypto';
import type { Call, Reply } from './call.ts';
import { MS_PER_DAY, authorize, bucketOf, may, parseRetainUntil } from './call.ts';
import { checkDigests } from './checksums.ts';
import { S3Refusal, denied, invalidArgument, invalidRequest, notImplemented } from './refusal.ts';
import type { Bucket, DefaultRetention, Retention, Version } from './state.ts';

export function newVersionId(): string {
  return randomBytes(24).toString('base64').replaceAll(/[+/]/gu, '.');
}

export function lockMode(text: string): 'COMPLIANCE' | 'GOVERNANCE' {
  if (text === 'COMPLIANCE' || text === 'GOVERNANCE') return text;
  throw invalidArgument('Unknown wormMode directive.');
}

function defaultUntil({ mode, days, years }: DefaultRetention, now: number): Retention {
  if (days !== undefined) return { mode, until: now + days * MS_PER_DAY };
  const until = new Date(now);
  until.setUTCFullYear(until.getUTCFullYear() + (years ?? 0));
  return { mode, until: until.getTime() };
}

interface LockRequest {
  readonly retention: Retention | null;
  readonly legalHold: boolean | null;
}

function requestedLock(call: Call, bucket: Bucket): LockRequest {
  const { headers, now } = call;
  const mode = headers['x-amz-object-lock-mode'];
  const until = headers['x-amz-object-lock-retain-until-date'];
  const hold = headers['x-amz-object-lock-legal-hold'];
  const isLocking = mode !== undefined || until !== undefined || hold !== undefined;
  if (isLocking && !bucket.settings.objectLock) {
    throw invalidRequest('Bucket is missing Object Lock Configuration');
  }
  if ((mode === undefined) !== (until === undefined)) {
    throw invalidArgument(
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    );
  }
  if (hold !== undefined && hold !== 'ON' && hold !== 'OFF') {
    throw invalidArgument('Legal Hold must be either of ON or OFF');
  }
  const legalHold = hold === undefined ? null : hold === 'ON';
  if (mode !== undefined && until !== undefined) {
    const retention = { mode: lockMode(mode), until: parseRetainUntil(until, now) };
    return { retention, legalHold };
  }
  const { defaultRetention } = bucket.settings;
  return {
    retention: defaultRetention === null ? null : defaultUntil(defaultRetention, now),
    legalHold,
  };
}

const SSE = 'x-amz-server-side-encryption';
const SSE_KMS_KEY = `${SSE}-aws-kms-key-id`;
const SSE_CUSTOMER = `${SSE}-customer-algorithm`;

/** Objects are not encrypted here, so only what AWS does by itself may be asked for. */
function checkEncryption({ headers }: Call): void {
  if (headers[SSE_CUSTOMER] !== undefined) throw notImplemented('keys of customers (SSE-C)');
  const isKms = (headers[SSE] ?? 'AES256') !== 'AES256' || headers[SSE_KMS_KEY] !== undefined;
  if (isKms) throw notImplemented('encryption under KMS keys');
}

function authorizePut(call: Call): void {
  const { headers, now } = call;
  const until = headers['x-amz-object-lock-retain-until-date'];
  const days = until === undefined ? null : Math.floor((Date.parse(until) - now) / MS_PER_DAY);
  const context = {
    's3:if-none-match': headers['if-none-match'],
    's3:objectcreationoperation': 'true',
    's3:object-lock-mode': headers['x-amz-object-lock-mode'],
    's3:object-lock-retain-until-date': until,
    's3:object-lock-remaining-retention-days': days === null ? undefined : String(days),
    's3:object-lock-legal-hold': headers['x-amz-object-lock-legal-hold'],
    [`s3:${SSE}`]: headers[SSE],
    [`s3:${SSE_KMS_KEY}`]: headers[SSE_KMS_KEY],
    [`s3:${SSE_CUSTOMER}`]: headers[SSE_CUSTOMER],
  };
  authorize(call, 's3:PutObject', context);
  if (until !== undefined) authorize(call, 's3:PutObjectRetention', context);
  if (headers['x-amz-object-lock-legal-hold'] !== undefined) {
    authorize(call, 's3:PutObjectLegalHold', context);
  }
}

function newest(bucket: Bucket, key: string): Version | null {
  const version = bucket.keys.get(key)?.[0];
  return version === undefined || version.isDeleteMarker ? null : version;
}

/** Changes of a key, for telling a race from a name that was taken before. */
export function changesOf(bucket: Bucket | undefined, key: string): number {
  return bucket?.keys.get(key)?.length ?? 0;
}

function checkCondition(call: Call, bucket: Bucket): void {
  const condition = call.headers['if-none-match'];
  if (call.headers['if-match'] !== undefined) throw notImplemented('If-Match');
  if (condition === undefined) return;
  if (condition !== '*') throw notImplemented('If-None-Match other than *');
  if (newest(bucket, call.key) === null) return;
  if (changesOf(bucket, call.key) !== call.changesAtArrival) {
    const text =
      'A conflicting conditional operation is currently in progress against this resource.';
    throw new S3Refusal(409, 'ConditionalRequestConflict', `${text} Please try again.`);
  }
  const text = 'At least one of the pre-conditions you specified did not hold';
  throw new S3Refusal(412, 'PreconditionFailed', text);
}

export function putObject(call: Call): Reply {
  const { headers, key, now, state } = call;
  const bucket = bucketOf(call);
  for (const name of ['x-amz-copy-source', 'x-amz-object-lock-event-hold']) {
    if (headers[name] !== undefined) throw notImplemented(name);
  }
  authorizePut(call);
  checkEncryption(call);
  const lock = requestedLock(call, bucket);
  const { checksums, present } = checkDigests(headers, call.body);
  if (!present && (lock.retention !== null || lock.legalHold !== null)) {
    throw invalidRequest(
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
    );
  }
  checkCondition(call, bucket);
  const md5Hex = createHash('md5').update(call.body).digest('hex');
  const isVersioned = bucket.settings.versioning === 'Enabled';
  const version: Version = {
    id: isVersioned ? newVersionId() : 'null',
    isDeleteMarker: false,
    body: call.body,
    modified: now,
    contentType: headers['content-type'] ?? 'binary/octet-stream',
    checksums,
    md5Hex,
    ...lock,
  };
  state.change({ type: 'version', bucket: bucket.name, key, version });
  return {
    status: 200,
    headers: {
      etag: `"${md5Hex}"`,
      ...(bucket.settings.versioning === null ? {} : { 'x-amz-version-id': version.id }),
      ...checksumHeaders(version),
    },
  };
}

function checksumHeaders({ checksums }: Version): Readonly<Record<string, string>> {
  const named = Object.entries(checksums).map(([name, value]) => [`x-amz-checksum-${name}`, value]);
  if (named.length === 0) return {};
  return { ...Object.fromEntries(named), 'x-amz-checksum-type': 'FULL_OBJECT' };
}

/** A version that has bytes. 404 or 405, as S3 answers for what is not there or a delete marker. */
export function findVersion(call: Call, bucket: Bucket): Version {
  const versions = bucket.keys.get(call.key) ?? [];
  const id = call.query.get('versionId');
  const version = id === undefined ? versions[0] : versions.find((one) => one.id === id);
  if (version === undefined) {
    if (id === undefined) throw noSuchKey();
    throw new S3Refusal(404, 'NoSuchVersion', 'The specified version does not exist.');
  }
  if (!version.isDeleteMarker) return version;
  const marker = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.id };
  if (id === undefined) throw noSuchKey(marker);
  const text = 'The specified method is not allowed against this resource.';
  throw new S3Refusal(405, 'MethodNotAllowed', text, marker);
}

function noSuchKey(headers: Readonly<Record<string, string>> = {}): S3Refusal {
  return new S3Refusal(404, 'NoSuchKey', 'The specified key does not exist.', headers);
}

/** Also answers HEAD, whose body the server leaves out. */
export function getObject(call: Call): Reply {
  const bucket = bucketOf(call);
  const suffix = call.query.has('versionId') ? 'Version' : '';
  authorize(call, `s3:GetObject${suffix}`);
  if (call.headers['range'] !== undefined) throw notImplemented('ranges');
  const version = findVersion(call, bucket);
  const { retention, legalHold } = version;
  const shown: Record<string, string> = {};
  if (retention !== null && may(call, 's3:GetObjectRetention')) {
    shown['x-amz-object-lock-mode'] = retention.mode;
    shown['x-amz-object-lock-retain-until-date'] = new Date(retention.until).toISOString();
  }
  if (legalHold !== null && may(call, 's3:GetObjectLegalHold')) {
    shown['x-amz-object-lock-legal-hold'] = legalHold ? 'ON' : 'OFF';
  }
  const wantsChecksum = call.headers['x-amz-checksum-mode'] === 'ENABLED';
  return {
    status: 200,
    headers: {
      etag: `"${version.md5Hex}"`,
      'content-type': version.contentType,
      'last-modified': new Date(version.modified).toUTCString(),
      'accept-ranges': 'bytes',
      ...(bucket.settings.versioning === null ? {} : { 'x-amz-version-id': version.id }),
      ...(wantsChecksum ? checksumHeaders(version) : {}),
      ...shown,
    },
    body: version.body,
  };
}

/** Whether the request may act against GOVERNANCE: the header and the right. */
export function bypassesGovernance(call: Call): boolean {
  if (call.headers['x-amz-bypass-governance-retention'] !== 'true') return false;
  authorize(call, 's3:BypassGovernanceRetention');
  return true;
}

function checkDeletable(call: Call, version: Version): void {
  const { retention, legalHold } = version;
  const text = 'Access Denied because object protected by object lock.';
  if (legalHold === true) throw denied(text);
  if (retention === null || retention.until <= call.now) return;
  if (retention.mode === 'COMPLIANCE' || !bypassesGovernance(call)) throw denied(text);
}

export function deleteObject(call: Call): Reply {
  const { key, now, state } = call;
  const bucket = bucketOf(call);
  const id = call.query.get('versionId');
  authorize(call, id === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion');
  if (id !== undefined) {
    const version = bucket.keys.get(key)?.find((one) => one.id === id);
    // Deleting what is not there succeeds.
    if (version === undefined) return { status: 204, headers: { 'x-amz-version-id': id } };
    checkDeletable(call, version);
    state.change({ type: 'version-gone', bucket: bucket.name, key, id });
    const marker = version.isDeleteMarker ? { 'x-amz-delete-marker': 'true' } : {};
    return { status: 204, headers: { 'x-amz-version-id': id, ...marker } };
  }
  if (bucket.settings.versioning === null) {
    state.change({ type: 'version-gone', bucket: bucket.name, key, id: 'null' });
    return { status: 204 };
  }
  const marker: Version = {
    id: bucket.settings.versioning === 'Enabled' ? newVersionId() : 'null',
    isDeleteMarker: true,
    body: new Uint8Array(0),
    modified: now,
    contentType: '',
    checksums: {},
    md5Hex: '',
    retention: null,
    legalHold: null,
  };
  state.change({ type: 'version', bucket: bucket.name, key, version: marker });
  const shown = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker.id };
  return { status: 204, headers: shown };
}
