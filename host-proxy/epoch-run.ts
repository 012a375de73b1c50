// One epoch as the host lives it: boot messages, log stream, feed, close or end, and the settling of what
// is left. Ends when the log stream ends, for an enclave that cannot log is over. Whatever the enclave
// does, everything that was acknowledged is in the folder when `run` resolves.

import type { Duplex } from 'node:stream';
import { toHex } from '../wire/bytes.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { VaultWrite } from '../wire/desk-messages.ts';
import type { HandOver } from '../wire/kms-messages.ts';
import type { Failed, Ready } from '../wire/messages.ts';
import { PORT } from '../wire/messages.ts';
import { refuse } from '../wire/result.ts';
import type { BootMaterial } from './boot-server.ts';
import { BootStream } from './boot-server.ts';
import type { EpochLog } from './epoch-log.ts';
import type { EpochParts } from './epoch-parts.ts';
import { openEpochParts, settleEpochParts } from './epoch-parts.ts';
import type { EpochExecution, EpochServices, EpochSummary, LiveEpoch } from './epoch-services.ts';
import { FeedSession } from './feed-session.ts';
import { LogStream } from './log-server.ts';
import { agreesWithLog } from './ready-check.ts';
import { refuseStream } from './join-streams.ts';
import type { ReleaseJournal } from './release-journal.ts';
import { EpochKeys } from './secrets/epoch-keys.ts';
import { failureFields } from './secrets/failure.ts';
import { EnclaveProcess } from './supervisor.ts';

/** How long an enclave whose log stream has ended may take to go away by itself. */
const EXIT_GRACE_MS = 5000;
/** From the end of a process to the end of what it has left in its sockets. */
const DRAIN_MS = 2000;

export class EpochRun {
  readonly #services: EpochServices;
  readonly #epoch: number;
  readonly #material: BootMaterial;
  readonly #log: EpochLog;
  readonly #journal: ReleaseJournal;
  readonly #parts: EpochParts;
  readonly #keys: EpochKeys;
  readonly #ready = Promise.withResolvers<Ready | null>();
  readonly #over = Promise.withResolvers<null>();
  /** The disk or execution failed: `run` rejects with it. */
  readonly #failed: PromiseWithResolvers<never>;
  readonly #timers: NodeJS.Timeout[] = [];
  #process: EnclaveProcess | null = null;
  #boot: BootStream | null = null;
  #logStream: LogStream | null = null;
  #feed: FeedSession | null = null;
  #execution: EpochExecution | null = null;
  #code: RefusalCode | null = null;
  #failure: Failed | null = null;
  #handOver: HandOver | null = null;
  #closed = false;
  #closing = false;
  #closeAsked = false;
  #isOver = false;
  #readyAtMs: number | null = null;
  #root: Uint8Array | null = null;

