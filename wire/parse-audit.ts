// The audit trail of the desk, read: by whoever may open its leaves. The layout, and the enclave's half, is in audit.ts.

import type { AuditEntry, AuditEvent, AuditEventName } from './audit.ts';
import { AUDIT_EVENT, MAX_AUDIT_BYTES, MAX_AUDIT_RECORDS } from './audit.ts';
import { isRefusalCode } from './codes.ts';
import { parseFields } from './fields.ts';
import type { Result } from './result.ts';

const HASH_BYTES = 32;

export const AUDIT_RECORD_BYTES = 24;

export function auditEventName(event: AuditEvent): AuditEventName {
  const names = Object.keys(AUDIT_EVENT) as readonly AuditEventName[];
  return names.find((name) => AUDIT_EVENT[name] === event) ?? 'administrative';
}

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseAuditEntry(bytes: Uint8Array): Result<AuditEntry> {
  return parseFields('audit', bytes, MAX_AUDIT_BYTES, (fields): AuditEntry => {
    const code = fields.textOrNull(4, 64);
    if (code !== null && !isRefusalCode(code)) return fields.refuse(4);
    return {
      event: fields.uint(1, AUDIT_EVENT.clientRefused, AUDIT_EVENT.opened) as AuditEvent,
      sessionHash: fields.bytesOrNull(2, HASH_BYTES),
      accountCommitment: fields.bytesOrNull(3, HASH_BYTES),
      code,
      counter: fields.uintOrNull(5),
      records:
        fields.take(6) === null
          ? null
          : fields.byteStrings(6, MAX_AUDIT_RECORDS, AUDIT_RECORD_BYTES),
    };
  });
}
