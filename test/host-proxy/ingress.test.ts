import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Ingress } from '../../host-proxy/ingress.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import type { Listener } from '../../wire/node/transport.ts';
import { unixTransport } from '../../wire/node/unix.ts';

const logger = createLogger({ level: 'error', write: () => undefined, now: () => new Date(0) });

/** All bytes up to the end; unlike stream/consumers it leaves the other direction open. */
function collect(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      resolve(Buffer.concat(chunks));
    });
  });
}

/** An enclave that reads all and finishes when the client does. */
function answerEnd(stream: Duplex): void {
  stream.resume();
  stream.on('end', () => {
    stream.end();
  });
}

/** Resolves when the other side has finished or cut the connection. */
function closed(client: Socket): Promise<string> {
  return new Promise((resolve) => {
    client.resume();
    client.once('end', () => {
      client.destroy();
    });
    client.once('close', () => {
      resolve('closed');
    });
  });
}

describe('ingress', () => {
  let directory: string;
  let listener: Listener | null = null;
  let ingress: Ingress;
  const clients: Socket[] = [];
  const streams: Duplex[] = [];

  const start = async (
    onStream: ((stream: Duplex) => void) | null,
    limits: { maxConnections?: number; idleMs?: number } = {},
  ): Promise<void> => {
    const transport = unixTransport(directory);
    if (onStream !== null) {
      listener = await transport.listen(3000, (stream) => {
        streams.push(stream);
        onStream(stream);
      });
    }
    ingress = await Ingress.listen({
      transport,
      host: '127.0.0.1',
      port: 0,
      maxConnections: 4,
      idleMs: 60_000,
      logger,
      ...limits,
    });
  };

  const dial = (): Promise<Socket> =>
    new Promise((resolve) => {
      const client = connect({ port: ingress.port, host: '127.0.0.1', allowHalfOpen: true }, () => {
        resolve(client);
      });
      client.on('error', () => undefined);
      clients.push(client);
    });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'in-'));
  });

  afterEach(async () => {
    for (const stream of [...clients.splice(0), ...streams.splice(0)]) stream.destroy();
    await ingress.close();
    await listener?.close();
    listener = null;
    rmSync(directory, { recursive: true });
  });

  it('in front of gRPC: the bytes go to the enclave’s port 50051', async () => {
    const transport = unixTransport(directory);
    listener = await transport.listen(50_051, (stream) => {
      streams.push(stream);
      stream.pipe(stream);
    });
    ingress = await Ingress.listen({
      transport,
      host: '127.0.0.1',
      port: 0,
      maxConnections: 4,
      idleMs: 60_000,
      logger,
      to: 50_051,
    });
    const client = await dial();
    client.end('hello');
    expect((await collect(client)).toString()).toBe('hello');
  });

  it('carries bytes both ways and lets one side finish first', async () => {
    const received = Promise.withResolvers<Buffer>();
    await start((stream) => {
      void collect(stream).then((bytes) => {
        received.resolve(bytes);
        // The client has finished; the answer still arrives.
        stream.write('answer ');
        stream.end('after the end');
      });
    });
    const client = await dial();
    client.end('question');
    expect((await collect(client)).toString()).toBe('answer after the end');
    expect((await received.promise).toString()).toBe('question');
    expect(ingress.counters).toMatchObject({ accepted: 1, bytesIn: 8, bytesOut: 20 });
  });

  it('lets the enclave finish first, too', async () => {
    const received = Promise.withResolvers<Buffer>();
    await start((stream) => {
      stream.end('bye');
      void collect(stream).then(received.resolve);
    });
    const client = await dial();
    expect((await collect(client)).toString()).toBe('bye');
    client.end('late');
    expect((await received.promise).toString()).toBe('late');
  });

  it('stops taking bytes from a writer while the reader is slow, and loses none', async () => {
    const reader = Promise.withResolvers<Duplex>();
    await start((stream) => {
      reader.resolve(stream);
    });
    const client = await dial();
    const chunk = Buffer.alloc(64 * 1024, 7);
    let written = 0;
    while (client.writableLength === 0 && written < 1000) {
      client.write(chunk);
      written++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Kernel buffers of both sockets and the streams' own; not what the client would like to send.
    expect(written).toBeLessThan(1000);
    const before = ingress.counters.bytesIn;
    expect(before).toBeLessThan(16 * 1024 * 1024);
    client.end();
    const bytes = await collect(await reader.promise);
    expect(bytes.length).toBe(written * chunk.length);
    expect(bytes.every((byte) => byte === 7)).toBe(true);
  });

  it('never writes more than 32 KiB at once towards the enclave', async () => {
    const sizes: number[] = [];
    const done = Promise.withResolvers<null>();
    const real = unixTransport(directory);
    listener = await real.listen(3000, (stream) => {
      streams.push(stream);
      stream.resume();
      stream.on('end', () => {
        done.resolve(null);
      });
    });
    ingress = await Ingress.listen({
      transport: {
        ...real,
        connect: async (port) => {
          const stream = await real.connect(port);
          const write = stream.write.bind(stream);
          stream.write = (chunk: Buffer, ...rest: unknown[]): boolean => {
            sizes.push(chunk.length);
            return Reflect.apply(write, stream, [chunk, ...rest]) as boolean;
          };
          return stream;
        },
      },
      host: '127.0.0.1',
      port: 0,
      maxConnections: 4,
      idleMs: 60_000,
      logger,
    });
    const client = await dial();
    client.end(Buffer.alloc(1_000_000));
    await done.promise;
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(1_000_000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(32 * 1024);
  });

  it('refuses connections beyond the limit and takes new ones when one has ended', async () => {
    await start(answerEnd, { maxConnections: 2 });
    const first = await dial();
    await dial();
    const third = await dial();
    expect(await closed(third)).toBe('closed');
    expect(ingress.counters).toMatchObject({ accepted: 2, refused: 1, open: 2 });
    first.destroy();
    while (ingress.counters.open > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    await dial();
    while (ingress.counters.accepted < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ingress.counters.refused).toBe(1);
  });

  it('ends idle connections', async () => {
    await start(answerEnd, { idleMs: 50 });
    const client = await dial();
    await closed(client);
    while (ingress.counters.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ingress.counters).toMatchObject({ accepted: 1, refused: 0 });
  });

  it('ends a connection when there is no enclave', async () => {
    await start(null);
    await closed(await dial());
    expect(ingress.counters).toMatchObject({ accepted: 1, failed: 1 });
  });

  it('ends the client when the enclave resets, and the enclave stream when the client does', async () => {
    await start((stream) => {
      stream.on('error', () => undefined);
      stream.resume();
    });
    const client = await dial();
    client.write('x');
    while (streams.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    streams[0]?.destroy();
    expect(await closed(client)).toBe('closed');
    const second = await dial();
    while (streams.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const ended = new Promise((resolve) => {
      streams[1]?.once('end', () => {
        resolve('ended');
      });
    });
    second.resetAndDestroy();
    expect(await ended).toBe('ended');
  });
});
