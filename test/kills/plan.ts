// Where to kill: points drawn from a seed. A moment names what is going on; its trigger waits for a frame
// that passes the tap, a file that changes, or a time, so that short windows are hit as often as long ones.

import { FRAME, PORT } from '../../wire/messages.ts';

export type Target = 'host' | 'enclave' | 'both' | 'strategy';

/** Draws an integer from `low` to `high`. */
export type Draw = (low: number, high: number) => number;

export type Trigger =
  /** The n-th frame of these types on these ports, from 1, since the epoch began to boot. */
  | {
      readonly on: 'frame';
      readonly ports: readonly number[];
      readonly types: readonly number[] | null;
    }
  /** The n-th change in a folder of the host. */
  | { readonly on: 'file'; readonly folders: readonly ('tmp' | 'state')[] }
  /** Milliseconds after the start of the host, or after READY. */
  | { readonly on: 'time'; readonly after: 'start' | 'ready' };

interface MomentPlan {
  readonly weight: number;
  readonly trigger: Trigger;
  /** Which occurrence, or how many milliseconds. */
  readonly count: readonly [number, number];
  /** From the trigger to the kill. */
  readonly delayMs: readonly [number, number];
  readonly targets: readonly Target[];
  /** Half of the points of this moment count from the first released signal only. */
  readonly whileTrading?: boolean;
}

const ALL: readonly Target[] = ['host', 'enclave', 'both'];
const HOST: readonly Target[] = ['host', 'host', 'both'];
const BOOT_PORTS = [PORT.boot, PORT.log];

function frame(port: number, ...types: readonly number[]): Trigger {
  return { on: 'frame', ports: [port], types };
}

export type Moment =
  | 'start'
  | 'boot'
  | 'first_batch'
  | 'load'
  | 'commit'
  | 'acknowledged'
  | 'released'
  | 'progress'
  | 'reported'
  | 'publishing'
  | 'close'
  | 'recovery'
  | 'strategy';

const PLANS: Readonly<Record<Moment, MomentPlan>> = {
  start: {
    weight: 2,
    trigger: { on: 'time', after: 'start' },
    count: [0, 700],
    delayMs: [0, 0],
    targets: HOST,
  },
  boot: {
    weight: 4,
    trigger: { on: 'frame', ports: BOOT_PORTS, types: null },
    count: [1, 12],
    delayMs: [0, 2],
    targets: ALL,
  },
  first_batch: {
    weight: 2,
    trigger: frame(PORT.feed, FRAME.batch),
    count: [1, 3],
    delayMs: [0, 4],
    targets: ALL,
  },
  load: {
    weight: 4,
    trigger: { on: 'time', after: 'ready' },
    count: [0, 1500],
    delayMs: [0, 0],
    targets: ALL,
  },
  commit: {
    weight: 5,
    trigger: frame(PORT.log, FRAME.commit),
    count: [3, 150],
    delayMs: [0, 3],
    targets: HOST,
    whileTrading: true,
  },
  acknowledged: {
    weight: 4,
    trigger: frame(PORT.log, FRAME.ack),
    count: [3, 60],
    delayMs: [0, 2],
    targets: ALL,
    whileTrading: true,
  },
  released: {
    weight: 5,
    trigger: frame(PORT.feed, FRAME.release),
    count: [1, 25],
    delayMs: [0, 4],
    targets: HOST,
  },
  progress: {
    weight: 3,
    trigger: frame(PORT.feed, FRAME.progress),
    count: [1, 200],
    delayMs: [0, 4],
    targets: HOST,
    whileTrading: true,
  },
  reported: {
    weight: 4,
    trigger: frame(PORT.feed, FRAME.report),
    count: [1, 40],
    delayMs: [0, 3],
    targets: ALL,
  },
  publishing: {
    weight: 3,
    trigger: { on: 'file', folders: ['tmp'] },
    count: [1, 40],
    delayMs: [0, 2],
    targets: HOST,
    whileTrading: true,
  },
  close: {
    weight: 4,
    trigger: { on: 'frame', ports: BOOT_PORTS, types: null },
    count: [1, 8],
    delayMs: [0, 40],
    targets: ALL,
  },
  recovery: {
    weight: 3,
    trigger: { on: 'file', folders: ['tmp', 'state'] },
    count: [1, 20],
    delayMs: [0, 2],
    targets: ['host'],
  },
  strategy: {
    weight: 2,
    trigger: { on: 'time', after: 'ready' },
    count: [0, 800],
    delayMs: [0, 200],
    targets: ['strategy'],
  },
};

export const MOMENTS: readonly Moment[] = Object.keys(PLANS) as Moment[];

export interface Point {
  readonly moment: Moment;
  readonly target: Target;
  readonly trigger: Trigger;
  readonly count: number;
  readonly delayMs: number;
  /** Counted from the first released signal of the epoch. */
  readonly trading: boolean;
}

export function drawMoment(draw: Draw): Moment {
  const total = MOMENTS.reduce((sum, moment) => sum + PLANS[moment].weight, 0);
  let left = draw(1, total);
  for (const moment of MOMENTS) {
    left -= PLANS[moment].weight;
    if (left <= 0) return moment;
  }
  throw new Error('no moment');
}

export function drawPoint(moment: Moment, draw: Draw): Point {
  const plan = PLANS[moment];
  const target = plan.targets[draw(0, plan.targets.length - 1)];
  if (target === undefined) throw new Error('no target');
  return {
    moment,
    target,
    trigger: plan.trigger,
    count: draw(...plan.count),
    delayMs: draw(...plan.delayMs),
    trading: plan.whileTrading === true && draw(0, 1) === 1,
  };
}

export function describePoint({ moment, target, count, delayMs, trading }: Point): string {
  return `${target} at ${moment} ${count} + ${delayMs} ms${trading ? ' of trading' : ''}`;
}
