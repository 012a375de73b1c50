// One call of grpc.health.v1 through the service of the ledger, with nothing loaded that the enclave would not load: for a
// process without code generation. The client is grpc-js with our own codecs.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { createGuard } from '../../enclave/fatal.ts';
import { GrpcService } from '../../enclave/ledger/grpc/server.ts';
import {
  StandardHealthCheckRequestSchema,
  StandardHealthCheckResponseSchema,
} from '../../wire/grpc/messages.ts';
import { decodeMessage, encodeMessage } from '../../wire/grpc/protobuf.ts';
import { healthService } from '../../wire/grpc/services.ts';
import { assertAccepted } from '../../wire/result.ts';
import { FakeTrack } from './fake-track.ts';

/** The status in the answer. */
export async function askOnce(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'ts-bare-'));
  const track = new FakeTrack({ sign: () => new Uint8Array(64) });
  const guard = createGuard((code) => {
    throw new Error(code);
  });
  const service = new GrpcService({ guard, track });
  const server = createServer((socket) => {
    service.accept(socket, new Uint8Array(32));
  });
  const path = join(folder, 's');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = new Client(`unix:${path}`, credentials.createInsecure());
  try {
    return await new Promise<number>((resolve, reject) => {
      client.makeUnaryRequest(
        healthService.methods.check.path,
        (request: { readonly service: string }) =>
          Buffer.from(encodeMessage(StandardHealthCheckRequestSchema, request)),
        (bytes: Buffer) =>
          assertAccepted(decodeMessage(StandardHealthCheckResponseSchema, bytes, 1024)),
        { service: '' },
        (error, answer) => {
          if (error === null && answer !== undefined) resolve(answer.status);
          else reject(error ?? new Error('no answer'));
        },
      );
    });
  } finally {
    client.close();
    await service.close();
    server.close();
    rmSync(folder, { recursive: true });
  }
}
