// What the owner of a strategy has of it: bundle, parameters and their salts, as `strategy pack` and the
// configuration made them. They are believed only as far as the header's commitments go.

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { equalBytes, parseHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import { MAX_ITEM_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { BUNDLE_FILES } from '../../wire/strategy-bundle.ts';
import { readSmallFile } from '../policy-options.ts';

export interface StrategyFiles {
  readonly bundle: Uint8Array;
  readonly salt: Uint8Array;
  readonly parameters: Uint8Array;
  readonly parametersSalt: Uint8Array;
}

export interface StrategyPaths {
  /** A folder with a bundle and salt, or the bundle itself with `salt` beside it. */
  readonly strategy: string;
  /** Default: parameters.json in that folder, or in the one above. */
  readonly parameters: string | undefined;
  /** Default: the same name with .salt. */
  readonly parametersSalt: string | undefined;
}

const MAX_SALT_TEXT = 128;

async function readSalt(path: string): Promise<Result<Uint8Array>> {
  const text = await readSmallFile(path, MAX_SALT_TEXT);
  if (!text.ok) return text;
  const salt = parseHex(Buffer.from(text.value).toString('latin1').trim());
  return salt?.length === 32
    ? accept(salt)
    : refuse('file_unreadable', { path, what: 'a salt has 64 hex digits' });
}

async function isFile(path: string): Promise<boolean> {
  const facts = await stat(path).catch(() => null);
  return facts?.isFile() === true;
}

async function findBundle(folder: string): Promise<string> {
  const [script, module] = BUNDLE_FILES;
  return join(folder, (await isFile(join(folder, module))) ? module : script);
}

export async function readStrategyFiles(paths: StrategyPaths): Promise<Result<StrategyFiles>> {
  const single = await isFile(paths.strategy);
  const folder = single ? dirname(paths.strategy) : paths.strategy;
  const beside = join(folder, 'parameters.json');
  const found = (await isFile(beside)) ? beside : join(dirname(folder), 'parameters.json');
  const parametersPath = paths.parameters ?? found;
  const saltPath = paths.parametersSalt ?? parametersPath.replace(/(\.json)?$/u, '.salt');
  const bundlePath = single ? paths.strategy : await findBundle(folder);
  const bundle = await readSmallFile(bundlePath, MAX_ITEM_BYTES);
  if (!bundle.ok) return bundle;
  const salt = await readSalt(join(folder, 'salt'));
  if (!salt.ok) return salt;
  const parameters = await readSmallFile(parametersPath, MAX_ITEM_BYTES);
  if (!parameters.ok) return parameters;
  const parametersSalt = await readSalt(saltPath);
  if (!parametersSalt.ok) return parametersSalt;
  return accept({
    bundle: bundle.value,
    salt: salt.value,
    parameters: parameters.value,
    parametersSalt: parametersSalt.value,
  });
}

/** The header's entry whose two commitments these files open; `commitment_mismatch` names the part. */
export function matchStrategy(
  crypto: WireCrypto,
  files: StrategyFiles,
  entries: readonly StrategyEntry[],
): Result<StrategyEntry> {
  const bundle = crypto.sha256(files.salt, files.bundle);
  const parameters = crypto.sha256(files.parametersSalt, files.parameters);
  const same = entries.filter((entry) => equalBytes(entry.bundleCommitment, bundle));
  if (same.length === 0) return refuse('commitment_mismatch', { what: 'bundle' });
  const entry = same.find((one) => equalBytes(one.parametersCommitment, parameters));
  return entry === undefined
    ? refuse('commitment_mismatch', { what: 'parameters' })
    : accept(entry);
}
