// The ledger as the desk keeps it: a process that is started again whenever it dies, with a pause that grows, and then
// told again of accounts and of polls that it had not taken. It signs for it: one leaf for what is asked at once, one
// signature for each statement, over its place in the log, and only where the statement is about an account that is polled
// here. Nothing that a ledger does or says ends the desk.

import { randomBytes } from 'node:crypto';
import { pipeline } from 'node:stream';
import type { Duplex } from 'node:stream';
import { utf8 } from '../../wire/bytes.ts';
import type { DeskState } from '../../wire/desk-frames.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { encodeTrackLeaf, trackSignedBytes } from '../../wire/track/signing.ts';
import type { LedgerAccount, LedgerAudit, LedgerOpen, StatedHead } from '../ledger/protocol.ts';
import { LEDGER_EVENTS } from '../ledger/frames.ts';
import type { PriceAnswer, PriceQuestion, SignedLeaf } from '../ledger/services.ts';
import { userHashOf } from '../ledger/user-hash.ts';
import type { Again } from './account-state.ts';
import { bothOf } from './account-state.ts';
import type { Account } from './accounts.ts';
import type { AuditTrail } from './audit-trail.ts';
import { LedgerAccounts } from './ledger-accounts.ts';
import { LedgerLink } from './ledger-link.ts';
import type { PollDraft } from './ledger-polls.ts';
import { LedgerPolls, MAX_KEPT_BYTES } from './ledger-polls.ts';
import type { DeskServices } from './services.ts';
import type { Time } from './time.ts';

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;
/** One that lived this long was well: the next pause is the first again. */
const WELL_MS = 600_000;
const SHUT_MS = 10_000;
const HOUR_MS = 3_600_000;
const MAX_AUDITS_PER_HOUR = 60;
const MAX_OWN_COUNTERS = 24;
const MS = 1_000_000n;

export type LedgerServicesOfDesk = Pick<
  DeskServices,
  | 'acknowledged'
  | 'append'
  | 'configuration'
  | 'configurationBytes'
  | 'databasePassword'
  | 'dialDatabase'
  | 'epoch'
  | 'guard'
  | 'keys'
  | 'leafZeroHash'
  | 'nowNs'
  | 'onState'
  | 'origin'
  | 'spawnLedger'
  | 'vaultKeys'
>;

export interface LedgerOptions {
  readonly services: LedgerServicesOfDesk;
  readonly audit: Pick<AuditTrail, 'append'>;
  readonly time: Time;
  /** Bytes of polls that wait for it. */
  readonly maxKeptBytes?: number;
}

/** What the ledger needs of polling, which needs the ledger. */
export interface LedgerPolling {
  readonly prices: (question: PriceQuestion) => Promise<PriceAnswer>;
  /** Whether who has all polls until `heardMs` has all that polling goes on from. */
  readonly isHeard: (accountId: string, heardMs: number | null) => boolean;
  /** Reads the account again, when it is due. */
  readonly resync: (accountId: string, again: Again) => void;
}

