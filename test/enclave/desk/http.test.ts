import { X509Certificate } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { HttpAnswer, HttpLimits, HttpRequest } from '../../../enclave/desk/http.ts';
import { Http, HTTP_LIMITS, HttpError } from '../../../enclave/desk/http.ts';
import { Egress } from '../../../enclave/egress.ts';
import { TlsAuthority } from '../../../simulator/kms/authority.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { EgressHost } from '../../helpers/egress-host.ts';
import { egressHost } from '../../helpers/egress-host.ts';

const HOST = 'api.example';
const LIMITS: HttpLimits = {
  ...HTTP_LIMITS,
  firstByteMs: 5000,
  silenceMs: 5000,
  maxBodyBytes: 1000,
  maxInflatedBytes: 2000,
};
let authority: TlsAuthority;
let stranger: TlsAuthority;

beforeAll(async () => {
  authority = await TlsAuthority.open(null);
  stranger = await TlsAuthority.open(null);
});

interface Scene {
  readonly http: Http;
  readonly host: EgressHost;
  readonly server: Server;
  readonly spki: string;
  /** TCP connections that the server has seen. */
  readonly connections: Set<Socket>;
}

async function scene(
  answer: RequestListener,
  limits: Partial<HttpLimits> = {},
  from = authority,
): Promise<Scene> {
  const host = await egressHost();
  const { keyPem, certificatePem } = await from.issue([HOST]);
  const server = createServer({ key: keyPem, cert: certificatePem }, answer);
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => connections.add(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  host.routes.set(`${HOST}:443`, (server.address() as AddressInfo).port);
  const pem = utf8(authority.pem);
  const manifest = {
    hosts: [{ host: HOST, port: 443 }],
    roots_sha256: toHex(nodeCrypto.sha256(pem)),
  };
  const egress = assertAccepted(Egress.open(nodeCrypto, host.transport, manifest, pem));
  const http = new Http(egress, { ...LIMITS, ...limits });
  onTestFinished(() => {
    http.close();
    server.closeAllConnections();
    server.close();
  });
  const key = new X509Certificate(certificatePem).publicKey;
  const spki = toHex(nodeCrypto.sha256(key.export({ type: 'spki', format: 'der' })));
  return { http, host, server, spki, connections };
}

const GET: HttpRequest = {
  method: 'GET',
  host: HOST,
  port: 443,
  target: '/a?b=c',
  headers: new Map(),
  body: null,
};
const NEVER = new AbortController().signal;

async function bodyOf(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

/** Status and length of the answer, or the class of what became of it. */
async function ask(
  { http }: Scene,
  request: Partial<HttpRequest> = {},
  signal: AbortSignal = NEVER,
): Promise<string> {
  try {
    const answer = await http.send({ ...GET, ...request }, signal);
    return `${answer.status} ${(await bodyOf(answer)).length}`;
  } catch (error) {
    return error instanceof HttpError ? error.errorClass : String(error);
  }
}

describe('a request', () => {
  it('goes out as it is, with its own framing, and names the key that answered', async () => {
    const seen: unknown[] = [];
    const { http, spki } = await scene((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push(request.method, request.url, request.headers, Buffer.concat(chunks).toString());
        response.writeHead(201, { 'x-weight': '7', 'set-cookie': 'a=b' }).end('hello');
      });
    });
    const answer = await http.send(
      {
        ...GET,
        method: 'POST',
        headers: new Map([
          ['X-Key', 'k'],
          ['Host', 'evil.example'],
          ['Content-Length', '999'],
          ['Transfer-Encoding', 'chunked'],
          ['accept-encoding', 'zstd'],
        ]),
        body: utf8('nonce=1'),
      },
      NEVER,
    );
    expect([answer.status, await bodyOf(answer), toHex(answer.spkiHash)]).toEqual([
      201,
      'hello',
      spki,
    ]);
    expect(answer.headers.get('x-weight')).toBe('7');
    expect(answer.headers.has('set-cookie')).toBe(false);
    expect(seen[0]).toBe('POST');
    expect(seen[1]).toBe('/a?b=c');
    expect(seen[2]).toEqual({
      host: HOST,
      connection: 'keep-alive',
      'content-length': '7',
      'accept-encoding': 'gzip, deflate, br',
      'x-key': 'k',
    });
    expect(seen[3]).toBe('nonce=1');
  });

  it('reuses connections, at most so many a host', async () => {
    let open = 0;
    let most = 0;
    const one = await scene(
      (_, response) => {
        most = Math.max(most, ++open);
        setTimeout(() => {
          open--;
          response.end('x');
        }, 20);
      },
      { connectionsPerHost: 2 },
    );
    expect(await ask(one)).toBe('200 1');
    expect(await ask(one)).toBe('200 1');
    expect(one.connections.size).toBe(1);
    expect(await Promise.all(Array.from({ length: 9 }, () => ask(one)))).toEqual(
      Array.from({ length: 9 }, () => '200 1'),
    );
    expect([most, one.connections.size]).toEqual([2, 2]);
    expect(one.http.counters).toEqual({ http_requests: 11, http_reused: 9, http_failed: 0 });
  });

  it('to a host and port that are not measured is not sent', async () => {
    const one = await scene((_, response) => response.end());
    expect(await ask(one, { host: 'other.example' })).toBe('host_not_allowed');
    expect(await ask(one, { port: 8443 })).toBe('host_not_allowed');
    expect(one.host.dials).toEqual([]);
  });

  it('is not sent to a server of another authority', async () => {
    let requests = 0;
    const one = await scene(() => requests++, {}, stranger);
    expect([await ask(one), requests]).toEqual(['tls_untrusted', 0]);
  });

  it('that the host does not carry is a matter of the network', async () => {
    const one = await scene((_, response) => response.end());
    one.host.routes.clear();
    expect(await ask(one)).toBe('network');
  });

  it('can be given up', async () => {
    const one = await scene(() => undefined);
    const abort = new AbortController();
    setTimeout(() => {
      abort.abort();
    }, 50);
    expect(await ask(one, {}, abort.signal)).toBe('timeout');
    expect(await ask(one, {}, AbortSignal.abort())).toBe('timeout');
  });
});

