import { request } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SlicedStream } from '../../wire/node/sliced-stream.ts';
import { checkPolicy } from '../../wire/attestation/policy.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseUserData } from '../../wire/attestation/parse-user-data.ts';
import { verifyAttestation } from '../../wire/attestation/verify.ts';
import { toHex } from '../../wire/bytes.ts';
import { parseHeader } from '../../wire/header.ts';
import { MAX_WRITE_BYTES } from '../../wire/limits.ts';
import { FRAME, PORT } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { unixTransport } from '../../wire/node/unix.ts';
import { CLOSE_REASON } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { HostOptions, TestHost } from '../helpers/enclave-host.ts';
import { newNsm, startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { measurements, simulatedRoot, testBatch } from '../helpers/epoch-builder.ts';

vi.setConfig({ testTimeout: 20_000 });

const NONCE = 'ab'.repeat(32);

function tlsTo(host: TestHost): TLSSocket {
  const socket = connect({ socket: host.dial(PORT.https), rejectUnauthorized: false });
  socket.on('error', () => null);
  return socket;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** One request on a TLS connection of its own. */
function ask(host: TestHost, path: string, how: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {} } = how;
    const sent = request(
      { path, method, headers, createConnection: () => tlsTo(host) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const { statusCode: status = 0, headers: received } = response;
          resolve({ status, headers: received, body: Buffer.concat(chunks) });
        });
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(how.body);
  });
}

const json = (answer: Answer): unknown => JSON.parse(answer.body.toString('utf8'));

async function started(options: HostOptions = {}): Promise<TestHost> {
  const host = await startHost(options);
  await host.ready();
  return host;
}

describe('connections', () => {
  it('that their callers have ended before a handshake keep no place', async () => {
    const host = await started();
    for (let index = 0; index < 300; index++) host.dial(PORT.https).resume().end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await ask(host, '/health')).status).toBe(200);
  });
});

describe('connections that break', () => {
  it('before, in and after the handshake harm nobody', async () => {
    const host = await started();
    const broken = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    for (let index = 0; index < 300; index++) {
      const [enclave, stream] = duplexPair();
      host.handOver(PORT.https, enclave);
      stream.on('error', () => undefined);
      if (index % 3 === 1) stream.write(Buffer.from('160301020001', 'hex'));
      if (index % 3 === 2) {
        const socket = connect({ socket: stream, rejectUnauthorized: false });
        socket.on('error', () => undefined);
        if (index % 2 === 0) await new Promise((resolve) => socket.once('secureConnect', resolve));
        socket.write('GET /health HTTP/1.1\r\n');
      }
      enclave.destroy(broken);
      stream.destroy();
    }
    expect((await ask(host, '/health')).status).toBe(200);
  });
});

