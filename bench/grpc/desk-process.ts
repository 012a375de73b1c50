// The desk of the measurement, as a process: port 50051 with mutual TLS, and the link to a ledger process. `desk-process FOLDER`
// serves the Unix transport in FOLDER; the PEM of the client's certificate and of its own go over the channel to its parent.

import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { Duplex } from 'node:stream';
import { GrpcPort } from '../../enclave/desk/grpc-port.ts';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import { LedgerLink } from '../../enclave/desk/ledger-link.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { ledgerFlags } from '../../enclave/child-flags.ts';
import { createGuard } from '../../enclave/fatal.ts';
import { utf8 } from '../../wire/bytes.ts';
import { unixTransport } from '../../wire/node/unix.ts';

/** Its standard output and input as one stream. */
function joinChild({ stdin, stdout }: ChildProcessByStdio<Writable, Readable, null>): Duplex {
  const stream = new Duplex({
    read: () => stdout.resume(),
    write: (chunk, _, done) => stdin.write(chunk, done),
    final: (done) => stdin.end(done),
  });
  stdout.on('data', (chunk) => {
    if (!stream.push(chunk)) stdout.pause();
  });
  stdout.on('end', () => stream.push(null));
  return stream;
}

const [folder = ''] = process.argv.slice(2);
const keys = generateDeskKeys();
const certificate = await createCertificate(keys.tls, ['localhost'], Date.now());
const root = join(import.meta.dirname, '../..');
const program = join(import.meta.dirname, 'ledger-process.ts');
// As the ledger runs: its heap and its permissions.
const child = spawn(process.execPath, [...ledgerFlags([root]), program], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const ready = Promise.withResolvers<null>();
const hash = new Uint8Array(32);
const link = new LedgerLink(
  joinChild(child),
  {
    origin: 'trackseal.example/bench/e0000000001',
    epoch: 1,
    configuration: readFileSync(join(folder, 'configuration.json')),
    nowNs: BigInt(Date.now()) * 1_000_000n,
    storageKeys: [],
    leafZeroHash: hash,
    ed25519: keys.ed25519.publicKey,
    databasePassword: null,
    userKey: hash,
  },
  {
    runAsync: (work) => work(),
    onReady: () => {
      ready.resolve(null);
    },
    onTaken: () => undefined,
    onStated: () => undefined,
    onResync: () => undefined,
    onAudit: () => undefined,
    onDatabase: (stream) => stream.destroy(),
    prices: () => Promise.resolve({ rows: [], missing: [] }),
    sign: () => Promise.resolve(null),
    onEnd: () => {
      process.exit(1);
    },
  },
);
const port = new GrpcPort({
  guard: createGuard((code) => {
    throw new Error(code);
  }),
  key: keys.tls,
  certificate,
  clientCa: utf8(readFileSync(join(folder, 'client.pem'), 'utf8')),
  openGrpc: (fingerprint) => link.openGrpc(fingerprint),
  audit: {
    append: () => Promise.resolve({ index: 1, salt: hash, hash }),
    clientRefused: () => undefined,
  },
  nowMs: () => Date.now(),
});
await ready.promise;
await port.listen(unixTransport(folder));
process.send?.({ certificate });
process.on('disconnect', () => {
  child.kill();
  process.exit();
});
