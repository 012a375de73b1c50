// A gRPC service of the ledger behind a Unix socket, where the desk would be, and clients of it made by other libraries from
// the .proto files.

import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server as NetServer } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChannelCredentials, Client, ServiceError } from '@grpc/grpc-js';
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { createGuard } from '../../enclave/fatal.ts';
import { GrpcService } from '../../enclave/ledger/grpc/server.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { FakeTrack } from './fake-track.ts';

export const PROTO: string = new URL('../../wire/grpc/proto', import.meta.url).pathname;
export const CERTIFICATE: Uint8Array = new Uint8Array(32).fill(7);

const LOADED = {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: false,
  arrays: true,
} as const;

export type Answer = Readonly<Record<string, unknown>>;
type Unary = (
  request: object,
  done: (error: ServiceError | null, answer: Answer) => void,
) => unknown;

export interface GrpcScene {
  readonly service: GrpcService;
  readonly track: FakeTrack;
  readonly address: string;
  readonly path: string;
  readonly fatal: RefusalCode[];
  readonly publicKey: Uint8Array;
  /** Of connections from now on. */
  certificate: Uint8Array;
  client(file: string, service: string): Client;
  close(): Promise<void>;
}

export async function openGrpcScene(hours = 4): Promise<GrpcScene> {
  const folder = await mkdtemp(join(tmpdir(), 'ts-grpc-'));
  const path = join(folder, 's');
  const keys = generateKeyPairSync('ed25519');
  const fatal: RefusalCode[] = [];
  const track = new FakeTrack({
    hours,
    sign: (message) => new Uint8Array(sign(null, message, keys.privateKey)),
  });
  const guard = createGuard((code) => fatal.push(code));
  const service = new GrpcService({ guard, track });
  const clients: Client[] = [];
  const scene = {
    service,
    track,
    address: `unix:${path}`,
    path,
    fatal,
    publicKey: new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
    certificate: CERTIFICATE,
  };
  const server: NetServer = createServer((socket) => {
    service.accept(socket, scene.certificate);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return Object.assign(scene, {
    client(file: string, name: string): Client {
      const client = clientOf(file, name, scene.address);
      clients.push(client);
      return client;
    },
    async close(): Promise<void> {
      for (const client of clients) client.close();
      await service.close();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  });
}

/** Made from the .proto by a library of others. */
export function clientOf(
  file: string,
  name: string,
  address: string,
  secure: ChannelCredentials = credentials.createInsecure(),
): Client {
  const loaded: unknown = loadPackageDefinition(
    loadSync(file, { ...LOADED, includeDirs: [PROTO] }),
  );
  const constructor = name
    .split('.')
    .reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], loaded);
  return new (constructor as new (...options: unknown[]) => Client)(address, secure, {
    'grpc.use_local_subchannel_pool': 1,
  });
}

export function call(client: Client, method: string, request: object): Promise<Answer> {
  const unary = (client as unknown as Readonly<Record<string, Unary>>)[method];
  if (unary === undefined) throw new Error(`no ${method}`);
  return new Promise((resolve, reject) => {
    unary.call(client, request, (error, answer) => {
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}

export interface Failure {
  readonly status: number;
  readonly message: string;
  readonly code: string | undefined;
  readonly field: string | undefined;
  readonly reason: string | undefined;
}

const details = protobuf.loadSync([
  join(PROTO, 'google/protobuf/any.proto'),
  join(PROTO, 'google/rpc/error_details.proto'),
]);
const statusRoot = new protobuf.Root();
statusRoot.resolvePath = (_, target) => (target.startsWith('/') ? target : join(PROTO, target));
statusRoot.loadSync('google/rpc/status.proto');

/** The error of a call, with its google.rpc.Status as another library reads it. */
export async function failureOf(calling: Promise<unknown>): Promise<Failure> {
  const error = await calling.then(
    () => null,
    (thrown: unknown) => thrown as ServiceError,
  );
  if (error === null) throw new Error('no failure');
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  const none = { status: error.code, message: error.details };
  if (bytes === undefined) return { ...none, code: undefined, field: undefined, reason: undefined };
  const status = statusRoot.lookupType('google.rpc.Status').decode(bytes as Buffer) as unknown as {
    readonly code: number;
    readonly details: readonly { readonly value: Uint8Array }[];
  };
  const [detail] = status.details;
  const info = details
    .lookupType('google.rpc.ErrorInfo')
    .decode(detail?.value ?? new Uint8Array(0)) as unknown as {
    readonly reason: string;
    readonly metadata: Readonly<Record<string, string>>;
  };
  const same: boolean = String(status.code) === String(error.code);
  if (!same) throw new Error('two statuses');
  const { code, field } = info.metadata;
  return { ...none, code, field, reason: info.reason };
}
