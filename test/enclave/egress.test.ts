import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TlsOptions } from 'node:tls';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Egress, EgressError } from '../../enclave/egress.ts';
import type { HttpLimits } from '../../enclave/egress-http.ts';
import { EgressHttp } from '../../enclave/egress-http.ts';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { encodeFrame } from '../../wire/frame.ts';
import { encodeDialed } from '../../wire/kms-messages.ts';
import type { MeasuredHost } from '../../wire/manifest.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Transport } from '../../wire/node/transport.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { EgressHost } from '../helpers/egress-host.ts';
import { egressHost } from '../helpers/egress-host.ts';

const HOST = 'kms.example';
const MEASURED: readonly MeasuredHost[] = [
  { host: HOST, port: 443 },
  { host: 'named.example', port: 443, tls_name: HOST },
  { host: 'other.example', port: 443 },
];
const DIALED = encodeFrame(FRAME.dialed, encodeDialed(null));
let authority: TlsAuthority;
let stranger: TlsAuthority;

beforeAll(async () => {
  authority = await TlsAuthority.open(null);
  stranger = await TlsAuthority.open(null);
});

function egressOver(host: EgressHost, roots: string = authority.pem): Egress {
  const pem = utf8(roots);
  const manifest = { hosts: MEASURED, roots_sha256: toHex(nodeCrypto.sha256(pem)) };
  return assertAccepted(Egress.open(nodeCrypto, host.transport, manifest, pem));
}

/** A TLS server that says what it hears. */
async function echo(from = authority, options: TlsOptions = {}): Promise<number> {
  const { keyPem, certificatePem } = await from.issue([HOST]);
  const identity = { key: keyPem, cert: certificatePem };
  const server = createTlsServer({ ...identity, ...options }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function refusalOf(egress: Egress, host: string = HOST, port = 443): Promise<string> {
  try {
    const socket = await egress.connect(host, port);
    socket.destroy();
    return 'connected';
  } catch (error) {
    return error instanceof EgressError ? error.code : String(error);
  }
}

describe('roots.pem', () => {
  it('is the measured one, byte for byte', async () => {
    const host = await egressHost();
    const pem = utf8(authority.pem);
    const manifest = { hosts: MEASURED, roots_sha256: toHex(nodeCrypto.sha256(pem)) };
    const opened = Egress.open(nodeCrypto, host.transport, manifest, utf8(`${authority.pem}\n`));
    expect(opened).toMatchObject({ refusal: { code: 'roots_mismatch' } });
  });

  it.each<[string, () => string]>([
    ['empty: not even what Node trusts by default', () => ''],
    ['of somebody else', () => stranger.pem],
  ])('%s: `tls_untrusted`', async (_, roots) => {
    const host = await egressHost();
    host.routes.set(`${HOST}:443`, await echo());
    expect(await refusalOf(egressOver(host, roots()))).toBe('tls_untrusted');
  });
});

function hashOf({ pem }: TlsAuthority): string {
  return toHex(nodeCrypto.sha256(new X509Certificate(pem).raw));
}

function openWith(host: EgressHost, roots: readonly string[] | undefined): Result<Egress> {
  const pem = utf8(`${authority.pem}\n${stranger.pem}`);
  const hosts = [{ host: HOST, port: 443, roots }];
  const manifest = { hosts, roots_sha256: toHex(nodeCrypto.sha256(pem)) };
  return Egress.open(nodeCrypto, host.transport, manifest, pem);
}

describe('roots of a host', () => {
  it.each<[string, () => readonly string[] | undefined, string]>([
    ['all, where none is chosen', () => undefined, 'connected'],
    ['its own', () => [hashOf(authority)], 'connected'],
    ['its own and another', () => [hashOf(authority), hashOf(stranger)], 'connected'],
    ['another of the same file', () => [hashOf(stranger)], 'tls_untrusted'],
  ])('%s', async (_, roots, outcome) => {
    const host = await egressHost();
    host.routes.set(`${HOST}:443`, await echo());
    expect(await refusalOf(assertAccepted(openWith(host, roots())))).toBe(outcome);
  });

  it('that are not in the file: `roots_mismatch`', async () => {
    const opened = openWith(await egressHost(), [hashOf(authority), '00'.repeat(32)]);
    expect(opened).toMatchObject({ refusal: { code: 'roots_mismatch', detail: { host: HOST } } });
  });
});

describe('a connection', () => {
  it('carries bytes both ways, in slices of at most 32 KiB, and dials what is measured', async () => {
    const host = await egressHost();
    host.routes.set(`${HOST}:443`, await echo());
    const written: number[] = [];
    const transport: Transport = {
      ...host.transport,
      connect: async (port) => {
        const stream = await host.transport.connect(port);
        const write = stream.write.bind(stream) as (...args: readonly unknown[]) => boolean;
        stream.write = (...args: readonly unknown[]) => {
          written.push((args[0] as Uint8Array).length);
          return write(...args);
        };
        return stream;
      },
    };
    const socket = await egressOver({ ...host, transport }).connect(HOST, 443);
    const sent = Buffer.alloc(1_000_000, 'x');
    const parts: Buffer[] = [];
    let length = 0;
    socket.write(sent);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      parts.push(chunk);
      length += chunk.length;
      if (length >= sent.length) break;
    }
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
    expect(host.dials).toEqual([{ host: HOST, port: 443 }]);
    expect(written.reduce((sum, length) => sum + length)).toBeGreaterThan(sent.length);
    expect(Math.max(...written)).toBe(32_768);
    socket.destroy();
  });

  it('goes to no host and port that are not in the manifest, and asks nobody', async () => {
    const host = await egressHost();
    const egress = egressOver(host);
    expect(await refusalOf(egress, HOST, 444)).toBe('host_not_measured');
    expect(await refusalOf(egress, `${HOST}.`)).toBe('host_not_measured');
    expect(await refusalOf(egress, HOST.toUpperCase())).toBe('host_not_measured');
    expect(host.dials).toEqual([]);
  });

  it('is checked against the name in the manifest', async () => {
    const host = await egressHost();
    const port = await echo();
    for (const { host: name } of MEASURED) host.routes.set(`${name}:443`, port);
    const egress = egressOver(host);
    expect(await refusalOf(egress, 'named.example')).toBe('connected');
    expect(await refusalOf(egress, 'other.example')).toBe('tls_untrusted');
  });

  it('takes no TLS below 1.2', async () => {
    const host = await egressHost();
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
    host.routes.set(`${HOST}:443`, await echo(authority, old));
    expect(await refusalOf(egressOver(host))).toBe('tls_untrusted');
  });

  it.each<[string, (host: EgressHost) => void]>([
    ['refuses to dial', (host) => (host.answer = null)],
    ['closes', (host) => (host.answer = (stream) => stream.destroy())],
    ['ends', (host) => (host.answer = (stream) => stream.end())],
    ['closes after DIALED', (host) => (host.answer = (stream) => stream.end(DIALED))],
    [
      'speaks before TLS does',
      (host) => (host.answer = (stream) => stream.write(Buffer.concat([DIALED, Buffer.of(0)]))),
    ],
    [
      'sends another frame',
      (host) => (host.answer = (stream) => stream.write(encodeFrame(FRAME.dial, DIALED))),
    ],
    [
      'announces more than DIALED can have',
      (host) =>
        (host.answer = (stream) => stream.write(encodeFrame(FRAME.dialed, Buffer.alloc(129)))),
    ],
    [
      'sends half an answer',
      (host) => (host.answer = (stream) => stream.end(DIALED.subarray(0, 6))),
    ],
  ])('a host that %s: `egress_refused`', async (_, misbehave) => {
    const host = await egressHost();
    misbehave(host);
    expect(await refusalOf(egressOver(host))).toBe('egress_refused');
  });

  it('a host that plays the server itself: `tls_untrusted`', async () => {
    const host = await egressHost();
    host.routes.set(`${HOST}:443`, await echo(stranger));
    expect(await refusalOf(egressOver(host))).toBe('tls_untrusted');
  });

  it('without a listener on the host: `egress_refused`', async () => {
    const host = await egressHost();
    const transport = { ...host.transport, connect: () => Promise.reject(new Error('ENOENT')) };
    expect(await refusalOf(egressOver({ ...host, transport }))).toBe('egress_refused');
  });
});

type Request = Parameters<EgressHttp['handle']>[0];
const requestOf = (protocol: string): Request =>
  ({ protocol, hostname: HOST, port: 443, method: 'GET', path: '/a', headers: {} }) as Request;

const drip: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-length': '100' });
  response.write('x');
};
const cut: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-length': '100' });
  response.write('x', () => response.destroy());
};

