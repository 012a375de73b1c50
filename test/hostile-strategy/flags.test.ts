// The flags alone, without the seal: a program that has everything of Node's, and what the flags deny it.

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseUtf8 } from '../../wire/bytes.ts';
import { runnerFlags } from '../../wire/node/strategy-program.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import { ROOT, runFrames } from '../enclave/strategy/support.ts';

let folder = '';
let programs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** What the program writes before it ends. */
async function said(source: string): Promise<string> {
  const path = join(folder, `program-${programs++}.mjs`);
  await writeFile(path, `import { writeSync } from 'node:fs';\n${source}\nprocess.exit();`);
  const { execPath } = findRunner(ROOT);
  return parseUtf8(await runFrames([], 1, { execPath, flags: runnerFlags(), path })) ?? '';
}

const attempt = (code: string): string =>
  `try { ${code}; writeSync(1, 'worked'); } catch (error) { writeSync(1, error.code ?? error.name); }`;

describe('the flags of the runner', () => {
  it.each([
    [
      'a database, which opens files without asking',
      "const { DatabaseSync } = await import('node:sqlite'); new DatabaseSync('FOLDER/db').exec('create table t (a)')",
      'ERR_UNKNOWN_BUILTIN_MODULE',
    ],
    ['foreign functions', "await import('node:ffi')", 'ERR_UNKNOWN_BUILTIN_MODULE'],
    ['files in a virtual folder', "await import('node:vfs')", 'ERR_UNKNOWN_BUILTIN_MODULE'],
    ['files', "(await import('node:fs')).writeFileSync('FOLDER/x', '')", 'ERR_ACCESS_DENIED'],
    ['code from text', "new Function('return 1')", 'EvalError'],
    ['changes to built-ins', 'Array.prototype.push = () => 0', 'TypeError'],
    ['addons', "process.dlopen({ exports: {} }, '/x.node')", 'ERR_DLOPEN_DISABLED'],
    ['inner bindings', "process.binding('fs')", 'ERR_ACCESS_DENIED'],
    [
      'another program in its place',
      "process.execve('/bin/true', ['true'], {})",
      'ERR_ACCESS_DENIED',
    ],
  ])('deny %s', async (_, code, denial) => {
    expect(await said(attempt(code.replace('FOLDER', folder)))).toBe(denial);
  });

  it('deny changes to the flags of V8: the process ends', async () => {
    const before = await said("writeSync(1, 'before')");
    expect(before).toBe('before');
    const code = `const v8 = await import('node:v8'); writeSync(1, 'before');
      v8.setFlagsFromString('--allow-natives-syntax'); writeSync(1, 'after')`;
    expect(await said(code)).toBe('before');
  });

  it('have left no file behind', async () => {
    const names = await readdir(folder);
    expect(names.filter((name) => !name.startsWith('program-'))).toEqual([]);
  });
});
