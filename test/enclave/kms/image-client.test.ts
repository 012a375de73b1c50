// The SDK inside of the image's kind of bundle: with traps in its environment and no permission to read a file, it
// does what it was told with what it was given, and looks for nothing else.

import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it, onTestFinished } from 'vitest';
import { IMAGE_OPTIONS } from '../../../eif/build/bundles.ts';
import { COMMAND } from '../../../eif/build/rootfs.ts';
import { toHex } from '../../../wire/bytes.ts';
import { serveStream } from '../../helpers/egress-host.ts';
import { documentOf, KEY_ARN, REGION, simulatedKms } from '../../helpers/kms.ts';
import { CREDENTIALS, KMS_HOST } from '../../helpers/sealing.ts';
import type { ClientTask, FromClient } from './image-client.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ts-client-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

async function bundle(folder: string): Promise<string> {
  const path = join(folder, 'client.mjs');
  const entry = join(import.meta.dirname, 'image-client.ts');
  const options = { ...IMAGE_OPTIONS, entryPoints: [entry], outfile: path };
  const { outputFiles = [] } = await build(options);
  writeFileSync(path, outputFiles[0]?.contents ?? '');
  return path;
}

/** What Node and the SDK look at all the same: switches that say nothing about whom to ask, or as whom. */
const SWITCHES = [
  'AWS_ENABLE_DEFAULT_SOCKET_TIMEOUT_2026',
  'AWS_LAMBDA_BENCHMARK_MODE',
  'AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA',
  'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'WATCH_REPORT_DEPENDENCIES',
];

it('a client of KMS takes nothing from files, from the environment or from a metadata service', async () => {
  const kms = await simulatedKms();
  const egress = { answer: null, dials: [], routes: new Map([[`${KMS_HOST}:443`, kms.port]]) };
  const server = createServer({ allowHalfOpen: true }, (stream) => {
    serveStream(egress, stream);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.close();
  });
  const folder = temporaryFolder();
  const path = await bundle(folder);
  const trap = join(folder, 'config');
  writeFileSync(trap, '[default]\nregion = us-east-1\nendpoint_url = https://attacker.example\n');
  const flags = COMMAND.filter((argument) => argument.startsWith('--'));
  expect(flags).toContain('--disallow-code-generation-from-strings');
  const child = fork(path, {
    execPath: process.execPath,
    execArgv: [...flags, '--permission', '--allow-net', `--allow-fs-read=${path}`],
    env: {
      HOME: folder,
      AWS_CONFIG_FILE: trap,
      AWS_SHARED_CREDENTIALS_FILE: trap,
      AWS_PROFILE: 'default',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'AKIATRAP',
      AWS_SECRET_ACCESS_KEY: 'trap',
      AWS_ENDPOINT_URL_KMS: 'https://attacker.example',
      AWS_USE_FIPS_ENDPOINT: 'true',
      AWS_SDK_UA_APP_ID: 'trap',
      AWS_LAMBDA_FUNCTION_NAME: 'trap',
      _X_AMZN_TRACE_ID: 'trap',
    },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let complaints = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const task: ClientTask = {
    egressPort: (server.address() as AddressInfo).port,
    host: KMS_HOST,
    region: REGION,
    roots: kms.caPem,
    keyArn: KEY_ARN,
    credentials: CREDENTIALS,
  };
  const result = await new Promise<FromClient>((resolve, reject) => {
    child.on('message', (message: FromClient) => {
      if (!('publicKey' in message)) {
        resolve(message);
        return;
      }
      void documentOf({}, Buffer.from(message.publicKey, 'hex')).then((document) =>
        child.send(toHex(document)),
      );
    });
    child.on('exit', (code) => {
      reject(new Error(`exit ${code}: ${complaints}`));
    });
    child.send(task);
  });
  expect(result).toEqual({ same: true, lookedAt: SWITCHES });
  expect(kms.events.map(({ eventName, errorCode }) => [eventName, errorCode])).toEqual([
    ['GenerateDataKey', null],
    ['Decrypt', null],
  ]);
  expect(readFileSync(path, 'utf8')).not.toContain('credential_process');
});
