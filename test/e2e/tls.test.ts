// A certificate of a public authority on a real enclave's HTTPS, from the request to the renewal, and after a restart.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../helpers/certificate-authority.ts';
import { attest, newAppliance, TestHost, verifyLog } from './appliance.ts';
import { cleanUpAfterEach, temporaryFolder, trackseal } from './processes.ts';

cleanUpAfterEach();

/** The certificate that a browser would be shown, and whether it takes it. */
async function browse(
  url: string,
  root: string,
): Promise<{ readonly serial: string; readonly taken: boolean }> {
  const { port } = new URL(url);
  const socket = connect({
    host: '127.0.0.1',
    port: Number(port),
    servername: 'localhost',
    ca: root,
    rejectUnauthorized: false,
  });
  await new Promise((resolve) => {
    socket.once('secureConnect', resolve);
  });
  const serial = socket.getPeerX509Certificate()?.serialNumber ?? '';
  const taken = socket.authorized;
  socket.destroy();
  return { serial, taken };
}

describe('trackseal tls', () => {
  it('puts a certificate on the enclave that runs, renews it, and needs another one after a restart', async () => {
    const directory = join(temporaryFolder(), 'a');
    const appliance = await newAppliance(directory);
    const sockets = temporaryFolder();
    const place = { hostSockets: sockets, enclaveSockets: sockets };
    const authority = await CertificateAuthority.create();
    const heads = join(directory, 'heads.json');
    const chain = join(directory, 'chain.pem');
    const start = async (): Promise<TestHost> => {
      const host = TestHost.start(appliance, place, { speed: 1 });
      await host.waitForEvent('enclave_ready');
      return host;
    };

    const first = await start();
    const url = await first.url();
    const config = ['--config', first.configFile];
    expect(await browse(url, authority.root.pem)).toMatchObject({ taken: false });
    const asked = await trackseal(['tls', 'csr', ...config, '--json']);
    expect(asked.code, asked.stderr).toBe(0);
    const before = await attest(appliance, url, heads);
    expect(before.code, before.stderr).toBe(0);
    const attested = before.json['user_data'] as { readonly tls_key_hash: string };
    expect(asked.json['spki_sha256']).toBe(attested.tls_key_hash);

    const request = String(asked.json['csr']);
    for (const serial of [7, 8]) {
      writeFileSync(chain, await authority.issue(request, { serial }));
      const installed = await trackseal(['tls', 'install', chain, ...config, '--json']);
      expect(installed.code, installed.stderr).toBe(0);
      expect(installed.json).toMatchObject({ installed: true, names: 'DNS:localhost' });
      expect(await browse(url, authority.root.pem)).toEqual({ serial: `0${serial}`, taken: true });
    }
    // For verifiers nothing has changed.
    const after = await attest(appliance, url, heads);
    expect(after.code, after.stderr).toBe(0);

    const names = [{ type: 'dns', value: 'bank.example' } as const];
    writeFileSync(chain, await authority.issue(request, { names }));
    const other = await trackseal(['tls', 'install', chain, ...config, '--timeout-ms', '2000']);
    expect([other.code, other.stderr.split(':')[0]]).toEqual([1, 'certificate_refused']);
    expect(await browse(url, authority.root.pem)).toEqual({ serial: '08', taken: true });

    first.process.signal('SIGTERM');
    expect((await first.finish()).end).toEqual({ code: 0, signal: null });
    const verified = await verifyLog(appliance);
    expect(verified.json, verified.stderr).toMatchObject({ verdict: 'verified' });

    const second = await start();
    expect((await browse(await second.url(), authority.root.pem)).taken).toBe(false);
    writeFileSync(chain, await authority.issue(request));
    const late = await trackseal(['tls', 'install', chain, '--config', second.configFile]);
    expect([late.code, late.stderr]).toMatchObject([1, expect.stringContaining('one epoch')]);
    second.process.signal('SIGTERM');
    expect((await second.finish()).end).toEqual({ code: 0, signal: null });
  });
});
