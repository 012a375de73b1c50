// What is measured of each way: throughput both ways, connections a second, the latency of small messages over a hundred TLS
// connections, and a thousand connections at once with the memory that they cost. Ways alternate, medians count.

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
  /** With processes of their own. */
  readonly turns: number;
  /** In each turn. */
  readonly rounds: number;
  /** In each direction and round, over `STREAMS` connections. */
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
  /** Of all connections, those that were open at once too. */
  readonly failed: number;
}

export interface Ratios {
  readonly down: number;
  readonly up: number;
  readonly connections: number;
}

export interface ProxyReport {
  readonly options: ProxyOptions;
  /** Null where there is no socat. */
  readonly overSocat: Ratios | null;
  readonly ways: Readonly<Partial<Record<WayName, WayReport>>>;
}

const GIB = 2 ** 30;
/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;
const SETTLE_MS = 200;
const STUCK_MS = 30_000;
const STREAMS = 4;
const TLS_CONNECTIONS = 100;
const MESSAGE = Buffer.alloc(256, 5);
const PIECE = Buffer.alloc(256 * 1024, 9);
const OPENING_AT_ONCE = 16;
const WARM_UP_CONNECTIONS = 200;

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
  await unlessClosed(socket, 'end');
  if (received !== bytes) throw new Error(`${received} of ${bytes} bytes came`);
}

async function upload(socket: Socket, bytes: number): Promise<void> {
  const answered = unlessClosed(socket, 'data');
  answered.catch(() => undefined);
  socket.write('S');
  for (let sent = 0; sent < bytes; sent += PIECE.length) {
    const piece = bytes - sent < PIECE.length ? PIECE.subarray(0, bytes - sent) : PIECE;
    if (!socket.write(piece)) await unlessClosed(socket, 'drain');
  }
  socket.end();
  await answered;
}

