// An account with two days behind it, and one flow that a venue tells of again and again, in other words and when it likes.

import { expect } from 'vitest';
import type { Flow } from '../../enclave/connector/records.ts';
import { DAY_MS, HOUR_MS } from '../../wire/track/head.ts';
import type { ChainStatement } from '../../wire/track/statement.ts';
import { KeptStore } from './kept-store.ts';
import { balanceOf, depositedAt } from './records.ts';
import type { Story } from './track-story.ts';
import { openRecord, openStory, parsedOf, playStep, signedOf, STORY_STEPS } from './track-story.ts';

export type Hour = Extract<ChainStatement, { kind: 'hour' }>;
/** What is said of the flow now. */
export type Told = Partial<Flow>;

/** What the venue has without the flow; it is of five. */
export const USD = 73_997;
export const PENDING: Told = { status: 'pending' };
export const OK: Told = { status: 'ok' };
export const FAILED: Told = { status: 'failed' };
export const CANCELED: Told = { status: 'canceled' };
export const NAMED: Told = { status: 'ok', networkId: 'one' };

export interface Scene {
  readonly story: Story;
  readonly atMs: number;
  readonly direction: Flow['direction'];
}

export async function opened(direction: Flow['direction'] = 'in'): Promise<Scene> {
  const story = openStory(new KeptStore());
  for (let step = 0; step < STORY_STEPS; step++) await playStep(story, step);
  return { story, atMs: story.desk.nowMs + HOUR_MS / 2, direction };
}

export async function poll(
  { desk, record }: Story,
  flows: readonly Flow[],
  usd: number,
): Promise<void> {
  desk.poll({ records: [...flows, balanceOf('USD', String(usd)), balanceOf('BTC', '0.6')] });
  record.look();
  await record.idle();
}

/** An hour after the last poll; `usd` is what the venue has then. */
export async function tell(scene: Scene, told: Told | null, usd: number = USD): Promise<void> {
  const { story, atMs, direction } = scene;
  story.desk.nowMs += HOUR_MS;
  const type = direction === 'in' ? 'deposit' : 'withdrawal';
  const flow: Flow = { ...depositedAt('f', atMs, '5'), type, direction, ...told };
  await poll(story, told === null ? [] : [flow], usd);
}

export async function wait(scene: Scene, days: number, usd: number = USD): Promise<void> {
  for (let day = 0; day < days; day++) {
    scene.story.desk.nowMs += DAY_MS - HOUR_MS;
    await tell(scene, null, usd);
  }
}

export async function restart({ story }: Scene): Promise<void> {
  story.record = openRecord(story.desk, story.record.store);
  await story.record.idle();
  expect(story.desk.fatal).toEqual([]);
}

/** As they are now, by their begin. */
export async function hoursOf({ story }: Scene): Promise<ReadonlyMap<number, Hour>> {
  const hours = new Map<number, Hour>();
  for (const one of parsedOf(await signedOf(story)))
    if (one.kind === 'hour') hours.set(one.figures.startMs, one);
  return hours;
}
