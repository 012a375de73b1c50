// Our AF_VSOCK streams beside the published binary of node-vsock, over the loopback of one guest. Two processes, as
// enclave and host are. Prints one line of JSON per side and round. Started as
//   node bench-vsock.mjs ADDON NODE-VSOCK       (itself starts the sides: … ours|theirs server|client)

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { argv, cpuUsage, execPath, memoryUsage, stderr, stdout } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../../wire/node/native-addon.ts';
import { vsockTransport } from '../../../wire/node/vsock.ts';

const LOOPBACK_CID = 1;
const PORT = { echo: 6001, sink: 6002, slow: 6003 } as const;
const ROUNDS = 3;
const PINGS = 500;
const BULK_BYTES = 8 << 20;
const WRITE_BYTES = 32 * 1024;
const SLOW_MS = 2;

interface Stream {
  /** Resolves when more may be written; at once where nobody says. */
  write(bytes: Uint8Array): Promise<void>;
  /** The handler's promise holds reading up, where reading can be held up. */
  onData(handle: (bytes: Uint8Array) => Promise<void> | void): void;
}

interface Side {
  connect(port: number): Promise<Stream>;
  listen(port: number, onStream: (stream: Stream) => void): Promise<void>;
}

function ourSide(addon: string): Side {
  const transport = vsockTransport(loadAddon(addon), [LOOPBACK_CID]);
  type Duplex = Awaited<ReturnType<typeof transport.connect>>;
  const wrap = (duplex: Duplex): Stream => ({
    write: async (bytes) => {
      if (duplex.write(bytes)) return;
      await new Promise((resolve) => duplex.once('drain', resolve));
    },
    onData: (handle) => {
      duplex.on('error', () => undefined);
      duplex.on('data', (bytes: Uint8Array) => {
        const handled = handle(bytes);
        if (handled === undefined) return;
        duplex.pause();
        void handled.then(() => duplex.resume());
      });
    },
  });
  return {
    connect: async (port) => wrap(await transport.connect(port)),
    listen: async (port, onStream) => {
      await transport.listen(port, (duplex) => {
        onStream(wrap(duplex));
      });
    },
  };
}

interface TheirSocket {
  connect(cid: number, port: number): void;
  listen(port: number): void;
  startRecv(): void;
  writeBuffer(bytes: Buffer): void;
}
type TheirEvents = (error: Error | null, name: string, ...args: readonly unknown[]) => void;
type TheirSocketClass = new (onEvent: TheirEvents, descriptor?: number) => TheirSocket;

function theirSide(path: string): Side {
  // Its sockets do not keep a process alive, and whoever forgets one finds it closed by the collector.
  setInterval(() => undefined, 1000);
  const kept: TheirSocket[] = [];
  const { VsockSocket } = createRequire(import.meta.url)(path) as { VsockSocket: TheirSocketClass };
  const open = (
    descriptor?: number,
  ): { stream: Stream; socket: TheirSocket; connected: Promise<void> } => {
    const connected = Promise.withResolvers<undefined>();
    let handle: ((bytes: Uint8Array) => Promise<void> | void) | null = null;
    const socket = new VsockSocket((error, name, ...args) => {
      if (error !== null) stderr.write(`node-vsock: ${error.message}\n`);
      if (name === '_connect') {
        socket.startRecv();
        connected.resolve(undefined);
      } else if (name === '_data') void handle?.(args[0] as Uint8Array);
    }, descriptor);
    kept.push(socket);
    const stream: Stream = {
      write: (bytes) => {
        socket.writeBuffer(Buffer.from(bytes));
        return Promise.resolve();
      },
      onData: (handler) => {
        handle = handler;
      },
    };
    return { stream, socket, connected: connected.promise };
  };
  return {
    connect: async (port) => {
      const { stream, socket, connected } = open();
      socket.connect(LOOPBACK_CID, port);
      await connected;
      return stream;
    },
    listen: (port, onStream) => {
      const server = new VsockSocket((error, name, ...args) => {
        if (error !== null) stderr.write(`node-vsock: ${error.message}\n`);
        if (name !== '_connection') return;
        const { stream, socket } = open(Number(args[0]));
        onStream(stream);
        socket.startRecv();
      });
      kept.push(server);
      server.listen(port);
      return Promise.resolve();
    },
  };
}