  private constructor(parts: EpochParts) {
    const { services, epoch, material, log, journal, failed } = parts;
    this.#parts = parts;
    this.#services = services;
    this.#epoch = epoch;
    this.#material = material;
    this.#log = log;
    this.#journal = journal;
    this.#failed = failed;
    this.#keys = new EpochKeys({
      secrets: services.secrets ?? null,
      logger: services.logger,
      onRefused: (code) => {
        this.#note(code);
        this.#end();
      },
      onFailure: failed.reject,
    });
    log.admit = (header) => this.#keys.admit(header);
  }

  /** Rejects with a DiskFailure. */
  static async open(
    services: EpochServices,
    epoch: number,
    material: BootMaterial,
  ): Promise<EpochRun> {
    return new EpochRun(await openEpochParts(services, epoch, material));
  }

  get live(): LiveEpoch {
    return {
      epoch: this.#epoch,
      ready: this.#readyAtMs !== null && !this.#isOver,
      leaves: this.#log.acknowledgedSize,
      unreleased: this.#log.outputs.unreleased.size,
      feed: this.#feed?.numbers ?? null,
      spool: this.#log.counters,
    };
  }

  get takesBootStream(): boolean {
    return this.#boot === null && !this.#isOver;
  }

  /** A connection to the boot port; one per epoch. */
  takeBootStream(stream: Duplex): void {
    if (!this.takesBootStream) {
      refuseStream(stream);
      return;
    }
    this.#boot = new BootStream(stream, this.#material, {
      onReady: (ready) => void this.#awaitKept(ready),
      onFailed: (failed) => {
        const fields = failureFields(failed, this.#services.secrets?.sealed ?? []);
        this.#services.logger.error('enclave_failed', { epoch: this.#epoch, ...fields });
        this.#code ??= failed.code;
        this.#failure ??= failed;
      },
      onKept: (record) => {
        this.#keys.keep(record);
      },
      onVault: (write) => void this.#keepVault(write),
      onEnd: (refusal) => {
        if (refusal !== null && refusal.code !== 'stream_closed') this.#note(refusal.code);
        if (this.#logStream === null) this.#end();
      },
    });
    this.#services.secrets?.credentials?.listen((credentials) => {
      this.#boot?.sendCredentials(credentials);
    });
    if (this.#closing) this.#askToClose();
  }

  /** A connection to the log port; one per epoch. */
  takeLogStream(stream: Duplex): void {
    if (this.#logStream !== null || this.#isOver) {
      refuseStream(stream);
      return;
    }
    this.#logStream = new LogStream(stream, this.#log, {
      onCommit: ({ reports, closed, root }) => {
        if (reports.length > 0) this.#execution?.logged(reports);
        this.#closed = closed;
        this.#root = root;
      },
      onEnd: (refusal) => {
        if (refusal !== null && refusal.code !== 'stream_closed') this.#note(refusal.code);
        this.#end();
      },
      onFailure: this.#failed.reject,
    });
  }

  /** As `close`, but the enclave first logs which image comes next. False: it is closing already. */
  handOver(handOver: HandOver): boolean {
    if (this.#closing || this.#isOver || this.#readyAtMs === null) return false;
    this.#handOver = handOver;
    this.close();
    return true;
  }

  /** A chain for the TLS key of this epoch. False: there is no enclave that could take it now. */
  sendCertificate(chain: Uint8Array): boolean {
    return !this.#isOver && this.#readyAtMs !== null && this.#boot?.sendCertificate(chain) === true;
  }

  /** The host cannot go on. */
  get fail(): (error: unknown) => void {
    return this.#failed.reject;
  }

  /** Asks for a clean close, once: the feed first, then the enclave. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#services.shipper?.lift();
    const { closeMs } = this.#services.timeouts;
    this.#feed?.stop();
    if (this.#feed === null) this.#askToClose();
    // Batches that are never answered must not keep the close leaf from being written.
    this.#after(closeMs / 2, () => this.#askToClose());
    this.#after(closeMs, () => {
      this.#note('log_unavailable');
      this.#end();
    });
    if (this.#boot === null && this.#process === null) this.#end();
  }

  /** Rejects with what the host cannot go on with: a DiskFailure or a failure of execution. */
  async run(): Promise<EpochSummary> {
    try {
      return await Promise.race([this.#run(), this.#failed.promise]);
    } catch (error) {
      await this.#abandon();
      throw error;
    } finally {
      this.#isOver = true;
      this.#services.secrets?.credentials?.listen(null);
      for (const timer of this.#timers) clearTimeout(timer);
      this.#feed?.destroy();
      this.#boot?.destroy();
      this.#logStream?.destroy();
    }
  }

  /** Nothing of this epoch touches the disk afterwards: the next start may come at once. */
  async #abandon(): Promise<void> {
    this.#isOver = true;
    this.#feed?.destroy();
    this.#logStream?.destroy();
    this.#services.giveUpRoom?.();
    await this.#log.abandon();
    await this.#keys.idle();
    await this.#services.secrets?.vault?.idle();
    await this.#process?.terminate(EXIT_GRACE_MS);
  }

  async #run(): Promise<EpochSummary> {
    this.#startProcess();
    this.#after(this.#services.timeouts.readyMs, () => {
      if (this.#readyAtMs !== null) return;
      this.#note(this.#keys.timeoutCode());
      this.#end();
    });
    const ready = await Promise.race([this.#ready.promise, this.#over.promise]);
    const feedEnd = ready === null ? null : await this.#runFeed(ready);
    await this.#over.promise;
    const readyMs = this.#readyAtMs === null ? 0 : performance.now() - this.#readyAtMs;
    const exit = (await this.#process?.end(EXIT_GRACE_MS)) ?? null;
    await this.#settle();
    const { header } = this.#log;
    return {
      epoch: this.#epoch,
      origin: header?.origin ?? null,
      ready: ready !== null,
      readyMs,
      closed: this.#closed,
      feedComplete: feedEnd?.reason === 'complete',
      feedFailed: feedEnd?.reason === 'failed',
      code: this.#code,
      failure: this.#failure,
      handedOver: this.#handOver !== null,
      size: this.#log.acknowledgedSize,
      root: this.#root === null ? null : toHex(this.#root),
      feed: this.#feed?.numbers ?? null,
      replay: feedEnd?.replay ?? null,
      execution: this.#execution?.summary() ?? null,
      spool: this.#log.counters,
      unreleased: [...this.#log.outputs.unreleased],
      exit,
    };
  }

  #startProcess(): void {
    const { command, logger } = this.#services;
    if (command === null) return;
    const process = EnclaveProcess.start(command);
    this.#process = process;
    logger.info('enclave_started', { epoch: this.#epoch, pid: process.pid ?? null });
    void process.exited.then((exit) => {
      logger.info('enclave_exited', { epoch: this.#epoch, ...exit });
      if (this.#logStream === null) this.#end();
      else this.#after(DRAIN_MS, () => this.#end());
    });
  }

  /** Once, and instead of CLOSE where the epoch hands over; a second message would be refused. */
  #askToClose(): void {
    if (this.#closeAsked || this.#boot === null) return;
    this.#closeAsked = true;
    if (this.#handOver === null) this.#boot.askToClose();
    else this.#boot.handOver(this.#handOver);
  }

  /** READY counts when what the enclave has to keep is durable. */
  async #awaitKept(ready: Ready): Promise<void> {
    await this.#keys.idle();
    if (!this.#isOver) this.#takeReady(ready);
  }

  async #keepVault(write: VaultWrite): Promise<void> {
    const { secrets } = this.#services;
    try {
      const kept = (await secrets?.vault?.keep(write)) ?? refuse('seal_unexpected');
      if (kept.ok) this.#boot?.sendVaultKept(write.id);
      else
        this.#services.logger.error('vault_refused', {
          epoch: this.#epoch,
          code: kept.refusal.code,
        });
    } catch (error) {
      this.#failed.reject(error);
    }
  }

  #takeReady(ready: Ready): void {
    const { crypto, logger } = this.#services;
    if (!agreesWithLog(crypto, ready, this.#log)) {
      this.#note('header_mismatch');
      this.#end();
      return;
    }
    this.#readyAtMs = performance.now();
    logger.info('enclave_ready', { epoch: this.#epoch, origin: ready.origin });
    this.#ready.resolve(ready);
  }

  async #runFeed({ origin }: Ready): Promise<Awaited<ReturnType<FeedSession['run']>> | null> {
    const { transport, logger, source, whenFull, createExecution } = this.#services;
    let stream: Duplex;
    try {
      stream = await transport.connect(PORT.feed);
    } catch {
      this.#note('source_unreachable');
      this.#askToClose();
      return null;
    }
    const created = await createExecution(this.#log, origin, (payload) => {
      this.#feed?.report(payload);
    });
    if (!created.ok) {
      stream.destroy();
      this.#note(created.refusal.code);
      this.close();
      return { reason: 'failed', refusal: created.refusal, replay: null };
    }
    const execution = created.value;
    this.#execution = execution;
    const feed = new FeedSession(stream, {
      source,
      whenFull,
      execution,
      journal: this.#journal,
      logger,
      onReleased: this.#log.outputs.released,
      onFailure: this.#failed.reject,
    });
    this.#feed = feed;
    await execution.start();
    if (this.#closing) feed.stop();
    void this.#over.promise.then(() => feed.destroy());
    const end = await feed.run();
    const { reason, refusal } = end;
    logger.info('feed_ended', { epoch: this.#epoch, reason, code: refusal?.code ?? null });
    if (refusal !== null && refusal.code !== 'stream_closed') this.#note(refusal.code);
    this.#askToClose();
    this.close();
    return end;
  }

  async #settle(): Promise<void> {
    await this.#log.finish();
    await this.#keys.idle();
    await this.#services.secrets?.vault?.idle();
    await this.#execution?.finish();
    await this.#journal.close();
    await settleEpochParts(this.#parts, this.#closed);
  }

  #after(ms: number, action: () => void): void {
    this.#timers.push(setTimeout(action, ms));
  }

  #note(code: RefusalCode): void {
    this.#services.logger.error('epoch_refused', { epoch: this.#epoch, code });
    this.#code ??= code;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#logStream?.destroy();
    this.#over.resolve(null);
  }
}
