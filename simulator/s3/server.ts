// An S3 with Object Lock in this process, for tests and the local appliance: AWS's rules, wire format and errors
// as far as they are documented, strict where they are not. It is no proof of anything: whoever runs it can
// change its clock and its memory. It names itself in a header of every answer.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Call, Reply } from './call.ts';
import { afterActing, beforeActing } from './faults.ts';
import type { Fault, FaultHook } from './faults.ts';
import { openState } from './journal.ts';
import { errorDocument } from './list-operations.ts';
import { changesOf } from './object-operations.ts';
import { S3Refusal, invalidRequest } from './refusal.ts';
import { findRoute } from './routes.ts';
import { checkSignature } from './signature.ts';
import type { S3User } from './signature.ts';
import { S3State } from './state.ts';

export type { S3User } from './signature.ts';
export type { Fault, FaultHook, FaultRequest } from './faults.ts';

export interface S3Options {
  readonly users: readonly S3User[];
  /** 127.0.0.1 always; 0, the default, lets the system choose. */
  readonly port?: number;
  /** PEM. Without it plain HTTP. */
  readonly tls?: { readonly key: string; readonly certificate: string };
  readonly region?: string;
  /** Twelve digits. */
  readonly account?: string;
  /** Milliseconds since 1970; the machine's by default. */
  readonly clock?: () => number;
  /** Keeps the state there. In memory by default. */
  readonly folder?: string;
  readonly fault?: FaultHook;
}

export interface RunningS3 {
  readonly port: number;
  /** `http://127.0.0.1:PORT` or with https. */
  readonly url: string;
  readonly region: string;
  readonly account: string;
  /** What is stored, for tests that look behind the API. */
  readonly state: S3State;
  /** Requests so far, by operation. */
  readonly counts: ReadonlyMap<string, number>;
  readonly setFault: (hook: FaultHook | null) => void;
  /** Cuts open connections. */
  readonly close: () => Promise<void>;
}

export const DEFAULT_REGION = 'eu-central-1';
export const DEFAULT_ACCOUNT = '123456789012';
/** Of a request. AWS allows 5 GB; nothing of ours is near. */
const MAX_BODY_BYTES: number = 64 * 1024 * 1024;

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const piece = chunk as Uint8Array;
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) {
      const text = 'Your proposed upload exceeds the maximum allowed size';
      throw new S3Refusal(400, 'EntityTooLarge', text);
    }
    chunks.push(piece);
  }
  return Buffer.concat(chunks);
}

interface Target {
  readonly path: string;
  readonly query: string;
  readonly bucket: string;
  readonly key: string;
  readonly parameters: ReadonlyMap<string, string>;
}

function parseTarget(url: string): Target {
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  const query = at < 0 ? '' : url.slice(at + 1);
  try {
    const [, bucket = '', ...rest] = path.split('/');
    const key = decodeURIComponent(rest.join('/'));
    const parameters = new Map(new URLSearchParams(query));
    return { path, query, bucket: decodeURIComponent(bucket), key, parameters };
  } catch {
    throw new S3Refusal(400, 'InvalidURI', "Couldn't parse the specified URI.");
  }
}

