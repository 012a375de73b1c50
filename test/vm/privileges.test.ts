// Init and launcher in a guest, with the kernel and the boot ramdisk that ship: which rights the enclave and
// a strategy have, each forbidden system call, and how init ends when something is not as it should be.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileBoot } from '../../eif/build/boot.ts';
import { cleanUp, lastingFolder } from '../e2e/processes.ts';
import { OPEN_CALLS, expectedVerdicts, openCalls } from '../enclave/launch/verdicts.ts';
import type { Ended } from '../enclave/launch/verdicts.ts';
import { newVmPlace, SKIPPED } from './place.ts';
import type { GuestRun } from './test-image.ts';
import { guestProgram, NODE, runGuest, writeTestImage } from './test-image.ts';

/** CAP_SETUID, CAP_SETGID and CAP_KILL. */
const THREE = '00000000000000e0';
const NONE = '0000000000000000';

interface Found {
  readonly status: string;
  readonly devices: readonly (readonly [string, string, number])[];
  readonly root: readonly string[];
  readonly writing: readonly string[];
  readonly ptraceScope: string;
  readonly modules: string;
  readonly state: string;
  readonly node: Ended;
  readonly names: readonly string[];
  readonly attempts: Readonly<Record<string, string>>;
  readonly numbers: Readonly<Record<string, string>>;
  readonly strategy: {
    readonly status: string;
    readonly resident: number;
    readonly ended: readonly unknown[];
  };
}

/** Fields of /proc/<pid>/status. */
function fields(status: string, ...names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const line = status.split('\n').find((one) => one.startsWith(`${name}:`)) ?? '';
    return line
      .slice(name.length + 1)
      .replaceAll(/\s+/gu, ' ')
      .trim();
  });
}

const IDENTITY = ['Uid', 'Gid', 'Groups', 'NoNewPrivs', 'Seccomp'] as const;
const CAPABILITIES = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

function fourTimes(id: number): string {
  return Array.from({ length: 4 }, () => id).join(' ');
}

describe.skipIf(SKIPPED)('init and launcher in a guest', () => {
  let folder = '';
  beforeAll(() => {
    folder = lastingFolder();
  });
  afterAll(async () => {
    await cleanUp();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('an enclave', () => {
    let found: Found;
    let ended: GuestRun;
    beforeAll(async () => {
      const attempts = join(folder, 'attempts');
      await compileBoot('test/enclave/launch/attempts.c', attempts);
      const image = join(folder, 'privileges.eif');
      const program = await guestProgram('privileges');
      const data = new Uint8Array(readFileSync(attempts));
      const files = [program, { name: 'attempts', mode: 0o755, data } as const];
      writeTestImage(image, files, [NODE, `/test/${program.name}`]);
      ended = await runGuest(image, newVmPlace(folder).vsock);
      const [line] = ended.lines;
      if (line === undefined) throw new Error(`no result:\n${ended.console.slice(-4000)}`);
      found = line as unknown as Found;
    });

    it('is a user of its own, with what it takes to start strategies and to end them', () => {
      const { status, state } = found;
      expect(fields(status, ...IDENTITY)).toEqual([fourTimes(1000), fourTimes(1000), '', '1', '0']);
      expect(fields(status, ...CAPABILITIES)).toEqual([THREE, THREE, THREE, THREE, THREE]);
      expect(fields(state, ...IDENTITY)).toEqual([fourTimes(2003), fourTimes(2003), '', '1', '2']);
      // What could be gained, if anything could be gained.
      expect(fields(state, ...CAPABILITIES)).toEqual([NONE, NONE, NONE, THREE, NONE]);
      expect([...state.matchAll(/^Descriptor:\t(\d+)$/gmu)].map(([, fd]) => fd)).toEqual([
        '0',
        '1',
        '2',
      ]);
    });

    it('has six devices, two of them for itself, and can write nowhere', () => {
      expect(Object.fromEntries(found.devices.map(([name, ...rest]) => [name, rest]))).toEqual({
        nsm: ['600', 1000],
        null: ['666', 0],
        random: ['444', 0],
        urandom: ['444', 0],
        vsock: ['600', 1000],
        zero: ['444', 0],
      });
      expect(found.writing).toEqual(['EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EACCES']);
      expect([found.ptraceScope, found.modules]).toEqual(['3', 'ENOENT']);
    });

    it('sees its strategies, and ends them', () => {
      const { status, resident, ended: end } = found.strategy;
      expect(fields(status, 'Uid')).toEqual([fourTimes(2003)]);
      expect(resident).toBeGreaterThan(0);
      expect(end).toEqual([null, 'SIGKILL']);
    });

    it('is not seen by its strategies, and keeps its devices from them', () => {
      expect(found.node).toEqual({
        code: 0,
        signal: null,
        output: JSON.stringify([2003, false, 'EACCES']),
      });
    });

    it('has strategies without any call but those that Node needs', () => {
      expect(found.names.length).toBeGreaterThan(150);
      expect(found.attempts).toEqual(expectedVerdicts(found.names));
      expect(openCalls(found.numbers)).toEqual(OPEN_CALLS);
    });

    it('ends with the reason of its program', () => {
      expect(ended.end.reason).toBe('exit code 7');
    });
  });

  it.each([
    ['a program that is not there', ['/trackseal/nobody'], 'refused start', ''],
    ['no command', [], 'refused command', ''],
    ['a clock in steps of milliseconds', [NODE], 'refused clocksource', ' clocksource=jiffies'],
    [
      'a program that is killed',
      [NODE, '-e', "process.kill(process.pid, 'SIGKILL')"],
      'exit signal 9',
      '',
    ],
  ] as const)('of %s ends with its reason', async (_, command, reason, more) => {
    const image = join(folder, 'ends.eif');
    const cmdline = (shipped: string): string => `${shipped}${more}`;
    writeTestImage(image, [], command, (boot) => boot, cmdline);
    const { end, console } = await runGuest(image, newVmPlace(folder).vsock);
    expect(end.reason, console).toBe(reason);
  });
});
