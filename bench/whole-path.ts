// The whole path: pre-parsed events through batcher, feed, enclave process, strategy process, signed log,
// spool with fdatasync, release, paper broker and reports. The clock runs from the first batch to the
// PROGRESS of the last one. Processor time and memory are the kernel's numbers of the three processes.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Execution } from '../host-proxy/execution/execution.ts';
import { openJournal } from '../host-proxy/execution/journal.ts';
import { nodeFiles } from '../host-proxy/files.ts';
import { KillSwitch } from '../host-proxy/execution/kill-switch.ts';
import type { FeedSource } from '../host-proxy/feed-session.ts';
import { Host } from '../host-proxy/host.ts';
import type { HostOptions } from '../host-proxy/host.ts';
import { createLogger } from '../host-proxy/logger.ts';
import type { Appliance } from '../scripts/appliance.ts';
import { prepareAppliance, readPackSalt } from '../scripts/appliance.ts';
import { ROOT } from '../scripts/bundle.ts';
import { parseHex } from '../wire/bytes.ts';
import type { Item, Release } from '../wire/messages.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { unixTransport } from '../wire/node/unix.ts';
import { accept, assertAccepted } from '../wire/result.ts';
import { INSTRUMENT } from './events.ts';
import { carrying, leaseAppliance } from './leased.ts';
import type { Sync } from './measured-files.ts';
import { measuredFiles } from './measured-files.ts';
import type { Sent } from './pace.ts';
import type { S3Place } from './s3-process.ts';
import { Usage } from './usage.ts';
import type { UsageReport } from './usage.ts';

export interface PathRun {
  readonly sent: Sent;
  readonly signals: number;
  readonly leaves: number;
  readonly seconds: number;
  readonly usage: UsageReport;
  /** Every fdatasync of the host that ended during the run. */
  readonly syncs: readonly Sync[];
}

export interface PathOptions {
  /** Empty; the run leaves the log there. */
  readonly directory: string;
  readonly source: (onDone: (sent: Sent) => void) => FeedSource;
  /** A released signal has reached execution, journaled. */
  readonly onRelease?: (release: Release, nowMs: number) => void;
  /** Flags for the enclave's node, for its profile. */
  readonly enclaveFlags?: readonly string[];
  /** Policy s3 over this one; policy spool without. */
  readonly s3?: S3Place | null;
}

const LARGE = 10n ** 18n;
const EXECUTION = {
  paper: { latencyMs: 5, takerFeePpm: 500, makerFeePpm: 100, slippageTicks: 1 },
  limits: {
    maxOrderNotional: LARGE,
    maxPositionNotional: LARGE,
    maxOrders: 1_000_000,
    orderWindowMs: 1000,
    priceBandPpm: 1_000_000,
    maxDailyLoss: LARGE,
  },
};

export function prepareBenchAppliance(directory: string): Promise<Appliance> {
  return readFile(join(ROOT, 'strategies/order-flow.ethusdt.json'), 'utf8').then((parameters) =>
    prepareAppliance({
      directory: join(directory, 'appliance'),
      strategy: join(ROOT, 'strategies/order-flow.ts'),
      strategyName: 'order-flow',
      parameters: JSON.parse(parameters),
      instruments: [INSTRUMENT],
      anchorMs: 60_000,
    }),
  );
}

function saltOf(hex: string): Uint8Array {
  return parseHex(hex.trim()) ?? new Uint8Array(0);
}

async function readItems(appliance: Appliance): Promise<readonly Item[]> {
  const named = { name: 'order-flow', version: '1.0.0' };
  return [
    {
      purpose: 'strategy',
      ...named,
      salt: saltOf(await readPackSalt(appliance.pack)),
      bytes: new Uint8Array(await readFile(join(appliance.pack, 'bundle.js'))),
    },
    {
      purpose: 'parameters',
      ...named,
      salt: saltOf(await readFile(appliance.parametersSalt, 'utf8')),
      bytes: new Uint8Array(await readFile(appliance.parameters)),
    },
  ];
}

