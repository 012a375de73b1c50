// trackseal demo: the whole appliance on this machine, with real market data, and then everybody who wants
// evidence: an LP, compliance, and the owner of the strategy. Host proxy and enclave are processes of
// their own; what the verifiers run are the commands that anybody runs.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { run as attest } from '../verifier/commands/attest.ts';
import { run as logList } from '../verifier/commands/log-list.ts';
import { run as logProve } from '../verifier/commands/log-prove.ts';
import { run as replay } from '../verifier/commands/replay.ts';
import { run as verifyLog } from '../verifier/commands/verify-log.ts';
import { run as verifyProof } from '../verifier/commands/verify-proof.ts';
import type { CommandIo } from '../verifier/io.ts';
import type { Appliance, ApplianceStrategy } from './appliance.ts';
import { prepareAppliance } from './appliance.ts';
import { ROOT } from './bundle.ts';
import { demoStrategies } from './demo-strategies.ts';
import { renderSummary } from './demo-summary.ts';
import type { DemoSummary, HostJson, Json } from './demo-summary.ts';
import { explain } from './kit/explain.ts';

const USAGE = `usage: trackseal demo [--json] [--speed N|max] [--limit EVENTS] [--keep DIR]
                      [--strategy PATH [--parameters FILE]]…

  --json          the summary as JSON on stdout
  --speed N|max   how much faster than real time; default 40
  --limit EVENTS  stop after so many events
  --strategy PATH your strategy instead of the example; again for several, which run side by side
  --parameters FILE
                  of the n-th strategy; default: parameters.json beside it
  --keep DIR      work in DIR and leave everything there; default: a temporary folder, removed

Exit codes: 0 everything was proved, 1 something was refused, 2 could not run.
`;

const INSTRUMENT = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
} as const;
const CAPTURE = join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz');
const READY_TIMEOUT_MS = 60_000;

type DemoStrategies = readonly [ApplianceStrategy, ...ApplianceStrategy[]];

interface DemoOptions {
  readonly json: boolean;
  readonly speed: number | null;
  readonly limit: number | null;
  readonly keep: string | null;
  readonly strategies: readonly string[];
  readonly parameters: readonly string[];
}

function readOptions(args: readonly string[]): DemoOptions | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean', default: false },
        speed: { type: 'string', default: '40' },
        limit: { type: 'string' },
        keep: { type: 'string' },
        strategy: { type: 'string', multiple: true, default: [] },
        parameters: { type: 'string', multiple: true, default: [] },
      },
    });
    const speed = values.speed === 'max' ? null : Number(values.speed);
    const limit = values.limit === undefined ? null : Number(values.limit);
    if (speed !== null && !(speed > 0)) return null;
    if (limit !== null && !(Number.isSafeInteger(limit) && limit > 0)) return null;
    const { json, keep = null, strategy: strategies, parameters } = values;
    return { json, speed, limit, keep, strategies, parameters };
  } catch {
    return null;
  }
}

/** A command's exit code and what it printed as JSON. */
interface Outcome {
  readonly exitCode: number;
  readonly json: Json;
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

async function runJson(run: Run, args: readonly string[], io: CommandIo): Promise<Outcome> {
  let text = '';
  const captured: CommandIo = {
    ...io,
    stdout: (part) => {
      text += part;
    },
  };
  const exitCode = await run([...args, '--json'], captured);
  return { exitCode, json: text === '' ? {} : (JSON.parse(text) as Json) };
}

function hostConfig(appliance: Appliance, sockets: string, options: DemoOptions): object {
  return {
    transport: `unix:${sockets}`,
    state: join(appliance.directory, 'host', 'state'),
    log: appliance.logDirectory,
    configuration: appliance.configuration,
    strategies: appliance.strategies.map(({ pack, parameters, parametersSalt }) => ({
      pack,
      parameters,
      parameters_salt: parametersSalt,
    })),
    enclave: {
      command: [
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
      ],
      restart: false,
    },
    feed: { stream: 1, capture: CAPTURE, speed: options.speed, limit_events: options.limit },
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
    tiles: { port: 0 },
    ingress: { port: 0 },
    logging: { level: 'info', file: join(appliance.directory, 'host', 'host.log') },
  };
}

interface HostProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  output(): string;
}

