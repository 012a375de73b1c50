// Verifiers that run at once, each a process of its own, on one memory of heads.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockHeads } from '../../verifier/heads-lock.ts';
import { HeadMemory } from '../../verifier/heads.ts';
import { accept, assertAccepted, refuse } from '../../wire/result.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-heads-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const PROCESSES = 4;
const UPDATES = 10;

/** Remembers a head of another origin each time. */
const VERIFIER = `
  const [, path, heads, accept, name] = process.argv;
  const { HeadMemory } = await import(heads);
  const { accept: ok } = await import(accept);
  const root = new Uint8Array(32);
  for (let size = 1; size <= ${UPDATES}; size++) {
    const done = await HeadMemory.update(path, (memory) => {
      memory.remember({ origin: 'log/' + name + '-' + size, logKeyHash: root, size, root }, size);
      return ok(null);
    });
    if (!done.ok) process.exitCode = 1;
  }`;

async function runVerifier(path: string, name: string): Promise<number> {
  const modules = ['../../verifier/heads.ts', '../../wire/result.ts'].map(
    (file) => new URL(file, import.meta.url).href,
  );
  const args = ['--input-type=module', '-e', VERIFIER, path, ...modules, name];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

function remember(path: string, origin: string): ReturnType<typeof HeadMemory.update<null>> {
  return HeadMemory.update(path, (memory) => {
    const root = new Uint8Array(32);
    memory.remember({ origin, logKeyHash: root, size: 1, root }, 1);
    return accept(null);
  });
}

describe('the memory of heads', () => {
  it('loses nothing when several verifiers write at once', async () => {
    const path = join(folder, 'many', 'heads.json');
    const names = Array.from({ length: PROCESSES }, (_, at) => `p${at}`);
    expect(await Promise.all(names.map((name) => runVerifier(path, name)))).toEqual(
      names.map(() => 0),
    );
    const origins = assertAccepted(await HeadMemory.load(path)).origins();
    expect(new Set(origins).size).toBe(PROCESSES * UPDATES);
    expect((await readdir(join(folder, 'many'))).toSorted()).toEqual([
      'heads.json',
      'heads.json.lock',
    ]);
  });

  it('loses nothing to commands of one process', async () => {
    const path = join(folder, 'one.json');
    const origins = Array.from({ length: 30 }, (_, at) => `log/e${at}`);
    await Promise.all(origins.map((origin) => remember(path, origin)));
    const known = assertAccepted(await HeadMemory.load(path)).origins();
    expect(known.toSorted()).toEqual(origins.toSorted());
  });

  it('is not written by what refuses, nor by what remembers nothing', async () => {
    const path = join(folder, 'unwritten.json');
    const refused = await HeadMemory.update(path, (memory) => {
      const root = new Uint8Array(32);
      memory.remember({ origin: 'log/e1', logKeyHash: root, size: 1, root }, 1);
      return refuse('fork');
    });
    expect(refused.ok ? null : refused.refusal.code).toBe('fork');
    assertAccepted(await HeadMemory.update(path, () => accept(null)));
    expect(await readdir(folder)).not.toContain('unwritten.json');
  });

  it('says so when another verifier does not yield, or the folder cannot be written', async () => {
    const path = join(folder, 'held.json');
    const held = assertAccepted(await lockHeads(path));
    const second = await lockHeads(path, 50);
    expect(second.ok ? null : second.refusal.detail['what']).toBe('another verifier holds it');
    held.release();
    assertAccepted(await lockHeads(path, 50)).release();
    await writeFile(join(folder, 'file'), '');
    const nowhere = await remember(join(folder, 'file', 'heads.json'), 'log/e1');
    expect(nowhere.ok ? null : nowhere.refusal.code).toBe('file_unreadable');
  });
});
