// Waits for the moment of a point: watches frames, files or the clock, and calls back once, in the very
// turn in which it is there when no delay was drawn. Frames are counted from the HELLO of the epoch.

import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { FRAME } from '../../wire/messages.ts';
import type { PassingFrame, Tap } from '../e2e/tap.ts';
import type { Point } from './plan.ts';

export interface Folders {
  readonly tmp: string;
  readonly state: string;
}

export interface Armed {
  /** Resolves when the kill was called. */
  readonly fired: Promise<null>;
  disarm(): void;
}

export function arm(point: Point, tap: Tap, folders: Folders, kill: () => void): Armed {
  const { trigger, count, delayMs, moment, trading } = point;
  const { promise, resolve } = Promise.withResolvers<null>();
  const watchers: FSWatcher[] = [];
  const timers: NodeJS.Timeout[] = [];
  let left = count;
  let done = false;
  const act = (): void => {
    kill();
    resolve(null);
  };
  const fire = (): void => {
    if (done) return;
    done = true;
    if (delayMs === 0) act();
    else timers.push(setTimeout(act, delayMs));
  };
  // Of a close, only what comes after the request counts.
  const beginsAt = moment === 'close' ? FRAME.close : FRAME.release;
  let counting = moment !== 'close' && !trading;
  const countDown = (): void => {
    if (!counting) return;
    left--;
    if (left <= 0) fire();
  };
  let ready = false;
  tap.onFrame = (frame) => {
    if (frame.type === FRAME.hello && moment !== 'close') left = count;
    if (frame.type === beginsAt) counting = true;
    if (trigger.on === 'frame' && matches(point, frame)) countDown();
    const waitsForReady = trigger.on === 'time' && trigger.after === 'ready' && !ready;
    if (frame.type === FRAME.ready && waitsForReady) {
      ready = true;
      timers.push(setTimeout(fire, count));
    }
  };
  if (trigger.on === 'time' && trigger.after === 'start') timers.push(setTimeout(fire, count));
  if (trigger.on === 'file') {
    for (const folder of trigger.folders) {
      watchers.push(watch(folders[folder], { recursive: folder === 'state' }, countDown));
    }
  }
  return {
    fired: promise,
    disarm: () => {
      done = true;
      tap.onFrame = () => undefined;
      for (const watcher of watchers) watcher.close();
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

function matches({ trigger }: Point, { port, type }: PassingFrame): boolean {
  if (trigger.on !== 'frame' || !trigger.ports.includes(port) || type === FRAME.credit)
    return false;
  return trigger.types === null || trigger.types.includes(type);
}
