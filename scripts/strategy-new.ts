// trackseal strategy new: a folder with a small strategy that compiles, passes its scenarios and packs as it is.

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parseOptions } from '../verifier/command-line.ts';
import type { CommandIo } from '../verifier/io.ts';
import { ROOT } from './bundle.ts';
import { explain } from './kit/explain.ts';

const USAGE = `usage: trackseal strategy new NAME [--wasm] [--dir DIR] [--json]

Writes a new strategy into a folder: sources, parameters, instrument table, scenarios, README.

  NAME        letters, digits, '-' and '_'
  --wasm      in AssemblyScript, which is compiled to WebAssembly; default: TypeScript
  --dir DIR   the folder, which must be empty or not there; default: NAME
  --json      what was written as JSON
  --help

Exit codes: 0 written, 2 could not write.
`;

const OPTIONS = {
  wasm: { type: 'boolean' },
  dir: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const TEMPLATE: string = join(ROOT, 'strategies/template');
const ASSEMBLY_SDK: string = join(ROOT, 'strategies/assembly/trackseal.ts');
const SHARED = ['parameters.json', 'instruments.json', 'scenarios.json'] as const;

/** The way from a folder to a file of this project. */
function wayTo(path: string, folder: string): string {
  const way = relative(folder, join(ROOT, path));
  return way.startsWith('.') ? way : `./${way}`;
}

/** For an editor and tsc; the strategy itself needs none of it. */
function tsconfig(folder: string): object {
  const here = (path: string): string => wayTo(path, folder);
  return {
    extends: here('tsconfig.base.json'),
    compilerOptions: {
      // Strategies are bundled.
      module: 'ESNext',
      moduleResolution: 'bundler',
      composite: false,
      declaration: false,
      isolatedDeclarations: false,
      emitDeclarationOnly: false,
      noEmit: true,
      types: [],
      paths: {
        'trackseal/strategy': [here('enclave/strategy/sdk.ts')],
        'zod/mini': [here('node_modules/zod/mini/index.d.ts')],
      },
    },
    include: ['*.ts'],
  };
}

function assemblyConfig(folder: string): object {
  const way = wayTo('node_modules/assemblyscript/std/assembly.json', folder);
  return { extends: way, include: ['./**/*.ts'] };
}

async function isFree(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length === 0;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}

async function write(folder: string, name: string, wasm: boolean): Promise<readonly string[]> {
  const source = wasm ? 'assembly/strategy.ts' : 'strategy.ts';
  await mkdir(wasm ? join(folder, 'assembly') : folder, { recursive: true });
  await cp(join(TEMPLATE, source), join(folder, source));
  for (const file of SHARED) await cp(join(TEMPLATE, file), join(folder, file));
  const readme = await readFile(join(TEMPLATE, 'README.md'), 'utf8');
  const shown = readme.replace('# NAME', `# ${name}`).replace('SOURCE', source);
  await writeFile(join(folder, 'README.md'), shown);
  const config = wasm ? 'assembly/tsconfig.json' : 'tsconfig.json';
  const content = wasm ? assemblyConfig(join(folder, 'assembly')) : tsconfig(folder);
  await writeFile(join(folder, config), `${JSON.stringify(content, null, 2)}\n`);
  const files = [source, config, ...SHARED, 'README.md'];
  if (!wasm) return files;
  await cp(ASSEMBLY_SDK, join(folder, 'assembly/trackseal.ts'));
  return [...files, 'assembly/trackseal.ts'];
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return explain(io, parsed.refusal, { json, exit: 2 });
  const { values, positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const [name] = positionals;
  if (name === undefined || positionals.length !== 1 || !/^[A-Za-z0-9][\w-]{0,63}$/u.test(name)) {
    const detail = { what: 'give one NAME of letters, digits, - and _' };
    return explain(io, { code: 'usage_invalid', detail }, { json, exit: 2 });
  }
  const folder = resolve(values.dir ?? name);
  if (!(await isFree(folder))) {
    const detail = { path: folder, what: 'it is not empty: give another --dir' };
    return explain(io, { code: 'usage_invalid', detail }, { json, exit: 2 });
  }
  const files = await write(folder, name, values.wasm === true);
  if (json) {
    io.stdout(`${JSON.stringify({ verdict: 'written', name, folder, files }, null, 2)}\n`);
    return 0;
  }
  const shown = relative('.', folder);
  io.stdout(
    [
      `WRITTEN  ${shown}`,
      ...files.map((file) => `  ${file}`),
      `  next  trackseal strategy test ${shown}`,
      '',
    ].join('\n'),
  );
  return 0;
}
