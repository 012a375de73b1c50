// The desk's vault: seals what must outlive the epoch and hands it to the host, which is trusted to keep it and for
// nothing else. Without a data key nothing is written at all. Each write takes the next number of the log, and the
// audit trail says which, so that a record that was rolled back, or brought back after it was forgotten, shows.

import { randomBytes } from 'node:crypto';
import { parseHex, toHex } from '../../wire/bytes.ts';
import { MAX_VAULT_RECORDS } from '../../wire/limits.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { DeskServices } from './services.ts';
import type { OpenedRecord, RecordKind } from './vault-record.ts';
import {
  MAX_VAULT_PLAINTEXT_BYTES,
  openRecord,
  recordMark,
  sealRecord,
  vaultKey,
} from './vault-record.ts';

type VaultServices = Pick<DeskServices, 'vault' | 'vaultKeys' | 'configuration'>;

export interface RestoredRecords {
  readonly opened: readonly OpenedRecord[];
  /** Ids under which the host brought something that does not open. */
  readonly unusable: readonly string[];
}

export class SealedVault {
  readonly #services: VaultServices;
  readonly #logId: string;
  readonly #keys = new Map<string, Uint8Array>();
  /** The version that writes; null without a data key. */
  readonly #version: number | null;
  #number = 0;

  constructor(services: VaultServices) {
    this.#services = services;
    this.#logId = services.configuration.log_id;
    const versions = [...services.vaultKeys.keys()];
    this.#version = versions.length === 0 ? null : Math.max(...versions);
  }

  get enabled(): boolean {
    return this.#version !== null;
  }

  hasRoomFor(records: number): boolean {
    return !this.enabled || this.#services.vault.records.size + records <= MAX_VAULT_RECORDS;
  }

  /** Once, at the start: later numbers are above those of all that opened. */
  openAll(): RestoredRecords {
    const opened: OpenedRecord[] = [];
    const unusable: string[] = [];
    if (!this.enabled) return { opened, unusable };
    for (const [id, bytes] of this.#services.vault.records) {
      const record = openRecord(nodeCrypto, (...name) => this.#keyOf(...name), this.#logId, bytes);
      // The name under which it was kept is the host's word: what counts is the one inside.
      if (record.ok && toHex(record.value.id) === id) opened.push(record.value);
      else unusable.push(id);
    }
    this.#number = Math.max(0, ...opened.map(({ number }) => number));
    return { opened, unusable };
  }

  /** Resolves with the mark of the record when the host has it; with null when nothing is persisted. */
  async write(id: string, kind: RecordKind, plaintext: Uint8Array): Promise<Uint8Array | null> {
    const raw = parseHex(id);
    const version = this.#version;
    if (version === null || raw === null || plaintext.length > MAX_VAULT_PLAINTEXT_BYTES)
      return null;
    const key = this.#keyOf(version, kind);
    if (key === null) return null;
    const head = { id: raw, kind, keyVersion: version, number: ++this.#number };
    const bytes = sealRecord(nodeCrypto, key, head, this.#logId, randomBytes(12), plaintext);
    await this.#services.vault.put(raw, bytes);
    return recordMark(head);
  }

  /** The mark has the next number: a record that comes back afterwards has a lower one. */
  async forget(id: string): Promise<Uint8Array | null> {
    const raw = parseHex(id);
    if (raw === null || !this.#services.vault.records.has(id)) return null;
    const mark = recordMark({ id: raw, number: ++this.#number });
    await this.#services.vault.put(raw, null);
    return mark;
  }

  wipe(): void {
    for (const key of this.#keys.values()) key.fill(0);
    this.#keys.clear();
  }

  #keyOf(version: number, kind: RecordKind): Uint8Array | null {
    const name = `${version}/${kind}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const dataKey = this.#services.vaultKeys.get(version);
    if (dataKey === undefined) return null;
    const key = vaultKey(nodeCrypto, dataKey, this.#logId, kind);
    this.#keys.set(name, key);
    return key;
  }
}
