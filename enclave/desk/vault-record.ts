// A vault record: what must outlive an epoch, encrypted under a data key that KMS gives to this image alone, and kept by the
// host (docs/PROTOCOL.md 12h). The host can bring back an older one, or none: the number shows which, in the audit
// trail. It cannot read one, change one, or pass one off as another's.
//
//   {1: layout = 1, 2: record id (16), 3: kind, 4: version of the data key, 5: number, 6: nonce (12) ‖ ciphertext ‖ tag}
//   key = HKDF-SHA256(data key, SHA-256(log id), "trackseal/vault/v1" ‖ kind, 32);  associated data: CBOR of 1 to 5 ‖ log id

import { concatBytes, u64, utf8 } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { parseFields } from '../../wire/fields.ts';
import { MAX_VAULT_RECORD_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

export const RECORD_KIND = { session: 1, state: 2 } as const;
export type RecordKind = (typeof RECORD_KIND)[keyof typeof RECORD_KIND];

const LAYOUT = 1;
const RECORD_ID_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Heads of the map, its fields 1 to 5, nonce and tag. */
const OVERHEAD_BYTES = 128;
export const MAX_VAULT_PLAINTEXT_BYTES: number = MAX_VAULT_RECORD_BYTES - OVERHEAD_BYTES;

export interface RecordHead {
  readonly id: Uint8Array;
  readonly kind: RecordKind;
  readonly keyVersion: number;
  /** Of all records of the log, across epochs: a later write has a higher one. */
  readonly number: number;
}

function headFields({ id, kind, keyVersion, number }: RecordHead): [number, CborValue][] {
  return [
    [1, LAYOUT],
    [2, id],
    [3, kind],
    [4, keyVersion],
    [5, number],
  ];
}

function associated(head: RecordHead, logId: string): Uint8Array {
  return concatBytes(encodeCbor(new Map(headFields(head))), utf8(logId));
}

/** One key for each kind of a log. */
export function vaultKey(
  crypto: Pick<WireCrypto, 'sha256' | 'hkdfSha256'>,
  dataKey: Uint8Array,
  logId: string,
  kind: RecordKind,
): Uint8Array {
  const info = concatBytes(utf8('trackseal/vault/v1'), Uint8Array.of(kind));
  return crypto.hkdfSha256(dataKey, crypto.sha256(utf8(logId)), info, 32);
}

/** `nonce` is 12 random bytes; `key` is of `vaultKey` for the version and the kind of the head. */
export function sealRecord(
  crypto: WireCrypto,
  key: Uint8Array,
  head: RecordHead,
  logId: string,
  nonce: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const sealed = crypto.aes256GcmSeal(key, nonce, plaintext, associated(head, logId));
  return encodeCbor(new Map([...headFields(head), [6, concatBytes(nonce, sealed)]]));
}

/** What the audit trail names a record by: id (16) ‖ number (u64). */
export function recordMark({ id, number }: Pick<RecordHead, 'id' | 'number'>): Uint8Array {
  return concatBytes(id, u64(number));
}

export interface OpenedRecord extends RecordHead {
  readonly plaintext: Uint8Array;
}

/** `keyOf` answers null for a version that there is no data key of. Refuses `vault_record_malformed`. */
export function openRecord(
  crypto: WireCrypto,
  keyOf: (version: number, kind: RecordKind) => Uint8Array | null,
  logId: string,
  bytes: Uint8Array,
): Result<OpenedRecord> {
  const parsed = parseFields('vault_record', bytes, MAX_VAULT_RECORD_BYTES, (fields) => {
    fields.uint(1, LAYOUT, LAYOUT);
    const id = fields.bytes(2, RECORD_ID_BYTES);
    const kind = fields.uint(3, RECORD_KIND.state, RECORD_KIND.session) as RecordKind;
    const keyVersion = fields.uint(4);
    const number = fields.uint(5, Number.MAX_SAFE_INTEGER, 1);
    const sealed = fields.bytes(6, NONCE_BYTES + TAG_BYTES, MAX_VAULT_RECORD_BYTES);
    return { head: { id, kind, keyVersion, number }, sealed };
  });
  if (!parsed.ok) return refuse('vault_record_malformed', { cause: parsed.refusal.code });
  const { head, sealed } = parsed.value;
  const key = keyOf(head.keyVersion, head.kind);
  if (key === null) return refuse('vault_record_malformed', { key_version: head.keyVersion });
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const body = sealed.subarray(NONCE_BYTES);
  const plaintext = crypto.aes256GcmOpen(key, nonce, body, associated(head, logId));
  return plaintext === null
    ? refuse('vault_record_malformed', { what: 'does not open' })
    : accept({ ...head, plaintext });
}
