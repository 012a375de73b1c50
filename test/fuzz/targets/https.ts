// enclave/desk/https.ts with node's own HTTP parser under our limits. `https`: the bytes of HTTP, without TLS; the
// first byte of an input picks what the enclave has to say. `tls`: the bytes of a connection before that.

import { readFileSync } from 'node:fs';
import { Server } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { duplexPair } from 'node:stream';
import { createGuard } from '../../../enclave/fatal.ts';
import { HttpsService } from '../../../enclave/desk/https.ts';
import type { HttpsServices } from '../../../enclave/desk/https.ts';
import { generateTlsKey } from '../../../enclave/desk/keys.ts';
import { createCertificate } from '../../../enclave/desk/tls-certificate.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { isRefusalCode } from '../../../wire/codes.ts';
import type { Transport } from '../../../wire/node/transport.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { testConfiguration } from '../../helpers/epoch-header.ts';
import { mix, mutateBytes, withSelector } from '../mutate/bytes.ts';
import { mutateHttp } from '../mutate/http.ts';
import type { Target } from '../target.ts';
import { expectThat } from '../target.ts';
import type { Answer } from './http-answers.ts';
import { converse, piecesOf, readAnswers } from './http-answers.ts';

const ORIGIN = 'trackseal.test/log/e0000000001';
const DOCUMENT = Buffer.from('an attestation document');
const NONCE = '0f'.repeat(32);
const SECOND_NS = 1_000_000_000n;
/** Bits of the first byte. */
const STATE = { notReady: 1, stalled: 2, noHead: 4, nsmFails: 8 } as const;
const STATES = 16;

interface Harness {
  readonly service: HttpsService;
  readonly accept: (stream: Duplex) => void;
  state: number;
  fatal: string | null;
}

async function startService(): Promise<Harness> {
  let nowNs = 0n;
  const harness: { state: number; fatal: string | null } = { state: 0, fatal: null };
  const is = (bit: number): boolean => (harness.state & bit) !== 0;
  const services: HttpsServices = {
    nowNs: () => (nowNs += SECOND_NS / 100n),
    attest: () => Promise.resolve(is(STATE.nsmFails) ? refuse('nsm_error') : accept(DOCUMENT)),
    guard: createGuard((code) => {
      harness.fatal = code;
    }),
    configuration: testConfiguration(),
    epoch: 1,
    origin: ORIGIN,
    isReady: () => !is(STATE.notReady),
    logStalled: () => is(STATE.stalled),
    acknowledgedSize: () => (is(STATE.noHead) ? 0 : 12),
  };
  const key = generateTlsKey();
  const certificate = await createCertificate(key, ['localhost'], Date.now());
  const service = new HttpsService(services, key, certificate);
  const listeners: ((stream: Duplex) => void)[] = [];
  const transport: Transport = {
    connect: () => Promise.reject(new Error('the enclave connects to nobody here')),
    listen: (_, listener) => {
      listeners.push(listener);
      return Promise.resolve({ close: () => Promise.resolve() });
    },
  };
  await service.listen(transport);
  return Object.assign(harness, {
    service,
    accept: (stream: Duplex) => {
      for (const listener of listeners) listener(stream);
    },
  });
}

const ERRORS: ReadonlyMap<number, readonly string[]> = new Map([
  [400, ['message_malformed', 'nonce_invalid']],
  [404, ['not_found']],
  [405, ['method_not_allowed']],
  [429, ['rate_limited']],
  [503, ['not_ready', 'log_stalled', 'nsm_error']],
]);

function checkAnswer({ status, headers, body }: Answer): string {
  expectThat(headers.get('x-content-type-options') === 'nosniff', 'an answer of another form');
  expectThat(headers.get('cache-control') === 'no-store', 'an answer that may be cached');
  expectThat(headers.has('content-length'), 'an answer of unknown length');
  if (headers.get('content-type') === 'application/cbor') {
    expectThat(status === 200 && body.equals(DOCUMENT), 'another document');
    return 'document';
  }
  if (body.length === 0) return String(status);
  const value = JSON.parse(body.toString('utf8')) as Record<string, unknown>;
  if (status === 200) {
    expectThat(typeof value['status'] === 'string', 'an answer that says nothing');
    return `${status} ${value['status'] as string}`;
  }
  const { error } = value;
  expectThat(typeof error === 'string' && isRefusalCode(error), 'an error without a code');
  expectThat(ERRORS.get(status)?.includes(String(error)) === true, `${status} with another code`);
  return `${status} ${String(error)}`;
}

