// gRPC of a ledger scene, without the TLS that ends in the desk: a client of the bytes, and what it asks.

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { decodeMessage, encodeMessage } from '../../wire/grpc/protobuf.ts';
import type { GrpcMethod } from '../../wire/grpc/services.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { LedgerScene } from './ledger-scene.ts';

const MAX_BYTES = 4 * 1024 * 1024;

/** Where the desk would be. */
export async function listenGrpc(scene: LedgerScene): Promise<Client> {
  const folder = await mkdtemp(join(tmpdir(), 'ts-real-'));
  const path = join(folder, 's');
  const server: Server = createServer((socket) => {
    const stream = scene.ledger.openGrpc(new Uint8Array(32).fill(7));
    if (stream === null) socket.destroy();
    else socket.pipe(stream).pipe(socket);
    socket.on('error', () => undefined);
    stream?.on('error', () => undefined);
    socket.on('close', () => stream?.destroy());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = new Client(`unix:${path}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  onTestFinished(async () => {
    client.close();
    server.close();
    await rm(folder, { recursive: true });
  });
  return client;
}

export interface Asked<Response> {
  readonly answer: Response;
  readonly bytes: Buffer;
}

export function ask<Request extends object, Response extends object>(
  client: Client,
  method: GrpcMethod<Request, Response>,
  request: Request,
): Promise<Asked<Response>> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest<Request, Asked<Response>>(
      method.path,
      (value) => Buffer.from(encodeMessage(method.request, value)),
      (bytes) => ({
        bytes,
        answer: assertAccepted(decodeMessage(method.response, bytes, MAX_BYTES)),
      }),
      request,
      (error, asked) => {
        if (error === null && asked !== undefined) resolve(asked);
        else reject(error ?? new Error('no answer'));
      },
    );
  });
}
