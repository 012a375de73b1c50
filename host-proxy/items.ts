// The files that the host sends to the enclave: configuration, packed strategies, parameters. The enclave
// checks them against its commitments; here only mistakes are found early.

import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseHex } from '../wire/bytes.ts';
import type { Configuration } from '../wire/configuration.ts';
import { canonicalJson, parseConfiguration } from '../wire/configuration.ts';
import type { Item } from '../wire/messages.ts';
import { ITEM_SALT_BYTES } from '../wire/messages.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { BUNDLE_FILES } from '../wire/strategy-bundle.ts';
import { parseSealed } from '../wire/sealed.ts';
import type { HostConfig } from './config-file.ts';
import type { SealedFile } from './secrets/secrets.ts';

export interface EnclaveFiles {
  readonly configuration: Configuration;
  /** In canonical form, whatever the file's spacing was. */
  readonly configurationBytes: Uint8Array;
  readonly items: readonly Item[];
  readonly sealed: readonly SealedFile[];
}

const packSchema = z.object({ name: z.string().max(64), version: z.string().max(32) });

function readBytes(path: string): Result<Uint8Array> {
  try {
    return accept(new Uint8Array(readFileSync(path)));
  } catch {
    return refuse('file_unreadable', { file: path });
  }
}

function readJson(path: string): Result<unknown> {
  const bytes = readBytes(path);
  if (!bytes.ok) return bytes;
  try {
    return accept(JSON.parse(Buffer.from(bytes.value).toString('utf8')));
  } catch {
    return refuse('json_malformed', { file: path });
  }
}

function readSalt(path: string): Result<Uint8Array> {
  const bytes = readBytes(path);
  if (!bytes.ok) return bytes;
  const salt = parseHex(Buffer.from(bytes.value).toString('utf8').trim());
  return salt?.length === ITEM_SALT_BYTES
    ? accept(salt)
    : refuse('message_malformed', { file: path });
}

function readStrategy(strategy: HostConfig['strategies'][number]): Result<readonly Item[]> {
  const commitment = join(strategy.pack, 'commitment.json');
  const json = readJson(commitment);
  if (!json.ok) return json;
  const named = packSchema.safeParse(json.value);
  if (!named.success) return refuse('json_malformed', { file: commitment });
  const paths = BUNDLE_FILES.map((name) => join(strategy.pack, name));
  const bundle = readBytes(paths.find((path) => existsSync(path)) ?? strategy.pack);
  const salt = readSalt(join(strategy.pack, 'salt'));
  const parameters = readBytes(strategy.parameters);
  const parametersSalt =
    strategy.parameters_salt === null
      ? accept(new Uint8Array(randomBytes(ITEM_SALT_BYTES)))
      : readSalt(strategy.parameters_salt);
  for (const part of [bundle, salt, parameters, parametersSalt]) if (!part.ok) return part;
  if (!bundle.ok || !salt.ok || !parameters.ok || !parametersSalt.ok) return accept([]);
  const { name, version } = named.data;
  return accept([
    { purpose: 'strategy', name, version, salt: salt.value, bytes: bundle.value },
    { purpose: 'parameters', name, version, salt: parametersSalt.value, bytes: parameters.value },
  ]);
}

function readSealed(paths: readonly string[]): Result<readonly SealedFile[]> {
  const sealed: SealedFile[] = [];
  for (const file of paths) {
    const bytes = readBytes(file);
    if (!bytes.ok) return bytes;
    if (!parseSealed(bytes.value).ok) return refuse('seal_malformed', { file });
    sealed.push({ file, bytes: bytes.value });
  }
  return accept(sealed);
}

/** Refuses with the file that is missing or wrong. */
export function readEnclaveFiles(config: HostConfig): Result<EnclaveFiles> {
  const json = readJson(config.configuration);
  if (!json.ok) return json;
  const configurationBytes = canonicalJson(json.value);
  const configuration = parseConfiguration(configurationBytes);
  if (!configuration.ok) return configuration;
  const items: Item[] = [];
  for (const strategy of config.strategies) {
    const read = readStrategy(strategy);
    if (!read.ok) return read;
    items.push(...read.value);
  }
  const sealed = readSealed(config.sealed);
  if (!sealed.ok) return sealed;
  return accept({
    configuration: configuration.value,
    configurationBytes,
    items,
    sealed: sealed.value,
  });
}
