// A deposit that takes longer than the days that are read again, and a desk that had no room for a poll while it was on its way:
// it counts when it is there.

import { expect, it } from 'vitest';
import { FLOW_OVERLAP_MS } from '../../../../enclave/connector/adapter.ts';
import type { Coverage } from '../../../../enclave/connector/classes.ts';
import {
  encodeCursors,
  parseCursors,
  rewindCursors,
} from '../../../../enclave/connector/cursors.ts';
import type { ConnectorRecord } from '../../../../enclave/connector/records.ts';
import type { HistorySource } from '../../../../enclave/connector/source.ts';
import { walkHistory } from '../../../../enclave/connector/source.ts';
import { LATE_MS } from '../../../../enclave/ledger/protocol.ts';
import type { TakenPoll } from '../../../../enclave/ledger/services.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import { DAY_MS, HOUR_MS } from '../../../../wire/track/head.ts';
import { KeptStore } from '../../../helpers/kept-store.ts';
import { balanceOf, depositedAt } from '../../../helpers/records.ts';
import { TrackDesk } from '../../../helpers/track-desk.ts';
import { openRecord, parsedOf, signedOf } from '../../../helpers/track-story.ts';

const SENT_MS = Date.UTC(2026, 10, 1, 22);
const CAME_MS = SENT_MS + 9 * DAY_MS;
const DROPPED_MS = SENT_MS + 7 * DAY_MS;

/** One poll by the connector's own walk, from where the desk has it read. */
async function read({ state, nowMs }: TrackDesk): Promise<Pick<TakenPoll, 'records' | 'coverage'>> {
  const isThere = nowMs >= CAME_MS;
  const flow = { ...depositedAt('d', SENT_MS, '500'), status: isThere ? 'ok' : 'pending' } as const;
  const records: ConnectorRecord[] = [balanceOf('USD', isThere ? '1500' : '1000')];
  const span = { fromMs: nowMs, toMs: nowMs, complete: true, reason: null };
  const coverage: Coverage[] = [{ what: 'balances', market: 'all', ...span }];
  const cursors = rewindCursors(parseCursors(state.cursors), state.reads, state.fromMs);
  const page: HistorySource['page'] = ({ fromMs, toMs }) => {
    const isIn = nowMs >= SENT_MS && SENT_MS >= fromMs && SENT_MS <= toMs;
    return Promise.resolve({ records: isIn ? [flow] : [], malformed: 0, next: null });
  };
  const source = { type: 'history', what: 'deposits', market: 'all', key: 'deposits' } as const;
  await walkHistory(
    { ...source, windowMs: DAY_MS, historyMs: null, overlapMs: FLOW_OVERLAP_MS, page },
    {
      cursors,
      fromMs: state.fromMs,
      nowMs: () => nowMs,
      emit: (told) => {
        records.push(...told);
        return Promise.resolve();
      },
      cover: (row) => coverage.push(row),
    },
  );
  state.cursors = encodeCursors(cursors);
  return { records, coverage };
}

it.each([false, true])(
  'a deposit of nine days counts when it is there, a poll dropped on its way: %s',
  async (isDropped) => {
    const desk = new TrackDesk(SENT_MS - 4 * HOUR_MS + 600_000);
    const story = { desk, record: openRecord(desk, new KeptStore()) };
    for (; desk.nowMs < CAME_MS + DAY_MS; desk.nowMs += 2 * HOUR_MS) {
      const { sinceMs } = desk.state;
      const told = await read(desk);
      desk.goesOn(desk.state.cursors);
      const isLost = isDropped && Math.abs(desk.nowMs - DROPPED_MS) < HOUR_MS;
      // As the desk has it read again by itself (LedgerPolls).
      if (isLost) desk.state.resync({ fromMs: desk.nowMs - LATE_MS, isHeard: false });
      else desk.poll({ ...told, sinceMs });
      story.record.look();
      await story.record.idle();
    }
    const flows = parsedOf(await signedOf(story)).flatMap((one) => {
      if (one.kind !== 'hour') return [];
      const { inflow, residual } = one.figures;
      const moved = [inflow ?? 0n, residual ?? 0n].map(formatFixed);
      return moved.join() === '0,0' ? [] : [moved];
    });
    expect(flows).toEqual([['500', '0']]);
    expect(desk.fatal).toEqual([]);
  },
);
