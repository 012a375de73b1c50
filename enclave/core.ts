// The enclave from boot to its end. There are two ends: a clean close, whose last leaf says so, and a
// stop with one closed code. The host can force either, and the log tells which. What goes wrong anywhere
// arrives here as a code; no text of an exception leaves.

import type { RefusalCode } from '../wire/codes.ts';
import { DESK_FRAME } from '../wire/desk-frames.ts';
import type { HandOver } from '../wire/kms-frames.ts';
import { FRAME } from '../wire/enclave-messages.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import type { Transport } from '../wire/node/transport.ts';
import type { CloseReason } from '../wire/enclave-payloads.ts';
import { CLOSE_REASON } from '../wire/enclave-payloads.ts';
import { BootStream } from './boot-stream.ts';
import { prepareEpoch } from './boot.ts';
import type { ClockSource } from './clock.ts';
import { Clock, systemClock } from './clock.ts';
import type { StartDesk } from './desk-link.ts';
import { DeskLink } from './desk-link.ts';
import { Diagnostics } from './diagnostics.ts';
import { Epoch } from './epoch.ts';
import type { Guard } from './fatal.ts';
import { createGuard, Fatal, orFatal } from './fatal.ts';
import { checkEntropy } from './keys.ts';
import type { NsmDevice } from './nsm/nsm.ts';
import { Nsm } from './nsm/nsm.ts';
import { Credentials } from './kms/credentials.ts';
import type { SecretName } from './kms/secret-error.ts';
import { SecretError } from './kms/secret-error.ts';
import type { RunnerProgram, StartStrategy } from './strategy/types.ts';
import type { StartTap } from './tap-link.ts';

export interface EnclaveTimeouts {
  /** From HELLO to GO, and again from GO to READY. */
  readonly bootMs: number;
  /** For credentials that did not come yet, or have expired. */
  readonly credentialsMs: number;
  /** From the request to close to the acknowledgement of the close leaf. */
  readonly closeMs: number;
  /** Of that, how long the desk may take to finish. */
  readonly deskShutMs: number;
  /** Without an acknowledgement for this long the log is stalled, which is reported and ends nothing. */
  readonly logStallMs: number;
  /** How long an end waits for streams and processes. */
  readonly tearDownMs: number;
  /** Between two messages of counters. */
  readonly countersMs: number;
}

const TIMEOUTS: EnclaveTimeouts = {
  bootMs: 60_000,
  credentialsMs: 20_000,
  closeMs: 20_000,
  deskShutMs: 8000,
  logStallMs: 5000,
  tearDownMs: 2000,
  countersMs: 10_000,
};

/** Null: closed cleanly. */
export interface EnclaveEnd {
  readonly code: RefusalCode | null;
}

export interface EnclaveOptions {
  readonly transport: Transport;
  readonly nsmDevice: NsmDevice;
  /** Bytes of the measured manifest. */
  readonly measured: Uint8Array;
  /** Bytes of the measured roots.pem; empty where the manifest has no hosts. */
  readonly roots: Uint8Array;
  readonly strategyRunner: RunnerProgram;
  readonly startStrategy: StartStrategy;
  readonly startDesk: StartDesk;
  /** For streams that have a source; without it the boot of such a configuration fails. */
  readonly startTap?: StartTap;
  readonly clock?: ClockSource;
  readonly timeouts?: Partial<EnclaveTimeouts>;
  /** Once, when everything is down. */
  readonly onExit: (end: EnclaveEnd) => void;
}

type Phase = 'booting' | 'running' | 'closing' | 'ended';

export class Enclave {
  readonly #options: EnclaveOptions;
  readonly #timeouts: EnclaveTimeouts;
  readonly #clock: Clock;
  readonly #nsm: Nsm;
  readonly #guard: Guard;
  readonly #diagnostics = new Diagnostics();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ending = new AbortController();
  #phase: Phase = 'booting';
  readonly #credentials: Credentials;
  #closeReason: CloseReason | null = null;
  #handOver: HandOver | null = null;
  #failedAt: SecretName = { position: null, purpose: null, name: null };
  readonly #desk: DeskLink;
  #bootStream: BootStream | null = null;
  #epoch: Epoch | null = null;

