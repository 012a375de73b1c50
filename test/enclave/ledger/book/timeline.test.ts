// What a timeline lets go of: everything before the hour that is said, whatever hours it is in and in whatever order they came.

import { describe, expect, it } from 'vitest';
import type { BookEvent } from '../../../../enclave/ledger/book/event.ts';
import { eventOf } from '../../../../enclave/ledger/book/event.ts';
import { observedOf } from '../../../../enclave/ledger/book/observed.ts';
import { MAX_SEEN_HOURS, Timeline } from '../../../../enclave/ledger/book/timeline.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import { balance, observation, spot, T0 } from './helpers.ts';

function eventAt(hour: number): BookEvent {
  const timeMs = T0 + hour * HOUR_MS + 1000;
  const fill = spot({ id: `f${String(hour)}`, side: 'buy', price: '1', amount: '1', timeMs });
  const event = eventOf(fill, false);
  if (event === null) throw new Error('a fill that fits');
  return event;
}

function hasNothing(timeline: Timeline, hour: number): boolean {
  const hourMs = T0 + hour * HOUR_MS;
  return timeline.events(hourMs).length === 0 && timeline.observed(hourMs) === null;
}

/** Of these hours, an event and an observation of each. */
function timelineOf(hours: readonly number[]): Timeline {
  const timeline = new Timeline();
  for (const hour of hours) {
    timeline.put(eventAt(hour));
    const told = observation(T0 + hour * HOUR_MS + 2000, [balance('USDT', '1')]);
    const observed = observedOf(told, false);
    if (observed !== null) timeline.observe(observed);
  }
  return timeline;
}

describe('a timeline that is settled', () => {
  it.each([
    ['hour by hour', [0, 1, 2], [1, 2]],
    ['two at once', [0, 1, 2], [2]],
    ['with hours that came in another order', [1, 0, 2], [2]],
    ['with hours that have nothing in between', [0, 7, 8], [1, 2, 8]],
  ])('keeps nothing before the floor but ids: %s', (_, hours, floors) => {
    const timeline = timelineOf(hours);
    for (const floor of floors) {
      timeline.settle(T0 + floor * HOUR_MS);
      for (const hour of hours) expect(hasNothing(timeline, hour)).toBe(hour < floor);
    }
    for (const hour of hours) {
      expect(timeline.hourOfKey(eventAt(hour).key)).toBe(T0 + hour * HOUR_MS);
    }
    const last = floors.at(-1) ?? 0;
    const settled = hours.filter((hour) => hour < last).map((hour) => T0 + hour * HOUR_MS);
    expect(timeline.settledKeys.map(([hourMs]) => hourMs)).toEqual(
      settled.toSorted((a, b) => a - b),
    );
  });

  it('has what came after all in the hour in which it came', () => {
    const timeline = new Timeline();
    const [early, came] = [eventAt(0), { ...eventAt(3), key: eventAt(0).key }];
    for (const event of [early, came]) timeline.put(event);
    timeline.settle(T0 + 2 * HOUR_MS, T0);
    expect([timeline.find(early.key), timeline.events(T0)]).toEqual([came, [early]]);
  });

  it('lets go of an hour that came behind its floor, too', () => {
    const timeline = timelineOf([5]);
    timeline.settle(T0 + 6 * HOUR_MS);
    timeline.put(eventAt(3));
    timeline.settle(T0 + 7 * HOUR_MS);
    expect(hasNothing(timeline, 3)).toBe(true);
  });

  it('waits for what comes into a settled hour, as long as keys of then are known', () => {
    const timeline = timelineOf([MAX_SEEN_HOURS + 2]);
    timeline.settle(T0 + (MAX_SEEN_HOURS + 2) * HOUR_MS);
    const [tooOld, known, later] = [eventAt(1), eventAt(2), eventAt(9)];
    expect([later, tooOld, known].map((event) => timeline.expect(event))).toEqual([
      true,
      false,
      true,
    ]);
    const isWaitedFor = [tooOld, known, later].map(({ key }) => timeline.isPending(key));
    expect(isWaitedFor).toEqual([false, true, true]);
    expect(timeline.settledKeys.map(([hourMs]) => (hourMs - T0) / HOUR_MS)).toEqual([2, 9]);
    expect(timeline.pendingFromMs).toBe(T0 + 2 * HOUR_MS);
  });
});
