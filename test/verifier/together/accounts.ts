// Accounts for tests of several together: hours by what happens in them, each event a gain and then a flow.

import type { Fixed } from '../../../wire/fixed.ts';
import type { HourFigures, HourFlow } from '../../../wire/track/figures.ts';
import { hour, HOUR_MS, START_MS } from '../../wire/performance/hours.ts';

export interface Event {
  /** Of the hour. */
  readonly minute: number;
  /** Of the account, until then. */
  readonly gain?: Fixed;
  /** In (+) or out (−). */
  readonly flow?: Fixed;
  /** Names the transfer. */
  readonly reference?: number | null;
  readonly valued?: boolean;
}

/** Hours from `first` on, one for each list of events, which are in the order of time. */
export function accountOf(
  start: Fixed,
  events: readonly (readonly Event[])[],
  first = 0,
): readonly HourFigures[] {
  let equity = start;
  return events.map((inHour, at) => {
    const equityStart = equity;
    const startMs = START_MS + (first + at) * HOUR_MS;
    const flows: HourFlow[] = [];
    let [inflow, outflow, realised] = [0n, 0n, 0n];
    for (const { minute, gain = 0n, flow = 0n, reference = null, valued = true } of inHour) {
      equity += gain;
      realised += gain;
      if (flow === 0n) continue;
      flows.push({
        atMs: startMs + minute * 60_000,
        amount: flow,
        equityBefore: valued ? equity : null,
        reference: reference === null ? null : new Uint8Array(16).fill(reference),
      });
      equity += flow;
      if (flow > 0n) inflow += flow;
      else outflow -= flow;
    }
    const own = { equityStart, equityEnd: equity, flows, inflow, outflow };
    return hour(first + at, { ...own, realised, realisedAverage: realised });
  });
}
