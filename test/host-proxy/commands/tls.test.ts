// The commands of an operator, the host's watch and the desk's part of it, joined; the streams between host and core are
// left out.

import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpsService } from '../../../enclave/desk/https.ts';
import type { Routes } from '../../../enclave/desk/https.ts';
import { createCertificate } from '../../../enclave/desk/tls-certificate.ts';
import { TlsCertificates } from '../../../enclave/desk/tls-certificates.ts';
import { CertificateWatch } from '../../../host-proxy/certificate-watch.ts';
import { runCsr, runInstall } from '../../../host-proxy/commands/tls.ts';
import { nodeFiles } from '../../../host-proxy/files.ts';
import { lockFolder } from '../../../host-proxy/folder-lock.ts';
import { createLogger } from '../../../host-proxy/logger.ts';
import { CERTIFICATE_REQUEST, requestsDirectory } from '../../../host-proxy/requests.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { MAX_CERTIFICATE_CHAIN_BYTES } from '../../../wire/desk-messages.ts';
import { unixTransport } from '../../../wire/node/unix.ts';
import { CertificateAuthority } from '../../helpers/certificate-authority.ts';
import { FakeDesk } from '../../helpers/fake-desk.ts';
import type { Listener } from '../../verifier/listen.ts';
import { listen } from '../../verifier/listen.ts';

const NAMES = ['localhost', 'enclave.example'];

let folder = '';
let lock: Server | null = null;
let https: HttpsService;
let desk: FakeDesk;
let watch: CertificateWatch;
let authority: CertificateAuthority;
let log = '';
const audit: unknown[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ts-tls-'));
  audit.length = 0;
  log = '';
  authority = await CertificateAuthority.create();
  desk = new FakeDesk({
    nowMs: Date.now(),
    configuration: {
      tls_names: NAMES,
      limits: { clock_divergence_ms: 1, attestations_per_second: 5 },
    },
  });
  let take: ((chain: Uint8Array) => void) | null = null;
  const services = {
    ...desk.services,
    onCertificate: (listener: (chain: Uint8Array) => void) => {
      take = listener;
    },
  };
  const { keys } = services;
  const tls = new TlsCertificates(services);
  const routes: Routes = {
    owns: (path) => path === '/tls/csr',
    answer: async (_, response) => {
      response.end(await tls.request());
    },
  };
  const own = await createCertificate(keys.tls, NAMES, Date.now());
  https = new HttpsService(services, keys.tls, own, routes);
  tls.start({ replaceCertificate: (chain) => https.replaceCertificate(chain) }, (code) => {
    audit.push(code);
    return Promise.resolve();
  });
  await https.listen(unixTransport(folder));
  watch = new CertificateWatch({
    files: nodeFiles,
    directory: requestsDirectory(join(folder, 'state')),
    logger: createLogger({ level: 'info', write: (line) => (log += line), now: () => new Date(0) }),
    send: (chain) => {
      take?.(chain);
      return take !== null;
    },
    onFailure: (error) => {
      throw error;
    },
  });
  watch.start();
  lock = await lockFolder(join(folder, 'state'));
  const config = {
    transport: `unix:${folder}`,
    state: join(folder, 'state'),
    log: join(folder, 'log'),
    configuration: 'configuration.json',
    strategies: [],
    enclave: { command: ['enclave'] },
    feed: null,
    execution: {
      paper: { latency_ms: 5, taker_fee_ppm: 500, maker_fee_ppm: -10, slippage_ticks: 1 },
      limits: {
        max_order_notional: '1',
        max_position_notional: '1',
        max_orders: 1,
        order_window_ms: 1,
        price_band_ppm: 1,
        max_daily_loss: '1',
      },
    },
    tiles: { port: 0 },
    ingress: null,
  };
  await writeFile(join(folder, 'host.json'), JSON.stringify(config));
});

afterEach(async () => {
  await watch.stop();
  await https.close();
  lock?.close();
  await rm(folder, { recursive: true });
});

