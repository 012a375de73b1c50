import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, isIP } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EgressOptions, EgressTarget } from '../../../host-proxy/egress/egress.ts';
import { Egress } from '../../../host-proxy/egress/egress.ts';
import type { Resolve } from '../../../host-proxy/egress/names.ts';
import { createLogger } from '../../../host-proxy/logger.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { encodeFrame, FRAME_HEAD_BYTES } from '../../../wire/frame.ts';
import { encodeDial, MAX_DIAL_BYTES, parseDialed } from '../../../wire/kms-messages.ts';
import { FRAME, PORT } from '../../../wire/messages.ts';
import { unixTransport } from '../../../wire/node/unix.ts';
import { assertAccepted } from '../../../wire/result.ts';

const NAME = 'kms.eu-central-1.amazonaws.com';

function dialFrame(host: string, port: number): Uint8Array {
  return encodeFrame(FRAME.dial, encodeDial({ host, port }));
}

/** The head of a frame that announces `bytes`. */
function head(type: number, bytes: number): Uint8Array {
  const frame = encodeFrame(type, new Uint8Array(0));
  new DataView(frame.buffer).setUint32(0, bytes);
  return frame;
}

/** Reads exactly `count` bytes and leaves the rest. */
function readBytes(stream: Duplex, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const read = (): void => {
      for (;;) {
        const chunk = stream.read() as Buffer | null;
        if (chunk === null) return;
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length < count) continue;
        stream.off('readable', read);
        if (bytes.length > count) stream.unshift(bytes.subarray(count));
        resolve(bytes.subarray(0, count));
        return;
      }
    };
    stream.on('readable', read);
    stream.once('end', () => {
      reject(new Error(`ended after ${bytes.length} of ${count} bytes`));
    });
  });
}

/** The code of the host's DIALED. */
async function readDialed(stream: Duplex): Promise<string | null> {
  const head = await readBytes(stream, FRAME_HEAD_BYTES);
  expect(head[4]).toBe(FRAME.dialed);
  return assertAccepted(parseDialed(await readBytes(stream, head.readUInt32BE(0))));
}

function collect(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
  });
}

/** A peer that reads all and finishes when the enclave does: a stream that is gone looks like one that ended. */
function answerEnd(socket: Socket): void {
  socket.resume();
  socket.once('end', () => socket.end());
}

/** How much came, until either side was gone. */
function bytesUntilClosed(stream: Duplex): Promise<number> {
  return new Promise((resolve) => {
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    stream.on('error', () => undefined);
    stream.once('end', () => stream.destroy());
    stream.once('close', () => {
      resolve(bytes);
    });
  });
}

function whenClosed(stream: Duplex): Promise<string> {
  return new Promise((resolve) => {
    stream.resume();
    stream.on('error', () => undefined);
    stream.once('close', () => {
      resolve('closed');
    });
    stream.once('end', () => stream.destroy());
  });
}

/** Answers when the test does: a resolver, and what came of the names that it was asked for. */
const silentResolver = (): {
  asked: string[];
  answers: (() => void)[];
  resolve: Resolve;
} => {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const resolve: Resolve = (name, done) => {
    asked.push(name);
    answers.push(() => {
      done(null, [{ address: '127.0.0.1', family: 4 }]);
    });
  };
  return { asked, answers, resolve };
};

/** Answers at once, the first time the first list of addresses, then the second, at last the last one again. */
const resolverOf = (
  ...rounds: readonly (readonly string[])[]
): { asked: string[]; resolve: Resolve } => {
  const asked: string[] = [];
  const resolve: Resolve = (name, done) => {
    const addresses = rounds[Math.min(asked.length, rounds.length - 1)] ?? [];
    asked.push(name);
    done(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    );
  };
  return { asked, resolve };
};

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === '::1');
if (!hasIpv6) console.log('egress over IPv6 is not tested: this machine has no ::1');

const named = (port: number): EgressTarget => ({ host: NAME, port, address: null });

