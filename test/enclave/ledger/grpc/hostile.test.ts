// Clients that hold a certificate and mean harm. Each has bytes of its own choosing over HTTP/2; what stays is that the
// service goes on for another client, and that nothing was asked of the track record.

import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  MAX_CONNECTIONS_PER_CLIENT,
  MAX_CONTROL_FRAMES,
  MAX_REQUEST_BYTES,
  MAX_STREAMS_PER_CLIENT,
  MAX_SYNCS,
  MAX_SYNCS_PER_CLIENT,
  RESET_BURST,
} from '../../../../enclave/ledger/grpc/limits.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { call, openGrpcScene } from '../../../helpers/grpc-scene.ts';

let scene: GrpcScene;
const sessions: ClientHttp2Session[] = [];
const sockets: Socket[] = [];

const METRICS = '/enclave.EnclaveService/GetAggregatedMetrics';
const SYNC = { ':path': '/enclave.EnclaveService/ProcessSyncJob' };
const USER = Buffer.from([0x0a, 1, 0x75]);

beforeAll(async () => {
  scene = await openGrpcScene();
});

afterAll(() => scene.close());

beforeEach(() => {
  scene.track.asked.length = 0;
  scene.track.wait = () => Promise.resolve();
});

afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  for (const socket of sockets.splice(0)) socket.destroy();
  // Somebody else is served.
  scene.certificate = new Uint8Array(32).fill(8);
  scene.track.wait = () => Promise.resolve();
  const client = scene.client('enclave.proto', 'enclave.EnclaveService');
  await call(client, 'GetAggregatedMetrics', { user_uid: 'u' });
  client.close();
  scene.certificate = new Uint8Array(32).fill(7);
  if (scene.fatal.length > 0) throw new Error(`the ledger ended: ${scene.fatal.join()}`);
});

function open(): ClientHttp2Session {
  const session = connectHttp2('http://localhost', {
    createConnection: () => connect(scene.path),
  });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
}

function frame(message: Uint8Array, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

interface Said {
  readonly status: string | undefined;
  readonly http: number | undefined;
  readonly details: string;
  readonly rst: number;
  /** Nothing came. */
  readonly silent: boolean;
}

function read(stream: ClientHttp2Stream): Promise<Said> {
  let headers: Readonly<Record<string, unknown>> = {};
  let trailers: Readonly<Record<string, unknown>> = {};
  stream.on('error', () => undefined);
  stream.on('response', (got) => {
    headers = got;
  });
  stream.on('trailers', (got) => {
    trailers = got;
  });
  stream.resume();
  return new Promise((resolve) => {
    stream.on('close', () => {
      const all = { ...headers, ...trailers };
      const details = (all['grpc-status-details-bin'] ?? '') as string;
      resolve({
        status: all['grpc-status'] as string | undefined,
        http: all[':status'] as number | undefined,
        details: Buffer.from(details, 'base64').toString('latin1'),
        rst: stream.rstCode,
        silent: Object.keys(all).length === 0,
      });
    });
  });
}

function ask(
  session: ClientHttp2Session,
  body: Uint8Array | null,
  headers: OutgoingHttpHeaders = {},
): Promise<Said> {
  const stream = session.request({
    ':method': 'POST',
    ':path': METRICS,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const said = read(stream);
  if (body !== null) stream.end(body);
  return said;
}

function closed(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) resolve();
    else session.on('close', () => resolve());
  });
}

