import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkCertificateChain } from '../../../enclave/desk/certificate-check.ts';
import { HttpsService } from '../../../enclave/desk/https.ts';
import type { HttpsServices } from '../../../enclave/desk/https.ts';
import { generateDeskKeys } from '../../../enclave/desk/keys.ts';
import { createCertificate } from '../../../enclave/desk/tls-certificate.ts';
import { TlsCertificates } from '../../../enclave/desk/tls-certificates.ts';
import { createGuard } from '../../../enclave/fatal.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Configuration } from '../../../wire/configuration.ts';
import { MAX_CERTIFICATE_CHAIN_BYTES } from '../../../wire/desk-messages.ts';
import type { Transport } from '../../../wire/node/transport.ts';
import type { Certified } from '../../helpers/certificate-authority.ts';
import { CertificateAuthority, WEAK_ALGORITHM } from '../../helpers/certificate-authority.ts';

const NAMES = ['localhost', 'enclave.example', 'other.enclave.example'];
const DAY_MS = 86_400_000;
const keys = generateDeskKeys();
const configuration = {
  tls_names: NAMES,
  limits: { attestations_per_second: 5 },
} as unknown as Configuration;
const guard = createGuard((code) => {
  throw new Error(code);
});

let authority: CertificateAuthority;
let request = '';

/** The desk's part, and what it did. */
function scene(): {
  tls: TlsCertificates;
  bring: (chain: string) => Promise<void>;
  shown: string[];
  audit: (readonly [string | null, number | null])[];
} {
  let listener: ((chain: Uint8Array) => void) | null = null;
  const shown: string[] = [];
  const audit: (readonly [string | null, number | null])[] = [];
  const tls = new TlsCertificates({
    configuration,
    guard,
    keys,
    nowMs: () => Date.now(),
    onCertificate: (take) => {
      listener = take;
    },
  });
  tls.start({ replaceCertificate: (chain) => shown.push(chain) }, (code, expires) => {
    audit.push([code, expires]);
    return Promise.resolve();
  });
  const bring = async (chain: string): Promise<void> => {
    listener?.(utf8(chain));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  };
  return { tls, bring, shown, audit };
}

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  request = await scene().tls.request();
});

describe('a certificate of others for the TLS key', () => {
  it('is asked for by a request that the key has signed, for names that an authority can know', async () => {
    const leaf = new X509Certificate(await authority.leaf(request));
    expect(leaf.subjectAltName).toBe('DNS:enclave.example, DNS:other.enclave.example');
    const spki = leaf.publicKey.export({ format: 'der', type: 'spki' });
    expect(new Uint8Array(spki)).toEqual(keys.tls.spki);
    const { tls } = scene();
    expect(await tls.request()).toBe(await tls.request());
  });

  it('is shown when it fits, after the log says so, and renewed for the same key', async () => {
    const { bring, shown, audit, tls } = scene();
    await bring(await authority.issue(request));
    await bring(await authority.issue(request, { serial: 8 }));
    expect(shown.map((pem) => new X509Certificate(pem).serialNumber)).toEqual(['07', '08']);
    expect(shown[0]?.match(/BEGIN CERTIFICATE/gu)).toHaveLength(2);
    expect(audit.map(([code]) => code)).toEqual([null, null]);
    expect(audit[0]?.[1]).toBeGreaterThan(Date.now() / 1000 + 80 * 86_400);
    expect(tls.counters).toEqual({ certificates_installed: 2, certificates_refused: 0 });
  });

  it('is not looked at when the desk closes: its last leaf may be written', async () => {
    const { bring, shown, audit, tls } = scene();
    tls.close();
    await bring(await authority.issue(request));
    await bring('hello');
    expect([shown, audit]).toEqual([[], []]);
  });

  it('is not shown when it does not fit, and the log says so', async () => {
    const { bring, shown, audit, tls } = scene();
    await bring('hello');
    expect([shown, audit]).toEqual([[], [['certificate_refused', null]]]);
    expect(tls.counters).toEqual({ certificates_installed: 0, certificates_refused: 1 });
  });
});

function judge(chain: string | Uint8Array, nowMs: number = Date.now()): unknown {
  const bytes = typeof chain === 'string' ? utf8(chain) : chain;
  const checked = checkCertificateChain(bytes, { spki: keys.tls.spki, names: NAMES, nowMs });
  return checked.ok ? 'fits' : [checked.refusal.code, checked.refusal.detail['what']];
}

