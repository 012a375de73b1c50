// A stand-in for AWS KMS: JSON 1.1 over TLS under a CA of its own. It holds keys and policies, verifies
// signatures and attestation documents, and answers in AWS's form. Its answers prove nothing about AWS; every
// one of them says that it is a simulator. It is no part of the product: nothing but tests and the demo run it.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { TlsAuthority } from './authority.ts';
import type { EnvelopeVariant } from './envelope.ts';
import { internal, KmsError, validation } from './errors.ts';
import type { Fault, Reply } from './faults.ts';
import { parseInput } from './input.ts';
import type { KeyOptions, SimulatedKey } from './keys.ts';
import { KeyStore } from './keys.ts';
import type { Answer, Trace } from './operations.ts';
import { Operations } from './operations.ts';
import type { Principal } from './signature.ts';
import { verifySignature } from './signature.ts';

const MAX_BODY_BYTES = 256 * 1024;
const CONTENT_TYPE = 'application/x-amz-json-1.1';
const TARGET = /^TrentService\.([A-Za-z]+)$/u;

export interface KmsOptions {
  /** Of the attestation documents, DER: the simulated NSM's, or AWS's own. */
  readonly attestationRootDer: Uint8Array;
  readonly principals: readonly Principal[];
  readonly keys?: readonly KeyOptions[];
  /** Default: eu-central-1. */
  readonly region?: string;
  /** Keys and CA are kept here; in memory without. */
  readonly folder?: string;
  /** In the certificate, beside localhost and 127.0.0.1. Default: `kms.<region>.amazonaws.com`. */
  readonly names?: readonly string[];
  /** Default: any free one, on 127.0.0.1. */
  readonly port?: number;
  /** The two forms in which AWS encodes envelopes; `alternating` is the default. */
  readonly variant?: EnvelopeVariant | 'alternating';
  /** Milliseconds since the Unix epoch. */
  readonly now?: () => number;
  /** A wrong answer to this call, or null for the right one. `count` is the number of calls before. */
  readonly fault?: (operation: string, count: number) => Fault | null;
  readonly onEvent?: (event: KmsEvent) => void;
}

/** As in CloudTrail, with its names. */
export interface KmsEvent {
  readonly eventTime: string;
  readonly eventName: string;
  readonly userIdentity: { readonly arn: string | null };
  readonly errorCode: string | null;
  readonly requestParameters: {
    readonly keyId: string | null;
    readonly encryptionContext: Readonly<Record<string, string>>;
  };
  readonly additionalEventData: { readonly recipient: Readonly<Record<string, string>> } | null;
}

export interface RunningKms {
  readonly port: number;
  /** https://127.0.0.1:PORT, for SDKs. */
  readonly endpoint: string;
  readonly region: string;
  readonly caPem: string;
  readonly events: readonly KmsEvent[];
  readonly keys: readonly SimulatedKey[];
  readonly putKey: (options: KeyOptions) => Promise<SimulatedKey>;
  readonly setFault: (fault: KmsOptions['fault'] | null) => void;
  readonly setPrincipals: (principals: readonly Principal[]) => void;
  readonly close: () => Promise<void>;
}

const PCRS_IN_EVENTS: readonly number[] = [1, 2, 3, 4, 8];

