import { describe, expect, it, vi } from 'vitest';
import { toHex } from '../../wire/bytes.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND } from '../../wire/leaf.ts';
import { FRAME, parseProgress, parseRelease, PORT } from '../../wire/messages.ts';
import { EpochVerifier } from '../../wire/log-verification/epoch-verifier.ts';
import type { EpochFacts } from '../../wire/log-verification/epoch-verifier.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { CLOSE_REASON, parseClose, parseRecovery, parseSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { HostOptions, TestHost } from '../helpers/enclave-host.ts';
import { checkpointOf, previousOf, startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { complianceKeys, testBatch, testTrust } from '../helpers/epoch-builder.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';

vi.setConfig({ testTimeout: 20_000 });

const TIME_NS = 1_700_000_000_000_000_000n;
const NONE = new Uint8Array(0);
const NO_COMMIT = { epoch: 0, firstIndex: 0, leaves: [], blobs: [], note: NONE };

/** What the verifier, with compliance's key, says of all that was logged. */
async function verifyLog(host: TestHost): Promise<EpochFacts> {
  const verifier = new EpochVerifier(nodeCrypto, await testTrust(), complianceKeys());
  const entries = assertAccepted(verifier.parse(host.leaves));
  assertAccepted(verifier.add(entries, new Map()));
  for (const { note } of host.commits) assertAccepted(verifier.checkNote(note));
  return assertAccepted(verifier.finish(host.commits.at(-1)?.note ?? NONE));
}

async function startFed(batches: number, options: HostOptions = {}): Promise<TestHost> {
  const strategies = fakeStrategies({ limits: (_, count) => (count === 1 ? [424_242] : []) });
  const host = await startHost({ strategies, ...options });
  await host.ready();
  await host.connectFeed();
  for (let sequence = 0; sequence < batches; sequence++) {
    host.feed?.send(FRAME.batch, testBatch(sequence, TIME_NS, STREAM_A));
  }
  await host.until(() => host.feedOf(FRAME.progress).length === batches);
  return host;
}

describe('one epoch', () => {
  it('boots, logs inputs and outputs, releases, closes; the verifier accepts all of it', async () => {
    const host = await startFed(3);
    const releases = host.feedOf(FRAME.release).map((bytes) => assertAccepted(parseRelease(bytes)));
    expect(releases).toHaveLength(1);
    expect(assertAccepted(parseSignal(releases[0]?.plaintext ?? NONE)).limit).toBe(424_242);
    const progress = host.feedOf(FRAME.progress).map((bytes) => {
      return assertAccepted(parseProgress(bytes)).sequence;
    });
    expect(progress).toEqual([0, 1, 2]);
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: null });
    const kinds = host.parsedLeaves().map(({ kind }) => kind);
    expect(kinds.slice(0, 5)).toEqual([
      KIND.header,
      KIND.attestation,
      KIND.seed,
      KIND.strategyEvent,
      KIND.input,
    ]);
    expect(kinds.slice(-2)).toEqual([KIND.anchor, KIND.close]);
    expect(host.diagnostics.map(({ code }) => code)).toEqual(['ready', 'closing', 'closed']);
    const facts = await verifyLog(host);
    expect(facts.closeReason).toBe(CLOSE_REASON.signal);
    expect(facts.rows).toBe(3);
    expect(facts.privateOpened).toBe(2);
  });

  it('takes its log writes and everything else in slices of 32 KiB', async () => {
    const host = await startFed(200);
    expect(host.largestWrite).toBeGreaterThan(1000);
    expect(host.largestWrite).toBeLessThanOrEqual(32 * 1024);
  });
});

describe('a close', () => {
  it('comes by the host too, lets strategies finish, and happens once', async () => {
    const strategies = fakeStrategies({ limits: () => [500], manual: true });
    const host = await startHost({ strategies });
    await host.ready();
    await host.connectFeed();
    host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    const [strategy] = strategies.started;
    await host.until(() => strategy?.inputs.length === 1);
    host.sendBoot(FRAME.close);
    host.sendBoot(FRAME.close);
    await host.until(() => host.diagnostics.some(({ code }) => code === 'closing'));
    // Not taken any more: it has no leaf and gets no progress.
    host.feed?.send(FRAME.batch, testBatch(1, TIME_NS, STREAM_A));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.leavesOf(KIND.close)).toEqual([]);
    strategy?.answer();
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: null });
    host.enclave.close(CLOSE_REASON.signal);
    host.enclave.fail('internal');
    expect(strategy?.stopped).toBe(true);
    expect(host.feedOf(FRAME.release)).toHaveLength(1);
    expect(host.leavesOf(KIND.input)).toHaveLength(1);
    const last = host.leaves.length - 1;
    expect(host.leavesOf(KIND.close)).toEqual([last]);
    expect(assertAccepted(parseClose(host.open(last)))).toBe(CLOSE_REASON.host);
    expect((await verifyLog(host)).closeReason).toBe(CLOSE_REASON.host);
  });

  it('that is never acknowledged is an unclean end', async () => {
    const host = await startFed(1, { timeouts: { closeMs: 100 } });
    host.acknowledge = false;
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: 'log_unavailable' });
  });
});