describe('GET /attestation', () => {
  it('answers a document over the last acknowledged head, bound to the TLS key', async () => {
    const host = await started();
    await host.connectFeed();
    host.acknowledge = false;
    const acknowledged = host.tree.size;
    host.feed?.send(FRAME.batch, testBatch(0, 1_700_000_000_000_000_000n, STREAM_A));
    await host.until(() => host.tree.size > acknowledged);
    const answer = await ask(host, `/attestation?nonce=${NONCE}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/cbor');
    expect(answer.headers['cache-control']).toBe('no-store');
    const rootDer = (await simulatedRoot()).certificateDer;
    const verified = assertAccepted(
      verifyAttestation(nodeCrypto, new Uint8Array(answer.body), { rootDer }),
    );
    const header = assertAccepted(parseHeader(host.open(0)));
    assertAccepted(
      checkPolicy(nodeCrypto, verified, {
        pcrs: measurements,
        nonce: new Uint8Array(32).fill(0xab),
        purpose: PURPOSE.challenge,
        origin: header.origin,
        configDigest: header.configurationDigest,
        publicKey: header.logKey,
      }),
    );
    const userData = assertAccepted(parseUserData(verified.document.userData ?? new Uint8Array()));
    expect(userData.head?.size).toBe(acknowledged);
    expect(toHex(userData.head?.root ?? new Uint8Array())).toBe(
      toHex(host.tree.root(acknowledged)),
    );
    const socket = tlsTo(host);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
    const hash = toHex(nodeCrypto.sha256(new Uint8Array(spki ?? [])));
    expect(hash).toBe(toHex(userData.tlsKeyHash ?? new Uint8Array()));
    expect(hash).toBe(toHex(header.tlsKeyHash));
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.getPeerX509Certificate()?.subjectAltName).toBe('DNS:localhost');
    socket.destroy();
  });

  it('takes nonces of 16 to 64 bytes in lower-case hex, and one parameter', async () => {
    const host = await started();
    for (const bytes of [16, 17, 63, 64]) {
      const { status } = await ask(host, `/attestation?nonce=${'0f'.repeat(bytes)}`);
      expect({ bytes, status }).toEqual({ bytes, status: 200 });
    }
    const wrong = [
      '/attestation',
      '/attestation?',
      '/attestation?nonce=',
      `/attestation?nonce=${'0f'.repeat(15)}`,
      `/attestation?nonce=${'0f'.repeat(65)}`,
      `/attestation?nonce=${'0f'.repeat(16)}0`,
      `/attestation?nonce=${'0F'.repeat(16)}`,
      `/attestation?nonce=${'0f'.repeat(16)}&nonce=${'0f'.repeat(16)}`,
      `/attestation?nonce=${'0f'.repeat(16)}&x=1`,
      `/attestation?x=1&nonce=${'0f'.repeat(16)}`,
      `/attestation?nonce=${'%30%66'.repeat(16)}`,
      `/attestation?NONCE=${'0f'.repeat(16)}`,
    ];
    for (const path of wrong) {
      const answer = await ask(host, path);
      expect({ path, status: answer.status, body: json(answer) }).toMatchObject({
        path,
        status: 400,
        body: { error: 'nonce_invalid' },
      });
    }
  });

  it('is limited to the configured rate', async () => {
    const limits = { clock_divergence_ms: 600_000, attestations_per_second: 3 };
    // A clock that hardly moves, so that the bucket does not fill while a busy machine answers.
    let monotonicNs = 0n;
    const clock = {
      wallNs: () => BigInt(Date.now()) * 1_000_000n,
      monotonicNs: () => (monotonicNs += 1000n),
    };
    const host = await started({ configuration: { limits }, clock });
    const answers: Answer[] = [];
    for (let count = 0; count < 6; count++) {
      answers.push(await ask(host, `/attestation?nonce=${NONCE}`));
    }
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429, 429]);
    expect(JSON.parse(answers[3]?.body.toString('utf8') ?? '')).toMatchObject({
      error: 'rate_limited',
      code: 'RATE_LIMIT_EXCEEDED',
    });
    // The rest of the service is not.
    expect((await ask(host, '/health')).status).toBe(200);
  });

  it('waits for the NSM in a short queue', async () => {
    const real = await newNsm();
    const stall = Promise.withResolvers<null>();
    let stalled = false;
    const nsmDevice = {
      request: async (bytes: Uint8Array): Promise<Uint8Array> => {
        if (stalled) await stall.promise;
        return real.request(bytes);
      },
    };
    const host = await started({ nsmDevice });
    stalled = true;
    const answers: Answer[] = [];
    const asking = Array.from({ length: 20 }, async () => {
      answers.push(await ask(host, `/attestation?nonce=${NONCE}`));
    });
    await vi.waitUntil(() => answers.length === 4);
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 429, 429]);
    stall.resolve(null);
    await Promise.all(asking);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(16);
  });

  it('says when the NSM fails, and goes on', async () => {
    const real = await newNsm();
    let broken = false;
    const nsmDevice = {
      request: (bytes: Uint8Array): Promise<Uint8Array> =>
        broken ? Promise.reject(new Error('EIO')) : real.request(bytes),
    };
    const host = await started({ nsmDevice });
    broken = true;
    const answer = await ask(host, `/attestation?nonce=${NONCE}`);
    expect(answer.status).toBe(503);
    expect(json(answer)).toMatchObject({ error: 'nsm_unavailable', code: 'ATTESTATION_FAILED' });
    broken = false;
    expect((await ask(host, `/attestation?nonce=${NONCE}`)).status).toBe(200);
  });
});

const MALFORMED =
  /^\{"error":"message_malformed","message":"[^"]+","code":"[A-Z_]+","request_id":"[0-9a-f]{32}","timestamp":"[^"]+"\}\n$/u;
const HEALTHY = /^\{"status":"ready",.*\}\n$/u;

describe('other requests', () => {
  it('readiness ends while the log stalls, and health shows what is acknowledged', async () => {
    const host = await started({ timeouts: { logStallMs: 20 } });
    await host.connectFeed();
    host.acknowledge = false;
    const size = host.tree.size;
    host.feed?.send(FRAME.batch, testBatch(0, 1_700_000_000_000_000_000n, STREAM_A));
    await host.until(() => host.diagnostics.some(({ code }) => code === 'log_stalled'));
    const waiting = await ask(host, '/ready');
    expect([waiting.status, json(waiting)]).toMatchObject([503, { error: 'log_stalled' }]);
    const health = await ask(host, '/health');
    expect(health.status).toBe(200);
    expect(json(health)).toMatchObject({ status: 'log_stalled', acknowledged_size: size });
    expect((await ask(host, `/attestation?nonce=${NONCE}`)).status).toBe(200);
    host.acknowledge = true;
    host.ackAll();
    await host.until(() => host.diagnostics.some(({ code }) => code === 'resumed'));
    expect((await ask(host, '/ready')).status).toBe(200);
    expect(json(await ask(host, '/health'))).toMatchObject({ status: 'ready' });
  });

  it('health and readiness', async () => {
    const host = await started();
    const health = await ask(host, '/health');
    expect(health.status).toBe(200);
    expect(json(health)).toEqual({
      status: 'ready',
      epoch: 1,
      origin: 'trackseal.test/log/e0000000001',
      acknowledged_size: host.tree.size,
    });
    expect((await ask(host, '/ready')).status).toBe(200);
    host.acknowledge = false;
    host.enclave.close(CLOSE_REASON.signal);
    const closing = await ask(host, '/ready');
    expect(closing.status).toBe(503);
    expect(json(closing)).toMatchObject({ error: 'not_ready' });
    expect((await ask(host, '/health')).status).toBe(200);
    host.acknowledge = true;
    host.ackAll();
    await host.end;
  });

  it('to other paths or with other methods get their code', async () => {
    const host = await started();
    for (const path of ['/', '/attestations', '/health?x', '/health/', '/%68ealth', '*']) {
      const answer = await ask(host, path);
      expect({ path, status: answer.status, body: json(answer) }).toMatchObject({
        path,
        status: 404,
        body: { error: 'not_found' },
      });
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask(host, '/health', { method });
      expect({ method, status: answer.status }).toEqual({ method, status: 405 });
      expect(answer.headers['allow']).toBe('GET');
      expect(json(answer)).toMatchObject({ error: 'method_not_allowed' });
    }
  });

  it('with a body are refused without reading it', async () => {
    const host = await started();
    const chunked = await ask(host, '/health', { method: 'POST', body: 'x'.repeat(100_000) });
    expect(chunked.status).toBe(400);
    expect(chunked.headers['connection']).toBe('close');
  });

  it.each([
    ['no host', '', 400, MALFORMED],
    ['an expectation of nobody', 'Host: x\r\nExpect: nonsense\r\n', 200, HEALTHY],
    ['a body to come', 'Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n', 400, MALFORMED],
    ['no body to come', 'Host: x\r\nExpect: 100-continue\r\n', 200, HEALTHY],
  ])('with %s are answered in our form, not in node’s', async (_, headers, status, body) => {
    const host = await started();
    const socket = tlsTo(host);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(`GET /health HTTP/1.1\r\nConnection: close\r\n${headers}\r\n`);
    await new Promise((resolve) => socket.once('close', resolve));
    const text = Buffer.concat(chunks).toString('latin1');
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `, 'u'));
    expect(text).toContain('cache-control: no-store');
    expect(text.split('HTTP/1.1 ')).toHaveLength(2);
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toMatch(body);
  });

  it('with endless headers are cut off', async () => {
    const host = await started();
    const headers = { 'x-long': 'x'.repeat(9000) };
    const refused = await ask(host, '/health', { headers }).catch(() => 'cut off');
    expect(refused).toBe('cut off');
    expect((await ask(host, '/health')).status).toBe(200);
  });

  it('that are no TLS or no HTTP harm nobody', async () => {
    const host = await started();
    const plain = host.dial(PORT.https);
    plain.write('GET /health HTTP/1.1\r\n\r\n');
    const closed = new Promise((resolve) => plain.once('close', resolve));
    plain.resume();
    await closed;
    const socket = tlsTo(host);
    socket.write('nonsense\r\n\r\n');
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await ask(host, '/health')).status).toBe(200);
  });

  it('one connection carries several requests', async () => {
    const host = await started();
    const socket = tlsTo(host);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /ready HTTP/1.1\r\nhost: x\r\n\r\n');
    await vi.waitUntil(() => text.split('HTTP/1.1 200').length === 3);
    expect(text).toContain('"status":"ready"');
    socket.destroy();
  });
});

