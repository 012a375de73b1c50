// `make s3`: a real S3 server with Object Lock on this machine (Ceph), for trying things out. Prints its address and
// keys as one JSON line and runs until it is interrupted; then everything in it is gone.

import { stderr, stdout } from 'node:process';
import { CommandFailed } from '../vm/command.ts';
import { startCeph } from './ceph.ts';
import { openCeph } from './packages.ts';

async function main(): Promise<void> {
  const server = await startCeph(
    await openCeph((line) => {
      stderr.write(`${line}\n`);
    }),
  );
  const { accessKeyId, endpoint, name, region, secretAccessKey } = server;
  const keys = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  stdout.write(`${JSON.stringify({ server: name, endpoint, region, ...keys })}\n`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await server.stop();
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CommandFailed)) throw error;
  stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
