// Several strategies in one epoch, with real processes: each has its commitment, its stream and its seed;
// one that crashes or hangs leaves the others as they were; each can be replayed for itself and all together.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Appliance, AppliancePack, ApplianceStrategy } from '../../scripts/appliance.ts';
import type { TapeParameters } from '../helpers/tape-strategy.ts';
import { writeTapeStrategy } from '../helpers/tape-strategy.ts';
import { CAPTURE, newAppliance, newPlace, TestHost, verifyLog } from './appliance.ts';
import type { HostOptions, HostSummary } from './appliance.ts';
import { expectReportsAgree, indexesOf, listLeaves, readJournal } from './evidence.ts';
import type { ListedLeaf } from './evidence.ts';
import { cleanUpAfterEach, temporaryFolder, trackseal } from './processes.ts';
import type { CommandResult, Json } from './processes.ts';

cleanUpAfterEach();

/** Rows of the capture, which has 163,074. */
const EVENTS = 40_000;
const TAPE: TapeParameters = { symbol: 'ETHUSDT', every: 40, quantity: 100 };

/** The example on stream 1000, tape strategies from 1001 on. */
async function newTrio(
  tapes: Readonly<Record<string, Partial<TapeParameters> & { readonly budget?: number }>>,
): Promise<Appliance> {
  const folder = temporaryFolder();
  const strategy = await writeTapeStrategy(folder);
  const others = Object.entries(tapes).map(
    ([strategyName, { budget: timeBudgetMs = 5000, ...changes }]): ApplianceStrategy => {
      const parameters = { ...TAPE, ...changes };
      return { strategy, strategyName, parameters, timeBudgetMs };
    },
  );
  return newAppliance(join(folder, 'a'), {}, { others });
}

async function runToEnd(
  appliance: Appliance,
  options: Partial<HostOptions>,
): Promise<HostSummary & { readonly hostFile: string }> {
  const host = TestHost.start(appliance, await newPlace(), { speed: null, ...options });
  const { end, summary } = await host.finish();
  expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
  return { ...summary, hostFile: host.configFile };
}

/** `trackseal strategy backtest --like`: the epoch again, from the capture. */
function backtestLike(
  appliance: Appliance,
  { pack, parameters, name }: AppliancePack,
  hostFile: string,
  more: readonly string[] = [],
): Promise<CommandResult> {
  const log = ['--like', appliance.logDirectory, '--key', appliance.complianceKey, '--only', name];
  const files = ['--capture', CAPTURE, '--parameters', parameters, '--host', hostFile];
  return trackseal(['strategy', 'backtest', pack, ...log, ...files, ...more, '--json']);
}

/** `trackseal replay` with the files of some strategies; by default of all. */
function replay(
  appliance: Appliance,
  args: readonly string[] = [],
  strategies = appliance.strategies,
): Promise<CommandResult> {
  const files = strategies.flatMap(({ pack, parameters, parametersSalt }) => {
    const salted = ['--parameters', parameters, '--parameters-salt', parametersSalt];
    return ['--strategy', pack, ...salted];
  });
  const log = [appliance.logDirectory, '--key', appliance.complianceKey];
  return trackseal(['replay', ...log, ...files, ...args, '--json']);
}

function ofStream(leaves: readonly ListedLeaf[], kind: string, stream: number): ListedLeaf[] {
  return leaves.filter((leaf) => leaf.kind === kind && leaf.stream === stream);
}

/** Reports are causes of signals of their own strategy only; answers how many each stream has. */
function reportsToOwners(leaves: readonly ListedLeaf[]): ReadonlyMap<number, number> {
  const owner = new Map(leaves.map(({ index, stream }) => [index, stream]));
  const reports = new Map(
    leaves.flatMap(({ kind, index, causes }) =>
      kind === 'report' ? [[index, owner.get(causes[0] ?? -1)] as const] : [],
    ),
  );
  const counts = new Map<number, number>();
  for (const { kind, index, stream, causes } of leaves) {
    if (kind !== 'output') continue;
    const foreign = causes.slice(0, -1).filter((cause) => reports.get(cause) !== stream);
    expect(foreign, `reports to ${stream} at leaf ${index}`).toEqual([]);
    counts.set(stream, (counts.get(stream) ?? 0) + causes.length - 1);
  }
  return counts;
}

/** Signals of a tape strategy count the reports that it has got: those of its stream, before its batch. */
function expectReportsCounted(leaves: readonly ListedLeaf[], stream: number): void {
  const outputs = ofStream(leaves, 'output', stream);
  const own = new Set(outputs.map(({ index }) => index));
  const reports = leaves.filter(
    ({ kind, causes }) => kind === 'report' && own.has(causes[0] ?? -1),
  );
  for (const { index, causes, payload } of outputs) {
    const batch = causes.at(-1) ?? -1;
    const before = reports.filter((report) => report.index < batch).length;
    expect(payload['quantity'], `output ${index}`).toBe(
      `0.${String(TAPE.quantity + before).padStart(5, '0')}`,
    );
  }
}

