// The audit trail of the desk: plaintext of an audit leaf (docs/PROTOCOL.md 12f). It says that a session began or
// ended, that credentials were used, and which vault records were written or came back, so that a record that
// the host rolled back shows. It names sessions and accounts by hashes and holds no secret.
//
//   {1: event, 2: session hash | null, 3: account commitment | null, 4: refusal code | null, 5: counter | null,
//    6: [record id (16) ‖ number of the record (u64)] | null}

import { encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';

export const AUDIT_EVENT = {
  opened: 1,
  sessionCreated: 2,
  sessionRefused: 3,
  sessionRenewed: 4,
  sessionRevoked: 5,
  sessionExpired: 6,
  restored: 7,
  credentialsUsed: 8,
  vaultWritten: 9,
  certificateInstalled: 10,
  permissionsRefused: 11,
  connectorRecycled: 12,
  administrative: 13,
  ledger: 14,
  clientConnected: 15,
  clientRefused: 16,
} as const;
export type AuditEventName = keyof typeof AUDIT_EVENT;
export type AuditEvent = (typeof AUDIT_EVENT)[AuditEventName];

/** 1,024 of 24 bytes fit into a leaf. */
export const MAX_AUDIT_RECORDS = 1024;
export const MAX_AUDIT_BYTES: number = 32 * 1024;

export interface AuditEntry {
  readonly event: AuditEvent;
  /** SHA-256 of the session id; of the client's certificate, DER, for `clientConnected`. */
  readonly sessionHash: Uint8Array | null;
  readonly accountCommitment: Uint8Array | null;
  readonly code: RefusalCode | null;
  /** What it counts depends on the event: uses, records, sessions, the new end in seconds. */
  readonly counter: number | null;
  /** `vaultRecordMark` of each record that was written, forgotten or restored. */
  readonly records: readonly Uint8Array[] | null;
}

export function encodeAuditEntry(entry: AuditEntry): Uint8Array {
  return encodeMap(
    [1, entry.event],
    [2, entry.sessionHash],
    [3, entry.accountCommitment],
    [4, entry.code],
    [5, entry.counter],
    [6, entry.records],
  );
}
