import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EpochExecution } from '../../host-proxy/epoch-services.ts';
import type { FeedSource } from '../../host-proxy/feed-session.ts';
import { writeDurably } from '../../host-proxy/durable-file.ts';
import { DiskFailure, makeDirectories } from '../../host-proxy/files.ts';
import { Host } from '../../host-proxy/host.ts';
import type { HostOptions } from '../../host-proxy/host.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { listEpochs } from '../../host-proxy/previous.ts';
import { spoolDirectory } from '../../host-proxy/recovery.ts';
import { Shipper } from '../../host-proxy/ship/shipper.ts';
import {
  encodeHandOverRequest,
  HAND_OVER_DONE,
  HAND_OVER_REQUEST,
  requestsDirectory,
} from '../../host-proxy/requests.ts';
import { DataKeyStore } from '../../host-proxy/secrets/data-key-store.ts';
import { readSpool } from '../../host-proxy/spool.ts';
import { parseDataKeys, parseHandOver } from '../../wire/kms-messages.ts';
import { encodeDataKeyRecord } from '../../wire/sealed.ts';
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
import { MemoryStore } from '../helpers/memory-store.ts';
import { readShippedLog } from '../helpers/shipped-log.ts';

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
      ended: signal.aborted ? 'aborted' : 'end',
    });
  };
}

