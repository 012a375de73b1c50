// Turns a strategy's sources into its bundle: TypeScript into the one script that a strategy process
// evaluates, with the default export as its completion value; AssemblyScript into a module. The bytes depend
// on the sources only, not on the folder they lie in: modules of the script are named after the package or
// the strategy, never by their path on this machine.

import { readFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import type { BuildOptions, Loader, OnResolveArgs, Plugin } from 'esbuild';
import { moduleFault } from '../enclave/strategy/wasm-module.ts';
import { isWebAssembly } from '../wire/strategy-bundle.ts';
import { ROOT } from './bundle.ts';
import { compileAssembly, isAssemblyScript } from './strategy-assembly.ts';

const SDK_NAME = 'trackseal/strategy';
const SDK_PATH: string = join(ROOT, 'enclave/strategy/sdk.ts');
const LOADERS: Readonly<Record<string, Loader>> = {
  '.ts': 'ts',
  '.js': 'js',
  '.mjs': 'js',
  '.cjs': 'js',
  '.json': 'json',
};

/** Of faults that AssemblyScript leads to, by how they begin. */
const HINTS: readonly (readonly [string, string])[] = [
  ['import env.seed', 'use random() of the SDK instead of Math.random'],
  ['import env.Date', 'there is no clock; batch.timeMs() is the time'],
  ['import env.', 'strategies have no console, trace or other functions of a host'],
  ['no export', "export configure, start and onBatch, and { input, version } from './trackseal'"],
];

/** `npm:zod/v4/…`, `trackseal:strategy` or `strategy:my-file.ts`: shown in the bundle's comments. */
function stableName(path: string, folder: string): { namespace: string; path: string } {
  if (path === SDK_PATH) return { namespace: 'trackseal', path: 'strategy' };
  const at = path.lastIndexOf('/node_modules/');
  if (at >= 0) return { namespace: 'npm', path: path.slice(at + '/node_modules/'.length) };
  return { namespace: 'strategy', path: relative(folder, path) };
}

function stableNames(folder: string): Plugin {
  const files = new Map<string, string>();
  return {
    name: 'stable-names',
    setup: (builder) => {
      builder.onResolve({ filter: /./ }, async (args: OnResolveArgs) => {
        if (args.pluginData === 'inner') return undefined;
        const found = await builder.resolve(args.path === SDK_NAME ? SDK_PATH : args.path, {
          kind: args.kind,
          resolveDir: args.resolveDir,
          pluginData: 'inner',
        });
        if (found.errors.length > 0) return { errors: found.errors };
        const name = stableName(found.path, folder);
        files.set(`${name.namespace}:${name.path}`, found.path);
        return { ...name, sideEffects: found.sideEffects };
      });
      for (const namespace of ['npm', 'trackseal', 'strategy']) {
        builder.onLoad({ filter: /./, namespace }, async (args) => {
          const path = files.get(`${namespace}:${args.path}`);
          if (path === undefined) return undefined;
          const loader = LOADERS[extname(path)] ?? 'js';
          return { contents: await readFile(path, 'utf8'), loader, resolveDir: dirname(path) };
        });
      }
    },
  };
}

const OPTIONS = {
  bundle: true,
  write: false,
  format: 'cjs',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['import', 'module'],
  target: 'es2024',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'silent',
  banner: { js: '"use strict";\n((module) => {' },
  footer: { js: 'return module.exports.default;\n})({ exports: {} });' },
} as const satisfies BuildOptions;

/**
 * The bundle of the strategy whose file is `entry`: AssemblyScript when its folder is called `assembly`, a
 * module made elsewhere when it ends with `.wasm`, TypeScript or JavaScript otherwise. Throws an error whose
 * message is the compiler's, for people.
 */
export async function bundleStrategy(entry: string): Promise<Uint8Array> {
  if (isAssemblyScript(entry)) return checkedModule(await compileAssembly(entry));
  if (entry.endsWith('.wasm')) return checkedModule(new Uint8Array(await readFile(entry)));
  return bundleScript(entry);
}

/** What the enclave would refuse is better known before it is committed to. */
function checkedModule(bytes: Uint8Array): Uint8Array {
  const fault = isWebAssembly(bytes) ? moduleFault(bytes) : 'no WebAssembly';
  if (fault === null) return bytes;
  const hint = HINTS.find(([start]) => fault.startsWith(start))?.[1] ?? 'see docs/PROTOCOL.md 11';
  throw new Error(`ERROR this module cannot be a strategy: ${fault} (${hint})`);
}

async function bundleScript(entry: string): Promise<Uint8Array> {
  const path = resolve(entry);
  const folder = dirname(path);
  const result = await build({
    ...OPTIONS,
    entryPoints: [`./${basename(path)}`],
    absWorkingDir: folder,
    nodePaths: [join(ROOT, 'node_modules')],
    tsconfigRaw: '{}',
    plugins: [stableNames(folder)],
  });
  const bytes = result.outputFiles[0]?.contents;
  if (bytes === undefined) throw new Error('esbuild wrote nothing');
  return bytes;
}
