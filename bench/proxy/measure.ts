// What is measured of each way: throughput both ways, connections a second, the latency of small messages over a hundred TLS
// connections, and a thousand connections at once with the memory that they cost. Turns alternate, medians count.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { median, quantilesOf } from '../quantiles.ts';
import type { Quantiles } from '../quantiles.ts';
import { withFolder } from '../run-path.ts';
import type { Memory } from './memory.ts';
import { memoryOf } from './memory.ts';
import type { Way, WayName } from './ways.ts';
import { startEgress, startNodeRelay, startServer, startSocat } from './ways.ts';

export interface ProxyOptions {
  readonly turns: number;
  /** In each direction, over `STREAMS` connections. */
  readonly bytes: number;
  readonly connections: number;
  readonly messagesEach: number;
  readonly concurrent: number;
}

export interface WayReport {
  readonly downBytesPerSecond: number;
  readonly upBytesPerSecond: number;
  readonly connectionsPerSecond: number;
  /** Processor time of the way itself: for a GiB in each direction, and for a thousand connections; ms. */
  readonly downCpuMs: number;
  readonly upCpuMs: number;
  readonly connectionsCpuMs: number;
  /** A message there and back over TLS, ms. */
  readonly latency: Quantiles;
  /** At the start, before anything else was measured: with no connection, and with `concurrent`. */
  readonly idle: Memory;
  readonly held: Memory;
  /** Of `concurrent`, over all turns. */
  readonly failed: number;
}

export interface ProxyReport {
  readonly options: ProxyOptions;
  readonly ways: Readonly<Partial<Record<WayName, WayReport>>>;
}

const GIB = 2 ** 30;
/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;
const SETTLE_MS = 200;
const STREAMS = 4;
const TLS_CONNECTIONS = 100;
const MESSAGE = Buffer.alloc(256, 5);
const PIECE = Buffer.alloc(256 * 1024, 9);
const OPENING_AT_ONCE = 16;

async function throughput(way: Way, bytes: number, up: boolean): Promise<number> {
  const each = Math.floor(bytes / STREAMS);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: STREAMS }, async () => {
      const socket = await way.open('plain');
      await (up ? upload(socket, each) : download(socket, each));
      socket.destroy();
    }),
  );
  return (each * STREAMS * 1000) / (performance.now() - start);
}

async function download(socket: Socket, bytes: number): Promise<void> {
  const request = Buffer.alloc(9, 'G');
  request.writeBigUInt64BE(BigInt(bytes), 1);
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.write(request);
  await once(socket, 'end');
  if (received !== bytes) throw new Error(`${received} of ${bytes} bytes came`);
}

async function upload(socket: Socket, bytes: number): Promise<void> {
  const answered = once(socket, 'data');
  socket.write('S');
  for (let sent = 0; sent < bytes; sent += PIECE.length) {
    const piece = bytes - sent < PIECE.length ? PIECE.subarray(0, bytes - sent) : PIECE;
    if (!socket.write(piece)) await once(socket, 'drain');
  }
  socket.end();
  await answered;
}

/** There and back. */
async function ping(socket: Socket | TLSSocket, message: Buffer | string): Promise<void> {
  socket.write(message);
  let missing = Buffer.byteLength(message);
  while (missing > 0) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    missing -= chunk.length;
  }
}

async function connectionRate(way: Way, count: number): Promise<number> {
  const start = performance.now();
  let left = count;
  await Promise.all(
    Array.from({ length: OPENING_AT_ONCE }, async () => {
      while (left-- > 0) {
        const socket = await way.open('plain');
        socket.write('E');
        await ping(socket, 'x');
        socket.destroy();
      }
    }),
  );
  return (count * 1000) / (performance.now() - start);
}

