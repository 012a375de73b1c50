// What a strategy process is to the kernel: what it inherits, what it is called to give up first, how many
// threads it has, and what signals from outside do to it.

import { spawn } from 'node:child_process';
import type { StdioOptions } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { readFile, readdir, readlink, writeFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ROOT,
  Watched,
  bundleOf,
  imageRunner,
  livingStrategies,
  specification,
  startFrame,
} from '../enclave/strategy/support.ts';

const folder = mkdtempSync(join(tmpdir(), 'trackseal-'));
let watched = new Watched();
let pid = 0;

beforeAll(async () => {
  // Stand in for what an enclave has open: files, a listener, both ends of a stream.
  openSync(join(folder, 'file'), 'w');
  const server = createServer().listen(join(folder, '5000.sock'));
  await once(server, 'listening');
  const stream = connect(join(folder, '5000.sock'));
  await once(stream, 'connect');
  watched = await Watched.start(specification(bundleOf()));
  await watched.feed(2);
  [pid = 0] = await livingStrategies();
  stream.destroy();
  server.close();
});
afterAll(async () => {
  await watched.strategy.stop();
  rmSync(folder, { recursive: true });
});

async function proc(name: string): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, 'utf8');
}

/** Fields of proc(5) stat from number 3 on. */
async function fieldsOf(path: string): Promise<readonly string[]> {
  const stat = await readFile(path, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

describe('a strategy process', () => {
  it('has an empty environment and the root as its folder', async () => {
    expect(await proc('environ')).toBe('');
    expect(await readlink(`/proc/${pid}/cwd`)).toBe('/');
  });

  it('has a session and a process group of its own, and no terminal', async () => {
    const [, , group, session, terminal] = await fieldsOf(`/proc/${pid}/stat`);
    expect([group, session, terminal]).toEqual([String(pid), String(pid), '0']);
  });

  it('inherits two pipes and no other descriptor', async () => {
    const own = new Set<string>();
    for (const fd of await readdir('/proc/self/fd')) {
      own.add(await readlink(`/proc/self/fd/${fd}`).catch(() => ''));
    }
    const targets: string[] = [];
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      targets[Number(fd)] = await readlink(`/proc/${pid}/fd/${fd}`);
    }
    const [input = '', output = '', error = '', ...rest] = targets;
    expect([input, output].filter((target) => !/^(?:socket|pipe):/u.test(target))).toEqual([]);
    expect(error).toBe('/dev/null');
    // What Node opens for itself: pipes, counters, pollers, /dev/null. Nothing that this process has too.
    const inherited = rest.filter((target) => /^(?:socket|pipe):/u.test(target) && own.has(target));
    expect(inherited).toEqual([]);
    const foreign = /^(?:pipe:|anon_inode:|\/dev\/null)/u;
    expect(rest.filter((target) => target !== undefined && !foreign.test(target))).toEqual([]);
  });

  it('does not inherit what its enclave was started with', async () => {
    const file = openSync(join(folder, 'left-open'), 'w');
    const frames = join(folder, 'frames');
    await writeFile(frames, startFrame(bundleOf()));
    const { path } = await imageRunner();
    const stdio: StdioOptions = ['ignore', 'pipe', 'inherit'];
    stdio[60] = file;
    stdio.fill('ignore', 3, 60);
    const program = join(ROOT, 'test/hostile-strategy/parent.ts');
    const parent = spawn(process.execPath, [program, path, frames], { stdio });
    const chunks: Buffer[] = [];
    parent.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    while (!Buffer.concat(chunks).includes('answered')) await once(parent.stdout ?? parent, 'data');
    const child = Number.parseInt(Buffer.concat(chunks).toString(), 10);
    const given = await readlink(`/proc/${parent.pid}/fd/60`);
    const got = await readlink(`/proc/${child}/fd/60`).catch(() => 'nothing');
    parent.kill('SIGKILL');
    await once(parent, 'close');
    closeSync(file);
    expect(given).toBe(join(folder, 'left-open'));
    expect(got).not.toBe(given);
  });

  it('is the first to go when memory is short, and leaves nothing in a core dump', async () => {
    expect(Number(await proc('oom_score_adj'))).toBe(1000);
    expect(Number.parseInt(await proc('coredump_filter'), 16)).toBe(0);
  });

  it('has a scheduling group of less weight, where the kernel has such groups', async () => {
    // Without root the kernel takes ten changes a second on the whole machine.
    const isRoot = process.getuid?.() === 0;
    const group = await proc('autogroup').catch(() => 'nice 5');
    expect(group).toMatch(isRoot ? /nice 5\s*$/u : /nice (?:0|5)\s*$/u);
  });

  it('has few threads, all of less weight than the enclave', async () => {
    const threads = await readdir(`/proc/${pid}/task`);
    // Main thread, watchdog, one of V8's, and what Node starts for itself.
    expect(threads.length).toBeLessThanOrEqual(5);
    for (const thread of threads) {
      const fields = await fieldsOf(`/proc/${pid}/task/${thread}/stat`);
      expect(Number(fields[16])).toBe(5);
    }
  });

  it('is not debugged by a signal from outside', async () => {
    const before = await readdir(`/proc/${pid}/fd`);
    process.kill(pid, 'SIGUSR1');
    await watched.feed(3);
    expect((await readdir(`/proc/${pid}/fd`)).length).toBe(before.length);
    expect(watched.endedCodes).toEqual([]);
  });
});

describe('a strategy process that is signalled', () => {
  it.each([
    ['SIGSTOP', 'strategy_over_budget'],
    ['SIGKILL', 'strategy_crashed'],
    ['SIGTERM', 'strategy_crashed'],
    ['SIGSEGV', 'strategy_crashed'],
    ['SIGHUP', 'strategy_crashed'],
  ] as const)('%s: %s', async (signal, code) => {
    const before = new Set(await livingStrategies());
    const other = await Watched.start(specification(bundleOf()), { batchMs: 1000 });
    const own = (await livingStrategies()).find((one) => !before.has(one)) ?? 0;
    process.kill(own, signal);
    await other.feed(1);
    expect(await other.ended).toBe(code);
    await other.strategy.stop();
    await expect.poll(livingStrategies, { timeout: 60_000 }).not.toContain(own);
  });
});
