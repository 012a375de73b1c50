import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { joinStreams } from '../../host-proxy/join-streams.ts';
import { MAX_WRITE_BYTES } from '../../wire/limits.ts';

let folder = '';
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'join-'));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true });
});

/** Two ends of a connection of the kernel's. */
async function pair(where: string | number): Promise<readonly [Socket, Socket]> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true }, resolve);
  servers.push(server);
  await new Promise<void>((listening) => {
    server.listen(where, listening);
  });
  const to = typeof where === 'string' ? where : (server.address() as AddressInfo).port;
  const near = connect({
    ...(typeof to === 'string' ? { path: to } : { port: to }),
    allowHalfOpen: true,
  });
  const far = await promise;
  for (const socket of [near, far]) socket.on('error', () => undefined);
  return [near, far];
}

async function joined(): Promise<{
  readonly enclave: Socket;
  readonly peer: Socket;
  readonly over: Promise<void>;
  readonly counts: { out: number; in: number };
}> {
  const [enclave, hostSide] = await pair(join(folder, 'enclave'));
  const [peer, hostPeer] = await pair(0);
  const counts = { out: 0, in: 0 };
  const over = joinStreams(
    hostSide,
    hostPeer,
    (bytes) => (counts.out += bytes),
    (bytes) => (counts.in += bytes),
  );
  return { enclave, peer, over, counts };
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads slowly, so that the other side is always ahead. */
async function drain(socket: Socket, pauseMs: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return Buffer.concat(chunks);
}

describe('joined streams', () => {
  it.each([
    [0, 0],
    [1, 0],
    [MAX_WRITE_BYTES, 0],
    [MAX_WRITE_BYTES + 1, 0],
    // One chunk of several slices, with the end right behind it.
    [60_000, 0],
    [65_536, 0],
    [131_072, 0],
    [300_001, 1],
    [5_000_003, 0],
  ])(
    'carry %i bytes and the end behind them, both ways, to readers that wait %i ms',
    async (size, pauseMs) => {
      const { enclave, peer, over, counts } = await joined();
      const [question, answer] = [randomBytes(size), randomBytes(size)];
      // All at once: the end is there while the last bytes are on their way.
      enclave.end(question);
      peer.end(answer);
      const [asked, answered] = await Promise.all([drain(peer, pauseMs), drain(enclave, pauseMs)]);
      await over;
      expect([asked, answered].map(digest)).toEqual([question, answer].map(digest));
      expect(counts).toEqual({ out: size, in: size });
    },
  );

  it('let one side finish long before the other', async () => {
    const { enclave, peer, over } = await joined();
    enclave.end('question');
    expect((await drain(peer, 0)).toString()).toBe('question');
    peer.write('first ');
    await sleep(20);
    peer.end('second');
    expect((await drain(enclave, 0)).toString()).toBe('first second');
    await over;
  });

  it.each([
    200_000,
    // The end is there while the second slice of the last chunk is not written.
    65_536,
  ])('write %i bytes to the enclave one slice of 32 KiB at a time', async (size) => {
    const sizes: number[] = [];
    let atOnce = 0;
    const enclave = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        sizes.push(chunk.length);
        atOnce++;
        setTimeout(() => {
          atOnce--;
          done();
        }, 20);
        expect(atOnce).toBe(1);
      },
      writev: () => {
        throw new Error('two writes were joined');
      },
    });
    const [peer, hostPeer] = await pair(0);
    const over = joinStreams(
      enclave,
      hostPeer,
      () => undefined,
      () => undefined,
    );
    peer.end(Buffer.alloc(size));
    await new Promise((resolve) => {
      enclave.once('close', resolve);
      enclave.once('finish', resolve);
    });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_WRITE_BYTES);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(size);
    enclave.push(null);
    await over;
  });

  it.each(['enclave', 'peer'] as const)('end both when the %s breaks', async (which) => {
    const both = await joined();
    both.enclave.write('x');
    await new Promise((resolve) => {
      both.peer.once('data', resolve);
    });
    const other = which === 'peer' ? both.enclave : both.peer;
    const closed = new Promise((resolve) => {
      other.once('close', resolve);
    });
    other.resume();
    other.once('end', () => other.destroy());
    both[which].destroy();
    await Promise.all([closed, both.over]);
    expect(other.destroyed).toBe(true);
  });

  it('end the one that is left when the other is gone already', async () => {
    const [, hostSide] = await pair(join(folder, 'enclave'));
    const [, hostPeer] = await pair(0);
    hostSide.destroy();
    await joinStreams(
      hostSide,
      hostPeer,
      () => undefined,
      () => undefined,
    );
    expect(hostPeer.destroyed).toBe(true);
  });
});