describe('a stall of the log', () => {
  it('ends nothing: the enclave says so, releases nothing, and goes on with the acknowledgements', async () => {
    const host = await startFed(1, { timeouts: { logStallMs: 20, countersMs: 10 } });
    host.acknowledge = false;
    host.feed?.send(FRAME.batch, testBatch(1, TIME_NS, STREAM_A));
    const stalls = (): readonly number[] =>
      host.diagnostics.flatMap(({ code, counters }) =>
        code === 'log_stalled' ? [counters['log_stalled_ms'] ?? 0] : [],
      );
    // It is said again and again, and for how long.
    await host.until(() => stalls().length >= 5);
    expect(stalls()).toEqual(stalls().toSorted((a, b) => a - b));
    expect(stalls().at(-1)).toBeGreaterThan(20);
    expect(host.leavesOf(KIND.output)).toHaveLength(1);
    expect(host.feedOf(FRAME.release)).toEqual([]);
    expect(host.feedOf(FRAME.progress)).toHaveLength(1);
    // The last acknowledgement once more is no progress.
    const { size } = checkpointOf(host.commits.at(-1) ?? NO_COMMIT);
    const told = host.diagnostics.at(-1)?.counters['acknowledged_size'] ?? 0;
    expect(told).toBeLessThan(size);
    host.sendAck(told, host.tree.root(told));
    const before = stalls().length;
    await host.until(() => stalls().length > before);
    expect(host.diagnostics.some(({ code }) => code === 'resumed')).toBe(false);

    host.acknowledge = true;
    host.ackAll();
    await host.until(() => host.feedOf(FRAME.progress).length === 2);
    expect(host.feedOf(FRAME.release)).toHaveLength(1);
    await host.until(() => host.diagnostics.some(({ code }) => code === 'resumed'));
    const codes = host.diagnostics.map(({ code }) => code);
    expect(codes.filter((code) => code === 'resumed')).toHaveLength(1);
    expect(codes.lastIndexOf('log_stalled')).toBeLessThan(codes.indexOf('resumed'));
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: null });
    expect((await verifyLog(host)).rows).toBe(2);
  });
});

describe('a stop', () => {
  it('follows the loss of the log stream, and nothing is signed or released after it', async () => {
    const host = await startFed(1);
    host.acknowledge = false;
    const strategy = host.strategies.started[0];
    host.feed?.send(FRAME.batch, testBatch(1, TIME_NS, STREAM_A));
    await host.until(() => host.leavesOf(KIND.output).length === 1);
    host.wires.get(PORT.log)?.host.destroy();
    expect(await host.end).toEqual({ code: 'log_unavailable' });
    expect(host.diagnostics.at(-1)?.code).toBe('log_unavailable');
    expect(await host.failed()).toBe('log_unavailable');
    expect(host.feedOf(FRAME.release)).toEqual([]);
    expect(strategy?.stopped).toBe(true);
    expect(host.listens(PORT.feed) || host.listens(PORT.https)).toBe(false);
  });

  it('says nothing but the code and counters', async () => {
    const host = await startFed(1);
    host.enclave.fail('internal');
    await host.end;
    const last = host.diagnostics.at(-1);
    expect(last?.code).toBe('internal');
    expect(last?.counters['leaves']).toBe(host.leaves.length);
    expect(last?.counters['batches']).toBe(1);
  });
});

describe('the next epoch', () => {
  it('after a clean end links to its head, without a recovery leaf', async () => {
    const first = await startFed(2);
    first.enclave.close(CLOSE_REASON.signal);
    await first.end;
    const second = await startHost({ previous: previousOf(first) });
    const ready = await second.ready();
    expect(ready.origin).toBe('trackseal.test/log/e0000000002');
    const { previous, epoch, logKey } = assertAccepted(parseHeader(second.open(0)));
    expect(epoch).toBe(2);
    expect(previous?.size).toBe(first.tree.size);
    expect(toHex(previous?.root ?? NONE)).toBe(toHex(first.tree.root()));
    expect(previous?.clean).toBe(true);
    const firstKey = assertAccepted(parseHeader(first.open(0))).logKey;
    expect(toHex(previous?.logKeyHash ?? NONE)).toBe(toHex(nodeCrypto.sha256(firstKey)));
    expect(toHex(logKey)).not.toBe(toHex(firstKey));
    expect(second.leavesOf(KIND.recovery)).toEqual([]);
  });

  it('after an unclean end says so, and lists what was never released', async () => {
    const first = await startFed(2);
    const [output = -1] = first.leavesOf(KIND.output);
    first.enclave.fail('internal');
    await first.end;
    const second = await startHost({ previous: previousOf(first, { unreleased: [output] }) });
    await second.ready();
    const { previous } = assertAccepted(parseHeader(second.open(0)));
    expect(previous?.clean).toBe(false);
    const [recovery = -1] = second.leavesOf(KIND.recovery);
    expect(recovery).toBe(2);
    // An epoch that ends before its second commit has said it too.
    expect(second.commits[0]?.leaves).toHaveLength(3);
    expect(assertAccepted(parseRecovery(second.open(recovery)))).toEqual({
      previousEpoch: 1,
      unreleased: [output],
    });
    second.enclave.close(CLOSE_REASON.signal);
    await second.end;
    await verifyLog(second);
  });

  it('after a clean end with unreleased outputs lists them too', async () => {
    const first = await startFed(2);
    first.enclave.close(CLOSE_REASON.signal);
    await first.end;
    const second = await startHost({ previous: previousOf(first, { unreleased: [7] }) });
    await second.ready();
    expect(second.leavesOf(KIND.recovery)).toEqual([2]);
  });
});
