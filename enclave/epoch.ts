// One epoch: the log and everything that writes into it. Opened in the order of docs/PROTOCOL.md, so that
// nothing is listened to before leaves 0 and 1 are durable, and closed with a close leaf as the last one.

import { PURPOSE } from '../wire/attestation/user-data.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { DeskOpen, DeskSecrets } from '../wire/desk-frames.ts';
import { encodeHeader } from '../wire/header.ts';
import type { Kind } from '../wire/leaf.ts';
import { KIND, LABEL, STREAM } from '../wire/leaf.ts';
import type { HandOver } from '../wire/kms-frames.ts';
import { encodeHandOver } from '../wire/kms-frames.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import type { Transport } from '../wire/node/transport.ts';
import type { CloseReason } from '../wire/enclave-payloads.ts';
import { CLOSE_REASON, encodeClose, encodeRecovery } from '../wire/enclave-payloads.ts';
import { Anchors } from './anchors.ts';
import { Attester } from './attester.ts';
import type { PreparedEpoch } from './boot.ts';
import type { Clock } from './clock.ts';
import type { DeskLink } from './desk-link.ts';
import type { Guard } from './fatal.ts';
import { Fatal, orFatal } from './fatal.ts';
import { Feed } from './feed.ts';
import { Inputs } from './inputs.ts';
import type { SecretSource } from './keys.ts';
import type { AppendedLeaf } from './log/writer.ts';
import { LogStream } from './log/stream.ts';
import { LogWriter } from './log/writer.ts';
import type { Nsm } from './nsm/nsm.ts';
import { Orders } from './orders.ts';
import { Releases } from './release.ts';
import { Committer } from './s3/committer.ts';
import { Strategies } from './strategies.ts';
import type { RunnerProgram, StartStrategy } from './strategy/types.ts';
import type { StartTap } from './tap-link.ts';
import { TapLink } from './tap-link.ts';

export interface EpochServices {
  readonly transport: Transport;
  readonly nsm: Nsm;
  readonly clock: Clock;
  readonly guard: Guard;
  readonly strategyRunner: RunnerProgram;
  readonly startStrategy: StartStrategy;
  readonly desk: DeskLink;
  /** Null where the program has none. */
  readonly startTap: StartTap | null;
  /** Bytes of the measured manifest and of the measured roots.pem. */
  readonly measured: Uint8Array;
  readonly roots: Uint8Array;
  readonly isReady: () => boolean;
  readonly logStallMs: number;
  /** True when the log stalls, false when it moves again. */
  readonly onStalled: (stalled: boolean) => void;
  readonly onStrategyEnded: (code: RefusalCode) => void;
}

const NO_SECRETS: DeskSecrets = {
  vaultKeys: [],
  accounts: [],
  clientCa: null,
  databasePassword: null,
};

export class Epoch {
  readonly #services: EpochServices;
  readonly #prepared: PreparedEpoch;
  readonly #releases = new Releases();
  readonly #orders: Orders;
  readonly #logStream: LogStream;
  readonly #log: LogWriter;
  readonly #committer: Committer | null;
  readonly #strategies: Strategies;
  readonly #inputs: Inputs;
  readonly #feed: Feed;
  #anchors: Anchors | null = null;
  #tap: TapLink | null = null;
  #leafZeroHash: Uint8Array = new Uint8Array(0);
  /** Of the boot. */
  #document: Uint8Array = new Uint8Array(0);
  #stopped = false;

