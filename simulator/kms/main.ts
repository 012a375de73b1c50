// The simulated KMS as a program, for the local appliance. It says at once what it is not.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { argv, stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { parseKmsConfig } from './config-file.ts';
import { startKms } from './server.ts';

const USAGE = `usage: node simulator/kms/main.ts --config FILE --attestation-root PEM [--folder DIR] [--port N]

A simulator of AWS KMS: no AWS, no protection of anything.

  --config FILE             region, principals and keys, see simulator/kms/config-file.ts
  --attestation-root PEM    root of the attestation documents, as simulator/main.ts --root DIR makes it
  --folder DIR              keeps keys and CA; without, both are gone with the process
  --port N                  default: any free one, on 127.0.0.1

Prints one line of JSON when it listens: {simulator, endpoint, port, region, ca, ca_pem}. Then, on stderr, one line per call.
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      config: { type: 'string' },
      'attestation-root': { type: 'string' },
      folder: { type: 'string' },
      port: { type: 'string' },
    },
  });
  const { config, 'attestation-root': root, folder, port } = values;
  if (config === undefined || root === undefined || (port !== undefined && !/^\d+$/u.test(port))) {
    stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const attestationRootDer = new Uint8Array(new X509Certificate(await readFile(root)).raw);
  const kms = await startKms({
    ...parseKmsConfig(await readFile(config, 'utf8')),
    attestationRootDer,
    ...(folder === undefined ? {} : { folder }),
    ...(port === undefined ? {} : { port: Number(port) }),
    onEvent: (event) => {
      stderr.write(`simulated KMS: ${JSON.stringify(event)}\n`);
    },
  });
  const { endpoint, region } = kms;
  stderr.write(`simulated KMS, NOT AWS: keys without any protection, at ${endpoint}\n`);
  const ca = folder === undefined ? null : join(folder, 'ca.pem');
  stdout.write(
    `${JSON.stringify({ simulator: 'kms; not AWS', endpoint, port: kms.port, region, ca, ca_pem: kms.caPem })}\n`,
  );
  const stop = (): void => {
    void kms.close();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

await main();
