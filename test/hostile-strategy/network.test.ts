// A strategy that tries the network and the enclave's own streams.

import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { counts, deniedAll, ends, takesOver, testAttempts } from './support.ts';

// Stands in for the streams of the enclave, and for whatever else listens on the machine.
const folder = mkdtempSync(join(tmpdir(), 'trackseal-hostile-'));
const SOCKET = join(folder, '5000.sock');
let connections = 0;
const server = createServer(() => connections++).listen(SOCKET);
const local = createServer(() => connections++).listen(0, '127.0.0.1');
await Promise.all([once(server, 'listening'), once(local, 'listening')]);
const { port: PORT } = local.address() as AddressInfo;
afterAll(() => {
  server.close();
  local.close();
  rmSync(folder, { recursive: true });
});

describe('a bundle', () => {
  testAttempts([
    ends('fetches', 'strategy_crashed', `fetch('http://127.0.0.1:${PORT}/')`),
    ends('opens a WebSocket', 'strategy_crashed', `new WebSocket('ws://127.0.0.1:${PORT}')`),
    ends('opens an EventSource', 'strategy_crashed', `new EventSource('http://127.0.0.1:${PORT}')`),
    ends('sends an XMLHttpRequest', 'strategy_crashed', 'new XMLHttpRequest()'),
    ends('requires net', 'strategy_crashed', `require('net').connect(${PORT})`),
    counts(
      'imports over the network',
      `import('http://127.0.0.1:${PORT}/x.js').catch(() => { globalThis.got = 1; });
       harm += globalThis.got ?? 0`,
    ),
  ]);
});

describe('a taken-over runner', () => {
  testAttempts([
    deniedAll(
      'connects',
      `await t.settle(t.net.connect(${PORT}, '127.0.0.1'), 'connect')`,
      `await t.settle(t.tls.connect(${PORT}, '127.0.0.1'), 'secureConnect')`,
      `await t.settle(t.http2.connect('http://127.0.0.1:${PORT}'), 'connect')`,
    ),
    deniedAll(
      "connects to the enclave's own sockets",
      `await t.settle(t.net.connect('${SOCKET}'), 'connect')`,
      `await t.settle(t.net.connect({ path: '${SOCKET}', allowHalfOpen: true }), 'connect')`,
    ),
    deniedAll(
      'fetches',
      `await fetch('http://127.0.0.1:${PORT}/')`,
      `await fetch('http://localhost:${PORT}')`,
    ),
    takesOver(
      'opens a WebSocket',
      `t.started(); const socket = new WebSocket('ws://127.0.0.1:${PORT}');
       t.confess(await new Promise((resolve) => { socket.onopen = () => resolve(1); socket.onerror = () => resolve(0); }));`,
    ),
    deniedAll(
      'listens',
      "await t.settle(t.net.createServer().listen(0, '127.0.0.1'), 'listening')",
      `await t.settle(t.net.createServer().listen('${join(folder, 'own.sock')}'), 'listening')`,
      "await t.settle(t.http2.createServer().listen(0), 'listening')",
    ),
    deniedAll(
      'sends datagrams',
      `const socket = t.dgram.createSocket('udp4'); socket.send('x', ${PORT}, '127.0.0.1'); await t.settle(socket, 'message')`,
      `const socket = t.dgram.createSocket('udp4'); socket.connect(${PORT}, '127.0.0.1'); await t.settle(socket, 'connect')`,
      "await t.settle(t.dgram.createSocket('udp4').bind(0), 'listening')",
    ),
    deniedAll(
      'asks for names',
      "await t.dns.promises.lookup('localhost')",
      "await t.dns.promises.resolve4('example.com')",
      "await t.dns.promises.reverse('127.0.0.1')",
      "const own = new t.dns.promises.Resolver(); own.setServers(['127.0.0.1']); await own.resolve4('a.b')",
    ),
    takesOver(
      "uses the handles beneath Node's sockets",
      `t.started();
       t.process.on('uncaughtException', () => {});
       let harm = 0;
       const works = (act) => { try { if (act() === 0) harm++; } catch (error) { if (error.code !== 'ERR_ACCESS_DENIED') harm++; } };
       const socket = new t.net.Socket(); socket.connect(${PORT}, '127.0.0.1');
       const Tcp = socket._handle.constructor;
       const isDenied = (answer) => answer?.code === 'ERR_ACCESS_DENIED';
       works(() => new Tcp(1).bind('127.0.0.1', 0));
       works(() => isDenied(new Tcp(0).connect({ oncomplete() {} }, '127.0.0.1', ${PORT})) ? 1 : 0);
       const Pipe = t.process.stdout._handle.constructor;
       works(() => new Pipe(1).bind('${join(folder, 'pipe.sock')}'));
       works(() => isDenied(new Pipe(0).connect({ oncomplete() {} }, '${SOCKET}')) ? 1 : 0);
       await new Promise((resolve) => t.later(resolve, 50));
       t.confess(harm);`,
    ),
  ]);

  it('has connected to nothing', () => {
    expect(connections).toBe(0);
  });
});