/** When an account was last read again, and what it is to be when that is an hour ago. */
interface Resync {
  readonly atMs: number;
  readonly waiting: Again | null;
  readonly cancel: () => void;
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #polls: LedgerPolls;
  readonly #storageKeys: LedgerOpen['storageKeys'];
  readonly #userKey: Uint8Array;
  readonly #accounts = new LedgerAccounts();
  readonly #resyncs = new Map<string, Resync>();
  readonly #gone = new Set<() => void>();
  #polling: LedgerPolling | null = null;
  #state: DeskState = { acknowledgedSize: 0, ready: false, stalled: false };
  #link: LedgerLink | null = null;
  #startedMs = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #audits = { hour: 0, count: 0 };
  #telling = false;
  #closed = false;
  readonly #counters = {
    ledger_started: 0,
    ledger_failed: 0,
    ledger_signed: 0,
    ledger_resyncs: 0,
    ledger_dropped: 0,
    ledger_audits_left_out: 0,
  };

  constructor(options: LedgerOptions) {
    this.#options = options;
    const { configuration, vaultKeys } = options.services;
    const logId = nodeCrypto.sha256(utf8(configuration.log_id));
    const derive = (key: Uint8Array, name: string): Uint8Array =>
      nodeCrypto.hkdfSha256(key, logId, utf8(name), 32);
    this.#storageKeys = [...vaultKeys].map(([version, key]) => {
      return { version, key: derive(key, 'trackseal/ledger/v1') };
    });
    const oldest = [...vaultKeys].toSorted(([a], [b]) => a - b)[0];
    // Without a data key nothing is stored, and users need to be the same for this epoch only.
    const root = oldest?.[1] ?? new Uint8Array(randomBytes(32));
    this.#userKey = derive(root, 'trackseal/ledger-users/v1');
    this.#polls = new LedgerPolls(
      options.maxKeptBytes ?? MAX_KEPT_BYTES,
      () => {
        this.#tell();
      },
      (id, fromMs) => {
        this.#counters.ledger_dropped++;
        this.#resync(id, { fromMs, isHeard: false });
      },
    );
  }

  get counters(): Readonly<Record<string, number>> {
    const own = Object.entries(this.#link?.counters ?? {})
      .map(([name, value]) => [`ledger_${name}`, value] as const)
      .filter(([name]) => name.length <= 32 && !(name in this.#counters))
      .slice(0, MAX_OWN_COUNTERS);
    const running = this.#link?.isReady === true ? 1 : 0;
    return {
      ...Object.fromEntries(own),
      ...this.#counters,
      ...this.#polls.counters,
      ledger_running: running,
    };
  }

  start(polling: LedgerPolling): void {
    this.#polling = polling;
    this.#options.services.onState((state) => {
      this.#state = state;
      this.#link?.state(state);
    });
    this.#start();
  }

  /** `head`: how far its chain was stored when `keep` was called last. */
  add(account: Account, head: StatedHead | null, keep: (head: StatedHead) => void): void {
    const told: LedgerAccount = {
      id: account.id,
      commitment: account.commitment,
      userHash: userHashOf(this.#userKey, account.userTag),
      venue: account.venue,
      label: account.label,
      accountType: account.accountType,
      environment: account.environment,
      createdMs: Number(account.createdNs / MS),
      head,
    };
    this.#accounts.add(told, keep);
    this.#link?.account(told);
  }

  remove(id: string): void {
    if (this.#closed || !this.#accounts.remove(id)) return;
    this.#polls.forget(id);
    this.#resyncs.get(id)?.cancel();
    this.#resyncs.delete(id);
    const link = this.#link;
    // One that is not ready is told of the end of a chain when it is.
    if (link?.isReady === true || !this.#accounts.isLeaving(id)) link?.remove(id);
  }

  draft(id: string): PollDraft {
    return this.#polls.draft(id);
  }

  missed(id: string, fromMs: number, toMs: number, reason: string): void {
    this.#polls.missed(id, fromMs, Math.max(fromMs, toMs), reason);
  }

  /** Refuses `ledger_unavailable`, and what the ledger does. */
  ask(operation: string, account: string, args: Uint8Array): Promise<Result<Uint8Array>> {
    return (
      this.#link?.ask(operation, account, args) ?? Promise.resolve(refuse('ledger_unavailable'))
    );
  }

  /** The clear bytes of a gRPC client, whose certificate has this SHA-256; null while there is no ledger. */
  openGrpc(fingerprint: Uint8Array): Duplex | null {
    return this.#link?.isReady === true ? this.#link.openGrpc(fingerprint) : null;
  }

  /** It finishes what it has; resolves when it is gone. Nothing may be polled any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { cancel } of this.#resyncs.values()) cancel();
    const link = this.#link;
    if (link === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gone.add(resolve);
    const cancel = this.#options.time.after(SHUT_MS, () => {
      link.end('ledger_ended');
    });
    link.shut();
    await promise;
    cancel();
  }

  #start(): void {
    const { services } = this.#options;
    void services.guard.runAsync(async () => {
      if (this.#closed) return;
      const stream = await services.spawnLedger().catch(() => null);
      if (stream === null) this.#again('ledger_unavailable');
      else if (this.#closed) stream.destroy();
      else this.#attach(stream);
    });
  }

  #attach(stream: Duplex): void {
    const { services, time } = this.#options;
    this.#counters.ledger_started++;
    this.#startedMs = time.nowMs();
    stream.on('error', () => undefined);
    const link = new LedgerLink(stream, this.#open(), {
      runAsync: (work) => services.guard.runAsync(work),
      onReady: () => {
        // The one before has not stated the end of their chains.
        for (const account of this.#accounts.leaving) {
          this.#link?.account(account);
          this.#link?.remove(account.id);
        }
        this.#tell();
      },
      onTaken: ({ id, poll }) => {
        this.#polls.taken(id, poll);
      },
      onStated: (stated) => {
        this.#accounts.stated(stated);
      },
      onResync: ({ id, fromMs, heardMs }) => {
        // Now: what is polled until it is due is told to this ledger.
        const isHeard = this.#polling?.isHeard(id, heardMs) === true;
        this.#resync(id, { fromMs, isHeard });
      },
      onAudit: (entry) => {
        this.#audit(entry);
      },
      onDatabase: (database) => {
        void services.guard.runAsync(() => this.#joinDatabase(database));
      },
      prices: (question) =>
        this.#polling?.prices(question) ?? Promise.resolve({ rows: [], missing: [] }),
      sign: (statements) => this.#sign(statements),
      onEnd: (code) => {
        this.#lose(code);
      },
    });
    this.#link = link;
    link.state(this.#state);
    for (const account of this.#accounts.polled) link.account(account);
  }

  #open(): LedgerOpen {
    const { services } = this.#options;
    const { origin, epoch, configurationBytes, keys, leafZeroHash, databasePassword } = services;
    return {
      origin,
      epoch,
      configuration: configurationBytes,
      nowNs: services.nowNs(),
      storageKeys: this.#storageKeys,
      leafZeroHash,
      ed25519: keys.ed25519.publicKey,
      databasePassword,
      userKey: this.#userKey,
    };
  }

  #lose(code: 'ledger_ended' | 'ledger_malformed'): void {
    this.#link = null;
    this.#polls.rewind();
    for (const resolve of this.#gone) resolve();
    this.#gone.clear();
    if (this.#closed) return;
    if (this.#options.time.nowMs() - this.#startedMs > WELL_MS) this.#pauseMs = FIRST_PAUSE_MS;
    this.#again(code);
  }

  #again(code: 'ledger_ended' | 'ledger_malformed' | 'ledger_unavailable'): void {
    const { audit, services } = this.#options;
    void services.guard.runAsync(async () => {
      await audit.append('administrative', { code });
    });
    this.#counters.ledger_failed++;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
    this.#options.time.after(pauseMs, () => {
      this.#start();
    });
  }

  /** One poll after another, as fast as the ledger takes them. */
  #tell(): void {
    const link = this.#link;
    if (link?.isReady !== true || this.#telling) return;
    this.#telling = true;
    void this.#options.services.guard.runAsync(async () => {
      while (this.#link === link) {
        const frames = this.#polls.next();
        if (frames === null || !(await link.tell(frames))) break;
      }
      this.#telling = false;
      // Another ledger may have become ready meanwhile.
      if (this.#link !== link) this.#tell();
    });
  }

  /** At most once an hour for each account, since a poll from empty cursors is dear to the venue; none is forgotten. */
  #resync(id: string, again: Again): void {
    const { time } = this.#options;
    if (this.#closed || !this.#accounts.has(id)) return;
    const last = this.#resyncs.get(id);
    const waitMs = last === undefined ? 0 : last.atMs + HOUR_MS - time.nowMs();
    if (last === undefined || waitMs <= 0) {
      this.#resyncs.set(id, { atMs: time.nowMs(), waiting: null, cancel: () => undefined });
      this.#counters.ledger_resyncs++;
      this.#polling?.resync(id, again);
      return;
    }
    const waiting = last.waiting === null ? again : bothOf(last.waiting, again);
    last.cancel();
    const cancel = time.after(waitMs, () => {
      this.#resync(id, waiting);
    });
    this.#resyncs.set(id, { ...last, waiting, cancel });
  }

  #audit({ event, account, code }: LedgerAudit): void {
    const { audit, services, time } = this.#options;
    const hour = Math.floor(time.nowMs() / HOUR_MS);
    if (this.#audits.hour !== hour) this.#audits = { hour, count: 0 };
    this.#audits.count++;
    if (this.#audits.count > MAX_AUDITS_PER_HOUR) {
      this.#counters.ledger_audits_left_out++;
      return;
    }
    const accountCommitment = account === null ? null : this.#accounts.commitmentOf(account);
    void services.guard.runAsync(async () => {
      await audit.append('ledger', {
        accountCommitment,
        code,
        counter: LEDGER_EVENTS.indexOf(event) + 1,
      });
    });
  }

  async #joinDatabase(stream: Duplex): Promise<void> {
    const socket = await this.#options.services.dialDatabase().catch(() => null);
    if (socket === null) stream.destroy();
    else {
      pipeline(stream, socket, () => undefined);
      pipeline(socket, stream, () => undefined);
    }
  }

  async #sign(statements: readonly Uint8Array[]): Promise<Result<SignedLeaf> | null> {
    const { services } = this.#options;
    const admitted = this.#accounts.admit(statements, services.origin);
    if (admitted?.ok !== true) return admitted;
    const { domains, notes } = admitted.value;
    for (const note of notes) this.#audit(note);
    const leaf = await services.append(KIND.result, encodeTrackLeaf(statements));
    const signatures = statements.map((statement, position) => {
      const domain = domains[position] ?? '';
      const signed = trackSignedBytes(domain, leaf.index, position, statement);
      return services.keys.ed25519.sign(signed);
    });
    await services.acknowledged(leaf.index + 1);
    this.#counters.ledger_signed += statements.length;
    return accept({ leafIndex: leaf.index, leafSalt: leaf.salt, signatures });
  }
}
