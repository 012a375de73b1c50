// Checks AWS Signature Version 4 in the Authorization header, from the specification and not with the SDK's own
// code. Source: Amazon S3 API, "Authenticating Requests: Using the Authorization Header". Signed URLs and
// chunked signatures are refused.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { S3Refusal, denied, invalidRequest, notImplemented } from './refusal.ts';

export interface S3User {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials: must come with each request. */
  readonly sessionToken?: string;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
  /** What policies see, `arn:aws:iam::123456789012:user/shipper`. */
  readonly arn: string;
}

export interface SignedRequest {
  readonly method: string;
  /** As on the request line, without the query. */
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SignatureRules {
  readonly users: readonly S3User[];
  readonly region: string;
  readonly now: number;
}

const MAX_SKEW_MS = 15 * 60 * 1000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/u;

function hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/gu,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Sorted by name as encoded; a name without a value has an empty one. */
function canonicalQuery(query: string): string {
  const parts = query === '' ? [] : query.split('&');
  const pairs = parts.map((part) => {
    const at = part.indexOf('=');
    const name = decodeURIComponent(at < 0 ? part : part.slice(0, at));
    const value = decodeURIComponent(at < 0 ? '' : part.slice(at + 1));
    return `${encode(name)}=${encode(value)}`;
  });
  return pairs.sort().join('&');
}

function parseTime(text: string): number {
  const iso = text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u, '$1-$2-$3T$4:$5:$6Z');
  return Date.parse(iso);
}

function checkUser(user: S3User, headers: SignedRequest['headers'], now: number): void {
  const token = headers['x-amz-security-token'];
  if (token !== user.sessionToken) {
    throw new S3Refusal(
      400,
      'InvalidToken',
      'The provided token is malformed or otherwise invalid.',
    );
  }
  if (user.expiresAt !== undefined && now >= user.expiresAt) {
    throw new S3Refusal(400, 'ExpiredToken', 'The provided token has expired.');
  }
}

function checkPayload({ headers, body }: SignedRequest): string {
  const told = headers['x-amz-content-sha256'];
  if (told === undefined)
    throw invalidRequest('Missing required header for this request: x-amz-content-sha256');
  if (told === 'UNSIGNED-PAYLOAD') return told;
  if (told.startsWith('STREAMING-')) throw notImplemented('chunked uploads');
  if (told === hex(body)) return told;
  throw new S3Refusal(
    400,
    'XAmzContentSHA256Mismatch',
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
  );
}

/** Who signed it. Throws S3Refusal. */
export function checkSignature(request: SignedRequest, rules: SignatureRules): S3User {
  const { headers } = request;
  const match = AUTHORIZATION.exec(headers['authorization'] ?? '');
  if (match === null) throw denied();
  const [, accessKeyId = '', day = '', region = '', signedHeaders = '', signature = ''] = match;
  const user = rules.users.find((one) => one.accessKeyId === accessKeyId);
  if (user === undefined) {
    throw new S3Refusal(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
    );
  }
  const date = headers['x-amz-date'] ?? '';
  if (!date.startsWith(day) || !(Math.abs(parseTime(date) - rules.now) <= MAX_SKEW_MS)) {
    throw new S3Refusal(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    );
  }
  if (region !== rules.region) {
    throw new S3Refusal(
      400,
      'AuthorizationHeaderMalformed',
      `The authorization header is malformed; the region '${region}' is wrong; expecting '${rules.region}'`,
    );
  }
  const names = signedHeaders.split(';');
  const mustBeSigned = Object.keys(headers).filter((name) => name.startsWith('x-amz-'));
  if (!names.includes('host') || mustBeSigned.some((name) => !names.includes(name))) {
    throw denied('There were headers present in the request which were not signed');
  }
  const canonical = [
    request.method,
    request.path,
    canonicalQuery(request.query),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/gu, ' ')}`),
    '',
    signedHeaders,
    checkPayload(request),
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, hex(canonical)].join('\n');
  let key: Uint8Array = Buffer.from(`AWS4${user.secretAccessKey}`);
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  const expected = createHmac('sha256', key).update(toSign).digest();
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) {
    throw new S3Refusal(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
  checkUser(user, headers, rules.now);
  return user;
}
