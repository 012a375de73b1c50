import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describePoint, ShipKillRun } from '../ship-kills/run.ts';
import { cleanUpAfterEach, seededNumbers, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

/** `npm run test:ship-kills` has a hundred. */
const POINTS = 6;

describe('kill -9 of a host while it ships', () => {
  it(`leaves a bucket that is whole and has one version of everything after ${POINTS} kills`, async () => {
    const draw = seededNumbers('ship-kills');
    const run = await ShipKillRun.open(join(temporaryFolder(), 'a'), draw, (point) => {
      console.log(describePoint(point));
    });
    const { kills, findings } = await run.run(POINTS);
    expect(findings).toEqual([]);
    expect(kills).toBe(POINTS);
  });
});
