// What the way of a gRPC call costs: client, host ingress, mutual TLS in the desk's process, frames to the ledger's process,
// HTTP/2 and back, one call after the other. Right after each the same question is asked of a plain gRPC server (mutual TLS over loopback,
// no boundary) and in this process, its answer written and read there too. And what it costs to open a trader's sealed credentials.

import { fork } from 'node:child_process';
import { createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { CHANNEL_OPTIONS } from '../../client/node/grpc-channel.ts';
import { Envelopes } from '../../enclave/desk/envelopes.ts';
import { deskFlags } from '../../enclave/child-flags.ts';
import { generateDeskKeys, generateTlsKey } from '../../enclave/desk/keys.ts';
import { metricsAnswer, returnsAnswer } from '../../enclave/ledger/grpc/answers.ts';
import { Ingress } from '../../host-proxy/ingress.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { utf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { encodeEnvelope, sealRequest } from '../../wire/client-envelope.ts';
import { decodeMessage, encodeMessage } from '../../wire/grpc/protobuf.ts';
import type { GrpcMethod } from '../../wire/grpc/services.ts';
import { enclaveService } from '../../wire/grpc/services.ts';
import { PORT } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { unixTransport } from '../../wire/node/unix.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { Quantiles } from '../quantiles.ts';
import { quantilesOf } from '../quantiles.ts';
import { clientCertificate } from './client-certificate.ts';
import { STATIC_TRACK } from './static-track.ts';

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');

/** ms. */
export interface WayReport {
  readonly method: string;
  readonly answerBytes: number;
  readonly call: Quantiles & { readonly p95: number };
  readonly plain: Quantiles & { readonly p95: number };
  readonly direct: Quantiles & { readonly p95: number };
  /** Each call less the direct one of its round. */
  readonly overhead: Quantiles & { readonly p95: number };
  /** Each call less the plain one of its round. */
  readonly boundary: Quantiles & { readonly p95: number };
}

export interface GrpcReport {
  readonly ways: readonly WayReport[];
  /** ms. */
  readonly opening: Quantiles & { readonly p95: number };
}

function withP95(values: readonly number[]): Quantiles & { readonly p95: number } {
  const sorted = values.toSorted((a, b) => a - b);
  return { ...quantilesOf(values), p95: sorted[Math.ceil(0.95 * sorted.length) - 1] ?? 0 };
}

async function timeOne(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

type Ways = Readonly<Record<'call' | 'plain' | 'direct', () => Promise<unknown>>>;

/** One after the other, in rounds: what the machine does meanwhile meets all. ms. */
async function timeRounds(
  count: number,
  { call, plain, direct }: Ways,
): Promise<Readonly<Record<keyof Ways, readonly number[]>>> {
  const times = { call: [] as number[], plain: [] as number[], direct: [] as number[] };
  for (let index = 0; index < count; index++) {
    times.call.push(await timeOne(call));
    times.plain.push(await timeOne(plain));
    times.direct.push(await timeOne(direct));
  }
  return times;
}

function less(a: readonly number[], b: readonly number[]): readonly number[] {
  return a.map((time, index) => time - (b[index] ?? 0));
}

function ask<Request extends object, Response extends object>(
  client: Client,
  method: GrpcMethod<Request, Response>,
  request: Request,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<Request, Response>(
      method.path,
      (value) => Buffer.from(encodeMessage(method.request, value)),
      (bytes) => assertAccepted(decodeMessage(method.response, bytes, MAX_ANSWER_BYTES)),
      request,
      new Metadata(),
      (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer);
        else reject(error ?? new Error('no answer'));
      },
    );
  });
}

/** What an answer costs without any way. */
function writtenAndRead<Request extends object, Response extends object>(
  method: GrpcMethod<Request, Response>,
  answer: Response,
): Response {
  const bytes = encodeMessage(method.response, answer);
  return assertAccepted(decodeMessage(method.response, bytes, MAX_ANSWER_BYTES));
}

const CONFIGURATION = {
  version: 1,
  log_id: 'trackseal.example/bench',
  feed_mode: 'replay',
  commit_policy: 'spool',
  compliance_public_key: '09'.padEnd(64, '0'),
  instruments: [
    {
      id: 1,
      venue: 'binance',
      symbol: 'BTCUSDT',
      market: 'spot',
      price_scale: 2,
      quantity_scale: 5,
      sequence_rule: 'binance-spot',
    },
  ],
  streams: [{ id: 1, name: 'btcusdt' }],
  strategies: [],
  intervals: { anchor_ms: 60_000, heartbeat_ms: 60_000, commit_ms: 2 },
  limits: { clock_divergence_ms: 1000, attestations_per_second: 10 },
  tls_names: ['localhost'],
} as const;
const QUERY = { userUid: 'trader-1', exchange: 'kraken' };
const RANGE = { ...QUERY, startDate: 0, endDate: 0, pageSize: 24, pageToken: '' };
const CALLER = { certificate: new Uint8Array(32) };

