import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RecordDemo } from '../../scripts/demo-record.ts';
import { proveRecord, recordRows, showsAll } from '../../scripts/demo-record.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import { RecordBuilder } from '../helpers/track-record.ts';
import { LogFolder } from '../verifier/log/log-folder.ts';
import { money } from '../wire/performance/golden.ts';
import { blindHour, changed, HOUR_MS, record, START_MS } from '../wire/performance/hours.ts';

let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
});
afterAll(() => folder.remove());

/** What somebody makes of it who has the file; markets went 1 % in an hour. */
async function proved(
  hours: readonly HourFigures[],
  polledMs = START_MS,
  move = 0.01,
): Promise<RecordDemo> {
  const builder = await RecordBuilder.create();
  builder.addHours(hours);
  const file = folder.path('record.json');
  await writeFile(file, builder.file({ attestations: [] }));
  const attestation = folder.path('boot.cbor');
  await writeFile(attestation, builder.attestations[0] ?? '');
  const moveOf = (): number => move;
  return proveRecord({
    file,
    attestation,
    trust: folder.trust(),
    folder: folder.root,
    moveOf,
    polledMs,
  });
}

/** Six hours: a deposit in the second, which made as much as is said; an outage in the fourth. */
function hoursOf(
  residual = 0n,
  madeMore = 0n,
  { flow, valued } = { flow: money(500), valued: true },
): readonly HourFigures[] {
  const moves = Array.from({ length: 6 }, (_, at) => ({
    gain: money(1) + (at === 1 ? madeMore : 0n),
    flow: at === 1 ? flow : 0n,
    before: 0n,
    valued: at !== 1 || valued,
  }));
  return record(moves).map((one, at) => {
    if (at === 3) return blindHour(at);
    const realised = (one.realised ?? 0n) - residual;
    return changed(one, { residual, realised, realisedAverage: realised });
  });
}

/** These hours begin with money that no record explains, unlike those of the demo; and its gap was before the first poll. */
async function story(hours: readonly HourFigures[] = hoursOf(), move = 0.01): Promise<RecordDemo> {
  const made = await proved(hours, START_MS + 4 * HOUR_MS, move);
  expect(made.opening).toBe('1000');
  expect(showsAll(made, false)).toBe(false);
  return { ...made, opening: '0' };
}

it('shows what the demo has to show, and writes the report', async () => {
  const shown = await story();
  expect(showsAll(shown, false)).toBe(true);
  expect(shown).toMatchObject({ verdict: 'verified', hours: 6, returns: 5, reconciled: 5 });
  expect(shown).toMatchObject({ unreconciled: 0, residual: '0' });
  const [paid] = shown.deposits;
  expect(paid).toMatchObject({ inflow: '500', equity_start: '1001', moved: false });
  expect([paid?.chained, paid?.return]).toEqual([paid?.return, '0.000666222518321119']);
  expect(paid?.bound).toBeCloseTo(0.0201, 10);
  const text = recordRows(shown)
    .map(([name, line]) => `${name} ${line}`)
    .join('\n');
  expect(text).toContain('track record verified: 6 signed hours, 5 with a return');
  expect(text).toContain(
    '500 USD came into 1001.00: return 0.067 %, not moved by it; markets went up to 2.010 %',
  );
  expect(text).toContain('a gap (incomplete), never a zero');
  expect(text).toContain('less every record leave 0;');
  expect(text).toContain('5 of 5 hours with a return');
  expect(text).toContain('5 hours compared with balances since, residual 0');
  expect(await readFile(shown.report, 'utf8')).toContain('Track record');
});

it('tells hours that the enclave saw from those that it rebuilt, which are in no headline figure', async () => {
  const all = await story();
  expect([all.seen, all.headline]).toEqual([5, null]);
  const moves = [3, 2].map((gain) => ({
    gain: money(gain),
    flow: 0n,
    before: 0n,
    valued: true,
  }));
  const hours = record(moves).map((one, at) => changed(one, { rebuilt: at === 0 }));
  const made = await proved(hours);
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
  const shown = await story();
  expect(showsAll(shown, false)).toBe(true);
  expect(showsAll({ ...shown, opening: null }, false)).toBe(false);
  expect(showsAll({ ...shown, verdict: 'refused' }, false)).toBe(false);
  expect(showsAll({ ...shown, gaps: [] }, false)).toBe(false);
  expect(showsAll({ ...shown, deposits: [] }, false)).toBe(false);
  const left = await story(hoursOf(1n));
  expect([showsAll(left, false), left.unreconciled]).toEqual([false, 5]);
});

it('does not, when the hour with the deposit made more than the markets moved', async () => {
  const inBounds = await story(hoursOf(0n, money(28)));
  expect([inBounds.deposits[0]?.moved, showsAll(inBounds, false)]).toEqual([false, true]);
  // 4 % of what came in; and all of it.
  for (const more of [money(35), money(500)]) {
    const beyond = await story(hoursOf(0n, more));
    expect([beyond.deposits[0]?.moved, showsAll(beyond, false)]).toEqual([true, false]);
  }
  const nobodyKnows = await story(hoursOf(), NaN);
  expect(showsAll(nobodyKnows, false)).toBe(false);
});

it('does not, when the value at the deposit is not signed: the return is no product then', async () => {
  const flow = money(50);
  const valued = await story(hoursOf(0n, 0n, { flow, valued: true }));
  expect([valued.deposits[0]?.moved, showsAll(valued, false)]).toEqual([false, true]);
  const guessed = await story(hoursOf(0n, 0n, { flow, valued: false }));
  expect(guessed.deposits).toMatchObject([{ inflow: '50', chained: null, moved: true }]);
  expect([guessed.deposits[0]?.return === null, showsAll(guessed, false)]).toEqual([false, false]);
});

it('does not, when an hour was to pass and none was seen with a trade in it, and says what one was compared to', async () => {
  const quiet = await story();
  expect(quiet.compared).toHaveLength(5);
  expect([showsAll(quiet, true), showsAll(quiet, false)]).toEqual([false, true]);
  const traded = await story(without(4, { trades: 1 }));
  expect(showsAll(traded, true)).toBe(true);
  expect(recordRows(traded).map(([, line]) => line)).toContainEqual(
    expect.stringMatching(/04:00 {2}seen from start to end, trades in it: 1; reconciled .* 0$/u),
  );
  const rebuilt = await story(without(4, { trades: 1, rebuilt: true }));
  expect(rebuilt.compared).toHaveLength(4);
  expect(showsAll(rebuilt, true)).toBe(false);
});

function without(at: number, figures: Partial<HourFigures>): readonly HourFigures[] {
  return hoursOf().map((one, index) => (index === at ? changed(one, figures) : one));
}

it('does not, when an hour since the first poll was not compared, or is beyond the tolerance', async () => {
  const unknown = { residual: null, status: 'unknown' } as const;
  expect(showsAll(await story(without(2, unknown)), false)).toBe(true);
  const late = await story(without(4, unknown));
  expect([late.unreconciled, late.residual, showsAll(late, false)]).toEqual([1, '0', false]);
  const beyond = await story(without(2, { status: 'beyond' }));
  expect([beyond.unreconciled, showsAll(beyond, false)]).toEqual([1, false]);
});
