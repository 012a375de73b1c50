// Messages between the enclave's core and its desk, and in part between the core and a market-data tap
// (docs/PROTOCOL.md 11b), the core's half: what a desk sends is hostile, because the desk reads the internet. The desk's
// half is in desk-messages.ts. Secrets that the owner sealed for the desk go out in OPEN and nowhere else.

import { parseUtf8 } from './bytes.ts';
import type { CborValue } from './cbor.ts';
import { cborMap, encodeMap } from './cbor.ts';
import type { RefusalCode } from './codes.ts';
import { parseFields } from './fields.ts';
import { KIND } from './leaf.ts';
import {
  MAX_BOOT_BYTES,
  MAX_CAUSES,
  MAX_DESK_PLAINTEXT_BYTES,
  MAX_NONCE_BYTES,
  MAX_VAULT_RECORD_BYTES,
  MIN_NONCE_BYTES,
} from './limits.ts';
import type { Result } from './result.ts';

export const DESK_FRAME = {
  /** Core to desk, before OPEN: a vault record as the host kept it; the payload of VAULT (0x1d). */
  record: 0x6f,
  open: 0x70,
  state: 0x71,
  appended: 0x72,
  attested: 0x73,
  keptVault: 0x74,
  output: 0x75,
  shut: 0x76,
  certificate: 0x77,
  keys: 0x78,
  append: 0x79,
  attest: 0x7a,
  vault: 0x7b,
  spawn: 0x7c,
  counters: 0x7d,
  down: 0x7e,
  opened: 0x7f,
} as const;

/** P-256 SubjectPublicKeyInfo of the TLS key. */
const TLS_SPKI_BYTES = 91;

const KEY_BYTES = 32;

const MAX_SMALL_BYTES = 1024;

export const RECORD_ID_BYTES = 16;

export const MAX_CERTIFICATE_CHAIN_BYTES: number = 64 * 1024;

export const MAX_DESK_COUNTERS = 96;

const COUNTER_NAME = /^[a-z][a-z0-9_]{0,31}$/u;

