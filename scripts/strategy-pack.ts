// trackseal strategy pack: one bundle from a strategy's sources, and the commitment to it that the image
// measures and the configuration names. Whoever has bundle and salt can check the commitment; without the
// salt the commitment tells nothing about the strategy.

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { CommandIo } from '../verifier/io.ts';
import { parseHex, toHex } from '../wire/bytes.ts';
import { canonicalJson } from '../wire/configuration.ts';
import { MAX_ITEM_BYTES } from '../wire/limits.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import { BUNDLE_FILES, bundleFileOf } from '../wire/strategy-bundle.ts';
import { findSource } from './kit/strategy-source.ts';
import { bundleStrategy } from './strategy-bundle.ts';

const USAGE = `usage: trackseal strategy pack PATH -o DIR [--name NAME] [--version VERSION] [--salt FILE]

Bundles the strategy in PATH, a file or a folder with strategy.ts or assembly/strategy.ts, and writes to DIR:
  bundle.js         the script that the strategy process evaluates, from TypeScript or JavaScript whose
                    default export is the strategy; or instead
  bundle.wasm       the module that it runs, from AssemblyScript when the file lies in a folder called
                    'assembly', or the file itself when it is a .wasm file
  salt              32 random bytes as hex; keep it with the bundle, as secret as the bundle
  commitment.json   {name, version, commitment}; commitment = SHA-256(salt || bundle)

  -o, --out DIR     made if it is not there
  --name NAME       default: the file without its extension, or the folder of a strategy.ts
  --version VERSION default: 1.0.0
  --salt FILE       use this salt: the same sources give the same commitment
  --json            what is printed, commitment.json, is JSON with or without it

Exit codes: 0 packed, 1 the sources do not build, 2 wrong usage.
`;

const SALT_BYTES = 32;

export interface PackedStrategy {
  readonly bundle: Uint8Array;
  readonly salt: Uint8Array;
  readonly commitment: StrategyCommitment;
}

/** The content of commitment.json; hashes in hex. */
export interface StrategyCommitment {
  readonly name: string;
  readonly version: string;
  readonly commitment: string;
}

/** Throws for sources that do not build, see `bundleStrategy`. `salt` has 32 bytes. */
export async function packStrategy(
  path: string,
  name: string,
  version: string,
  salt: Uint8Array,
): Promise<PackedStrategy> {
  const bundle = await bundleStrategy(path);
  const commitment = {
    name,
    version,
    commitment: toHex(nodeCrypto.sha256(salt, bundle)),
  };
  return { bundle, salt, commitment };
}

export async function writePack(directory: string, pack: PackedStrategy): Promise<void> {
  await mkdir(directory, { recursive: true });
  // What an earlier pack of another kind has left would be taken for this one's.
  for (const name of BUNDLE_FILES) await rm(join(directory, name), { force: true });
  await writeFile(join(directory, bundleFileOf(pack.bundle)), pack.bundle);
  await writeFile(join(directory, 'salt'), `${toHex(pack.salt)}\n`, { mode: 0o600 });
  await writeFile(join(directory, 'commitment.json'), canonicalJson(pack.commitment));
}

async function readSalt(path: string | undefined): Promise<Uint8Array | null> {
  if (path === undefined) return new Uint8Array(randomBytes(SALT_BYTES));
  const text = await readFile(path, 'utf8').catch(() => '');
  const salt = parseHex(text.trim());
  return salt?.length === SALT_BYTES ? salt : null;
}

interface Options {
  readonly source: string;
  readonly out: string;
  readonly name: string;
  readonly version: string;
  readonly saltFile: string | undefined;
}

function readOptions(args: readonly string[]): Options | null {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: 'string', short: 'o' },
        name: { type: 'string' },
        version: { type: 'string', default: '1.0.0' },
        salt: { type: 'string' },
        // What it prints is JSON anyway; every command takes the option.
        json: { type: 'boolean' },
      },
    });
    const [source, ...rest] = positionals;
    if (source === undefined || rest.length > 0 || values.out === undefined) return null;
    const found = findSource(source);
    // What is not there is left to the builder, whose message says so.
    const path = found.ok ? found.value.path : source;
    const name = values.name ?? (found.ok ? found.value.name : source);
    return { source: path, out: values.out, name, version: values.version, saltFile: values.salt };
  } catch {
    return null;
  }
}

/** Exit codes: 0 packed, 1 the sources do not build, 2 wrong usage. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const options = readOptions(args);
  if (options === null) {
    io.stderr(USAGE);
    return 2;
  }
  const salt = await readSalt(options.saltFile);
  if (salt === null) {
    io.stderr(`--salt ${options.saltFile ?? ''}: not a file of 64 hex digits\n`);
    return 2;
  }
  let pack: PackedStrategy;
  try {
    pack = await packStrategy(options.source, options.name, options.version, salt);
  } catch (error) {
    io.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
  if (pack.bundle.length > MAX_ITEM_BYTES) {
    io.stderr(`the bundle has ${pack.bundle.length} bytes, more than ${MAX_ITEM_BYTES}\n`);
    return 1;
  }
  await writePack(options.out, pack);
  io.stdout(Buffer.from(canonicalJson(pack.commitment)).toString('utf8'));
  return 0;
}