type Run = typeof runCsr;

async function run(command: Run, ...args: readonly string[]): Promise<[number, Listener]> {
  const io = listen();
  const exit = await command([...args, '--config', join(folder, 'host.json')], io);
  return [exit, io];
}

async function request(): Promise<string> {
  const [exit, io] = await run(runCsr);
  expect([exit, io.err]).toMatchObject([
    0,
    expect.stringContaining(toHex(desk.services.keys.tls.spkiHash)),
  ]);
  return io.out;
}

async function install(chain: string, ...more: readonly string[]): Promise<[number, Listener]> {
  const file = join(folder, 'chain.pem');
  await writeFile(file, chain);
  return run(runInstall, file, ...more);
}

describe('trackseal tls', () => {
  it('asks for a certificate, installs it, and renews it for the same key', async () => {
    const asked = await request();
    const [exit, io] = await install(await authority.issue(asked), '--json');
    expect([exit, io.err]).toEqual([0, '']);
    expect(JSON.parse(io.out)).toMatchObject({ installed: true, names: 'DNS:enclave.example' });
    expect(await request()).toBe(asked);
    const [again] = await install(await authority.issue(asked, { serial: 9 }));
    expect([again, audit]).toEqual([0, [null, null]]);
    expect(log.match(/certificate_sent/gu)).toHaveLength(2);
    const directory = requestsDirectory(join(folder, 'state'));
    expect(nodeFiles.size(`${directory}/${CERTIFICATE_REQUEST}`)).toBeNull();
  });

  it('says so when the enclave does not take it', async () => {
    const chain = await authority.issue(await request(), {
      names: [{ type: 'dns', value: 'bank.example' }],
    });
    const [exit, io] = await install(chain, '--timeout-ms', '1500');
    expect([exit, io.out]).toEqual([1, '']);
    expect(io.err).toContain('certificate_refused');
    expect(io.err).toContain('DNS:bank.example');
    expect(audit).toEqual(['certificate_refused']);
  });

  it('does not send a certificate for another key', async () => {
    const other = new FakeDesk();
    const { keys } = other.services;
    const chain = await createCertificate(keys.tls, NAMES, Date.now());
    const [exit, io] = await install(chain);
    expect(exit).toBe(1);
    expect(io.err).toContain(toHex(keys.tls.spkiHash));
    expect(io.err).toContain('trackseal tls csr');
    expect([audit, log]).toEqual([[], '']);
  });

  it.each([
    ['what is no certificate', 'hello'],
    ['more than the enclave reads', 'x'.repeat(MAX_CERTIFICATE_CHAIN_BYTES + 1)],
  ])('does not send %s', async (_, chain) => {
    expect((await install(chain))[0]).toBe(2);
    expect(audit).toEqual([]);
  });

  it('needs a host that runs, and an enclave', async () => {
    const chain = await authority.issue(await request());
    lock?.close();
    lock = null;
    const [exit, io] = await install(chain);
    expect([exit, io.err]).toMatchObject([2, expect.stringContaining('no host runs')]);
    await https.close();
    for (const command of [runCsr, runInstall]) {
      const args = command === runCsr ? [] : [join(folder, 'chain.pem')];
      const [code, said] = await run(command, ...args);
      expect([code, said.err]).toMatchObject([2, expect.stringContaining('source_unreachable')]);
    }
  });

  it('prints the request as JSON with the hash of the key', async () => {
    const [exit, io] = await run(runCsr, '--json');
    const answer = JSON.parse(io.out) as { readonly csr: string; readonly spki_sha256: string };
    expect([exit, answer.spki_sha256]).toEqual([0, toHex(desk.services.keys.tls.spkiHash)]);
    const leaf = new X509Certificate(await authority.leaf(answer.csr));
    expect(leaf.subjectAltName).toBe('DNS:enclave.example');
    expect(utf8(answer.csr).length).toBeLessThan(4096);
  });
});