describe('headers', () => {
  const refused: readonly (readonly [string, OutgoingHttpHeaders, string, string])[] = [
    [
      'a path that there is not',
      { ':path': '/enclave.EnclaveService/Evil%00' },
      '12',
      'call_unknown',
    ],
    ['the path of a prototype', { ':path': '/__proto__' }, '12', 'call_unknown'],
    ['another method', { ':method': 'PUT' }, '3', 'call_malformed'],
    ['another content type', { 'content-type': 'application/json' }, '3', 'call_malformed'],
    [
      'a content type that begins like ours',
      { 'content-type': 'application/grpc-web' },
      '3',
      'call_malformed',
    ],
    ['gzip', { 'grpc-encoding': 'gzip' }, '12', 'call_compressed'],
    ['deflate', { 'grpc-encoding': 'deflate' }, '12', 'call_compressed'],
    ['a deadline that is none', { 'grpc-timeout': 'soon <script>' }, '3', 'call_malformed'],
  ];

  it.each(refused)('%s', async (_, headers, status, code) => {
    const said = await ask(open(), frame(USER), headers);
    expect(said).toMatchObject({ status, http: 200 });
    expect(said.details).toContain(code);
    expect(said.details).not.toMatch(/Evil|script|proto__/u);
    expect(scene.track.asked).toEqual([]);
  });

  it('more than 8 KiB of them, or more than 64, are not taken', async () => {
    const fine = await ask(open(), frame(USER), { 'x-long': 'x'.repeat(7000) });
    expect(fine.status).toBe('0');
    const large = await ask(open(), frame(USER), { 'x-long': 'x'.repeat(8200) });
    expect(large.status).not.toBe('0');
    const many = Object.fromEntries(
      Array.from({ length: 70 }, (_, index) => [`x-${index}`, 'x'] as const),
    );
    const lots = await ask(open(), frame(USER), many);
    expect(lots.status).not.toBe('0');
    expect(scene.track.asked).toHaveLength(1);
  });
});

/** A request of so many bytes: an unknown field takes the rest. */
function filled(bytes: number): Buffer {
  const rest = Buffer.alloc(bytes - USER.length - 4, 0x20);
  const { length } = rest;
  const low = [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
  return Buffer.concat([USER, Buffer.from([0x7a, ...low]), rest]);
}

describe('messages', () => {
  it(`of ${MAX_REQUEST_BYTES} bytes are read, of one more refused`, async () => {
    expect((await ask(open(), frame(filled(MAX_REQUEST_BYTES)))).status).toBe('0');
    expect((await ask(open(), frame(filled(MAX_REQUEST_BYTES + 1)))).status).toBe('8');
    expect(scene.track.asked).toHaveLength(1);
  });

  it('a length of 4 GiB is refused at its head, before anything is kept for it', async () => {
    const before = process.memoryUsage().rss;
    const said = await ask(open(), Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    expect(said.status).toBe('8');
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024);
  });

  it('a compressed bomb is refused with its headers, and nothing is inflated', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const said = await ask(open(), frame(bomb, 1), { 'grpc-encoding': 'gzip' });
    expect(said).toMatchObject({ status: '12' });
    // Marked as compressed, and no encoding said: it is read as it is.
    const small = gzipSync(USER);
    const marked = await ask(open(), frame(small, 1));
    expect(marked.status).toBe('3');
    expect(scene.track.asked).toEqual([]);
  });

  it.each([
    ['no message', Buffer.alloc(0), '12'],
    ['bytes that are no message', frame(Buffer.from('hello')), '3'],
    ['two messages', Buffer.concat([frame(USER), frame(USER)]), '12'],
    ['half a message', frame(USER).subarray(0, 6), '12'],
  ])('%s', async (_, body, status) => {
    expect((await ask(open(), body)).status).toBe(status);
  });

  it('bytes of a field that are not its own: named as the .proto has it', async () => {
    const said = await ask(open(), frame(Buffer.from([0x0a, 1, 0xff])));
    expect(said.status).toBe('3');
    expect(said.details).toContain('user_uid');
  });
});

