// The host proxy: everything of the parent instance wired together, over the epochs that follow one
// another. Not trusted: whoever controls it can at most stop or delay traffic, invent prices on host
// streams, and cut off what came after the last head that was seen outside.

import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseOrigin } from '../wire/header.ts';
import { PORT } from '../wire/messages.ts';
import type { Diagnostic, Item, Previous } from '../wire/messages.ts';
import type { Listener } from '../wire/node/transport.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { listenForDiagnostics } from './diagnostics.ts';
import { Egress } from './egress/egress.ts';
import type { EgressOptions } from './egress/egress.ts';
import type { EpochServices, EpochSummary, LiveEpoch } from './epoch-services.ts';
import { EpochRun } from './epoch-run.ts';
import { listenForExitReason } from './exit-reason.ts';
import { lockFolder } from './folder-lock.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { HandOverWatch } from './hand-over-watch.ts';
import { Ingress } from './ingress.ts';
import type { IngressOptions } from './ingress.ts';
import { readPrevious } from './previous.ts';
import type { PreviousEpoch } from './previous.ts';
import type { ProgressNumbers } from './progress.ts';
import { progressOf } from './progress.ts';
import type { RecoveredEpoch } from './recovery.ts';
import type { BrokenEpoch } from './settle.ts';
import { readUnreleased, settleAll } from './settle.ts';
import { requestsDirectory } from './requests.ts';
import { Backoff } from './supervisor.ts';
import { TileServer } from './tile-server.ts';
import { isPermanent } from './permanent.ts';

const DEFAULT_SHIP_MS = 60_000;
const BACKOFF = { firstMs: 500, maximumMs: 30_000, resetAfterMs: 60_000 };

export interface HostOptions extends EpochServices {
  /** The configuration for the enclave, in canonical form, and the log id in it. */
  readonly configuration: Uint8Array;
  readonly logId: string;
  readonly items: readonly Item[];
  /** Of the configuration; default `spool`. */
  readonly commitPolicy?: 'spool' | 's3';
  /** Policy s3: fetches epochs that the bucket has and the log folder has not, before the first one begins. */
  readonly restore?: boolean;
  readonly restart: boolean;
  /** Execution's part in settling; null: only looks whether its records can be read. */
  readonly reconcile?: (epoch: BrokenEpoch | null) => Promise<Result<null>>;
  /** Before the folder is given up: from then on nothing may change a file any more. */
  readonly closeFiles?: () => Promise<void>;
  readonly tiles: { readonly host: string; readonly port: number } | null;
  /** The enclave's way out; by default there is none. */
  readonly egress?: Omit<EgressOptions, 'transport' | 'logger'> | null;
  readonly ingress: Pick<IngressOptions, 'host' | 'port' | 'maxConnections' | 'idleMs'> | null;
  /** In front of the enclave's gRPC; by default there is none. */
  readonly grpcIngress?: HostOptions['ingress'];
}

export interface HostSummary {
  /** The last epoch was closed cleanly, on request or because its feed was complete, or never began. */
  readonly clean: boolean;
  readonly epochs: readonly EpochSummary[];
}

/** What an enclave says when AWS does not take its credentials. */
const WANTS_CREDENTIALS: ReadonlySet<string> = new Set([
  'credentials_missing',
  'credentials_expired',
]);

export class Host {
  readonly #options: HostOptions;
  readonly #lock: Server;
  readonly #stopping = new AbortController();
  #listeners: Listener[] = [];
  #tiles: TileServer | null = null;
  #ingress: Ingress | null = null;
  #grpcIngress: Ingress | null = null;
  #egress: Egress | null = null;
  readonly #handOvers: HandOverWatch;
  readonly #certificates: CertificateWatch;
  #enclaveCounters: Readonly<Record<string, number>> = {};
  #current: EpochRun | null = null;
  #early: Duplex | null = null;
  #epochs: EpochSummary[] = [];
  #giveUp: NodeJS.Timeout | null = null;

