// The client against the enclave's own HTTPS and API, through the host's ingress; only the exchange and the log are fakes.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as node from '../../client/node/index.ts';
import type { SecureClientOptions } from '../../client/secure-client.ts';
import { AuditTrail } from '../../enclave/desk/audit-trail.ts';
import { HttpsService } from '../../enclave/desk/https.ts';
import type { DeskServices } from '../../enclave/desk/services.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import type { TraderDesk } from '../../enclave/desk/trader-desk.ts';
import { openTraderDesk } from '../../enclave/desk/trader-desk.ts';
import { Nsm } from '../../enclave/nsm/nsm.ts';
import { Ingress } from '../../host-proxy/ingress.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { measure, measurementsJson } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { readStatement } from '../../verifier/result/check-result.ts';
import { parseResultFile } from '../../verifier/result/result-file.ts';
import { encodeUserData, PURPOSE } from '../../wire/attestation/user-data.ts';
import { utf8 } from '../../wire/bytes.ts';
import { unixTransport } from '../../wire/node/unix.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import { FakeDesk, FakePolling, FULL_PERMISSIONS, someFigures } from '../helpers/fake-desk.ts';
import type { Browser } from './browser-bundle.ts';
import { bundleFor, openPage } from './browser-bundle.ts';

const CONFIG = new Uint8Array(32).fill(9);

let folder = '';
let policy = '';
let rootPem = '';
let url = '';
let bundle = '';
let desk: FakeDesk;
let polling: FakePolling;
let traders: TraderDesk;
let https: HttpsService;
let ingress: Ingress;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ts-desk-'));
  const root = await SimulatedRoot.open(folder);
  rootPem = await readFile(join(folder, 'root.pem'), 'utf8');
  const measurements = measure({ boot: utf8('boot'), application: utf8('app') });
  policy = measurementsJson(measurements);
  const nsm = new Nsm(new SimulatedNsm({ root, measurements }));
  assertAccepted(await nsm.extendPcr(16, CONFIG));
  assertAccepted(await nsm.lockPcrs(32));
  desk = new FakeDesk({ nowMs: Date.now() });
  polling = new FakePolling();
  const { keys, origin, leafZeroHash } = desk.services;
  const services: DeskServices = {
    ...desk.services,
    nowMs: () => Date.now(),
    nowNs: () => BigInt(Date.now()) * 1_000_000n,
    acknowledgedSize: () => 10,
    attest: (nonce) => {
      const userData = encodeUserData({
        purpose: PURPOSE.challenge,
        origin,
        head: { size: 10, root: new Uint8Array(32).fill(3) },
        leafZeroHash,
        x25519Key: keys.x25519.publicKey,
        tlsKeyHash: keys.tls.spkiHash,
        ed25519Key: keys.ed25519.publicKey,
        configDigest: CONFIG,
      });
      return nsm.attest({ userData, nonce, publicKey: new Uint8Array(91).fill(4) });
    },
  };
  const audit = new AuditTrail(services);
  traders = await openTraderDesk(services, {
    polling,
    audit,
    ledger: null,
    csr: () => Promise.resolve(''),
  });
  const { api } = traders;
  const certificate = await createCertificate(keys.tls, ['localhost'], Date.now());
  https = new HttpsService(services, keys.tls, certificate, api);
  const transport = unixTransport(folder);
  await https.listen(transport);
  ingress = await Ingress.listen({
    transport,
    host: '127.0.0.1',
    port: 0,
    maxConnections: 16,
    idleMs: 60_000,
    logger: createLogger({ level: 'error', write: () => undefined, now: () => new Date(0) }),
  });
  url = `https://127.0.0.1:${ingress.port}`;
  bundle = await bundleFor('client/browser.ts');
});

afterAll(async () => {
  await ingress.close();
  await https.close();
  await traders.close();
  await rm(folder, { recursive: true });
});