/** Past TLS: what a connection carries is given to the HTTP server as if it had been decrypted. */
function skipTls(): void {
  const emit = Reflect.get(Server.prototype, 'emit') as Server['emit'];
  Server.prototype.emit = function emitPlain(event: string, ...rest: unknown[]): boolean {
    return emit.call(this, event === 'connection' ? 'secureConnection' : event, ...rest);
  };
}

const PATHS = [
  '/health',
  '/ready',
  '/attestation',
  `/attestation?nonce=${NONCE}`,
  `/attestation?nonce=${'0f'.repeat(15)}`,
  `/attestation?nonce=${'0f'.repeat(64)}`,
  `/attestation?nonce=${'0f'.repeat(65)}`,
  '/attestations',
  '/health?x',
];

function request(line: string, ...headers: readonly string[]): Uint8Array {
  return utf8([line, 'Host: x', ...headers, '', ''].join('\r\n'));
}

function checkService({ service, fatal }: Harness): void {
  expectThat(fatal === null, `a request ends the enclave: ${fatal ?? ''}`);
  expectThat(service.counters['https_refused'] === 0, 'connections that are over keep their place');
}

export async function httpsTarget(): Promise<Target> {
  skipTls();
  const harness = await startService();
  const good = `GET /attestation?nonce=${NONCE} HTTP/1.1`;
  const requests = [
    ...PATHS.map((path) => request(`GET ${path} HTTP/1.1`)),
    request('POST /health HTTP/1.1', 'Content-Length: 3'),
    request('POST /ready HTTP/1.1', 'Transfer-Encoding: chunked'),
    request('HEAD /health HTTP/1.1', 'Connection: close'),
    utf8(`${good}\r\nHost: x\r\n\r\n`.repeat(8)),
  ];
  return {
    name: 'https',
    files: ['enclave/desk/https.ts', 'wire/node/sliced-stream.ts', 'enclave/desk/rate-limit.ts'],
    maxBytes: 100_000,
    seeds: requests.flatMap((bytes) =>
      [0, STATE.notReady, STATE.noHead, STATE.nsmFails].map(
        (state) => new Uint8Array([state, ...bytes]),
      ),
    ),
    mutate: withSelector(STATES, mix([6, mutateHttp(PATHS)], [1, mutateBytes])),
    run: async (input) => {
      harness.state = input[0] ?? 0;
      const received = await converse(harness.accept, piecesOf(input.subarray(1)));
      const outcomes = readAnswers(received).map((answer) => checkAnswer(answer));
      checkService(harness);
      return [...new Set(outcomes)].slice(0, 3).join(' ');
    },
    maxSteps: { base: 100_000, perByte: 100 },
  };
}

/** A whole request over TLS: the service is as good as before. */
async function askOverTls({ accept: serve }: Harness): Promise<string> {
  const [server, client] = duplexPair();
  server.on('close', () => client.destroy());
  client.on('close', () => server.destroy());
  serve(server);
  const socket = connect({ socket: client, rejectUnauthorized: false });
  const chunks: Buffer[] = [];
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
  });
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end(request('GET /health HTTP/1.1', 'Connection: close'));
  await closed;
  return Buffer.concat(chunks).toString('latin1');
}

const ASK_EVERY = 500;

export async function tlsTarget(): Promise<Target> {
  const harness = await startService();
  const hellos = ['client-hello-tls13.bin', 'client-hello-tls12.bin'].map(
    (name) => new Uint8Array(readFileSync(new URL(`../seeds/${name}`, import.meta.url))),
  );
  let inputs = 0;
  return {
    name: 'tls',
    files: ['enclave/desk/https.ts', 'wire/node/sliced-stream.ts'],
    maxBytes: 70_000,
    seeds: [...hellos, request('GET /health HTTP/1.1'), new Uint8Array(0)],
    mutate: mutateBytes,
    run: async (input) => {
      const received = await converse(harness.accept, piecesOf(input));
      checkService(harness);
      // What comes back are records of TLS: handshake or alert.
      const type = received[0];
      expectThat(type === undefined || type === 21 || type === 22, 'an answer that is no TLS');
      if (++inputs % ASK_EVERY === 0) {
        const answer = await askOverTls(harness);
        expectThat(answer.startsWith('HTTP/1.1 200 '), 'the service does not answer any more');
      }
      return `${type ?? 'nothing'} ${type === 21 ? received.subarray(5, 7).toString('hex') : ''}`;
    },
    maxSteps: { base: 100_000, perByte: 100 },
  };
}
