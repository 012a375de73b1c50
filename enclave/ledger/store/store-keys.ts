// Keys of what is stored, by purpose and account, from the storage keys that the desk hands over: the database keeps
// ciphertext and MACs that only an enclave with the vault's data key can make. The newest version writes; all read.

import { createHmac, randomBytes } from 'node:crypto';
import { equalBytes, utf8 } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';

const KEY_BYTES = 32;
export const NONCE_BYTES = 12;

export type KeyPurpose = 'sealed_fills' | 'sealed_states' | 'record_key' | 'mac';

export interface SealedBytes {
  readonly version: number;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Of one account. */
export class StoreKeys {
  readonly #keys: ReadonlyMap<number, Uint8Array>;
  readonly #account: Uint8Array;
  readonly #newest: number;
  readonly #oldest: number;
  readonly #derived = new Map<string, Uint8Array>();

  /** `keys` has one version at least. */
  constructor(keys: ReadonlyMap<number, Uint8Array>, accountCommitment: Uint8Array) {
    this.#keys = keys;
    this.#account = accountCommitment;
    this.#newest = Math.max(...keys.keys());
    this.#oldest = Math.min(...keys.keys());
  }

  #key(purpose: KeyPurpose, version: number): Uint8Array | null {
    const name = `${purpose} ${version}`;
    const derived = this.#derived.get(name);
    if (derived !== undefined) return derived;
    const key = this.#keys.get(version);
    if (key === undefined) return null;
    const info = utf8(`trackseal/ledger/${purpose}/v1`);
    const made = nodeCrypto.hkdfSha256(key, this.#account, info, KEY_BYTES);
    this.#derived.set(name, made);
    return made;
  }

  #known(purpose: KeyPurpose, version: number): Uint8Array {
    const key = this.#key(purpose, version);
    if (key === null) throw new Error('no storage key of this version');
    return key;
  }

  /** AES-256-GCM; `data` is bound, and the version and the account with it. */
  seal(purpose: KeyPurpose, plaintext: Uint8Array, data: readonly CborValue[]): SealedBytes {
    const version = this.#newest;
    const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
    const bound = this.#bound(purpose, version, data);
    const key = this.#known(purpose, version);
    return { version, nonce, sealed: nodeCrypto.aes256GcmSeal(key, nonce, plaintext, bound) };
  }

  /** Null for what this enclave's keys did not seal for this place. */
  open(
    purpose: KeyPurpose,
    { version, nonce, sealed }: SealedBytes,
    data: readonly CborValue[],
  ): Uint8Array | null {
    const key = this.#key(purpose, version);
    const bound = this.#bound(purpose, version, data);
    return key === null ? null : nodeCrypto.aes256GcmOpen(key, nonce, sealed, bound);
  }

  /** HMAC-SHA256 over the values of a row. */
  mac(table: string, row: readonly CborValue[]): Uint8Array {
    return hmac(this.#known('mac', this.#newest), [table, this.#account, ...row]);
  }

  hasMac(table: string, row: readonly CborValue[], mac: Uint8Array): boolean {
    return [...this.#keys.keys()].some((version) =>
      equalBytes(hmac(this.#known('mac', version), [table, this.#account, ...row]), mac),
    );
  }

  /** Names a record of the venue for the database, and tells nothing of it. The same under every version. */
  recordKey(name: readonly CborValue[]): Uint8Array {
    return hmac(this.#known('record_key', this.#oldest), [this.#account, ...name]);
  }

  #bound(purpose: KeyPurpose, version: number, data: readonly CborValue[]): Uint8Array {
    return encodeCbor([purpose, this.#account, version, ...data]);
  }
}

function hmac(key: Uint8Array, values: readonly CborValue[]): Uint8Array {
  return new Uint8Array(createHmac('sha256', key).update(encodeCbor(values)).digest());
}
