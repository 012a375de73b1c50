// Both ends of port 7002 as they are: the enclave's TLS through the host's egress, to a server of the test.

import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { Egress } from '../../enclave/egress.ts';
import { Egress as HostEgress } from '../../host-proxy/egress/egress.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { unixTransport } from '../../wire/node/unix.ts';
import { assertAccepted } from '../../wire/result.ts';

const HOST = 'kms.example';
const BYTES = 3_000_000;

it('the enclave and the host dial, and carry megabytes both ways to their ends', async () => {
  const authority = await TlsAuthority.open(null);
  const { keyPem, certificatePem } = await authority.issue([HOST]);
  const server = createServer({ key: keyPem, cert: certificatePem }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const folder = await mkdtemp(join(tmpdir(), 'ts-joined-'));
  const transport = unixTransport(folder);
  const { port } = server.address() as AddressInfo;
  const lines: string[] = [];
  const host = await HostEgress.listen({
    transport,
    allow: [{ host: HOST, port: 443, address: { host: '127.0.0.1', port } }],
    maxConnections: 2,
    connectMs: 10_000,
    idleMs: 60_000,
    logger: createLogger({
      level: 'debug',
      write: (line) => void lines.push(line),
      now: () => new Date(),
    }),
  });
  onTestFinished(async () => {
    await host.close();
    server.close();
    await rm(folder, { recursive: true });
  });
  const roots = utf8(authority.pem);
  const hosts = [HOST, 'other.example'].map((name) => ({ host: name, port: 443 }));
  const manifest = { hosts, roots_sha256: toHex(nodeCrypto.sha256(roots)) };
  const egress = assertAccepted(Egress.open(nodeCrypto, transport, manifest, roots));

  const socket = await egress.connect(HOST, 443);
  const sent = Buffer.alloc(BYTES, 'x');
  socket.end(sent);
  const parts: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) parts.push(chunk);
  expect(Buffer.concat(parts).equals(sent)).toBe(true);
  // Measured, and not on the operator's list.
  await expect(egress.connect('other.example', 443)).rejects.toMatchObject({
    code: 'egress_refused',
  });
  expect(host.counters.connected).toBe(1);
  // Names, never what was said.
  expect(lines.join('')).not.toContain('xxxx');
});
