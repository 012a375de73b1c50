// Lies between real processes: a tap on the sockets tells the enclave what the host never said.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Ack } from '../../wire/commit.ts';
import { newAppliance, newPlace, TestHost, verifyLog } from '../e2e/appliance.ts';
import { decisionsOf, expectKept, indexesOf, listLeaves, readJournal } from '../e2e/evidence.ts';
import { cleanUpAfterEach, temporaryFolder } from '../e2e/processes.ts';

cleanUpAfterEach();

/** The code with which the enclave process ends; nothing is released or traded any more. */
async function fateOf(forge: (ack: Ack) => Ack): Promise<unknown> {
  const appliance = await newAppliance(join(temporaryFolder(), 'a'));
  const place = await newPlace();
  const { tap } = place;
  const host = TestHost.start(appliance, place, { speed: 40 });
  await host.waitFor('a signal', () => tap.releases.length > 0);
  tap.holdAcks = true;
  const told = tap.acks.at(-1)?.size ?? 0;
  await host.waitFor('an output that the host has kept', () =>
    tap.commits.some(
      ({ outputs, size }) => outputs.some((index) => index >= told) && size <= tap.acknowledgedSize,
    ),
  );
  tap.forgeAck = forge;
  tap.holdAcks = false;
  const { end, summary } = await host.finish();
  expect(end).toEqual({ code: 1, signal: null });
  expect(summary.epochs).toMatchObject([{ closed: false }]);
  expect(tap.releases.filter(({ leafIndex }) => leafIndex >= told)).toEqual([]);
  const outputs = indexesOf(await listLeaves(appliance, 1), 'output');
  const unreleased = outputs.filter((index) => index >= told);
  expect(unreleased.length).toBeGreaterThan(0);
  expect(summary.epochs[0]?.unreleased).toEqual(unreleased);
  const decided = decisionsOf(readJournal(appliance), 1).map(({ leaf }) => leaf);
  expect(decided).toEqual(outputs.filter((index) => index < told));
  const { json } = await verifyLog(appliance);
  expect(json).toMatchObject({ verdict: 'verified', end: 'open' });
  expect(json['residual_risks']).toContain('tail_cut');
  // The host may have kept more than it could still acknowledge when the stream ended.
  expect(Number(json['size'])).toBeGreaterThanOrEqual(tap.acknowledgedSize);
  expectKept(appliance.logDirectory, tap.hostAcks);
  return summary.epochs[0]?.code;
}

it('whoever changes the root in an acknowledgement between the processes: `ack_unknown`, nothing is released or traded, end `open`', async () => {
  const code = await fateOf(({ epoch, size, root }) => {
    return { epoch, size, root: root.with(31, (root.at(31) ?? 0) ^ 1) };
  });
  expect(code).toBe('ack_unknown');
});

it('whoever changes the size in an acknowledgement between the processes: `ack_unknown`, nothing is released or traded, end `open`', async () => {
  const code = await fateOf(({ epoch, size, root }) => ({ epoch, size: size + 1_000_000, root }));
  expect(code).toBe('ack_unknown');
});
