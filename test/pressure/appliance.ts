// A whole appliance in one process: the real host on a disk in memory that can fill up and slow down, the
// real core of the enclave, a venue, and strategies that answer when the test wants them to. What is
// counted on the way says who holds how much.

import type { RequestOptions } from 'node:https';
import { request } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { startStrategy } from '../../enclave/strategy/process.ts';
import { ROOT } from '../../scripts/bundle.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Item } from '../../wire/messages.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import { startEnclave } from '../../enclave/core.ts';
import { deskInProcess } from '../helpers/desk.ts';
import type { Enclave, EnclaveEnd, EnclaveTimeouts } from '../../enclave/core.ts';
import { DiskRoom } from '../../host-proxy/disk-room.ts';
import type { EpochLog } from '../../host-proxy/epoch-log.ts';
import type { EpochExecution } from '../../host-proxy/epoch-services.ts';
import { Execution } from '../../host-proxy/execution/execution.ts';
import { openJournal } from '../../host-proxy/execution/journal.ts';
import type { JournalPlace } from '../../host-proxy/execution/journal.ts';
import { reconcile } from '../../host-proxy/execution/reconcile.ts';
import { KillSwitch } from '../../host-proxy/execution/kill-switch.ts';
import type { FeedCounters } from '../../wire/market/sender.ts';
import type { FeedSource } from '../../host-proxy/feed-session.ts';
import type { Files } from '../../host-proxy/files.ts';
import { makeDirectories } from '../../host-proxy/files.ts';
import { Host } from '../../host-proxy/host.ts';
import type { HostSummary } from '../../host-proxy/host.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import type { HostFolders } from '../../host-proxy/recovery.ts';
import { expect } from 'vitest';
import { EpochFiles } from '../../verifier/log/epoch-files.ts';
import type { VerifiedEpoch } from '../../verifier/log/verify-epoch.ts';
import { verifyEpoch } from '../../verifier/log/verify-epoch.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { Kind, Leaf } from '../../wire/leaf.ts';
import { KIND } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { PORT } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Gap, Report } from '../../wire/payloads.ts';
import { parseGap } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import {
  commitmentOf,
  hostConfiguration,
  manifestOf,
  newNsm,
  testItems,
} from '../helpers/enclave-host.ts';
import { complianceKeys, testTrust } from '../helpers/epoch-builder.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';
import type { FakeOptions, FakeStrategy } from '../helpers/fake-strategy.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';
import { MemoryTransport } from './memory-transport.ts';
import { Venue } from './venue.ts';

const UNIT = 100_000_000n;
const FOREVER = 1_000_000_000n * UNIT;
export const STREAM = 1;
let appliances = 0;

export interface ApplianceOptions {
  readonly whenFull?: 'wait' | 'drop';
  /** Batches of the venue; null: until the feed is stopped. */
  readonly batches?: number | null;
  /** Of each batch, about. */
  readonly rows?: number;
  /** A snapshot of the book is in front of each so many-th batch; default: of the first only. */
  readonly snapshotEvery?: number;
  readonly strategy?: FakeOptions;
  /** A real strategy process in place of the fake one, with this bundle. */
  readonly bundle?: string;
  readonly timeouts?: Partial<EnclaveTimeouts>;
  readonly closeMs?: number;
  readonly disk?: MemoryFiles;
  readonly folders?: HostFolders;
  readonly intervals?: Partial<Configuration['intervals']>;
}

export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Bytes and counts that wait somewhere now. */
export interface Waiting {
  /** Batches that left the source, not yet the host. */
  readonly feedQueue: number;
  /** Batches that execution holds for their PROGRESS. */
  readonly brokerBytes: number;
  readonly spoolBytes: number;
  readonly keptBytes: number;
  readonly commitBytes: number;
}

