// Messages about secrets and the way out (docs/PROTOCOL.md 2, 10, 12c): credentials, data keys and the hand-over
// on the boot stream, and the two frames that open an egress stream. Credentials are bearer tokens that the
// host has anyway: the enclave uses them for AWS and for nothing that it believes.

import { encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import { parseFields } from './fields.ts';
import type { Result } from './result.ts';
import type { AwsCredentials, DataKeys, Dial } from './kms-frames.ts';

export * from './kms-frames.ts';

export function encodeCredentials(credentials: AwsCredentials): Uint8Array {
  return encodeMap(
    [1, credentials.accessKeyId],
    [2, credentials.secretAccessKey],
    [3, credentials.sessionToken],
    [4, credentials.expiresMs],
  );
}

export function encodeDataKeys(keys: DataKeys): Uint8Array {
  return encodeMap([1, keys.records], [2, keys.rotate]);
}

export const MAX_DIAL_BYTES = 512;

export function parseDial(bytes: Uint8Array): Result<Dial> {
  return parseFields('dial', bytes, MAX_DIAL_BYTES, (fields) => {
    const host = fields.text(1, 253);
    if (!/^[a-z0-9.-]+$/u.test(host)) fields.refuse(1);
    return { host, port: fields.uint(2, 65_535, 1) };
  });
}

/** Null: connected, and what follows are the bytes of the connection. */
export function encodeDialed(code: RefusalCode | null): Uint8Array {
  return encodeMap([1, code]);
}