describe('an answer over HTTP', () => {
  const LIMITS: HttpLimits = { timeoutMs: 20_000, maxAnswerBytes: 1000, maxConnections: 2 };

  async function ask(answer: RequestListener, limits: Partial<HttpLimits> = {}): Promise<string> {
    const host = await egressHost();
    const { keyPem, certificatePem } = await authority.issue([HOST]);
    const server = createServer({ key: keyPem, cert: certificatePem }, answer);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const http = new EgressHttp(egressOver(host), { ...LIMITS, ...limits });
    onTestFinished(() => {
      http.destroy();
      server.closeAllConnections();
      server.close();
    });
    host.routes.set(`${HOST}:443`, (server.address() as AddressInfo).port);
    try {
      const { response } = await http.handle(requestOf('https:'));
      const chunks: Buffer[] = [];
      for await (const chunk of response.body as AsyncIterable<Buffer>) chunks.push(chunk);
      return `${response.statusCode} ${Buffer.concat(chunks).length}`;
    } catch (error) {
      return error instanceof EgressError ? error.code : (error as Error).name;
    }
  }

  it.each([
    [0, '200 0'],
    [999, '200 999'],
    [1000, '200 1000'],
    [1001, 'frame_too_large'],
    [64 * 1024 * 1024, 'frame_too_large'],
  ])('of %i bytes, at most 1000: %s', async (length, outcome) => {
    expect(await ask((_, response) => response.end(Buffer.alloc(length)))).toBe(outcome);
  });

  it('that redirects is not followed', async () => {
    let requests = 0;
    const outcome = await ask((_, response) => {
      requests++;
      response.writeHead(307, { location: `https://${HOST}/b` }).end();
    });
    expect([outcome, requests]).toEqual(['307 0', 1]);
  });

  it('that never comes, or never ends, ends at the deadline', async () => {
    expect(await ask(() => undefined, { timeoutMs: 300 })).toBe('AbortError');
    expect(await ask(drip, { timeoutMs: 300 })).toMatch(/^(?:AbortError|Error)$/u);
  });

  it('that is cut is no answer', async () => {
    expect(await ask(cut)).toBe('Error');
  });

  it('is not asked for without TLS', async () => {
    const host = await egressHost();
    const http = new EgressHttp(egressOver(host), LIMITS);
    await expect(http.handle(requestOf('http:'))).rejects.toMatchObject({
      code: 'host_not_measured',
    });
    expect(host.dials).toEqual([]);
  });
});
