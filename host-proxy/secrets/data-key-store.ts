// The records of data keys (docs/PROTOCOL.md 12b), wrapped by KMS: all that is ever kept of a data key, so losing
// one loses what was encrypted under it. A record is durable before READY counts, and none is ever replaced or
// removed here. Records say nothing to the host; a taken-over enclave can fill its folder up to a limit.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { DataKeys } from '../../wire/kms-messages.ts';
import type { DataKeyRecord } from '../../wire/sealed.ts';
import {
  MAX_DATA_KEY_RECORD_BYTES,
  MAX_DATA_KEY_RECORDS,
  parseDataKeyRecord,
} from '../../wire/sealed.ts';
import { listWhole, removeDurably, writeDurably } from '../durable-file.ts';
import type { Files } from '../files.ts';
import { makeDirectories } from '../files.ts';
import type { Logger } from '../logger.ts';
import { rotationName } from '../requests.ts';
import type { Secrets } from './secrets.ts';

export interface DataKeyStoreOptions {
  readonly files: Files;
  /** Of the records. */
  readonly directory: string;
  /** Where `trackseal kms rotate` leaves its requests. */
  readonly requests: string;
  /** Of the enclave's configuration. */
  readonly names: readonly string[];
}

export interface KeptKey {
  readonly name: string;
  readonly version: number;
}

/** One file a record; the name is for people, what counts is inside. */
export function recordName({ name, version }: KeptKey): string {
  return `${encodeURIComponent(name)}-${version}.key`;
}

/** The record in a file; refuses `seal_malformed` with its path. */
export function readRecord(files: Files, path: string): Result<DataKeyRecord> {
  const bytes = files.readFile(path, MAX_DATA_KEY_RECORD_BYTES);
  const record = bytes === null ? null : parseDataKeyRecord(bytes);
  return record?.ok === true ? record : refuse('seal_malformed', { file: path });
}

export class DataKeyStore {
  readonly #options: DataKeyStoreOptions;
  #records: { readonly record: DataKeyRecord; readonly bytes: Uint8Array }[] = [];
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: DataKeyStoreOptions) {
    this.#options = options;
  }

  /** All versions that are kept, for the metrics and for people. */
  get kept(): readonly KeptKey[] {
    return this.#records.map(({ record: { name, version } }) => ({ name, version }));
  }

  /** Reads what is kept, and which rotations are asked for. Refuses `seal_malformed` with the file. */
  async read(): Promise<Result<DataKeys>> {
    const { files, directory, requests, names } = this.#options;
    await makeDirectories(files, directory);
    await makeDirectories(files, requests);
    this.#records = [];
    for (const name of await listWhole(files, directory)) {
      const path = `${directory}/${name}`;
      const record = readRecord(files, path);
      if (!record.ok) return record;
      const bytes = files.readFile(path, MAX_DATA_KEY_RECORD_BYTES) ?? new Uint8Array(0);
      // Of a configuration that has this name no more: kept, but the enclave would refuse it.
      if (names.includes(record.value.name)) this.#records.push({ record: record.value, bytes });
    }
    if (this.#records.length > MAX_DATA_KEY_RECORDS) {
      return refuse('seal_unexpected', {
        folder: directory,
        records: this.#records.length,
        maximum: MAX_DATA_KEY_RECORDS,
      });
    }
    const wanted = await listWhole(files, requests);
    const rotate = names.filter((name) => wanted.includes(rotationName(name)));
    return accept({ records: this.#records.map(({ bytes }) => bytes), rotate });
  }

  /**
   * Resolves when the record is durable. Refuses what the enclave cannot have made by our rules:
   * `seal_malformed`, `seal_unexpected` (another name, another record of a version, too many),
   * `seal_rolled_back` (no newer version than what is kept). Rejects with a DiskFailure.
   */
  keep(bytes: Uint8Array): Promise<Result<KeptKey>> {
    const kept = this.#writing.then(() => this.#keep(bytes));
    this.#writing = kept.catch(() => null);
    return kept;
  }

  async #keep(bytes: Uint8Array): Promise<Result<KeptKey>> {
    const parsed = parseDataKeyRecord(bytes);
    if (!parsed.ok) return refuse('seal_malformed');
    const record = parsed.value;
    const { files, directory, requests, names } = this.#options;
    const { name, version } = record;
    if (!names.includes(name)) return refuse('seal_unexpected', { version });
    const versions = this.#records.filter((one) => one.record.name === name);
    const same = versions.find((one) => one.record.version === version);
    if (same !== undefined) {
      const isSame = equalBytes(same.bytes, bytes);
      return isSame ? accept({ name, version }) : refuse('seal_unexpected', { name, version });
    }
    const newest = Math.max(0, ...versions.map((one) => one.record.version));
    if (version < newest) return refuse('seal_rolled_back', { name, version, newest });
    if (this.#records.length >= MAX_DATA_KEY_RECORDS) {
      return refuse('seal_unexpected', { name, version, maximum: MAX_DATA_KEY_RECORDS });
    }
    await writeDurably(files, directory, recordName(record), bytes);
    this.#records.push({ record, bytes });
    // Only now: a crash in between makes one version more than asked for, never one less.
    const request = rotationName(name);
    if (files.size(`${requests}/${request}`) !== null) {
      await removeDurably(files, requests, request);
    }
    return accept({ name, version });
  }
}

/** Null when the enclave's new key is durable, or why it is not kept. Rejects with a DiskFailure. */
export async function keepDataKey(
  secrets: Pick<Secrets, 'dataKeys'> | null,
  bytes: Uint8Array,
  logger: Logger,
): Promise<RefusalCode | null> {
  const kept = (await secrets?.dataKeys?.keep(bytes)) ?? refuse('seal_unexpected');
  if (!kept.ok) return kept.refusal.code;
  logger.info('data_key_kept', { ...kept.value });
  return null;
}
