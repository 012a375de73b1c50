import { describe, expect, it } from 'vitest';
import { AUDIT_EVENT, encodeAuditEntry } from '../../../wire/audit.ts';
import { concatBytes, toHex, u64, utf8 } from '../../../wire/bytes.ts';
import { encodeExchangePoll, OUTCOME, TRIGGER } from '../../../wire/exchange-call.ts';
import { KIND } from '../../../wire/leaf.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { describePayload } from '../../../verifier/log/payload.ts';
import { testConfiguration } from '../../helpers/epoch-header.ts';

const HASH = new Uint8Array(32).fill(7);
const describeLeaf = (kind: 4 | 7 | 15, plaintext: Uint8Array): unknown =>
  assertAccepted(describePayload(kind, plaintext, testConfiguration()));

describe('what the desk says in a leaf', () => {
  it('is told for people', () => {
    const poll = encodeExchangePoll({
      accountCommitment: HASH,
      venue: 'kraken',
      environment: 'live',
      scheduledNs: 1_700_000_000_000_000_000n,
      startedNs: 1_700_000_000_000_000_000n,
      endedNs: 1_700_000_000_000_000_000n,
      outcome: OUTCOME.failed,
      refusal: 'rate_limited',
      trigger: TRIGGER.schedule,
      calls: [],
      coverage: [],
    });
    expect(describeLeaf(KIND.exchangeCall, poll)).toEqual({
      venue: 'kraken',
      environment: 'live',
      account: toHex(HASH),
      outcome: 'failed',
      trigger: 'schedule',
      scheduled: '2023-11-14T22:13:20.000000000Z',
      code: 'rate_limited',
      calls: 0,
    });
    const event = encodeAuditEntry({
      event: AUDIT_EVENT.sessionExpired,
      sessionHash: HASH,
      accountCommitment: null,
      code: null,
      counter: 3,
      records: null,
    });
    expect(describeLeaf(KIND.audit, event)).toEqual({
      event: 'session_expired',
      session: toHex(HASH),
      account: null,
      code: null,
      counter: 3,
      records: null,
    });
    const restored = encodeAuditEntry({
      event: AUDIT_EVENT.restored,
      sessionHash: null,
      accountCommitment: null,
      code: null,
      counter: 1,
      records: [concatBytes(HASH.subarray(0, 16), u64(258))],
    });
    // Which record, and which write of it: one that the host rolled back has a lower number than before.
    expect(describeLeaf(KIND.audit, restored)).toMatchObject({
      event: 'restored',
      records: [{ id: '07'.repeat(16), number: 258 }],
    });
  });

  it('is shown as bytes when the desk does not keep to its layouts: the core does not look', () => {
    const bytes = utf8('x');
    for (const kind of [KIND.exchangeCall, KIND.result, KIND.audit]) {
      expect(describeLeaf(kind, bytes)).toEqual({ bytes: 1, hex: '78' });
    }
  });
});