async function latency(way: Way, messagesEach: number): Promise<readonly number[]> {
  const sockets = await Promise.all(
    Array.from({ length: TLS_CONNECTIONS }, async () => {
      const socket = connectTls({ socket: await way.open('tls'), rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      socket.write('E');
      await ping(socket, MESSAGE);
      return socket;
    }),
  );
  const times: number[] = [];
  await Promise.all(
    sockets.map(async (socket) => {
      for (let index = 0; index < messagesEach; index++) {
        const start = performance.now();
        await ping(socket, MESSAGE);
        times.push(performance.now() - start);
      }
    }),
  );
  for (const socket of sockets) socket.destroy();
  return times;
}

async function concurrent(
  way: Way,
  count: number,
): Promise<{ readonly memory: Memory; readonly failed: number }> {
  const opened = await Promise.allSettled(
    Array.from({ length: count }, async () => {
      const socket = await way.open('plain');
      socket.write('E');
      const late = AbortSignal.timeout(20_000);
      late.addEventListener('abort', () => socket.destroy());
      socket.on('error', () => undefined);
      await Promise.race([
        ping(socket, 'x'),
        once(socket, 'close').then(() => Promise.reject(new Error('closed'))),
      ]);
      return socket;
    }),
  );
  const sockets = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  // Each carries something while all are open.
  const carried = await Promise.allSettled(sockets.map((socket) => ping(socket, MESSAGE)));
  const memory = memoryOf(way.pids);
  for (const socket of sockets) socket.destroy();
  const alive = carried.filter(({ status }) => status === 'fulfilled').length;
  return { memory, failed: count - alive };
}

/** With the processor time that it cost the way's processes, and those of their children that have ended. */
async function costing<T>(way: Way, run: () => Promise<T>): Promise<readonly [T, number]> {
  const before = processorMs(way.pids);
  const value = await run();
  // Children of socat end when their connections do.
  await sleep(SETTLE_MS);
  return [value, processorMs(way.pids) - before];
}

function processorMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime, stime, cutime, cstime.
    for (const field of [11, 12, 13, 14]) ticks += Number(fields[field]);
  }
  return ticks * TICK_MS;
}

interface Turn {
  readonly down: number;
  readonly up: number;
  readonly connections: number;
  readonly downCpu: number;
  readonly upCpu: number;
  readonly connectionsCpu: number;
  readonly times: readonly number[];
  readonly idle: Memory;
  readonly held: Memory;
  readonly failed: number;
}

async function measureTurn(way: Way, options: ProxyOptions): Promise<Turn> {
  try {
    const idle = memoryOf(way.pids);
    const many = await concurrent(way, options.concurrent);
    // Whatever is compiled at first use is.
    await connectionRate(way, 200);
    await throughput(way, options.bytes / 8, false);
    await throughput(way, options.bytes / 8, true);
    const [down, downMs] = await costing(way, () => throughput(way, options.bytes, false));
    const [up, upMs] = await costing(way, () => throughput(way, options.bytes, true));
    const [connections, connectionsMs] = await costing(way, () =>
      connectionRate(way, options.connections),
    );
    const times = await latency(way, options.messagesEach);
    return {
      down,
      up,
      connections,
      downCpu: (downMs * GIB) / options.bytes,
      upCpu: (upMs * GIB) / options.bytes,
      connectionsCpu: (connectionsMs * 1000) / options.connections,
      times,
      idle,
      held: many.memory,
      failed: many.failed,
    };
  } finally {
    await way.stop();
  }
}

export async function measureProxy(options: ProxyOptions): Promise<ProxyReport> {
  const turns = new Map<WayName, Turn[]>();
  const server = await startServer();
  try {
    for (let turn = 0; turn < options.turns; turn++) {
      await withFolder(async (directory) => {
        const ways = [
          () => startEgress(directory, server),
          () => startSocat(server),
          () => startNodeRelay(directory, server),
        ];
        for (const start of ways) {
          const way = await start();
          if (way === null) continue;
          const measured = await measureTurn(way, options);
          turns.set(way.name, [...(turns.get(way.name) ?? []), measured]);
        }
      });
    }
  } finally {
    await server.stop();
  }
  const ways = Object.fromEntries(
    Array.from(turns, ([name, all]) => [name, reportOf(all)] as const),
  );
  return { options, ways };
}

function reportOf(turns: readonly Turn[]): WayReport {
  return {
    downBytesPerSecond: median(turns.map(({ down }) => down)),
    upBytesPerSecond: median(turns.map(({ up }) => up)),
    connectionsPerSecond: median(turns.map(({ connections }) => connections)),
    downCpuMs: median(turns.map(({ downCpu }) => downCpu)),
    upCpuMs: median(turns.map(({ upCpu }) => upCpu)),
    connectionsCpuMs: median(turns.map(({ connectionsCpu }) => connectionsCpu)),
    latency: quantilesOf(turns.flatMap(({ times }) => times)),
    idle: medianOf(turns.map(({ idle }) => idle)),
    held: medianOf(turns.map(({ held }) => held)),
    failed: turns.reduce((sum, { failed }) => sum + failed, 0),
  };
}

function medianOf(memories: readonly Memory[]): Memory {
  return {
    pages: median(memories.map(({ pages }) => pages)),
    tables: median(memories.map(({ tables }) => tables)),
  };
}
