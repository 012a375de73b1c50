// The desk's port with real TLS clients; behind it the ledger's gRPC service, without the link between the two.

import 'reflect-metadata';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectUnix } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect } from 'node:tls';
import { ExtendedKeyUsage } from '@peculiar/x509';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../wire/audit.ts';
import { GrpcPort, parseClientCa } from '../../../enclave/desk/grpc-port.ts';
import { generateTlsKey } from '../../../enclave/desk/keys.ts';
import type { TlsKey } from '../../../enclave/desk/keys.ts';
import { createCertificate } from '../../../enclave/desk/tls-certificate.ts';
import { createGuard, Fatal } from '../../../enclave/fatal.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { unixTransport } from '../../../wire/node/unix.ts';
import type { ClientIdentity } from '../../helpers/client-certificates.ts';
import { ClientAuthority } from '../../helpers/client-certificates.ts';

let folder = '';
let authority: ClientAuthority;
let identity: ClientIdentity;
let key: TlsKey;
let certificate = '';

let port: GrpcPort;
let appended: { readonly event: string; readonly facts: Partial<AuditEntry> }[] = [];
let refused = 0;
let opened: { readonly client: string; readonly far: Duplex }[] = [];
let serves = true;
let nowMs = (): number => Date.now();
const fatal: string[] = [];
const sockets: TLSSocket[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ts-port-'));
  authority = await ClientAuthority.create();
  identity = await authority.issue();
  key = generateTlsKey();
  certificate = await createCertificate(key, ['localhost'], Date.now());
});

afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  appended = [];
  refused = 0;
  opened = [];
  serves = true;
  nowMs = () => Date.now();
  port = new GrpcPort({
    guard: createGuard((code) => fatal.push(code)),
    key,
    certificate,
    clientCa: utf8(`# clients of ours\n${authority.pem}`),
    openGrpc: (fingerprint) => {
      if (!serves) return null;
      const [near, far] = duplexPair();
      opened.push({ client: Buffer.from(fingerprint).toString('hex'), far });
      return near;
    },
    audit: {
      append: (event, facts?: Partial<AuditEntry>) => {
        appended.push({ event, facts: facts ?? {} });
        return Promise.resolve({ index: 1, salt: new Uint8Array(16), hash: new Uint8Array(32) });
      },
      clientRefused: () => {
        refused++;
      },
    },
    nowMs: () => nowMs(),
  });
  await port.listen(unixTransport(folder));
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await port.close();
  if (fatal.length > 0) throw new Error(fatal.join());
});

interface Shaken {
  readonly socket: TLSSocket;
  /** First bytes that came; null: it was closed without. */
  readonly answer: Promise<string | null>;
}

function dial(options: ConnectionOptions = {}): Shaken {
  const socket = connect({
    socket: connectUnix(join(folder, '50051')),
    cert: identity.certificate,
    key: identity.key,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
    ...options,
  });
  sockets.push(socket);
  socket.on('error', () => undefined);
  const answer = new Promise<string | null>((resolve) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString()));
    socket.once('close', () => resolve(null));
  });
  return { socket, answer };
}

async function echo(options: ConnectionOptions = {}): Promise<string | null> {
  const before = opened.length;
  const { socket, answer } = dial(options);
  socket.write('hello');
  let over = false;
  void answer.then(() => {
    over = true;
  });
  await expect.poll(() => over || opened.length > before).toBe(true);
  const far = opened[before]?.far;
  far?.on('data', (bytes: Buffer) => far.write(`${bytes.toString()} back`));
  return answer;
}

describe('a certificate of the sealed CA', () => {
  it('is let in; its fingerprint goes to the ledger, and into the log before that', async () => {
    expect(await echo()).toBe('hello back');
    expect(opened.map(({ client }) => client)).toEqual([identity.sha256]);
    expect(appended).toEqual(
      [
        { event: 'clientConnected', facts: { sessionHash: Buffer.from(identity.sha256, 'hex') } },
      ].map(({ event, facts }) => ({
        event,
        facts: { sessionHash: new Uint8Array(facts.sessionHash) },
      })),
    );
    expect(port.counters).toMatchObject({ mtls_clients: 1, mtls_refused: 0, mtls_open: 1 });
  });

  it('sees the TLS key of the epoch, TLS 1.3 and h2', async () => {
    const { socket } = dial();
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const spki = socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' });
    const hash = createHash('sha256')
      .update(spki ?? '')
      .digest();
    expect(new Uint8Array(hash)).toEqual(key.spkiHash);
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.alpnProtocol).toBe('h2');
  });

  it('another chain for the same key is shown from the next connection on', async () => {
    const other = await createCertificate(key, ['other.example'], Date.now());
    port.replaceCertificate(other);
    const { socket } = dial();
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(socket.getPeerX509Certificate()?.toString().trim()).toBe(other.trim());
    await expect.poll(() => opened.length).toBe(1);
    expect(await echo()).toBe('hello back');
  });

  it('who ends their side is gone: the ledger hears it, and the place is free', async () => {
    const { socket } = dial();
    socket.end('bye');
    await expect.poll(() => opened.length).toBe(1);
    const far = opened[0]?.far;
    let heard = '';
    far?.on('data', (bytes: Buffer) => {
      heard += bytes.toString();
    });
    socket.resume();
    await expect.poll(() => heard).toBe('bye');
    await expect.poll(() => port.counters['mtls_open']).toBe(0);
  });

  it('when the ledger ends the connection, the client hears it, and the place is free', async () => {
    const { answer } = dial();
    await expect.poll(() => opened.length).toBe(1);
    opened[0]?.far.destroy();
    expect(await answer).toBeNull();
    await expect.poll(() => port.counters['mtls_open']).toBe(0);
  });

  it('while there is no ledger the connection ends', async () => {
    serves = false;
    expect(await echo()).toBeNull();
  });
});

