// Data keys: made by KMS for this image, kept wrapped by the host, opened at each boot. A record is the host's
// word until KMS has opened it, and even then whoever may call Encrypt could have made it: the mark in the
// header of the epoch before fixes which key a version is, and how far a name has come. The key
// that the desk's vault is encrypted under goes to the desk; of the others only the marks outlive the boot.

import { createHmac } from 'node:crypto';
import { equalBytes } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import type { DeskSecret } from '../../wire/desk-frames.ts';
import type { DataKeyEntry, EpochHeader } from '../../wire/header.ts';
import { dataKeyMark } from '../../wire/header.ts';
import type { DataKeys } from '../../wire/kms-frames.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { DataKeyRecord } from '../../wire/sealed.ts';
import { dataKeyContext, encodeDataKeyRecord, parseDataKeyRecord } from '../../wire/sealed.ts';
import type { Kms } from './client.ts';
import { orSecretError, SecretError } from './secret-error.ts';
import type { SecretName } from './secret-error.ts';

export interface DataKeyTerms {
  readonly configuration: Configuration;
  /** PCR0 of this image, for new ones. */
  readonly image: Uint8Array;
  /** Of the epoch before. */
  readonly previous: EpochHeader | null;
}

interface Kept {
  readonly record: DataKeyRecord;
  readonly secret: SecretName;
}

function secretOf(name: string, position: number | null): SecretName {
  return { position, purpose: 'data_key', name };
}

/** The host's records by name, oldest version first. Throws a SecretError. */
function readRecords(
  { configuration }: DataKeyTerms,
  { records, rotate }: DataKeys,
): ReadonlyMap<string, Kept[]> {
  const configured = configuration.data_keys ?? [];
  const byName = new Map<string, Kept[]>(configured.map(({ name }) => [name, []]));
  for (const [position, bytes] of records.entries()) {
    const unknown: SecretName = { position, purpose: 'data_key', name: null };
    const parsed = parseDataKeyRecord(bytes);
    if (!parsed.ok) throw new SecretError('seal_malformed', unknown);
    const record = parsed.value;
    const wanted = configured.find(({ name }) => name === record.name);
    const kept = byName.get(record.name);
    if (wanted === undefined || kept === undefined)
      throw new SecretError('seal_unexpected', unknown);
    const secret = secretOf(wanted.name, position);
    // Under another key anybody could have made it.
    if (record.keyArn !== wanted.key_arn) throw new SecretError('seal_wrong_configuration', secret);
    if (kept.some((other) => other.record.version === record.version)) {
      throw new SecretError('seal_unexpected', secret);
    }
    kept.push({ record, secret });
  }
  for (const name of rotate) {
    if (!byName.has(name)) {
      throw new SecretError('seal_unexpected', { position: null, purpose: 'data_key', name: null });
    }
  }
  for (const kept of byName.values()) kept.sort((a, b) => a.record.version - b.record.version);
  return byName;
}

/** The entry for the header. Refuses a version that was another key before. */
function markOf(
  { configuration, previous }: DataKeyTerms,
  { name, version }: Pick<DataKeyRecord, 'name' | 'version'>,
  key: Uint8Array,
): Result<DataKeyEntry> {
  const hmac = createHmac('sha256', key).update(dataKeyMark(configuration.log_id));
  const mark = new Uint8Array(hmac.digest());
  const before = previous?.dataKeys.find((one) => one.name === name && one.version === version);
  return before === undefined || equalBytes(before.mark, mark)
    ? accept({ name, version, mark })
    : refuse('seal_commitment_mismatch');
}

export interface OpenedDataKeys {
  readonly dataKeys: readonly DataKeyEntry[];
  /** All versions of the one that the desk's vault is encrypted under. */
  readonly vaultKeys: readonly DeskSecret[];
}

/** `keep` is told of each new record. Throws a SecretError. */
export async function openDataKeys(
  kms: Kms,
  terms: DataKeyTerms,
  brought: DataKeys,
  keep: (record: Uint8Array) => void,
): Promise<OpenedDataKeys> {
  const { configuration, image, previous } = terms;
  const byName = readRecords(terms, brought);
  const entries: DataKeyEntry[] = [];
  const vaultKeys: DeskSecret[] = [];
  const take = (
    record: Pick<DataKeyRecord, 'name' | 'version'>,
    key: Uint8Array,
    secret: SecretName,
  ): void => {
    const mark = markOf(terms, record, key);
    const { name, version } = record;
    if (name === configuration.desk?.vault) vaultKeys.push({ name, version, bytes: key.slice() });
    key.fill(0);
    entries.push(orSecretError(mark, secret));
  };
  for (const { name, key_arn: keyArn } of configuration.data_keys ?? []) {
    const kept = byName.get(name) ?? [];
    const latest = kept.at(-1)?.record.version ?? 0;
    const before = previous?.dataKeys.filter((one) => one.name === name) ?? [];
    if (before.some(({ version }) => version > latest)) {
      throw new SecretError('seal_rolled_back', secretOf(name, null));
    }
    for (const { record, secret } of kept) {
      const context = dataKeyContext(record);
      const key = orSecretError(await kms.decrypt(keyArn, record.ciphertext, context), secret);
      take(record, key, secret);
    }
    if (latest > 0 && !brought.rotate.includes(name)) continue;
    const made = { name, version: latest + 1, keyArn, image };
    const secret = secretOf(name, null);
    const { key, ciphertext } = orSecretError(
      await kms.generateDataKey(keyArn, dataKeyContext(made)),
      secret,
    );
    take(made, key, secret);
    keep(encodeDataKeyRecord({ ...made, ciphertext }));
  }
  return { dataKeys: entries, vaultKeys };
}
