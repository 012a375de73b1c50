// A local appliance for tests: what scripts/appliance.ts prepares, a host configuration that the test may
// bend, host processes that are started, watched and killed, and the commands of those who verify.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepareAppliance } from '../../scripts/appliance.ts';
import type { Appliance, ApplianceOptions } from '../../scripts/appliance.ts';
import { ROOT } from '../../scripts/bundle.ts';
import type { Instrument } from '../../wire/configuration.ts';
import { LAUNCHER, TestProcess, temporaryFolder, trackseal, waitFor } from './processes.ts';
import type { CommandResult, Json, ProcessEnd } from './processes.ts';
import { Tap } from './tap.ts';

export const CAPTURE: string = join(ROOT, 'data/binance-2024-08/spot_ethusdt_20240808.gz');
const STRATEGY = join(ROOT, 'strategies/order-flow.ts');
export const PARAMETERS: string = join(ROOT, 'strategies/order-flow.ethusdt.json');
export const INSTRUMENT: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
};

/** `parameters` replace some of the example's; `changes` anything else. */
export async function newAppliance(
  directory: string,
  parameters: object = {},
  changes: Partial<ApplianceOptions> = {},
): Promise<Appliance> {
  const example = JSON.parse(readFileSync(PARAMETERS, 'utf8')) as object;
  return prepareAppliance({
    directory,
    strategy: STRATEGY,
    strategyName: 'order-flow',
    parameters: { ...example, ...parameters },
    instruments: [INSTRUMENT],
    anchorMs: 1000,
    ...changes,
  });
}

export interface HostOptions {
  /** Null is as fast as it goes. */
  readonly speed: number | null;
  readonly limitEvents?: number;
  readonly restart?: boolean;
  /** False: the test starts the enclave itself. */
  readonly startsEnclave?: boolean;
  readonly latencyMs?: number;
  /** Rows of a batch; default that of the host. */
  readonly closeRows?: number;
  /** Default: the appliance's own. */
  readonly state?: string;
  readonly log?: string;
  /** Default: the committed one. */
  readonly capture?: string;
  readonly whenFull?: 'wait' | 'drop';
  /** Enclave and host meet at an emulated vsock device instead of the tap. */
  readonly hvsock?: boolean;
  /** Anything else of the host's file. */
  readonly more?: object;
  /** Another enclave than the simulator, and how the host reaches it. */
  readonly transport?: string;
  readonly command?: readonly string[];
  readonly readyMs?: number;
  readonly closeMs?: number;
  /** More of its configuration: `egress`, `credentials`. */
  readonly config?: object;
  /** `ship` of its configuration, and the credentials for it. */
  readonly ship?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Prometheus on a port of its own (`metrics_listening`). */
  readonly metrics?: boolean;
  /** The command that runs the host's command, for a disk or limits of its own. */
  readonly within?: (command: readonly string[]) => readonly [string, ...string[]];
}

/** The sockets of one appliance; host and enclave have folders of their own. */
export interface Sockets {
  readonly hostSockets: string;
  readonly enclaveSockets: string;
}

export interface Place extends Sockets {
  readonly tap: Tap;
}

export async function newPlace(): Promise<Place> {
  const folder = temporaryFolder();
  const [hostSockets, enclaveSockets] = [join(folder, 'h'), join(folder, 'e')];
  return { hostSockets, enclaveSockets, tap: await Tap.open(hostSockets, enclaveSockets) };
}

export function enclaveCommand(
  appliance: Appliance,
  place: Sockets,
  transport: string = `unix:${place.enclaveSockets}`,
): readonly string[] {
  const options = {
    '--transport': transport,
    '--measured': appliance.measured,
    '--measurements': appliance.measurements,
    '--root': join(appliance.directory, 'aws'),
    '--roots': appliance.roots,
  };
  return [process.execPath, join(ROOT, 'simulator/main.ts'), ...Object.entries(options).flat()];
}

function hostConfig(
  appliance: Appliance,
  place: Sockets,
  logFile: string,
  options: HostOptions,
): object {
  const { configuration, strategies } = appliance;
  const { speed, limitEvents = null, restart = false, startsEnclave = true } = options;
  const device = join(place.hostSockets, 'vm');
  const command = enclaveCommand(
    appliance,
    place,
    options.hvsock === true ? `guest:${device}` : undefined,
  );
  return {
    transport:
      options.transport ??
      (options.hvsock === true ? `hvsock:${device}` : `unix:${place.hostSockets}`),
    state: options.state ?? stateOf(appliance),
    log: options.log ?? appliance.logDirectory,
    configuration,
    strategies: strategies.map(({ pack, parameters, parametersSalt }) => ({
      pack,
      parameters,
      parameters_salt: parametersSalt,
    })),
    enclave: {
      command: startsEnclave ? (options.command ?? command) : null,
      restart,
      ...(options.readyMs === undefined ? {} : { ready_ms: options.readyMs }),
      ...(options.closeMs === undefined ? {} : { close_ms: options.closeMs }),
    },
    feed: {
      stream: 1,
      capture: options.capture ?? CAPTURE,
      speed,
      limit_events: limitEvents,
      when_full: options.whenFull ?? 'wait',
      ...(options.closeRows === undefined ? {} : { close_rows: options.closeRows }),
    },
    execution: {
      paper: {
        latency_ms: options.latencyMs ?? 5,
        taker_fee_ppm: 500,
        maker_fee_ppm: 100,
        slippage_ticks: 1,
      },
      limits: {
        max_order_notional: '10000',
        max_position_notional: '20000',
        max_orders: 50,
        order_window_ms: 10_000,
        price_band_ppm: 5000,
        max_daily_loss: '5000',
      },
      kill_switch: killSwitchOf(appliance),
      keep_journals: true,
    },
    ...(options.ship === undefined ? {} : { ship: options.ship }),
    ...options.config,
    ...(options.metrics === true ? { metrics: { port: 0 } } : {}),
    tiles: { port: 0 },
    ingress: { port: 0 },
    logging: { level: 'debug', file: logFile },
    ...options.more,
  };
}