describe('without one nobody gets to the ledger', () => {
  const cases: readonly (readonly [string, () => Promise<ConnectionOptions>])[] = [
    [
      'no certificate',
      () => Promise.resolve({ cert: undefined, key: undefined } as ConnectionOptions),
    ],
    [
      'one of another CA of the same name',
      async () => {
        const foreign = await (await ClientAuthority.create()).issue();
        return { cert: foreign.certificate, key: foreign.key };
      },
    ],
    [
      'one that has expired',
      async () => {
        const old = await authority.issue({ toMs: Date.now() - 1000 });
        return { cert: old.certificate, key: old.key };
      },
    ],
    [
      'one that is not valid yet',
      async () => {
        const young = await authority.issue({ fromMs: Date.now() + 60_000 });
        return { cert: young.certificate, key: young.key };
      },
    ],
    [
      'one for servers',
      async () => {
        const server = await authority.issue({ usages: [ExtendedKeyUsage.serverAuth] });
        return { cert: server.certificate, key: server.key };
      },
    ],
    ['HTTP/1.1', () => Promise.resolve({ ALPNProtocols: ['http/1.1'] })],
    ['no word of a protocol', () => Promise.resolve({ ALPNProtocols: [] })],
    ['TLS 1.2', () => Promise.resolve({ maxVersion: 'TLSv1.2' as const })],
  ];

  it.each(cases)('%s', async (_, optionsOf) => {
    expect(await echo(await optionsOf())).toBeNull();
    expect(opened).toEqual([]);
    expect(appended).toEqual([]);
    await expect.poll(() => refused).toBe(1);
    expect(port.counters).toMatchObject({ mtls_refused: 1, mtls_clients: 0, mtls_open: 0 });
    // Somebody else is served.
    expect(await echo()).toBe('hello back');
  });

  it('a certificate that is over by the enclave’s clock, whatever OpenSSL’s says', async () => {
    nowMs = () => Date.now() + 2 * 86_400_000;
    expect(await echo()).toBeNull();
    nowMs = () => Date.now() - 2 * 86_400_000;
    expect(await echo()).toBeNull();
    expect(opened).toEqual([]);
  });

  it('a connection ends with the validity of its certificate', async () => {
    const short = await authority.issue({ toMs: Date.now() + 3000 });
    const { answer } = dial({ cert: short.certificate, key: short.key });
    await expect.poll(() => opened.length).toBe(1);
    expect(await answer).toBeNull();
  });

  it('a session is not resumed: no ticket is given', async () => {
    const tickets: Buffer[] = [];
    const { socket } = dial();
    socket.on('session', (session: Buffer) => tickets.push(session));
    socket.write('hello');
    await expect.poll(() => opened.length).toBe(1);
    const far = opened[0]?.far;
    far?.write('x');
    await new Promise((resolve) => socket.once('data', resolve));
    for (const session of tickets) {
      const again = dial({ session, cert: undefined, key: undefined });
      again.socket.write('hello');
      expect(await again.answer).toBeNull();
      expect(again.socket.isSessionReused()).not.toBe(true);
    }
    expect(opened).toHaveLength(1);
  });
});

describe('limits', () => {
  it('eight connections of one certificate; a place that is free is given again', async () => {
    const held = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { socket } = dial();
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        return socket;
      }),
    );
    await expect.poll(() => opened.length).toBe(8);
    expect(await echo()).toBeNull();
    expect(port.counters['mtls_limited']).toBe(1);
    held[0]?.destroy();
    await expect.poll(() => port.counters['mtls_open']).toBe(7);
    expect(await echo()).toBe('hello back');
  });

  it('thirty connections of one certificate in a minute, and not one more; another certificate goes on', async () => {
    for (let index = 0; index < 30; index++) {
      expect(await echo()).toBe('hello back');
      sockets.pop()?.destroy();
      await expect.poll(() => port.counters['mtls_open']).toBe(0);
    }
    expect(await echo()).toBeNull();
    const other = await authority.issue();
    expect(await echo({ cert: other.certificate, key: other.key })).toBe('hello back');
  });

  it('32 handshakes at a time: who says nothing holds nobody else for good', async () => {
    const silent = Array.from({ length: 33 }, () => {
      const socket = connectUnix(join(folder, '50051'));
      socket.on('error', () => undefined);
      return socket;
    });
    await expect.poll(() => port.counters['mtls_limited']).toBe(1);
    expect(port.counters['mtls_accepted']).toBe(32);
    for (const socket of silent) socket.destroy();
    await expect.poll(async () => echo()).toBe('hello back');
  });
});

describe('parseClientCa', () => {
  it('takes several, and text around them', async () => {
    const other = await ClientAuthority.create('CN=Others');
    const parsed = parseClientCa(utf8(`one\n${authority.pem}two\n${other.pem}`));
    expect(parsed.map((pem) => pem.trim())).toEqual([authority.pem.trim(), other.pem.trim()]);
  });

  it.each([
    ['nothing', ''],
    ['no certificate', 'hello'],
    ['one that is none', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ])('%s ends the desk', (_, text) => {
    expect(() => parseClientCa(utf8(text))).toThrow(new Fatal('seal_malformed'));
  });
});
