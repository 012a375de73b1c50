// The launcher as the image uses it: what a strategy's process is when it starts, what the kernel does for it,
// and that Node's runner still does its work. Native code stands where Node would (attempts.c).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunnerProgram } from '../../../wire/node/strategy-program.ts';
import { spawnStrategy } from '../../../wire/node/strategy-program.ts';
import { strategyOf, watSignal } from '../../helpers/wat.ts';
import type { TestBundle } from '../strategy/support.ts';
import { ROOT, Watched, bundleOf, signalText, specification } from '../strategy/support.ts';
import type { LaunchPrograms } from './program.ts';
import { launchedRunner, makePrograms, run, scriptOf, whyNot } from './program.ts';
import type { Ended } from './verdicts.ts';
import { ALL_CALLS, OPEN_CALLS, expectedVerdicts, openCalls, verdict } from './verdicts.ts';

const missing = whyNot();
if (missing !== null) console.log(`launcher of strategies not tested: ${missing}`);

const USER = 2005;
function field(text: string, name: string): string {
  const line = text.split('\n').find((one) => one.startsWith(`${name}:`)) ?? '';
  return line
    .slice(name.length + 1)
    .replaceAll(/\s+/gu, ' ')
    .trim();
}

/** All of `names`, a few at a time. */
async function verdicts(
  names: readonly string[],
  attempt: (name: string) => Promise<Ended>,
): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  const rest = [...names];
  const work = async (): Promise<void> => {
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      found[name] = verdict(await attempt(name));
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  return found;
}

async function isGone(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'latin1').catch(() => ') Z');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

/** What it has written, its exit code, the signal that ended it. */
async function endOf(program: RunnerProgram): Promise<readonly unknown[]> {
  const child = spawnStrategy(program, 3);
  child.stdin.on('error', () => undefined);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code, signal] = (await once(child, 'close')) as [unknown, unknown];
  return [said, code, signal];
}

