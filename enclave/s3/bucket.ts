// The few requests that the enclave makes of its bucket: S3's REST API, signed here, path-style, over
// connections that somebody else opens and whose TLS ends in the enclave. S3 is trusted to keep its
// semantics; whoever carries the bytes can only delay or lose requests and answers. Sizes and times of
// answers are limited, redirects are not followed.

import { createHash, createHmac } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { parseUtf8, toBase64, toHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { ConfiguredS3 } from '../../wire/configuration.ts';
import type { AwsCredentials } from '../../wire/kms-frames.ts';
import { EgressError } from '../egress.ts';
import type { Credentials } from '../kms/credentials.ts';
import { CredentialsError } from '../kms/credentials.ts';

const NOTHING = new Uint8Array(0);

/** An answer that gives nothing, or none. */
export class S3Error extends Error {
  /** What would be refused again; null: the same request may succeed later. */
  readonly code: RefusalCode | null;

  constructor(code: RefusalCode | null) {
    super(code ?? 'transient');
    this.code = code;
  }
}

export interface BucketState {
  readonly versioned: boolean;
  readonly locked: boolean;
  /** Default retention; null when there is none. */
  readonly mode: string | null;
  readonly days: number;
}

/** All methods throw S3Error and nothing else. Keys are below the configured prefix. */
export interface Bucket {
  describe(): Promise<BucketState>;
  /** The current version; null when there is none. What is larger than any object of ours reads as empty. */
  read(key: string): Promise<Uint8Array | null>;
  /** In compliance mode. False: something is there already, perhaps these bytes. */
  create(key: string, bytes: Uint8Array, retainUntil: Date): Promise<boolean>;
  /** Whether the key has one version and no delete marker; asks for at most two. */
  isOnlyVersion(key: string): Promise<boolean>;
}

/** What is signed, and sent as it is. */
export interface HttpRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

export interface HttpHandler {
  handle(request: HttpRequest): Promise<{
    readonly response: {
      readonly statusCode: number;
      readonly headers: Readonly<Record<string, string | undefined>>;
      /** A stream of bytes. */
      readonly body?: unknown;
    };
  }>;
}

export interface S3Services {
  /** With a deadline, and a maximum for answers: enclave/egress-http.ts. */
  readonly http: HttpHandler;
  readonly credentials: Pick<Credentials, 'current' | 'reject'>;
  readonly now: () => Date;
}

interface Answer {
  readonly status: number;
  readonly checksum: string | null;
  readonly body: Uint8Array;
}

/** SHA-256 and HMAC for the signer. */
class Sha256 {
  #hash: Hash | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBufferView | ArrayBuffer) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', keyOf(secret));
  }

  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }

  reset(): void {
    this.#hash = createHash('sha256');
  }
}

function keyOf(secret: string | ArrayBufferView | ArrayBuffer): string | Uint8Array {
  if (typeof secret === 'string') return secret;
  if (!ArrayBuffer.isView(secret)) return new Uint8Array(secret);
  return new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength);
}

export class S3Bucket implements Bucket {
  readonly #settings: ConfiguredS3;
  readonly #services: S3Services;

  constructor(settings: ConfiguredS3, services: S3Services) {
    this.#settings = settings;
    this.#services = services;
  }