describe('egress', () => {
  let directory: string;
  let egress: Egress | null = null;
  let peer: Server | null = null;
  const open: (Duplex | Socket)[] = [];
  let log = '';

  const listen = async (
    onSocket: (socket: Socket) => void,
    host = '127.0.0.1',
  ): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      open.push(socket);
      socket.on('error', () => undefined);
      onSocket(socket);
    });
    peer = server;
    await new Promise<void>((resolve) => {
      server.listen(0, host, resolve);
    });
    return (server.address() as AddressInfo).port;
  };

  const start = async (
    allow: readonly EgressTarget[],
    limits: Partial<EgressOptions> = {},
  ): Promise<void> => {
    egress = await Egress.listen({
      transport: unixTransport(directory),
      allow,
      maxConnections: 8,
      connectMs: 30_000,
      idleMs: 60_000,
      logger: createLogger({
        level: 'debug',
        write: (line) => (log += line),
        now: () => new Date(0),
      }),
      ...limits,
    });
  };

  const counters = (): Egress['counters'] => {
    if (egress === null) throw new Error('not started');
    return egress.counters;
  };

  const dial = async (frame: Uint8Array): Promise<Duplex> => {
    const stream = await unixTransport(directory).connect(PORT.egress);
    stream.on('error', () => undefined);
    open.push(stream);
    stream.write(frame);
    return stream;
  };

  const target = (port: number): EgressTarget => ({
    host: NAME,
    port: 443,
    address: { host: '127.0.0.1', port },
  });

  const served = async (addresses: readonly string[], host = '127.0.0.1'): Promise<string> => {
    const port = await listen((socket) => socket.end('here'), host);
    const { resolve } = resolverOf(addresses);
    await start([named(port)], { resolve });
    const stream = await dial(dialFrame(NAME, port));
    expect(await readDialed(stream)).toBeNull();
    return (await collect(stream)).toString();
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'eg-'));
    log = '';
  });

  afterEach(async () => {
    for (const stream of open.splice(0)) stream.destroy();
    await egress?.close();
    egress = null;
    peer?.close();
    rmSync(directory, { recursive: true });
  });

  it('carries bytes both ways to where the name is served, and lets one side finish first', async () => {
    const question = Promise.withResolvers<Buffer>();
    const port = await listen((socket) => {
      void collect(socket).then((bytes) => {
        question.resolve(bytes);
        socket.write('answer ');
        socket.end('after the end');
      });
    });
    await start([target(port)]);
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBeNull();
    stream.end('question');
    expect((await question.promise).toString()).toBe('question');
    expect((await collect(stream)).toString()).toBe('answer after the end');
    expect(counters()).toMatchObject({ accepted: 1, connected: 1, bytesOut: 8, bytesIn: 20 });
  });

  it('resolves a name when no address is given', async () => {
    const port = await listen((socket) => socket.end('found'));
    await start([{ host: 'localhost', port, address: null }]);
    const stream = await dial(dialFrame('localhost', port));
    expect(await readDialed(stream)).toBeNull();
    expect((await collect(stream)).toString()).toBe('found');
  });

  it('takes the frame byte by byte, and what follows it at once belongs to the connection', async () => {
    const received = Promise.withResolvers<Buffer>();
    const port = await listen((socket) => {
      void readBytes(socket, 5).then(received.resolve);
    });
    await start([target(port)]);
    const stream = await dial(new Uint8Array(0));
    const frame = dialFrame(NAME, 443);
    for (const [at, byte] of frame.entries()) {
      const isLast = at === frame.length - 1;
      stream.write(
        isLast ? Buffer.concat([Buffer.of(byte), Buffer.from('early')]) : Buffer.of(byte),
      );
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect(await readDialed(stream)).toBeNull();
    expect((await received.promise).toString()).toBe('early');
  });

  it('a peer that does not read holds its own writer up and is bounded', async () => {
    const sockets: Socket[] = [];
    const port = await listen((socket) => {
      socket.pause();
      sockets.push(socket);
    });
    await start([target(port)]);
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBeNull();
    const piece = new Uint8Array(64 * 1024);
    const drained = (): Promise<boolean> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          resolve(false);
        }, 500);
        stream.once('drain', () => {
          clearTimeout(timer);
          resolve(true);
        });
      });
    // Until the way is full: a way that takes 64 MiB has no backpressure.
    for (let at = 0; at < 1024; at++) {
      if (!stream.write(piece) && !(await drained())) break;
    }
    const held = counters().bytesOut;
    expect(stream.writableNeedDrain).toBe(true);
    expect(held).toBeLessThan(32 * 1024 * 1024);
    sockets[0]?.resume();
    await new Promise<void>((resolve) => {
      stream.once('drain', resolve);
    });
    expect(stream.writableNeedDrain).toBe(false);
  });

  it.each([
    ['a name that the operator does not allow', 'metadata.internal', 443, 'egress_refused'],
    ['another port of an allowed name', NAME, 80, 'egress_refused'],
  ])('%s is refused, and never named in the log', async (_, host, port, code) => {
    const at = await listen(() => undefined);
    await start([target(at)]);
    const stream = await dial(dialFrame(host, port));
    expect(await readDialed(stream)).toBe(code);
    expect(await whenClosed(stream)).toBe('closed');
    expect(counters().refused.get('egress_refused')).toBe(1);
    expect(log).not.toContain('metadata.internal');
  });

  it('a peer that is not there is source_unreachable', async () => {
    const port = await listen(() => undefined);
    peer?.close();
    await start([target(port)]);
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBe('source_unreachable');
    expect(log).toContain(NAME);
  });

  describe('a name that nobody resolves', () => {
    it('in time is source_unreachable, and opens nothing when it is resolved after all', async () => {
      const { asked, answers, resolve } = silentResolver();
      let connections = 0;
      const port = await listen((socket) => {
        connections++;
        socket.end('here');
      });
      const allow = [{ host: NAME, port, address: null }, target(port)];
      await start(allow, { connectMs: 50, resolve });
      const stream = await dial(dialFrame(NAME, port));
      expect(await readDialed(stream)).toBe('source_unreachable');
      expect(await whenClosed(stream)).toBe('closed');
      expect(asked).toEqual([NAME]);
      expect(counters().refused.get('source_unreachable')).toBe(1);
      expect(log).toContain(NAME);
      for (const answer of answers) answer();
      // Connections are taken in the order in which they were made; this one has time.
      await egress?.close();
      await start(allow);
      const next = await dial(dialFrame(NAME, 443));
      expect(await readDialed(next)).toBeNull();
      expect((await collect(next)).toString()).toBe('here');
      expect(connections).toBe(1);
    });

    it('is no longer waited for when the enclave has gone: its place is free at once', async () => {
      const { asked, resolve } = silentResolver();
      const allow = [{ host: NAME, port: 443, address: null }];
      await start(allow, { resolve, maxConnections: 1 });
      const gone = await dial(dialFrame(NAME, 443));
      await expect.poll(() => asked).toEqual([NAME]);
      expect(counters().open).toBe(1);
      gone.destroy();
      await expect.poll(() => counters().open).toBe(0);
    });

    it('and what the enclave sends meanwhile belongs to the connection', async () => {
      const received = Promise.withResolvers<Buffer>();
      const { asked, answers, resolve } = silentResolver();
      const port = await listen((socket) => {
        void readBytes(socket, 10).then(received.resolve);
      });
      await start([{ host: NAME, port, address: null }], { resolve });
      const stream = await dial(dialFrame(NAME, port));
      stream.write('early');
      await expect.poll(() => asked).toEqual([NAME]);
      for (const answer of answers) answer();
      expect(await readDialed(stream)).toBeNull();
      stream.write(' late');
      expect((await received.promise).toString()).toBe('early late');
    });

    it.each([
      [64 * 1024, 1],
      [64 * 1024 + 1, 0],
    ])('of %i bytes that come meanwhile, %i connections are left', async (bytes, left) => {
      const { asked, answers, resolve } = silentResolver();
      const port = await listen(answerEnd);
      await start([{ host: NAME, port, address: null }], { resolve });
      const stream = await dial(dialFrame(NAME, port));
      await expect.poll(() => asked).toEqual([NAME]);
      stream.write(new Uint8Array(bytes));
      await expect.poll(() => counters().open).toBe(left);
      for (const answer of answers) answer();
      await expect.poll(() => counters().connected).toBe(left);
      await expect.poll(() => counters().bytesOut).toBe(left * bytes);
    });

    it('is no longer waited for when the host ends', async () => {
      const { asked, resolve } = silentResolver();
      await start([{ host: NAME, port: 443, address: null }], { resolve });
      await dial(dialFrame(NAME, 443));
      await expect.poll(() => asked).toEqual([NAME]);
      await egress?.close();
      await expect.poll(() => counters().refused.get('source_unreachable')).toBe(1);
      expect(counters().open).toBe(0);
      egress = null;
    });
  });

  describe('a name of many addresses', () => {
    it('is reached at the one that answers, behind one that refuses', async () => {
      expect(await served(['127.0.0.2', '127.0.0.1'])).toBe('here');
    });

    it('is reached at the one that answers, behind one that does not (TEST-NET-1)', async () => {
      expect(await served(['192.0.2.1', '127.0.0.1'])).toBe('here');
    });

    it.skipIf(!hasIpv6)('is reached over IPv6', async () => {
      expect(await served(['::1'], '::1')).toBe('here');
    });

    it.skipIf(!hasIpv6)('is reached over IPv4 where nobody listens on IPv6', async () => {
      expect(await served(['::1', '127.0.0.1'])).toBe('here');
    });

    it.skipIf(!hasIpv6)('is reached over IPv6 where nobody listens on IPv4', async () => {
      expect(await served(['127.0.0.1', '::1'], '::1')).toBe('here');
    });

    it('is asked for again when it has moved', async () => {
      const port = await listen((socket) => socket.end('here'));
      const { asked, resolve } = resolverOf(['127.0.0.2'], ['127.0.0.3'], ['127.0.0.1']);
      await start([named(port)], { resolve });
      const stream = await dial(dialFrame(NAME, port));
      expect(await readDialed(stream)).toBeNull();
      expect((await collect(stream)).toString()).toBe('here');
      expect(asked).toEqual([NAME, NAME, NAME]);
    });

    it('is asked for three times, and then unreachable', async () => {
      const port = await listen(() => undefined);
      const { asked, resolve } = resolverOf(['127.0.0.2']);
      await start([named(port)], { resolve });
      expect(await readDialed(await dial(dialFrame(NAME, port)))).toBe('source_unreachable');
      expect(asked).toEqual([NAME, NAME, NAME]);
    });

    it('is not asked for again when the enclave is gone', async () => {
      const port = await listen(() => undefined);
      const { asked, resolve } = resolverOf(['127.0.0.2']);
      await start([named(port)], { resolve });
      const stream = await dial(dialFrame(NAME, port));
      await expect.poll(() => asked.length).toBe(1);
      stream.destroy();
      await expect.poll(() => counters().open).toBe(0);
      await expect.poll(() => counters().refused.get('source_unreachable')).toBe(1);
      expect(asked.length).toBeLessThan(3);
    });
  });

  it('an enclave that does not read holds the peer up and is bounded', async () => {
    const sockets: Socket[] = [];
    const port = await listen((socket) => sockets.push(socket));
    await start([target(port)]);
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBeNull();
    stream.pause();
    const [peerSocket] = sockets;
    if (peerSocket === undefined) throw new Error('not connected');
    const piece = new Uint8Array(64 * 1024);
    let written = 0;
    let full = false;
    // Until the way is full: a way that takes 64 MiB has no backpressure.
    while (!full && written < 1024) {
      written++;
      full = !(await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => {
          resolve(false);
        }, 500);
        peerSocket.write(piece, () => {
          clearTimeout(timer);
          resolve(true);
        });
      }));
    }
    expect(full).toBe(true);
    expect(counters().bytesIn).toBeLessThan(32 * 1024 * 1024);
    peerSocket.end();
    const all = collect(stream);
    stream.resume();
    expect((await all).length).toBe(written * piece.length);
  });

  it('a peer that takes the connection and says nothing loses it', async () => {
    const port = await listen(answerEnd);
    await start([target(port)], { firstByteMs: 100 });
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBeNull();
    stream.write('anybody?');
    expect(await whenClosed(stream)).toBe('closed');
    await expect.poll(() => counters().open).toBe(0);
  });

  it('a peer that has said something keeps it', async () => {
    const port = await listen((socket) => {
      answerEnd(socket);
      socket.write('x');
    });
    await start([target(port)], { firstByteMs: 100 });
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBeNull();
    expect((await readBytes(stream, 1)).toString()).toBe('x');
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    expect(counters().open).toBe(1);
  });

  it.each([
    ['another frame', encodeFrame(FRAME.hello, utf8('x')), 'frame_unknown'],
    [
      'a frame of N+1 bytes, by its head alone',
      head(FRAME.dial, MAX_DIAL_BYTES + 1),
      'frame_too_large',
    ],
    ['a frame of 4 GiB', head(FRAME.dial, 0xffff_ffff), 'frame_too_large'],
    ['no CBOR', encodeFrame(FRAME.dial, utf8('not a map')), 'cbor_'],
    ['a name in capitals', dialFrame('KMS.amazonaws.com', 443), 'message_malformed'],
    ['a name with a NUL', dialFrame('a\0b', 443), 'message_malformed'],
    ['port 0', dialFrame(NAME, 0), 'message_malformed'],
    ['port 65536', dialFrame(NAME, 65_536), 'message_malformed'],
  ])('%s is refused with a code', async (_, frame, code) => {
    const port = await listen(() => undefined);
    await start([target(port)]);
    const stream = await dial(frame);
    expect(await readDialed(stream)).toContain(code);
    expect(await whenClosed(stream)).toBe('closed');
  });

  it('a frame of N bytes is read as far as its fields', async () => {
    await start([]);
    const stream = await dial(encodeFrame(FRAME.dial, new Uint8Array(MAX_DIAL_BYTES)));
    expect(await readDialed(stream)).toMatch(/^(?:cbor_|message_malformed)/u);
  });

  it('an enclave that never sends its frame is cut off', async () => {
    await start([], { dialMs: 50 });
    const stream = await dial(new Uint8Array([0]));
    expect(await readDialed(stream)).toBe('stream_closed');
    expect(await whenClosed(stream)).toBe('closed');
  });

  it('connections are limited: N are served, N+1 is refused, one that ends makes room', async () => {
    const port = await listen(answerEnd);
    await start([target(port)], { maxConnections: 2 });
    const [first, second] = [await dial(dialFrame(NAME, 443)), await dial(dialFrame(NAME, 443))];
    expect(await readDialed(first)).toBeNull();
    expect(await readDialed(second)).toBeNull();
    expect(await readDialed(await dial(dialFrame(NAME, 443)))).toBe('rate_limited');
    first.destroy();
    await expect.poll(() => counters().open).toBe(1);
    expect(await readDialed(await dial(dialFrame(NAME, 443)))).toBeNull();
  });

  it('refusals are limited, too: an enclave that does not go away is not told any more', async () => {
    const port = await listen(answerEnd);
    await start([target(port)], { maxConnections: 2 });
    const taken = [await dial(dialFrame(NAME, 443)), await dial(dialFrame(NAME, 443))];
    for (const stream of taken) expect(await readDialed(stream)).toBeNull();
    // They are told, and stay.
    const told = [await dial(dialFrame(NAME, 443)), await dial(dialFrame(NAME, 443))];
    for (const stream of told) expect(await readDialed(stream)).toBe('rate_limited');
    expect(await bytesUntilClosed(await dial(dialFrame(NAME, 443)))).toBe(0);
    for (const stream of told) stream.destroy();
    await expect
      .poll(async () => bytesUntilClosed(await dial(dialFrame(NAME, 443))))
      .toBeGreaterThan(0);
  });

  it('an idle connection ends', async () => {
    const port = await listen(answerEnd);
    await start([target(port)], { idleMs: 100 });
    const stream = await dial(dialFrame(NAME, 443));
    expect(await readDialed(stream)).toBeNull();
    expect(await whenClosed(stream)).toBe('closed');
    await expect.poll(() => counters().open).toBe(0);
  });

  it('an enclave that is gone ends its connection, and a peer that is gone the stream', async () => {
    const sockets: Socket[] = [];
    const port = await listen((socket) => {
      answerEnd(socket);
      sockets.push(socket);
    });
    await start([target(port)]);
    const first = await dial(dialFrame(NAME, 443));
    expect(await readDialed(first)).toBeNull();
    first.destroy();
    await expect.poll(() => counters().open).toBe(0);
    const second = await dial(dialFrame(NAME, 443));
    expect(await readDialed(second)).toBeNull();
    sockets[1]?.resetAndDestroy();
    expect(await whenClosed(second)).toBe('closed');
  });
});
