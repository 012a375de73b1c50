// Digests that a request carries: each is compared, one that cannot be compared is refused. Source: Amazon S3
// User Guide, "Checking object integrity".

import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { S3Refusal, invalidRequest, notImplemented } from './refusal.ts';

const PREFIX = 'x-amz-checksum-';
const NOT_DIGESTS: ReadonlySet<string> = new Set(['mode', 'type', 'algorithm']);

function crc32Base64(body: Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return bytes.toString('base64');
}

const ALGORITHMS: Readonly<Record<string, (body: Uint8Array) => string>> = {
  sha256: (body) => createHash('sha256').update(body).digest('base64'),
  sha1: (body) => createHash('sha1').update(body).digest('base64'),
  crc32: crc32Base64,
};

export interface Digests {
  readonly checksums: Readonly<Record<string, string>>;
  /** Whether Content-MD5 or a checksum came. */
  readonly present: boolean;
}

/** Throws S3Refusal: `BadDigest`, `InvalidDigest`, `InvalidRequest`. */
export function checkDigests(headers: Readonly<Record<string, string>>, body: Uint8Array): Digests {
  const md5 = headers['content-md5'];
  if (md5 !== undefined) checkMd5(md5, body);
  const told = Object.entries(headers)
    .filter(([name]) => name.startsWith(PREFIX) && !NOT_DIGESTS.has(name.slice(PREFIX.length)))
    .map(([name, value]) => [name.slice(PREFIX.length), value] as const);
  if (told.length > 1) {
    throw invalidRequest(
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const algorithm = headers['x-amz-sdk-checksum-algorithm']?.toLowerCase();
  if (algorithm !== undefined && told[0]?.[0] !== algorithm) {
    throw invalidRequest(
      told.length === 0
        ? 'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.'
        : 'Value for x-amz-sdk-checksum-algorithm header is invalid.',
    );
  }
  for (const [name, value] of told) {
    const compute = ALGORITHMS[name];
    if (compute === undefined) throw notImplemented(`checksums of kind ${name}`);
    const expected = compute(body);
    if (Buffer.from(value, 'base64').length !== Buffer.from(expected, 'base64').length) {
      throw invalidRequest(`Value for ${PREFIX}${name} header is invalid.`);
    }
    if (value !== expected) {
      const text = `The ${name.toUpperCase()} you specified did not match the calculated checksum.`;
      throw new S3Refusal(400, 'BadDigest', text);
    }
  }
  return { checksums: Object.fromEntries(told), present: md5 !== undefined || told.length > 0 };
}

function checkMd5(told: string, body: Uint8Array): void {
  if (Buffer.from(told, 'base64').length !== 16) {
    throw new S3Refusal(400, 'InvalidDigest', 'The Content-MD5 you specified was invalid.');
  }
  if (told === createHash('md5').update(body).digest('base64')) return;
  const text = 'The Content-MD5 you specified did not match what we received.';
  throw new S3Refusal(400, 'BadDigest', text);
}
