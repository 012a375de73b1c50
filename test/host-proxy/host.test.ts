import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EpochExecution } from '../../host-proxy/epoch-services.ts';
import type { FeedSource } from '../../host-proxy/feed-session.ts';
import { DiskFailure } from '../../host-proxy/files.ts';
import { Host } from '../../host-proxy/host.ts';
import type { HostOptions } from '../../host-proxy/host.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { listEpochs } from '../../host-proxy/previous.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import type { Release } from '../../wire/messages.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { unixTransport } from '../../wire/node/unix.ts';
import { accept, assertAccepted, refuse } from '../../wire/result.ts';
import { FakeEnclave } from '../helpers/fake-enclave.ts';
import type { FakeEnclaveOptions } from '../helpers/fake-enclave.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';

const NO_SUMMARY = { accepted: 0 } as ReturnType<EpochExecution['summary']>;

/** Sends `count` small batches; forever (until aborted) without a count. */
function sourceOf(count: number | null): FeedSource {
  return async (sender, signal) => {
    let sequence = 0;
    for (; sequence < (count ?? Number.POSITIVE_INFINITY) && !signal.aborted; sequence++) {
      if (!(await sender.ready())) break;
      sender.send({
        stream: 1,
        sequence,
        timeNs: BigInt(sequence),
        rows: 3,
        bytes: new Uint8Array(100).fill(sequence),
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    return accept({
      messages: sequence,
      events: sequence * 3,
      batches: sequence,
      refusedLines: 0,
      firstTimeNs: 0n,
      lastTimeNs: 0n,
      ended: 'end',
    });
  };
}

function refusedExecution(): ReturnType<HostOptions['createExecution']> {
  return Promise.resolve(refuse('spool_corrupt'));
}

describe('host', () => {
  let directory: string;
  let files: MemoryFiles;
  let transport: Transport;
  /** What execution was asked to do, in order. */
  let calls: string[];
  let releases: Release[];
  const lines: string[] = [];
  const folders = (): HostOptions['folders'] => ({ state: join(directory, 'state'), log: '/log' });

  const optionsOf = (source: FeedSource, change: Partial<HostOptions> = {}): HostOptions => ({
    files,
    crypto: nodeCrypto,
    transport,
    folders: folders(),
    logger: createLogger({
      level: 'info',
      write: (line) => lines.push(line),
      now: () => new Date(0),
    }),
    command: null,
    timeouts: { readyMs: 5000, closeMs: 5000 },
    source,
    whenFull: 'wait',
    createExecution: (log, origin, report) => {
      calls.push(`execution ${origin}`);
      const execution: EpochExecution = {
        start: () => Promise.resolve(),
        logged: () => undefined,
        finish: () => {
          calls.push('finish');
          return Promise.resolve();
        },
        holdBatch: ({ sequence }) => calls.push(`hold ${sequence}`),
        release: (release) => {
          calls.push(`release ${release.leafIndex}`);
          expect(log.leaf(release.leafIndex)).not.toBeNull();
          releases.push(release);
          report(Uint8Array.of(release.leafIndex));
        },
        progress: ({ sequence }) => {
          calls.push(`progress ${sequence}`);
          return Promise.resolve();
        },
        close: () => {
          calls.push('close');
          return Promise.resolve();
        },
        summary: () => NO_SUMMARY,
      };
      return Promise.resolve(accept(execution));
    },
    configuration: new Uint8Array([1]),
    logId: 'trackseal.test/log',
    items: [],
    restart: false,
    segmentBytes: 64 * 1024,
    tiles: null,
    ingress: null,
    ...change,
  });

  /** Starts an enclave for each epoch that the host waits for. */
  const supply = (...plans: Omit<FakeEnclaveOptions, 'transport'>[]): FakeEnclave[] => {
    const enclaves: FakeEnclave[] = [];
    const next = (): void => {
      const plan = plans.shift();
      if (plan === undefined) return;
      const enclave = new FakeEnclave({ transport, ...plan });
      enclaves.push(enclave);
      // The host settles the epoch first.
      void enclave.ended.then(() => setTimeout(next, 1000));
    };
    next();
    return enclaves;
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'host-'));
    files = new MemoryFiles();
    transport = unixTransport(directory);
    calls = [];
    releases = [];
    lines.length = 0;
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('runs an epoch to the end of its feed and closes it', async () => {
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(20))));
    const running = host.run();
    const [enclave] = supply({ outputs: true });
    const summary = assertAccepted(await running);
    expect(summary.clean).toBe(true);
    expect(summary.epochs).toHaveLength(1);
    expect(summary.epochs[0]).toMatchObject({
      epoch: 1,
      origin: 'trackseal.test/log/e0000000001',
      ready: true,
      closed: true,
      feedComplete: true,
      code: null,
      size: enclave?.writer.size,
      unreleased: [],
      feed: { events: 60, batchesSent: 20, batchesDone: 20, signals: 20, reports: 20 },
    });
    expect(enclave?.reports).toHaveLength(20);
    expect(enclave?.boot.map(({ type }) => type)).toEqual([
      FRAME.config,
      FRAME.previous,
      FRAME.go,
      FRAME.close,
    ]);
    expect(calls.slice(-2)).toEqual(['close', 'finish']);
    // A release comes before the progress of its batch.
    expect(calls.indexOf('release 2')).toBeLessThan(calls.indexOf('progress 0'));
    expect(listEpochs(files, folders())).toEqual([1]);
    expect(files.list(`${folders().state}/spool`)).toEqual([]);
  });

  it('journals a release durably before execution hears of it', async () => {
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(1))));
    const running = host.run();
    const gate = Promise.withResolvers<null>();
    const recorded = Promise.withResolvers<null>();
    files.beforeSync = async () => {
      const last = files.trace.at(-1) ?? '';
      if (!last.includes('/releases/') || !last.startsWith('fdatasync')) return;
      recorded.resolve(null);
      await gate.promise;
    };
    supply({ outputs: true });
    await recorded.promise;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(releases).toEqual([]);
    gate.resolve(null);
    assertAccepted(await running);
    expect(releases).toHaveLength(1);
  });

  it('offers the next epoch what the last one left, and names what it never released', async () => {
    const options = { ...optionsOf(sourceOf(10)), restart: true };
    const host = assertAccepted(await Host.open(options));
    const running = host.run();
    const enclaves = supply({ outputs: true, dieAtBatch: 4 }, { outputs: true });
    const summary = assertAccepted(await running);
    expect(summary).toMatchObject({
      clean: true,
      epochs: [
        { epoch: 1, closed: false, feedComplete: false },
        { epoch: 2, closed: true, feedComplete: true },
      ],
    });
    const [first, second] = enclaves;
    const { previous } = second ?? { previous: null };
    const unreleased = summary.epochs[0]?.unreleased ?? [];
    expect(unreleased.length).toBeGreaterThan(0);
    expect(previous).toMatchObject({ origin: first?.writer.header.origin, unreleased });
    const released = new Set(releases.map(({ leafIndex }) => leafIndex));
    for (const index of unreleased) {
      const leaf = assertAccepted(parseLeaf(first?.writer.leaves[index] ?? new Uint8Array()));
      expect(leaf.kind).toBe(KIND.output);
    }
    expect(released.size).toBeGreaterThan(0);
  });

  it('closes cleanly when it is stopped in the middle', async () => {
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(null))));
    const running = host.run();
    supply({ outputs: true });
    while (releases.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
    host.stop();
    const summary = assertAccepted(await running);
    expect(summary).toMatchObject({
      clean: true,
      epochs: [{ closed: true, feedComplete: false, unreleased: [] }],
    });
    const { feed } = summary.epochs[0] ?? {};
    expect(feed?.batchesDone).toBe(feed?.batchesSent);
  });

  it('ends when it is stopped before an enclave came', async () => {
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(1))));
    const running = host.run();
    await new Promise((resolve) => setTimeout(resolve, 20));
    host.stop();
    const summary = assertAccepted(await running);
    expect(summary).toMatchObject({ clean: true, epochs: [{ ready: false, size: 0 }] });
    expect(files.list(`${folders().state}/spool`)).toEqual([]);
    expect(files.list(`${folders().state}/releases`)).toEqual([]);
  });

  it('does not start again what cannot succeed, and starts again what may', async () => {
    const options = { ...optionsOf(sourceOf(1)), restart: true };
    const hopeless = assertAccepted(await Host.open(options));
    const running = hopeless.run();
    supply({ fail: 'commitment_mismatch' });
    expect(assertAccepted(await running)).toMatchObject({
      clean: false,
      epochs: [{ code: 'commitment_mismatch', ready: false }],
    });
    const again = assertAccepted(await Host.open(options));
    const second = again.run();
    supply({ fail: 'nsm_error' }, {});
    expect(assertAccepted(await second)).toMatchObject({
      clean: true,
      epochs: [
        { epoch: 1, code: 'nsm_error', ready: false },
        { epoch: 1, closed: true },
      ],
    });
  });

  it('does not believe a READY that contradicts the log', async () => {
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(1))));
    const running = host.run();
    supply({ wrongReady: true });
    expect(assertAccepted(await running)).toMatchObject({
      epochs: [{ ready: false, code: 'header_mismatch' }],
    });
  });

  it('closes the epoch and ends when execution cannot begin', async () => {
    const change = { createExecution: refusedExecution, restart: true };
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(null), change)));
    const running = host.run();
    supply({}, {});
    expect(assertAccepted(await running)).toMatchObject({
      clean: false,
      epochs: [{ code: 'spool_corrupt', closed: true, feedFailed: true }],
    });
  });

  it('gives up on an enclave that does not become ready in time', async () => {
    const timeouts = { readyMs: 50, closeMs: 50 };
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(1), { timeouts })));
    expect(assertAccepted(await host.run())).toMatchObject({
      epochs: [{ ready: false, code: 'boot_timeout' }],
    });
  });

  it.each([
    ['the spool', 'fdatasync'],
    ['the folder', 'chmod'],
  ])('stops when %s fails', async (_, operation) => {
    const host = assertAccepted(await Host.open(optionsOf(sourceOf(null))));
    const running = host.run();
    const enclaves = supply({ outputs: true });
    while (calls.length < 20) await new Promise((resolve) => setTimeout(resolve, 5));
    const at = files.trace.filter((line) => line.startsWith(operation)).length;
    files.fault = { operation, at, systemCode: 'EIO' };
    await expect(running).rejects.toThrow(DiskFailure);
    const acknowledged = host.numbers.leaves;
    enclaves[0]?.die();
    // All that was acknowledged is there at the next start.
    const disk = files.afterCrash('nothing');
    const next = await Host.open({ ...optionsOf(sourceOf(1)), files: disk });
    expect(next.ok).toBe(true);
    if (next.ok) next.value.stop();
    expect(sizeOf(disk)).toBeGreaterThanOrEqual(acknowledged);
  });

  it('refuses a state folder that another host uses, and a log folder of another log', async () => {
    const first = assertAccepted(await Host.open(optionsOf(sourceOf(1))));
    expect(await Host.open(optionsOf(sourceOf(1)))).toMatchObject({
      refusal: { code: 'folder_in_use' },
    });
    const running = first.run();
    supply({});
    assertAccepted(await running);
    const other = { ...optionsOf(sourceOf(1)), logId: 'trackseal.test/other' };
    const second = assertAccepted(await Host.open(other));
    expect(await second.run()).toMatchObject({ refusal: { code: 'origin_mismatch' } });
  });
});

function sizeOf(files: MemoryFiles): number {
  const note = files.readFile('/log/epochs/0000000001/checkpoint', 4096);
  return Number(
    Buffer.from(note ?? [])
      .toString()
      .split('\n')[1] ?? 0,
  );
}