/** Opens what a trader's client seals: parse, X25519, HKDF, AES-GCM, replay. */
function timeOpening(calls: number): readonly number[] {
  const keys = generateDeskKeys();
  const origin = 'trackseal.example/bench/e0000000001';
  const leafZeroHash = new Uint8Array(32);
  const envelopes = new Envelopes({ keys, origin, leafZeroHash, nowMs: () => Date.now() });
  const context = { enclaveKey: keys.x25519.publicKey, origin, leafZeroHash };
  const plaintext = utf8(
    JSON.stringify({ userId: 'trader-1', apiKey: 'k'.repeat(64), secret: 's'.repeat(64) }),
  );
  const metadata = { op: 'register', time: Date.now(), exchange: 'kraken', label: '' };
  const bodies = Array.from({ length: calls }, () => {
    const pair = generateKeyPairSync('x25519');
    const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
    const ephemeral = {
      publicKey: new Uint8Array(spki.subarray(-32)),
      agree: (raw: Uint8Array): Uint8Array => {
        const der = Buffer.concat([X25519_SPKI, raw]);
        const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
        return new Uint8Array(diffieHellman({ privateKey: pair.privateKey, publicKey }));
      },
    };
    const nonce = new Uint8Array(randomBytes(12));
    const sealed = sealRequest(nodeCrypto, ephemeral, nonce, context, metadata, plaintext);
    return utf8(encodeEnvelope(assertAccepted(sealed).envelope));
  });
  return bodies.map((body) => {
    const start = performance.now();
    const opened = assertAccepted(envelopes.open(body));
    const elapsed = performance.now() - start;
    opened.plaintext.fill(0);
    return elapsed;
  });
}

interface Started {
  readonly certificate: string;
  readonly port: number | null;
  readonly end: () => Promise<unknown>;
}

async function startServer(
  program: string,
  folder: string,
  flags: readonly string[],
): Promise<Started> {
  const child = fork(join(import.meta.dirname, program), [folder], { execArgv: [...flags] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const said = await new Promise<{ certificate: string; port?: number }>((resolve, reject) => {
    child.once('message', (message) => {
      resolve(message as { certificate: string });
    });
    child.once('exit', () => {
      reject(new Error(`${program} ended`));
    });
  });
  const end = (): Promise<unknown> => {
    child.disconnect();
    return ended;
  };
  return { certificate: said.certificate, port: said.port ?? null, end };
}

export async function measureGrpc(calls: number): Promise<GrpcReport> {
  const folder = mkdtempSync(join(tmpdir(), 'ts-bench-grpc-'));
  const key = generateTlsKey();
  const cert = await clientCertificate(key);
  writeFileSync(join(folder, 'client.pem'), cert);
  writeFileSync(join(folder, 'configuration.json'), canonicalJson(CONFIGURATION));
  const desk = await startServer('desk-process.ts', folder, deskFlags());
  const plainServer = await startServer('plain-process.ts', folder, []);
  const ingress = await Ingress.listen({
    transport: unixTransport(folder),
    host: '127.0.0.1',
    port: 0,
    maxConnections: 4,
    idleMs: 600_000,
    logger: createLogger({ level: 'error', write: () => undefined, now: () => new Date() }),
    to: PORT.grpc,
  });
  const pem = key.privateKey.export({ format: 'pem', type: 'pkcs8' });
  const connect = (ca: string, port: number): Client => {
    const context = createSecureContext({ cert, key: pem, ca, minVersion: 'TLSv1.3' });
    const secure = credentials.createFromSecureContext(context);
    return new Client(`127.0.0.1:${String(port)}`, secure, {
      ...CHANNEL_OPTIONS,
      'grpc.ssl_target_name_override': 'localhost',
    });
  };
  const client = connect(desk.certificate, ingress.port);
  const plainClient = connect(plainServer.certificate, plainServer.port ?? 0);
  const { getAggregatedMetrics: metrics, calculateHistoricalReturns: returns } =
    enclaveService.methods;
  const signal = new AbortController().signal;
  const cases = [
    {
      method: metrics,
      call: () => ask(client, metrics, QUERY),
      plain: () => ask(plainClient, metrics, QUERY),
      bytesOf: async () =>
        encodeMessage(metrics.response, await ask(client, metrics, QUERY)).length,
      direct: async () => {
        const answer = await STATIC_TRACK.aggregatedMetrics(CALLER, QUERY, signal);
        return writtenAndRead(metrics, metricsAnswer(assertAccepted(answer)));
      },
    },
    {
      method: returns,
      call: () => ask(client, returns, RANGE),
      plain: () => ask(plainClient, returns, RANGE),
      bytesOf: async () =>
        encodeMessage(returns.response, await ask(client, returns, RANGE)).length,
      direct: async () => {
        const query = { ...QUERY, range: null, pageSize: 24, pageToken: null };
        const answer = await STATIC_TRACK.historicalReturns(CALLER, query, signal);
        return writtenAndRead(returns, returnsAnswer(assertAccepted(answer)));
      },
    },
  ];
  try {
    const ways: WayReport[] = [];
    for (const { method, bytesOf, ...asked } of cases) {
      const answerBytes = await bytesOf();
      // Compilers first: four processes have each their own.
      await timeRounds(calls, asked);
      const { call, plain, direct } = await timeRounds(calls, asked);
      ways.push({
        method: method.path.split('/').at(-1) ?? '',
        answerBytes,
        call: withP95(call),
        plain: withP95(plain),
        direct: withP95(direct),
        overhead: withP95(less(call, direct)),
        boundary: withP95(less(call, plain)),
      });
    }
    timeOpening(Math.min(500, calls));
    return { ways, opening: withP95(timeOpening(calls)) };
  } finally {
    client.close();
    plainClient.close();
    await ingress.close();
    await desk.end();
    await plainServer.end();
    rmSync(folder, { recursive: true });
  }
}
