// The ways to the server that are compared: each is a process, and how a client opens a connection through it.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { env, execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFrame, FRAME_HEAD_BYTES } from '../../wire/frame.ts';
import { encodeDial, parseDialed } from '../../wire/kms-messages.ts';
import { FRAME, PORT } from '../../wire/messages.ts';
import type { RelayOptions } from './relay-process.ts';
import type { Served } from './server-process.ts';

export type WayName = 'trackseal' | 'socat' | 'node';
export type Service = keyof Served;

export interface Way {
  readonly name: WayName;
  /** Of the process that accepts. */
  readonly pids: readonly number[];
  /** Resolves when bytes may be sent; rejects when there is no connection. */
  readonly open: (service: Service) => Promise<Socket>;
  readonly stop: () => Promise<void>;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('started with a pipe');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return line;
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.stdin?.end();
  await exited;
}

export async function startServer(): Promise<Served & { readonly stop: () => Promise<void> }> {
  const program = join(import.meta.dirname, 'server-process.ts');
  const child = spawn(execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const served = JSON.parse(await firstLine(child)) as Served;
  return { ...served, stop: () => stopChild(child) };
}

async function startRelay(
  options: RelayOptions,
): Promise<{ readonly child: ChildProcess; readonly ports: readonly number[] }> {
  const program = join(import.meta.dirname, 'relay-process.ts');
  const args = [program, JSON.stringify(options)];
  const child = spawn(execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const { ports } = JSON.parse(await firstLine(child)) as { readonly ports: readonly number[] };
  return { child, ports };
}

function pidsOf(...children: readonly ChildProcess[]): readonly number[] {
  return children.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
}

function opened(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
  });
}

function openTcp(port: number): Promise<Socket> {
  return opened(connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }));
}

/** As the enclave opens one: DIAL, then DIALED. */
async function openEgress(directory: string, service: Service): Promise<Socket> {
  const path = join(directory, String(PORT.egress));
  const socket = await opened(connect({ path, allowHalfOpen: true }));
  socket.write(encodeFrame(FRAME.dial, encodeDial({ host: `${service}.test`, port: 443 })));
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length < FRAME_HEAD_BYTES) continue;
    const whole = FRAME_HEAD_BYTES + bytes.readUInt32BE(0);
    if (bytes.length < whole) continue;
    const dialed = parseDialed(bytes.subarray(FRAME_HEAD_BYTES, whole));
    if (!dialed.ok || dialed.value !== null) break;
    if (bytes.length > whole) socket.unshift(bytes.subarray(whole));
    return socket;
  }
  socket.destroy();
  throw new Error('not dialled');
}

export async function startEgress(directory: string, { plain, tls }: Served): Promise<Way> {
  const targets = [
    { host: 'plain.test', port: plain },
    { host: 'tls.test', port: tls },
  ];
  const { child } = await startRelay({ kind: 'egress', directory, targets });
  return {
    name: 'trackseal',
    pids: pidsOf(child),
    open: (service) => openEgress(directory, service),
    stop: () => stopChild(child),
  };
}

export async function startNodeRelay(directory: string, { plain, tls }: Served): Promise<Way> {
  const targets = [
    { host: 'plain.test', port: plain },
    { host: 'tls.test', port: tls },
  ];
  const { child, ports } = await startRelay({ kind: 'node', directory, targets });
  return {
    name: 'node',
    pids: pidsOf(child),
    open: (service) => openTcp(ports[service === 'plain' ? 0 : 1] ?? 0),
    stop: () => stopChild(child),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Null where there is no socat: in PATH, or at TRACKSEAL_SOCAT. */
export async function startSocat({ plain, tls }: Served): Promise<Way | null> {
  const program = env['TRACKSEAL_SOCAT'] ?? 'socat';
  const ports = [await freePort(), await freePort()];
  const children = [plain, tls].map((port, index) => {
    const from = `TCP-LISTEN:${ports[index] ?? 0},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=4096`;
    const args = [from, `TCP:127.0.0.1:${port},nodelay`];
    return spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  });
  const failed = children.map(
    (child) =>
      new Promise<boolean>((resolve) => {
        child.once('error', () => {
          resolve(false);
        });
        child.once('exit', () => {
          resolve(false);
        });
      }),
  );
  const runs = await Promise.race([...failed, sleep(500, true)]);
  if (!runs) return null;
  return {
    name: 'socat',
    pids: pidsOf(...children),
    open: (service) => openTcp(ports[service === 'plain' ? 0 : 1] ?? 0),
    stop: async () => {
      await Promise.all(
        children.map(async (child) => {
          const exited = once(child, 'exit');
          child.kill('SIGTERM');
          await exited;
        }),
      );
    },
  };
}
