// AWS Signature Version 4 as KMS checks it: the expected signature comes from AWS's own signer, over exactly
// the headers that the request names. Whoever holds a principal's secret is that principal.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Hash, Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { KmsError } from './errors.ts';

const SKEW_MS = 5 * 60_000;

/** A user or an assumed role, with one pair of keys. */
export interface Principal {
  /** arn:aws:iam::ACCOUNT:user/NAME, or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION. */
  readonly arn: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials: requests without it, or after `expiresMs`, are refused. */
  readonly sessionToken?: string;
  readonly expiresMs?: number;
  /** IAM's side of the decision, as JSON. Everything is allowed when left out, as for an administrator. */
  readonly identityPolicy?: string;
}

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SignatureScope {
  readonly region: string;
  readonly principals: readonly Principal[];
  readonly nowMs: number;
}

class Sha256 {
  #hash: Hash | Hmac;
  readonly #secret: string | ArrayBuffer | ArrayBufferView | undefined;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret;
    this.#hash = Sha256.#start(secret);
  }

  static #start(secret: string | ArrayBuffer | ArrayBufferView | undefined): Hash | Hmac {
    if (secret === undefined) return createHash('sha256');
    const key = ArrayBuffer.isView(secret)
      ? Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength)
      : Buffer.from(secret as string);
    return createHmac('sha256', typeof secret === 'string' ? secret : key);
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }

  reset(): void {
    this.#hash = Sha256.#start(this.#secret);
  }
}

const MISMATCH =
  'The request signature we calculated does not match the signature you provided. ' +
  'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';

function invalidSignature(message: string): KmsError {
  return new KmsError('InvalidSignatureException', message);
}

interface Authorization {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/([0-9]{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request,\s*SignedHeaders=([a-z0-9;_-]+),\s*Signature=([0-9a-f]{64})$/u;

function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined) {
    throw new KmsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const match = AUTHORIZATION.exec(header);
  if (match === null) {
    throw new KmsError('IncompleteSignatureException', 'Authorization header is malformed.');
  }
  const [, accessKeyId = '', date = '', region = '', service = '', names = '', signature = ''] =
    match;
  return { accessKeyId, date, region, service, signedHeaders: names.split(';'), signature };
}

/** `20260131T235959Z`; null for anything else. */
function parseAmzDate(text: string): number | null {
  const match = /^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z$/u.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function amzDate(atMs: number): string {
  return new Date(atMs).toISOString().replaceAll(/[-:]|\.[0-9]{3}/gu, '');
}

function checkSkew(text: string, nowMs: number): number {
  const atMs = parseAmzDate(text);
  if (atMs === null) {
    throw new KmsError('IncompleteSignatureException', 'Date must be in ISO-8601 basic format.');
  }
  if (atMs < nowMs - SKEW_MS) {
    throw invalidSignature(
      `Signature expired: ${text} is now earlier than ${amzDate(nowMs - SKEW_MS)} (${amzDate(nowMs)} - 5 min.)`,
    );
  }
  if (atMs > nowMs + SKEW_MS) {
    throw invalidSignature(
      `Signature not yet current: ${text} is still later than ${amzDate(nowMs + SKEW_MS)} (${amzDate(nowMs)} + 5 min.)`,
    );
  }
  return atMs;
}

function checkScope(auth: Authorization, date: string, region: string): void {
  if (auth.region !== region) {
    throw invalidSignature(`Credential should be scoped to a valid region, not '${auth.region}'. `);
  }
  if (auth.service !== 'kms') {
    throw invalidSignature("Credential should be scoped to correct service: 'kms'. ");
  }
  if (!date.startsWith(auth.date)) {
    throw invalidSignature(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${auth.date}' != '${date.slice(0, 8)}', from '${date}'.`,
    );
  }
}

function principalOf(
  auth: Authorization,
  token: string | undefined,
  { principals, nowMs }: SignatureScope,
): Principal {
  const principal = principals.find(({ accessKeyId }) => accessKeyId === auth.accessKeyId);
  if (principal === undefined || principal.sessionToken !== token) {
    throw new KmsError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  }
  if (principal.expiresMs !== undefined && nowMs >= principal.expiresMs) {
    throw new KmsError(
      'ExpiredTokenException',
      'The security token included in the request is expired',
    );
  }
  return principal;
}

/** Throws KmsError with AWS's own type for a request that is not signed by one of `principals`. */
export async function verifySignature(
  request: SignedRequest,
  scope: SignatureScope,
): Promise<Principal> {
  const { headers } = request;
  const auth = parseAuthorization(headers['authorization']);
  const date = headers['x-amz-date'] ?? '';
  const signingDate = new Date(checkSkew(date, scope.nowMs));
  checkScope(auth, date, scope.region);
  const principal = principalOf(auth, headers['x-amz-security-token'], scope);
  const covered = new Set(auth.signedHeaders);
  // Left unsigned, a header could be replaced on its way.
  const needed = Object.keys(headers).filter((name) =>
    /^(?:host$|x-amz-(?!user-agent))/u.test(name),
  );
  if (needed.some((name) => !covered.has(name))) throw invalidSignature(MISMATCH);
  // The signer takes the hash in this header for the body's.
  const bodySha256 = createHash('sha256').update(request.body).digest('hex');
  if ((headers['x-amz-content-sha256'] ?? bodySha256) !== bodySha256) {
    throw invalidSignature(MISMATCH);
  }
  const signed = Object.fromEntries(
    auth.signedHeaders.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const signer = new SignatureV4({
    service: 'kms',
    region: scope.region,
    credentials: principal,
    sha256: Sha256,
    applyChecksum: covered.has('x-amz-content-sha256'),
  });
  const expected = await signer.sign(
    {
      method: request.method,
      protocol: 'https:',
      hostname: headers['host'] ?? '',
      path: request.path,
      query: {},
      headers: signed,
      body: request.body,
    },
    { signingDate, signableHeaders: covered },
  );
  const given = Buffer.from(headers['authorization'] ?? '');
  const wanted = Buffer.from(expected.headers['authorization'] ?? '');
  const normalised = Buffer.from(given.toString().replaceAll(/,\s*/gu, ', '));
  if (normalised.length !== wanted.length || !timingSafeEqual(normalised, wanted)) {
    throw invalidSignature(MISMATCH);
  }
  return principal;
}