/** Rejects when the connection closes before, or nothing happens for half a minute. */
async function unlessClosed(socket: Socket, event: string): Promise<readonly unknown[]> {
  const over = new AbortController();
  const { signal } = over;
  const timer = setTimeout(() => socket.destroy(), STUCK_MS);
  try {
    return await Promise.race([
      once(socket, event, { signal }) as Promise<unknown[]>,
      once(socket, 'close', { signal }).then(() => {
        throw new Error(`the connection closed before ${event}`);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** There and back. */
async function ping(socket: Socket | TLSSocket, message: Buffer | string): Promise<void> {
  socket.write(message);
  let missing = Buffer.byteLength(message);
  while (missing > 0) {
    const [chunk] = (await unlessClosed(socket, 'data')) as [Buffer];
    missing -= chunk.length;
  }
}

interface Rate {
  readonly perSecond: number;
  readonly failed: number;
}

async function connectionRate(way: Way, count: number): Promise<Rate> {
  const start = performance.now();
  let left = count;
  let failed = 0;
  await Promise.all(
    Array.from({ length: OPENING_AT_ONCE }, async () => {
      while (left-- > 0) {
        try {
          const socket = await way.open('plain');
          socket.write('E');
          await ping(socket, 'x');
          socket.destroy();
        } catch {
          failed++;
        }
      }
    }),
  );
  return { perSecond: ((count - failed) * 1000) / (performance.now() - start), failed };
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
      await ping(socket, 'x');
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

/** Of one way in one turn. */
interface Turn {
  idle: Memory;
  held: Memory;
  failed: number;
  readonly down: number[];
  readonly up: number[];
  readonly connections: number[];
  downCpu: number;
  upCpu: number;
  connectionsCpu: number;
  times: readonly number[];
}

const NOTHING: Memory = { pages: 0, tables: 0 };

/** Ways take turns every few seconds, so that whatever else the machine does meets all of them. */
async function measureTurn(
  ways: readonly Way[],
  options: ProxyOptions,
): Promise<ReadonlyMap<WayName, Turn>> {
  const { rounds, bytes, connections } = options;
  const warmUp = Math.min(connections, WARM_UP_CONNECTIONS);
  const turns = new Map<Way, Turn>();
  const each = async (measure: (way: Way, turn: Turn) => Promise<void>): Promise<void> => {
    for (const way of ways) {
      const turn = turns.get(way) ?? newTurn();
      turns.set(way, turn);
      await measure(way, turn);
    }
  };
  await each(async (way, turn) => {
    turn.idle = memoryOf(way.pids);
    const { memory, failed } = await concurrent(way, options.concurrent);
    turn.held = memory;
    turn.failed = failed;
  });
  // Whatever is compiled at first use is.
  await each(async (way) => {
    await connectionRate(way, warmUp);
    await throughput(way, bytes / 2, false);
    await throughput(way, bytes / 2, true);
  });
  for (let round = 0; round < rounds; round++) {
    await each(async (way, turn) => {
      const [down, ms] = await costing(way, () => throughput(way, bytes, false));
      turn.down.push(down);
      turn.downCpu += (ms * GIB) / bytes / rounds;
    });
    await each(async (way, turn) => {
      const [up, ms] = await costing(way, () => throughput(way, bytes, true));
      turn.up.push(up);
      turn.upCpu += (ms * GIB) / bytes / rounds;
    });
    await each(async (way, turn) => {
      const [rate, ms] = await costing(way, () => connectionRate(way, connections));
      turn.connections.push(rate.perSecond);
      turn.failed += rate.failed;
      turn.connectionsCpu += (ms * 1000) / connections / rounds;
    });
  }
  await each(async (way, turn) => {
    turn.times = await latency(way, options.messagesEach);
  });
  return new Map(Array.from(turns, ([way, turn]) => [way.name, turn]));
}

function newTurn(): Turn {
  return {
    idle: NOTHING,
    held: NOTHING,
    failed: 0,
    down: [],
    up: [],
    connections: [],
    downCpu: 0,
    upCpu: 0,
    connectionsCpu: 0,
    times: [],
  };
}

export async function measureProxy(options: ProxyOptions): Promise<ProxyReport> {
  const turns = new Map<WayName, Turn[]>();
  const server = await startServer();
  try {
    for (let turn = 0; turn < options.turns; turn++) {
      await withFolder(async (directory) => {
        const started = [
          await startEgress(directory, server),
          await startSocat(server),
          await startNodeRelay(directory, server),
        ];
        const ways = started.filter((way) => way !== null);
        try {
          for (const [name, measured] of await measureTurn(ways, options)) {
            turns.set(name, [...(turns.get(name) ?? []), measured]);
          }
        } finally {
          await Promise.all(ways.map((way) => way.stop()));
        }
      });
    }
  } finally {
    await server.stop();
  }
  const ways = Object.fromEntries(
    Array.from(turns, ([name, all]) => [name, reportOf(all)] as const),
  );
  return { options, ways, overSocat: ratiosOf(turns.get('trackseal'), turns.get('socat')) };
}

/** Medians of the ratios of one round and the same round: what disturbs one disturbs the other. */
function ratiosOf(
  ours: readonly Turn[] | undefined,
  socats: readonly Turn[] | undefined,
): Ratios | null {
  if (ours === undefined || socats === undefined) return null;
  const ratio = (of: (turn: Turn) => readonly number[]): number => {
    const theirs = socats.flatMap(of);
    return median(ours.flatMap(of).map((rate, round) => rate / (theirs[round] ?? Number.NaN)));
  };
  return {
    down: ratio(({ down }) => down),
    up: ratio(({ up }) => up),
    connections: ratio(({ connections }) => connections),
  };
}

function reportOf(turns: readonly Turn[]): WayReport {
  return {
    downBytesPerSecond: median(turns.flatMap(({ down }) => down)),
    upBytesPerSecond: median(turns.flatMap(({ up }) => up)),
    connectionsPerSecond: median(turns.flatMap(({ connections }) => connections)),
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
