// Finds what PATH means to a command of the kit: a file with sources, a folder that has them, or what
// `strategy pack` has made of them; and beside it parameters and instrument table. Sources are bundled as
// `pack` bundles them, so that what is tested is what is sealed. Bundles are opaque bytes here.

import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { MAX_ITEM_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { BUNDLE_FILES } from '../../wire/strategy-bundle.ts';

/** Where a folder's sources begin. */
export const ENTRIES = ['strategy.ts', 'assembly/strategy.ts'] as const;

const NO_BUILDER = 'ERR_MODULE_NOT_FOUND';

export interface StrategySource {
  readonly name: string;
  /** A source file or a bundle. */
  readonly path: string;
  readonly packed: boolean;
  /** Where files that belong to it are looked for, in this order. */
  readonly folders: readonly string[];
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** `assembly` is a convention of the compiler, not a name. */
function nameOf(path: string): string {
  const folder = dirname(path);
  const name = basename(path, extname(path));
  if (name !== 'strategy' && name !== 'bundle') return name;
  return basename(basename(folder) === 'assembly' ? dirname(folder) : folder);
}

/** Refuses `file_unreadable` with what was looked for. */
export function findSource(given: string): Result<StrategySource> {
  const path = resolve(given);
  const candidates = isFolder(path)
    ? [...BUNDLE_FILES, ...ENTRIES].map((name) => join(path, name))
    : [path];
  const found = candidates.find((file) => existsSync(file));
  if (found === undefined) {
    const what = isFolder(path) ? `none of ${[...BUNDLE_FILES, ...ENTRIES].join(', ')}` : null;
    return refuse('file_unreadable', what === null ? { path: given } : { path: given, what });
  }
  const packed = BUNDLE_FILES.some((name) => name === basename(found)) || found.endsWith('.wasm');
  const folder = dirname(found);
  // A pack's parameters may lie above it, as `trackseal replay` has it.
  const above = packed || basename(folder) === 'assembly' ? [dirname(folder)] : [];
  return accept({ name: nameOf(found), path: found, packed, folders: [folder, ...above] });
}

/**
 * The bundle's bytes. Refuses `file_unreadable`, and `strategy_malformed` with the builder's words for sources
 * that do not build; in an installed package only bundles can be run, for there is no builder.
 */
export async function readBundle({ path, packed }: StrategySource): Promise<Result<Uint8Array>> {
  try {
    if (packed) return checkSize(path, new Uint8Array(await readFile(path)));
  } catch {
    return refuse('file_unreadable', { path });
  }
  try {
    const { bundleStrategy } = await import('../strategy-bundle.ts');
    return checkSize(path, await bundleStrategy(path));
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === NO_BUILDER;
    const what = missing
      ? 'sources need a checkout of the project: give what `strategy pack` has made there'
      : String(error instanceof Error ? error.message : error);
    return refuse('strategy_malformed', { path, what });
  }
}

function checkSize(path: string, bundle: Uint8Array): Result<Uint8Array> {
  if (bundle.length <= MAX_ITEM_BYTES) return accept(bundle);
  return refuse('file_unreadable', { path, what: 'too large', maximum: MAX_ITEM_BYTES });
}

/** `NAME.json` of the strategy's own name or the plain one, beside it; null when there is none. */
export function findBeside(source: StrategySource, file: string): string | null {
  const names = [`${source.name}.${file}`, file];
  const paths = source.folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return paths.find((path) => existsSync(path)) ?? null;
}