export class MemoryAppliance {
  readonly disk: MemoryFiles;
  readonly transport: MemoryTransport = new MemoryTransport();
  readonly room: DiskRoom;
  readonly folders: HostFolders;
  readonly configuration: Configuration;
  readonly venue: Venue;
  readonly lines: LogLine[] = [];
  /** Leaf indexes in the order in which they were released to execution. */
  readonly released: number[] = [];
  readonly reports: Report[] = [];
  /** Batches that the source has handed to the sender. */
  produced = 0;
  /** The source waits between two batches until this resolves. */
  pace: () => Promise<void> = () => new Promise((resolve) => setImmediate(resolve));
  execution: Execution | null = null;
  log: EpochLog | null = null;
  sender: Readonly<FeedCounters> | null = null;
  enclave: Enclave | null = null;
  enclaveEnd: EnclaveEnd | null = null;
  readonly #options: ApplianceOptions;
  readonly #strategies: ReturnType<typeof fakeStrategies>;
  readonly #held = new Map<number, number>();
  #sentBytes = 0;
  #host: Host | null = null;
  #running: Promise<Result<HostSummary>> | null = null;

  constructor(options: ApplianceOptions = {}) {
    this.#options = options;
    this.disk = options.disk ?? new MemoryFiles();
    const base = `/run-${process.pid}-${appliances++}`;
    this.folders = options.folders ?? { state: `${base}/state`, log: `${base}/log` };
    const [strategy] = this.#items();
    this.configuration = hostConfiguration({
      strategies: [
        {
          name: strategy.name,
          version: strategy.version,
          commitment: commitmentOf(strategy),
          time_budget_ms: 5000,
        },
      ],
      intervals: {
        anchor_ms: 3_600_000,
        heartbeat_ms: 3_600_000,
        commit_ms: 2,
        ...options.intervals,
      },
    });
    this.venue = new Venue(STREAM, options.rows ?? 300);
    this.#strategies = fakeStrategies(options.strategy ?? { limits: signalEvery(7) });
    const logger = createLogger({
      level: 'debug',
      now: () => new Date(0),
      write: (line) => this.lines.push(JSON.parse(line) as LogLine),
    });
    this.room = new DiskRoom({
      logger,
      places: [
        { name: 'state', directory: this.folders.state },
        { name: 'log', directory: this.folders.log },
      ],
      sleep: () => new Promise((resolve) => setTimeout(resolve, 5)),
    });
    this.#logger = logger;
  }

  readonly #logger: ReturnType<typeof createLogger>;

  get files(): Files {
    return this.room.filesOf(this.disk);
  }

  /** Null with a real strategy process. */
  get strategy(): FakeStrategy | null {
    return this.#strategies.started[0] ?? null;
  }

  /** Starts host and enclave; resolves when batches flow. */
  async start(): Promise<this> {
    await makeDirectories(this.files, this.folders.state);
    const host = assertAccepted(await this.open());
    this.#running = host.run();
    // Whoever waits for the end sees it.
    this.#running.catch(() => undefined);
    await this.until(() => this.event('enclave_ready') !== null);
    return this;
  }

