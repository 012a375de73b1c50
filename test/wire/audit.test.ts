import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../wire/audit.ts';
import { AUDIT_EVENT, encodeAuditEntry, MAX_AUDIT_RECORDS } from '../../wire/audit.ts';
import { auditEventName, parseAuditEntry } from '../../wire/parse-audit.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { assertAccepted } from '../../wire/result.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const entry: fc.Arbitrary<AuditEntry> = fc.record({
  event: fc.constantFrom(...Object.values(AUDIT_EVENT)),
  sessionHash: fc.option(bytes(32)),
  accountCommitment: fc.option(bytes(32)),
  code: fc.option(fc.constantFrom('exchange_refused' as const, 'vault_record_malformed' as const)),
  counter: fc.option(fc.maxSafeNat()),
  records: fc.option(fc.array(bytes(24), { maxLength: 5 })),
});

const NOTHING: AuditEntry = {
  event: AUDIT_EVENT.opened,
  sessionHash: null,
  accountCommitment: null,
  code: null,
  counter: null,
  records: null,
};

describe('an audit entry', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(entry, (one) => {
        expect(assertAccepted(parseAuditEntry(encodeAuditEntry(one)))).toEqual(one);
      }),
    );
  });

  it('every event has a name', () => {
    for (const [name, event] of Object.entries(AUDIT_EVENT)) {
      expect(auditEventName(event)).toBe(name);
    }
  });

  it.each<readonly [string, number, CborValue]>([
    ['event 0', 1, 0],
    ['event 17', 1, 17],
    ['a short hash', 2, new Uint8Array(31)],
    ['a long commitment', 3, new Uint8Array(33)],
    ['an unknown code', 4, 'no_such_code'],
    ['a negative counter', 5, -1],
    ['a mark of 23 bytes', 6, [new Uint8Array(23)]],
    ['a mark of 25 bytes', 6, [new Uint8Array(25)]],
    ['1,025 marks', 6, Array.from({ length: MAX_AUDIT_RECORDS + 1 }, () => new Uint8Array(24))],
    ['a field too many', 7, 1],
  ])('with %s is refused', (_, field, value) => {
    const fields: [number, CborValue][] = [
      [1, 1],
      ...[2, 3, 4, 5, 6].map((one): [number, null] => [one, null]),
    ];
    const map = new Map<number, CborValue>(fields).set(field, value);
    expect(parseAuditEntry(encodeCbor(map)).ok).toBe(false);
  });

  it('has room for 1,024 marks', () => {
    const records = Array.from({ length: MAX_AUDIT_RECORDS }, () => new Uint8Array(24));
    expect(parseAuditEntry(encodeAuditEntry({ ...NOTHING, records })).ok).toBe(true);
  });
});