describe('a chain that does not fit', () => {
  it.each<[string, () => Promise<Certified>, string]>([
    [
      'another key',
      async () => {
        const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
        const pair = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
        return { key: pair.publicKey };
      },
      'another key',
    ],
    ['a name of somebody else', dns('bank.example'), 'other names'],
    [
      'one name of ours and one of somebody else',
      dns('enclave.example', 'bank.example'),
      'other names',
    ],
    ['all names below ours', dns('*.enclave.example'), 'other names'],
    [
      'an address',
      () => Promise.resolve({ names: [{ type: 'ip', value: '192.0.2.1' }] }),
      'other names',
    ],
    [
      'a name that looks like two',
      () => Promise.resolve({ names: [{ type: 'email', value: 'x, DNS:enclave.example' }] }),
      'other names',
    ],
    ['no name', () => Promise.resolve({ names: null }), 'other names'],
    [
      'an authority of its own',
      () => Promise.resolve({ ca: true }),
      'the first one is an authority',
    ],
    [
      'another use',
      () => Promise.resolve({ usages: [ExtendedKeyUsage.clientAuth] }),
      'not for servers',
    ],
    ['the past', () => Promise.resolve({ toMs: Date.now() - 1000 }), 'not valid now'],
    ['the future', () => Promise.resolve({ fromMs: Date.now() + DAY_MS }), 'not valid now'],
  ])('is for %s', async (_, change, what) => {
    const chain = await authority.issue(request, await change());
    expect(judge(chain)).toEqual(['certificate_refused', what]);
  });

  it('breaks, is not in order, or is not PEM alone', async () => {
    const leaf = await authority.leaf(request);
    const { intermediate, root } = authority;
    const other = await CertificateAuthority.create();
    const whole = leaf + intermediate.pem;
    expect(judge(leaf)).toBe('fits');
    expect(judge(whole)).toBe('fits');
    expect(judge(whole + root.pem)).toBe('fits');
    expect(judge(whole.replaceAll('\n', '\r\n'))).toBe('fits');
    for (const chain of [
      leaf + root.pem,
      leaf + other.intermediate.pem,
      whole + other.root.pem,
      leaf + leaf,
    ]) {
      expect(judge(chain)).toEqual(['certificate_refused', 'not a chain']);
    }
    expect(judge(intermediate.pem + leaf)).toEqual([
      'certificate_refused',
      'the first one is an authority',
    ]);
    const none = ['certificate_refused', 'not PEM certificates'];
    const key = keys.tls.privateKey.export({ format: 'pem', type: 'pkcs8' });
    for (const chain of [
      '',
      'x',
      `${whole}x`,
      whole + key,
      leaf.slice(0, 300),
      leaf.replace('M', '-'),
    ]) {
      expect(judge(chain)).toEqual(none);
    }
    expect(judge(leaf.replace(/[A-Z]{4}/u, 'AAAA'))).not.toBe('fits');
    expect(judge(Uint8Array.of(0xff, 0xfe))).toEqual(none);
    expect(judge(whole + intermediate.pem.repeat(7))).toEqual(none);
    expect(judge(whole.padEnd(MAX_CERTIFICATE_CHAIN_BYTES, '\n'))).toBe('fits');
    expect(judge(whole.padEnd(MAX_CERTIFICATE_CHAIN_BYTES + 1, '\n'))).toEqual(none);
  });

  it('has an authority that TLS would throw at, and the desk with it', async () => {
    const weak = await CertificateAuthority.create(Date.now(), WEAK_ALGORITHM);
    const chain = await weak.issue(request);
    expect(judge(chain)).toEqual(['certificate_refused', 'too weak for TLS']);
  });

  it('has an intermediate that is over', async () => {
    const old = await CertificateAuthority.create(Date.now() - 400 * DAY_MS);
    const chain = await old.issue(request);
    expect(judge(chain)).toEqual(['certificate_refused', 'not valid now']);
  });
});

function dns(...names: readonly string[]): () => Promise<Certified> {
  return () => Promise.resolve({ names: names.map((value) => ({ type: 'dns', value })) });
}

async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
  return new Promise((resolve) => {
    socket.once('data', (chunk: Buffer) => {
      resolve(chunk.toString().split('\r\n')[0] ?? '');
    });
  });
}

describe('another certificate on port 3000', () => {
  it('is shown to the next connection, and ends none that is open', async () => {
    let accept: ((stream: Duplex) => void) | null = null;
    const transport: Transport = {
      connect: () => Promise.reject(new Error('not here')),
      listen: (_, onStream) => {
        accept = onStream;
        return Promise.resolve({ close: () => Promise.resolve() });
      },
    };
    const services = {
      acknowledgedSize: () => 1,
      configuration,
      epoch: 1,
      guard,
      isReady: () => true,
      logStalled: () => false,
      nowNs: () => 0n,
      origin: 'log/e0000000001',
    } as unknown as HttpsServices;
    const own = await createCertificate(keys.tls, NAMES, Date.now());
    const https = new HttpsService(services, keys.tls, own);
    await https.listen(transport);
    const dial = async (): Promise<TLSSocket> => {
      const [enclave, client] = duplexPair();
      accept?.(enclave);
      const socket = connect({
        socket: client,
        servername: 'enclave.example',
        ca: authority.root.pem,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
      });
      await new Promise((resolve) => {
        socket.once('secureConnect', resolve);
      });
      return socket;
    };
    const before = await dial();
    expect(await ask(before)).toBe('HTTP/1.1 200 OK');
    https.replaceCertificate(await authority.issue(request));
    expect(await ask(before)).toBe('HTTP/1.1 200 OK');
    const after = await dial();
    expect(after.authorized).toBe(true);
    expect([before, after].map((socket) => socket.getPeerX509Certificate()?.serialNumber)).toEqual([
      new X509Certificate(own).serialNumber,
      '07',
    ]);
    const spkis = [before, after].map((socket) =>
      socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' }),
    );
    expect(spkis[0]).toEqual(spkis[1]);
    expect(await ask(after)).toBe('HTTP/1.1 200 OK');
    expect([before.alpnProtocol, after.alpnProtocol]).toEqual(['http/1.1', 'http/1.1']);
    before.destroy();
    after.destroy();
    await https.close();
  });
});
