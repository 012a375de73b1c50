// `node simulator/s3/main.ts`: the simulated S3 as a process of its own, for the local appliance and for trying
// the commands of `trackseal bucket`. Prints one JSON line with its address when it listens; its keys are made
// for it, or given in the environment, and are worth nothing elsewhere.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { argv, env, stderr, stdout } from 'node:process';
import { parseArgs } from 'node:util';
import { DEFAULT_ACCOUNT, DEFAULT_REGION, startS3 } from './server.ts';

const USAGE = `usage: node simulator/s3/main.ts [--port N] [--folder DIR] [--tls-key FILE --tls-certificate FILE]

  --port N                 on 127.0.0.1; chosen by the system without it
  --folder DIR             keeps buckets and objects there; in memory without it
  --tls-key FILE           PEM; with --tls-certificate it speaks HTTPS
  --tls-certificate FILE   PEM

AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are the keys it takes; made up and printed without them.
It enforces AWS's rules, and is no evidence: whoever runs it can change what it keeps.
`;

async function tlsOf(
  key: string | undefined,
  certificate: string | undefined,
): Promise<{ readonly key: string; readonly certificate: string } | undefined> {
  if (key === undefined || certificate === undefined) return undefined;
  return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      port: { type: 'string', default: '0' },
      folder: { type: 'string' },
      'tls-key': { type: 'string' },
      'tls-certificate': { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  const port = Number(values.port);
  if (values.help === true || !Number.isInteger(port) || port < 0 || port > 65_535) {
    (values.help === true ? stdout : stderr).write(USAGE);
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const accessKeyId = env['AWS_ACCESS_KEY_ID'] ?? 'AKIASIMULATED0000000';
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'] ?? randomBytes(30).toString('base64url');
  const tls = await tlsOf(values['tls-key'], values['tls-certificate']);
  const s3 = await startS3({
    port,
    users: [{ accessKeyId, secretAccessKey, arn: `arn:aws:iam::${DEFAULT_ACCOUNT}:user/local` }],
    ...(tls === undefined ? {} : { tls }),
    ...(values.folder === undefined ? {} : { folder: values.folder }),
  });
  const isGiven = env['AWS_SECRET_ACCESS_KEY'] !== undefined;
  const keys = isGiven ? {} : { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  const line = { simulator: 's3', url: s3.url, region: DEFAULT_REGION, ...keys };
  stdout.write(`${JSON.stringify(line)}\n`);
  const stop = (): void => {
    void s3.close();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

await main();
