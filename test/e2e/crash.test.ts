import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import {
  attest,
  enclaveCommand,
  fetchStatus,
  newAppliance,
  newPlace,
  TestHost,
  verifyLog,
} from './appliance.ts';
import {
  decisionsOf,
  expectKept,
  expectNothingTwice,
  expectReportsAgree,
  indexesOf,
  listLeaves,
  openOrders,
  readJournal,
} from './evidence.ts';
import type { ListedLeaf } from './evidence.ts';
import {
  cleanUpAfterEach,
  descendantsOf,
  isRunning,
  seededNumbers,
  temporaryFolder,
  TestProcess,
  waitFor,
} from './processes.ts';
import type { Json } from './processes.ts';
import type { Tap } from './tap.ts';

cleanUpAfterEach();

type End = 'clean' | 'unclean' | 'open';

/** Every epoch verifies, the newest first, and each names the end of the one before it as it was. */
async function expectChain(
  appliance: Appliance,
  ends: readonly End[],
  heads: string,
): Promise<readonly Json[]> {
  const verdicts: Json[] = [];
  for (const [at, end] of [...ends.entries()].toReversed()) {
    const { code, json, stderr } = await verifyLog(appliance, { epoch: at + 1, heads });
    expect(code, `${stderr}\n${JSON.stringify(json)}`).toBe(0);
    expect(json).toMatchObject({ verdict: 'verified', code: null, epoch: at + 1, end });
    verdicts.unshift(json);
  }
  for (const [at, { previous }] of verdicts.entries()) {
    const before = verdicts[at - 1];
    const link = { size: before?.['size'], root: before?.['root'], link: 'verified' };
    const clean = ends[at - 1] === 'clean';
    expect(at === 0 || previous !== null).toBe(true);
    expect(previous ?? {}).toMatchObject(at === 0 ? {} : { epoch: at, clean, ...link });
  }
  return verdicts;
}

interface Head {
  readonly size: number;
  readonly root: string;
}

/** What an LP sees when it asks now. */
async function seeHead(appliance: Appliance, url: string, heads: string): Promise<Head> {
  const { code, json, stderr } = await attest(appliance, url, heads);
  expect(code, stderr).toBe(0);
  return (json['user_data'] as { readonly head: Head }).head;
}

/** Outputs of an epoch that never came past the tap. */
function neverReleased(tap: Tap, epoch: number, outputs: readonly number[]): readonly number[] {
  const releases = tap.releases.filter((release) => release.epoch === epoch);
  const released = new Set(releases.map(({ leafIndex }) => leafIndex));
  return outputs.filter((index) => !released.has(index));
}

/** The first leaves of the epoch after `epoch` name what was never released; nothing of it was executed. */
function expectRecovery(
  appliance: Appliance,
  tap: Tap,
  epoch: number,
  leaves: readonly ListedLeaf[],
  leavesAfter: readonly ListedLeaf[],
): readonly number[] {
  const outputs = indexesOf(leaves, 'output');
  const [recovery, ...more] = leavesAfter.filter(({ kind }) => kind === 'recovery');
  expect(more).toEqual([]);
  expect(recovery?.payload['previous_epoch']).toBe(epoch);
  const unreleased = recovery?.payload['unreleased'] as readonly number[];
  expect(outputs).toEqual(expect.arrayContaining([...unreleased]));
  expect(unreleased).toEqual(expect.arrayContaining([...neverReleased(tap, epoch, outputs)]));
  const decided = new Set(decisionsOf(readJournal(appliance), epoch).map(({ leaf }) => leaf));
  expect(unreleased.filter((index) => decided.has(index))).toEqual([]);
  return unreleased;
}

/** Holds acknowledgements back until the host's log has an output that the enclave may not release. */
async function holdAnOutput(host: TestHost, tap: Tap, epoch: number): Promise<void> {
  tap.holdAcks = true;
  await host.waitFor('an output that waits for its acknowledgement', () => {
    const told = tap.acks.findLast((ack) => ack.epoch === epoch)?.size ?? 0;
    return tap.commits.some(
      (commit) =>
        commit.epoch === epoch &&
        commit.outputs.length > 0 &&
        commit.size > told &&
        commit.size <= tap.acknowledgedSize,
    );
  });
}

function waitForLeaves(host: TestHost, tap: Tap, epoch: number, size: number): Promise<true> {
  return host.waitFor(`${size} leaves in epoch ${epoch}`, () =>
    tap.epoch === epoch && tap.acknowledgedSize >= size ? true : null,
  );
}

