// A time without prices of something that is held: what rests on them is not known, and no figure is made of older ones as
// if nothing were missing. As soon as prices are there again the account is worth what it is.

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EVENT_MAX_AGE_MS,
  VALUATION_MAX_AGE_MS,
} from '../../../../enclave/ledger/book/hour-prices.ts';
import { hourReturn } from '../../../../wire/performance/hour-return.ts';
import type { HourFigures } from '../../../../wire/track/figures.ts';
import { MINUTE_MS, observation, T0, tell } from './helpers.ts';
import type { Action } from './story.ts';
import { actions, play, PRICES, STORY_HOURS, Venue } from './story.ts';

/** Minutes from which to which there is no row of the pair. */
interface Missing {
  readonly symbol: string;
  readonly from: number;
  readonly to: number;
}

const missing = fc
  .record({
    symbol: fc.constantFrom('BTC/USDT', 'BNB/USDT', 'USDT/USD'),
    from: fc.integer({ min: 1, max: 230 }),
    length: fc.integer({ min: 0, max: 200 }),
  })
  .map(({ symbol, from, length }) => ({ symbol, from, to: from + length }));

function figuresOf(list: readonly Action[], gap: Missing | null): readonly HourFigures[] {
  const isThere = gap === null ? PRICES : PRICES.filter((row) => !isMissing(row, gap));
  const opening = observation(T0, new Venue().balances());
  const { records } = play(list);
  return tell({ opening, records, prices: isThere, hours: STORY_HOURS }).figures;
}

function isMissing({ symbol, atMs }: (typeof PRICES)[number], gap: Missing): boolean {
  const minute = (atMs - T0) / MINUTE_MS;
  return symbol === gap.symbol && minute >= gap.from && minute <= gap.to;
}

/** How old the newest row of the pair is then, in ms. */
function ageAt(atMs: number, { from, to }: Missing): number {
  const minute = Math.floor((atMs - T0) / MINUTE_MS);
  const newest = minute >= from && minute <= to ? from - 1 : minute;
  return atMs - T0 - newest * MINUTE_MS;
}

/** What is said of an hour although it cannot be known; empty if nothing is. */
function wrongIn(hour: HourFigures, before: HourFigures | null, gap: Missing): readonly string[] {
  const wrong: string[] = [];
  const endMs = hour.startMs + 60 * MINUTE_MS;
  const ageMs = ageAt(endMs, gap);
  const isKnown = ageMs <= EVENT_MAX_AGE_MS;
  if ((hour.equityEnd !== null) !== isKnown) wrong.push('end');
  if (!isKnown && !hour.gaps.includes('price_missing')) wrong.push('code');
  const isOld = ageMs > VALUATION_MAX_AGE_MS && isKnown;
  if (hour.gaps.includes('price_old') !== isOld && isKnown) wrong.push('age');
  if (before !== null && hour.equityStart !== before.equityEnd) wrong.push('start');
  const hasValues = hour.equityStart !== null && hour.equityEnd !== null;
  if (!hasValues && hourReturn(hour).ratio !== null) wrong.push('return');
  for (const { atMs, equityBefore } of hour.flows) {
    const isYoung = ageAt(atMs, gap) <= VALUATION_MAX_AGE_MS;
    if ((equityBefore !== null) !== isYoung) wrong.push('before a flow');
  }
  return wrong;
}

describe('a time without prices', () => {
  it('is a time without figures, and no longer', () => {
    fc.assert(
      fc.property(actions, missing, (list, gap) => {
        const [whole, lacking] = [figuresOf(list, null), figuresOf(list, gap)];
        for (const [at, hour] of lacking.entries()) {
          expect(wrongIn(hour, lacking[at - 1] ?? null, gap)).toEqual([]);
          const isExact = ageAt(hour.startMs + 60 * MINUTE_MS, gap) === 0;
          expect(isExact ? hour.equityEnd : null).toBe(isExact ? whole[at]?.equityEnd : null);
        }
      }),
      { numRuns: 150 },
    );
  });
});
