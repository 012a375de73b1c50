import { describe, expect, it } from 'vitest';
import type { StoredPollRecord } from '../../../../enclave/ledger/store/contract.ts';
import { CoverageLog } from '../../../../enclave/ledger/track/hour-coverage.ts';
import { OUTCOME } from '../../../../wire/exchange-call.ts';
import { HOUR, ORIGIN } from '../../../vectors/track.ts';

function pollAt(startedMs: number, leafIndex: number): StoredPollRecord {
  return {
    kind: 'poll',
    poll: { origin: ORIGIN, leafIndex, startedMs, outcome: OUTCOME.complete },
    endedMs: startedMs + 1,
    reasons: [],
    tooPrecise: [],
    toldFromMs: null,
    observed: null,
  };
}

describe('coverage of an hour', () => {
  it('counts a poll, or a time without one, once when it is told again after a crash', () => {
    const missed = { kind: 'missed', fromMs: HOUR + 5, toMs: HOUR + 9, reason: 'late' } as const;
    const before = new CoverageLog(ORIGIN);
    before.addPoll(pollAt(HOUR + 1, 4));
    before.addPoll(pollAt(HOUR + 2, 5));
    before.addMissed(missed);
    const after = new CoverageLog(ORIGIN, before.lastCompleteMs, before.hours());
    after.addPoll(pollAt(HOUR + 2, 5));
    after.addMissed(missed);
    expect(after.hours()).toEqual(before.hours());
    expect(after.coverage(HOUR).polls).toBe(2);
    after.addPoll(pollAt(HOUR + 2, 6));
    expect(after.coverage(HOUR).polls).toBe(3);
  });
});