export interface DeskSecret {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

/** What a desk or a tap knows of its epoch; for a tap without secrets. */
export interface DeskOpen {
  readonly origin: string;
  readonly epoch: number;
  readonly configuration: Uint8Array;
  /** The core's clock when this was sent. */
  readonly nowNs: bigint;
  /** All versions of the data key that the configuration names for the vault. */
  readonly vaultKeys: readonly DeskSecret[];
  /** Plaintexts of sealed exchange accounts. */
  readonly accounts: readonly DeskSecret[];
  /** Certificates of the authority of gRPC's clients, PEM; null: nobody is let in there. */
  readonly clientCa: Uint8Array | null;
  /** For the ledger. */
  readonly databasePassword: Uint8Array | null;
  readonly manifest: Uint8Array;
  /** PEM. */
  readonly roots: Uint8Array;
  /** The boot's attestation document. */
  readonly document: Uint8Array;
  readonly leafZeroHash: Uint8Array;
}

export type DeskSecrets = Pick<
  DeskOpen,
  'accounts' | 'clientCa' | 'databasePassword' | 'vaultKeys'
>;

function encodeSecret({ name, version, bytes }: DeskSecret): CborValue {
  return cborMap([1, name], [2, version], [3, bytes]);
}

export function encodeDeskOpen(open: DeskOpen): Uint8Array {
  return encodeMap(
    [1, open.origin],
    [2, open.epoch],
    [3, open.configuration],
    [4, open.nowNs],
    [5, open.vaultKeys.map(encodeSecret)],
    [6, open.accounts.map(encodeSecret)],
    [7, open.manifest],
    [8, open.roots],
    [9, open.document],
    [10, open.leafZeroHash],
    [11, open.clientCa],
    [12, open.databasePassword],
  );
}

export interface DeskState {
  readonly acknowledgedSize: number;
  readonly ready: boolean;
  readonly stalled: boolean;
}

export function encodeDeskState(state: DeskState): Uint8Array {
  return encodeMap([1, state.acknowledgedSize], [2, state.ready], [3, state.stalled]);
}

export interface DeskAppended {
  readonly id: number;
  readonly index: number;
  readonly salt: Uint8Array;
  /** Of the leaf. */
  readonly hash: Uint8Array;
}

export function encodeDeskAppended({ id, index, salt, hash }: DeskAppended): Uint8Array {
  return encodeMap([1, id], [2, index], [3, salt], [4, hash]);
}

/** Either a document or the code for which there is none. */
export interface DeskAttested {
  readonly id: number;
  readonly document: Uint8Array | null;
  readonly code: RefusalCode | null;
}

export function encodeDeskAttested({ id, document, code }: DeskAttested): Uint8Array {
  return encodeMap([1, id], [2, document], [3, code]);
}

/** A released signal. */
export interface DeskOutput {
  readonly leafIndex: number;
  readonly clientOrderId: string;
  readonly instrument: number;
}

export function encodeDeskOutput(output: DeskOutput): Uint8Array {
  return encodeMap([1, output.leafIndex], [2, output.clientOrderId], [3, output.instrument]);
}

/** The public halves of the desk's keys, which the header and every document then name. */
export interface DeskPublicKeys {
  readonly tlsSpki: Uint8Array;
  readonly x25519: Uint8Array;
  readonly ed25519: Uint8Array;
}

export function parseDeskKeys(bytes: Uint8Array): Result<DeskPublicKeys> {
  return parseFields('desk_keys', bytes, MAX_SMALL_BYTES, (fields) => ({
    tlsSpki: fields.bytes(1, TLS_SPKI_BYTES),
    x25519: fields.bytes(2, KEY_BYTES),
    ed25519: fields.bytes(3, KEY_BYTES),
  }));
}

/** The leaves that a desk may ask for. */
export type DeskKind = (typeof KIND)['exchangeCall' | 'result' | 'audit'];

const DESK_KINDS: readonly DeskKind[] = [KIND.exchangeCall, KIND.result, KIND.audit];

export interface DeskAppend {
  readonly id: number;
  readonly kind: DeskKind;
  readonly plaintext: Uint8Array;
  /** Ascending indexes of earlier leaves. */
  readonly causes: readonly number[];
}

/** Whether the causes are earlier leaves is for the log to say. */
export function parseDeskAppend(bytes: Uint8Array): Result<DeskAppend> {
  return parseFields('desk_append', bytes, MAX_DESK_PLAINTEXT_BYTES + MAX_SMALL_BYTES, (fields) => {
    const number = fields.uint(2);
    const kind = DESK_KINDS.find((known) => known === number) ?? fields.refuse(2);
    const causes = fields.uints(4, MAX_CAUSES);
    if (causes.some((cause, at) => at > 0 && cause <= (causes[at - 1] ?? 0))) fields.refuse(4);
    const plaintext = fields.bytes(3, 1, MAX_DESK_PLAINTEXT_BYTES);
    return { id: fields.uint(1), kind, plaintext, causes };
  });
}

export interface DeskAttest {
  readonly id: number;
  readonly nonce: Uint8Array;
}

export function parseDeskAttest(bytes: Uint8Array): Result<DeskAttest> {
  return parseFields('desk_attest', bytes, MAX_SMALL_BYTES, (fields) => ({
    id: fields.uint(1),
    nonce: fields.bytes(2, MIN_NONCE_BYTES, MAX_NONCE_BYTES),
  }));
}

/** A vault record for the host to keep, or to forget. */
export interface VaultWrite {
  readonly id: number;
  readonly recordId: Uint8Array;
  readonly bytes: Uint8Array | null;
}

export function parseVaultWrite(bytes: Uint8Array): Result<VaultWrite> {
  return parseFields('vault', bytes, MAX_VAULT_RECORD_BYTES + MAX_SMALL_BYTES, (fields) => ({
    id: fields.uint(1),
    recordId: fields.bytes(2, RECORD_ID_BYTES),
    bytes: fields.bytesOrNull(3, 1, MAX_VAULT_RECORD_BYTES),
  }));
}

export function parseDeskCounters(bytes: Uint8Array): Result<Readonly<Record<string, number>>> {
  return parseFields('desk_counters', bytes, 8 * MAX_SMALL_BYTES, (fields) => {
    const counters: Record<string, number> = {};
    for (const pair of fields.array(1, MAX_DESK_COUNTERS)) {
      const [name, value, ...rest] = Array.isArray(pair) ? (pair as readonly CborValue[]) : [];
      if (typeof name !== 'string' || !COUNTER_NAME.test(name)) return fields.refuse(1);
      if (Object.hasOwn(counters, name) || rest.length > 0) return fields.refuse(1);
      if (typeof value !== 'number' || value < 0) return fields.refuse(1);
      counters[name] = value;
    }
    return counters;
  });
}

/** What a desk can have started: the name is the payload of SPAWN. */
export const SPAWN_PROGRAMS = ['connector', 'ledger'] as const;
export type SpawnProgram = (typeof SPAWN_PROGRAMS)[number];

export function parseSpawn(bytes: Uint8Array): SpawnProgram | null {
  const name = bytes.length > 16 ? null : parseUtf8(bytes);
  return SPAWN_PROGRAMS.find((one) => one === name) ?? null;
}

/** Payloads to a desk, and from it. */
export const MAX_DESK_IN_BYTES: number = MAX_BOOT_BYTES;

export const MAX_DESK_OUT_BYTES: number = MAX_DESK_PLAINTEXT_BYTES + MAX_SMALL_BYTES;
