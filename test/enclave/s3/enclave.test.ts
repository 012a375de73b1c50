// Whole enclaves under policy s3, over their own TLS to a simulated S3.

import { describe, expect, it, vi } from 'vitest';
import type { Fault } from '../../../simulator/s3/server.ts';
import { toHex } from '../../../wire/bytes.ts';
import { parseCommit } from '../../../wire/commit.ts';
import { parseHeader } from '../../../wire/header.ts';
import { KIND, parseLeaf } from '../../../wire/leaf.ts';
import { FRAME } from '../../../wire/messages.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import { MAX_COMMIT_GROUP_BYTES, parseCommitGroup } from '../../../wire/objects.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { parseSuperseded } from '../../../wire/parse-superseded.ts';
import { verifyNote } from '../../../wire/tlog/note.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { previousOf, STREAM_A } from '../../helpers/enclave-host.ts';
import { testBatch } from '../../helpers/epoch-builder.ts';
import { fakeStrategies } from '../../helpers/fake-strategy.ts';
import type { LeasedWorld } from '../../helpers/leased-enclave.ts';
import { leasedWorld } from '../../helpers/leased-enclave.ts';

vi.setConfig({ testTimeout: 30_000 });

const TIME_NS = 1_700_000_000_000_000_000n;
const AWAY: Fault = { type: 'refuse', status: 503, code: 'SlowDown' };

/** Ready, with a feed, and a strategy that answers each batch with one signal. */
async function ready(world: LeasedWorld, options = {}): Promise<TestHost> {
  const strategies = fakeStrategies({ limits: () => [100] });
  const host = await world.start({ strategies, ...options });
  await host.ready();
  await host.connectFeed();
  return host;
}

function feed(host: TestHost, sequence: number): void {
  host.feed?.send(FRAME.batch, testBatch(sequence, TIME_NS, STREAM_A));
}

async function allCommits(world: LeasedWorld, epoch: number): Promise<readonly Uint8Array[]> {
  const claim = await world.store.get(claimKey(epoch), MAX_COMMIT_GROUP_BYTES);
  const commits = claim === null ? [] : [claim.bytes];
  for (let number = 1; ; number++) {
    const object = await world.store.get(commitsKey(epoch, number), MAX_COMMIT_GROUP_BYTES);
    const group = object === null ? null : parseCommitGroup(object.bytes);
    if (group?.ok !== true) return commits;
    commits.push(...group.value);
  }
}

async function leavesInBucket(world: LeasedWorld, epoch: number): Promise<readonly string[]> {
  const commits = await allCommits(world, epoch);
  return commits.flatMap((bytes) => assertAccepted(parseCommit(bytes)).leaves.map(toHex));
}

describe('an epoch under policy s3', () => {
  it('is in the bucket leaf by leaf, and the close leaf is its last', async () => {
    const world = await leasedWorld();
    const host = await ready(world);
    for (let sequence = 0; sequence < 5; sequence++) feed(host, sequence);
    await host.until(() => host.feedOf(FRAME.release).length === 5);
    host.sendBoot(FRAME.close);
    expect(await host.end).toEqual({ code: null });
    const leaves = await leavesInBucket(world, 1);
    expect(leaves).toEqual(host.leaves.map(toHex));
    const last = assertAccepted(parseLeaf(host.leaves.at(-1) ?? new Uint8Array()));
    expect(last.kind).toBe(KIND.close);
    expect(assertAccepted(parseHeader(host.open(0))).commitPolicy).toBe('s3');
    for await (const { ordinal } of world.store.list('')) expect(ordinal).toBe(1);
  });

  it('asks for no object before the host has the commit', async () => {
    const world = await leasedWorld();
    const host = await ready(world);
    await host.until(() => host.leaves.length === 4);
    host.acknowledge = false;
    feed(host, 0);
    await host.until(() => host.leavesOf(KIND.output).length === 1);
    const puts = world.puts.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(world.puts.length).toBe(puts);
    expect(host.feedOf(FRAME.release)).toHaveLength(0);
    host.ackAll();
    await host.until(() => host.feedOf(FRAME.release).length === 1);
    host.enclave.fail('internal');
    await host.end;
  });

  it('waits while S3 is away, says so, takes no more than it can hold, and goes on', async () => {
    const world = await leasedWorld();
    const host = await ready(world, { timeouts: { logStallMs: 50 } });
    await host.until(() => host.leaves.length === 4);
    world.setFault(() => AWAY);
    for (let sequence = 0; sequence < 200; sequence++) feed(host, sequence);
    await host.until(() => host.diagnostics.some(({ code }) => code === 'log_stalled'));
    expect(host.feedOf(FRAME.release)).toHaveLength(0);
    expect(host.feedOf(FRAME.progress)).toHaveLength(0);
    world.setFault(null);
    await host.until(() => host.feedOf(FRAME.release).length === 200);
    expect(host.diagnostics.some(({ code }) => code === 'resumed')).toBe(true);
    host.sendBoot(FRAME.close);
    expect(await host.end).toEqual({ code: null });
    expect(await leavesInBucket(world, 1)).toEqual(host.leaves.map(toHex));
  });
});

