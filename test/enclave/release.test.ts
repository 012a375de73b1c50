import { describe, expect, it, vi } from 'vitest';
import { toHex } from '../../wire/bytes.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND, leafKey } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { FRAME, parseProgress, parseRelease } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { checkpointOf, startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { testBatch } from '../helpers/epoch-builder.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';

vi.setConfig({ testTimeout: 20_000 });

/** A price whose eight bytes occur nowhere by accident. */
const LIMIT = 0x0d_15ea_5eda_badb;
const TIME_NS = 1_700_000_000_000_000_000n;

function everything(host: TestHost): Buffer {
  return Buffer.concat([...host.tapped.values()].flat());
}

/** A ready enclave with a feed, whose strategy answers the first batch with one signal. */
async function startWithoutAcks(): Promise<TestHost> {
  const strategies = fakeStrategies({ limits: (_, count) => (count === 0 ? [LIMIT] : []) });
  const host = await startHost({ strategies });
  await host.ready();
  // Seed and start event are durable too, so that what is missing later is the output's commit.
  await host.until(() => host.leaves.length === 4);
  host.acknowledge = false;
  await host.connectFeed();
  return host;
}

describe('an output before its acknowledgement', () => {
  it('is in none of the bytes that left, and nothing that left opens it', async () => {
    const host = await startWithoutAcks();
    host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    await host.until(() => host.leavesOf(KIND.output).length === 1);
    await new Promise((resolve) => setTimeout(resolve, 30));

    const [index = -1] = host.leavesOf(KIND.output);
    const plaintext = host.open(index);
    const left = everything(host);
    const limit = Buffer.alloc(8);
    limit.writeBigUInt64BE(BigInt(LIMIT));
    expect(Buffer.from(plaintext).includes(limit)).toBe(true);
    expect(left.includes(host.leaves[index] ?? 'x')).toBe(true);
    expect(left.includes(plaintext)).toBe(false);
    expect(left.includes(limit)).toBe(false);
    expect(host.feedFrames).toEqual([]);

    // Every 32 bytes that left, taken as the leaf's key, the disclosure key, or compliance's.
    const leaf = host.leaf(index);
    const header = assertAccepted(parseHeader(host.open(0)));
    const { origin, wrappedDisclosureKey } = header;
    const opens = (key: Uint8Array): boolean => openLeaf(nodeCrypto, leaf, key, null).ok;
    let tried = 0;
    for (let at = 0; at + 32 <= left.length; at++) {
      const window = left.subarray(at, at + 32);
      tried++;
      expect(opens(window)).toBe(false);
      expect(opens(leafKey(nodeCrypto, window, origin, index))).toBe(false);
      // An X25519 operation costs more: only at the steps where fields of 32 bytes may begin.
      if (at % 16 !== 0) continue;
      const keys = { privateKey: window, publicKey: window };
      expect(unwrapDisclosureKey(nodeCrypto, wrappedDisclosureKey, keys, origin).ok).toBe(false);
    }
    expect(tried).toBeGreaterThan(5000);

    host.ackAll();
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
    expect(everything(host).includes(limit)).toBe(true);
    const release = assertAccepted(parseRelease(host.feedOf(FRAME.release)[0] ?? new Uint8Array()));
    expect(release.leafIndex).toBe(index);
    expect(toHex(release.plaintext)).toBe(toHex(plaintext));
    expect(toHex(nodeCrypto.sha256(release.salt, release.plaintext))).toBe(toHex(leaf.digest));
    const progress = host.feedOf(FRAME.progress)[0] ?? new Uint8Array();
    expect(assertAccepted(parseProgress(progress))).toEqual({
      stream: STREAM_A,
      sequence: 0,
      leafIndex: index - 1,
      acknowledgedSize: index + 1,
    });
  });
});

describe('releases', () => {
  it('need an acknowledgement of the size that covers the leaf', async () => {
    const strategies = fakeStrategies({ limits: () => [LIMIT, LIMIT + 1], manual: true });
    const host = await startHost({ strategies });
    await host.ready();
    await host.until(() => host.leaves.length === 4);
    host.acknowledge = false;
    await host.connectFeed();
    host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    host.feed?.send(FRAME.batch, testBatch(1, TIME_NS, STREAM_A));
    await host.until(() => host.leavesOf(KIND.input).length === 2);
    strategies.started[0]?.answer();
    await host.until(() => host.leavesOf(KIND.output).length === 2);
    strategies.started[0]?.answer();
    await host.until(() => host.leavesOf(KIND.output).length === 4);

    for (const commit of host.commits) {
      const { size, root } = checkpointOf(commit);
      if (size <= 4) continue;
      host.sendAck(size, root);
      const due = host.leavesOf(KIND.output).filter((index) => index < size);
      await host.until(() => host.feedOf(FRAME.release).length === due.length);
      await new Promise((resolve) => setTimeout(resolve, 5));
      const released = host.feedOf(FRAME.release).map((bytes) => {
        return assertAccepted(parseRelease(bytes)).leafIndex;
      });
      expect(released).toEqual(due);
    }
    // Progress of a batch follows its releases.
    expect(host.feedFrames.map(({ type }) => type)).toEqual([
      FRAME.release,
      FRAME.release,
      FRAME.progress,
      FRAME.release,
      FRAME.release,
      FRAME.progress,
    ]);
  });

  it('close the commit of their leaf at once, without waiting for its timer', async () => {
    const strategies = fakeStrategies({ limits: () => [LIMIT] });
    const host = await startHost({ strategies });
    await host.ready();
    await host.connectFeed();
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
      await host.until(() => host.feedOf(FRAME.progress).length === 1);
    } finally {
      vi.useRealTimers();
    }
    expect(host.feedOf(FRAME.release)).toHaveLength(1);
  });

  it('without a feed stream wait for the next one', async () => {
    const host = await startWithoutAcks();
    const first = host.feed;
    first?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    await host.until(() => host.leavesOf(KIND.output).length === 1);
    await first?.close();
    await new Promise((resolve) => setTimeout(resolve, 10));
    host.acknowledge = true;
    host.ackAll();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(host.feedFrames).toEqual([]);
    await host.connectFeed();
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
    expect(host.feedOf(FRAME.release)).toHaveLength(1);
  });
});
