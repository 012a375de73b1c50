// Whatever happens to an account, what the book makes of it passes the verifier: identity, flows, returns, hours that meet, and
// the statement's bytes. A refusal here would refuse an honest record.

import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { MemoryStore } from '../../../enclave/ledger/store/memory-store.ts';
import { HOUR_MS } from '../../../wire/track/head.ts';
import { isJump } from '../../../wire/performance/hour-return.ts';
import { performanceOf } from '../../../wire/performance/performance.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { encodeHourStatement, parseHourStatement } from '../../../wire/track/hour.ts';
import type { HourStatement } from '../../../wire/track/hour.ts';
import { checkHour } from '../../../verifier/track/recompute.ts';
import { unrealisedJump, wrongUnrealised } from '../../../verifier/track/unrealised.ts';
import { observation, T0, tell } from '../../enclave/ledger/book/helpers.ts';
import {
  actions,
  END_MS,
  play,
  PRICES,
  STORY_HOURS,
  Venue,
} from '../../enclave/ledger/book/story.ts';
import { hourStatement, RECORD_ACCOUNT } from '../../helpers/track-record.ts';
import { parsedOf, playAll, signedOf } from '../../helpers/track-story.ts';

it('every hour of any story verifies, before and behind its signature', () => {
  fc.assert(
    fc.property(actions, fc.boolean(), (list, isHidden) => {
      const { records, venue } = play(list);
      // Now and then the last record is not told: a residual.
      const told = isHidden ? records.slice(0, -1) : records;
      const last = observation(END_MS - 1, venue.balances(), venue.positions());
      const { figures } = tell({
        opening: observation(T0, new Venue().balances()),
        records: told,
        observations: [last],
        prices: PRICES,
        hours: STORY_HOURS,
      });
      for (const [at, hour] of figures.entries()) {
        const statement = {
          origin: 'example.com/log/e0000000001',
          ...RECORD_ACCOUNT,
          counter: at + 1,
          previous: at === 0 ? null : new Uint8Array(32),
          ...hourStatement(hour),
        } as HourStatement;
        expect(checkHour(statement)).toEqual({ ok: true, value: null });
        const read = assertAccepted(parseHourStatement(encodeHourStatement(statement)));
        expect(checkHour(read)).toEqual({ ok: true, value: null });
        expect(isJump(figures[at - 1], hour)).toBe(false);
        expect(unrealisedJump(figures[at - 1], hour)).toBe(null);
      }
      const { linked, coverage } = performanceOf(figures);
      expect(linked.periods + linked.gaps.length > 0 || coverage.hours === 0).toBe(true);
    }),
    { numRuns: 100 },
  );
});

it('what is not realised goes on through a story with an outage, late records and corrections', async () => {
  const signed = await signedOf(await playAll(new MemoryStore()));
  const stated = new Map<number, HourStatement & { readonly leafIndex: number }>();
  for (const [at, statement] of parsedOf(signed).entries()) {
    if (statement.kind !== 'hour') continue;
    const { startMs } = statement.figures;
    const leafIndex = signed[at]?.leafIndex ?? 0;
    const before = stated.get(startMs - HOUR_MS);
    const wrong = before?.leafIndex === leafIndex ? wrongUnrealised(before, statement) : null;
    expect(wrong).toBe(null);
    expect(checkHour(statement)).toEqual({ ok: true, value: null });
    stated.set(startMs, { ...statement, leafIndex });
  }
  const hours = [...stated.values()].toSorted((a, b) => a.figures.startMs - b.figures.startMs);
  expect(hours.length).toBeGreaterThan(27);
  const jumps = hours.filter(({ figures }, at) => unrealisedJump(hours[at - 1]?.figures, figures));
  expect(jumps.map(({ counter }) => counter)).toEqual([]);
});
