// The `user_data` of our attestation documents, read: by verifiers and clients. The layout, and the enclave's
// half, is in user-data.ts. Hostile bytes are refused with `user_data_malformed`.

import type { CborValue } from '../cbor.ts';
import type { Fields } from '../fields.ts';
import { parseFields } from '../fields.ts';
import { MAX_ORIGIN_CHARACTERS, MAX_USER_DATA_BYTES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { Head, Purpose, PurposeName, UserData } from './user-data.ts';
import { PURPOSE, VERSION } from './user-data.ts';

const HASH_BYTES = 32;

const PURPOSE_NAMES: Readonly<Record<Purpose, PurposeName>> = {
  1: 'boot',
  2: 'challenge',
  3: 'anchor',
  4: 'kms',
};

export function purposeName(purpose: Purpose): PurposeName {
  return PURPOSE_NAMES[purpose];
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
