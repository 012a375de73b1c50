// Host and enclave as they are, in one process, over a disk in memory that fails as a schedule says: the
// host with its spool, folder, execution and journal; the enclave's core with a simulated NSM; a strategy
// that answers from a table. One host at a time lives and ends; the disk stays.

import { EventEmitter } from 'node:events';
import { startEnclave } from '../../enclave/core.ts';
import { deskInProcess } from '../helpers/desk.ts';
import type { HostConfig } from '../../host-proxy/config-file.ts';
import { DiskRoom } from '../../host-proxy/disk-room.ts';
import { FolderConflict } from '../../host-proxy/epoch-folder.ts';
import { executionService } from '../../host-proxy/execution/service.ts';
import type { FeedSender } from '../../wire/market/sender.ts';
import type { FeedSource } from '../../host-proxy/feed-session.ts';
import { DiskFailure } from '../../host-proxy/files.ts';
import { FilesGate } from '../../host-proxy/files-gate.ts';
import { Host } from '../../host-proxy/host.ts';
import type { Logger } from '../../host-proxy/logger.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { accept } from '../../wire/result.ts';
import { hostConfiguration, manifestOf, testItems } from '../helpers/enclave-host.ts';
import { measurements, simulatedRoot } from '../helpers/epoch-builder.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';
import { Crash, MemoryFiles } from '../helpers/memory-files.ts';
import { limitsOf, marketBatches } from './market.ts';
import { Network, Passed } from './network.ts';

const SEGMENT_BYTES = 16 * 1024;
const CHECKPOINT_MS = 20;

/** How a host ended. */
export type HostEnd =
  | { readonly how: 'closed' | 'unclean' | 'crashed' }
  /** It did not start, or stopped, and said why. */
  | { readonly how: 'refused' | 'failed'; readonly code: string };

export interface HostPlan {
  readonly batches: number;
  /** Asked to stop after this many batches; null: at the end of the feed. */
  readonly stopAfter: number | null;
  /** The enclave is killed in place of its frame with this number. */
  readonly enclaveFrame: number | null;
}

let appliances = 0;

export class SimulatedAppliance {
  readonly passed: Passed = new Passed();
  readonly folders: { readonly state: string; readonly log: string };
  disk: MemoryFiles;
  readonly #configuration: Configuration = hostConfiguration();
  readonly #lines: string[] = [];

  constructor(tearBytes: number) {
    // The folder is the name under which the host locks it.
    this.folders = { state: `/${process.pid}-${appliances++}/state`, log: '/log' };
    this.disk = new MemoryFiles();
    this.disk.tearBytes = tearBytes;
  }

  get log(): readonly string[] {
    return this.#lines;
  }

  /** From the start of a host to its end, with an enclave for one epoch. */
  async run(plan: HostPlan): Promise<HostEnd> {
    const network = new Network(this.passed);
    network.cutAtFrame = plan.enclaveFrame ?? Number.POSITIVE_INFINITY;
    const logger = this.#logger();
    const room = this.#room(logger);
    const gate = new FilesGate(room.filesOf(this.disk));
    const { files } = gate;
    const stop = new EventEmitter();
    const nsmDevice = new SimulatedNsm({ root: await simulatedRoot(), measurements });
    let enclave: Promise<null> | null = null;
    try {
      const opened = await Host.open({
        files,
        closeFiles: () => gate.close(),
        giveUpRoom: () => {
          room.giveUp();
        },
        crypto: nodeCrypto,
        transport: network.transportOf('host'),
        folders: this.folders,
        logger,
        command: null,
        timeouts: { readyMs: 60_000, closeMs: 60_000 },
        source: sourceOf(plan, () => stop.emit('stop')),
        whenFull: 'wait',
        segmentBytes: SEGMENT_BYTES,
        checkpointIntervalMs: CHECKPOINT_MS,
        ...executionService(this.#hostConfig(), this.#configuration, files, logger),
        configuration: canonicalJson(this.#configuration),
        logId: this.#configuration.log_id,
        items: testItems(),
        restart: false,
        tiles: null,
        ingress: null,
      });
      if (!opened.ok) return { how: 'refused', code: opened.refusal.code };
      stop.once('stop', () => {
        opened.value.stop();
      });
      enclave = this.#startEnclave(network, nsmDevice);
      const ended = await opened.value.run();
      if (!ended.ok) return { how: 'refused', code: ended.refusal.code };
      return { how: ended.value.clean ? 'closed' : 'unclean' };
    } catch (error) {
      if (error instanceof Crash) return { how: 'crashed' };
      if (error instanceof DiskFailure) return { how: 'failed', code: 'disk_failed' };
      if (error instanceof FolderConflict) return { how: 'failed', code: 'folder_conflict' };
      throw error;
    } finally {
      network.cut();
      await enclave;
    }
  }

  /** Resolves when it has ended. */
  #startEnclave(network: Network, nsmDevice: SimulatedNsm): Promise<null> {
    const { promise, resolve } = Promise.withResolvers<null>();
    const strategies = fakeStrategies({ limits: (_, count) => limitsOf(count) });
    const transport = network.transportOf('enclave');
    startEnclave({
      transport,
      startDesk: deskInProcess(transport),
      nsmDevice,
      measured: manifestOf(this.#configuration),
      roots: new Uint8Array(),
      strategyRunner: { execPath: '', flags: [], path: '' },
      startStrategy: strategies.start,
      timeouts: { tearDownMs: 500 },
      onExit: () => {
        // The end of its process closes its sockets.
        network.cut();
        resolve(null);
      },
    });
    return promise;
  }

  #room(logger: Logger): DiskRoom {
    const places = [
      { name: 'state', directory: this.folders.state },
      { name: 'log', directory: this.folders.log },
    ] as const;
    return new DiskRoom({ logger, places, sleep: turn });
  }

  #logger(): Logger {
    const write = (line: string): void => {
      this.#lines.push(line.trimEnd());
    };
    return createLogger({ level: 'debug', write, now: () => new Date() });
  }

  #hostConfig(): HostConfig {
    const execution = {
      paper: { latency_ms: 5, taker_fee_ppm: 500, maker_fee_ppm: 100, slippage_ticks: 1 },
      limits: {
        max_order_notional: 10n ** 18n,
        max_position_notional: 10n ** 18n,
        max_orders: 1000,
        order_window_ms: 1000,
        price_band_ppm: 1_000_000,
        max_daily_loss: 10n ** 18n,
      },
      kill_switch: null,
      keep_journals: true,
    };
    // Execution reads no more of it.
    return { state: this.folders.state, execution } as HostConfig;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Sends the batches of the plan as the enclave takes them. */
function sourceOf({ batches, stopAfter }: HostPlan, stop: () => void): FeedSource {
  return async (sender: FeedSender, signal) => {
    let sent = 0;
    for (const batch of marketBatches(batches)) {
      if (signal.aborted || !(await sender.ready())) break;
      sender.send(batch);
      sent++;
      if (sent === stopAfter) stop();
      // One after the other, so that commits, releases and reports of each come between.
      await turn();
    }
    return accept({
      messages: sent,
      events: sent,
      batches: sent,
      refusedLines: 0,
      firstTimeNs: 0n,
      lastTimeNs: 0n,
      ended: signal.aborted ? 'aborted' : 'end',
    });
  };
}