describe('an answer', () => {
  it.each([
    [999, '200 999'],
    [1000, '200 1000'],
    [1001, 'too_large'],
    [64 * 1024 * 1024, 'too_large'],
  ])('of %i bytes, at most 1000: %s', async (length, outcome) => {
    expect(await ask(await scene((_, response) => response.end(Buffer.alloc(length))))).toBe(
      outcome,
    );
  });

  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('in %s is inflated, up to its own maximum', async (encoding, compress) => {
    const outcomes: string[] = [];
    for (const length of [0, 1999, 2000, 2001, 32 * 1024 * 1024]) {
      const packed = compress(Buffer.alloc(length));
      const one = await scene(
        (_, response) => {
          response.setHeader('content-encoding', encoding);
          response.end(packed);
        },
        { maxBodyBytes: 1024 * 1024 },
      );
      outcomes.push(await ask(one));
    }
    expect(outcomes).toEqual(['200 0', '200 1999', '200 2000', 'too_large', 'too_large']);
  });

  it('that is small inflated and large on the wire is refused as well', async () => {
    const one = await scene((_, response) => {
      response.setHeader('content-encoding', 'gzip');
      // Members of nothing.
      response.end(Buffer.concat(Array.from({ length: 60 }, () => gzipSync(Buffer.alloc(0)))));
    });
    expect(await ask(one)).toBe('too_large');
  });

  it.each<[string, RequestListener, string]>([
    [
      'in an encoding that nobody asked for',
      (_, response) => response.setHeader('content-encoding', 'zstd').end('x'),
      'bad_response',
    ],
    [
      'in two encodings',
      (_, response) => response.setHeader('content-encoding', 'gzip, gzip').end('x'),
      'bad_response',
    ],
    [
      'that is no gzip',
      (_, response) => response.setHeader('content-encoding', 'gzip').end('hello, world'),
      'bad_response',
    ],
    [
      'of half a gzip',
      (_, response) =>
        response.setHeader('content-encoding', 'gzip').end(gzipSync('hello').subarray(0, 20)),
      'network',
    ],
    [
      'that redirects',
      (_, response) => response.writeHead(302, { location: `https://${HOST}/b` }).end(),
      'redirected',
    ],
    [
      'with a head of 20 KiB',
      (_, response) => response.setHeader('x-large', 'x'.repeat(20_000)).end(),
      'too_large',
    ],
    ['that is reset', (request) => request.socket.destroy(), 'network'],
    [
      'that is cut',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('x', () => response.destroy());
      },
      'network',
    ],
    [
      'that is cut in a chunk',
      (_, response) => {
        response.write('x', () => response.destroy());
      },
      'network',
    ],
    ['that is no HTTP', (request) => request.socket.end('hello\r\n\r\n'), 'bad_response'],
    [
      'that changes the protocol',
      (request) =>
        request.socket.end('HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
      'bad_response',
    ],
    [
      'with two lengths',
      (request) =>
        request.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'),
      'bad_response',
    ],
  ])('%s', async (_, answer, outcome) => {
    expect(await ask(await scene(answer))).toBe(outcome);
  });

  it('that changes the protocol leaves no connection behind', async () => {
    const one = await scene((request) =>
      request.socket.write('HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    );
    expect(await ask(one)).toBe('bad_response');
    await expect.poll(() => [...one.connections].map(({ destroyed }) => destroyed)).toEqual([true]);
  });

  it.each<[string, RequestListener, Partial<HttpLimits>]>([
    ['never comes', () => undefined, { firstByteMs: 200 }],
    [
      'falls silent',
      (_, response) => {
        response.write('x');
      },
      { silenceMs: 200 },
    ],
    [
      'drips for longer than it may',
      (_, response) => {
        const timer = setInterval(() => response.write('x'), 20);
        response.on('close', () => {
          clearInterval(timer);
        });
      },
      { totalMs: 400 },
    ],
  ])('that %s: timeout', async (_, answer, limits) => {
    expect(await ask(await scene(answer, limits))).toBe('timeout');
  });

  it('waits while nobody takes it, and ends with whoever leaves', async () => {
    const sent = Buffer.alloc(8 * 1024 * 1024);
    const one = await scene((_, response) => response.end(sent), {
      maxBodyBytes: sent.length,
      maxInflatedBytes: sent.length,
      silenceMs: 300,
    });
    const answer = await one.http.send(GET, NEVER);
    let taken = 0;
    for await (const chunk of answer.body) {
      taken += chunk.length;
      if (taken === chunk.length) {
        await new Promise((resolve) => {
          setTimeout(resolve, 600);
        });
      }
      if (taken > 1024 * 1024) break;
    }
    expect(taken).toBeLessThan(sent.length);
    const [socket] = one.connections;
    await expect.poll(() => socket?.destroyed).toBe(true);
  });
});
