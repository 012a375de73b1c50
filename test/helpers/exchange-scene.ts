// The whole enclave of a test behind one host, core, desk and a connector with ccxt, in front of the simulated exchange, with all
// that the host gets of it. With a KMS the vault has a data key, and the host keeps what the enclave gives it.

import { X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { serveConnector } from '../../enclave/connector/serve.ts';
import type { RunningExchange } from '../../simulator/exchange/server.ts';
import { startExchange } from '../../simulator/exchange/server.ts';
import type { RunningKms } from '../../simulator/kms/server.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { toHex } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { parseVaultWrite } from '../../wire/desk-messages.ts';
import { encodeVaultKept, encodeVaultRecord } from '../../wire/messages.ts';
import type { Dial } from '../../wire/kms-messages.ts';
import type { Metadata } from '../../wire/envelope.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../wire/parse-exchange-call.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND } from '../../wire/leaf.ts';
import { FRAME, PORT } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { serveStream } from './egress-host.ts';
import type { TestHost } from './enclave-host.ts';
import { previousOf, startHost } from './enclave-host.ts';
import { IMAGE, KEY_ARN, simulatedRoot } from './kms.ts';
import { closeHost, CREDENTIALS, KMS, KMS_HOST } from './sealing.ts';
import { SecretSearch } from './secret-search.ts';
import type { Addressee, Asker, Opened } from './trader.ts';
import { post, sealFor } from './trader.ts';

export const VENUE_HOSTS: readonly string[] = [
  'api.binance.com',
  'fapi.binance.com',
  'dapi.binance.com',
];
/** Measured too, and nobody's venue here. */
export const OTHER_HOST = 'api.kraken.com';

function connectorInProcess(): Promise<Duplex> {
  const [desk, connector] = duplexPair();
  desk.on('error', () => undefined);
  connector.on('error', () => undefined);
  desk.on('close', () => connector.destroy());
  serveConnector(connector, () => desk.destroy());
  return Promise.resolve(desk);
}

function rootHash(pem: string): string {
  return toHex(nodeCrypto.sha256(new X509Certificate(pem).raw));
}

function tlsTo(host: TestHost): Duplex {
  const tls = connect({ socket: host.dial(PORT.https), rejectUnauthorized: false });
  tls.on('error', () => undefined);
  return tls;
}

export class ExchangeScene {
  readonly exchange: RunningExchange;
  readonly host: TestHost;
  readonly dialed: Set<string>;
  readonly answers: Buffer[] = [];
  readonly ask: Asker;

  /** What the host was given to keep, by id. */
  readonly kept: Map<string, Uint8Array>;
  /** All of it that it ever was given. */
  readonly written: Uint8Array[] = [];
  readonly #kms: RunningKms | null;
  readonly #keeper: NodeJS.Timeout;
  #seen = 0;

  private constructor(
    exchange: RunningExchange,
    host: TestHost,
    {
      dialed,
      kms,
      kept,
    }: {
      readonly dialed: Set<string>;
      readonly kms: RunningKms | null;
      readonly kept: ReadonlyMap<string, Uint8Array> | undefined;
    },
  ) {
    this.exchange = exchange;
    this.host = host;
    this.dialed = dialed;
    this.kept = new Map(kept);
    this.#kms = kms;
    this.#keeper = setInterval(() => {
      this.#keep();
    }, 5);
    this.ask = (path, { body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const sent = request(
          { path, ...options, createConnection: () => tlsTo(host) },
          (answer) => {
            const chunks: Buffer[] = [Buffer.from(JSON.stringify(answer.headers))];
            answer.on('data', (chunk: Buffer) => chunks.push(chunk));
            answer.on('end', () => {
              this.answers.push(...chunks);
              const { statusCode: status = 0, headers } = answer;
              resolve({ status, headers, body: Buffer.concat(chunks.slice(1)) });
            });
          },
        );
        sent.on('error', reject);
        sent.end(body);
      });
  }

  static async start(kms: RunningKms | null = null): Promise<ExchangeScene> {
    return ExchangeScene.#boot(await startExchange(), kms, null);
  }

  /** The next epoch, with whatever the host kept; the exchange goes on. */
  async restart(): Promise<ExchangeScene> {
    await this.#end();
    return ExchangeScene.#boot(this.exchange, this.#kms, this);
  }

  static async #boot(
    exchange: RunningExchange,
    kms: RunningKms | null,
    before: ExchangeScene | null,
  ): Promise<ExchangeScene> {
    const roots = Buffer.from([exchange.ca, kms?.caPem ?? ''].join('\n'));
    const venues = [...VENUE_HOSTS, OTHER_HOST];
    // Certificate authorities by host: the two of the simulators have one name.
    const hosts = venues.map((host) => ({ host, port: 443, roots: [rootHash(exchange.ca)] }));
    if (kms !== null) hosts.push({ host: KMS_HOST, port: 443, roots: [rootHash(kms.caPem)] });
    const routes = new Map(venues.map((name) => [`${name}:443`, exchange.port]));
    if (kms !== null) routes.set(`${KMS_HOST}:443`, kms.port);
    const desk = { polling_ms: 60_000, max_sessions: 10, sandbox: false };
    const dialed = new Set<string>();
    const host = await startHost({
      configuration: {
        strategies: [],
        ...(kms === null
          ? { desk }
          : {
              kms: KMS,
              data_keys: [{ name: 'vault', key_arn: KEY_ARN }],
              desk: { ...desk, vault: 'vault' },
            }),
      },
      measured: canonicalJson({
        version: 2,
        strategies: [],
        owner_key: null,
        hosts,
        roots_sha256: toHex(nodeCrypto.sha256(roots)),
      }),
      roots,
      items: [],
      nsmDevice: new SimulatedNsm({ root: await simulatedRoot(), measurements: IMAGE }),
      ...(kms === null
        ? {}
        : { credentials: CREDENTIALS, dataKeys: { records: before?.host.kept ?? [], rotate: [] } }),
      previous: before === null ? null : previousOf(before.host),
      vault: Array.from(before?.kept ?? [], ([id, bytes]) =>
        encodeVaultRecord({ recordId: Buffer.from(id, 'hex'), bytes }),
      ),
      desk: { spawnConnector: connectorInProcess },
      onEgress: (stream) => {
        const dials: Dial[] = [];
        serveStream({ answer: null, dials, routes }, stream);
        stream.once('data', () => {
          for (const { host: name } of dials) dialed.add(name);
        });
      },
    });
    const scene = new ExchangeScene(exchange, host, { dialed, kms, kept: before?.kept });
    await host.ready();
    return scene;
  }

  get enclave(): Addressee {
    const header = assertAccepted(parseHeader(this.host.open(0)));
    const leafZeroHash = leafHash(nodeCrypto, this.host.leaves[0] ?? new Uint8Array());
    const publicKey = header.x25519Key ?? new Uint8Array();
    return { origin: header.origin, leafZeroHash, keys: { x25519: { publicKey } } };
  }

  send(path: string, metadata: Metadata, plaintext: object): Promise<Opened> {
    return post(
      this.ask,
      path,
      sealFor(this.enclave, { time: Date.now(), ...metadata }, plaintext),
    );
  }

  async operate(op: string, id: string): Promise<Opened> {
    return this.send('/enclave/envelopes', { op }, { session_id: id });
  }

  /** Plaintexts of the private leaves of a kind, as compliance reads them. */
  plaintexts(kind: number): readonly Uint8Array[] {
    return this.host.leavesOf(kind).map((index) => this.host.open(index));
  }

  /** Where any of the secrets is found. */
  leaks(secrets: Readonly<Record<string, string>>): readonly string[] {
    const { host } = this;
    const kinds = [KIND.exchangeCall, KIND.result, KIND.audit];
    const ports = Array.from(host.tapped, ([port, chunks]) => [`port ${port}`, chunks] as const);
    return new SecretSearch(secrets).inAll({
      leaves: host.leaves,
      blobs: host.blobs,
      'plaintexts of leaves': kinds.flatMap((kind) => this.plaintexts(kind)),
      diagnostics: [JSON.stringify(host.diagnostics)],
      'boot messages': host.bootFrames.map(({ payload }) => payload),
      answers: this.answers,
      'vault records': this.written,
      'paths of calls': [
        JSON.stringify(this.polls().map(({ calls }) => calls.map(({ path }) => path))),
      ],
      ...Object.fromEntries(ports),
    });
  }

  polls(): readonly ExchangePoll[] {
    return this.plaintexts(KIND.exchangeCall).map(pollOf);
  }

  async close(): Promise<void> {
    await this.#end();
    await this.exchange.close();
  }

  async #end(): Promise<void> {
    await closeHost(this.host);
    this.#keep();
    clearInterval(this.#keeper);
  }

  /** As a host does: keeps it, then says so. */
  #keep(): void {
    const frames = this.host.bootFrames.slice(this.#seen);
    this.#seen += frames.length;
    for (const { payload } of frames.filter(({ type }) => type === FRAME.vault)) {
      const { id, recordId, bytes } = assertAccepted(parseVaultWrite(payload));
      if (bytes === null) this.kept.delete(toHex(recordId));
      else {
        this.kept.set(toHex(recordId), bytes);
        this.written.push(bytes);
      }
      this.host.sendBoot(FRAME.vaultKept, encodeVaultKept(id));
    }
  }
}

function pollOf(bytes: Uint8Array): ExchangePoll {
  return assertAccepted(parseExchangePoll(bytes));
}