function headersOf(request: IncomingMessage): Readonly<Record<string, string>> {
  const entries = Object.entries(request.headers);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

class S3Server {
  readonly counts: Map<string, number> = new Map();
  readonly state: S3State;
  fault: FaultHook | null;
  readonly #options: S3Options;
  #requests = 0;

  constructor(options: S3Options) {
    this.#options = options;
    this.fault = options.fault ?? null;
    this.state = options.folder === undefined ? new S3State() : openState(options.folder);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = randomBytes(8).toString('hex').toUpperCase();
    const method = request.method ?? '';
    const common = {
      server: 'trackseal-simulator-s3',
      'x-trackseal-simulator': 's3',
      'x-amz-request-id': id,
      date: new Date(this.#now()).toUTCString(),
    };
    try {
      const { reply, fault } = await this.#act(request, response);
      if (reply === null) response.socket?.destroy();
      else send(response, { ...reply, headers: { ...common, ...reply.headers } }, method, fault);
    } catch (error) {
      if (response.destroyed) return;
      const known =
        error instanceof S3Refusal
          ? error
          : new S3Refusal(500, 'InternalError', error instanceof Error ? error.message : '');
      const { status, code, message, headers } = known;
      const body = errorDocument(code, message, request.url ?? '', id);
      const type = { 'content-type': 'application/xml' };
      // What has not been read of a body that was refused is not read.
      const end = request.complete ? {} : { connection: 'close' };
      const all = { ...common, ...type, ...end, ...headers };
      send(response, { status, headers: all, body }, method, null);
    }
  }

  #now(): number {
    return (this.#options.clock ?? Date.now)();
  }

  async #act(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<{ readonly reply: Reply | null; readonly fault: Fault | null }> {
    const { users, region = DEFAULT_REGION, account = DEFAULT_ACCOUNT } = this.#options;
    const target = parseTarget(request.url ?? '');
    const { bucket, key, path, query, parameters } = target;
    const method = request.method ?? '';
    const headers = headersOf(request);
    const changesAtArrival = changesOf(this.state.buckets.get(bucket), key);
    const body = await readBody(request);
    if (method === 'PUT' && headers['content-length'] === undefined) {
      throw new S3Refusal(
        411,
        'MissingContentLength',
        'You must provide the Content-Length HTTP header.',
      );
    }
    if (headers['content-encoding']?.includes('aws-chunked') === true) {
      throw invalidRequest('The simulator has no aws-chunked uploads');
    }
    const signed = { method, path, query, headers, body };
    const user = checkSignature(signed, { users, region, now: this.#now() });
    const { operation, act } = findRoute(method, bucket, key, parameters);
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
    this.#requests += 1;
    const number = this.#requests;
    const fault = (await this.fault?.({ operation, bucket, key, number })) ?? null;
    beforeActing(fault, response);
    if (fault?.type === 'drop') return { reply: null, fault };
    if (fault?.type === 'pretend') return { reply: { status: 200 }, fault };
    const isTls = this.#options.tls !== undefined;
    const common = { state: this.state, user, account, region, now: this.#now(), isTls };
    const call: Call = {
      ...common,
      method,
      bucket,
      key,
      query: parameters,
      headers,
      body,
      changesAtArrival,
    };
    return { reply: await afterActing(fault, act(call)), fault };
  }
}

function send(response: ServerResponse, reply: Reply, method: string, fault: Fault | null): void {
  const body = Buffer.from(reply.body ?? '');
  const type = typeof reply.body === 'string' ? { 'content-type': 'application/xml' } : {};
  const length = { 'content-length': String(body.length) };
  const withLength = reply.status === 204 ? {} : length;
  response.writeHead(reply.status, { ...type, ...reply.headers, ...withLength });
  if (fault?.type === 'cut-body') {
    response.write(body.subarray(0, fault.afterBytes), () => response.socket?.destroy());
    return;
  }
  response.end(method === 'HEAD' ? undefined : body);
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

/** Throws where the port is taken. */
export async function startS3(options: S3Options): Promise<RunningS3> {
  const s3 = new S3Server(options);
  const { tls, region = DEFAULT_REGION, account = DEFAULT_ACCOUNT } = options;
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void s3.answer(request, response);
  };
  const server =
    tls === undefined
      ? createServer(answer)
      : createTlsServer({ key: tls.key, cert: tls.certificate, minVersion: 'TLSv1.2' }, answer);
  const port = await listen(server, options.port ?? 0);
  return {
    port,
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(port)}`,
    region,
    account,
    state: s3.state,
    counts: s3.counts,
    setFault: (hook) => {
      s3.fault = hook;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