describe('kill -9 of the enclave', () => {
  it('loses nothing, executes nothing twice, and the next epoch says so', async () => {
    const random = seededNumbers('kill -9 of the enclave');
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 40, restart: true });
    const url = await host.url();
    const seen: Head[] = [];
    const sizes = [random(3, 300), random(300, 900), random(900, 1500)];
    for (const [at, size] of sizes.entries()) {
      const epoch = at + 1;
      const pid = await host.enclavePid(epoch);
      await waitForLeaves(host, tap, epoch, size);
      const strategies = descendantsOf(pid);
      if (at > 0) {
        seen.push(await seeHead(appliance, url, heads));
        await holdAnOutput(host, tap, epoch);
      }
      console.log(`kill -9 of enclave ${epoch} at ${tap.acknowledgedSize} leaves`);
      process.kill(pid, 'SIGKILL');
      await host.waitForEvent('enclave_exited', epoch);
      tap.holdAcks = false;
      await waitFor('the strategy to end', () => !strategies.some((child) => isRunning(child)));
    }
    await host.waitFor('signals of the last epoch', () =>
      tap.releases.some(({ epoch }) => epoch === 4),
    );
    host.process.signal('SIGTERM');
    const { end, summary } = await host.finish();
    expect(end).toEqual({ code: 0, signal: null });
    expect(summary.clean).toBe(true);
    expect(summary.epochs.map(({ closed }) => closed)).toEqual([false, false, false, true]);

    const ends = ['unclean', 'unclean', 'unclean', 'clean'] as const;
    const verdicts = await expectChain(appliance, ends, heads);
    for (const [at, head] of seen.entries()) {
      expect(verdicts[at + 1]?.['size']).toBeGreaterThanOrEqual(head.size);
      expect(verdicts[at + 1]?.['consistency']).toEqual({ result: 'ok', remembered_heads: 1 });
    }
    expectKept(appliance.logDirectory, tap.hostAcks);
    const records = readJournal(appliance);
    expectNothingTwice(records);
    expect(openOrders(records)).toEqual([]);
    const leaves = [];
    for (const epoch of [1, 2, 3, 4]) leaves.push(await listLeaves(appliance, epoch));
    for (const own of leaves) expectReportsAgree(own, records);
    for (const [at, own] of leaves.slice(0, -1).entries()) {
      const after = leaves[at + 1] ?? [];
      const unreleased = expectRecovery(appliance, tap, at + 1, own, after);
      expect(unreleased).toEqual(summary.epochs[at]?.unreleased);
      expect(unreleased.length).toBeGreaterThanOrEqual(at > 0 ? 1 : 0);
      // Each output was either decided on or never released.
      const decided = decisionsOf(records, at + 1).map(({ leaf }) => leaf);
      const all = [...decided, ...unreleased].toSorted((a, b) => a - b);
      expect(all).toEqual(indexesOf(own, 'output'));
    }
  });
});

/** Orders that stay open for as long as they live: half a minute of the market's time. */
const SLOW_BROKER = { parameters: { ttl_ms: 60_000 }, latencyMs: 30_000 } as const;

