// The desk: the process of the enclave that talks to the outside. It serves HTTPS and polls exchanges, and has neither
// the log key nor the security module nor anything of KMS but what the owner sealed for it. Clients and
// exchanges are hostile, and so is the host, which carries every byte. Errors that nobody handles end it
// with a closed code; the core goes on without it.

import type { Duplex } from 'node:stream';
import type { ByteStream } from '../../wire/channel.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import type { DeskOpen, DeskOutput, DeskState } from '../../wire/desk-frames.ts';
import { parseManifest } from '../../wire/manifest.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Transport } from '../../wire/node/transport.ts';
import type { ClockSource } from '../clock.ts';
import { Clock, systemClock } from '../clock.ts';
import { Egress } from '../egress.ts';
import { createGuard, orFatal } from '../fatal.ts';
import { Connectors } from './connectors.ts';
import { CoreLink } from './core-link.ts';
import { GrpcPort } from './grpc-port.ts';
import { HttpsService } from './https.ts';
import { generateDeskKeys } from './keys.ts';
import type { DeskPart } from './parts.ts';
import { openParts } from './parts.ts';
import type { DeskServices } from './services.ts';
import { createCertificate } from './tls-certificate.ts';

const COUNTERS_MS = 5000;

export interface DeskOptions {
  /** To the core. */
  readonly stream: ByteStream;
  readonly transport: Transport;
  /** Where connectors are handed over; null where the core can start none. */
  readonly socket: string | null;
  /** Monotonic time; its wall clock does not count. */
  readonly clock?: ClockSource;
  /** In place of processes. */
  readonly spawnConnector?: () => Promise<Duplex>;
  readonly spawnLedger?: () => Promise<Duplex>;
  /** Once, when it is over: null when the core has ended it. */
  readonly onExit: (code: RefusalCode | null) => void;
}