function eventOf(
  operation: string,
  nowMs: number,
  principal: Principal | null,
  trace: Trace,
  errorCode: string | null,
): KmsEvent {
  const { recipient } = trace;
  const pcrs = PCRS_IN_EVENTS.flatMap((index) => {
    const pcr = recipient?.pcrs.get(index);
    return pcr === undefined ? [] : [[`attestationDocumentEnclavePCR${index}`, pcr]];
  });
  return {
    eventTime: new Date(nowMs).toISOString(),
    eventName: operation,
    userIdentity: { arn: principal?.arn ?? null },
    errorCode,
    requestParameters: {
      keyId: trace.keyArn,
      encryptionContext: Object.fromEntries(trace.encryptionContext),
    },
    additionalEventData:
      recipient === null
        ? null
        : {
            recipient: {
              attestationDocumentModuleId: recipient.moduleId,
              attestationDocumentEnclaveImageDigest: recipient.pcrs.get(0) ?? '',
              ...(Object.fromEntries(pcrs) as Record<string, string>),
            },
          },
  };
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw validation('Request entity is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function headersOf(request: IncomingMessage): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  );
}

function errorBody(error: KmsError): Answer {
  // AWS writes this one with a capital letter.
  const name = error.type === 'AccessDeniedException' ? 'Message' : 'message';
  return { __type: error.type, ...(error.message === '' ? {} : { [name]: error.message }) };
}

function replyOf(status: number, body: Answer): Reply {
  return {
    status,
    headers: {
      'content-type': CONTENT_TYPE,
      'cache-control': 'no-cache, no-store, must-revalidate, private',
      'x-amzn-requestid': randomUUID(),
      'x-trackseal-simulator': 'kms; not AWS',
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

class KmsService {
  readonly events: KmsEvent[] = [];
  principals: readonly Principal[];
  fault: KmsOptions['fault'] | null;
  readonly #options: KmsOptions;
  readonly #region: string;
  readonly #operations: Operations;
  readonly #now: () => number;
  #calls = 0;
  #envelopes = 0;
  #previousEnvelope: string | null = null;

  constructor(options: KmsOptions, store: KeyStore, region: string) {
    this.#options = options;
    this.#region = region;
    this.#operations = new Operations(store, region, options.attestationRootDer);
    this.#now = options.now ?? Date.now;
    this.principals = options.principals;
    this.fault = options.fault ?? null;
  }

  #variant(): EnvelopeVariant {
    const { variant = 'alternating' } = this.#options;
    if (variant !== 'alternating') return variant;
    return this.#envelopes % 2 === 0 ? 'A' : 'B';
  }

  async reply(request: IncomingMessage): Promise<Reply> {
    const operation = TARGET.exec(request.headers['x-amz-target']?.toString() ?? '')?.[1] ?? '';
    const fault = this.fault?.(operation, this.#calls) ?? null;
    this.#calls++;
    const trace: Trace = {
      keyArn: null,
      encryptionContext: new Map(),
      recipient: null,
      plaintext: null,
    };
    const nowMs = this.#now();
    let principal: Principal | null = null;
    let reply: Reply;
    let errorCode: string | null = null;
    try {
      const body = await readBody(request);
      const { method = '', url: path = '' } = request;
      principal = await verifySignature(
        { method, path, headers: headersOf(request), body },
        { region: this.#region, principals: this.principals, nowMs },
      );
      if (fault?.error !== undefined) throw fault.error();
      const variant = this.#variant();
      const call = { principal, input: parseInput(body), nowMs, variant };
      const right = await this.#operations.perform(operation, call, trace);
      const scene = { operation, trace, variant, previousEnvelope: this.#previousEnvelope };
      const envelope = right['CiphertextForRecipient'];
      if (typeof envelope === 'string') {
        this.#previousEnvelope = envelope;
        this.#envelopes++;
      }
      reply = replyOf(200, fault?.answer?.(right, scene) ?? right);
    } catch (error) {
      // Whoever hangs up gets no answer; anything else that is no error of KMS is a bug of ours.
      if (!(error instanceof KmsError) && !request.destroyed) throw error;
      const failure = error instanceof KmsError ? error : internal();
      errorCode = failure.type;
      reply = replyOf(failure.status, errorBody(failure));
    }
    const event = eventOf(operation, nowMs, principal, trace, errorCode);
    this.events.push(event);
    this.#options.onEvent?.(event);
    return fault?.reply?.(reply) ?? reply;
  }
}

function send(reply: Reply, response: ServerResponse): void {
  const { status, headers, body, cutAfterBytes } = reply;
  response.writeHead(status, { ...headers, 'content-length': body.length });
  if (cutAfterBytes === undefined) {
    response.end(body);
    return;
  }
  if (cutAfterBytes === 0) {
    response.destroy();
    return;
  }
  response.write(body.subarray(0, cutAfterBytes), () => {
    response.destroy();
  });
}

/** Listens when it resolves. Rejects for keys or policies that AWS would refuse, or a damaged folder. */
export async function startKms(options: KmsOptions): Promise<RunningKms> {
  const region = options.region ?? 'eu-central-1';
  const folder = options.folder ?? null;
  const store = await KeyStore.open(folder);
  for (const key of options.keys ?? []) await store.put(key);
  const authority = await TlsAuthority.open(folder);
  const names = options.names ?? [`kms.${region}.amazonaws.com`];
  const { keyPem, certificatePem } = await authority.issue([...names, 'localhost', '127.0.0.1']);
  const service = new KmsService(options, store, region);
  const timers = new Set<NodeJS.Timeout>();
  const server = createServer(
    { key: keyPem, cert: certificatePem, minVersion: 'TLSv1.2' },
    (request, response) => {
      void service.reply(request).then((reply) => {
        if (reply.delayMs === undefined) {
          send(reply, response);
          return;
        }
        timers.add(setTimeout(send, reply.delayMs, reply, response));
      });
    },
  );
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    endpoint: `https://127.0.0.1:${port}`,
    region,
    caPem: authority.pem,
    events: service.events,
    get keys(): readonly SimulatedKey[] {
      return store.all;
    },
    putKey: (key) => store.put(key),
    setFault: (fault) => {
      service.fault = fault ?? null;
    },
    setPrincipals: (principals) => {
      service.principals = principals;
    },
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}
