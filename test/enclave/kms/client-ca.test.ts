// The client CA that an owner has sealed, from KMS to gRPC: the core opens it, the desk listens under it, and a client with a
// certificate of it reads, after the enclave has proved itself. Without it there is no port.

import 'reflect-metadata';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { EnclaveClient } from '../../../client/node/index.ts';
import { startLedger } from '../../../enclave/ledger/ledger.ts';
import { openParts } from '../../../enclave/ledger/parts.ts';
import { measurementsJson } from '../../../simulator/nsm/measure.ts';
import { AUDIT_EVENT } from '../../../wire/audit.ts';
import { parseAuditEntry } from '../../../wire/parse-audit.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { KIND } from '../../../wire/leaf.ts';
import { PORT } from '../../../wire/messages.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { ClientAuthority } from '../../helpers/client-certificates.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { startHost } from '../../helpers/enclave-host.ts';
import { IMAGE, simulatedKms, simulatedRoot } from '../../helpers/kms.ts';
import { bootWith, closeHost, seal, sealedConfiguration, sealOf } from '../../helpers/sealing.ts';

const DESK = { polling_ms: 300_000, max_sessions: 10, sandbox: true };

/** The ledger in this process, with its real parts. */
function spawnLedger(): Promise<Duplex> {
  const [near, far] = duplexPair();
  for (const end of [near, far]) end.on('error', () => undefined);
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
  startLedger({ stream: far, openParts, onExit: () => far.destroy() });
  return Promise.resolve(near);
}

/** A TCP port in front of one of the enclave's. */
async function inFront(host: TestHost, port: number): Promise<number> {
  const server: Server = createServer((socket) => {
    const stream = host.dial(port);
    for (const end of [socket, stream]) end.on('error', () => undefined);
    socket.pipe(stream).pipe(socket);
    socket.on('close', () => stream.destroy());
    stream.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('a sealed client CA', () => {
  it('lets its clients in, after the enclave has proved itself; each is in the log', async () => {
    const kms = await simulatedKms();
    const authority = await ClientAuthority.create();
    const configuration = sealedConfiguration({
      sealed: [sealOf('client_ca')],
      strategies: [],
      desk: DESK,
    });
    const sealed = [
      await seal(kms, configuration, { purpose: 'client_ca', bytes: utf8(authority.pem) }),
    ];
    const host = await bootWith(kms, configuration, { sealed, items: [], desk: { spawnLedger } });
    await host.ready();
    expect(host.listens(PORT.grpc)).toBe(true);
    const identity = await authority.issue();
    const root = await simulatedRoot();
    const options = {
      enclaveUrl: `https://127.0.0.1:${await inFront(host, PORT.https)}`,
      grpcAddress: `127.0.0.1:${await inFront(host, PORT.grpc)}`,
      policy: measurementsJson(IMAGE),
      unsafeRoot: root.pem,
    };
    const client = new EnclaveClient({ ...options, ...identity });
    const health = await client.healthCheck();
    expect(health).toMatchObject({ healthy: true, stored: false });
    expect(await client.attest()).toBe(health.origin);
    await expect(client.calculateHistoricalReturns({ userId: 'u' })).rejects.toMatchObject({
      code: 'account_unknown',
    });
    client.close();
    const foreign = await (await ClientAuthority.create()).issue();
    const stranger = new EnclaveClient({ ...options, ...foreign });
    await expect(stranger.healthCheck()).rejects.toMatchObject({ code: 'source_unreachable' });
    stranger.close();

    const clients = (): readonly string[] =>
      host.leaves.flatMap((bytes, index) => {
        if (bytes.length === 0 || host.leaf(index).kind !== KIND.audit) return [];
        const entry = assertAccepted(parseAuditEntry(host.open(index)));
        const { event, sessionHash } = entry;
        return event === AUDIT_EVENT.clientConnected
          ? [toHex(sessionHash ?? new Uint8Array())]
          : [];
      });
    await vi.waitUntil(() => clients().length > 0);
    expect(clients()).toEqual([identity.sha256]);
    await closeHost(host);
  });

  it('is what makes the port: without one nobody listens', async () => {
    const host = await startHost({ configuration: { desk: DESK }, desk: { spawnLedger } });
    await host.ready();
    expect([host.listens(PORT.https), host.listens(PORT.grpc)]).toEqual([true, false]);
    await closeHost(host);
  });

  it('that is no certificate ends the boot', async () => {
    const kms = await simulatedKms();
    const configuration = sealedConfiguration({
      sealed: [sealOf('client_ca')],
      strategies: [],
      desk: DESK,
    });
    const bytes = utf8('no certificate');
    const sealed = [await seal(kms, configuration, { purpose: 'client_ca', bytes })];
    const host = await bootWith(kms, configuration, { sealed, items: [], desk: { spawnLedger } });
    expect(await host.failed()).toBe('seal_malformed');
    expect(host.listens(PORT.grpc)).toBe(false);
  });
});
