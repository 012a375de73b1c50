// A trader, an exchange and an appliance, each a process of its own, with somebody who listens everywhere: on the sockets
// between host and enclave, on the TCP connections of host with client and exchange, in the host's files and output,
// and in the memory of any process.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ROOT } from '../../scripts/bundle.ts';
import type { Appliance } from '../../scripts/appliance.ts';
import type { DemoDatabase } from '../../scripts/demo-database.ts';
import { prepareDatabase } from '../../scripts/demo-database.ts';
import { SimulatedAws } from '../../scripts/simulated-aws.ts';
import type { AccountAnswer } from '../../simulator/exchange/control.ts';
import { PORT } from '../../wire/messages.ts';
import type { SecretSearch } from '../helpers/secret-search.ts';
import { enclaveCommand, newAppliance, newPlace, stateOf, TestHost } from './appliance.ts';
import type { HostOptions, Place } from './appliance.ts';
import { readMemory } from './memory.ts';
import { closeAfterwards, temporaryFolder, TestProcess, trackseal, waitFor } from './processes.ts';
import type { CommandResult } from './processes.ts';

export const VENUE = 'bybit';
export const VENUE_HOST = 'api-testnet.bybit.com';

/** Passes TCP on and keeps both directions. */
export class Relay {
  /** Where it connects to; a host's port changes with each host. */
  target = 0;
  port = 0;
  /** That were made so far. */
  connections = 0;
  readonly #chunks: Buffer[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((near) => {
      this.connections++;
      const far = createConnection({ host: '127.0.0.1', port: this.target });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
        from.on('error', () => to.destroy());
        from.on('close', () => this.#sockets.delete(from));
        from.pipe(to);
      }
    });
  }

  static async open(): Promise<Relay> {
    const relay = new Relay();
    const server = relay.#server;
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    relay.port = (server.address() as AddressInfo).port;
    closeAfterwards(
      () =>
        new Promise((resolve) => {
          for (const socket of relay.#sockets) socket.destroy();
          server.close(() => resolve());
        }),
    );
    return relay;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** The simulated exchange's program, and its control. */
export class ExchangeProcess {
  readonly process: TestProcess;
  readonly port: number;
  readonly ca: string;
  readonly #controlPort: number;

  private constructor(process: TestProcess, ready: { port: number; control: number; ca: string }) {
    this.process = process;
    this.port = ready.port;
    this.ca = ready.ca;
    this.#controlPort = ready.control;
  }

  /** Its certificates are of the authority in `folder`. */
  static async start(folder: string): Promise<ExchangeProcess> {
    const args = [join(ROOT, 'simulator/exchange/main.ts'), '--folder', folder];
    const child = new TestProcess(process.execPath, args);
    const line = await waitFor('the exchange', () => /^\{.*\}$/mu.exec(child.stdout)?.[0]);
    const ready = JSON.parse(line) as { port: number; control_port: number; ca: string };
    const { port, ca, control_port: control } = ready;
    return new ExchangeProcess(child, { port, ca, control });
  }

  async control(operation: string, options: object = {}): Promise<unknown> {
    const answer = await fetch(`http://127.0.0.1:${this.#controlPort}/${operation}`, {
      method: 'POST',
      body: JSON.stringify(options),
    });
    const value: unknown = await answer.json();
    if (!answer.ok) throw new Error(`${operation}: ${JSON.stringify(value)}`);
    return value;
  }

  /** Whether it got a request for `path`, which it may not have answered yet. */
  async wasAsked(path: string): Promise<boolean> {
    const requests = (await this.control('requests')) as readonly { readonly path: string }[];
    return requests.some((request) => request.path === path);
  }
}

interface OneHost {
  readonly place: Place;
  /** Its way to the exchange. */
  readonly egress: Relay;
  readonly options: Partial<HostOptions>;
}

export class TraderStage {
  readonly appliance: Appliance;
  readonly exchange: ExchangeProcess;
  readonly keys: AccountAnswer;
  readonly place: Place;
  /** TCP between clients and the host, and between the host and the exchange. */
  readonly ingress: Relay;
  readonly egress: Relay;
  /** Of the host, where the stage has one. */
  readonly database: DemoDatabase | null;
  readonly sessionFile: string;
  readonly enclaveOutput: string;
  readonly hosts: TestHost[] = [];
  readonly #aws: SimulatedAws;
  readonly #sealed: readonly string[];

  private constructor(
    parts: Pick<TraderStage, StageParts>,
    aws: SimulatedAws,
    sealed: readonly string[],
  ) {
    this.appliance = parts.appliance;
    this.exchange = parts.exchange;
    this.keys = parts.keys;
    this.place = parts.place;
    this.ingress = parts.ingress;
    this.egress = parts.egress;
    this.database = parts.database;
    const folder = temporaryFolder();
    this.sessionFile = join(folder, 'session.json');
    this.enclaveOutput = join(folder, 'enclave.out');
    this.#aws = aws;
    this.#sealed = sealed;
  }

  /** An account with a deposit and two trades at the exchange's sandbox; sessions outlive epochs. */
  static async open(hasDatabase = false): Promise<TraderStage> {
    const directory = join(temporaryFolder(), 'a');
    const database = hasDatabase ? await prepareDatabase(directory) : null;
    const aws = await SimulatedAws.open(directory, false);
    closeAfterwards(() => aws.close());
    const exchange = await ExchangeProcess.start(join(directory, 'aws', 'kms'));
    const appliance = await newAppliance(
      directory,
      {},
      {
        cloud: aws.appliance,
        ...(database === null ? {} : { database }),
        exchanges: { hosts: [{ host: VENUE_HOST, port: 443 }], roots: exchange.ca },
      },
    );
    await aws.start(appliance);
    const sealed = await aws.seal(appliance);
    const keys = (await exchange.control('account', {
      venue: VENUE,
      isSandbox: true,
      permissions: ['read'],
    })) as AccountAnswer;
    const { account } = keys;
    await exchange.control('deposit', { account, currency: 'USDT', amount: '25000' });
    for (const [side, price, amount] of [
      ['buy', '60123.4', '0.05'],
      ['sell', '60410.1', '0.02'],
    ]) {
      const symbol = 'BTC/USDT';
      await exchange.control('trade', { account, symbol, side, price, amount });
    }
    const [place, ingress, egress] = [await newPlace(), await Relay.open(), await Relay.open()];
    egress.target = exchange.port;
    const parts = { appliance, exchange, keys, place, ingress, egress, database };
    return new TraderStage(parts, aws, sealed);
  }

  get url(): string {
    return `https://127.0.0.1:${this.ingress.port}`;
  }

  /** `marker` is something that the host holds, in its environment. */
  async startHost(marker: string): Promise<TestHost> {
    const { place, egress } = this;
    const host = this.beginHost(marker, { place, egress, options: { restart: true } });
    await host.waitForEvent('enclave_ready');
    const { port } = await host.waitForEvent('ingress_listening');
    this.ingress.target = Number(port);
    return host;
  }

  /** One of several, which may have to wait before its enclave starts. */
  beginHost(marker: string, { place, egress, options }: OneHost): TestHost {
    const { appliance, enclaveOutput } = this;
    const address = `127.0.0.1:${egress.port}`;
    const allow = [...this.#aws.egress, { host: VENUE_HOST, port: 443, address }];
    const logged = ['/bin/sh', '-c', `exec "$0" "$@" >>'${enclaveOutput}' 2>&1`];
    const host = TestHost.start(appliance, place, {
      speed: 1,
      ...options,
      command: [...logged, ...enclaveCommand(appliance, place)],
      env: {
        ...(this.#aws.hostEnvironment() as Readonly<Record<string, string>>),
        TRACKSEAL_TEST_MARKER: marker,
      },
      more: {
        strategies: [],
        sealed: this.#sealed,
        egress: { allow },
        credentials: { source: 'imds' },
        ...(this.database === null ? {} : { database: this.database.host }),
        ...options.more,
      },
    });
    this.hosts.push(host);
    return host;
  }

  /** `trackseal register`, with the key in its environment. */
  register(userId: string): TestProcess {
    const account = ['--user-id', userId, '--exchange', VENUE, '--sandbox'];
    const options = [...account, ...this.appliance.trust, '--session', this.sessionFile];
    return new TestProcess(
      join(ROOT, 'scripts/trackseal'),
      ['register', this.url, ...options, '--json'],
      {
        env: { TRACKSEAL_API_KEY: this.keys.api_key, TRACKSEAL_SECRET: this.keys.secret },
      },
    );
  }

  session(verb: string, ...args: readonly string[]): Promise<CommandResult> {
    const { trust } = this.appliance;
    const options = ['--session', this.sessionFile, ...trust, '--json'];
    return trackseal(['session', verb, ...options, ...args]);
  }

  /** Records of the vault as the host keeps them. */
  get vault(): string {
    return join(stateOf(this.appliance), 'vault');
  }

  /** What passed between host and enclave, and the host's TCP, by name. */
  get traffic(): Readonly<Record<string, Buffer>> {
    const { tap } = this.place;
    const ports = Object.entries(PORT).flatMap(([name, port]) => [
      [`${name}, from the enclave`, tap.bytesLeft(port)] as const,
      [`${name}, to the enclave`, tap.bytesEntered(port)] as const,
    ]);
    return {
      ...Object.fromEntries(ports),
      'TCP with clients': this.ingress.bytes,
      'TCP with the exchange': this.egress.bytes,
    };
  }

  /** Everything that the host has written: state, log, its own log and output, and the output of the enclave. */
  get written(): Readonly<Record<string, Buffer>> {
    const { appliance, hosts, enclaveOutput } = this;
    const outputs = hosts.flatMap(({ process: { stdout, stderr } }, at) => [
      [`stdout of host ${at}`, Buffer.from(stdout)] as const,
      [`stderr of host ${at}`, Buffer.from(stderr)] as const,
    ]);
    return {
      'state and logs of the host': filesOf(join(appliance.directory, 'host')),
      'folder of the log': filesOf(appliance.logDirectory),
      'output of the enclave': readFileSync(enclaveOutput),
      ...Object.fromEntries(outputs),
    };
  }
}

type StageParts = 'appliance' | 'exchange' | 'keys' | 'place' | 'ingress' | 'egress' | 'database';

/** Names and contents of all files of a folder. */
function filesOf(folder: string): Buffer {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.map((name) => join(folder, name)).filter((path) => statSync(path).isFile());
  return Buffer.concat(files.flatMap((path) => [Buffer.from(`${path}\n`), readFileSync(path)]));
}

/** Names of the secrets in the whole memory of a process, in order. The relays of this process go on meanwhile. */
export async function inMemory(pid: number, search: SecretSearch): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const piece of readMemory(pid, search.overlapBytes)) {
    for (const name of search.in(piece)) found.add(name);
    await nextTurn();
  }
  return [...found].toSorted();
}
