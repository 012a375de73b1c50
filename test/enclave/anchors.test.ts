import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { ClockSource } from '../../enclave/clock.ts';
import type { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { checkPolicy } from '../../wire/attestation/policy.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseUserData } from '../../wire/attestation/parse-user-data.ts';
import { verifyAttestation } from '../../wire/attestation/verify.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND } from '../../wire/leaf.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { parseAnchor, parseHeartbeat } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { newNsm, startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { measurements, simulatedRoot, testBatch } from '../helpers/epoch-builder.ts';

vi.setConfig({ testTimeout: 20_000 });

const NEVER_MS = 3_600_000;

function every(changes: Partial<Configuration['intervals']>): Partial<Configuration> {
  return {
    intervals: { anchor_ms: NEVER_MS, heartbeat_ms: NEVER_MS, commit_ms: 1, ...changes },
  };
}

let root: SimulatedRoot;
beforeAll(async () => {
  root = await simulatedRoot();
});

/** Verifies the anchor as a verifier does and answers the size that it covers. */
function anchoredSize(host: TestHost, index: number): number {
  const { size, document } = assertAccepted(parseAnchor(host.open(index)));
  const rootDer = root.certificateDer;
  const verified = assertAccepted(verifyAttestation(nodeCrypto, document, { rootDer }));
  const header = assertAccepted(parseHeader(host.open(0)));
  const treeRoot = host.tree.root(size);
  assertAccepted(
    checkPolicy(nodeCrypto, verified, {
      pcrs: measurements,
      nonce: treeRoot,
      purpose: PURPOSE.anchor,
      origin: header.origin,
      configDigest: header.configurationDigest,
      publicKey: header.logKey,
    }),
  );
  const userData = assertAccepted(parseUserData(verified.document.userData ?? new Uint8Array()));
  const { head } = userData;
  return head?.size === size && toHex(head.root) === toHex(treeRoot) ? size : -1;
}

describe('time anchors', () => {
  it('come at their interval, over the last acknowledged head, and verify', async () => {
    const host = await startHost({ configuration: every({ anchor_ms: 100 }) });
    await host.ready();
    await host.until(() => host.leavesOf(KIND.anchor).length === 3);
    for (const index of host.leavesOf(KIND.anchor)) expect(anchoredSize(host, index)).toBe(index);
  });

  it('cover what is acknowledged, not what was sent', async () => {
    const host = await startHost({ configuration: every({ anchor_ms: 100 }) });
    await host.ready();
    await host.until(() => host.leaves.length === 4);
    host.acknowledge = false;
    await host.connectFeed();
    host.feed?.send(FRAME.batch, testBatch(0, 1_700_000_000_000_000_000n, STREAM_A));
    await host.until(() => host.leavesOf(KIND.anchor).length === 1);
    const [index = -1] = host.leavesOf(KIND.anchor);
    expect(assertAccepted(parseAnchor(host.open(index))).size).toBe(4);
  });

  it('stop signing for good when NSM time and the clock part', async () => {
    let skewMs = 0;
    const nsmDevice = await newNsm(() => Date.now() + skewMs);
    const host = await startHost({ nsmDevice, configuration: every({ anchor_ms: 100 }) });
    await host.ready();
    skewMs = 900;
    await host.until(() => host.leavesOf(KIND.anchor).length === 1);
    skewMs = 1500;
    expect(await host.end).toEqual({ code: 'clock_divergence' });
    const commits = host.commits.length;
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(host.commits).toHaveLength(commits);
    expect(host.diagnostics.at(-1)?.code).toBe('clock_divergence');
  });

  it('that the NSM refuses end the enclave', async () => {
    const real = await newNsm();
    let broken = false;
    const nsmDevice = {
      request: (bytes: Uint8Array): Promise<Uint8Array> =>
        broken ? Promise.reject(new Error('EIO')) : real.request(bytes),
    };
    const host = await startHost({ nsmDevice, configuration: every({ anchor_ms: 100 }) });
    await host.ready();
    broken = true;
    expect(await host.end).toEqual({ code: 'nsm_unavailable' });
  });
});

describe('heartbeats', () => {
  it('come after silence, and say what is acknowledged', async () => {
    const host = await startHost({ configuration: every({ heartbeat_ms: 100 }) });
    await host.ready();
    await host.until(() => host.leavesOf(KIND.heartbeat).length === 2);
    const [first = -1, second = -1] = host.leavesOf(KIND.heartbeat);
    const { timeNs } = host.leaf(first);
    expect(timeNs - host.leaf(first - 1).timeNs).toBeGreaterThanOrEqual(100_000_000n);
    const { acknowledgedSize } = assertAccepted(parseHeartbeat(host.open(second)));
    expect(acknowledgedSize).toBe(second);
  });

  it('do not come while leaves do', async () => {
    const host = await startHost({
      configuration: every({ anchor_ms: 100, heartbeat_ms: 1000 }),
    });
    await host.ready();
    await host.until(() => host.leavesOf(KIND.anchor).length === 12);
    expect(host.leavesOf(KIND.heartbeat)).toEqual([]);
  });
});

function movable(): ClockSource & { offsetNs: bigint } {
  const clock = {
    offsetNs: 0n,
    wallNs: (): bigint => BigInt(Date.now()) * 1_000_000n,
    monotonicNs: (): bigint => process.hrtime.bigint() + clock.offsetNs,
  };
  return clock;
}

describe('the clock', () => {
  it('that goes back ends the enclave before another leaf', async () => {
    const clock = movable();
    const host = await startHost({ clock });
    await host.ready();
    await host.until(() => host.leaves.length === 4);
    clock.offsetNs = -60_000_000_000n;
    await host.connectFeed();
    host.feed?.send(FRAME.batch, testBatch(0, 1_700_000_000_000_000_000n, STREAM_A));
    expect(await host.end).toEqual({ code: 'clock_backwards' });
    expect(host.leaves).toHaveLength(4);
  });

  it('that jumps ahead of NSM time is found by the next anchor', async () => {
    const clock = movable();
    const host = await startHost({ clock, configuration: every({ anchor_ms: 100 }) });
    await host.ready();
    clock.offsetNs = 5_000_000_000n;
    expect(await host.end).toEqual({ code: 'clock_divergence' });
  });
});
