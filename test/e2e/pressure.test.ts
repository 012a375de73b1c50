// Backpressure between real processes: memory over a long stall, readers that do not read, a disk that is
// really full. What is counted in one process is in test/pressure/.

import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import { FRAME } from '../../wire/messages.ts';
import {
  fetchStatus,
  newAppliance,
  newPlace,
  TestHost,
  verifyLog,
  waitForStatus,
} from './appliance.ts';
import type { Place } from './appliance.ts';
import { expectReportsAgree, indexesOf, listLeaves, readJournal } from './evidence.ts';
import { writeLongCapture } from './long-capture.ts';
import { residentBytes } from './memory.ts';
import { cleanUpAfterEach, isRunning, lastingFolder, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

const MIB = 1024 * 1024;
/** About an hour of a market, in ten equal rounds. */
const ROUNDS = 10;
const EVENTS_OF_A_ROUND = 163_074;
const folderOfCapture = lastingFolder();
const capture = join(folderOfCapture, 'capture.gz');

beforeAll(() => {
  writeLongCapture(capture, ROUNDS);
});
afterAll(() => {
  rmSync(folderOfCapture, { recursive: true });
});

/** Counts the batches that reach the enclave. */
function countBatches({ tap }: Place): () => number {
  let batches = 0;
  tap.keepBytes = false;
  tap.onFrame = ({ type, from }) => {
    if (type === FRAME.batch && from === 'host') batches++;
  };
  return () => batches;
}

/** The enclave says so after five seconds; then, until no batch reaches it any more. */
async function stalled(host: TestHost, batches: () => number): Promise<void> {
  const ready = `${await host.url()}/ready`;
  await waitForStatus(ready, 503);
  for (let still = 0, before = -1; still < 3; before = batches()) {
    still = batches() === before ? still + 1 : 0;
    await sleep(700);
  }
}

/** Growth and peak of resident memory while `until` runs, in MiB. */
async function watchMemory(
  pids: readonly number[],
  until: () => Promise<void>,
): Promise<readonly { readonly growth: number; readonly peak: number }[]> {
  const start = pids.map((pid) => residentBytes(pid));
  const peaks = [...start];
  const timer = setInterval(() => {
    for (const [at, pid] of pids.entries()) {
      peaks[at] = Math.max(peaks[at] ?? 0, residentBytes(pid));
    }
  }, 100);
  await until();
  clearInterval(timer);
  return start.map((bytes, at) => ({
    growth: Math.round(((peaks[at] ?? 0) - bytes) / MIB),
    peak: Math.round((peaks[at] ?? 0) / MIB),
  }));
}

async function expectClean(appliance: Appliance, host: TestHost): Promise<void> {
  const { end, summary } = await host.finish();
  expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
  expect(summary.epochs.map(({ epoch, closed, code }) => [epoch, closed, code])).toEqual([
    [1, true, null],
  ]);
  const { code, json, stderr } = await verifyLog(appliance);
  expect([code, json['verdict'], json['end']], stderr).toEqual([0, 'verified', 'clean']);
}

describe('a long stall', () => {
  it('of acknowledgements costs no memory while the feed drops, and all goes on after it', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    const { tap } = place;
    const batches = countBatches(place);
    const host = TestHost.start(appliance, place, { speed: 200, capture, whenFull: 'drop' });
    const enclave = await host.enclavePid();
    await host.waitFor('orders', () => tap.releases.length > 3);
    tap.holdAcks = true;
    await stalled(host, batches);
    const released = tap.releases.length;
    const memory = await watchMemory([host.process.pid, enclave], () => sleep(6000));
    console.log(`over a stall of 6 s, MiB of host and enclave: ${JSON.stringify(memory)}`);
    for (const { growth, peak } of memory) {
      expect(growth).toBeLessThan(64);
      expect(peak).toBeLessThan(512);
    }
    expect(tap.releases.length).toBe(released);

    tap.holdAcks = false;
    await host.waitForEvent('feed_dropped');
    const size = tap.acknowledgedSize;
    await host.waitFor('leaves after it', () => tap.acknowledgedSize > size + 300);
    expect(await fetchStatus(`${await host.url()}/ready`)).toBe(200);
    expect([await host.enclavePid(), isRunning(enclave)]).toEqual([enclave, true]);
    host.process.signal('SIGTERM');
    await expectClean(appliance, host);
    const leaves = await listLeaves(appliance, 1);
    expectReportsAgree(leaves, readJournal(appliance));
    expect(indexesOf(leaves, 'output').length).toBeGreaterThan(released);
    const declared = leaves
      .filter(({ kind, payload }) => kind === 'gap' && payload['reason'] === 'declared')
      .map(({ payload }) => [payload['first_missing'], payload['count']]);
    expect(declared.length).toBeGreaterThan(0);
    expect(declared).toEqual(
      host
        .events('feed_dropped')
        .map(({ first_missing, batches: count }) => [first_missing, count]),
    );
  });
});

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
}

