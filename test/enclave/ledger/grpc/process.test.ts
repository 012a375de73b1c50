// The ledger's program as the image has it, bundled and under the image's flags, answering gRPC: no code generation, no files,
// no network, frozen intrinsics.

import { spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it, onTestFinished } from 'vitest';
import { IMAGE_OPTIONS } from '../../../../eif/build/bundles.ts';
import { ledgerFlags } from '../../../../enclave/child-flags.ts';
import { LedgerLink } from '../../../../enclave/desk/ledger-link.ts';
import { canonicalJson } from '../../../../wire/configuration.ts';
import { hostConfiguration } from '../../../helpers/enclave-host.ts';
import { call, clientOf, failureOf } from '../../../helpers/grpc-scene.ts';
import { ORIGIN } from '../../../vectors/track.ts';

/** Both ends of a Unix socket: ours, and one to hand over, which nobody here reads. */
async function socketPair(path: string): Promise<readonly [Socket, Socket]> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer(accepted.resolve);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const far = connect(path);
  far.pause();
  await new Promise((resolve) => far.once('connect', resolve));
  const near = await accepted.promise;
  near.on('error', () => undefined);
  server.close();
  return [near, far];
}

it('answers health, reflection and refusals', async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'ts-ledger-')));
  const path = join(folder, 'ledger.mjs');
  const entryPoints = ['enclave/ledger/main.ts'];
  const { outputFiles } = await build({
    ...IMAGE_OPTIONS,
    entryPoints,
    outfile: 'dist/ledger.mjs',
  });
  await writeFile(path, outputFiles?.[0]?.contents ?? '');
  const [near, far] = await socketPair(join(folder, 'p'));
  const child = spawn(process.execPath, [...ledgerFlags([path]), path], {
    stdio: [far, 'ignore', 'pipe'],
    env: {},
  });
  far.destroy();
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const ready = Promise.withResolvers<string>();
  const hash = new Uint8Array(32);
  const link = new LedgerLink(
    near,
    {
      origin: ORIGIN,
      epoch: 7,
      configuration: canonicalJson(hostConfiguration({ strategies: [] })),
      nowNs: BigInt(Date.now()) * 1_000_000n,
      storageKeys: [],
      leafZeroHash: hash,
      ed25519: hash,
      databasePassword: null,
      userKey: hash,
    },
    {
      runAsync: (work) => work(),
      onReady: () => {
        ready.resolve('ready');
      },
      onTaken: () => undefined,
      onStated: () => undefined,
      onResync: () => undefined,
      onAudit: () => undefined,
      onDatabase: (stream) => stream.destroy(),
      prices: () => Promise.resolve({ rows: [], missing: [] }),
      sign: () => Promise.resolve(null),
      onEnd: (code) => {
        ready.resolve(`${code} ${said}`);
      },
    },
  );
  link.state({ acknowledgedSize: 10, ready: true, stalled: false });
  const server = createServer((socket) => {
    const stream = link.openGrpc(new Uint8Array(32).fill(7));
    for (const end of [socket, stream]) end.on('error', () => undefined);
    socket.pipe(stream).pipe(socket);
    socket.on('close', () => stream.destroy());
  });
  const address = join(folder, 's');
  await new Promise<void>((resolve) => server.listen(address, resolve));
  onTestFinished(async () => {
    link.end('ledger_ended');
    child.kill();
    server.close();
    await rm(folder, { recursive: true });
  });
  expect(await ready.promise).toBe('ready');
  const client = clientOf('enclave.proto', 'enclave.EnclaveService', `unix:${address}`);
  const health = await call(client, 'HealthCheck', {});
  expect(health).toMatchObject({ enclave: true, origin: ORIGIN });
  const failure = await failureOf(call(client, 'GetAggregatedMetrics', { user_uid: 'nobody' }));
  expect(failure).toMatchObject({ status: 5, code: 'account_unknown' });
  const standard = clientOf(
    'grpc/health/v1/health.proto',
    'grpc.health.v1.Health',
    `unix:${address}`,
  );
  expect(await call(standard, 'Check', {})).toEqual({ status: 'SERVING' });
  client.close();
  standard.close();
  expect(said).toBe('');
});
