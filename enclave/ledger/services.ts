// What every part of the ledger is given. The process has one stream, to the desk: records, prices, signatures, places
// in the log and byte streams (PostgreSQL, gRPC) all come and go through it. It has no sockets, no files, no
// credentials of traders, no TLS key and no signing key. Nothing here reads the outside.

import type { Duplex } from 'node:stream';
import type { Configuration } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import type { ConnectorRecord } from '../connector/records.ts';
import type { Guard } from '../fatal.ts';
import type {
  LedgerAccount,
  LedgerAsk,
  LedgerAudit,
  LedgerMissed,
  LedgerPoll,
  LedgerResync,
  MissingPrice,
  NeedPrices,
  PriceRow,
  StatedHead,
} from './protocol.ts';

/** A poll with all that it brought, in the order in which the connector told it. */
export interface TakenPoll extends LedgerPoll {
  readonly account: LedgerAccount;
  readonly records: readonly ConnectorRecord[];
}

export interface PriceAnswer {
  readonly rows: readonly PriceRow[];
  /** What could not be had, with a word of why. */
  readonly missing: readonly MissingPrice[];
}

export type PriceQuestion = Omit<NeedPrices, 'id'>;

export interface SignedLeaf {
  /** Of the leaf of kind 7 whose plaintext is the CBOR array of the statements; it is acknowledged. */
  readonly leafIndex: number;
  readonly leafSalt: Uint8Array;
  /** Ed25519, 64 bytes each, in the order of the statements. */
  readonly signatures: readonly Uint8Array[];
}

export interface LedgerServices {
  readonly origin: string;
  readonly epoch: number;
  readonly configuration: Configuration;
  /** Errors that nobody handles end the ledger; the desk starts another. */
  readonly guard: Guard;
  readonly leafZeroHash: Uint8Array;
  /** Raw public key, 32 bytes: what the signatures verify under. */
  readonly ed25519: Uint8Array;
  /** By version of the vault's data key; empty: nothing may be persisted. */
  readonly storageKeys: ReadonlyMap<number, Uint8Array>;
  readonly databasePassword: Uint8Array | null;
  /** `userHash` of the accounts of the user with this id. */
  userHash(userId: string): Uint8Array;
  /** What names transfers between the accounts with this `userHash`. */
  referenceKey(userHash: Uint8Array): Uint8Array;
  /** The enclave's clock, ns since the Unix epoch; never goes back. */
  nowNs(): bigint;
  nowMs(): number;
  /** True from READY of the enclave until its close begins. */
  isReady(): boolean;
  logStalled(): boolean;
  /** What is acknowledged now. */
  acknowledgedSize(): number;

  /** Those that are polled now, by id. */
  readonly accounts: ReadonlyMap<string, LedgerAccount>;
  /** Each account, those that are there already at once. */
  onAccount(listener: (account: LedgerAccount) => void): void;
  /** It is not polled any more; what is stored of it stays. */
  onRemoved(listener: (account: LedgerAccount) => void): void;
  /** Each poll once in the life of this process, by account in the order of its numbers. */
  onPoll(listener: (poll: TakenPoll) => void): void;
  onMissed(listener: (missed: LedgerMissed) => void): void;
  /**
   * The poll need not be told again: its effects are stored durably, or, with `stored` false, there is nothing to
   * store them in. The desk keeps it until then.
   */
  takePoll(accountId: string, poll: number, stored: boolean): void;
  /** The chain of this account is stored up to this statement: the desk tells it to the next ledger, and the next epoch. */
  stated(accountId: string, head: StatedHead): void;
  /** The store may be behind: the desk reads this account again. */
  resync(resync: LedgerResync): void;

  /** At most MAX_PRICE_ITEMS. Prices as the venue's own host told them to the enclave. */
  needPrices(question: PriceQuestion): Promise<PriceAnswer>;
  /**
   * One leaf with all statements (at most MAX_SIGN_STATEMENTS and MAX_SIGN_BYTES) and a signature of each, after the
   * leaf is acknowledged. Refuses what the desk does: `session_unknown` for an account that is not known (any more; but
   * for the end of its chain), `chain_fork` at a place that is stored.
   * A statement that is none of wire/track/ ends the ledger.
   */
  sign(statements: readonly Uint8Array[]): Promise<Result<SignedLeaf>>;
  /** A line in the audit trail of the log. */
  audit(entry: LedgerAudit): void;

  /** A byte stream to the host and port of the configuration's `database`; destroyed when it cannot be had. */
  openDatabase(): Duplex;
  /** The clear bytes of a client's connection (mutual TLS ends in the desk), with SHA-256 of its certificate. */
  onGrpcConnection(listener: (stream: Duplex, clientFingerprint: Uint8Array) => void): void;
  /** The one who answers questions out of HTTPS; `code` of a refusal goes to the client. */
  onAsk(answer: (ask: LedgerAsk) => Promise<Result<Uint8Array>>): void;
}

/** One part of the ledger, with counters of its own (at most 48 in all, names of lower-case letters, digits and `_`). */
export interface LedgerPart {
  readonly counters: Readonly<Record<string, number>>;
  /** The desk is about to close: takes nothing more; resolves when nothing of it is under way. */
  close(): Promise<void>;
}