  private constructor(options: HostOptions, lock: Server) {
    this.#options = options;
    this.#lock = lock;
    this.#handOvers = new HandOverWatch({
      files: options.files,
      directory: requestsDirectory(options.folders.state),
      logger: options.logger,
      handOver: (handOver) => this.#current?.handOver(handOver) === true,
      onFailure: (error) => this.#current?.fail(error),
    });
    this.#certificates = new CertificateWatch({
      files: options.files,
      directory: requestsDirectory(options.folders.state),
      logger: options.logger,
      send: (chain) => this.#current?.sendCertificate(chain) === true,
      onFailure: (error) => this.#current?.fail(error),
    });
  }

  /**
   * Settles what a former host has left, then listens. Refuses `folder_in_use`, `spool_corrupt`; rejects
   * with a DiskFailure, a FolderConflict, or the system's error for an address that is taken.
   */
  static async open(options: HostOptions): Promise<Result<Host>> {
    const { folders, logger } = options;
    const lock = await lockFolder(folders.state);
    if (lock === null) return refuse('folder_in_use');
    const host = new Host(options, lock);
    try {
      const settled = await host.#settle();
      if (!settled.ok) {
        await host.#close();
        return settled;
      }
      for (const { epoch, size, commits, cutBytes, closed } of settled.value) {
        logger.warn('epoch_recovered', { epoch, size, commits, cut_bytes: cutBytes, closed });
      }
      await host.#handOvers.forget();
      await host.#listen();
      await options.shipper?.start();
      const restored = options.restore === true ? await options.shipper?.restore() : undefined;
      if (restored?.ok === false) {
        await host.#close();
        return restored;
      }
      for (const { epoch, size } of restored?.value ?? []) {
        logger.warn('epoch_restored', { epoch, size });
      }
      return accept(host);
    } catch (error) {
      await host.#close();
      throw error;
    }
  }

  get numbers(): ProgressNumbers {
    return progressOf(this.live);
  }

  get tilesPort(): number | null {
    return this.#tiles?.port ?? null;
  }

  get ingressPort(): number | null {
    return this.#ingress?.port ?? null;
  }

  get epochs(): readonly EpochSummary[] {
    return this.#epochs;
  }

  /** The running epoch, or the last one. */
  get live(): LiveEpoch | null {
    return this.#current?.live ?? null;
  }

  get grpcIngressPort(): number | null {
    return this.#grpcIngress?.port ?? null;
  }

  get ingress(): Ingress | null {
    return this.#ingress;
  }

  get grpcIngress(): Ingress | null {
    return this.#grpcIngress;
  }

  get egress(): Egress | null {
    return this.#egress;
  }

  /** As the enclave last reported them; its word. */
  get enclaveCounters(): Readonly<Record<string, number>> {
    return this.#enclaveCounters;
  }

  /** Ends every connection of the enclave to the outside, and lets it make no other; its log can still be closed. */
  isolate(): void {
    void this.#egress?.close();
  }

  /** Asks for a clean close of the running epoch; no other one is started. */
  stop(): void {
    if (this.#stopping.signal.aborted) {
      // Asked twice: what is not shipped is left for the next start.
      void this.#options.shipper?.stop();
      return;
    }
    this.#stopping.abort();
    this.#current?.close();
    this.#giveUp = setTimeout(() => this.#options.giveUpRoom?.(), this.#options.timeouts.closeMs);
  }

  /** Epoch after epoch. Refuses when the log folder contradicts itself or belongs to another log. */
  async run(): Promise<Result<HostSummary>> {
    const { shipper, timeouts } = this.#options;
    try {
      const summary = await this.#runEpochs();
      await shipper?.finish(timeouts.shipMs ?? DEFAULT_SHIP_MS);
      return summary;
    } finally {
      await this.#close();
    }
  }

  async #runEpochs(): Promise<Result<HostSummary>> {
    const { shipper, logger, restart } = this.#options;
    const backoff = new Backoff(BACKOFF);
    this.#handOvers.start();
    this.#certificates.start();
    for (;;) {
      await shipper?.waitForRoom(this.#stopping.signal);
      // Asked to stop while it was opened, or between two epochs: no epoch for nothing.
      const isStopped = this.#stopping.signal.aborted;
      if (isStopped) return accept({ clean: this.#epochs.length === 0, epochs: this.#epochs });
      const summary = await this.#runEpoch();
      if (!summary.ok) return summary;
      this.#epochs.push(summary.value);
      const { closed, feedComplete, readyMs, handedOver } = summary.value;
      if (handedOver) await this.#handOvers.finish(summary.value);
      // After a hand-over the next epoch is another image's.
      const wanted = feedComplete || handedOver || this.#stopping.signal.aborted;
      if (wanted || isHopeless(summary.value) || !restart) {
        // An epoch that was stopped before its first leaf has nothing to close.
        const clean = wanted && (closed || summary.value.size === 0);
        return accept({ clean, epochs: this.#epochs });
      }
      const waitMs = backoff.next(readyMs);
      logger.warn('enclave_restart', { after_ms: waitMs });
      await this.#pause(waitMs);
    }
  }

  async #settle(): Promise<Result<readonly RecoveredEpoch[]>> {
    const {
      files,
      crypto,
      folders,
      reconcile = () => Promise.resolve(accept(null)),
    } = this.#options;
    const ships = (this.#options.shipper ?? null) !== null;
    const settled = await settleAll(files, crypto, folders, reconcile, ships);
    if (!settled.ok) return settled;
    const readable = await reconcile(null);
    return readable.ok ? settled : readable;
  }

  async #runEpoch(): Promise<Result<EpochSummary>> {
    const found = this.#readPrevious();
    if (!found.ok) return found;
    const { configuration, items, secrets } = this.#options;
    const kept = (await secrets?.dataKeys?.read()) ?? accept(null);
    if (!kept.ok) return kept;
    // An enclave that finds none stops: better to be late.
    if (secrets?.credentials?.current === null) await secrets.credentials.refresh();
    const sealed = secrets?.sealed.map(({ bytes }) => bytes) ?? [];
    const vault = (await secrets?.vault?.read()) ?? accept([]);
    if (!vault.ok) return vault;
    const previous = await this.#withNextCommit(found.value);
    const epoch = (found.value?.epoch ?? 0) + 1;
    const run = await EpochRun.open(this.#options, epoch, {
      configuration,
      items,
      previous,
      sealed,
      dataKeys: kept.value,
      vault: vault.value,
    });
    this.#current = run;
    this.#admitEarly(run);
    if (this.#stopping.signal.aborted) run.close();
    return accept(await run.run());
  }

  /** Policy s3: the enclave takes over the last epoch at this number, when the bucket has all of it. */
  async #withNextCommit(last: PreviousEpoch | null): Promise<Previous | null> {
    const { shipper, commitPolicy } = this.#options;
    if (last === null || commitPolicy !== 's3') return last?.previous ?? null;
    const found = await shipper?.nextCommit(last.epoch, this.#stopping.signal);
    return { ...last.previous, nextCommit: found ?? null };
  }

  #readPrevious(): Result<PreviousEpoch | null> {
    const { files, crypto, folders, logId } = this.#options;
    const last = readPrevious(files, crypto, folders, []);
    if (!last.ok || last.value === null) return last;
    const { epoch, previous } = last.value;
    const origin = parseOrigin(previous.origin);
    if (origin?.logId !== logId || origin.epoch !== epoch) {
      return refuse('origin_mismatch', { folder: previous.origin, configured: logId });
    }
    const unreleased = readUnreleased(files, folders, epoch);
    if (!unreleased.ok) return unreleased;
    return accept({ epoch, previous: { ...previous, unreleased: unreleased.value } });
  }

  async #listen(): Promise<void> {
    const { transport, logger, folders, tiles, ingress, egress = null } = this.#options;
    const { grpcIngress = null } = this.#options;
    this.#listeners.push(
      await transport.listen(PORT.boot, (stream) => {
        this.#takeBootStream(stream);
      }),
      await transport.listen(PORT.log, (stream) => {
        if (this.#current === null) stream.destroy();
        else this.#current.takeLogStream(stream);
      }),
    );
    this.#listeners.push(
      await listenForDiagnostics(transport, logger, (diagnostic) => {
        this.#takeDiagnostic(diagnostic);
      }),
      await listenForExitReason(transport, logger),
    );
    if (tiles !== null) {
      this.#tiles = await TileServer.listen({ logDirectory: folders.log, ...tiles });
      logger.info('tiles_listening', { host: tiles.host, port: this.#tiles.port });
    }
    if (egress !== null) {
      this.#egress = await Egress.listen({ transport, logger, ...egress });
    }
    if (ingress !== null) {
      this.#ingress = await Ingress.listen({ transport, logger, ...ingress });
      logger.info('ingress_listening', { host: ingress.host, port: this.#ingress.port });
    }
    if (grpcIngress !== null) {
      const to = PORT.grpc;
      this.#grpcIngress = await Ingress.listen({ transport, logger, ...grpcIngress, to });
      const { port } = this.#grpcIngress;
      logger.info('grpc_ingress_listening', { host: grpcIngress.host, port });
    }
  }

  #takeDiagnostic({ code, counters }: Diagnostic): void {
    this.#enclaveCounters = counters;
    if (WANTS_CREDENTIALS.has(code)) this.#options.secrets?.credentials?.wanted();
  }

  /** An enclave may come before its epoch is open, when somebody else starts it: it waits. */
  #takeBootStream(stream: Duplex): void {
    if (this.#current?.takesBootStream === true) {
      this.#current.takeBootStream(stream);
      return;
    }
    this.#early?.destroy();
    this.#early = stream;
    stream.on('error', () => stream.destroy());
  }

  #admitEarly(run: EpochRun): void {
    const early = this.#early;
    this.#early = null;
    if (early !== null && !early.destroyed) run.takeBootStream(early);
  }

  async #pause(ms: number): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: this.#stopping.signal });
    } catch (error) {
      if (!this.#stopping.signal.aborted) throw error;
    }
  }

  async #close(): Promise<void> {
    if (this.#giveUp !== null) clearTimeout(this.#giveUp);
    this.#early?.destroy();
    await Promise.all([
      ...this.#listeners.map((listener) => listener.close()),
      this.#tiles?.close(),
      this.#ingress?.close(),
      this.#grpcIngress?.close(),
      this.#egress?.close(),
      this.#handOvers.stop(),
      this.#certificates.stop(),
      this.#options.shipper?.stop(),
    ]);
    await this.#options.closeFiles?.();
    this.#lock.close();
  }
}

/** Whether another epoch would end the same way. */
function isHopeless({ feedFailed, ready, code, exit }: EpochSummary): boolean {
  const notStarted = exit !== null && exit.error !== null;
  return notStarted || feedFailed || (!ready && code !== null && isPermanent(code));
}
