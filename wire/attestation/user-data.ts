// The `user_data` of our attestation documents: one schema for all purposes, so that a document made
// for one purpose cannot serve another. docs/PROTOCOL.md section 8. At most 512 bytes, as AWS allows.
//
//   {1: version = 1, 2: purpose, 3: origin, 4: [size, root] | null, 5: leaf-0 hash | null,
//    6: X25519 key | null, 7: SHA-256 of the TLS key's SPKI | null, 8: Ed25519 key | null,
//    9: configuration digest | null}                                       hashes and keys: 32 bytes

import type { CborValue } from '../cbor.ts';
import { encodeCbor } from '../cbor.ts';
import type { Fields } from '../fields.ts';
import { parseFields } from '../fields.ts';
import { MAX_ORIGIN_CHARACTERS, MAX_USER_DATA_BYTES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

const VERSION = 1;
const HASH_BYTES = 32;

export const PURPOSE = { boot: 1, challenge: 2, anchor: 3, kms: 4 } as const;
export type PurposeName = keyof typeof PURPOSE;
export type Purpose = (typeof PURPOSE)[PurposeName];

export interface Head {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface UserData {
  readonly purpose: Purpose;
  readonly origin: string;
  /** Last acknowledged head. */
  readonly head: Head | null;
  readonly leafZeroHash: Uint8Array | null;
  readonly x25519Key: Uint8Array | null;
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo. */
  readonly tlsKeyHash: Uint8Array | null;
  readonly ed25519Key: Uint8Array | null;
  readonly configDigest: Uint8Array | null;
}

const PURPOSE_NAMES: Readonly<Record<Purpose, PurposeName>> = {
  1: 'boot',
  2: 'challenge',
  3: 'anchor',
  4: 'kms',
};

export function purposeName(purpose: Purpose): PurposeName {
  return PURPOSE_NAMES[purpose];
}

/** At most 512 bytes for an origin of at most 96 characters. */
export function encodeUserData(userData: UserData): Uint8Array {
  const { purpose, origin, head, ...rest } = userData;
  const { leafZeroHash, x25519Key, tlsKeyHash, ed25519Key, configDigest, ...none } = rest;
  none satisfies Record<string, never>;
  return encodeCbor(
    new Map<number, CborValue>([
      [1, VERSION],
      [2, purpose],
      [3, origin],
      [4, head === null ? null : [head.size, head.root]],
      [5, leafZeroHash],
      [6, x25519Key],
      [7, tlsKeyHash],
      [8, ed25519Key],
      [9, configDigest],
    ]),
  );
}

export function parseUserData(bytes: Uint8Array): Result<UserData> {
  const parsed = parseFields('user_data', bytes, MAX_USER_DATA_BYTES, (fields): UserData => {
    if (fields.uint(1) !== VERSION) fields.refuse(1);
    const number = fields.uint(2);
    const purpose = Object.values(PURPOSE).find((known) => known === number);
    const origin = fields.text(3, MAX_ORIGIN_CHARACTERS);
    // Shown on terminals and used as a key name: printable ASCII without spaces.
    if (!/^[!-~]+$/u.test(origin)) fields.refuse(3);
    return {
      purpose: purpose ?? fields.refuse(2),
      origin,
      head: readHead(fields),
      leafZeroHash: fields.bytesOrNull(5, HASH_BYTES),
      x25519Key: fields.bytesOrNull(6, HASH_BYTES),
      tlsKeyHash: fields.bytesOrNull(7, HASH_BYTES),
      ed25519Key: fields.bytesOrNull(8, HASH_BYTES),
      configDigest: fields.bytesOrNull(9, HASH_BYTES),
    };
  });
  if (parsed.ok) return accept(parsed.value);
  return refuse('user_data_malformed', { cause: parsed.refusal.code, ...parsed.refusal.detail });
}

function readHead(fields: Fields): Head | null {
  const value = fields.take(4);
  if (value === null) return null;
  if (!Array.isArray(value) || value.length !== 2) return fields.refuse(4);
  const [size, root] = value as readonly CborValue[];
  if (typeof size !== 'number' || size < 0) return fields.refuse(4);
  return root instanceof Uint8Array && root.length === HASH_BYTES
    ? { size, root }
    : fields.refuse(4);
}