/** Clients that ask, and read nothing of the answers. */
async function openReaders(
  count: number,
  dial: (connected: () => void) => Socket,
  text: string,
): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  for (let reader = 0; reader < count; reader++) {
    await new Promise<void>((resolve) => {
      const socket = dial(() => {
        socket.write(text);
        resolve();
      });
      socket.pause();
      socket.on('error', () => {
        resolve();
      });
      sockets.push(socket);
    });
  }
  return sockets;
}

describe('readers that do not read', () => {
  it('the published log or HTTPS cost little memory, many of them too', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    const host = TestHost.start(appliance, place, { speed: 40, capture });
    const enclave = await host.enclavePid();
    const tiles = Number((await host.waitForEvent('tiles_listening'))['port']);
    const https = Number((await host.waitForEvent('ingress_listening'))['port']);
    const bundle = '/epochs/0000000001/tile/entries/000';
    const base = `http://127.0.0.1:${tiles}`;
    await host.waitFor('a full bundle', () => place.tap.acknowledgedSize > 900);
    for (let status = 404; status !== 200;) {
      status = (await fetch(`${base}${bundle}`)).status;
      await sleep(50);
    }
    const readers: Socket[] = [];
    const memory = await watchMemory([host.process.pid, enclave], async () => {
      readers.push(
        ...(await openReaders(200, (done) => connect(tiles, '127.0.0.1', done), get(bundle))),
        ...(await openReaders(
          200,
          (done) => connectTls({ port: https, rejectUnauthorized: false }, done),
          get('/health').repeat(500),
        )),
      );
      await sleep(3000);
    });
    console.log(`under 400 readers, MiB of host and enclave: ${JSON.stringify(memory)}`);
    for (const { growth, peak } of memory) {
      expect(growth).toBeLessThan(192);
      expect(peak).toBeLessThan(512);
    }
    // Nobody else is kept from reading, and the feed goes on.
    expect((await fetch(`${base}${bundle}`)).status).toBe(200);
    const size = place.tap.acknowledgedSize;
    await host.waitFor('more leaves', () => place.tap.acknowledgedSize > size + 100);
    for (const reader of readers) reader.destroy();
    expect(await fetchStatus(`${await host.url()}/health`)).toBe(200);
    host.process.signal('SIGTERM');
    await expectClean(appliance, host);
  });
});

/** Whether a process may have a file system of its own. */
function canMount(): boolean {
  const mount = 'mount -t tmpfs -o size=1m tmpfs /mnt';
  return spawnSync('unshare', ['-rm', 'sh', '-c', mount]).status === 0;
}

const MOUNTS: boolean = canMount();
if (!MOUNTS)
  console.log('not run: a disk of its own for the host (unshare and mount are not allowed)');

