import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { proveRecord, recordRows, showsAll } from '../../scripts/demo-record.ts';
import { RecordBuilder } from '../helpers/track-record.ts';
import { LogFolder } from '../verifier/log/log-folder.ts';
import { money } from '../wire/performance/golden.ts';
import { blindHour, changed, record } from '../wire/performance/hours.ts';

let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
});
afterAll(() => folder.remove());

/** Six hours: a deposit in the second, an outage in the fourth. */
async function story(residual = 0n): Promise<ReturnType<typeof proveRecord>> {
  const moves = Array.from({ length: 6 }, (_, at) => ({
    gain: money(1),
    flow: at === 1 ? money(500) : 0n,
    before: 0n,
    valued: true,
  }));
  const hours = record(moves).map((one, at) => {
    if (at === 3) return blindHour(at);
    const realised = (one.realised ?? 0n) - residual;
    return changed(one, { residual, realised, realisedAverage: realised });
  });
  const builder = await RecordBuilder.create();
  builder.addHours(hours);
  const file = folder.path('record.json');
  await writeFile(file, builder.file({ attestations: [] }));
  const attestation = folder.path('boot.cbor');
  await writeFile(attestation, builder.attestations[0] ?? '');
  return proveRecord(file, attestation, folder.trust(), folder.root);
}

it('shows what the demo has to show, and writes the report', async () => {
  const made = await story();
  // These hours begin with money that no record explains, unlike those of the demo.
  expect(made.opening).toBe('1000');
  expect(showsAll(made)).toBe(false);
  const shown = { ...made, opening: '0' };
  expect(showsAll(shown)).toBe(true);
  expect(shown).toMatchObject({ verdict: 'verified', hours: 6, returns: 5, reconciled: 5 });
  expect(shown.deposits).toMatchObject([{ inflow: '500', moved: false }]);
  const text = recordRows(shown)
    .map(([name, line]) => `${name} ${line}`)
    .join('\n');
  expect(text).toContain('track record verified: 6 signed hours, 5 with a return');
  expect(text).toContain('500 USD came into 1001.00: return 0.067 %');
  expect(text).toContain('a gap (incomplete), never a zero');
  expect(text).toContain('less every record leave 0;');
  expect(text).toContain('5 of 5 hours with a return');
  expect(text).toContain('5 hours compared with balances since, residual 0');
  expect(await readFile(shown.report, 'utf8')).toContain('Track record');
});

it('tells hours that the enclave saw from those that it rebuilt, which are in no headline figure', async () => {
  const all = await story();
  expect([all.seen, all.headline]).toEqual([5, null]);
  const builder = await RecordBuilder.create();
  const moves = [3, 2].map((gain) => ({
    gain: money(gain),
    flow: 0n,
    before: 0n,
    valued: true,
  }));
  builder.addHours(record(moves).map((one, at) => changed(one, { rebuilt: at === 0 })));
  const file = folder.path('rebuilt.json');
  await writeFile(file, builder.file({ attestations: [] }));
  const attestation = folder.path('boot.cbor');
  await writeFile(attestation, builder.attestations[0] ?? '');
  const made = await proveRecord(file, attestation, folder.trust(), folder.root);
  expect(made).toMatchObject({ verdict: 'verified', returns: 2, seen: 1, observed: '0.003' });
  expect(made.headline).toBe('0.001994017946161515');
  const text = recordRows(made)
    .map(([, line]) => line)
    .join('\n');
  expect(text).toContain('rebuilt: 0.300 % with what the gaps changed');
  expect(text).toContain('1 so far: 0.199 %');
  expect(text).toMatch(/01:00 {2}0\.199 % {2}seen$/mu);
  expect(text).toMatch(/00:00 {2}0\.300 %$/mu);
});

it('does not, when something is left over or nothing is verified', async () => {
  expect(showsAll({ ...(await story(1n)), opening: '0' })).toBe(false);
  const shown = { ...(await story()), opening: '0' };
  expect(showsAll(shown)).toBe(true);
  expect(showsAll({ ...shown, opening: null })).toBe(false);
  expect(showsAll({ ...shown, verdict: 'refused' })).toBe(false);
  expect(showsAll({ ...shown, gaps: [] })).toBe(false);
  expect(showsAll({ ...shown, deposits: [] })).toBe(false);
});