/** The disk of a test does in these turns whatever it was asked to. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
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

  // Data keys are on the test's disk.
  const keeping = (Store: typeof DataKeyStore = DataKeyStore): Partial<HostOptions> => {
    const { state } = folders();
    const directory = `${state}/data-keys`;
    const requests = requestsDirectory(state);
    const dataKeys = new Store({ files, directory, requests, names: ['venue'] });
    return { secrets: { sealed: [], dataKeys, credentials: null } };
  };

  /** `held` resolves when the host has seen that it lacks a key; it asks for what it keeps then. */
  const watched = (): { readonly change: Partial<HostOptions>; held: Promise<null> } => {
    const held = Promise.withResolvers<null>();
    class Watched extends DataKeyStore {
      override get kept(): DataKeyStore['kept'] {
        held.resolve(null);
        return super.kept;
      }
    }
    return { change: keeping(Watched), held: held.promise };
  };

  const spooled = (disk: MemoryFiles): number =>
    [...readSpool(disk, spoolDirectory(folders(), 1))].length;

  /** As the command does. */
  const ask = async (text?: string): Promise<void> => {
    const directory = requestsDirectory(folders().state);
    const pcrs = ['01', '02', '03'].map((byte) => byte.repeat(48));
    const request = encodeHandOverRequest(pcrs, 'version 2') ?? new Uint8Array();
    await makeDirectories(files, directory);
    const bytes = text === undefined ? request : new TextEncoder().encode(text);
    await writeDurably(files, directory, HAND_OVER_REQUEST, bytes);
  };

  const requests = (): readonly string[] => files.list(requestsDirectory(folders().state));

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

  it('ships every epoch, and says where the next one may take over the last', async () => {
    const store = new MemoryStore();
    const base = optionsOf(sourceOf(40));
    const shipper = new Shipper({
      openStore: () => store,
      locks: true,
      files,
      crypto: nodeCrypto,
      folders: folders(),
      logger: base.logger,
      retentionDays: 1,
      maxUnshippedBytes: 1024 * 1024,
      maxPauseMs: 20,
      checkpointMs: 0,
      groupBytes: 500,
      groupMs: 1,
    });
    const host = assertAccepted(
      await Host.open({ ...base, restart: true, shipper, commitPolicy: 's3' }),
    );
    const running = host.run();
    const enclaves = supply({ outputs: true, dieAtBatch: 20 }, { outputs: true });
    const summary = assertAccepted(await running);
    const [, second] = enclaves;
    const { findings, epochs } = await readShippedLog(store, true);
    expect(findings).toEqual([]);
    const sizes = epochs.map(({ size, closed }) => [size, closed]);
    expect(sizes).toEqual(summary.epochs.map(({ size, closed }) => [size, closed]));
    expect(sizes.map(([, closed]) => closed)).toEqual([false, true]);
    expect(epochs[0]?.groups).toBeGreaterThan(1);
    expect(second?.previous).toMatchObject({ nextCommit: (epochs[0]?.groups ?? 0) + 1 });
    expect(files.list(`${folders().state}/unshipped`)).toEqual([]);
    expect(files.list(`${folders().state}/spool`)).toEqual([]);
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

  describe('with data keys', () => {
    const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef';
    const record = (name: string): Uint8Array => {
      const image = new Uint8Array(48).fill(7);
      return encodeDataKeyRecord({ name, version: 1, keyArn: ARN, image, ciphertext: image });
    };

    it('keeps a new one before READY counts, and brings it to the next epoch', async () => {
      const host = assertAccepted(await Host.open(optionsOf(sourceOf(1), keeping())));
      const running = host.run();
      supply({ kept: [record('venue')] });
      expect(assertAccepted(await running).clean).toBe(true);
      // Durable, and before the first event that a ready epoch has.
      expect(files.afterCrash('nothing').list(`${folders().state}/data-keys`)).toHaveLength(1);
      const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
      expect(events.indexOf('data_key_kept')).toBeGreaterThan(-1);
      expect(events.indexOf('data_key_kept')).toBeLessThan(events.indexOf('enclave_ready'));

      const next = assertAccepted(await Host.open(optionsOf(sourceOf(1), keeping())));
      const again = next.run();
      const [enclave] = supply({});
      assertAccepted(await again);
      const sent = enclave?.boot.find(({ type }) => type === FRAME.dataKeys);
      expect(assertAccepted(parseDataKeys(sent?.payload ?? new Uint8Array())).records).toEqual([
        record('venue'),
      ]);
    });

    it.each([
      ['that the configuration does not name', 'other', keeping],
      ['where there are none', 'venue', () => ({})],
    ])('one %s ends the epoch', async (_, name, change) => {
      const host = assertAccepted(await Host.open(optionsOf(sourceOf(null), change())));
      const running = host.run();
      supply({ kept: [record(name)] });
      expect(assertAccepted(await running)).toMatchObject({
        epochs: [{ ready: false, code: 'seal_unexpected' }],
      });
    });

    describe('that the header of the first commit names', () => {
      const dataKeys = [{ name: 'venue', version: 1, mark: new Uint8Array(32) }];

      it('the commit is stored and acknowledged when the key is, and the epoch goes on', async () => {
        const { change, held } = watched();
        const host = assertAccepted(await Host.open(optionsOf(sourceOf(3), change)));
        const running = host.run();
        let before: number | null = null;
        const beforeKept = async (acknowledged: Promise<null>): Promise<void> => {
          await Promise.race([held, acknowledged]);
          await settled();
          before = spooled(files);
        };
        supply({ dataKeys, kept: [record('venue')], beforeKept });
        const summary = assertAccepted(await running);
        expect(before, 'commits in the spool before the key came').toBe(0);
        expect(summary).toMatchObject({ clean: true, epochs: [{ ready: true, closed: true }] });
        expect(files.list(`${folders().state}/data-keys`)).toHaveLength(1);
      });

      it('a host that is killed before the key came begins the same epoch again', async () => {
        const { change, held } = watched();
        const host = assertAccepted(await Host.open(optionsOf(sourceOf(null), change)));
        const running = host.run();
        const killed = Promise.withResolvers<MemoryFiles>();
        const [first] = supply({
          dataKeys,
          beforeKept: async (acknowledged) => {
            await Promise.race([held, acknowledged]);
            await settled();
            killed.resolve(files.afterCrash('everything'));
          },
        });
        files = await killed.promise;
        first?.die();
        host.stop();
        assertAccepted(await running);

        const next = assertAccepted(await Host.open(optionsOf(sourceOf(1), keeping())));
        const again = next.run();
        const [second] = supply({ dataKeys, kept: [record('venue')] });
        expect(assertAccepted(await again)).toMatchObject({
          clean: true,
          epochs: [{ epoch: 1, closed: true }],
        });
        expect(second?.previous).toBeNull();
      });

      it('one that never comes ends the epoch with nothing of it stored', async () => {
        const timeouts = { readyMs: 300, closeMs: 5000 };
        const options = optionsOf(sourceOf(1), { ...keeping(), timeouts });
        const host = assertAccepted(await Host.open(options));
        const running = host.run();
        supply({
          dataKeys: [...dataKeys, { name: 'venue', version: 2, mark: new Uint8Array(32) }],
          kept: [record('venue')],
        });
        expect(assertAccepted(await running)).toMatchObject({
          clean: false,
          epochs: [{ ready: false, code: 'seal_missing', size: 0 }],
        });
        expect(lines.join('')).toContain('"data_key_missing","name":"venue","version":2');
        expect(files.list(`${folders().state}/spool`)).toEqual([]);
        expect(listEpochs(files, folders())).toEqual([]);
      });

      it('a host that keeps none takes the log as it comes', async () => {
        const host = assertAccepted(await Host.open(optionsOf(sourceOf(1))));
        const running = host.run();
        supply({ dataKeys });
        expect(assertAccepted(await running)).toMatchObject({ clean: true });
      });
    });

    it('a disk that fails ends the host', async () => {
      const host = assertAccepted(await Host.open(optionsOf(sourceOf(null), keeping())));
      const running = host.run();
      files.fault = { operation: 'rename', at: 0, systemCode: 'EIO' };
      supply({ kept: [record('venue')] });
      await expect(running).rejects.toBeInstanceOf(DiskFailure);
    });
  });

  describe('asked to hand over', () => {
    it('has the enclave log the next image, closes, ends, and says how the log ends', async () => {
      const options = optionsOf(sourceOf(null), { restart: true });
      const host = assertAccepted(await Host.open(options));
      const running = host.run();
      const [enclave] = supply({});
      await expect.poll(() => releases.length + calls.length).toBeGreaterThan(0);
      await ask();
      const summary = assertAccepted(await running);
      expect(summary).toMatchObject({ clean: true, epochs: [{ closed: true, handedOver: true }] });
      const frame = enclave?.boot.find(({ type }) => type === FRAME.handOver);
      const sent = assertAccepted(parseHandOver(frame?.payload ?? new Uint8Array()));
      expect(sent.note).toBe('version 2');
      expect(sent.pcrs.map((pcr) => pcr[0])).toEqual([1, 2, 3]);
      // CLOSE as well would be a second wish.
      expect(enclave?.closeAsked).toBe(false);
      expect(requests()).toEqual([HAND_OVER_DONE]);
      const done = files.readFile(`${requestsDirectory(folders().state)}/${HAND_OVER_DONE}`, 4096);
      expect(JSON.parse(new TextDecoder().decode(done ?? new Uint8Array()))).toMatchObject({
        epoch: 1,
        closed: true,
        root: summary.epochs[0]?.root,
      });
    });

    it('a request that nobody can read is put aside', async () => {
      const host = assertAccepted(await Host.open(optionsOf(sourceOf(null))));
      const running = host.run();
      supply({});
      await ask('{"pcrs": []}');
      await expect.poll(requests).toEqual([]);
      expect(lines.join('')).toContain('"hand_over_refused"');
      host.stop();
      expect(assertAccepted(await running).clean).toBe(true);
    });

    it('a request of before the start is about another image: it is dropped', async () => {
      await ask();
      const host = assertAccepted(await Host.open(optionsOf(sourceOf(1))));
      expect(requests()).toEqual([]);
      const running = host.run();
      const [enclave] = supply({});
      expect(assertAccepted(await running).epochs[0]?.handedOver).toBe(false);
      expect(enclave?.boot.map(({ type }) => type)).not.toContain(FRAME.handOver);
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
