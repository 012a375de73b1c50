import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testSeed } from '../helpers/seed.ts';
import { runSchedule } from './run.ts';
import { schedules } from './schedule.ts';
import { shorten } from './shorten.ts';

/** `npm run test:faults` has tens of thousands. */
const SCHEDULES = 160;
const AT_ONCE = 4;

describe('a disk that loses, tears, refuses and lies', () => {
  it(`breaks no promise in ${SCHEDULES} schedules`, async () => {
    const seed = testSeed();
    console.log(`faults: TRACKSEAL_SEED=${seed}`);
    const left = [...fc.sample(schedules, { seed, numRuns: SCHEDULES })];
    const ends = new Set<string>();
    const broken: unknown[] = [];
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const result = await runSchedule(next);
        for (const { how } of result.ends) ends.add(how);
        if (result.findings.length === 0) continue;
        left.length = 0;
        broken.push(await shorten(next, result.findings));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(broken).toEqual([]);
    // The schedules are worth something only as long as hosts meet their ends.
    expect([...ends]).toEqual(expect.arrayContaining(['closed', 'crashed', 'failed', 'unclean']));
  }, 300_000);
});
