import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describePoint } from '../kills/plan.ts';
import { KillRun } from '../kills/run.ts';
import { cleanUpAfterEach, seededNumbers, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

/** `npm run test:kills` has hundreds. */
const POINTS = 8;

describe('kill -9 at random points under load', () => {
  it(`loses nothing and does nothing twice in ${POINTS} kills`, async () => {
    const draw = seededNumbers('kills');
    const run = await KillRun.open(join(temporaryFolder(), 'a'), draw, (point) => {
      console.log(describePoint(point));
    });
    const { kills, findings } = await run.run(POINTS);
    expect(findings).toEqual([]);
    expect(kills.length).toBeGreaterThanOrEqual(POINTS);
  });
});