export function stateOf({ directory }: Appliance): string {
  return join(directory, 'host', 'state');
}

/** A file that stops trading when it is there. */
export function killSwitchOf({ directory }: Appliance): string {
  return join(directory, 'host', 'KILL');
}

let hosts = 0;

export class TestHost {
  readonly process: TestProcess;
  readonly configFile: string;
  readonly #logFile: string;

  private constructor(process: TestProcess, configFile: string, logFile: string) {
    this.process = process;
    this.configFile = configFile;
    this.#logFile = logFile;
  }

  /** `trackseal host` with a log file of its own. */
  static start(appliance: Appliance, place: Sockets, options: HostOptions): TestHost {
    const name = `host-${hosts++}`;
    const folder = join(appliance.directory, 'host');
    mkdirSync(folder, { recursive: true });
    const [configFile, logFile] = [join(folder, `${name}.json`), join(folder, `${name}.log`)];
    const config = hostConfig(appliance, place, logFile, options);
    writeFileSync(configFile, JSON.stringify(config, null, 2));
    const command = [LAUNCHER, 'host', '--config', configFile, '--json', '--quiet'] as const;
    const [program, ...args] = options.within?.(command) ?? command;
    const { env = {} } = options;
    const process = new TestProcess(program, args, { env });
    return new TestHost(process, configFile, logFile);
  }

  /** False while it has not come as far as its log. */
  get hasLogged(): boolean {
    return this.#entries().length > 0;
  }

  /** Entries of its log with this event. */
  events(event: string): readonly Json[] {
    return this.#entries().filter((entry) => entry['event'] === event);
  }

  /** The n-th entry with this event, from 1. Throws when the host ends first. */
  waitForEvent(event: string, count = 1): Promise<Json> {
    return this.waitFor(`${event} no. ${count}`, () => this.events(event)[count - 1]);
  }

  waitFor<T>(what: string, look: () => T | null | false | undefined): Promise<T> {
    return waitFor(what, () => {
      const found = look();
      if (found !== null && found !== false && found !== undefined) return found;
      if (this.process.end === null) return null;
      const { code, signal } = this.process.end;
      const text = this.#entries().map((entry) => JSON.stringify(entry));
      throw new Error(
        `${what}: the host ended with ${code ?? signal ?? ''}\n${text.join('\n')}\n${this.process.stderr}`,
      );
    });
  }

  /** Process id of the enclave of this host's n-th epoch. */
  async enclavePid(count = 1): Promise<number> {
    return Number((await this.waitForEvent('enclave_started', count))['pid']);
  }

  async url(): Promise<string> {
    const { port } = await this.waitForEvent('ingress_listening');
    return `https://127.0.0.1:${Number(port)}`;
  }

  /** Its end, and its summary when it has one. */
  async finish(): Promise<{ readonly end: ProcessEnd; readonly summary: HostSummary }> {
    await waitFor('the host to end', () => this.process.end);
    const end = await this.process.closed;
    const { stdout } = this.process;
    const summary =
      stdout === '' ? { clean: false, epochs: [] } : (JSON.parse(stdout) as HostSummary);
    return { end, summary };
  }

  #entries(): readonly Json[] {
    let text = '';
    try {
      text = readFileSync(this.#logFile, 'utf8');
    } catch {
      return [];
    }
    // The last line may be half written.
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Json);
  }
}

export interface HostSummary {
  readonly clean: boolean;
  readonly epochs: readonly {
    readonly epoch: number;
    readonly size: number;
    readonly closed: boolean;
    readonly code: string | null;
    readonly unreleased: readonly number[];
    readonly execution: {
      readonly reconciled: number;
      readonly accepted: number;
      readonly profit: string | null;
    } | null;
  }[];
}

/** Status of a path on the enclave's own HTTPS; rejects when nobody answers. */
export function fetchStatus(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false, agent: false }, (response) => {
      response.resume().once('end', () => {
        resolve(response.statusCode ?? 0);
      });
    }).once('error', reject);
  });
}

/** Until the enclave's HTTPS answers so; that it does not answer yet, or not under such a load, is another answer. */
export async function waitForStatus(url: string, status: number): Promise<void> {
  while ((await fetchStatus(url).catch(() => null)) !== status) await sleep(100);
}

export function trustOf({ trust }: Appliance): readonly string[] {
  return trust;
}

/** `trackseal attest`; remembers the head in `heads`. */
export function attest(
  appliance: Appliance,
  url: string,
  heads: string,
  options: readonly string[] = [],
): Promise<CommandResult> {
  return trackseal(['attest', url, ...trustOf(appliance), '--heads', heads, ...options, '--json']);
}

/** `trackseal verify log` with compliance's key. */
export function verifyLog(
  appliance: Appliance,
  options: { readonly log?: string; readonly epoch?: number; readonly heads?: string } = {},
): Promise<CommandResult> {
  const { log = appliance.logDirectory, epoch, heads } = options;
  const keyed = ['--key', appliance.complianceKey, '--json'];
  return trackseal([
    'verify',
    'log',
    log,
    ...trustOf(appliance),
    ...keyed,
    ...(epoch === undefined ? [] : ['--epoch', String(epoch)]),
    ...(heads === undefined ? [] : ['--heads', heads]),
  ]);
}
