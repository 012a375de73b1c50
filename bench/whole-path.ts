// The whole path: pre-parsed events through batcher, feed, enclave process, strategy process, signed log,
// spool with fdatasync, release, paper broker and reports. The clock runs from the first batch to the
// PROGRESS of the last one.

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Execution } from '../host-proxy/execution/execution.ts';
import { openJournal } from '../host-proxy/execution/journal.ts';
import { KillSwitch } from '../host-proxy/execution/kill-switch.ts';
import { Batcher } from '../host-proxy/feed/batcher.ts';
import type { MarketEvent } from '../host-proxy/feed/events.ts';
import { rowsOf } from '../host-proxy/feed/events.ts';
import type { FeedSource } from '../host-proxy/feed-session.ts';
import { nodeFiles } from '../host-proxy/files.ts';
import { Host } from '../host-proxy/host.ts';
import { createLogger } from '../host-proxy/logger.ts';
import { prepareAppliance, readPackSalt } from '../scripts/appliance.ts';
import { ROOT } from '../scripts/bundle.ts';
import { parseHex } from '../wire/bytes.ts';
import type { Item } from '../wire/messages.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { unixTransport } from '../wire/node/transport.ts';
import { accept, assertAccepted } from '../wire/result.ts';
import { INSTRUMENT } from './events.ts';

export interface WholePathResult {
  readonly events: number;
  readonly batches: number;
  readonly signals: number;
  readonly leaves: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
}

function saltOf(hex: string): Uint8Array {
  return parseHex(hex.trim()) ?? new Uint8Array(0);
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

function sourceOf(
  events: readonly MarketEvent[],
  closeRows: number,
  onDone: (summary: { events: number; batches: number }) => void,
): FeedSource {
  return async (sender, signal) => {
    let batches = 0;
    let rows = 0;
    const batcher = new Batcher({
      stream: 1,
      closeRows,
      closeMs: 60_000,
      onBatch: (batch) => {
        batches++;
        sender.send(batch);
      },
    });
    for (const event of events) {
      if (signal.aborted || !(await sender.ready())) break;
      batcher.add(event);
      rows += rowsOf(event);
    }
    batcher.flush();
    onDone({ events: rows, batches });
    return accept({
      messages: events.length,
      events: rows,
      batches,
      refusedLines: 0,
      firstTimeNs: events.at(0)?.receiveTimeNs ?? 0n,
      lastTimeNs: events.at(-1)?.receiveTimeNs ?? 0n,
      ended: 'end',
    });
  };
}

/** One run in a folder of its own; the epoch must end cleanly. */
export async function runWholePath(
  events: readonly MarketEvent[],
  closeRows: number,
): Promise<WholePathResult> {
  const directory = await mkdtemp(join(tmpdir(), 'trackseal-bench-'));
  const sockets = join(directory, 's');
  await mkdir(sockets);
  try {
    const parametersFile = join(ROOT, 'strategies/order-flow.ethusdt.json');
    const appliance = await prepareAppliance({
      directory: join(directory, 'appliance'),
      strategy: join(ROOT, 'strategies/order-flow.ts'),
      strategyName: 'order-flow',
      parameters: JSON.parse(await readFile(parametersFile, 'utf8')),
      instruments: [INSTRUMENT],
      anchorMs: 60_000,
    });
    const named = { name: 'order-flow', version: '1.0.0' };
    const items: Item[] = [
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
    let startMs = 0;
    let sent = { events: 0, batches: 0 };
    const source = sourceOf(events, closeRows, (summary) => {
      sent = summary;
    });
    const state = join(directory, 'state');
    await mkdir(state);
    const command: [string, ...string[]] = [
      process.execPath,
      join(ROOT, 'simulator/main.ts'),
      '--transport',
      `unix:${sockets}`,
      '--measured',
      appliance.measured,
      '--measurements',
      appliance.measurements,
      '--root',
      join(appliance.directory, 'aws'),
    ];
    let endMs = 0;
    const host = assertAccepted(
      await Host.open({
        files: nodeFiles,
        crypto: nodeCrypto,
        transport: unixTransport(sockets),
        folders: { state, log: appliance.logDirectory },
        logger: createLogger({ level: 'error', now: () => new Date(), write: () => undefined }),
        command: { command, showOutput: true },
        timeouts: { readyMs: 60_000, closeMs: 60_000 },
        whenFull: 'wait',
        source: async (sender, signal) => {
          startMs = performance.now();
          return source(sender, signal);
        },
        createExecution: async (log, origin, onReport) => {
          const opened = assertAccepted(await openJournal(join(state, 'execution.journal')));
          const execution = new Execution({
            crypto: nodeCrypto,
            log,
            origin,
            instruments: [INSTRUMENT],
            ...EXECUTION,
            killSwitch: new KillSwitch(null),
            journal: opened.journal,
            records: opened.records,
            onReport,
            onRefusal: ({ code }) => {
              throw new Error(`signal refused: ${code}`);
            },
          });
          const close = execution.close.bind(execution);
          // Called when every batch has its PROGRESS and every signal is handled.
          execution.close = () => {
            endMs = performance.now();
            return close();
          };
          return execution;
        },
        configuration: new Uint8Array(await readFile(appliance.configuration)),
        logId: 'trackseal.local/demo',
        items,
        restart: false,
        tiles: null,
        ingress: null,
      }),
    );
    const summary = assertAccepted(await host.run());
    const [epoch] = summary.epochs;
    if (!summary.clean || epoch === undefined) throw new Error('the epoch did not end cleanly');
    const seconds = (endMs - startMs) / 1000;
    return {
      ...sent,
      signals: epoch.feed?.signals ?? 0,
      leaves: epoch.size,
      seconds,
      eventsPerSecond: sent.events / seconds,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
