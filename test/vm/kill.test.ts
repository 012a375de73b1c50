// A power cut: QEMU is killed while signals flow. What the host had acknowledged is in the log, nothing is traded
// twice, and the next boot of the image links to the epoch as it ended.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { enclaveCommand } from '../../scripts/vm/enclave-command.ts';
import { TestHost, verifyLog } from '../e2e/appliance.ts';
import {
  decisionsOf,
  expectKept,
  expectNothingTwice,
  expectReportsAgree,
  indexesOf,
  listLeaves,
  openOrders,
  readJournal,
} from '../e2e/evidence.ts';
import {
  cleanUpAfterEach,
  descendantsOf,
  isRunning,
  temporaryFolder,
  TestProcess,
  waitFor,
} from '../e2e/processes.ts';
import { Tap } from '../e2e/tap.ts';
import { IMAGE, newVmAppliance, newVmPlace, SKIPPED, vmHost } from './place.ts';

cleanUpAfterEach();

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    // It has ended.
    return '';
  }
}

/** Of the machine that runs below this process. */
function qemuOf(pid: number): number | null {
  for (const one of descendantsOf(pid)) {
    if (nameOf(one).startsWith('qemu-system')) return one;
  }
  return null;
}

describe.skipIf(SKIPPED)('a machine that is switched off mid-stream', () => {
  it('has lost nothing that was acknowledged, and its next boot says how it ended', async () => {
    const folder = temporaryFolder();
    const appliance = await newVmAppliance(join(folder, 'a'));
    const place = newVmPlace(folder);
    const tap = await Tap.openVsock(place.hostSockets, place.vsock);
    const through = vmHost(place, 'tap');
    const first = TestHost.start(appliance, place, { speed: 40, ...through });
    const starter = await first.enclavePid();
    await first.waitFor('signals', () => tap.releases.length >= 2);
    const qemu = await first.waitFor('the machine', () => qemuOf(starter));
    console.log(`switched off at ${tap.acknowledgedSize} leaves`);
    process.kill(qemu, 'SIGKILL');
    const { end } = await first.finish();
    expect(end.code).toBe(1);
    expectKept(appliance.logDirectory, tap.hostAcks);
    expect((await verifyLog(appliance)).json).toMatchObject({ verdict: 'verified', end: 'open' });

    const second = TestHost.start(appliance, place, { speed: null, limitEvents: 3000, ...through });
    const { end: secondEnd, summary } = await second.finish();
    expect(secondEnd, second.process.stderr).toEqual({ code: 0, signal: null });
    expect(summary.epochs).toMatchObject([{ epoch: 2, closed: true }]);
    const verdicts = [
      await verifyLog(appliance, { epoch: 1 }),
      await verifyLog(appliance, { epoch: 2 }),
    ];
    expect(verdicts.map(({ json }) => [json['verdict'], json['end']])).toEqual([
      ['verified', 'unclean'],
      ['verified', 'clean'],
    ]);
    const { size, root } = verdicts[0]?.json ?? {};
    expect(verdicts[1]?.json['previous']).toMatchObject({ epoch: 1, size, root, clean: false });
    expectKept(appliance.logDirectory, tap.hostAcks);
    const records = readJournal(appliance);
    expectNothingTwice(records);
    expect(openOrders(records)).toEqual([]);
    const leaves = [await listLeaves(appliance, 1), await listLeaves(appliance, 2)];
    for (const own of leaves) expectReportsAgree(own, records);
    // Each output was decided on, or is named as never released.
    const recovery = leaves[1]?.find(({ kind }) => kind === 'recovery');
    const unreleased = (recovery?.payload['unreleased'] ?? []) as readonly number[];
    const decided = decisionsOf(records, 1).map(({ leaf }) => leaf);
    expect([...decided, ...unreleased].toSorted((a, b) => a - b)).toEqual(
      indexesOf(leaves[0] ?? [], 'output'),
    );
  });
});

describe.skipIf(SKIPPED)('whoever runs the machine', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('takes all of it along: %s', async (signal) => {
    const place = newVmPlace(temporaryFolder());
    const [program, ...args] = enclaveCommand(IMAGE, place.vsock, place.console);
    const runner = new TestProcess(program, args);
    // QEMU and the vsock device; before them, QEMU is asked for its machines, alone.
    const started = await waitFor('the machine', () => {
      const found = descendantsOf(runner.pid);
      return found.length === 2 && qemuOf(runner.pid) !== null ? found : null;
    });
    process.kill(runner.pid, signal);
    await runner.ended;
    await waitFor('the end of all', () => !started.some((pid) => isRunning(pid)));
    expect(started.filter((pid) => isRunning(pid))).toEqual([]);
  });
});