describe('a second enclave', () => {
  it('of the same epoch ends before it is ready', async () => {
    const world = await leasedWorld();
    const first = await ready(world);
    const second = await world.start();
    expect(await second.failed()).toBe('epoch_claimed');
    feed(first, 0);
    await first.until(() => first.feedOf(FRAME.release).length === 1);
    first.enclave.fail('internal');
    await Promise.all([first.end, second.end]);
  });

  it('that takes over ends the first one at its next object, with nothing released', async () => {
    const world = await leasedWorld();
    const first = await ready(world);
    feed(first, 0);
    await first.until(() => first.feedOf(FRAME.release).length === 1);
    const groups = world.puts.filter((key) => key.includes('commits/')).length;
    const previous = previousOf(first, { nextCommit: groups + 1 });
    const second = await ready(world, { previous });
    feed(first, 1);
    expect(await first.end).toEqual({ code: 'superseded' });
    expect(first.feedOf(FRAME.release)).toHaveLength(1);
    feed(second, 0);
    await second.until(() => second.feedOf(FRAME.release).length === 1);

    const note = await world.store.get(commitsKey(1, groups + 1), 8192);
    const header = assertAccepted(parseHeader(second.open(0)));
    const text = verifyNote(
      nodeCrypto,
      note?.bytes ?? new Uint8Array(),
      header.origin,
      header.logKey,
    );
    expect(assertAccepted(parseSuperseded(assertAccepted(text)))).toEqual({
      origin: previous.origin,
      number: groups + 1,
      size: header.previous?.size,
      root: new Uint8Array(header.previous?.root ?? []),
      successor: header.origin,
    });
    second.enclave.fail('internal');
    await second.end;
  });
});

describe('a boot under policy s3', () => {
  it('ends with the code of what is wrong with the bucket', async () => {
    const world = await leasedWorld(false);
    const host = await world.start();
    expect(await host.failed()).toBe('bucket_unversioned');
    await host.end;
  });

  it('ends without credentials', async () => {
    const world = await leasedWorld();
    const host = await world.start({
      credentials: { accessKeyId: 'A', secretAccessKey: 'B', sessionToken: null, expiresMs: 0 },
      timeouts: { credentialsMs: 20 },
    });
    expect(await host.failed()).toBe('credentials_expired');
    await host.end;
  });

  it('ends when the bucket is not where it is measured to be', async () => {
    const world = await leasedWorld();
    const s3 = {
      region: 'eu-central-1',
      host: 'other.example',
      bucket: 'log-bucket',
      prefix: 'p',
      retention_days: 1,
    };
    const host = await world.start({ configuration: { s3 } });
    expect(await host.failed()).toBe('host_not_measured');
    await host.end;
  });
});
