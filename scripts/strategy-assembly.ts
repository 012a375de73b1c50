// Compiles a strategy in AssemblyScript to a module. The compiler, its options and its library are pinned
// and no asconfig.json is read, so that the bytes depend on the sources only, not on the folder they lie in.

import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { utf8 } from '../wire/bytes.ts';

/** Convention of AssemblyScript: its sources lie in a folder of this name. */
const FOLDER = 'assembly';
const OUTPUT = 'strategy.wasm';

const OPTIONS: readonly string[] = [
  `--outFile ${OUTPUT}`,
  '--optimizeLevel 3 --shrinkLevel 0',
  '--runtime incremental',
  // A failed assertion is a trap: there is nobody to tell why.
  '--use abort=',
  // Pages of 64 KiB; docs/PROTOCOL.md 11 allows four times as many.
  '--initialMemory 4 --maximumMemory 1024',
  '--noColors',
].flatMap((line) => line.split(' '));

/** What is used of `assemblyscript/asc`. Its own types would add globals to every file of this project. */
interface Compiler {
  readonly main: (
    args: readonly string[],
    api: {
      readonly stdout: { write(chunk: string | Uint8Array): boolean };
      readonly stderr: { write(chunk: string | Uint8Array): boolean };
      readonly readFile: (name: string, folder: string) => Promise<string | null>;
      readonly writeFile: (name: string, contents: string | Uint8Array, folder: string) => void;
      readonly listFiles: (name: string, folder: string) => readonly string[];
    },
  ) => Promise<{ readonly error: Error | null }>;
}
const COMPILER: string = 'assemblyscript/asc';

export function isAssemblyScript(entry: string): boolean {
  return basename(dirname(resolve(entry))) === FOLDER && entry.endsWith('.ts');
}

/** The sources do not compile; the message is the compiler's, for people. */
export class CompileFailure extends Error {}

/** Throws CompileFailure. */
export async function compileAssembly(entry: string): Promise<Uint8Array> {
  const path = resolve(entry);
  const folder = dirname(path);
  // Loaded here, because it is large and most commands do not need it.
  const { main } = (await import(COMPILER)) as Compiler;
  const said: string[] = [];
  let bytes: Uint8Array | null = null;
  const { error } = await main([basename(path), ...OPTIONS, '--baseDir', folder], {
    stdout: { write: () => true },
    stderr: { write: (chunk) => said.push(String(chunk)) > 0 },
    listFiles: () => [],
    readFile: async (name) =>
      name.endsWith('asconfig.json')
        ? null
        : readFile(resolve(folder, name), 'utf8').catch(() => null),
    writeFile: (name, contents) => {
      if (name === OUTPUT) bytes = typeof contents === 'string' ? utf8(contents) : contents;
    },
  });
  if (bytes === null) throw new CompileFailure([...said, error?.message ?? ''].join(''));
  return bytes;
}
