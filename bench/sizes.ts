// How much of everything `npm run bench` measures. Only the full sizes give figures that count.

import type { Tape } from './events.ts';
import type { ProxyOptions } from './proxy/measure.ts';
import type { TrackOptions } from './track/measure.ts';

export interface Sizes {
  readonly tape: Tape;
  readonly turns: number;
  /** Of the log alone. */
  readonly entries: number;
  readonly proxy: ProxyOptions;
  readonly track: TrackOptions;
  readonly grpcCalls: number;
}

const MIB = 2 ** 20;

export function fullSizes(repeat: number, turns: number): Sizes {
  return {
    tape: { take: null, repeat },
    turns,
    entries: 50_000,
    proxy: {
      turns,
      rounds: 5,
      bytes: 256 * MIB,
      connections: 500,
      messagesEach: 100,
      concurrent: 1000,
    },
    track: { hours: 8760, fills: 100_000, turns },
    grpcCalls: 5000,
  };
}

/** One turn of the capture: what a change did, roughly. */
export const QUICK: Sizes = {
  tape: { take: null, repeat: 1 },
  turns: 1,
  entries: 10_000,
  proxy: {
    turns: 1,
    rounds: 1,
    bytes: 64 * MIB,
    connections: 200,
    messagesEach: 10,
    concurrent: 1000,
  },
  track: { hours: 168, fills: 2000, turns: 1 },
  grpcCalls: 200,
};

/** Just enough for every figure to be there: test/bench runs it, so that no change breaks a part unseen. */
export const SMALLEST: Sizes = {
  tape: { take: 4000, repeat: 1 },
  turns: 1,
  entries: 1000,
  proxy: {
    turns: 1,
    rounds: 1,
    bytes: 2 * MIB,
    connections: 20,
    messagesEach: 2,
    concurrent: 50,
  },
  track: { hours: 48, fills: 500, turns: 1 },
  grpcCalls: 20,
};