  constructor(options: EnclaveOptions) {
    this.#options = options;
    this.#timeouts = { ...TIMEOUTS, ...options.timeouts };
    this.#clock = new Clock(options.clock ?? systemClock);
    this.#nsm = new Nsm(options.nsmDevice);
    this.#credentials = new Credentials(this.#timeouts.credentialsMs, () =>
      Number(this.#clock.nowNs() / 1_000_000n),
    );
    this.#guard = createGuard((code) => {
      this.fail(code);
    });
    this.#desk = new DeskLink(options.startDesk(), {
      guard: this.#guard,
      shutMs: this.#timeouts.deskShutMs,
      onVault: async (write) => this.#bootStream?.sendVault(write),
      onEnded: (code) => {
        this.#loseDesk(code);
      },
    });
    void this.#guard.runAsync(async () => {
      try {
        await this.#boot();
      } catch (error) {
        if (error instanceof SecretError) this.#failedAt = error.secret;
        throw error;
      }
    });
  }

  /**
   * Asks for a clean close; only the first call counts. In the second half of the boot it waits for
   * READY; before that nothing is logged yet, and there is nothing to close.
   */
  close(reason: CloseReason): void {
    if (this.#closeReason !== null || this.#isOver()) return;
    this.#closeReason = reason;
    if (this.#phase === 'running') void this.#guard.runAsync(() => this.#closeCleanly(reason));
    if (this.#epoch === null) {
      this.#phase = 'ended';
      void this.#end(null);
    }
  }

  /** Stops at once, without a close leaf; only the first code counts. */
  fail(code: RefusalCode): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#epoch?.stop();
    this.#diagnostics.report(code, this.#epoch?.counters);
    this.#bootStream?.sendFailed({ code, ...this.#failedAt });
    void this.#end(code);
  }

  async #boot(): Promise<void> {
    const { transport, measured, roots } = this.#options;
    await this.#diagnostics.connect(transport);
    const bootStream = await this.#connectBoot();
    const crypto = nodeCrypto;
    const nsm = this.#nsm;
    const clock = this.#clock;
    const credentials = this.#credentials;
    const keep = (record: Uint8Array): void => {
      bootStream.sendKept(record);
    };
    const secrets = orFatal(await checkEntropy(crypto, nsm));
    const messages = await bootStream.receive();
    this.#deadline(this.#timeouts.bootMs, 'booting', 'boot_timeout');
    const { signal: ending } = this.#ending;
    const deskKeys = await this.#desk.keys();
    const aws = { credentials, keep, ending };
    const prepared = await prepareEpoch(
      { crypto, nsm, clock, secrets, measured, roots, transport, deskKeys, ...aws },
      messages,
    );
    this.#assertAlive();
    const epoch = await Epoch.connect(
      {
        ...this.#options,
        nsm,
        clock,
        guard: this.#guard,
        desk: this.#desk,
        startTap: this.#options.startTap ?? null,
        logStallMs: this.#timeouts.logStallMs,
        isReady: () => this.#phase === 'running',
        onStalled: (stalled) => {
          this.#diagnostics.report(stalled ? 'log_stalled' : 'resumed', this.#epoch?.counters);
        },
        onStrategyEnded: (code) => {
          this.#diagnostics.report(code, this.#epoch?.counters);
        },
      },
      prepared,
    );
    this.#epoch = epoch;
    try {
      this.#assertAlive();
      await epoch.open(secrets);
      this.#assertAlive();
    } finally {
      // Ended in the middle of it: what has started since must not stay.
      if (this.#isOver()) await epoch.tearDown();
    }
    this.#phase = 'running';
    this.#desk.state();
    const { origin, logKey } = prepared.header;
    bootStream.sendReady({ origin, logKey, leaf0Hash: epoch.leafZeroHash });
    this.#diagnostics.report('ready', epoch.counters);
    this.#reportCounters();
    if (this.#closeReason !== null) await this.#closeCleanly(this.#closeReason);
  }

  async #connectBoot(): Promise<BootStream> {
    try {
      this.#bootStream = await BootStream.connect(this.#options.transport, {
        guard: this.#guard,
        timeoutMs: this.#timeouts.bootMs,
        onClose: () => {
          this.close(CLOSE_REASON.host);
        },
        onCredentials: (credentials) => {
          this.#credentials.push(credentials);
        },
        onVault: (record) => this.#desk.record(record),
        onRelay: (type, payload) => {
          const kept = type === FRAME.vaultKept;
          this.#desk.relay(kept ? DESK_FRAME.keptVault : DESK_FRAME.certificate, payload);
        },
        onHandOver: (handOver) => {
          this.#handOver ??= handOver;
          this.close(CLOSE_REASON.handOver);
        },
        onLost: (code) => {
          if (this.#phase === 'booting') this.fail(code);
        },
      });
      return this.#bootStream;
    } catch {
      throw new Fatal('stream_closed');
    }
  }

  async #closeCleanly(reason: CloseReason): Promise<void> {
    this.#phase = 'closing';
    this.#diagnostics.report('closing', this.#epoch?.counters);
    this.#deadline(this.#timeouts.closeMs, 'closing', 'log_unavailable');
    await this.#epoch?.closeCleanly(reason, this.#handOver);
    this.#assertAlive();
    this.#phase = 'ended';
    this.#diagnostics.report('closed', this.#epoch?.counters);
    await this.#end(null);
  }

  /** Gives streams and processes some time, then says that it is over. */
  async #end(code: RefusalCode | null): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#ending.abort();
    const timeout = Promise.withResolvers<null>();
    const timer = setTimeout(() => {
      timeout.resolve(null);
    }, this.#timeouts.tearDownMs);
    const down = Promise.all([
      this.#epoch?.tearDown(),
      this.#bootStream?.close(),
      this.#desk.stop(),
      this.#diagnostics.close(),
    ]);
    await Promise.race([down.catch(() => null), timeout.promise]);
    clearTimeout(timer);
    this.#options.onExit({ code });
  }

  /** Without it nobody can ask for a document, and no account is polled; strategies and log go on. */
  #loseDesk(code: RefusalCode): void {
    if (this.#phase === 'booting') this.fail(code);
    else this.#diagnostics.report(code, this.#epoch?.counters);
  }

  #isOver(): boolean {
    return this.#phase === 'ended';
  }

  /** After a wait: the enclave may have ended meanwhile. */
  #assertAlive(): void {
    if (this.#isOver()) throw new Fatal('internal');
  }

  #deadline(afterMs: number, phase: Phase, code: RefusalCode): void {
    const timer = setTimeout(() => {
      if (this.#phase === phase) this.fail(code);
    }, afterMs);
    this.#timers.push(timer);
  }

  #reportCounters(): void {
    const timer = setInterval(() => {
      const code = this.#epoch?.stalled === true ? 'log_stalled' : 'counters';
      this.#diagnostics.report(code, this.#epoch?.counters);
    }, this.#timeouts.countersMs);
    this.#timers.push(timer);
  }
}

/** Boots at once; `onExit` hears of every end, a failed boot included. */
export function startEnclave(options: EnclaveOptions): Enclave {
  return new Enclave(options);
}