describe('connections', () => {
  it('are at most 256, and free again when they end', async () => {
    const host = await started();
    const open = Array.from({ length: 256 }, () => host.dial(PORT.https));
    const refused = host.dial(PORT.https);
    await new Promise((resolve) => {
      refused.once('close', resolve);
      refused.resume();
    });
    for (const stream of open) stream.destroy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await ask(host, '/health')).status).toBe(200);
  });

  it('live 30 seconds at most', async () => {
    const host = await started();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const stream = host.dial(PORT.https);
      const closed = new Promise((resolve) => {
        stream.once('close', resolve);
        stream.resume();
      });
      await vi.advanceTimersByTimeAsync(29_999);
      expect(stream.destroyed).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      await closed;
    } finally {
      vi.useRealTimers();
    }
  });

  it('write slices of at most 32 KiB', async () => {
    const writes: number[] = [];
    const received: Buffer[] = [];
    const under = new Duplex({
      read: () => null,
      write: (chunk: Buffer, _, done) => {
        writes.push(chunk.length);
        received.push(chunk);
        setImmediate(done);
      },
    });
    const sliced = new SlicedStream(under, { allowHalfOpen: false });
    const sizes = [1, MAX_WRITE_BYTES - 1, MAX_WRITE_BYTES, MAX_WRITE_BYTES + 1, 100_000];
    const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1));
    for (const chunk of chunks) sliced.write(chunk);
    await new Promise<void>((resolve) => sliced.end(resolve));
    expect(Math.max(...writes)).toBe(MAX_WRITE_BYTES);
    expect(Buffer.concat(received).equals(Buffer.concat(chunks))).toBe(true);
  });
});

describe('over Unix sockets', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ts-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('TLS keeps to the slices, with real backpressure', async () => {
    const transport = unixTransport(directory);
    const writes: number[] = [];
    const host = await started();
    // A tunnel as the host's ingress is one: bytes from the socket to the enclave's stream and back.
    const listener = await transport.listen(PORT.https, (socket) => {
      const tunnel = host.dial(PORT.https);
      tunnel.on('data', (chunk: Buffer) => writes.push(chunk.length));
      socket.pipe(tunnel).pipe(socket);
      socket.on('error', () => null);
    });
    const socket = connect({
      path: join(directory, String(PORT.https)),
      rejectUnauthorized: false,
    });
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    const answered = (): number => text.split('HTTP/1.1 200').length - 1;
    for (let count = 10; count <= 250; count += 10) {
      for (let more = 0; more < 10; more++) {
        socket.write(`GET /attestation?nonce=${NONCE} HTTP/1.1\r\nhost: x\r\n\r\n`);
      }
      await vi.waitUntil(() => answered() === count);
    }
    expect(Math.max(...writes)).toBeLessThanOrEqual(MAX_WRITE_BYTES);
    expect(writes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(1_000_000);
    socket.destroy();
    await listener.close();
  });
});
