// The ledger: the process of the enclave that turns records into equity and returns, keeps them in a database and answers
// gRPC. It parses what PostgreSQL and gRPC clients say and may be taken over by them, so it has one stream to the
// desk and nothing else: no sockets, files, credentials or keys that sign. Errors that nobody handles end it; the desk
// starts another and tells it again what was not stored.

import type { ByteStream } from '../../wire/channel.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import type { ClockSource } from '../clock.ts';
import { Clock, systemClock } from '../clock.ts';
import { createGuard, orFatal } from '../fatal.ts';
import { referenceKeyOf } from './book/reference.ts';
import { DeskLink } from './desk-link.ts';
import type { LedgerOpen } from './protocol.ts';
import { userHashOf, userTagOf } from './user-hash.ts';
import type { LedgerPart, LedgerServices } from './services.ts';

const COUNTERS_MS = 5000;

/** Rejects with a Fatal where the ledger cannot work at all. */
export type OpenLedgerParts = (services: LedgerServices) => Promise<readonly LedgerPart[]>;

export interface LedgerOptions {
  /** To the desk. */
  readonly stream: ByteStream;
  readonly openParts: OpenLedgerParts;
  /** Monotonic time; its wall clock does not count. */
  readonly clock?: ClockSource;
  /** Once, when it is over: null when the desk has ended it. */
  readonly onExit: (code: RefusalCode | null) => void;
}

class Ledger {
  readonly #options: LedgerOptions;
  readonly #link: DeskLink;
  readonly #guard = createGuard((code) => {
    this.#exit(code);
  });
  #parts: readonly LedgerPart[] = [];
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#link = new DeskLink(options.stream, {
      guard: this.#guard,
      onShut: () => {
        void this.#guard.runAsync(() => this.#shut());
      },
      onLost: () => {
        this.#exit(null);
      },
    });
    void this.#guard.runAsync(() => this.#run());
  }

  /** Also for what escaped every handler. */
  fail(code: RefusalCode): void {
    this.#exit(code);
  }

  async #run(): Promise<void> {
    const services = this.#services(await this.#link.open());
    this.#parts = await this.#options.openParts(services);
    this.#timer = setInterval(() => {
      this.#report();
    }, COUNTERS_MS);
    this.#link.ready();
  }

  #services(open: LedgerOpen): LedgerServices {
    const link = this.#link;
    const source = this.#options.clock ?? systemClock;
    const clock = new Clock({
      wallNs: () => open.nowNs,
      monotonicNs: () => source.monotonicNs(),
    });
    return {
      origin: open.origin,
      epoch: open.epoch,
      configuration: orFatal(parseConfiguration(open.configuration)),
      guard: this.#guard,
      leafZeroHash: open.leafZeroHash,
      ed25519: open.ed25519,
      storageKeys: new Map(open.storageKeys.map(({ version, key }) => [version, key])),
      databasePassword: open.databasePassword,
      userHash: (userId) => userHashOf(open.userKey, userTagOf(userId)),
      referenceKey: (userHash) => referenceKeyOf(open.userKey, userHash),
      nowNs: () => clock.nowNs(),
      nowMs: () => Number(clock.nowNs() / 1_000_000n),
      isReady: () => link.state.ready,
      logStalled: () => link.state.stalled,
      acknowledgedSize: () => link.state.acknowledgedSize,
      accounts: link.accounts,
      onAccount: (listener) => {
        link.onAccount(listener);
      },
      onRemoved: (listener) => {
        link.onRemoved(listener);
      },
      onPoll: (listener) => {
        link.onPoll(listener);
      },
      onMissed: (listener) => {
        link.onMissed(listener);
      },
      takePoll: (accountId, poll, stored) => {
        link.takePoll(accountId, poll, stored);
      },
      stated: (accountId, head) => {
        link.stated(accountId, head);
      },
      resync: (resync) => {
        link.resync(resync);
      },
      needPrices: (question) => link.needPrices(question),
      sign: (statements) => link.sign(statements),
      audit: (entry) => {
        link.audit(entry);
      },
      openDatabase: () => link.openDatabase(),
      onGrpcConnection: (listener) => {
        link.onGrpcConnection(listener);
      },
      onAsk: (answer) => {
        link.onAsk(answer);
      },
    };
  }

  async #shut(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.close()));
    this.#report();
    await this.#link.close();
    this.#exit(null);
  }

  #report(): void {
    if (this.#over) return;
    const counters = this.#parts.map((part) => part.counters);
    this.#link.counters(Object.assign({}, ...counters) as Record<string, number>);
  }

  #exit(code: RefusalCode | null): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#options.onExit(code);
  }
}

export interface RunningLedger {
  fail(code: RefusalCode): void;
}

export function startLedger(options: LedgerOptions): RunningLedger {
  return new Ledger(options);
}
