// What every part of the desk is given: the log, attestation, the way out, the vault and connectors, all of which
// are asked of the core or of the host by the desk's session. Nothing here reads the outside.

import type { Duplex } from 'node:stream';
import type { Configuration } from '../../wire/configuration.ts';
import type { DeskKind, DeskOutput, DeskSecret, DeskState } from '../../wire/desk-frames.ts';
import type { Result } from '../../wire/result.ts';
import type { Egress } from '../egress.ts';
import type { Guard } from '../fatal.ts';
import type { DeskKeys } from './keys.ts';

/** A leaf of the desk's, in the log and not yet acknowledged. */
export interface DeskLeaf {
  readonly index: number;
  readonly salt: Uint8Array;
  /** Of the leaf. */
  readonly hash: Uint8Array;
}

/** Records that the host keeps over epochs: opaque to it, and it may bring older ones or none. */
export interface Vault {
  /** As they were at boot and are now, by the hex of their ids (16 bytes). */
  readonly records: ReadonlyMap<string, Uint8Array>;
  /**
   * Resolves when the host has it durably; null: when it has forgotten it. At most MAX_VAULT_RECORD_BYTES. Rejects
   * with a Fatal `vault_full` beyond MAX_VAULT_RECORDS.
   */
  put(id: Uint8Array, bytes: Uint8Array | null): Promise<void>;
}

export interface DeskServices {
  readonly origin: string;
  readonly epoch: number;
  readonly configuration: Configuration;
  /** As they were measured. */
  readonly configurationBytes: Uint8Array;
  /** Errors that nobody handles end the desk with a closed code. */
  readonly guard: Guard;
  readonly keys: DeskKeys;
  readonly leafZeroHash: Uint8Array;
  /** The attestation document of the boot. */
  readonly bootDocument: Uint8Array;
  /** Plaintexts of the sealed exchange accounts: JSON, checked to be an object, not more. */
  readonly sealedAccounts: readonly DeskSecret[];
  /** Certificates of the authority of gRPC's clients, PEM; null: nobody is let in. */
  readonly clientCa: Uint8Array | null;
  readonly databasePassword: Uint8Array | null;
  /** The enclave's clock, ns since the Unix epoch; never goes back. */
  nowNs(): bigint;
  nowMs(): number;
  /** A private leaf; resolves when it has its place. `causes` ascend. The plaintext may have 1,000 KiB. */
  append(kind: DeskKind, plaintext: Uint8Array, causes?: readonly number[]): Promise<DeskLeaf>;
  /** Resolves when the log's acknowledged size is at least `size`: index + 1 for a leaf. */
  acknowledged(size: number): Promise<void>;
  /** What is acknowledged now. */
  acknowledgedSize(): number;
  /** An attestation document of purpose challenge. Refuses what the core does: `not_ready`, `rate_limited`, `nsm_error`… */
  attest(nonce: Uint8Array): Promise<Result<Uint8Array>>;
  readonly egress: Egress;
  readonly vault: Vault;
  /** By version of the data key; empty: nothing may be persisted. */
  readonly vaultKeys: ReadonlyMap<number, Uint8Array>;
  /** A new connector process; its stream ends with it. Rejects with a Fatal `connector_unavailable`. */
  spawnConnector(): Promise<Duplex>;
  /** A new ledger process, as `spawnConnector`. */
  spawnLedger(): Promise<Duplex>;
  /** A stream to the host and port of the configuration's `database`, without TLS. Rejects with an EgressError. */
  dialDatabase(): Promise<Duplex>;
  /** True from READY until the close begins. */
  isReady(): boolean;
  logStalled(): boolean;
  /** What the core says of the log and the enclave, the last at once. */
  onState(listener: (state: DeskState) => void): void;
  /** Each released signal from now on. */
  onOutput(listener: (output: DeskOutput) => void): void;
  /** The host brought a certificate chain for the TLS key, PEM. */
  onCertificate(listener: (chain: Uint8Array) => void): void;
}