function enclaveCommand(
  appliance: Appliance,
  sockets: string,
  flags: readonly string[],
  roots: string | null,
): [string, ...string[]] {
  return [
    process.execPath,
    ...flags,
    join(ROOT, 'simulator/main.ts'),
    '--transport',
    `unix:${sockets}`,
    '--measured',
    appliance.measured,
    '--measurements',
    appliance.measurements,
    '--root',
    join(appliance.directory, 'aws'),
    ...(roots === null ? [] : ['--roots', roots]),
  ];
}

type CreateExecution = HostOptions['createExecution'];

/** The host's own execution; `onRelease` and `onClose` listen. */
function executionOf(
  state: string,
  onRelease: (release: Release, nowMs: number) => void,
  onClose: () => void,
): CreateExecution {
  return async (log, origin, onReport) => {
    const directory = join(state, 'execution');
    const instruments = [INSTRUMENT];
    const place = { files: nodeFiles, directory, instruments, keep: false };
    const opened = assertAccepted(await openJournal(place));
    const execution = new Execution({
      crypto: nodeCrypto,
      log,
      origin,
      instruments,
      ...EXECUTION,
      killSwitch: new KillSwitch(null),
      ...opened,
      onReport,
      onRefusal: ({ code }) => {
        throw new Error(`signal refused: ${code}`);
      },
    });
    const release = execution.release.bind(execution);
    execution.release = (released) => {
      onRelease(released, performance.now());
      release(released);
    };
    const close = execution.close.bind(execution);
    // Called when every batch has its PROGRESS and every signal is handled.
    execution.close = () => {
      onClose();
      return close();
    };
    return accept(execution);
  };
}

/** One epoch in a folder of its own; it must end cleanly. */
export async function runWholePath(options: PathOptions): Promise<PathRun> {
  const { directory, onRelease = () => {}, enclaveFlags = [], s3 = null } = options;
  const sockets = join(directory, 's');
  const state = join(directory, 'state');
  await mkdir(sockets);
  await mkdir(state);
  const appliance = await prepareBenchAppliance(directory);
  const roots = s3 === null ? null : await leaseAppliance(appliance, s3);
  const logger = createLogger({ level: 'error', now: () => new Date(), write: () => undefined });
  const syncs: Sync[] = [];
  const usage = new Usage();
  let [startMs, endMs] = [0, 0];
  let sent: Sent = { events: 0, batches: 0 };
  const source = options.source((summary) => {
    sent = summary;
  });
  const host = assertAccepted(
    await Host.open({
      files: measuredFiles(syncs),
      crypto: nodeCrypto,
      transport: unixTransport(sockets),
      folders: { state, log: appliance.logDirectory },
      logger,
      ...(s3 === null ? {} : carrying(s3, logger)),
      command: {
        command: enclaveCommand(appliance, sockets, enclaveFlags, roots),
        showOutput: true,
      },
      timeouts: { readyMs: 60_000, closeMs: 60_000 },
      whenFull: 'wait',
      source: async (sender, ...rest) => {
        usage.start();
        syncs.length = 0;
        startMs = performance.now();
        return source(sender, ...rest);
      },
      createExecution: executionOf(state, onRelease, () => {
        endMs = performance.now();
        usage.stop();
      }),
      configuration: new Uint8Array(await readFile(appliance.configuration)),
      logId: 'trackseal.local/demo',
      items: await readItems(appliance),
      restart: false,
      tiles: null,
      ingress: null,
    }),
  );
  const summary = assertAccepted(await host.run());
  const [epoch] = summary.epochs;
  if (!summary.clean || epoch === undefined) throw new Error('the epoch did not end cleanly');
  return {
    sent,
    signals: epoch.feed?.signals ?? 0,
    leaves: epoch.size,
    seconds: (endMs - startMs) / 1000,
    usage: usage.report,
    syncs: syncs.filter(({ endMs: ended }) => ended <= endMs),
  };
}