describe('streams', () => {
  it(`${MAX_STREAMS_PER_CLIENT} of one client over all its connections, and not one more`, async () => {
    const go = Promise.withResolvers<null>();
    scene.track.wait = async () => {
      await go.promise;
    };
    const waiting: Promise<Said>[] = [];
    for (let index = 0; index < MAX_STREAMS_PER_CLIENT; index++) {
      if (index % 8 === 0) open();
      waiting.push(ask(sessions.at(-1) ?? open(), frame(USER)));
    }
    await expect.poll(() => scene.track.asked.length).toBe(MAX_STREAMS_PER_CLIENT);
    const said = await ask(open(), frame(USER));
    expect(said).toMatchObject({ status: '8' });
    expect(said.details).toContain('call_limit');
    go.resolve(null);
    const done = await Promise.all(waiting);
    expect(done.every(({ status }) => status === '0')).toBe(true);
    expect((await ask(open(), frame(USER))).status).toBe('0');
  });

  it(`${MAX_SYNCS_PER_CLIENT} syncs of one client and ${MAX_SYNCS} of all wait, and take no place of other calls`, async () => {
    const polled = Promise.withResolvers<null>();
    scene.track.wait = async () => {
      await polled.promise;
    };
    const waiting: Promise<Said>[] = [];
    const full = MAX_SYNCS / MAX_SYNCS_PER_CLIENT;
    for (let client = 0; client <= full; client++) {
      scene.certificate = new Uint8Array(32).fill(10 + client);
      const session = open();
      const count = client < full ? MAX_SYNCS_PER_CLIENT : 0;
      for (let at = 0; at < count; at++) waiting.push(ask(session, frame(USER), SYNC));
      await expect.poll(() => scene.track.asked.length).toBe(waiting.length);
      const said = await ask(session, frame(USER), SYNC);
      expect(said).toMatchObject({ status: '8' });
      expect(said.details).toContain('call_limit');
    }
    expect(scene.service.counters['grpc_streams']).toBe(MAX_SYNCS);
    scene.track.wait = () => Promise.resolve();
    for (const session of sessions) expect((await ask(session, frame(USER))).status).toBe('0');
    polled.resolve(null);
    const done = await Promise.all(waiting);
    expect(done.every(({ status }) => status === '0')).toBe(true);
    expect((await ask(open(), frame(USER), SYNC)).status).toBe('0');
  });

  it('rapid reset: who gives up streams without end loses the connection', async () => {
    const session = open();
    await new Promise((resolve) => session.once('connect', resolve));
    const over = closed(session);
    let sent = 0;
    while (!session.closed && !session.destroyed && sent < RESET_BURST * 20) {
      const stream = session.request({
        ':method': 'POST',
        ':path': METRICS,
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
      sent++;
      if (sent % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await over;
    expect(sent).toBeLessThan(RESET_BURST * 20);
    expect(scene.service.counters['grpc_streams']).toBe(0);
  });

  it('PING and SETTINGS without end lose the connection', async () => {
    for (const frameOf of [
      Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
      Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    ]) {
      const socket = await raw();
      const over = new Promise((resolve) => socket.once('close', resolve));
      for (let index = 0; index < MAX_CONTROL_FRAMES + 20; index++) socket.write(frameOf);
      await over;
      expect(socket.destroyed).toBe(true);
    }
  });

  it('frames that are none lose the connection', async () => {
    const socket = await raw();
    const over = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.alloc(4096, 0xff));
    await over;
    expect(socket.destroyed).toBe(true);
  });

  it('bytes that are not HTTP/2 lose the connection', async () => {
    const socket = connect(scene.path);
    sockets.push(socket);
    socket.on('error', () => undefined);
    const over = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await over;
    expect(scene.track.asked).toEqual([]);
  });
});

/** A connection that has said hello, for frames by hand. */
async function raw(): Promise<Socket> {
  const socket = connect(scene.path);
  sockets.push(socket);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.resume();
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  return socket;
}

describe('connections', () => {
  it(`${MAX_CONNECTIONS_PER_CLIENT} of one client, and not one more; another is served`, async () => {
    const held = await Promise.all(Array.from({ length: MAX_CONNECTIONS_PER_CLIENT }, raw));
    const one = open();
    await closed(one);
    held[0]?.destroy();
    await expect
      .poll(async () => {
        const session = open();
        const stream = ask(session, frame(USER));
        const said = await Promise.race([stream, closed(session).then(() => null)]);
        return said?.status;
      })
      .toBe('0');
  });

  it('the other end goes in the middle of a call: its work is aborted, its place is free', async () => {
    const aborted = Promise.withResolvers<null>();
    scene.track.wait = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted.resolve(null);
          resolve();
        });
      });
    const session = open();
    void ask(session, frame(USER));
    await expect.poll(() => scene.track.asked.length).toBe(1);
    session.destroy();
    await aborted.promise;
    await expect.poll(() => scene.service.counters['grpc_streams']).toBe(0);
  });
});
