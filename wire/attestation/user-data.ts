// The `user_data` of our attestation documents: one schema for all purposes, so that a document made
// for one purpose cannot serve another. docs/PROTOCOL.md section 8. At most 512 bytes, as AWS allows.
//
//   {1: version = 1, 2: purpose, 3: origin, 4: [size, root] | null, 5: leaf-0 hash | null,
//    6: X25519 key | null, 7: SHA-256 of the TLS key's SPKI | null, 8: Ed25519 key | null,
//    9: configuration digest | null}                                       hashes and keys: 32 bytes

import { encodeMap } from '../cbor.ts';

export const VERSION = 1;

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

/** At most 512 bytes for an origin of at most 96 characters. */
export function encodeUserData(userData: UserData): Uint8Array {
  const { purpose, origin, head, ...rest } = userData;
  const { leafZeroHash, x25519Key, tlsKeyHash, ed25519Key, configDigest, ...none } = rest;
  none satisfies Record<string, never>;
  return encodeMap(
    [1, VERSION],
    [2, purpose],
    [3, origin],
    [4, head === null ? null : [head.size, head.root]],
    [5, leafZeroHash],
    [6, x25519Key],
    [7, tlsKeyHash],
    [8, ed25519Key],
    [9, configDigest],
  );
}