class Desk {
  readonly #options: DeskOptions;
  readonly #link: CoreLink;
  readonly #keys = generateDeskKeys();
  readonly #stateListeners: ((state: DeskState) => void)[] = [];
  readonly #outputListeners: ((output: DeskOutput) => void)[] = [];
  readonly #certificateListeners: ((chain: Uint8Array) => void)[] = [];
  /** The last one, for who asks later. */
  #certificate: Uint8Array | null = null;
  readonly #guard = createGuard((code) => {
    this.#fail(code);
  });
  #parts: readonly DeskPart[] = [];
  #https: HttpsService | null = null;
  #grpc: GrpcPort | null = null;
  #listeners: readonly Connectors[] = [];
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#link = new CoreLink(options.stream, {
      guard: this.#guard,
      onShut: () => {
        void this.#guard.runAsync(() => this.#shut());
      },
      onState: (state) => {
        for (const listener of this.#stateListeners) listener(state);
      },
      onOutput: (output) => {
        for (const listener of this.#outputListeners) listener(output);
      },
      onCertificate: (chain) => {
        this.#certificate = chain;
        for (const listener of this.#certificateListeners) listener(chain);
      },
      onLost: () => {
        this.#exit(null);
      },
    });
    void this.#guard.runAsync(() => this.#run());
  }

  /** Also for what escaped every handler. */
  fail(code: RefusalCode): void {
    this.#fail(code);
  }

  async #run(): Promise<void> {
    const open = await this.#link.open(this.#keys);
    const services = await this.#services(open);
    const { configuration } = services;
    const certificate = await createCertificate(
      this.#keys.tls,
      configuration.tls_names,
      services.nowMs(),
    );
    const { parts, routes, grpc } = await openParts(services, {
      replaceCertificate: (chain) => {
        this.#https?.replaceCertificate(chain);
        this.#grpc?.replaceCertificate(chain);
      },
    });
    this.#parts = parts;
    this.#https = new HttpsService(services, this.#keys.tls, certificate, routes);
    await this.#https.listen(this.#options.transport);
    if (grpc !== null) {
      const { tls: key } = this.#keys;
      const nowMs = (): number => services.nowMs();
      const { guard } = services;
      this.#grpc = new GrpcPort({ guard, key, certificate, nowMs, ...grpc });
      await this.#grpc.listen(this.#options.transport);
    }
    this.#timer = setInterval(() => {
      this.#report();
    }, COUNTERS_MS);
    this.#link.opened();
  }

  async #services(open: DeskOpen): Promise<DeskServices> {
    const { transport, socket, spawnConnector, spawnLedger } = this.#options;
    const link = this.#link;
    const source = this.#options.clock ?? systemClock;
    const clock = new Clock({
      wallNs: () => open.nowNs,
      monotonicNs: () => source.monotonicNs(),
    });
    const manifest = orFatal(parseManifest(open.manifest));
    const configuration = orFatal(parseConfiguration(open.configuration));
    const egress = orFatal(Egress.open(nodeCrypto, transport, manifest, open.roots));
    const connectors = new Connectors(() => {
      link.spawn('connector');
    });
    const ledgers = new Connectors(() => {
      link.spawn('ledger');
    });
    if (socket !== null) {
      await connectors.listen(socket);
      await ledgers.listen(`${socket}-ledger`);
    }
    this.#listeners = [connectors, ledgers];
    return {
      origin: open.origin,
      epoch: open.epoch,
      configuration,
      configurationBytes: open.configuration,
      guard: this.#guard,
      keys: this.#keys,
      leafZeroHash: open.leafZeroHash,
      bootDocument: open.document,
      sealedAccounts: open.accounts,
      nowNs: () => clock.nowNs(),
      nowMs: () => Number(clock.nowNs() / 1_000_000n),
      append: (kind, plaintext, causes = []) => link.append(kind, plaintext, causes),
      acknowledged: (size) => link.acknowledged(size),
      acknowledgedSize: () => link.state.acknowledgedSize,
      attest: (nonce) => link.attest(nonce),
      clientCa: open.clientCa,
      databasePassword: open.databasePassword,
      egress,
      vault: {
        records: link.records,
        put: (id, bytes) => link.put(id, bytes),
      },
      vaultKeys: new Map(open.vaultKeys.map(({ version, bytes }) => [version, bytes])),
      spawnConnector: spawnConnector ?? (() => connectors.spawn()),
      spawnLedger: spawnLedger ?? (() => ledgers.spawn()),
      dialDatabase: () => egress.dial(configuration.database ?? null),
      onState: (listener) => {
        this.#stateListeners.push(listener);
        listener(link.state);
      },
      isReady: () => link.state.ready,
      logStalled: () => link.state.stalled,
      onOutput: (listener) => {
        this.#outputListeners.push(listener);
      },
      onCertificate: (listener) => {
        this.#certificateListeners.push(listener);
        if (this.#certificate !== null) listener(this.#certificate);
      },
    };
  }

  /** HTTPS goes on until the core ends the process: who asks hears that it is not ready. */
  async #shut(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.close()));
    this.#report();
    this.#link.down();
  }

  #report(): void {
    if (this.#over) return;
    const ports = [this.#https?.counters ?? {}, this.#grpc?.counters ?? {}];
    const counters = [...ports, ...this.#parts.map((part) => part.counters)];
    this.#link.counters(Object.assign({}, ...counters) as Record<string, number>);
  }

  #fail(code: RefusalCode): void {
    if (this.#over) return;
    void this.#link.fail(code).then(() => {
      this.#exit(code);
    });
  }

  #exit(code: RefusalCode | null): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    void this.#https?.close();
    void this.#grpc?.close();
    for (const listener of this.#listeners) listener.close();
    this.#options.onExit(code);
  }
}

export interface RunningDesk {
  fail(code: RefusalCode): void;
}

export function startDesk(options: DeskOptions): RunningDesk {
  return new Desk(options);
}
