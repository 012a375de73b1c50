// A strategy that wants to outlive its enclave: one that is killed, and one that fails while it boots.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concatBytes } from '../../wire/bytes.ts';
import {
  ROOT,
  batchOf,
  bundleOf,
  imageRunner,
  inputFrame,
  livingStrategies,
  runFrames,
  startFrame,
} from '../enclave/strategy/support.ts';
import { startEpoch } from './support.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Dead, or dead and not waited for: the one who waits for orphans may take its time. */
async function isGone(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ') Z');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

async function pause(ms: number): Promise<void> {
  await new Promise((next) => {
    setTimeout(next, ms);
  });
}

const later = 'Promise.resolve().then(() => { for (;;); });';
/** Node calls it on what nobody has caught. */
const INSPECTED = "[Symbol.for('nodejs.util.inspect.custom')]";

describe('an enclave that is killed takes its strategies along', () => {
  it.each([
    ['that loop while they load', { before: 'for (;;);' }, false],
    ['that loop in a batch', { onBatch: 'for (;;);' }, false],
    [
      'that loop in native code',
      { onBatch: 'Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);' },
      false,
    ],
    ['that wait for input', {}, true],
    ['that left a loop in a promise job', { onBatch: later }, true],
    ['that left a loop in a promise job while they loaded', { before: later }, true],
    [
      'that left a rejection with a trap',
      {
        onBatch: `Promise.reject({ ${INSPECTED}() { for (;;); } });`,
      },
      true,
    ],
  ] as const)('%s', async (_, parts, answers) => {
    const frames = join(folder, 'frames');
    await writeFile(frames, concatBytes(startFrame(bundleOf(parts)), inputFrame(10, batchOf(0))));
    const { path } = await imageRunner();
    const program = join(ROOT, 'test/hostile-strategy/parent.ts');
    const parent = spawn(process.execPath, [program, path, frames], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(parent.stdout)[Symbol.asyncIterator]();
    const { value } = (await lines.next()) as { value: string };
    const pid = Number(value);
    expect(pid).toBeGreaterThan(1);
    if (answers) await lines.next();
    // A busy one is to be in its loop; that takes less than the time to load Node.
    else await pause(1500);
    expect(await isGone(pid)).toBe(false);
    parent.kill('SIGKILL');
    await once(parent, 'close');
    while (!(await isGone(pid))) await pause(20);
  });
});

describe('a strategy whose input has ended', () => {
  it.each([
    ['a loop in a promise job', { onBatch: later }],
    ['a loop in a promise job while it loaded', { before: later }],
    ['a rejection with a trap', { onBatch: `Promise.reject({ ${INSPECTED}() { for (;;); } });` }],
    ['a thrown object with a trap', { onBatch: `throw { ${INSPECTED}() { for (;;); } };` }],
  ] as const)('does not come back to %s', async (_, parts) => {
    const frames = [startFrame(bundleOf(parts)), inputFrame(10, batchOf(0))];
    const said = await runFrames(frames);
    expect(said.length).toBeGreaterThan(0);
    await expect.poll(livingStrategies, { timeout: 60_000 }).toEqual([]);
  });
});

describe('an enclave that ends takes its strategies along', () => {
  it('while one still starts', async () => {
    const good = bundleOf();
    const host = await startEpoch([
      { name: 'good', bundle: good },
      { name: 'slow', bundle: bundleOf({ start: 'for (;;);' }) },
    ]);
    while ((await livingStrategies()).length < 2) await pause(20);
    host.enclave.fail('log_unavailable');
    expect(await host.end).toEqual({ code: 'log_unavailable' });
    await expect.poll(livingStrategies, { timeout: 60_000 }).toEqual([]);
  });

  it('when the host leaves while one still starts', async () => {
    const host = await startEpoch([{ name: 'slow', bundle: bundleOf({ start: 'for (;;);' }) }]);
    while ((await livingStrategies()).length < 1) await pause(20);
    for (const { host: stream } of host.wires.values()) stream.destroy();
    expect((await host.end).code).not.toBe(null);
    await expect.poll(livingStrategies, { timeout: 60_000 }).toEqual([]);
  });
});

describe('an enclave that is signalled by a strategy', () => {
  it('opens no debugger', async () => {
    const program = join(ROOT, 'test/hostile-strategy/waiting-enclave.ts');
    const enclave = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: Buffer[] = [];
    enclave.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    await once(enclave.stdout, 'data');
    enclave.kill('SIGUSR1');
    await pause(500);
    enclave.kill('SIGTERM');
    const [code] = (await once(enclave, 'close')) as [number | null];
    // Node would say where its debugger listens.
    expect([code, Buffer.concat(said).toString()]).toEqual([0, '']);
  });
});