function optionsOf(change: Partial<SecureClientOptions> = {}): SecureClientOptions {
  return {
    enclaveUrl: url,
    userId: 'trader-1',
    exchange: 'kraken',
    apiKey: 'api-key-of-the-trader',
    secret: 'secret "quoted" \\ \u00e9',
    policy,
    unsafeRoot: rootPem,
    ...change,
  };
}

async function codeOf(call: () => Promise<unknown>): Promise<unknown> {
  return call().then(
    () => 'resolved',
    (error: unknown) => (error as { readonly code?: unknown }).code ?? error,
  );
}

const platforms: readonly (readonly [string, () => Browser])[] = [
  ['Node', () => node],
  ['a browser', () => openPage(bundle)],
  ['a browser without the curves', () => openPage(bundle, { subtle: false })],
];

describe.each(platforms)('SecureClient in %s, with the API of the enclave', (_, load) => {
  it('registers, reads signed figures, renews, goes on, and revokes', async () => {
    const { SecureClient } = load();
    const client = new SecureClient(
      optionsOf({ passphrase: 'pass phrase', label: 'main', symbols: ['BTC/EUR'], sandbox: true }),
    );
    const { session, permissions } = await client.register();
    expect(permissions).toMatchObject({ read: true, trade: false, withdraw: false });
    const account = [...polling.added.values()].at(-1)?.account;
    expect(account).toMatchObject({
      venue: 'kraken',
      label: 'main',
      environment: 'sandbox',
      symbols: ['BTC/EUR'],
      allowTrading: false,
    });
    const { credentials } = account ?? {};
    expect([credentials?.apiKey, credentials?.secret, credentials?.passphrase].map(String)).toEqual(
      ['api-key-of-the-trader', 'secret "quoted" \\ \u00e9', 'pass phrase'],
    );
    const { summary, hours, evidence, leafIndex } = await client.getSummary();
    expect(summary).toMatchObject({
      origin: desk.services.origin,
      account_commitment: session.accountCommitment,
      venue: 'kraken',
      environment: 'sandbox',
      trades: 2,
      volume: someFigures().volume,
      missing: ['returns', 'valuation', 'fee_conversion', 'hours'],
    });
    expect([hours, evidence.leaf_index]).toEqual([[], leafIndex]);
    const metrics = await client.getMetrics();
    expect(metrics.hours).toHaveLength(1);
    // What a client keeps is what a verifier takes.
    for (const kept of [evidence, metrics.evidence]) {
      const file = assertAccepted(parseResultFile(utf8(JSON.stringify(kept))));
      expect(readStatement(file)).toMatchObject({ ok: true });
    }
    const before = session.expiresMs;
    expect(await client.renew(604_800)).toBeGreaterThan(before);
    const again = SecureClient.resume(session, { policy, unsafeRoot: rootPem });
    expect((await again.getSummary()).summary.trades).toBe(2);
    await client.revoke();
    expect(client.isRegistered()).toBe(false);
    expect(await codeOf(() => again.getSummary())).toBe('session_unknown');
    expect(credentials?.apiKey.every((byte) => byte === 0)).toBe(true);
  });

  it('is told by code what the enclave does not take', async () => {
    const { SecureClient } = load();
    const register = (change: Partial<SecureClientOptions>): Promise<unknown> =>
      codeOf(() => new SecureClient(optionsOf(change)).register());
    expect(await register({ exchange: 'ftx' })).toBe('venue_closed');
    expect(await register({ exchange: 'nowhere' })).toBe('venue_unknown');
    polling.answer = () => Promise.resolve(accept({ ...FULL_PERMISSIONS, trade: true }));
    expect(await register({})).toBe('permission_excessive');
    expect(await register({ allowTrading: true })).toBe('resolved');
    polling.answer = () => Promise.resolve(accept({ ...FULL_PERMISSIONS, withdraw: true }));
    expect(await register({ allowTrading: true })).toBe('permission_excessive');
    expect(await register({ allowWithdrawals: true })).toBe('resolved');
    polling.answer = () => Promise.resolve(accept(FULL_PERMISSIONS));
  });
});