/** Sets the size that a file of a running process may have; null: as before. Answers whether it could. */
function limitFileSize(pid: number, bytes: number | null): boolean {
  const query = ['--pid', String(pid), '--fsize', '--raw', '--noheadings', '--output', 'HARD'];
  const hard = spawnSync('prlimit', query, { encoding: 'utf8' });
  if (hard.status !== 0) return false;
  const soft = bytes ?? hard.stdout.trim();
  return spawnSync('prlimit', ['--pid', String(pid), `--fsize=${soft}:`]).status === 0;
}

const LIMITS: boolean = limitFileSize(process.pid, null);
if (!LIMITS) console.log('not run: a host that may write nothing more (there is no prlimit)');

describe('a full disk', () => {
  it.skipIf(!MOUNTS)('below the spool holds everything up until there is room', async () => {
    const folder = temporaryFolder();
    const appliance = await newAppliance(join(folder, 'a'));
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    // Room for the first segment of the spool and half of the second.
    const script =
      'mount -t tmpfs -o size=96m tmpfs "$0" && head -c 70m /dev/zero > "$0/filler" && exec "$@"';
    const place = await newPlace();
    const batches = countBatches(place);
    const host = TestHost.start(appliance, place, {
      speed: null,
      capture,
      limitEvents: 5 * EVENTS_OF_A_ROUND,
      closeRows: 1024,
      state: join(disk, 'state'),
      within: (command) => ['unshare', '-rm', 'sh', '-c', script, disk, ...command],
    });
    const enclave = await host.enclavePid();
    const alarm = await host.waitForEvent('disk_full');
    expect(alarm).toMatchObject({ level: 'error', place: 'state', error: 'ENOSPC' });
    await stalled(host, batches);
    const [before, released] = [batches(), place.tap.releases.length];
    const memory = await watchMemory([host.process.pid, enclave], () => sleep(3000));
    for (const { growth, peak } of memory) {
      expect(growth).toBeLessThan(64);
      expect(peak).toBeLessThan(512);
    }
    expect([batches(), place.tap.releases.length]).toEqual([before, released]);
    // The disk is seen from here through the process that has mounted it.
    truncateSync(`/proc/${host.process.pid}/root${disk}/filler`, 0);
    await host.waitForEvent('disk_has_room');
    await host.waitFor('more batches', () => batches() > before);
    expect([await host.enclavePid(), isRunning(enclave)]).toEqual([enclave, true]);
    await expectClean(appliance, host);
    expect(host.events('enclave_diagnostic').some(({ code }) => code === 'resumed')).toBe(true);
    const leaves = await listLeaves(appliance, 1);
    expect(indexesOf(leaves, 'gap')).toEqual([]);
    expect(indexesOf(leaves, 'input')).toHaveLength(batches());
  });

  it.skipIf(!LIMITS)(
    'everywhere, the log of the host too, is survived and made up for',
    async () => {
      const appliance = await newAppliance(join(temporaryFolder(), 'a'));
      const place = await newPlace();
      const batches = countBatches(place);
      const host = TestHost.start(appliance, place, { speed: 40 });
      const enclave = await host.enclavePid();
      await host.waitFor('orders', () => place.tap.releases.length > 3);
      const { pid } = host.process;
      expect(limitFileSize(pid, 0)).toBe(true);
      // Its log file takes nothing either, so the alarm is shown on standard error.
      await host.waitFor('the alarm', () => host.process.stderr.includes('"event":"disk_full"'));
      expect(host.process.stderr).toContain('"error":"EFBIG"');
      await stalled(host, batches);
      const released = place.tap.releases.length;
      expect([place.tap.releases.length, isRunning(pid)]).toEqual([released, true]);
      expect(limitFileSize(pid, null)).toBe(true);
      await host.waitForEvent('disk_has_room');
      await host.waitFor('orders after it', () => place.tap.releases.length > released + 3);
      expect([await host.enclavePid(), isRunning(enclave)]).toEqual([enclave, true]);
      host.process.signal('SIGTERM');
      await expectClean(appliance, host);
      const leaves = await listLeaves(appliance, 1);
      expect(indexesOf(leaves, 'gap')).toEqual([]);
      expectReportsAgree(leaves, readJournal(appliance));
    },
  );
});