describe('kill -9 of the host', () => {
  it('ends the enclave by itself; the next host recovers, reconciles and links', async () => {
    const random = seededNumbers('kill -9 of the host');
    const appliance = await newAppliance(join(temporaryFolder(), 'a'), SLOW_BROKER.parameters);
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    const { tap } = place;
    const { latencyMs } = SLOW_BROKER;
    const first = TestHost.start(appliance, place, { speed: 20, startsEnclave: false, latencyMs });
    const url = await first.url();
    const [program = '', ...args] = enclaveCommand(appliance, place);
    const enclave = new TestProcess(program, args);
    await waitForLeaves(first, tap, 1, random(20, 600));
    const head = await seeHead(appliance, url, heads);
    await first.waitFor('an open order', () => openOrders(readJournal(appliance)).length > 0);
    console.log(`kill -9 of the host at ${tap.acknowledgedSize} leaves`);
    first.process.signal('SIGKILL');
    await waitFor('the enclave to end by itself', () => enclave.end);
    expect(await enclave.closed).toEqual({ code: 1, signal: null });
    expect(enclave.stderr).toBe('trackseal enclave: log_unavailable\n');
    tap.holdAcks = false;

    const open = openOrders(readJournal(appliance));
    expect(open.length).toBeGreaterThan(0);
    const second = TestHost.start(appliance, place, { speed: null, limitEvents: 20_000 });
    const { end, summary } = await second.finish();
    expect(end, second.process.stderr).toEqual({ code: 0, signal: null });
    expect(second.events('epoch_recovered')).toMatchObject([{ epoch: 1, closed: false }]);
    expect(summary.epochs).toHaveLength(1);
    expect(summary.epochs[0]).toMatchObject({ epoch: 2, closed: true });
    expect(summary.epochs[0]?.execution?.reconciled).toBe(open.length);

    const verdicts = await expectChain(appliance, ['unclean', 'clean'], heads);
    expect(verdicts[0]?.['size']).toBeGreaterThanOrEqual(head.size);
    expectKept(appliance.logDirectory, tap.hostAcks);
    const records = readJournal(appliance);
    expectNothingTwice(records);
    expect(openOrders(records)).toEqual([]);
    const leaves = [await listLeaves(appliance, 1), await listLeaves(appliance, 2)] as const;
    expectRecovery(appliance, tap, 1, ...leaves);
    for (const own of leaves) expectReportsAgree(own, records);
  });

  it('again and again, also while it starts and recovers, loses nothing', async () => {
    const random = seededNumbers('kill -9 again and again');
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    const { tap } = place;
    const moments = ['tiles_listening', 'enclave_started', 'enclave_ready', 'settling', 'leaves'];
    for (let round = 0; round < 6; round++) {
      const host = TestHost.start(appliance, place, { speed: null });
      const moment = round === 0 ? 'leaves' : (moments[random(0, 4)] ?? 'leaves');
      if (moment === 'leaves' || moment === 'settling') {
        const size = random(3, 1500);
        const before = tap.hostAcks.length;
        await host.waitFor(`${size} leaves`, () =>
          tap.hostAcks.slice(before).some((ack) => ack.size >= size),
        );
      } else await host.waitForEvent(moment);
      if (moment === 'settling') {
        process.kill(await host.enclavePid(), 'SIGKILL');
        await host.waitForEvent('enclave_exited');
      }
      console.log(`kill -9 of host ${round} at ${moment}, ${tap.acknowledgedSize} leaves`);
      const left = descendantsOf(host.process.pid);
      host.process.signal('SIGKILL');
      await host.process.ended;
      await waitFor('enclave and strategy to end', () => !left.some((pid) => isRunning(pid)));
    }
    const last = TestHost.start(appliance, place, { speed: null, limitEvents: 5000 });
    const { end, summary } = await last.finish();
    expect(end, last.process.stderr).toEqual({ code: 0, signal: null });
    const epochs = summary.epochs[0]?.epoch ?? 0;
    const ends = Array.from({ length: epochs }, (_, at) => (at + 1 < epochs ? 'unclean' : 'clean'));
    await expectChain(appliance, ends, heads);
    expectKept(appliance.logDirectory, tap.hostAcks);
    const records = readJournal(appliance);
    expectNothingTwice(records);
    expect(openOrders(records)).toEqual([]);
  });
});

describe('kill -9 of both at once', () => {
  it('loses nothing that was acknowledged', async () => {
    const random = seededNumbers('kill -9 of both');
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    const { tap } = place;
    const first = TestHost.start(appliance, place, { speed: 40 });
    const pid = await first.enclavePid();
    await waitForLeaves(first, tap, 1, random(100, 1000));
    const head = await seeHead(appliance, await first.url(), heads);
    await holdAnOutput(first, tap, 1);
    console.log(`kill -9 of both at ${tap.acknowledgedSize} leaves`);
    const left = descendantsOf(first.process.pid);
    process.kill(pid, 'SIGKILL');
    first.process.signal('SIGKILL');
    await first.process.closed;
    await waitFor('all to end', () => !left.some((child) => isRunning(child)));
    tap.holdAcks = false;

    const second = TestHost.start(appliance, place, { speed: null, limitEvents: 20_000 });
    const { end } = await second.finish();
    expect(end, second.process.stderr).toEqual({ code: 0, signal: null });
    const verdicts = await expectChain(appliance, ['unclean', 'clean'], heads);
    expect(verdicts[0]?.['size']).toBeGreaterThanOrEqual(head.size);
    expectKept(appliance.logDirectory, tap.hostAcks);
    const records = readJournal(appliance);
    expectNothingTwice(records);
    expect(openOrders(records)).toEqual([]);
    const leaves = [await listLeaves(appliance, 1), await listLeaves(appliance, 2)] as const;
    expect(expectRecovery(appliance, tap, 1, ...leaves).length).toBeGreaterThan(0);
    for (const own of leaves) expectReportsAgree(own, records);
  });
});

