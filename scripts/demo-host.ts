// The host of the demo: its configuration for a stage, its process, and what it says in its log while it runs.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CommandIo } from '../verifier/io.ts';
import type { Appliance } from './appliance.ts';
import { ROOT } from './bundle.ts';
import type { DemoBucket } from './demo-bucket.ts';
import type { DemoDatabase } from './demo-database.ts';
import type { Json } from './demo-summary.ts';
import type { DemoTrader } from './demo-trader.ts';
import type { SimulatedAws } from './simulated-aws.ts';

export interface DemoSettings {
  readonly json: boolean;
  /** Times real time; null for as fast as possible. */
  readonly speed: number | null;
  /** Events. */
  readonly limit: number | null;
  /** Whether the folder stays, which the summary then names. */
  readonly keep: boolean;
}

/** Where the enclave runs. */
export interface DemoStage {
  readonly appliance: Appliance;
  /** The host's end, `unix:DIR` or `hvsock:PATH`. */
  readonly transport: string;
  /** Starts the enclave. */
  readonly command: readonly [string, ...string[]];
  readonly readyMs: number;
  /** Of a challenge. */
  readonly timeoutMs: number;
  /** Documents that a verifier without flags has to refuse, and with which code. */
  readonly refusedAs: string | null;
  /** What the enclave prints is shown. */
  readonly showOutput: boolean;
  /** The AWS that its secrets come from; by default they arrive in the clear. */
  readonly cloud?: DemoCloud | null;
  /** Where the log goes besides; by default it stays on this machine. */
  readonly bucket?: DemoBucket | null;
  /** Where the track record is kept; by default only in the enclave's memory. */
  readonly database?: DemoDatabase | null;
  /** Somebody who hands exchange keys over; by default nobody. */
  readonly trader?: DemoTrader | null;
}

export interface DemoCloud {
  readonly aws: SimulatedAws;
  readonly sealed: readonly string[];
  /** Starts an enclave with other measurements. */
  readonly commandOf: (measurements: string) => readonly [string, ...string[]];
}

const CAPTURE = join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz');

function cloudConfig({ cloud = null, bucket = null, trader = null }: DemoStage): object {
  const ship = bucket === null ? {} : { ship: bucket.ship };
  const allow = [...(cloud?.aws.egress ?? []), ...(trader?.egress ?? [])];
  const egress = allow.length === 0 ? {} : { egress: { allow } };
  if (cloud === null) return { ...ship, ...egress };
  return {
    ...ship,
    ...egress,
    strategies: [],
    sealed: cloud.sealed,
    credentials: { source: 'imds' },
  };
}

export function hostConfig(stage: DemoStage, { speed, limit }: DemoSettings): object {
  const { appliance, transport, command, readyMs, showOutput } = stage;
  return {
    transport,
    state: join(appliance.directory, 'host', 'state'),
    log: appliance.logDirectory,
    configuration: appliance.configuration,
    strategies: appliance.strategies.map(({ pack, parameters, parametersSalt }) => ({
      pack,
      parameters,
      parameters_salt: parametersSalt,
    })),
    enclave: { command, restart: false, ready_ms: readyMs, show_output: showOutput },
    feed: {
      stream: 1,
      capture: CAPTURE,
      speed,
      limit_events: limit,
      // The trader may need longer than the capture.
      at_end: (stage.trader ?? null) === null ? 'close' : 'stay',
    },
    execution: {
      paper: { latency_ms: 5, taker_fee_ppm: 500, maker_fee_ppm: 100, slippage_ticks: 1 },
      limits: {
        max_order_notional: '10000',
        max_position_notional: '20000',
        max_orders: 50,
        order_window_ms: 10_000,
        price_band_ppm: 5000,
        max_daily_loss: '5000',
      },
      kill_switch: join(appliance.directory, 'host', 'KILL'),
    },
    ...cloudConfig(stage),
    ...((stage.database ?? null) === null ? {} : { database: stage.database?.host }),
    tiles: { port: 0 },
    metrics: { port: 0 },
    ingress: { port: 0 },
    logging: { level: 'info', file: join(appliance.directory, 'host', 'host.log') },
  };
}

export interface HostProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  output(): string;
}

export function startHost(configFile: string, env: NodeJS.ProcessEnv, io: CommandIo): HostProcess {
  const args = [join(ROOT, 'scripts/trackseal.ts'), 'host', '--config', configFile, '--json'];
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', io.isTerminal ? 'inherit' : 'pipe'],
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    io.stderr(part);
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve(code ?? 1);
    });
  });
  return { child, ended, output: () => text };
}

/** The first entry of the host's log with this event, or null when the host is over before. */
export async function waitForEvent(
  logFile: string,
  event: string,
  host: HostProcess,
  timeoutMs: number,
): Promise<Json | null> {
  let over = false;
  void host.ended.then(() => {
    over = true;
  });
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += 50) {
    const text = await readFile(logFile, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      if (!line.includes(`"${event}"`)) continue;
      const entry = JSON.parse(line) as Json;
      if (entry['event'] === event) return entry;
    }
    if (over) return null;
    await sleep(50);
  }
  return null;
}
