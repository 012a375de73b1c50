// What the owner of strategies has of them: bundles, parameters and their salts, as `strategy pack` and the
// configuration made them. They are believed only as far as the header's commitments go, which also say
// which parameters belong to which bundle.

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { equalBytes, parseHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import { MAX_ITEM_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { BUNDLE_FILES } from '../../wire/strategy-bundle.ts';
import { readSmallFile } from '../small-file.ts';

/** Bytes and the salt of their commitment. */
export interface SaltedFile {
  readonly bytes: Uint8Array;
  readonly salt: Uint8Array;
}

export interface StrategyFiles {
  readonly bundles: readonly SaltedFile[];
  readonly parameters: readonly SaltedFile[];
}

export interface StrategyPaths {
  /** Each a folder with a bundle and salt, or the bundle itself with `salt` beside it. */
  readonly strategies: readonly string[];
  /** Default: for each strategy parameters.json in its folder, or in the one above. */
  readonly parameters: readonly string[];
  /** Of the parameters, in their order; default: the same name with .salt. */
  readonly parametersSalts: readonly string[];
}

/** A strategy of the header and the files that its two commitments open. */
export interface MatchedStrategy {
  readonly entry: StrategyEntry;
  readonly bundle: Uint8Array;
  readonly parameters: Uint8Array;
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

interface FoundStrategy {
  readonly bundle: string;
  readonly salt: string;
  readonly parameters: string;
}

async function findStrategy(path: string): Promise<FoundStrategy> {
  const single = await isFile(path);
  const folder = single ? dirname(path) : path;
  const beside = join(folder, 'parameters.json');
  const parameters = (await isFile(beside)) ? beside : join(dirname(folder), 'parameters.json');
  return {
    bundle: single ? path : await findBundle(folder),
    salt: join(folder, 'salt'),
    parameters,
  };
}

async function readSalted(path: string, saltPath: string): Promise<Result<SaltedFile>> {
  const bytes = await readSmallFile(path, MAX_ITEM_BYTES);
  if (!bytes.ok) return bytes;
  const salt = await readSalt(saltPath);
  return salt.ok ? accept({ bytes: bytes.value, salt: salt.value }) : salt;
}

export async function readStrategyFiles(paths: StrategyPaths): Promise<Result<StrategyFiles>> {
  const found = await Promise.all(paths.strategies.map(findStrategy));
  const given = paths.parameters.length > 0;
  const beside = new Set(found.map(({ parameters }) => parameters));
  const parameterPaths = given ? paths.parameters : [...beside];
  const bundles: SaltedFile[] = [];
  for (const { bundle, salt } of found) {
    const read = await readSalted(bundle, salt);
    if (!read.ok) return read;
    bundles.push(read.value);
  }
  const parameters: SaltedFile[] = [];
  for (const [at, path] of parameterPaths.entries()) {
    const salt = paths.parametersSalts[at] ?? path.replace(/(\.json)?$/u, '.salt');
    const read = await readSalted(path, salt);
    if (!read.ok) return read;
    parameters.push(read.value);
  }
  return accept({ bundles, parameters });
}

/** Which strategies of an epoch are wanted: those that the files open, one by name or stream, or all. */
export type Wanted =
  { readonly which: 'opened' | 'all' } | { readonly which: 'one'; readonly name: string };

function opens(crypto: WireCrypto, { salt, bytes }: SaltedFile, commitment: Uint8Array): boolean {
  return equalBytes(crypto.sha256(salt, bytes), commitment);
}

function isNamed({ name, stream }: StrategyEntry, wanted: string): boolean {
  return name === wanted || String(stream) === wanted;
}

/**
 * The wanted entries of the header with the files that open them, in the order of their streams. Refuses
 * `commitment_mismatch`, which names the part and the stream, and `usage_invalid` for a name that the
 * header does not have.
 */
export function matchStrategies(
  crypto: WireCrypto,
  files: StrategyFiles,
  entries: readonly StrategyEntry[],
  wanted: Wanted,
): Result<readonly MatchedStrategy[]> {
  const chosen =
    wanted.which === 'one' ? entries.filter((entry) => isNamed(entry, wanted.name)) : entries;
  if (wanted.which === 'one' && chosen.length === 0) {
    return refuse('usage_invalid', { what: '--only: the epoch has no such strategy' });
  }
  const matched: MatchedStrategy[] = [];
  const used = new Set<SaltedFile>();
  let missing: Result<never> = refuse('commitment_mismatch', { what: 'bundle' });
  for (const entry of chosen) {
    const { stream, bundleCommitment, parametersCommitment } = entry;
    const bundle = files.bundles.find((file) => opens(crypto, file, bundleCommitment));
    const parameters = files.parameters.find((file) => opens(crypto, file, parametersCommitment));
    if (bundle !== undefined && parameters !== undefined) {
      matched.push({ entry, bundle: bundle.bytes, parameters: parameters.bytes });
      used.add(bundle).add(parameters);
      continue;
    }
    const what = bundle === undefined ? 'bundle' : 'parameters';
    const refusal = refuse('commitment_mismatch', { what, stream });
    if (wanted.which !== 'opened') return refusal;
    if (bundle !== undefined) missing = refusal;
  }
  if (matched.length === 0) return missing;
  // Whoever names files wants to see them replayed: one that fits nothing is a mistake.
  const unused = (list: readonly SaltedFile[]): boolean => list.some((file) => !used.has(file));
  if (wanted.which !== 'opened') return accept(matched);
  if (unused(files.bundles)) return refuse('commitment_mismatch', { what: 'one of the bundles' });
  if (!unused(files.parameters)) return accept(matched);
  return refuse('commitment_mismatch', { what: 'one of the parameters' });
}
