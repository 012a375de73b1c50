// TCB.txt: every file and package that the image's bundles contain, and every C file that is compiled into
// it, with line and byte counts, so that growth of the trusted base is a visible diff. `--check` compares
// instead of writing.

import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bundle } from '../eif/build/bundles.ts';
import { IMAGE_BUNDLES, bundleImage } from '../eif/build/bundles.ts';
import { ROOT } from './bundle.ts';

/** Folders whose C files are compiled into the image. */
const C_FOLDERS = ['enclave/init', 'enclave/launch', 'enclave/native'];
/**
 * Lines of code of our own, without blank lines and comments: of the core with the C of the image, and of each
 * other program without the files that it shares with the core.
 */
const MAX_OWN_LINES: Readonly<Record<string, number>> = {
  'main.mjs': 10_200,
  'desk.mjs': 10_500,
  'connector.mjs': 6200,
  'ledger.mjs': 15_000,
  'tap.mjs': 1600,
};
const MAX_BUNDLE_BYTES = 3_600_000;
const TCB_FILE = join(ROOT, 'TCB.txt');

interface PackageEntry {
  readonly name: string;
  readonly version: string;
  files: number;
  bytes: number;
}

async function packageOf(path: string): Promise<{ name: string; version: string }> {
  const parts = path.split('/');
  const at = parts.lastIndexOf('node_modules');
  const depth = parts[at + 1]?.startsWith('@') === true ? 3 : 2;
  const folder = parts.slice(0, at + depth).join('/');
  const manifest: unknown = JSON.parse(await readFile(join(ROOT, folder, 'package.json'), 'utf8'));
  const { name, version } = manifest as { name: string; version: string };
  return { name, version };
}

/** Lines that are neither blank nor only comment. */
export function countCodeLines(text: string): number {
  let inComment = false;
  let count = 0;
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (inComment) inComment = !line.includes('*/');
    else if (line.startsWith('/*')) inComment = !line.includes('*/');
    else if (line !== '' && !line.startsWith('//')) count++;
  }
  return count;
}

/** What one program of the image is made of. */
interface Program {
  readonly name: string;
  readonly entry: string;
  readonly note: string;
  /** Path to lines of code. */
  readonly own: ReadonlyMap<string, number>;
  readonly packages: ReadonlyMap<string, PackageEntry>;
  readonly bundleBytes: number;
}

const NOTES: Readonly<Record<string, string>> = {
  'main.mjs': 'trusted by everybody',
  'desk.mjs':
    'HTTPS, sessions, polling; has the credentials of traders, and neither the log key nor anything of KMS but their keys',
  'connector.mjs':
    'speaks to exchanges through the desk; has the credentials of single jobs, no network and no files',
  'ledger.mjs':
    'keeps the track record: reads PostgreSQL and gRPC; has one stream to the desk, no network, no files, no key that signs',
  'tap.mjs': 'market data over our own TLS; has no secrets',
  'strategy-runner.mjs':
    'runs in the process of a strategy, beside hostile code; trusted for nothing but determinism',
};

async function describeProgram({ name, bytes, metafile }: Bundle): Promise<Program> {
  const own = new Map<string, number>();
  const packages = new Map<string, PackageEntry>();
  for (const [path, input] of Object.entries(metafile.inputs)) {
    if (!path.includes('node_modules/')) {
      own.set(path, countCodeLines(await readFile(join(ROOT, path), 'utf8')));
      continue;
    }
    const { name: packageName, version } = await packageOf(path);
    const key = `${packageName}@${version}`;
    const entry = packages.get(key) ?? { name: packageName, version, files: 0, bytes: 0 };
    entry.files++;
    entry.bytes += input.bytes;
    packages.set(key, entry);
  }
  const entry = IMAGE_BUNDLES[name] ?? '';
  return { name, entry, note: NOTES[name] ?? '', own, packages, bundleBytes: bytes.length };
}

/** The files that the core does not have: its own list has the others. */
function beside(own: ReadonlyMap<string, number>, core: Program): ReadonlyMap<string, number> {
  return new Map([...own].filter(([path]) => !core.own.has(path)));
}

