import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MovedClock } from '../../simulator/moved-clock.ts';
import { localPrograms } from '../../simulator/programs.ts';
import type { ChildProgram } from '../../wire/node/child-program.ts';

const MINUTE_MS = 60_000;
const NS = 1_000_000n;
const PROGRAM = join(import.meta.dirname, 'clock-program.ts');

let folder = '';
let file = '';
let clock: MovedClock;
beforeEach(() => {
  // The file's name goes through an address, where these mean something.
  folder = mkdtempSync(join(tmpdir(), 'a clock?#%41'));
  file = join(folder, 'clock');
  clock = MovedClock.create(file);
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function monotonicMs(): number {
  return Number(process.hrtime.bigint() / NS);
}

it('moves wall and monotonic clock of whoever follows it by the same whole minutes, and never back', () => {
  const [wallMs, startMs] = [Date.now(), monotonicMs()];
  const unfollow = MovedClock.open(file).follow();
  try {
    expect(Date.now() - wallMs).toBeLessThan(MINUTE_MS);
    clock.moveTo(wallMs + 89 * MINUTE_MS + 1000);
    for (const passedMs of [Date.now() - wallMs, monotonicMs() - startMs]) {
      expect(passedMs).toBeGreaterThanOrEqual(89 * MINUTE_MS);
      expect(passedMs).toBeLessThan(91 * MINUTE_MS);
    }
    const aheadMs = Date.now();
    clock.moveTo(wallMs + 30 * MINUTE_MS);
    expect(Date.now()).toBeGreaterThanOrEqual(aheadMs);
    expect(Date.now() - aheadMs).toBeLessThan(MINUTE_MS);
    expect(() => {
      clock.moveTo(wallMs + 257 * MINUTE_MS);
    }).toThrow('further');
    clock.stop();
    expect(Date.now() - wallMs).toBeLessThan(MINUTE_MS);
  } finally {
    unfollow();
  }
  clock.moveTo(wallMs + 89 * MINUTE_MS);
  expect(Date.now() - wallMs).toBeLessThan(MINUTE_MS);
  expect(monotonicMs() - startMs).toBeLessThan(MINUTE_MS);
});

interface Times {
  readonly monotonic: string;
  readonly wall: number;
}

/** Of a process with the flags of `program`, before and after the clock was moved by an hour. */
async function timesOf(
  { execPath, flags }: ChildProgram,
  mayRead: readonly string[],
): Promise<readonly Times[]> {
  const own = mayRead.map((path) => `--allow-fs-read=${path}`);
  const child = spawn(execPath, [...flags, ...own, PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {},
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (): Promise<Times> => {
    child.stdin.write('\n');
    return JSON.parse(String((await lines.next()).value)) as Times;
  };
  const before = await ask();
  clock.moveTo(Date.now() + 60 * MINUTE_MS);
  const after = await ask();
  child.stdin.end();
  await once(child, 'exit');
  return [before, after];
}

function passedMs([before, after]: readonly Times[]): number {
  return Number((BigInt(after?.monotonic ?? 0) - BigInt(before?.monotonic ?? 0)) / NS);
}

it('is that of desk and ledger while they run, the ledger without any permission left', async () => {
  const { desk, ledger } = localPrograms('', file);
  const ofDesk = await timesOf(desk, []);
  expect(passedMs(ofDesk)).toBeGreaterThanOrEqual(60 * MINUTE_MS);
  expect((ofDesk[1]?.wall ?? 0) - (ofDesk[0]?.wall ?? 0)).toBeGreaterThanOrEqual(60 * MINUTE_MS);
  clock.stop();
  const ofLedger = await timesOf(ledger, [PROGRAM]);
  expect(passedMs(ofLedger)).toBeGreaterThanOrEqual(60 * MINUTE_MS);
});

it('is none of theirs where no file is given', async () => {
  const { desk, ledger } = localPrograms('');
  expect(passedMs(await timesOf(desk, []))).toBeLessThan(MINUTE_MS);
  clock.stop();
  expect(passedMs(await timesOf(ledger, [PROGRAM]))).toBeLessThan(MINUTE_MS);
  expect(readFileSync(file)).toEqual(Buffer.from([60]));
});