  private constructor(services: EpochServices, prepared: PreparedEpoch, logStream: LogStream) {
    const { clock, guard } = services;
    const { configuration, header, logKey, disclosureKey, lease } = prepared;
    const releases = this.#releases;
    const orders = new Orders(header.epoch);
    this.#orders = orders;
    this.#services = services;
    this.#prepared = prepared;
    this.#logStream = logStream;
    const { epoch } = header;
    const committer =
      lease === null
        ? null
        : new Committer({
            lease,
            epoch,
            guard,
            onStored: (size) => this.receiveStored(size),
          });
    this.#committer = committer;
    const log = new LogWriter({
      crypto: nodeCrypto,
      clock,
      origin: header.origin,
      epoch: header.epoch,
      key: logKey,
      disclosureKey,
      commitMs: configuration.intervals.commit_ms,
      send: (commit) => {
        logStream.send(commit);
      },
      ...(committer === null
        ? {}
        : {
            store: (commit: Uint8Array, size: number) => {
              committer.add(commit, size);
            },
          }),
      onAcknowledged: ({ size }) => {
        releases.acknowledge(size);
        services.desk.state();
      },
      // A head over leaf 0 alone would be signed by a key that nothing attests yet.
      firstCommitLeaves: 2,
      stallMs: services.logStallMs,
      onStalled: (stalled) => {
        services.onStalled(stalled);
        services.desk.state();
      },
      onTimer: (work) => {
        guard.run(work);
      },
    });
    this.#log = log;
    this.#strategies = new Strategies({
      log,
      releases,
      orders,
      guard,
      program: services.strategyRunner,
      start: services.startStrategy,
      onEnded: services.onStrategyEnded,
      onReleased: (output) => {
        services.desk.output(output);
      },
    });
    this.#inputs = new Inputs({ log, releases, strategies: this.#strategies }, configuration);
    const { strategies, inputs } = { strategies: this.#strategies, inputs: this.#inputs };
    this.#feed = new Feed({ log, releases, strategies, orders, inputs, guard });
  }

  /** Connects the log; nothing is logged yet. */
  static async connect(services: EpochServices, prepared: PreparedEpoch): Promise<Epoch> {
    let epoch: Epoch | null = null;
    let lost = false;
    const logStream = await LogStream.connect(services.transport, {
      onAck: (payload) => {
        services.guard.run(() => {
          epoch?.receiveAck(payload);
        });
      },
      onLost: () => {
        lost = true;
        services.guard.run(() => epoch?.loseLog());
      },
    });
    if (lost) throw new Fatal('log_unavailable');
    epoch = new Epoch(services, prepared, logStream);
    return epoch;
  }

  get counters(): Readonly<Record<string, number>> {
    return {
      ...this.#log.counters,
      ...this.#committer?.counters,
      ...this.#releases.counters,
      ...this.#orders.counters,
      ...this.#strategies.counters,
      ...this.#inputs.counters,
      ...this.#feed.counters,
      ...this.#services.desk.counters,
      ...this.#tap?.counters,
    };
  }

  get stalled(): boolean {
    return this.#log.stalled;
  }

  get leafZeroHash(): Uint8Array {
    return this.#leafZeroHash;
  }

  receiveAck(payload: Uint8Array): void {
    if (!this.#stopped) this.#log.receiveAck(payload);
  }

  receiveStored(size: number): number {
    return this.#stopped ? 0 : this.#log.receiveStored(size);
  }

  loseLog(): void {
    if (!this.#stopped) throw new Fatal('log_unavailable');
  }

  /** Leaves 0 and 1, durable; then all that rests on them. */
  async open(secrets: SecretSource): Promise<void> {
    const attester = await this.#openLog();
    for (const material of this.#prepared.strategies) {
      await this.#strategies.start(material, secrets, this.#prepared.configuration.instruments);
      this.#assertRunning();
    }
    secrets.wipe();
    await this.#durable();
    const { clock, guard, transport, desk, isReady } = this.#services;
    const { configuration, vaultKeys, accounts, clientCa, databasePassword } = this.#prepared;
    const log = this.#log;
    this.#anchors = new Anchors({ log, clock, attester, guard, configuration });
    const sealed = { vaultKeys, accounts, clientCa, databasePassword };
    await desk.open(this.#describe(sealed), { log, attester, isReady });
    for (const { bytes } of [...vaultKeys, ...accounts]) bytes.fill(0);
    clientCa?.fill(0);
    databasePassword?.fill(0);
    this.#assertRunning();
    await this.#feed.listen(transport);
    this.#openTap();
    this.#assertRunning();
    this.#anchors.start();
  }

  /** What a desk or a tap learns of the epoch. */
  #describe(secrets: DeskSecrets): DeskOpen {
    const { clock, measured: manifest, roots } = this.#services;
    const { origin, epoch, configuration } = this.#prepared.header;
    return {
      origin,
      epoch,
      configuration,
      nowNs: clock.nowNs(),
      ...secrets,
      manifest,
      roots,
      document: this.#document,
      leafZeroHash: this.#leafZeroHash,
    };
  }

  #openTap(): void {
    const { startTap, guard } = this.#services;
    const sources = this.#prepared.configuration.streams.filter(
      ({ source }) => source !== undefined,
    );
    if (sources.length === 0) return;
    if (startTap === null) throw new Fatal('tap_ended');
    this.#tap = new TapLink(startTap(), {
      guard,
      open: this.#describe(NO_SECRETS),
      onFrame: (frame) => this.#feed.receiveOwn(frame),
      onEnded: this.#services.onStrategyEnded,
    });
  }

  /** Throws a Fatal, or never resolves when acknowledgements stop; the caller has a deadline. */
  async closeCleanly(reason: CloseReason, handOver: HandOver | null): Promise<void> {
    this.#feed.stop();
    this.#services.desk.state();
    await this.#tap?.stop();
    await this.#strategies.settled();
    await this.#strategies.stop();
    await this.#services.desk.shut();
    await this.#anchors?.stop();
    if (reason === CLOSE_REASON.handOver && handOver !== null) {
      this.#append(KIND.handOver, encodeHandOver(handOver));
    }
    // Everything so far first, so that the last anchor covers it.
    await this.#durable();
    await this.#anchors?.anchor();
    this.#append(KIND.close, encodeClose(reason));
    await this.#durable();
    await this.#releases.settled();
    this.#stopped = true;
    this.#log.stop();
  }

  /** Nothing is taken, signed or released any more. */
  stop(): void {
    this.#stopped = true;
    this.#feed.stop();
    this.#log.stop();
    this.#releases.stop();
  }

  /** Ends streams and processes; what is queued for the host is still sent while it reads. */
  async tearDown(): Promise<void> {
    this.#stopped = true;
    await Promise.all([
      this.#anchors?.stop(),
      this.#strategies.stop(),
      this.#tap?.stop(),
      this.#feed.close(),
      this.#logStream.close(),
    ]);
    this.#prepared.disclosureKey.fill(0);
  }

  #assertRunning(): void {
    if (this.#stopped) throw new Fatal('internal');
  }

  #append(kind: Kind, plaintext: Uint8Array): AppendedLeaf {
    const { enclave: stream } = STREAM;
    return this.#log.append({ kind, stream, label: LABEL.enclave, causes: [], plaintext });
  }

  async #durable(): Promise<void> {
    this.#log.flush();
    await this.#log.acknowledgement(this.#log.size);
    this.#assertRunning();
  }

  async #openLog(): Promise<Attester> {
    const { nsm, clock } = this.#services;
    const { header } = this.#prepared;
    const { hash } = this.#append(KIND.header, encodeHeader(header));
    this.#leafZeroHash = hash;
    const attester = new Attester(nsm, clock, {
      origin: header.origin,
      logKey: header.logKey,
      leafZeroHash: hash,
      tlsKeyHash: header.tlsKeyHash,
      x25519Key: header.x25519Key,
      ed25519Key: header.ed25519Key,
      configDigest: header.configurationDigest,
    });
    // The root of a tree of one leaf is the leaf's hash.
    const head = { size: 1, root: hash };
    const { document } = orFatal(await attester.attest(PURPOSE.boot, head, null));
    this.#assertRunning();
    this.#document = document;
    this.#append(KIND.attestation, document);
    // In the first commit: an epoch that ends at any later moment has said what the one before left.
    this.#logRecovery();
    await this.#durable();
    return attester;
  }

  #logRecovery(): void {
    const { previous } = this.#prepared;
    if (previous === null || (previous.entry.clean && previous.unreleased.length === 0)) return;
    const { entry, unreleased } = previous;
    this.#append(KIND.recovery, encodeRecovery({ previousEpoch: entry.epoch, unreleased }));
  }
}