/** Answers with what it took when all of it came. */
function count(stream: Stream, handle: () => Promise<void> | void): void {
  let left = BULK_BYTES;
  let waiting = 0;
  let largest = 0;
  let work = Promise.resolve();
  stream.onData((bytes) => {
    waiting += bytes.length;
    largest = Math.max(largest, waiting);
    const taken = async (): Promise<void> => {
      await handle();
      waiting -= bytes.length;
      left -= bytes.length;
      if (left > 0) return;
      const { user, system } = cpuUsage();
      const said = { largest, rss: memoryUsage().rss, cpuMs: Math.round((user + system) / 1000) };
      await stream.write(Buffer.from(`${JSON.stringify(said)}\n`));
    };
    work = work.then(taken);
    return work;
  });
}

async function serve(side: Side): Promise<void> {
  await side.listen(PORT.echo, (stream) => {
    stream.onData((bytes) => {
      void stream.write(bytes);
    });
  });
  await side.listen(PORT.sink, (stream) => {
    count(stream, () => undefined);
  });
  await side.listen(PORT.slow, (stream) => {
    count(stream, async () => {
      await sleep(SLOW_MS);
    });
  });
  stdout.write('listening\n');
}

async function push(side: Side, port: number): Promise<Readonly<Record<string, number>>> {
  const stream = await side.connect(port);
  const answer = Promise.withResolvers<string>();
  stream.onData((bytes) => {
    answer.resolve(Buffer.from(bytes).toString());
  });
  const block = new Uint8Array(WRITE_BYTES);
  for (let sent = 0; sent < BULK_BYTES; sent += WRITE_BYTES) await stream.write(block);
  return JSON.parse(await answer.promise) as Readonly<Record<string, number>>;
}

async function measure(kind: string, side: Side): Promise<void> {
  const stream = await side.connect(PORT.echo);
  let pong = Promise.withResolvers<undefined>();
  stream.onData(() => {
    pong.resolve(undefined);
  });
  const times: number[] = [];
  for (let at = 0; at < PINGS; at++) {
    pong = Promise.withResolvers<undefined>();
    const startMs = performance.now();
    await stream.write(new Uint8Array(64));
    await pong.promise;
    times.push(performance.now() - startMs);
  }
  const median = times.toSorted((a, b) => a - b)[PINGS / 2] ?? 0;
  const before = cpuUsage();
  const startMs = performance.now();
  const bulk = await push(side, PORT.sink);
  const bulkMs = performance.now() - startMs;
  const { user, system } = cpuUsage(before);
  const slow = await push(side, PORT.slow);
  const line = {
    bench: kind,
    round_trip_ms: Number(median.toFixed(3)),
    mib_per_second: Number(((BULK_BYTES / (1 << 20) / bulkMs) * 1000).toFixed(2)),
    writer_cpu_ms: Math.round((user + system) / 1000),
    reader_waiting_bytes: bulk['largest'],
    slow_reader_waiting_bytes: slow['largest'],
    slow_reader_rss: slow['rss'],
  };
  stdout.write(`${JSON.stringify(line)}\n`);
}

async function runSides(paths: readonly string[], kind: string): Promise<void> {
  const args = [argv[1] ?? '', ...paths, kind];
  const server = spawn(execPath, [...args, 'server'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const client = spawn(execPath, [...args, 'client'], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code, signal] = (await once(client, 'exit')) as [unknown, unknown];
  if (code !== 0) stderr.write(`${kind}: client ${String(code)} ${String(signal)}\n`);
  server.kill('SIGKILL');
}

const [addon = '', theirs = '', kind, role] = argv.slice(2);
if (kind === undefined) {
  // In turns: the machine that emulates this one is seldom as fast now as a minute ago.
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of ['theirs', 'ours']) await runSides([addon, theirs], one);
  }
} else {
  const side = kind === 'ours' ? ourSide(addon) : theirSide(theirs);
  if (role === 'server') await serve(side);
  else {
    await measure(kind, side);
    process.exit(0);
  }
}
