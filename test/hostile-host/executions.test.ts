// Lies about what became of the signals.

import { expect, it } from 'vitest';
import { KIND } from '../../wire/leaf.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Report } from '../../wire/payloads.ts';
import { STATUS, clientOrderIdOf, encodeReport, parseReport } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseProofFile, encodeProofFile } from '../../wire/tlog/proof-file.ts';
import { parseEvidence, encodeEvidence } from '../../wire/log-verification/evidence.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { readFile, writeFile } from 'node:fs/promises';
import type { TestHost } from '../helpers/enclave-host.ts';
import {
  TIME_NS,
  batch,
  boot,
  bootAfter,
  close,
  unnamedIn,
  newVerifier,
  refusals,
  send,
  verify,
} from './stage.ts';

function report(host: TestHost, output: number, changes: Partial<Report> = {}): Uint8Array {
  const leaf = host.leaves[output] ?? new Uint8Array();
  return encodeReport({
    output,
    clientOrderId: clientOrderIdOf(leafHash(nodeCrypto, leaf)),
    status: STATUS.filled,
    reason: null,
    filledQuantity: 1000,
    fills: [{ number: 0, price: 6_000_000, quantity: 1000, fee: 1, timeNs: TIME_NS }],
    environment: 'paper',
    timeNs: TIME_NS,
    ...changes,
  });
}

/** An enclave that has released one signal. */
async function released(): Promise<{ readonly host: TestHost; readonly output: number }> {
  const host = await boot();
  await send(host, batch(0));
  const [output = -1] = host.leavesOf(KIND.output);
  return { host, output };
}

it('a host that reports on a signal that nobody gave: `report_unknown_output` REFUSED, and no leaf', async () => {
  const { host, output } = await released();
  const input = host.leavesOf(KIND.input)[0] ?? -1;
  const other = report(host, output, { clientOrderId: 'ts0011223344556677' });
  for (const forged of [report(host, input), report(host, 999_999), other]) {
    await send(host, [FRAME.report, forged]);
  }
  await close(host);
  expect(refusals(host)).toEqual(Array.from({ length: 3 }, () => 'report_unknown_output'));
  expect(host.leavesOf(KIND.report)).toEqual([]);
});

it('a host that reports before the signal was released: `report_unknown_output` REFUSED, and no leaf', async () => {
  const host = await boot();
  host.acknowledge = false;
  host.feed?.send(FRAME.batch, batch(0));
  await host.until(() => host.leavesOf(KIND.output).length === 1);
  const [output = -1] = host.leavesOf(KIND.output);
  host.feed?.send(FRAME.report, report(host, output));
  await host.until(() => refusals(host).length === 1);
  expect([refusals(host), host.leavesOf(KIND.report)]).toEqual([['report_unknown_output'], []]);
});

it('a host that changes the end of an order after the fact: `report_unknown_output` REFUSED, and no leaf', async () => {
  const { host, output } = await released();
  await send(host, [FRAME.report, report(host, output, { status: STATUS.cancelled, fills: [] })]);
  await send(host, [FRAME.report, report(host, output)]);
  await close(host);
  expect([refusals(host), host.leavesOf(KIND.report).length]).toEqual([
    ['report_unknown_output'],
    1,
  ]);
});

it('a host that passes a report of an earlier epoch off as one of this: `report_unknown_output` REFUSED, and no leaf', async () => {
  const { host, output } = await released();
  const old = report(host, output);
  await close(host);
  const next = await bootAfter(host);
  await send(next, [FRAME.report, old]);
  await close(next);
  expect([refusals(next), next.leavesOf(KIND.report)]).toEqual([['report_unknown_output'], []]);
});

it('a host that forges fills, or keeps silent about them: logged as its word, `forged_reports` in the verdicts', async () => {
  const { host, output } = await released();
  const golden = [{ number: 0, price: 1, quantity: 1000, fee: 0, timeNs: TIME_NS }];
  await send(host, batch(1));
  await send(host, [FRAME.report, report(host, output, { fills: golden })]);
  await close(host);
  const folder = await newVerifier();
  expect(unnamedIn(await verify(folder, [host]), 'forged_reports')).toEqual([]);
  const [index = -1] = host.leavesOf(KIND.report);
  const file = await folder.prove(index, '--key', folder.path('key.pem'));
  const { exit, verdict } = await folder.verifyProof(file, ...folder.trust());
  expect([exit, verdict.label]).toEqual([0, 'host']);
  expect(verdict.residual_risks).toContain('forged_reports');
  expect(assertAccepted(parseReport(host.open(index))).fills).toMatchObject([{ price: 1 }]);
});

it('a host that tells the end of an order in a later epoch, as it likes: a late report, `forged_reports` in the verdict', async () => {
  const { host, output } = await released();
  await close(host);
  const next = await bootAfter(host);
  const late = report(host, output, { epoch: 1 });
  const impossible = report(host, output, { epoch: 2 });
  await send(next, [FRAME.report, late], [FRAME.report, impossible]);
  await close(next);
  expect([refusals(next), next.leavesOf(KIND.report).length]).toEqual([
    ['report_unknown_output'],
    1,
  ]);
  const judged = await verify(await newVerifier(), [host, next]);
  expect(unnamedIn(judged, 'forged_reports')).toEqual([]);
  expect(judged.verdict.counts?.['report']).toBe(1);
});

it('a host that reads signals and trades before them: not found, `front_running` in the verdicts', async () => {
  const { host, output } = await released();
  expect(host.feedOf(FRAME.release)).toHaveLength(1);
  await close(host);
  const folder = await newVerifier();
  expect(unnamedIn(await verify(folder, [host]), 'front_running')).toEqual([]);
  const file = await folder.prove(output, '--key', folder.path('key.pem'));
  const { verdict } = await folder.verifyProof(file, ...folder.trust());
  expect(verdict.residual_risks).toContain('front_running');
});

it('a host that proves a trade that is not in the log: `inclusion_invalid`, `leaf_key_wrong` for another content', async () => {
  const { host, output } = await released();
  const other = await released();
  await close(host);
  const folder = await newVerifier();
  await verify(folder, [host]);
  const path = await folder.prove(output, '--key', folder.path('key.pem'));
  const file = assertAccepted(parseProofFile(new Uint8Array(await readFile(path))));
  const evidence = assertAccepted(parseEvidence(file.extra ?? new Uint8Array()));
  const foreign = { ...evidence, leaf: other.host.leaves[other.output] ?? new Uint8Array() };
  const twisted = { ...evidence, leafKey: new Uint8Array(32).fill(3) };
  for (const [code, forged] of [
    ['inclusion_invalid', foreign],
    ['leaf_key_wrong', twisted],
  ] as const) {
    await writeFile(path, encodeProofFile({ ...file, extra: encodeEvidence(forged) }));
    const { exit, verdict } = await folder.verifyProof(path, ...folder.trust());
    expect([verdict.code, exit]).toEqual([code, 1]);
  }
});
