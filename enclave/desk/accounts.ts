// What the API and the polling of the desk know of an account in common, and what polling promises to the API. An account
// is one set of credentials at one venue; its figures are sums over what that venue told, with what it did not tell
// beside them: unknown is null, a failed poll is a gap, and neither is ever a zero.

import type { Environment } from '../../wire/exchange-call.ts';
import type { Result } from '../../wire/result.ts';
import type { AccountType, Venue } from '../connector/classes.ts';
import type { Permissions } from '../connector/protocol.ts';

export type { AccountType, Permissions, Venue };

/** At most 8 KiB each. Wiped by whoever made them, when the account is removed. */
export interface Credentials {
  readonly apiKey: Buffer;
  readonly secret: Buffer;
  readonly passphrase: Buffer | null;
}

export interface Account {
  /** 16 random bytes, hex. */
  readonly id: string;
  /** SHA-256(salt ‖ CBOR {user id, venue, label, environment, venue's account id}); null for the last while it is unknown. */
  readonly commitment: Uint8Array;
  /** SHA-256("trackseal/user/v1" ‖ 0x00 ‖ user id): the same for all accounts of one user. */
  readonly userTag: Uint8Array;
  readonly venue: Venue;
  readonly label: string;
  readonly accountType: AccountType;
  readonly environment: Environment;
  /** In ccxt's notation; asked for in any case, beside what the venue lists; may be empty. */
  readonly symbols: readonly string[];
  /** The trader said that these credentials may trade. */
  readonly allowTrading: boolean;
  readonly credentials: Credentials;
  readonly createdNs: bigint;
  readonly source: 'session' | 'sealed';
}

/** Currency to canonical decimal. */
export type Amounts = Readonly<Record<string, string>>;

export interface CoverageRow {
  readonly what: string;
  readonly market: string | null;
  readonly from_ms: number;
  readonly to_ms: number;
  readonly complete: boolean;
  readonly reason: string | null;
}

export interface GapRow {
  readonly from_ms: number;
  readonly to_ms: number;
  readonly reason: string;
}

export interface HourRow {
  readonly start_ms: number;
  readonly trades: number;
  readonly volume: Amounts;
  readonly fees: Amounts;
  /** All of the hour is covered by polls that were complete. */
  readonly complete: boolean;
}

export interface Matched {
  readonly trades: number;
  readonly volume: Amounts;
}

export interface AccountFigures {
  readonly observedSinceNs: bigint;
  /** End of the last poll that gave something; null before. */
  readonly asOfNs: bigint | null;
  /** Begin of the time that the sums are about. */
  readonly periodStartNs: bigint;
  readonly hosts: readonly { readonly host: string; readonly spki_sha256: string }[];
  readonly polls: {
    readonly scheduled: number;
    readonly complete: number;
    readonly partial: number;
    readonly failed: number;
    readonly missed: number;
  };
  readonly coverage: readonly CoverageRow[];
  readonly gaps: readonly GapRow[];
  readonly trades: number;
  /** Σ price · amount · contract size, by the currency in which the venue settles or quotes. */
  readonly volume: Amounts;
  readonly fees: Amounts;
  /** Paid is negative. */
  readonly funding: Amounts;
  readonly deposits: Amounts;
  readonly withdrawals: Amounts;
  readonly balances: Amounts | null;
  /** Number of open positions. */
  readonly positions: number | null;
  readonly unrealized: Amounts | null;
  /** Fills whose client order id is one of this epoch's signals; null where no strategy runs. */
  readonly matched: Matched | null;
  readonly unmatched: Matched | null;
  /** The last 168. */
  readonly hours: readonly HourRow[];
}

export interface Polling {
  /** Asks the venue about the credentials, once, before the account is added. */
  check(account: Account): Promise<Result<Permissions>>;
  /** Polls it from now on. `restored` is the last state that `onState` gave; null for a new account. */
  add(account: Account, restored: Uint8Array | null): void;
  /** Takes effect at once: a poll that runs is ended. */
  remove(id: string): void;
  /** Null for an account that is not there. */
  figures(id: string): AccountFigures | null;
  /** After each poll: what a restart needs in order to go on without counting anything twice. Holds no credentials. */
  onState(listener: (id: string, state: Uint8Array) => void): void;
  readonly counters: Readonly<Record<string, number>>;
}
