// Lies about what is durable, told to the enclave by acknowledgements.

import { expect, it } from 'vitest';
import { KIND } from '../../wire/leaf.ts';
import { FRAME } from '../../wire/messages.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { checkpointOf } from '../helpers/enclave-host.ts';
import {
  attest,
  batch,
  boot,
  bootAfter,
  close,
  unnamedIn,
  refusalOf,
  get,
  logOf,
  newVerifier,
  serve,
  send,
  trader,
  verify,
} from './stage.ts';

/** Two signals whose leaves have left the enclave, each in a commit that nobody has acknowledged. */
async function withheld(): Promise<TestHost> {
  const host = await boot({ strategies: trader() });
  await send(host, batch(0));
  host.acknowledge = false;
  for (const sequence of [1, 2]) {
    host.feed?.send(FRAME.batch, batch(sequence));
    await host.until(() => host.leavesOf(KIND.output).length === sequence + 1);
  }
  expect(released(host)).toBe(1);
  return host;
}

const NO_COMMIT = {
  epoch: 0,
  firstIndex: 0,
  leaves: [],
  blobs: [],
  note: new Uint8Array(),
};

function released(host: TestHost): number {
  return host.feedOf(FRAME.release).length;
}

/** Heads of the commits, the oldest first. */
function headsOf(host: TestHost): readonly ReturnType<typeof checkpointOf>[] {
  return host.commits.map(checkpointOf);
}

/** How the enclave ended, what it gave away, and what its log, as far as it was kept, says of that. */
async function fateOf(host: TestHost): Promise<object> {
  const { code } = await host.end;
  const told = [await host.failed(), host.diagnostics.at(-1)?.code];
  const folder = await newVerifier();
  const open = await verify(folder, [host]);
  const next = await bootAfter(host);
  await close(next);
  const before = await verify(folder, [host, next], undefined, '--epoch', '1');
  return {
    code,
    told,
    released: released(host),
    open: [open.exit, open.verdict.end, unnamedIn(open, 'tail_cut')],
    later: [before.exit, before.verdict.end],
  };
}

function ended(releases: number): object {
  return {
    code: 'ack_unknown',
    told: ['ack_unknown', 'ack_unknown'],
    released: releases,
    open: [0, 'open', []],
    later: [0, 'unclean'],
  };
}

it('a host that forges the root of an acknowledgement: `ack_unknown` FAILED, nothing is released, end `unclean`', async () => {
  const host = await withheld();
  const { size, root } = checkpointOf(host.commits.at(-1) ?? NO_COMMIT);
  host.sendAck(size, root.with(31, (root.at(31) ?? 0) ^ 1));
  expect(await fateOf(host)).toEqual(ended(1));
});

it('a host that acknowledges what was never sent: `ack_unknown` FAILED, nothing is released, end `unclean`', async () => {
  const host = await withheld();
  host.sendAck(host.tree.size + 1, host.tree.root());
  expect(await fateOf(host)).toEqual(ended(1));
});

it('a host that acknowledges in the middle of a commit: `ack_unknown` FAILED, nothing is released, end `unclean`', async () => {
  const host = await withheld();
  const sizes = new Set(headsOf(host).map(({ size }) => size));
  const inside = Array.from({ length: host.tree.size }, (_, at) => at).findLast(
    (size) => !sizes.has(size),
  );
  host.sendAck(inside ?? -1, host.tree.root(inside ?? 0));
  expect(await fateOf(host)).toEqual(ended(1));
});

it('a host that acknowledges for another epoch: `ack_unknown` FAILED, nothing is released, end `unclean`', async () => {
  const host = await withheld();
  host.sendAck(host.tree.size, host.tree.root(), 2);
  expect(await fateOf(host)).toEqual(ended(1));
});

it('a host that acknowledges out of order: the later one counts for both, `ack_unknown` FAILED at the earlier, end `unclean`', async () => {
  const host = await withheld();
  const [earlier, later] = headsOf(host).slice(-2);
  host.sendAck(later?.size ?? 0, later?.root ?? new Uint8Array());
  await host.until(() => released(host) === 3);
  host.sendAck(earlier?.size ?? 0, earlier?.root ?? new Uint8Array());
  expect(await fateOf(host)).toEqual(ended(3));
});

it('a host that repeats an acknowledgement: no effect', async () => {
  const host = await withheld();
  const told = host.diagnostics.length;
  host.acknowledge = true;
  for (let count = 0; count < 3; count++) host.ackAll();
  await send(host, batch(3));
  await close(host);
  expect(released(host)).toBe(4);
  expect(host.diagnostics.slice(told).map(({ code }) => code)).not.toContain('ack_unknown');
});

it('a host that withholds acknowledgements: nothing is released, `log_stalled` in the diagnostics, 503 on /ready', async () => {
  const host = await boot({ strategies: trader(), timeouts: { logStallMs: 20, countersMs: 10 } });
  const url = await serve(host);
  await send(host, batch(0));
  host.acknowledge = false;
  host.feed?.send(FRAME.batch, batch(1));
  await host.until(() => host.diagnostics.some(({ code }) => code === 'log_stalled'));
  expect(host.leavesOf(KIND.output)).toHaveLength(2);
  expect([released(host), (await get(`${url}/ready`)).status]).toEqual([1, 503]);
  // A challenge is answered with the last head that was acknowledged.
  const { report } = await attest(await newVerifier(), url);
  expect(report.user_data?.head?.size).toBeLessThan(host.tree.size);
  host.acknowledge = true;
  host.ackAll();
  await host.until(() => released(host) === 2);
  await close(host);
  expect(unnamedIn(await verify(await newVerifier(), [host]), 'stopped_at_will', 'delay')).toEqual(
    [],
  );
});

it('a host that acknowledges what it does not keep: `rollback` for who was shown a head, `tail_cut` in the verdict for others', async () => {
  const host = await boot();
  const url = await serve(host);
  await send(host, batch(0));
  const kept = host.commits.length;
  await send(host, batch(1));
  expect(released(host)).toBe(2);
  const [shown, other] = [await newVerifier(), await newVerifier()];
  expect((await attest(shown, url)).exit).toBe(0);
  host.enclave.fail('internal');
  await host.end;
  const cut = logOf(host, kept);
  await shown.write([cut]);
  expect(refusalOf(await shown.verifyAgain())).toBe('rollback');
  await other.write([cut]);
  const judged = await other.verifyAgain();
  expect(unnamedIn(judged, 'tail_cut')).toEqual([]);
  expect(judged.verdict.counts?.['output']).toBe(1);
});