function startHost(configFile: string, io: CommandIo): HostProcess {
  const args = [join(ROOT, 'scripts/trackseal.ts'), 'host', '--config', configFile, '--json'];
  const child = spawn(process.execPath, args, {
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
async function waitForEvent(
  logFile: string,
  event: string,
  host: HostProcess,
): Promise<Json | null> {
  let over = false;
  void host.ended.then(() => {
    over = true;
  });
  for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS; waitedMs += 50) {
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

/** Leaf of an output that was filled, and the report that says so; null when nothing was traded. */
async function findTrade(
  appliance: Appliance,
  io: CommandIo,
): Promise<{ readonly output: number; readonly report: Json } | null> {
  let text = '';
  const listing: CommandIo = {
    ...io,
    stdout: (part) => {
      text += part;
    },
  };
  const args = [appliance.logDirectory, '--kind', 'report', '--key', appliance.complianceKey];
  if ((await logList([...args, '--json'], listing)) !== 0) return null;
  for (const line of text.trimEnd().split('\n')) {
    if (line === '') continue;
    const { causes, payload } = JSON.parse(line) as { causes: number[]; payload: Json };
    const [output] = causes;
    if (payload['status'] === 'filled' && output !== undefined) return { output, report: payload };
  }
  return null;
}

async function runDemo(
  directory: string,
  sockets: string,
  options: DemoOptions,
  strategies: DemoStrategies,
  io: CommandIo,
): Promise<number> {
  const say = (line: string): void => {
    if (!options.json) io.stderr(`${line}\n`);
  };
  const quiet: CommandIo = options.json ? { ...io, stderr: () => {}, isTerminal: false } : io;

  say('1. Preparing: image measurements, strategy commitment, keys');
  const [first, ...others] = strategies;
  const instruments = [INSTRUMENT];
  const appliance = await prepareAppliance({
    ...first,
    directory,
    others,
    instruments,
    anchorMs: 5000,
  });
  const configFile = join(directory, 'host', 'host.json');
  const config = hostConfig(appliance, sockets, options);
  await writeFile(configFile, `${JSON.stringify(config, null, 2)}\n`);

  say('2. Host proxy and enclave: Binance data in, signals out, every step in the signed log');
  const hostLog = join(directory, 'host', 'host.log');
  const heads = join(directory, 'lp', 'heads.json');
  const trust = ['--policy', appliance.policy, '--unsafe-root', appliance.rootPem];
  const host = startHost(configFile, quiet);
  try {
    const ready = await waitForEvent(hostLog, 'enclave_ready', host);
    const ingress = await waitForEvent(hostLog, 'ingress_listening', host);
    if (ready === null || ingress === null) {
      const log = await readFile(hostLog, 'utf8').catch(() => 'no log');
      io.stderr(`the enclave did not get ready; the end of the host's log:\n${log.slice(-4000)}\n`);
      return 2;
    }
    const url = `https://127.0.0.1:${String(ingress['port'])}`;
    const documentFile = join(directory, 'lp', 'attestation.cbor');
    const asking = [url, ...trust, '--heads', heads, '-o', documentFile];
    const first = await runJson(attest, asking, quiet);
    // Again some time later: the second head must contain the first. A short run may be over by then.
    await sleep(options.speed === null ? 200 : 2000);
    const again = await runJson(attest, asking, { ...quiet, stderr: () => {} });
    const second = again.json['code'] === 'source_unreachable' ? first : again;

    const hostExit = await host.ended;
    const hostSummary = JSON.parse(host.output()) as HostJson;

    say('3. LP: nonce, attestation document, TLS key, image, configuration');
    say('4. Compliance: the whole epoch, then one trade, offline');
    const { logDirectory, complianceKey } = appliance;
    const keyed = ['--key', complianceKey];
    const log = await runJson(
      verifyLog,
      [logDirectory, ...trust, ...keyed, '--heads', heads],
      quiet,
    );
    const trade = await findTrade(appliance, quiet);
    const proofFile = join(directory, 'compliance', 'trade.tlog-proof');
    const index = String(trade?.output ?? 0);
    const proving = [logDirectory, '--index', index, '-o', proofFile];
    const proved = await runJson(logProve, [...proving, ...keyed], quiet);
    const proof = await runJson(verifyProof, [proofFile, ...trust], quiet);

    say('5. Quant: the logged inputs through the strategy again');
    const files = appliance.strategies.flatMap(({ pack, parameters, parametersSalt: salt }) => {
      return ['--strategy', pack, '--parameters', parameters, '--parameters-salt', salt];
    });
    const replayed = await runJson(replay, [logDirectory, ...files, ...keyed, '--all'], quiet);

    const exitCodes = [hostExit, first, second, log, proved, proof, replayed].map((outcome) =>
      typeof outcome === 'number' ? outcome : outcome.exitCode,
    );
    const summary: DemoSummary = {
      verdict: exitCodes.every((code) => code === 0) && trade !== null ? 'proved' : 'refused',
      host: hostSummary,
      attestation: second.json,
      log: log.json,
      trade: { found: trade !== null, report: trade?.report ?? null, proof: proof.json },
      replay: replayed.json,
      kept: options.keep === null ? null : directory,
    };
    io.stdout(options.json ? `${JSON.stringify(summary, null, 2)}\n` : renderSummary(summary));
    return summary.verdict === 'proved' ? 0 : 1;
  } finally {
    if (host.child.exitCode === null) host.child.kill('SIGTERM');
    await host.ended.catch(() => 1);
  }
}

/** None when the options are wrong, which was said. */
async function readStrategies(
  { strategies, parameters, json }: DemoOptions,
  io: CommandIo,
): Promise<readonly ApplianceStrategy[]> {
  const read = await demoStrategies(strategies, parameters);
  if (read.ok) return read.value;
  explain(io, read.refusal, { json, exit: 2 });
  return [];
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const options = readOptions(args);
  if (options === null) {
    io.stderr(USAGE);
    return 2;
  }
  const [first, ...others] = await readStrategies(options, io);
  if (first === undefined) return 2;
  // Unix sockets have short paths, so they never go into --keep DIR.
  const temporary = await mkdtemp(join(tmpdir(), 'trackseal-'));
  const directory = options.keep === null ? join(temporary, 'demo') : resolve(options.keep);
  const sockets = join(temporary, 's');
  await mkdir(directory, { recursive: true });
  try {
    return await runDemo(directory, sockets, options, [first, ...others], io);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