function renderProgram(program: Program, core: Program): readonly string[] {
  const { name, entry, note, packages, bundleBytes } = program;
  const maximum = MAX_OWN_LINES[name];
  // The runner's list stays whole: it is also what verifiers run.
  const isWhole = program === core || maximum === undefined;
  const own = isWhole ? program.own : beside(program.own, core);
  const shared = program.own.size - own.size;
  const budget = maximum === undefined || program === core ? '' : ` of ${maximum}`;
  const more = isWhole ? '' : `, and ${shared} files of the core`;
  return [
    `${entry}: ${note}`,
    `own files ${own.size}, own lines ${sumOf(own)}${budget}${more}, packages ${packages.size}, bundle ${bundleBytes} bytes`,
    '',
    ...renderFiles(own),
    ...[...packages.keys()].sort().map((key) => {
      const found = packages.get(key);
      return `${String(found?.files).padStart(6)} files ${String(found?.bytes).padStart(8)} bytes ${key}`;
    }),
    '',
  ];
}

/** Path to lines of code, of what gcc compiles into the image. */
async function countC(): Promise<ReadonlyMap<string, number>> {
  const lines = new Map<string, number>();
  for (const folder of C_FOLDERS) {
    const names = await readdir(join(ROOT, folder)).catch((): string[] => []);
    for (const name of names.sort()) {
      if (!/\.[ch]$/u.test(name)) continue;
      const text = await readFile(join(ROOT, folder, name), 'utf8');
      lines.set(`${folder}/${name}`, countCodeLines(text));
    }
  }
  return lines;
}

function sumOf(own: ReadonlyMap<string, number>): number {
  return [...own.values()].reduce((sum, lines) => sum + lines, 0);
}

function renderFiles(own: ReadonlyMap<string, number>): readonly string[] {
  return [...own.keys()].sort().map((path) => `${String(own.get(path)).padStart(6)} ${path}`);
}

export interface TcbReport {
  readonly text: string;
  /** Of the core: C, and what is reachable from enclave/main.ts. */
  readonly ownLines: number;
  /** Programs beyond their budget, with their lines. */
  readonly over: readonly string[];
  /** All bundles of the image. */
  readonly bundleBytes: number;
}

export async function reportTcb(): Promise<TcbReport> {
  const bundles = await bundleImage();
  const programs = await Promise.all(bundles.map(describeProgram));
  const [enclave] = programs;
  if (enclave?.entry !== 'enclave/main.ts') throw new Error('the first bundle is the enclave');
  const compiled = await countC();
  const text = [
    'Trusted computing base: what is reachable from the entry points of the image, and its C.',
    "Generated by 'npm run tcb'. Lines are lines of code, without blank lines and comments.",
    `Budget: ${MAX_OWN_LINES['main.mjs'] ?? 0} lines of our own, C and what is reachable from enclave/main.ts; ${MAX_BUNDLE_BYTES} bytes of bundles.`,
    'Other programs have budgets of their own; what they share with the core is in its list only.',
    '',
    'C: trusted by everybody',
    `own files ${compiled.size}, own lines ${sumOf(compiled)}`,
    '',
    ...renderFiles(compiled),
    '',
    ...programs.flatMap((program) => renderProgram(program, enclave)),
  ].join('\n');
  const bundleBytes = programs.reduce((sum, program) => sum + program.bundleBytes, 0);
  const lines = programs.map((program): readonly [string, number] => [
    program.name,
    program === enclave
      ? sumOf(compiled) + sumOf(program.own)
      : sumOf(beside(program.own, enclave)),
  ]);
  const over = lines
    .filter(([name, count]) => count > (MAX_OWN_LINES[name] ?? Number.POSITIVE_INFINITY))
    .map(([name, count]) => `${name}: ${count} lines of ${MAX_OWN_LINES[name] ?? 0}`);
  return { text, ownLines: sumOf(compiled) + sumOf(enclave.own), over, bundleBytes };
}

async function main(check: boolean): Promise<number> {
  const report = await reportTcb();
  const isOver = report.over.length > 0 || report.bundleBytes > MAX_BUNDLE_BYTES;
  if (isOver) {
    console.error(`over budget: ${report.bundleBytes} bytes of bundles; ${report.over.join(', ')}`);
    if (check) return 1;
  }
  if (!check) {
    await writeFile(TCB_FILE, report.text);
    console.log(`TCB.txt: ${report.ownLines} own lines, bundles ${report.bundleBytes} bytes`);
    return isOver ? 1 : 0;
  }
  const committed = await readFile(TCB_FILE, 'utf8').catch(() => '');
  if (committed === report.text) return 0;
  console.error("TCB.txt is not up to date: run 'npm run tcb' and look at the difference");
  return 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.includes('--check'));