  /** Only the host, without its enclave. */
  async open(): Promise<Result<Host>> {
    const { whenFull = 'wait', closeMs = 60_000, timeouts } = this.#options;
    const opened = await Host.open({
      files: this.files,
      crypto: nodeCrypto,
      transport: this.transport,
      folders: this.folders,
      logger: this.#logger,
      command: null,
      timeouts: { readyMs: 60_000, closeMs },
      source: this.#source(),
      whenFull,
      createExecution: async (log, origin, report) =>
        accept(await this.#createExecution(log, origin, report)),
      configuration: canonicalJson(this.configuration),
      logId: this.configuration.log_id,
      items: this.#items(),
      restart: false,
      reconcile: async (epoch) =>
        epoch === null ? accept(null) : reconcile(this.#journals, epoch),
      segmentBytes: 1024 * 1024,
      tiles: null,
      ingress: null,
      giveUpRoom: () => {
        this.room.giveUp();
      },
    });
    if (!opened.ok) return opened;
    this.#host = opened.value;
    const nsmDevice = await newNsm();
    this.enclave = startEnclave({
      transport: this.transport,
      startDesk: deskInProcess(this.transport),
      nsmDevice,
      measured: manifestOf(this.configuration),
      roots: new Uint8Array(),
      strategyRunner: findRunner(ROOT),
      startStrategy: this.#options.bundle === undefined ? this.#strategies.start : startStrategy,
      timeouts: { tearDownMs: 500, countersMs: 5, logStallMs: 50, ...timeouts },
      onExit: (end) => {
        this.enclaveEnd = end;
      },
    });
    return opened;
  }

  /** Asks for a clean close, as SIGTERM does. */
  stop(): void {
    this.#host?.stop();
  }

  /** Resolves with the summary; rejects as the process would end. */
  async end(): Promise<HostSummary> {
    if (this.#running === null) throw new Error('not started');
    return assertAccepted(await this.#running);
  }

  get waiting(): Waiting {
    const { toEnclave } = this.transport.bytesOf(PORT.feed);
    const log = this.log?.waiting;
    let brokerBytes = 0;
    for (const bytes of this.#held.values()) brokerBytes += bytes;
    return {
      feedQueue: this.#sentBytes - toEnclave,
      brokerBytes,
      spoolBytes: log?.spoolBytes ?? 0,
      keptBytes: log?.keptBytes ?? 0,
      commitBytes: this.counter('commits_in_flight'),
    };
  }

  /** From the enclave's last diagnostics. */
  counter(name: string): number {
    const last = this.lines.findLast(({ event }) => event === 'enclave_diagnostic');
    return Number(last?.[name] ?? 0);
  }

  /** The last line of the host's log with this event. */
  event(name: string): LogLine | null {
    return this.lines.findLast(({ event }) => event === name) ?? null;
  }

  events(name: string): readonly LogLine[] {
    return this.lines.filter(({ event }) => event === name);
  }

  /** Codes of the enclave's diagnostics but those that only count. */
  get codes(): readonly unknown[] {
    return this.events('enclave_diagnostic')
      .map(({ code }) => code)
      .filter((code, at, all) => code !== 'counters' && code !== all[at - 1]);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** Resolves when nothing moves any more: no batch, no leaf, no byte. */
  async stuck(): Promise<void> {
    for (let still = 0, before = ''; still < 10;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const now = JSON.stringify([
        this.produced,
        this.log?.acknowledgedSize,
        this.transport.bytesOf(PORT.feed),
        this.transport.bytesOf(PORT.log),
        this.disk.usedBytes,
      ]);
      still = now === before ? still + 1 : 0;
      before = now;
    }
  }

  /** Status and body of a path on the enclave's own HTTPS. */
  async ask(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    const stream = await this.transport.connect(PORT.https);
    const options: RequestOptions = {
      path,
      createConnection: () => connectTls({ socket: stream, rejectUnauthorized: false }),
    };
    return new Promise((resolve, reject) => {
      request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as unknown });
        });
      })
        .on('error', reject)
        .end();
    });
  }

  /** What an offline verifier with compliance's key says of the folder of an epoch. */
  async verify(epoch = 1): Promise<VerifiedLog> {
    const { log } = this.folders;
    const source = {
      name: log,
      read: (path: string, maximum: number) =>
        Promise.resolve(accept(this.disk.readFile(`${log}/${path}`, maximum))),
      list: (path: string) => Promise.resolve(accept(this.disk.list(`${log}/${path}`))),
    };
    const leaves: Leaf[] = [];
    const verified = assertAccepted(
      await verifyEpoch(nodeCrypto, {
        files: new EpochFiles(source, epoch),
        trust: await testTrust(),
        keys: complianceKeys(),
        onLeaves: (_, entries) => leaves.push(...entries.map(({ leaf }) => leaf)),
      }),
    );
    if (verified === null) throw new Error('no such epoch');
    return new VerifiedLog(verified, leaves);
  }