describe.skipIf(missing !== null)('the launcher of strategies', () => {
  let programs: LaunchPrograms;
  beforeAll(async () => {
    programs = await makePrograms();
  });
  afterAll(async () => {
    await rm(programs.folder, { recursive: true });
  });

  function launched(name: string, ...more: readonly string[]): Promise<Ended> {
    return run(programs.launcher, [String(USER), programs.attempts, name, ...more]);
  }

  it('gives the process a user, no rights, three descriptors and its limits', async () => {
    const extra = [openSync('/', 'r'), openSync('/proc/self/status', 'r')];
    const args = [String(USER), programs.attempts, 'state'];
    const inGroups = ['--groups', '4,24', programs.launcher, ...args];
    const { code, output } = await run('setpriv', inGroups, extra);
    for (const fd of extra) closeSync(fd);
    expect(code).toBe(0);
    const fourTimes = Array.from({ length: 4 }, () => USER).join(' ');
    const names = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'];
    const none = '0000000000000000';
    expect(names.map((name) => field(output, name))).toEqual([
      fourTimes,
      fourTimes,
      '',
      none,
      none,
      none,
      none,
      none,
    ]);
    expect(['NoNewPrivs', 'Seccomp'].map((name) => field(output, name))).toEqual(['1', '2']);
    expect([...output.matchAll(/^Descriptor:\t(\d+)$/gmu)].map(([, fd]) => fd)).toEqual([
      '0',
      '1',
      '2',
    ]);
    for (const [limit, value] of [
      ['Max core file size', '0 0'],
      ['Max file size', '0 0'],
      ['Max locked memory', '0 0'],
      ['Max open files', '64 64'],
      ['Max processes', '32 32'],
      ['Max stack size', '8388608 8388608'],
      ['Max data size', '2147483648 2147483648'],
    ] as const) {
      expect(output.replaceAll(/ +/gu, ' ')).toContain(`${limit} ${value} `);
    }
    expect(output.endsWith('\n1000\n')).toBe(true);
  });

  it('leaves no call but those that Node needs', async () => {
    const names = (await run(programs.attempts, ['names'])).output.trimEnd().split('\n');
    expect(names.length).toBeGreaterThan(150);
    expect(new Set(names).size).toBe(names.length);
    expect(await verdicts(names, (name) => launched(name))).toEqual(expectedVerdicts(names));
  });

  it.runIf(process.arch === 'x64')('leaves no call that nobody thought of', async () => {
    const found = await verdicts(ALL_CALLS, (number) => launched('number', number));
    expect(openCalls(found)).toEqual(OPEN_CALLS);
    // Where the kernel has the calls of 32 bits at all.
    const name = 'getuid of 32 bits';
    const without = verdict(await run(programs.attempts, [name]));
    expect(verdict(await launched(name))).toBe(without === 'succeeded' ? 'killed' : without);
  });

  const MORE = [
    // writev shutdown
    ['a connector', '2008', [20, 48]],
    ['the ledger', '2102', [20, 48]],
    // also connect bind listen getpeername setsockopt accept4
    ['the desk', '2100', [20, 42, 48, 49, 50, 52, 54, 288]],
    ['the tap', '2101', [20, 42, 48, 49, 50, 52, 54, 288]],
  ] as const;
  it.runIf(process.arch === 'x64').each(MORE)(
    'leaves %s what it needs more',
    async (_, user, more) => {
      const found = await verdicts(ALL_CALLS, (number) =>
        run(programs.launcher, [user, programs.attempts, 'number', number]),
      );
      expect(openCalls(found)).toEqual([...OPEN_CALLS, ...more].toSorted((a, b) => a - b));
    },
  );

  it('leaves only the desk sockets of this machine, and nobody those of a network', async () => {
    const names = ['socket unix', 'socket inet', 'socket inet6', 'socket netlink', 'socket packet'];
    const of = (user: string): Promise<Readonly<Record<string, string>>> =>
      verdicts([...names, 'socketpair', 'sendmsg'], (name) =>
        run(programs.launcher, [user, programs.attempts, name]),
      );
    const killed = Object.fromEntries(
      [...names, 'socketpair', 'sendmsg'].map((name) => [name, 'killed']),
    );
    expect(await of('2100')).toEqual({ ...killed, 'socket unix': 'succeeded' });
    expect(await of('2101')).toEqual(killed);
    expect(await of('2008')).toEqual(killed);
    expect(await of('2102')).toEqual(killed);
  });

  it('is what ends them: without it, the same calls succeed', async () => {
    const names = [
      'fcntl signals',
      'dup3',
      'kill parent',
      'memfd_create',
      'mmap shared',
      'open a path only',
      'pidfd_open',
      'prctl dumpable',
      'prctl parent death signal',
      'setresuid',
      'socket inet',
      'socket unix',
      'socketpair',
      'timerfd_create',
    ];
    const found = await verdicts(names, (name) => run(programs.attempts, [name]));
    expect(found).toEqual(Object.fromEntries(names.map((name) => [name, 'succeeded'])));
    // They become the program of attempts again, with a name that it does not know.
    for (const name of ['execve', 'execveat of a path', 'execveat of a descriptor']) {
      expect(verdict(await run(programs.attempts, [name]))).toBe('exit 2');
    }
  });

  it.each([
    ['1999', 1],
    ['2000', 0],
    ['2015', 0],
    ['2016', 1],
    ['2099', 1],
    ['2100', 0],
    ['2101', 0],
    ['2102', 0],
    ['2103', 1],
    ['0', 1],
    ['', 1],
    ['2000x', 1],
    ['-1', 1],
    ['18446744073709553616', 1],
  ] as const)('becomes user %s: exit code %i', async (user, code) => {
    const ended = await run(programs.launcher, [user, programs.attempts, 'state']);
    expect([ended.code, ended.signal]).toEqual([code, null]);
    expect(ended.output === '').toBe(code === 1);
  });

  it('starts nothing when it may not become another user, or has nothing to start', async () => {
    const child = spawn(programs.launcher, [String(USER), programs.attempts, 'state'], {
      uid: 65_534,
      gid: 65_534,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(said).toMatch(/^launch: group: .*\n$/u);
    expect((await run(programs.launcher, [String(USER), '/nonexistent'])).code).toBe(1);
    expect((await run(programs.launcher, [String(USER)])).code).toBe(1);
  });

  async function fate(bundle: TestBundle, batchMs = 20_000): Promise<readonly unknown[]> {
    const watched = await Watched.start(
      specification(bundle),
      { batchMs },
      launchedRunner(programs),
    );
    if (watched.started?.ok === false) return [watched.started.refusal.code];
    await watched.feed(3);
    const answers = watched.answers.map(({ outputs }) => outputs.length);
    await watched.strategy.stop();
    return [...answers, ...watched.endedCodes];
  }

  it('runs a script and a module as they run without it', async () => {
    const bundles: readonly TestBundle[] = [
      bundleOf({ onBatch: signalText() }),
      await strategyOf({ onBatch: watSignal() }),
    ];
    for (const bundle of bundles) {
      const here = await Watched.start(specification(bundle), {}, launchedRunner(programs));
      const there = await Watched.start(specification(bundle));
      for (const watched of [here, there]) await watched.feed(20);
      expect(here.answers).toEqual(there.answers);
      expect(here.answers.flatMap(({ outputs }) => outputs)).toHaveLength(20);
      for (const watched of [here, there]) await watched.strategy.stop();
    }
  });

  it.each([
    [
      'compiles hot code and collects garbage',
      `let sum = 0;
       for (let at = 0; at < 3_000_000; at++) sum += [at].concat([at + 1]).length;
       ${signalText()}`,
      [1, 1, 1],
      20_000,
    ],
    ['throws', 'throw new Error("secret");', ['strategy_crashed'], 20_000],
    [
      'runs out of stack',
      'const deeper = () => deeper() + 1; deeper();',
      ['strategy_crashed'],
      20_000,
    ],
    ['loops', 'for (;;);', ['strategy_over_budget'], 1000],
    [
      'fills its heap',
      'const kept = []; for (;;) kept.push(new Array(1000).fill({}));',
      ['strategy_crashed'],
      20_000,
    ],
    [
      'takes memory outside of its heap',
      'const kept = []; for (let at = 0; at < 64; at++) kept.push(new Uint8Array(1 << 24).fill(1));',
      ['strategy_over_budget'],
      20_000,
    ],
  ] as const)('of one that %s', async (_, onBatch, expected, batchMs) => {
    expect(await fate(bundleOf({ onBatch }), batchMs)).toEqual(expected);
  });

  it('has every thread of Node under the filter, each strategy under a user of its own', async () => {
    const children = [0, 7].map((index) => spawnStrategy(launchedRunner(programs), index));
    try {
      for (const [at, child] of children.entries()) {
        const tasks = `/proc/${String(child.pid)}/task`;
        // Main thread, workers of V8 and the watchdog, once all is up.
        await expect
          .poll(async () => (await readdir(tasks)).length, { timeout: 60_000 })
          .toBeGreaterThan(3);
        const user = String(2000 + (at === 0 ? 0 : 7));
        for (const task of await readdir(tasks)) {
          const status = await readFile(join(tasks, task, 'status'), 'utf8');
          expect([field(status, 'Seccomp'), field(status, 'Uid').split(' ')[0]]).toEqual([
            '2',
            user,
          ]);
        }
      }
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
  });

  const say = "require('fs').writeSync(1, 'alive ');";
  it.each([
    ['starts a program', "require('child_process').spawnSync('/bin/true');"],
    ['opens a connection', "require('net').connect(9, '127.0.0.1');"],
    ['opens a Unix socket', "require('net').createServer().listen('\\0trackseal');"],
    ['sends a datagram', "require('dgram').createSocket('udp4').send('a', 9, '127.0.0.1');"],
    ['writes a file', "require('fs').writeFileSync('/dev/null', 'a');"],
    ['makes a folder', "require('fs').mkdirSync('/tmp/trackseal-launched');"],
    ['lists a folder', "require('fs').readdirSync('/');"],
    ['signals its parent', 'process.kill(process.ppid, 0);'],
    ['lowers its parent', "require('os').setPriority(process.ppid, 19);"],
    ['changes its user', 'process.setuid(0);'],
    ['watches files', "require('fs').watch('/');"],
    ['opens a debugger', "require('inspector').open(0);"],
  ])('ends a Node without limits of its own that %s', async (_, act) => {
    const program = scriptOf(programs, `${say}${act};setTimeout(() => {${say}}, 300);`);
    expect(await endOf(program)).toEqual(['alive ', null, 'SIGSYS']);
  });

  it('lets the same Node read, compute and end', async () => {
    const acts = "require('fs').readFileSync('/proc/self/maps'); new Array(1e6).fill(1).sort();";
    expect(await endOf(scriptOf(programs, `${acts}${say}`))).toEqual(['alive ', 0, null]);
  });

  it('stops what takes memory faster than anybody looks', async () => {
    // Not touched, so that this machine need not have it; the limit counts what could be.
    const take = `const kept = []; let count = 0;
      try { for (; count < 256; count++) kept.push(Buffer.allocUnsafeSlow(1 << 24)); } catch {}
      require('fs').writeSync(1, count < 128 ? 'stopped' : 'has ' + count);`;
    const [said] = await endOf(scriptOf(programs, take));
    expect(said).toBe('stopped');
  });

  it('lets no strategy outlive its enclave, not even one without a watchdog', async () => {
    const { path } = scriptOf(programs, `${say} for (;;);`);
    const { launcher, node } = programs;
    const program = join(ROOT, 'test/enclave/launch/parent.ts');
    const parent = spawn(process.execPath, [program, launcher, node, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(parent.stdout)[Symbol.asyncIterator]();
    const { value } = (await lines.next()) as { value: string };
    const pid = Number(value);
    await lines.next();
    expect(await isGone(pid)).toBe(false);
    parent.kill('SIGKILL');
    await once(parent, 'close');
    while (!(await isGone(pid))) await sleep(20);
  });
});
