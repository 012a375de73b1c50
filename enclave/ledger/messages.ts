// The messages of the ledger's protocol (protocol.ts): types alone.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Environment } from '../../wire/exchange-call.ts';
import type { AccountType, Coverage, Venue } from '../connector/classes.ts';
import type { PriceItem } from '../connector/job.ts';
import type { ConnectorRecord, PriceKind, RecordKind } from '../connector/records.ts';
import type { LedgerEvent } from './frames.ts';

export type { PriceItem, PriceKind };

/** A key for what the ledger stores, by the version of the data key of the vault. */
export interface StorageKey {
  readonly version: number;
  /** HKDF-SHA256(vault data key, SHA-256(log id), "trackseal/ledger/v1"), 32 bytes. */
  readonly key: Uint8Array;
}

export interface LedgerOpen {
  readonly origin: string;
  readonly epoch: number;
  readonly configuration: Uint8Array;
  /** The desk's clock when this was sent. */
  readonly nowNs: bigint;
  /** Empty: nothing may be persisted. */
  readonly storageKeys: readonly StorageKey[];
  readonly leafZeroHash: Uint8Array;
  /** Raw, of the key that the desk signs with. */
  readonly ed25519: Uint8Array;
  /** Null: there is none, and the database has to let us in without. */
  readonly databasePassword: Uint8Array | null;
  /** Of `userHash`, 32 bytes: who asks over gRPC names users by their ids. */
  readonly userKey: Uint8Array;
}

export interface LedgerState {
  readonly acknowledgedSize: number;
  readonly ready: boolean;
  readonly stalled: boolean;
}

/** How far the chain of an account is stored. */
export interface StatedHead {
  /** Of the last statement, from 1. */
  readonly counter: number;
  /** SHA-256 of it. */
  readonly hash: Uint8Array;
}

export interface LedgerAccount {
  /** Hex, 16 bytes. */
  readonly id: string;
  readonly commitment: Uint8Array;
  /** The same for all accounts of one user, and tells nothing else: SHA-256 under a key of the desk's. */
  readonly userHash: Uint8Array;
  readonly venue: Venue;
  readonly label: string;
  readonly accountType: AccountType;
  readonly environment: Environment;
  readonly createdMs: number;
  /** What a ledger has said last, whichever it was; null: nothing yet, as far as the desk knows. */
  readonly head: StatedHead | null;
}

/** A page of what a poll brought. */
export interface LedgerRecords {
  readonly id: string;
  readonly poll: number;
  readonly kind: RecordKind;
  readonly records: readonly ConnectorRecord[];
}

export interface PollHost {
  readonly host: string;
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
}

/** The end of a poll that was not missed; its RECORDS came before. */
export interface LedgerPoll {
  readonly id: string;
  /** From 1, rises by account within an epoch; a poll that is told again has its number. */
  readonly poll: number;
  /** Of its exchange_call leaf. */
  readonly leafIndex: number;
  readonly slotMs: number;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Of a failed one no record counts. */
  readonly outcome: 'complete' | 'partial' | 'failed';
  /** A class or reason of the desk's, lower-case; null when complete. */
  readonly reason: string | null;
  readonly coverage: readonly Coverage[];
  readonly hosts: readonly PollHost[];
  /** End of the last poll that it goes on from, or null: without that one, nobody knows what is between. */
  readonly sinceMs: number | null;
}

export interface LedgerMissed {
  readonly id: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: string;
}

export interface PriceRow {
  readonly kind: PriceKind;
  readonly symbol: string;
  readonly atMs: number;
  /** Canonical decimal, positive. */
  readonly price: string;
  /** Host and endpoint. */
  readonly source: string;
  readonly tradedMs: number;
}

export interface MissingPrice {
  readonly symbol: string;
  readonly reason: string;
}

/** A page of the answer to NEED_PRICES; the one with `last` ends it. */
export interface LedgerPrices {
  readonly id: number;
  readonly rows: readonly PriceRow[];
  readonly missing: readonly MissingPrice[];
  readonly last: boolean;
}

/** Either the leaf and one signature for each statement, or why there is none. */
export interface LedgerSigned {
  readonly id: number;
  readonly code: RefusalCode | null;
  readonly leafIndex: number;
  readonly leafSalt: Uint8Array;
  readonly signatures: readonly Uint8Array[];
}

/** A question out of HTTPS, for one account of the session that asks. */
export interface LedgerAsk {
  readonly id: number;
  readonly operation: string;
  readonly account: string;
  /** CBOR. */
  readonly arguments: Uint8Array;
}

export interface LedgerTaken {
  readonly id: string;
  readonly poll: number;
  /** False: there is no database, and a restart forgets it. */
  readonly stored: boolean;
}

export interface LedgerStated extends StatedHead {
  readonly id: string;
}

export interface LedgerResync {
  readonly id: string;
  /** The account is read again from here on. */
  readonly fromMs: number;
  /** End of the last poll that is stored, where all before it are; null: some may not be. */
  readonly heardMs: number | null;
}

export interface NeedPrices {
  readonly id: number;
  readonly venue: Venue;
  readonly environment: Environment;
  readonly items: readonly PriceItem[];
}

/** Each statement says by its first field which of wire/track/ it is. */
export interface LedgerSign {
  readonly id: number;
  readonly statements: readonly Uint8Array[];
}

/** For an audit leaf. */
export interface LedgerAudit {
  readonly event: LedgerEvent;
  readonly account: string | null;
  readonly code: RefusalCode | null;
}

/** Either a body or the code for which there is none. */
export interface LedgerAnswer {
  readonly id: number;
  readonly code: RefusalCode | null;
  readonly body: Uint8Array | null;
}