  /** Fresh bytes each time, because the enclave wipes them. */
  #items(): readonly [strategy: Item, parameters: Item] {
    const [strategy, parameters] = testItems();
    const { bundle } = this.#options;
    return [bundle === undefined ? strategy : { ...strategy, bytes: utf8(bundle) }, parameters];
  }

  #source(): FeedSource {
    const { batches = null, snapshotEvery = null } = this.#options;
    return async (sender, signal) => {
      this.sender = sender.counters;
      const limit = batches ?? Number.POSITIVE_INFINITY;
      while (this.produced < limit && !signal.aborted) {
        if (!(await sender.ready())) break;
        const at = this.produced++;
        const isSnapshot = at === 0 || (snapshotEvery !== null && at % snapshotEvery === 0);
        sender.send(this.venue.next(isSnapshot));
        await this.pace();
      }
      sender.finish();
      await sender.ready();
      return accept({
        messages: this.produced,
        events: sender.counters.rowsSent,
        batches: this.produced,
        refusedLines: 0,
        firstTimeNs: 0n,
        lastTimeNs: 0n,
        ended: signal.aborted ? 'aborted' : 'end',
      });
    };
  }

  async #createExecution(
    log: EpochLog,
    origin: string,
    report: (payload: Uint8Array) => void,
  ): Promise<EpochExecution> {
    this.log = log;
    const execution = new Execution({
      crypto: nodeCrypto,
      log,
      origin,
      instruments: this.configuration.instruments,
      paper: { latencyMs: 0, takerFeePpm: 0, makerFeePpm: 0, slippageTicks: 0 },
      limits: {
        maxOrderNotional: FOREVER,
        maxPositionNotional: FOREVER,
        maxOrders: 1_000_000,
        orderWindowMs: 1000,
        priceBandPpm: 1_000_000,
        maxDailyLoss: FOREVER,
      },
      killSwitch: new KillSwitch(null),
      ...assertAccepted(await openJournal(this.#journals)),
      onReport: (payload, given) => {
        this.reports.push(given);
        report(payload);
      },
    });
    this.execution = execution;
    return {
      start: () => execution.start(),
      logged: (outputs) => {
        execution.logged(outputs);
      },
      finish: () => execution.finish(),
      close: () => execution.close(),
      summary: () => execution.summary(),
      holdBatch: (batch) => {
        this.#sentBytes += batch.bytes.length;
        this.#held.set(batch.sequence, batch.bytes.length);
        execution.holdBatch(batch);
      },
      release: (release) => {
        this.released.push(release.leafIndex);
        execution.release(release);
      },
      progress: (progress) => {
        for (const sequence of this.#held.keys()) {
          if (sequence <= progress.sequence) this.#held.delete(sequence);
        }
        return execution.progress(progress);
      },
    };
  }

  get #journals(): JournalPlace {
    const { instruments } = this.configuration;
    const directory = `${this.folders.state}/execution`;
    return { files: this.files, directory, instruments, keep: false };
  }
}

type Limits = (_: unknown, count: number) => readonly number[];

/** One signal at the best ask for each so many-th input. */
export function signalEvery(inputs: number): Limits {
  return (_, count) => (count % inputs === 1 ? [Venue.priceOf(2, 0)] : []);
}

export class VerifiedLog {
  readonly verified: VerifiedEpoch;
  readonly leaves: readonly Leaf[];

  constructor(verified: VerifiedEpoch, leaves: readonly Leaf[]) {
    this.verified = verified;
    this.leaves = leaves;
  }

  indexesOf(kind: Kind): readonly number[] {
    return this.leaves.flatMap((leaf, index) => (leaf.kind === kind ? [index] : []));
  }

  get gaps(): readonly Gap[] {
    return this.indexesOf(KIND.gap).map((index) => {
      const leaf = this.leaves[index];
      if (leaf === undefined) throw new Error('an index of its own list');
      return assertAccepted(
        parseGap(assertAccepted(openLeaf(nodeCrypto, leaf, null, null)).plaintext),
      );
    });
  }
}

/** Nothing is lost, doubled or out of order between the log and what was executed. */
export function expectWhole(appliance: MemoryAppliance, log: VerifiedLog): void {
  const outputs = log.indexesOf(KIND.output);
  expect(outputs.length).toBeGreaterThan(0);
  expect(appliance.released).toEqual(outputs);
  expect(log.indexesOf(KIND.report)).toHaveLength(appliance.reports.length);
  const dropped = appliance.sender?.batchesDropped ?? 0;
  expect(log.indexesOf(KIND.input)).toHaveLength(appliance.produced - dropped);
  // The strategy has seen the inputs of the log, in its order.
  const inputs = log.indexesOf(KIND.input);
  const seen = appliance.strategy?.inputs.map(({ leafIndex }) => leafIndex) ?? inputs;
  expect(seen).toEqual(inputs);
  expect(log.verified.facts.closeReason).not.toBeNull();
  expect(log.verified.commits.coveredSize).toBe(log.leaves.length);
}
