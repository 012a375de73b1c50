// A strategy of which one byte is another: another commitment, another image, and the image that is there does not
// take it.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import { ROOT } from '../../scripts/bundle.ts';
import { TestHost } from '../e2e/appliance.ts';
import { cleanUp, lastingFolder, trackseal } from '../e2e/processes.ts';
import {
  consoleOf,
  IMAGE,
  MEASUREMENTS,
  newVmAppliance,
  newVmPlace,
  SKIPPED,
  vmHost,
} from './place.ts';

/** Of how many quotes the example's depth is an average. */
const ORIGINAL = 'const DEPTH_QUOTES = 512;';
const CHANGED = 'const DEPTH_QUOTES = 513;';

interface Measurements {
  readonly Measurements: Readonly<Record<'PCR0' | 'PCR1' | 'PCR2', string>>;
}

function measurementsOf(path: string): Measurements['Measurements'] {
  return (JSON.parse(readFileSync(path, 'utf8')) as Measurements).Measurements;
}

describe.skipIf(SKIPPED)('a strategy with one other byte', () => {
  let folder = '';
  let sources = '';
  let changed: Appliance;

  beforeAll(async () => {
    folder = lastingFolder();
    mkdirSync(join(ROOT, 'build'), { recursive: true });
    // Inside of the project, whose packages the strategy uses.
    sources = mkdtempSync(join(ROOT, 'build/strategy-'));
    const text = readFileSync(join(ROOT, 'strategies/order-flow.ts'), 'utf8');
    if (!text.includes(ORIGINAL)) throw new Error('the example has changed');
    const moved = text.replace(ORIGINAL, CHANGED).replaceAll("'../enclave/", "'../../enclave/");
    writeFileSync(join(sources, 'order-flow.ts'), moved);
    const strategy = join(sources, 'order-flow.ts');
    changed = await newVmAppliance(join(folder, 'a'), { strategy });
  });
  afterAll(async () => {
    await cleanUp();
    for (const path of [folder, sources]) rmSync(path, { recursive: true, force: true });
  });

  it('has another commitment, though its salt is the same', async () => {
    const unchanged = await newVmAppliance(join(folder, 'b'));
    expect(unchanged.strategies[0]?.commitment).toMatch(/^[0-9a-f]{64}$/u);
    expect(changed.strategies[0]?.commitment).not.toBe(unchanged.strategies[0]?.commitment);
    const [bytes, others] = [changed, unchanged].map(({ pack }) =>
      readFileSync(join(pack, 'bundle.js')),
    );
    const different = [...(bytes ?? [])].filter((byte, at) => byte !== others?.[at]);
    expect([bytes?.length, different.length]).toEqual([others?.length, 1]);
  });

  it('makes another image: PCR0 and PCR2 change, PCR1 does not', async () => {
    const out = join(folder, 'changed.eif');
    const commitment = join(changed.pack, 'commitment.json');
    const env = { HOME: process.env['HOME'] ?? '' };
    const built = await trackseal(['image', 'build', '--commitment', commitment, '--out', out], {
      env,
    });
    expect(built.code, built.stderr).toBe(0);
    const [before, after] = [
      measurementsOf(MEASUREMENTS),
      measurementsOf(join(folder, 'measurements.json')),
    ];
    expect(after.PCR0).not.toBe(before.PCR0);
    expect(after.PCR1).toBe(before.PCR1);
    expect(after.PCR2).not.toBe(before.PCR2);
  });

  it('is refused by the image that measures the other', async () => {
    const place = newVmPlace(folder);
    const host = TestHost.start(changed, place, { speed: null, ...vmHost(place, 'hvsock', IMAGE) });
    const { end } = await host.finish();
    expect(end.code).not.toBe(0);
    const said = [...host.events('enclave_failed'), ...host.events('enclave_refused')];
    expect(JSON.stringify(said), consoleOf(place)).toContain('commitment_not_measured');
    expect(consoleOf(place)).toContain('commitment_not_measured');
  });
});
