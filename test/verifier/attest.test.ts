import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509CertificateGenerator } from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Nsm } from '../../enclave/nsm/nsm.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { measure, measurementsJson } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import type { AttestationReport } from '../../verifier/attestation-report.ts';
import { run } from '../../verifier/commands/attest.ts';
import type { UserData } from '../../wire/attestation/user-data.ts';
import { encodeUserData, PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseHex } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import { listen } from './listen.ts';

const hash = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const CONFIG = hash(9);
const LOG_KEY = new Uint8Array(91).fill(4);
const ORIGIN = 'log.example/e0000000001';

/** What the fake enclave does with a challenge; each test changes one thing. */
interface Behaviour {
  readonly userData?: Partial<UserData>;
  readonly nonce?: Uint8Array | null;
  readonly publicKey?: Uint8Array;
  readonly answer?: (response: ServerResponse, document: Uint8Array) => void;
  readonly nsm?: Nsm;
}

let folder = '';
let nsm: Nsm;
let oldNsm: Nsm;
let futureNsm: Nsm;
let server: Server;
let url = '';
let tlsKeyHash: Uint8Array;
let behaviour: Behaviour = {};
let seen: string[] = [];

async function createTls(): Promise<{ key: string; cert: string; spkiHash: Uint8Array }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    { name: 'CN=enclave', keys, signingAlgorithm: algorithm },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', keys.publicKey));
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`,
    cert: certificate.toString('pem'),
    spkiHash: new Uint8Array(createHash('sha256').update(spki).digest()),
  };
}

async function answer(target: string, response: ServerResponse): Promise<void> {
  seen.push(target);
  const asked = parseHex(target.split('nonce=')[1] ?? '');
  const userData = encodeUserData({
    purpose: PURPOSE.challenge,
    origin: ORIGIN,
    head: { size: 10, root: hash(10) },
    leafZeroHash: hash(1),
    x25519Key: null,
    tlsKeyHash,
    ed25519Key: null,
    configDigest: CONFIG,
    ...behaviour.userData,
  });
  const nonce = behaviour.nonce === undefined ? asked : behaviour.nonce;
  const publicKey = behaviour.publicKey ?? LOG_KEY;
  const source = behaviour.nsm ?? nsm;
  const document = assertAccepted(await source.attest({ userData, nonce, publicKey }));
  if (behaviour.answer !== undefined) behaviour.answer(response, document);
  else response.setHeader('content-type', 'application/cbor').end(document);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-attest-'));
  const root = await SimulatedRoot.open(folder);
  const measurements = measure({ boot: Buffer.from('boot'), application: Buffer.from('app') });
  await writeFile(join(folder, 'policy.json'), measurementsJson(measurements));
  const boot = async (offsetMs: number): Promise<Nsm> => {
    const now = (): number => Date.now() + offsetMs;
    const booted = new Nsm(new SimulatedNsm({ root, measurements, now }));
    assertAccepted(await booted.extendPcr(16, CONFIG));
    assertAccepted(await booted.lockPcrs(32));
    return booted;
  };
  nsm = await boot(0);
  oldNsm = await boot(-301_000);
  futureNsm = await boot(301_000);
  const tls = await createTls();
  tlsKeyHash = tls.spkiHash;
  server = createServer({ key: tls.key, cert: tls.cert }, (request, response) => {
    void answer(request.url ?? '', response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  await rm(folder, { recursive: true });
});

interface Outcome {
  readonly exit: number;
  readonly report: AttestationReport;
}

let memories = 0;
function newMemory(): string {
  return join(folder, `heads-${memories++}.json`);
}

async function attest(change: Behaviour, ...extra: readonly string[]): Promise<Outcome> {
  behaviour = change;
  seen = [];
  const io = listen({ TRACKSEAL_HEADS: newMemory() });
  const trust = [
    '--unsafe-root',
    join(folder, 'root.pem'),
    '--policy',
    join(folder, 'policy.json'),
  ];
  const exit = await run([url, ...trust, ...extra, '--json'], io);
  return { exit, report: JSON.parse(io.out) as AttestationReport };
}

describe('trackseal attest', () => {
  it('verifies a fresh answer over a connection that ends in the enclave', async () => {
    const document = join(folder, 'document.cbor');
    const { exit, report } = await attest({}, '-o', document);
    expect([exit, report.code]).toEqual([0, null]);
    expect(report).toMatchObject({
      verdict: 'verified',
      valid_at_signing: true,
      valid_now: true,
      nonce_checked: true,
      unsafe: ['--unsafe-root'],
      user_data: { purpose: 'challenge', origin: ORIGIN, head: { size: 10 } },
    });
    expect(report.skipped).toEqual(['config_digest', 'origin', 'consistency']);
    expect(report.residual_risks).toEqual([
      'chosen_configuration',
      'unseen_policy',
      'unread_log',
      'second_enclave',
      'hidden_epoch',
      'chosen_log',
      'stopped_at_will',
      'aws_nitro',
      'measured_build',
      'side_channels',
      'own_machine',
    ]);
    expect(report.operator_could_still?.join()).toContain('leaf 0 shows it');
    expect(report.rests_on?.[0]).toContain('not the one of AWS');
    expect(seen[0]).toMatch(/^\/attestation\?nonce=[0-9a-f]{64}$/u);
    expect((await readFile(document)).length).toBeGreaterThan(3000);
  });

  it('draws another nonce each time', async () => {
    await attest({});
    const [first] = seen;
    await attest({});
    expect(seen[0]).not.toBe(first);
  });

  it.each<[string, Behaviour, string]>([
    ['another nonce', { nonce: hash(7) }, 'nonce_mismatch'],
    ['no nonce', { nonce: null }, 'nonce_mismatch'],
    ['an anchor', { userData: { purpose: PURPOSE.anchor } }, 'purpose_mismatch'],
    ['the key of another connection', { userData: { tlsKeyHash: hash(5) } }, 'tls_key_mismatch'],
    ['no TLS key', { userData: { tlsKeyHash: null } }, 'tls_key_mismatch'],
    ['another configuration', { userData: { configDigest: hash(8) } }, 'config_mismatch'],
  ])('refuses %s', async (_, change, code) => {
    const { exit, report } = await attest(change);
    expect([exit, report.code]).toEqual([1, code]);
    expect([report.operator_could_still, report.residual_risks]).toEqual([null, null]);
  });

  it('refuses a document that is older than five minutes, or from the future', async () => {
    expect((await attest({ nsm: oldNsm })).report.code).toBe('document_stale');
    // The certificates of a future NSM are not valid yet, which is seen first.
    expect((await attest({ nsm: futureNsm })).report.code).toBe('certificate_expired');
  });

  it('refuses a damaged document', async () => {
    const { exit, report } = await attest({
      answer: (response, document) => {
        document[document.length - 1] = (document.at(-1) ?? 0) ^ 1;
        response.end(document);
      },
    });
    expect([exit, report.code]).toEqual([1, 'cose_signature']);
  });

  it.each<[string, Behaviour['answer'], string]>([
    ['more than 16 KiB', (response) => response.end(new Uint8Array(16_385)), 'document_too_large'],
    [
      'an error of the enclave',
      (response) => response.writeHead(429).end('{"error":"rate_limited"}'),
      'rate_limited',
    ],
    ['another status', (response) => response.writeHead(500).end('oh'), 'source_unreachable'],
    [
      'a redirect',
      (response) => response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end(),
      'source_unreachable',
    ],
    ['a broken connection', (response) => response.destroy(), 'source_unreachable'],
    ['silence', () => null, 'source_unreachable'],
  ])('cannot decide on %s', async (_, reply, code) => {
    const { exit, report } = await attest(
      reply === undefined ? {} : { answer: reply },
      '--timeout-ms',
      '1000',
    );
    expect([exit, report.code]).toEqual([2, code]);
  });

  it('never follows plain http, nor addresses with a query', async () => {
    for (const address of ['http://127.0.0.1:1', `${url}/?nonce=00`, 'enclave']) {
      const io = listen();
      expect(await run([address, '--unsafe-any-image'], io)).toBe(2);
      expect(io.err).toContain('usage_invalid');
    }
  });

  it('is undecided without a policy, though the document is good', async () => {
    behaviour = {};
    const io = listen({ TRACKSEAL_HEADS: newMemory() });
    const exit = await run([url, '--unsafe-root', join(folder, 'root.pem'), '--json'], io);
    const report = JSON.parse(io.out) as AttestationReport;
    expect([exit, report.code]).toEqual([2, 'policy_missing']);
  });
});

function head(size: number, fill: number): Behaviour {
  return { userData: { head: { size, root: hash(fill) } } };
}

function epoch(number: number): Behaviour {
  const origin = `log.example/e000000000${number}`;
  return { userData: { origin, head: { size: 1, root: hash(2) } } };
}

describe('remembered heads', () => {
  it('refuse an older head, and another one of the same size', async () => {
    const heads = ['--heads', newMemory()];
    expect((await attest(head(10, 1), ...heads)).exit).toBe(0);
    expect((await attest(head(10, 1), ...heads)).exit).toBe(0);
    expect((await attest(head(12, 2), ...heads)).exit).toBe(0);
    expect((await attest(head(11, 3), ...heads)).report.code).toBe('rollback');
    expect((await attest(head(12, 4), ...heads)).report.code).toBe('fork');
    expect((await attest(head(12, 2), ...heads)).exit).toBe(0);
  });

  it('refuse another log key for the same origin, which is one boot', async () => {
    const heads = ['--heads', newMemory()];
    expect((await attest(head(10, 1), ...heads)).exit).toBe(0);
    const other = { ...head(10, 1), publicKey: new Uint8Array(91).fill(5) };
    expect((await attest(other, ...heads)).report.code).toBe('fork');
  });

  it('are kept apart by origin', async () => {
    const heads = ['--heads', newMemory()];
    expect((await attest(head(10, 1), ...heads)).exit).toBe(0);
    const other = { userData: { origin: 'other/e0000000001', head: { size: 1, root: hash(2) } } };
    expect((await attest(other, ...heads)).exit).toBe(0);
  });

  it('refuse an epoch before one that is known: it cannot be the one that runs', async () => {
    const heads = ['--heads', newMemory()];
    expect((await attest(epoch(5), ...heads)).exit).toBe(0);
    expect((await attest(epoch(3), ...heads)).report.code).toBe('rollback');
    expect((await attest(epoch(6), ...heads)).exit).toBe(0);
    expect((await attest(epoch(5), ...heads)).report.code).toBe('rollback');
  });

  it('do not learn from what was refused', async () => {
    const heads = ['--heads', newMemory()];
    const planted = { userData: { head: { size: 99, root: hash(1) }, tlsKeyHash: hash(1) } };
    expect((await attest(planted, ...heads)).exit).toBe(1);
    expect((await attest(head(10, 1), ...heads)).exit).toBe(0);
  });

  it('that cannot be read decide nothing', async () => {
    const path = newMemory();
    await writeFile(path, '{}');
    const { exit, report } = await attest({}, '--heads', path);
    expect([exit, report.code]).toEqual([2, 'file_unreadable']);
  });

  it('of unsafe verdicts are kept only in a file that was named', async () => {
    behaviour = {};
    const io = listen({ XDG_STATE_HOME: join(folder, 'state') });
    const trust = ['--unsafe-root', join(folder, 'root.pem'), '--unsafe-any-image'];
    expect(await run([url, ...trust, '--json'], io)).toBe(0);
    expect((JSON.parse(io.out) as AttestationReport).skipped).toContain('heads');
    await expect(readFile(join(folder, 'state/trackseal/heads.json'))).rejects.toThrow('ENOENT');
  });
});
