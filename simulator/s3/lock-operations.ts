// Retention and legal hold of a version that is there. In COMPLIANCE mode nobody shortens, removes or changes
// the mode, whoever they are; longer is always allowed. Source: Amazon S3 User Guide, "Managing Object Lock".

import type { Call, Reply } from './call.ts';
import { MS_PER_DAY, authorize, bucketOf, parseRetainUntil } from './call.ts';
import { checkDigests } from './checksums.ts';
import { bypassesGovernance, findVersion, lockMode } from './object-operations.ts';
import { S3Refusal, denied, invalidRequest, malformedXml } from './refusal.ts';
import type { Bucket, Retention, Version } from './state.ts';
import { parseXml, textAt, xmlDocument } from './xml.ts';

function lockedBucket(call: Call): Bucket {
  const bucket = bucketOf(call);
  if (!bucket.settings.objectLock) {
    throw invalidRequest('Bucket is missing Object Lock Configuration');
  }
  return bucket;
}

function noLock(): S3Refusal {
  const text = 'The specified object does not have a ObjectLock configuration';
  return new S3Refusal(404, 'NoSuchObjectLockConfiguration', text);
}

function checkBody(call: Call): void {
  if (checkDigests(call.headers, call.body).present) return;
  throw invalidRequest('Missing required header for this request: Content-MD5');
}

export function getRetention(call: Call): Reply {
  const bucket = lockedBucket(call);
  authorize(call, 's3:GetObjectRetention');
  const { retention } = findVersion(call, bucket);
  if (retention === null) throw noLock();
  const { mode, until } = retention;
  const fields = { Mode: mode, RetainUntilDate: new Date(until).toISOString() };
  return { status: 200, body: xmlDocument('Retention', fields) };
}

function checkChange(call: Call, { retention: now }: Version, next: Retention | null): void {
  if (now === null || now.until <= call.now) return;
  const isLonger = next !== null && next.until >= now.until;
  if (isLonger && next.mode === now.mode) return;
  const text = 'Access Denied because object protected by object lock.';
  if (now.mode === 'COMPLIANCE' || !bypassesGovernance(call)) throw denied(text);
}

export function putRetention(call: Call): Reply {
  const { body, key, now, state } = call;
  const bucket = lockedBucket(call);
  const fields = parseXml(body, 'Retention');
  const mode = textAt(fields, 'Mode');
  const date = textAt(fields, 'RetainUntilDate');
  if ((mode === undefined) !== (date === undefined)) throw malformedXml();
  const next =
    mode === undefined || date === undefined
      ? null
      : { mode: lockMode(mode), until: parseRetainUntil(date, now) };
  const days = next === null ? undefined : String(Math.floor((next.until - now) / MS_PER_DAY));
  authorize(call, 's3:PutObjectRetention', {
    's3:object-lock-mode': mode,
    's3:object-lock-retain-until-date': date,
    's3:object-lock-remaining-retention-days': days,
  });
  checkBody(call);
  const version = findVersion(call, bucket);
  checkChange(call, version, next);
  const { id, legalHold } = version;
  state.change({ type: 'lock', bucket: bucket.name, key, id, retention: next, legalHold });
  return { status: 200 };
}

export function getLegalHold(call: Call): Reply {
  const bucket = lockedBucket(call);
  authorize(call, 's3:GetObjectLegalHold');
  const { legalHold } = findVersion(call, bucket);
  if (legalHold === null) throw noLock();
  return { status: 200, body: xmlDocument('LegalHold', { Status: legalHold ? 'ON' : 'OFF' }) };
}

export function putLegalHold(call: Call): Reply {
  const { body, key, state } = call;
  const bucket = lockedBucket(call);
  const status = textAt(parseXml(body, 'LegalHold'), 'Status');
  if (status !== 'ON' && status !== 'OFF') throw malformedXml();
  authorize(call, 's3:PutObjectLegalHold', { 's3:object-lock-legal-hold': status });
  checkBody(call);
  const { id, retention } = findVersion(call, bucket);
  const legalHold = status === 'ON';
  state.change({ type: 'lock', bucket: bucket.name, key, id, retention, legalHold });
  return { status: 200 };
}