/** Reports in the log, without those that came for `stream` when it had ended. */
function reportsBefore(leaves: readonly ListedLeaf[], stream: number, end: number): number {
  const own = new Set(ofStream(leaves, 'output', stream).map(({ index }) => index));
  return leaves.filter(
    ({ kind, index, causes }) => kind === 'report' && !(own.has(causes[0] ?? -1) && index > end),
  ).length;
}

describe('three strategies in one epoch', () => {
  it('have commitments, streams, seeds and reports of their own; one crashes and the others go on', async () => {
    const appliance = await newTrio({
      steady: { count_reports: 1, every: 8 },
      doomed: { count_reports: 1, every: 6, crash_at: 1500 },
    });
    const [flow, steady, doomed] = appliance.strategies;
    if (flow === undefined || steady === undefined || doomed === undefined) throw new Error('trio');
    // At a pace at which reports come back in time.
    const summary = await runToEnd(appliance, { limitEvents: 2 * EVENTS, speed: 40 });
    expect(summary).toMatchObject({ clean: true, epochs: [{ closed: true, code: null }] });

    const verified = await verifyLog(appliance);
    expect(verified.json, verified.stderr).toMatchObject({ verdict: 'verified', end: 'clean' });
    const names = ['order-flow', 'steady', 'doomed'];
    const measured = JSON.parse(readFileSync(appliance.measured, 'utf8')) as Json;
    const listed = appliance.strategies.map(({ name, commitment }) => ({ name, commitment }));
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect(new Set(listed.map(({ commitment }) => commitment)).size).toBe(3);
    expect(measured['strategies']).toMatchObject(listed);
    expect(verified.json['strategies']).toMatchObject(listed);

    const leaves = await listLeaves(appliance, 1);
    const streams = [1000, 1001, 1002];
    for (const stream of streams) {
      const own = leaves.filter((leaf) => leaf.stream === stream).map(({ kind }) => kind);
      expect(own.slice(0, 3)).toEqual(['seed', 'strategy_event', 'output']);
    }
    const seeds = streams.map((stream) => ofStream(leaves, 'seed', stream)[0]?.payload['hex']);
    expect(seeds).not.toContain(undefined);
    expect(new Set(seeds).size).toBe(3);

    const ends = leaves.filter(({ kind, payload }) => {
      return kind === 'strategy_event' && payload['event'] === 'ended';
    });
    expect(ends).toMatchObject([{ stream: 1002, payload: { code: 'strategy_crashed' } }]);
    const endIndex = ends[0]?.index ?? 0;
    expect(ofStream(leaves, 'output', 1002)).toHaveLength(Math.floor(1499 / 6));
    for (const stream of [1000, 1001]) {
      const outputs = ofStream(leaves, 'output', stream);
      expect(outputs.filter(({ index }) => index > endIndex).length).toBeGreaterThan(10);
    }
    // The example seldom signals in the batch after a report; the tape does.
    const told = reportsToOwners(leaves);
    for (const stream of [1001, 1002]) expect(told.get(stream)).toBeGreaterThan(0);
    expectReportsCounted(leaves, 1001);
    expectReportsCounted(leaves, 1002);
    expectReportsAgree(leaves, readJournal(appliance));

    const all = await replay(appliance, ['--all']);
    expect(all.code, all.stderr).toBe(0);
    expect(all.json).toMatchObject({
      verdict: 'identical',
      outputs: indexesOf(leaves, 'output').length,
      identical: indexesOf(leaves, 'output').length,
      inputs: indexesOf(leaves, 'input').length,
      reports: reportsBefore(leaves, 1002, endIndex),
      not_replayed: [],
      strategy: null,
      strategies: streams.map((stream, at) => ({
        name: names[at],
        stream,
        verdict: 'identical',
        ended: { logged: stream === 1002 ? 'strategy_crashed' : null },
      })),
    });
    const alone = await replay(appliance, [], [doomed]);
    expect(alone.json).toMatchObject({
      strategy: { name: 'doomed' },
      not_replayed: ['order-flow', 'steady'],
    });
    const named = await replay(appliance, ['--only', 'steady']);
    const numbered = await replay(appliance, ['--only', '1000']);
    const apart = [numbered, named, alone].flatMap(({ json }) => json['strategies']);
    expect(apart).toEqual(all.json['strategies']);
    // From the capture instead of the log: the same batches, outputs and reports.
    const { hostFile } = summary;
    for (const [at, one] of appliance.strategies.entries()) {
      const like = await backtestLike(appliance, one, hostFile);
      expect(like.code, like.stderr).toBe(0);
      const outputs = ofStream(leaves, 'output', 1000 + at).length;
      const reports = indexesOf(leaves, 'report').length;
      expect(like.json).toMatchObject({
        verdict: 'identical',
        inputs: indexesOf(leaves, 'input').length,
        outputs: { logged: outputs, identical: outputs },
        reports: { logged: reports, identical: reports },
        first_difference: null,
        execution: { profit: summary.epochs[0]?.execution?.profit },
      });
    }
    const changed = await backtestLike(appliance, steady, hostFile, ['--rows', '255']);
    expect([changed.code, changed.json['first_difference']]).toEqual([
      1,
      { what: 'input', leaf: expect.any(Number) },
    ]);
    expect(changed.stderr).toContain('replay_mismatch');
    const swapped = { ...steady, parameters: doomed.parameters };
    const other = await backtestLike(appliance, swapped, hostFile);
    const [firstOutput] = ofStream(leaves, 'output', 1001);
    expect([other.code, other.json['first_difference']]).toEqual([
      1,
      { what: 'output', leaf: firstOutput?.index },
    ]);

    const dearer = join(appliance.directory, 'host', 'dearer.json');
    const fees = readFileSync(hostFile, 'utf8').replace(
      '"taker_fee_ppm": 500',
      '"taker_fee_ppm": 501',
    );
    writeFileSync(dearer, fees);
    const costly = await backtestLike(appliance, flow, dearer);
    expect([costly.code, costly.json['first_difference']]).toEqual([
      1,
      { what: 'report', leaf: expect.any(Number) },
    ]);

    const some = await replay(appliance, ['--all'], [flow, doomed]);
    expect([some.code, some.json['code'], some.json['detail']]).toEqual([
      2,
      'commitment_mismatch',
      { what: 'bundle', stream: 1001 },
    ]);
    const unknown = await replay(appliance, ['--only', 'nobody']);
    expect([unknown.code, unknown.json['code']]).toEqual([2, 'usage_invalid']);
  });
  it('wait for a slow one, which loses nothing and keeps nobody from working; one over its budget is ended', async () => {
    const appliance = await newTrio({
      quick: { spread: 1000 },
      slow: { every: 20, work: 60_000 },
      hanging: { loop_at: 700, budget: 3000 },
    });
    await runToEnd(appliance, { limitEvents: EVENTS });
    const verified = await verifyLog(appliance);
    expect(verified.json, verified.stderr).toMatchObject({
      verdict: 'verified',
      gaps: { total: 0 },
    });
    const leaves = await listLeaves(appliance, 1);
    const ends = leaves.filter(({ payload }) => payload['event'] === 'ended');
    expect(ends).toMatchObject([{ stream: 1003, payload: { code: 'strategy_over_budget' } }]);
    expect(ofStream(leaves, 'output', 1003)).toHaveLength(Math.floor(699 / 40));

    const inputs = indexesOf(leaves, 'input');
    const behind = (stream: number): readonly number[] =>
      ofStream(leaves, 'output', stream).map(({ index, causes }) => {
        const batch = causes.at(-1) ?? -1;
        return inputs.filter((input) => input > batch && input < index).length;
      });
    // As many as a strategy may have before it (enclave/strategies.ts), then the feed waits.
    expect(Math.max(...behind(1002))).toBeLessThanOrEqual(32);
    expect(Math.max(...behind(1002))).toBeGreaterThan(8);
    const { json } = await replay(appliance, ['--all', '--stall', '10']);
    expect(json).toMatchObject({ verdict: 'identical', not_logged: expect.any(Number) });
    const told = (json['strategies'] as Json[]).map(({ ended }) => (ended as Json)['logged']);
    expect(told).toEqual([null, null, null, 'strategy_over_budget']);

    // The quick one said what it says when it is alone with the same seed and batches: replay shows it, and
    // it was asked for all batches.
    const last = ofStream(leaves, 'output', 1001).at(-1)?.causes.at(-1) ?? 0;
    expect(inputs.filter((index) => index > last).length).toBeLessThan(60);
  });

  it('lose batches for a slow one only where the host may drop them, and then it is declared', async () => {
    const appliance = await newTrio({ quick: {}, slow: { every: 20, work: 150_000 } });
    const summary = await runToEnd(appliance, { whenFull: 'drop' });
    const verified = await verifyLog(appliance);
    const { gaps } = verified.json as { gaps: { by_reason: Json } };
    expect(verified.json).toMatchObject({ verdict: 'verified', end: 'clean' });
    // What is missing of the market is a gap of the book, too.
    expect(Number(gaps.by_reason['declared'])).toBeGreaterThan(0);
    expect(gaps.by_reason).not.toHaveProperty('skipped');
    expect(gaps.by_reason).not.toHaveProperty('refused');
    const leaves = await listLeaves(appliance, 1);
    const dropped = leaves
      .filter(({ kind, payload }) => kind === 'gap' && payload['reason'] === 'declared')
      .reduce((sum, { payload }) => sum + Number(payload['count']), 0);
    const { replay: source } = summary.epochs[0] as unknown as { replay: { batches: number } };
    expect(indexesOf(leaves, 'input').length + dropped).toBe(source.batches);
    expect(leaves.filter(({ payload }) => payload['event'] === 'ended')).toEqual([]);
    expect((await replay(appliance, ['--all'])).json).toMatchObject({ verdict: 'identical' });
  });
});
