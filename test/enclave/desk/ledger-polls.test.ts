import { describe, expect, it } from 'vitest';
import type { PollEnd } from '../../../enclave/desk/ledger-polls.ts';
import { LedgerPolls } from '../../../enclave/desk/ledger-polls.ts';
import { LATE_MS } from '../../../enclave/ledger/frames.ts';
import { encodeLedgerRecords } from '../../../enclave/ledger/tell-ledger.ts';
import { boughtAt } from '../../helpers/records.ts';

const RECORDS = [boughtAt('a', 1_700_000_000_000, '1', '60000')];
const ACCOUNT = '0a'.repeat(16);
const PAGE = { kind: 'fill', records: RECORDS } as const;
const PAGE_BYTES = encodeLedgerRecords({ id: ACCOUNT, poll: 1, ...PAGE }).length;

const COVERAGE = [3, 5].map(
  (fromMs) =>
    ({ what: 'fills', market: 'all', fromMs, toMs: 8, complete: true, reason: null }) as const,
);

function endOf(outcome: PollEnd['outcome']): PollEnd {
  const times = { slotMs: 7, startedMs: 8, endedMs: 9 };
  const rest = { coverage: COVERAGE, hosts: [], sinceMs: null };
  return { leafIndex: 1, ...times, outcome, reason: null, ...rest };
}

/** A poll of so many pages, where `room` of them and an end may be kept. */
function pollOf(
  pages: number,
  room: number,
  outcome: PollEnd['outcome'] = 'complete',
): { readonly polls: LedgerPolls; readonly dropped: unknown[] } {
  const dropped: unknown[] = [];
  const polls = new LedgerPolls(
    room * PAGE_BYTES + 300,
    () => undefined,
    (id, fromMs) => dropped.push([id, fromMs]),
  );
  const draft = polls.draft(ACCOUNT);
  for (let page = 0; page < pages; page++) draft.page(PAGE);
  draft.end(endOf(outcome));
  return { polls, dropped };
}

describe('a poll on its way to the ledger', () => {
  it('is told whole when it fits', () => {
    const { polls, dropped } = pollOf(3, 3);
    expect(dropped).toEqual([]);
    expect(polls.next()).toHaveLength(4);
    expect(polls.next()).toBeNull();
  });

  it.each([6, 50])(
    'is dropped whole with %i pages where three fit, and asked for anew',
    (pages) => {
      const { polls, dropped } = pollOf(pages, 3);
      // From before where it told from, not from where on it was due: its cursors are gone.
      expect(dropped).toEqual([[ACCOUNT, 3 - LATE_MS]]);
      expect(polls.next()).toBeNull();
      expect(polls.counters['ledger_bytes_kept']).toBe(0);
    },
  );

  it('that failed is told without its records, however many they were', () => {
    const { polls, dropped } = pollOf(50, 3, 'failed');
    expect(dropped).toEqual([]);
    expect(polls.next()).toHaveLength(1);
  });
});