describe('SIGTERM', () => {
  it('to the enclave: a close leaf, and the next epoch calls the end clean', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 40, restart: true });
    await waitForLeaves(host, tap, 1, 300);
    process.kill(await host.enclavePid(), 'SIGTERM');
    const exited = await host.waitForEvent('enclave_exited');
    expect(exited).toMatchObject({ epoch: 1, code: 0, signal: null });
    await waitForLeaves(host, tap, 2, 300);
    // The whole of SIGTERM to the host: feed, close leaf, folder, exit code.
    host.process.signal('SIGTERM');
    const { end, summary } = await host.finish();
    expect(end).toEqual({ code: 0, signal: null });
    expect(summary.epochs).toMatchObject([
      { closed: true, code: null },
      { closed: true, code: null },
    ]);
    const verdicts = await expectChain(appliance, ['clean', 'clean'], heads);
    expect(verdicts.map((verdict) => verdict['close_reason'])).toEqual(['signal', 'host']);
    expectKept(appliance.logDirectory, tap.hostAcks);
    const records = readJournal(appliance);
    expectNothingTwice(records);
    expect(openOrders(records)).toEqual([]);
  });

  it('to the host: what was sent is answered, the exit code is 0, the address is gone', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 40 });
    await waitForLeaves(host, tap, 1, 200);
    const url = await host.url();
    expect(await fetchStatus(`${url}/ready`)).toBe(200);
    host.process.signal('SIGTERM');
    const { end, summary } = await host.finish();
    expect(end).toEqual({ code: 0, signal: null });
    expect(summary).toMatchObject({ clean: true, epochs: [{ closed: true, unreleased: [] }] });
    const { json } = await verifyLog(appliance);
    expect(json).toMatchObject({ verdict: 'verified', end: 'clean', close_reason: 'host' });
    expect(await fetchStatus(`${url}/ready`).catch((error: Error) => error.message)).toMatch(
      /ECONNREFUSED/u,
    );
    expect(isRunning(await host.enclavePid())).toBe(false);
  });
});

describe('three epochs in a row', () => {
  it('verify as a chain; older and other copies are refused by who remembers', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const { directory, logDirectory } = appliance;
    const heads = join(directory, 'lp', 'heads.json');
    const place = await newPlace();
    const copy = (name: string): string => {
      cpSync(logDirectory, join(directory, name), { recursive: true });
      return join(directory, name);
    };
    const copies: string[] = [];
    for (const epoch of [1, 2]) {
      const host = TestHost.start(appliance, place, { speed: null, limitEvents: 10_000 });
      expect((await host.finish()).end.code).toBe(0);
      copies.push(copy(`after-${epoch}`));
    }
    const host = TestHost.start(appliance, place, { speed: 40 });
    await waitForLeaves(host, place.tap, 3, 600);
    // A copy from the middle of the epoch, while nobody writes.
    host.process.signal('SIGSTOP');
    const middle = copy('middle');
    host.process.signal('SIGCONT');
    await waitForLeaves(host, place.tap, 3, 1200);
    host.process.signal('SIGTERM');
    expect((await host.finish()).end.code).toBe(0);
    const before = await verifyLog(appliance, { log: middle });
    expect(before.json).toMatchObject({ verdict: 'verified', epoch: 3, end: 'open' });

    await expectChain(appliance, ['clean', 'clean', 'clean'], heads);
    const newest = await verifyLog(appliance, { heads });
    expect(newest.json).toMatchObject({ verdict: 'verified', epoch: 3 });
    for (const [log, detail] of [
      [copies[0], { what: 'epoch', expected: 3, actual: 1 }],
      [copies[1], { what: 'epoch', expected: 3, actual: 2 }],
      [middle, { expected: newest.json['size'], actual: before.json['size'] }],
    ] as const) {
      const { code, json } = await verifyLog(appliance, { log: log ?? '', heads });
      expect(code).toBe(1);
      expect(json).toMatchObject({ verdict: 'refused', code: 'rollback', detail });
    }

    // The same image, configuration and log id, run again from nothing: another log.
    const other = join(directory, 'other');
    const state = join(directory, 'other-state');
    const options = { speed: null, limitEvents: 5000, log: other, state };
    expect((await TestHost.start(appliance, place, options).finish()).end.code).toBe(0);
    expect((await verifyLog(appliance, { log: other })).json).toMatchObject({
      verdict: 'verified',
    });
    const fork = await verifyLog(appliance, { log: other, heads });
    expect(fork.code).toBe(1);
    expect(fork.json).toMatchObject({ verdict: 'refused', code: 'fork' });
    // What was refused has changed nothing of the memory.
    const memory = readFileSync(heads, 'utf8');
    expect((await verifyLog(appliance, { heads })).code).toBe(0);
    expect(Object.keys((JSON.parse(memory) as { origins: object }).origins)).toHaveLength(3);
  });
});
