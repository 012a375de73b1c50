// What a report says of figures that were taken as signed, and where those are that have no room in its tables.

import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../verifier/commands/report.ts';
import type { RecordVerdict } from '../../../verifier/track/record-verdict.ts';
import { formatFixed } from '../../../wire/fixed.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { RecordBuilder } from '../../helpers/track-record.ts';
import { money } from '../../wire/performance/golden.ts';
import { hour } from '../../wire/performance/hours.ts';
import { LogFolder, runCommand } from '../log/log-folder.ts';

let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
});
afterAll(() => folder.remove());

interface Reported {
  readonly page: string;
  readonly verdict: RecordVerdict;
}

async function report(builder: RecordBuilder): Promise<Reported> {
  const [path, output] = ['json', 'html'].map((kind) => folder.path(`r-${Math.random()}.${kind}`));
  if (path === undefined || output === undefined) throw new Error('two');
  await writeFile(path, builder.file());
  const { exit, out } = await runCommand(run, path, ...folder.trust(), '--json', '-o', output);
  expect(exit).toBe(0);
  const html = await readFile(output, 'utf8');
  const page = html.replaceAll(/<[^>]*>/gu, ' ').replaceAll(/\s+/gu, ' ');
  return { page, verdict: JSON.parse(out) as RecordVerdict };
}

function sourceOf(at: number): string {
  return `https://venue.test/${at}`;
}

/** Of three hours, each in a leaf of its own. */
async function pageOf(last: HourFigures): Promise<string> {
  const builder = await RecordBuilder.create();
  for (const one of [hour(0), hour(1), last]) builder.addHours([one]);
  return (await report(builder)).page;
}

describe('a report', () => {
  it('names where what is not realised does not go on', async () => {
    expect(await pageOf(hour(2))).toContain('It goes on wherever it is known');
    // Stated apart, it may be of a book that was opened anew: that is no reason to refuse the record.
    expect(await pageOf(hour(2, { unrealisedEnd: money(900) }))).toContain(
      '1 hour with something else at the start than the hour before had at its end, the last at 2026-01-01 02:00 UTC: it begins anew there',
    );
  });

  it('has in its JSON what its tables leave out', async () => {
    const builder = await RecordBuilder.create();
    const all = Array.from({ length: 150 }, (_, at) =>
      hour(at, {
        realised: money(1),
        residual: money(-1),
        status: 'beyond',
        tolerance: money(`0.${1000 + at}`),
        fees: 0n,
        prices: [
          { source: sourceOf(at), rows: at + 1, oldestAgeMs: at },
          { source: sourceOf(0), rows: 1, oldestAgeMs: 7 },
        ].toSorted((a, b) => (a.source < b.source ? -1 : 1)),
      }),
    );
    builder.addHours(all);
    const { page, verdict } = await report(builder);
    expect(page.match(/and 50 more, in the JSON of this report/gu)).toHaveLength(2);
    const found = verdict.record;
    const beyond = found?.hourly.filter(({ status }) => status === 'beyond') ?? [];
    expect(beyond.map(({ residual, tolerance }) => [residual, tolerance])).toEqual(
      all.map((one) => ['-1', formatFixed(one.tolerance)]),
    );
    expect(found?.price_sources).toHaveLength(150);
    expect(found?.price_sources[0]).toEqual({ source: sourceOf(0), rows: 151, oldest_age_ms: 7 });
    expect(found?.price_sources.at(-1)).toEqual({
      source: sourceOf(149),
      rows: 150,
      oldest_age_ms: 149,
    });
  });
});