  async describe(): Promise<BucketState> {
    const versioning = textOf(expect(await this.#send('GET', '', { versioning: '' }), 200));
    const answer = await this.#send('GET', '', { 'object-lock': '' });
    const missing = errorOf(answer) === 'ObjectLockConfigurationNotFoundError';
    const lock = missing ? '' : textOf(expect(answer, 200));
    const days = Number(elementOf(lock, 'Days') ?? 0);
    return {
      versioned: elementOf(versioning, 'Status') === 'Enabled',
      locked: elementOf(lock, 'ObjectLockEnabled') === 'Enabled',
      mode: elementOf(lock, 'Mode'),
      days: days + 365 * Number(elementOf(lock, 'Years') ?? 0),
    };
  }

  async read(key: string): Promise<Uint8Array | null> {
    const answer = await this.#send('GET', key);
    if (answer.status === 404 && errorOf(answer) === 'NoSuchKey') return null;
    return expect(answer, 200).body;
  }

  async create(key: string, bytes: Uint8Array, retainUntil: Date): Promise<boolean> {
    const digest = createHash('sha256').update(bytes).digest();
    const checksum = toBase64(digest);
    const headers = {
      'if-none-match': '*',
      'x-amz-object-lock-mode': 'COMPLIANCE',
      'x-amz-object-lock-retain-until-date': retainUntil.toISOString(),
      'x-amz-sdk-checksum-algorithm': 'SHA256',
      'x-amz-checksum-sha256': checksum,
      'x-amz-content-sha256': toHex(digest),
    };
    const answer = await this.#send('PUT', key, {}, headers, bytes);
    if (answer.status === 412) return false;
    // Without it nobody has said that these bytes are there: the next try reads them back.
    if (expect(answer, 200).checksum !== checksum) throw new S3Error(null);
    return true;
  }

  async isOnlyVersion(key: string): Promise<boolean> {
    const prefix = `${this.#settings.prefix}/${key}`;
    const query = { versions: '', prefix, 'max-keys': '2' };
    const list = textOf(expect(await this.#send('GET', '', query), 200));
    const entries = list.match(/<(?:Version|DeleteMarker)>/gu) ?? [];
    return entries.length === 1 && entries[0] === '<Version>';
  }

  /** Key '' is the bucket itself. */
  async #send(
    method: string,
    key: string,
    query: Record<string, string> = {},
    headers: Readonly<Record<string, string>> = {},
    body: Uint8Array = NOTHING,
  ): Promise<Answer> {
    const { host, bucket, prefix, region, expected_bucket_owner: owner } = this.#settings;
    const { http, credentials, now } = this.#services;
    const used = await currentOf(credentials);
    const { accessKeyId, secretAccessKey, sessionToken } = used;
    const signer = new SignatureV4({
      service: 's3',
      region,
      credentials: {
        accessKeyId,
        secretAccessKey,
        ...(sessionToken === null ? {} : { sessionToken }),
      },
      sha256: Sha256,
      uriEscapePath: false,
    });
    const request: HttpRequest = {
      method,
      protocol: 'https:',
      hostname: host,
      path: key === '' ? `/${bucket}` : `/${bucket}/${prefix}/${key}`,
      query,
      headers: {
        host,
        'content-length': String(body.length),
        ...(owner === undefined ? {} : { 'x-amz-expected-bucket-owner': owner }),
        ...headers,
      },
      body,
    };
    const signed = await signer.sign(request, { signingDate: now() });
    const answer = await exchange(http, { ...request, headers: signed.headers });
    if (answer.status !== 200 && EXPIRED.has(errorOf(answer))) credentials.reject(used);
    return answer;
  }
}

async function currentOf(credentials: S3Services['credentials']): Promise<AwsCredentials> {
  try {
    return await credentials.current();
  } catch (error) {
    throw new S3Error(error instanceof CredentialsError ? error.code : null);
  }
}

/** The whole answer; what breaks on the way is nobody's word and passes. */
async function exchange(http: HttpHandler, request: HttpRequest): Promise<Answer> {
  try {
    const { response } = await http.handle(request);
    const checksum = response.headers['x-amz-checksum-sha256'] ?? null;
    return { status: response.statusCode, checksum, body: await readAll(response.body) };
  } catch (error) {
    const code = error instanceof EgressError ? error.code : 'egress_refused';
    if (code === 'frame_too_large') return { status: 200, checksum: null, body: NOTHING };
    throw new S3Error(code === 'egress_refused' ? null : code);
  }
}

async function readAll(body: unknown): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

function textOf({ body }: Answer): string {
  return parseUtf8(body) ?? '';
}

/** The text of the first element of this name: S3's answers to us are flat. */
function elementOf(xml: string, name: string): string | null {
  return new RegExp(`<${name}>([^<]*)</${name}>`, 'u').exec(xml)?.[1] ?? null;
}

function errorOf(answer: Answer): string {
  return elementOf(textOf(answer), 'Code') ?? '';
}

/** Newer credentials may help. */
const EXPIRED: ReadonlySet<string> = new Set(['ExpiredToken', 'TokenRefreshRequired']);
const REGION_ERRORS: ReadonlySet<string> = new Set([
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);

/** Throws an S3Error for any other status. */
function expect(answer: Answer, status: number): Answer {
  if (answer.status === status) return answer;
  const error = errorOf(answer);
  const elsewhere = answer.status >= 300 && answer.status < 400;
  if (elsewhere || REGION_ERRORS.has(error)) throw new S3Error('bucket_region');
  if (error === 'NoSuchBucket') throw new S3Error('bucket_missing');
  throw new S3Error(error === 'AccessDenied' ? 'bucket_denied' : null);
}
