import { connect } from 'node:net';
import { createServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import * as node from '../../client/node/index.ts';
import type { SecureClientOptions } from '../../client/secure-client.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { ResultStatement } from '../../wire/result-statement.ts';
import type { Browser } from './browser-bundle.ts';
import { bundleFor, openPage } from './browser-bundle.ts';
import { COMMITMENT, FakeEnclave, registered, signedResult, statementOf } from './fake-enclave.ts';

const API_KEY = 'the-api-key-of-the-trader';
const SECRET = 'the-secret-of-the-trader';

let enclave: FakeEnclave;
let bundle = '';

beforeAll(async () => {
  enclave = await FakeEnclave.start();
  bundle = await bundleFor('client/browser.ts');
});
afterEach(() => {
  enclave.behaviour = {};
  enclave.requests.length = 0;
  enclave.received = '';
});
afterAll(() => enclave.stop());

function optionsOf(change: Partial<SecureClientOptions> = {}): SecureClientOptions {
  return {
    enclaveUrl: enclave.url,
    userId: 'trader-1',
    exchange: 'binance',
    apiKey: API_KEY,
    secret: SECRET,
    policy: enclave.policy,
    unsafeRoot: enclave.rootPem,
    ...change,
  };
}

/** The code that a call refuses with. */
async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'resolved';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    return typeof code === 'string' ? code : String(error);
  }
}

const result = (change: object = {}, statement: Partial<ResultStatement> = {}): object =>
  signedResult(enclave, change, statement);

function floatVolume(): Partial<ResultStatement> {
  const { figures } = statementOf(enclave);
  return { figures: { ...figures, volume: new Map([['USDT', '1e3']]) } };
}

const platforms: readonly (readonly [string, () => Browser, boolean, 'platform' | 'tweetnacl'])[] =
  [
    ['Node', () => node, true, 'platform'],
    ['a browser', () => openPage(bundle), false, 'platform'],
    ['a browser without the curves', () => openPage(bundle, { subtle: false }), false, 'tweetnacl'],
  ];

describe.each(platforms)('SecureClient in %s', (_, load, pins, curves) => {
  it('registers: settings readable, keys only in the envelope, for the enclave that verified', async () => {
    enclave.behaviour = { answer: () => registered() };
    const client = new (load().SecureClient)(
      optionsOf({ passphrase: 'pass phrase', label: 'main', sandbox: true, symbols: ['BTC/USDT'] }),
    );
    expect([client.isRegistered(), client.getSessionId()]).toEqual([false, null]);
    const registration = await client.register();
    expect(client.isRegistered()).toBe(true);
    expect(client.getSessionId()).toMatch(/^[A-Za-z0-9_-]{43}$/u);
    expect(registration.session.accountCommitment).toBe(COMMITMENT);
    expect(registration.permissions).toEqual({
      read: true,
      trade: false,
      withdraw: null,
      transfer: null,
      ipRestricted: true,
      subAccount: null,
    });
    const [request] = enclave.requests;
    expect(request?.path).toBe('/enclave/sessions');
    expect(request?.plaintext).toEqual({
      userId: 'trader-1',
      apiKey: API_KEY,
      secret: SECRET,
      passphrase: 'pass phrase',
    });
    expect(request?.metadata).toMatchObject({
      op: 'register',
      exchange: 'binance',
      label: 'main',
      accountType: 'spot',
      sandbox: true,
      allowTrading: false,
      ttl: 86_400,
      symbols: ['BTC/USDT'],
    });
    for (const secret of [API_KEY, SECRET, 'pass phrase', 'trader-1']) {
      expect(enclave.received).not.toContain(secret);
    }
    expect(await codeOf(() => client.register())).toBe('usage_invalid');
  });

  it('says what it verified, and whether it saw the key of TLS', async () => {
    const facts = await new (load().SecureClient)(optionsOf()).attest();
    expect(facts).toMatchObject({
      origin: enclave.origin,
      tlsKeyPinned: pins,
      curves: { x25519: curves, ed25519: curves },
      unsafe: ['unsafeRoot'],
    });
  });

  it('asks with the session in the envelope, and takes results that the enclave signed', async () => {
    enclave.behaviour = {
      answer: ({ metadata }) =>
        metadata['op'] === 'register'
          ? registered()
          : metadata['op'] === 'renew'
            ? { expires_at: new Date(Date.now() + 1e6).toISOString() }
            : metadata['op'] === 'revoke'
              ? { status: 'revoked' }
              : result(),
    };
    const client = new (load().SecureClient)(optionsOf());
    await client.register();
    const session = client.getSessionId();
    const summary = await client.getSummary();
    // What the enclave says beside its statement is not looked at.
    expect(summary.summary).toMatchObject({
      trades: 2,
      volume: { USDT: '1000.00000001' },
      balances: null,
      missing: ['returns'],
    });
    expect(summary.evidence.summary).toEqual(summary.summary);
    expect((await client.getMetrics()).hours).toHaveLength(1);
    await client.renew(600);
    await client.revoke();
    expect([client.isRegistered(), client.getSessionId()]).toEqual([false, null]);
    const asked = enclave.requests.slice(1);
    expect(asked.map(({ path, metadata }) => [path, metadata['op']])).toEqual(
      ['summary', 'metrics', 'renew', 'revoke'].map((op) => ['/enclave/envelopes', op]),
    );
    for (const { plaintext } of asked) expect(plaintext['session_id']).toBe(session);
    expect(asked[2]?.plaintext['ttl']).toBe(600);
    expect(enclave.received).not.toContain(session);
    expect(await codeOf(() => client.getSummary())).toBe('not_registered');
  });

  it.each<[string, () => object, RefusalCode]>([
    [
      'another signature',
      () => result({ signature: Buffer.alloc(64, 1).toString('base64') }),
      'result_signature',
    ],
    ['another leaf', () => result({ leaf_index: 42 }), 'result_signature'],
    ['another statement', () => result({ statement: 'AAAA' }), 'result_signature'],
    ['no statement', () => ({}), 'result_malformed'],
    ['no salt', () => result({ leaf_salt: 'ab' }), 'result_malformed'],
    ['another log', () => result({}, { origin: 'other/e0000000001' }), 'result_mismatch'],
    [
      'another account',
      () => result({}, { accountCommitment: new Uint8Array(32) }),
      'result_mismatch',
    ],
    ['a float', () => result({}, floatVolume()), 'result_malformed'],
    ['a refusal', () => ({ error: 'session_unknown' }), 'session_unknown'],
  ])('refuses a result with %s', async (_, answer, code) => {
    enclave.behaviour = {
      answer: ({ metadata }) => (metadata['op'] === 'register' ? registered() : answer()),
    };
    const client = new (load().SecureClient)(optionsOf());
    await client.register();
    expect(await codeOf(() => client.getSummary())).toBe(code);
  });

  it.each<[string, () => Partial<SecureClientOptions>, RefusalCode]>([
    ['without a policy', () => ({ policy: undefined as unknown as string }), 'policy_missing'],
    ['with a policy of another form', () => ({ policy: '{}' }), 'policy_malformed'],
    ['under the root of AWS alone', () => ({ unsafeRoot: undefined }), 'chain_root'],
    ['of another image', () => ({ policy: otherImage() }), 'pcr_mismatch'],
    ['of another log', () => ({ policy: withOrigin('other.example') }), 'origin_mismatch'],
    ['for a user with a space', () => ({ userId: 'a b' }), 'usage_invalid'],
    ['for a session of no time', () => ({ ttl: 299 }), 'usage_invalid'],
    ['for a session of ever', () => ({ ttl: 604_801 }), 'usage_invalid'],
  ])('%s nothing is sent', async (_, change, code) => {
    const run = (): unknown => new (load().SecureClient)(optionsOf(change())).register();
    expect(await codeOf(run)).toBe(code);
    expect(enclave.requests).toEqual([]);
    expect(enclave.received).not.toContain('POST');
  });

  it.each<[string, FakeEnclave['behaviour'], RefusalCode]>([
    ['with an old nonce', { nonce: new Uint8Array(32) }, 'nonce_mismatch'],
    ['without a nonce', { nonce: null }, 'nonce_mismatch'],
    ['made at the boot', { userData: { purpose: 1 } }, 'purpose_mismatch'],
    ['without a key for accounts', { userData: { x25519Key: null } }, 'accounts_not_served'],
    ['without a key for results', { userData: { ed25519Key: null } }, 'accounts_not_served'],
    [
      'that is too large',
      { intercept: (_, response) => response.end(Buffer.alloc(16 * 1024 + 1)) && true },
      'message_malformed',
    ],
    [
      'that is none',
      { intercept: (_, response) => response.end('hello') && true },
      'cose_malformed',
    ],
    [
      'that is an error',
      { intercept: (_, response) => response.writeHead(503).end('{"error":"not_ready"}') && true },
      'not_ready',
    ],
  ])('to a document %s nothing is sent', async (_, behaviour, code) => {
    enclave.behaviour = behaviour;
    const client = new (load().SecureClient)(optionsOf());
    const refused = await codeOf(() => client.register());
    // The first check of a document that is no CBOR depends on its first byte.
    expect([code, 'cbor_truncated', 'cbor_malformed']).toContain(refused);
    expect(enclave.received).not.toContain('POST');
  });

  it('tells the code of a refusal in clear, and nothing else of it', async () => {
    const body = JSON.stringify({ error: 'envelope_time', message: '\u001b[31mred' });
    enclave.behaviour = { answer: () => ({ status: 400, body }) };
    const client = new (load().SecureClient)(optionsOf());
    const error = await client.register().then(
      () => null,
      (caught: unknown) => caught as Error,
    );
    expect(error).toMatchObject({ code: 'envelope_time' });
    expect(error?.message).not.toContain('red');
    expect(error?.message).not.toContain(SECRET);
  });

  it('follows an enclave that has started anew, and no other log', async () => {
    enclave.behaviour = {
      answer: ({ metadata }) => (metadata['op'] === 'register' ? registered() : result()),
    };
    const client = new (load().SecureClient)(optionsOf());
    await client.register();
    await client.getSummary();
    await enclave.restart();
    expect((await client.getSummary()).leafIndex).toBe(41);
    enclave.behaviour = {
      ...enclave.behaviour,
      userData: { origin: `other.example/e${String(enclave.epoch).padStart(10, '0')}` },
    };
    await enclave.restart();
    expect(await codeOf(() => client.getSummary())).toBe('origin_mismatch');
    enclave.behaviour = { userData: { origin: `log.example/e0000000001` } };
    expect(await codeOf(() => client.getSummary())).toBe('rollback');
  });

  it('goes on with a saved session', async () => {
    enclave.behaviour = {
      answer: ({ metadata }) => (metadata['op'] === 'register' ? registered() : result()),
    };
    const { SecureClient } = load();
    const client = new SecureClient(optionsOf());
    await client.register();
    const saved = client.getSession();
    if (saved === null) throw new Error('no session');
    const { policy, unsafeRoot } = optionsOf();
    const again = SecureClient.resume(saved, { policy, unsafeRoot });
    expect(again.isRegistered()).toBe(true);
    expect((await again.getMetrics()).leafIndex).toBe(41);
    expect(await codeOf(() => again.register())).toBe('usage_invalid');
  });

  it.each(['http://127.0.0.1:1', 'https://user@host', 'https://host/?q=1', 'nowhere'])(
    'does not take %s for an address',
    (enclaveUrl) => {
      const { SecureClient } = load();
      expect(() => new SecureClient(optionsOf({ enclaveUrl }))).toThrow(/https:/u);
    },
  );

  it('an enclave that does not answer is source_unreachable', async () => {
    enclave.behaviour = { intercept: () => true };
    const client = new (load().SecureClient)(optionsOf({ timeoutMs: 200 }));
    expect(await codeOf(() => client.register())).toBe('source_unreachable');
  });
});

function otherImage(): string {
  const policy = JSON.parse(enclave.policy) as { Measurements: Record<string, string> };
  policy.Measurements['PCR0'] = 'ab'.repeat(48);
  return JSON.stringify(policy);
}

function withOrigin(origin: string): string {
  return JSON.stringify({ ...(JSON.parse(enclave.policy) as object), origin });
}

/** Somebody between client and enclave who ends TLS; hands on what it reads, or only keeps it. */
async function listenBetween(
  handOn: boolean,
): Promise<{ url: string; seen: () => string; stop: () => void }> {
  const { tls } = generateDeskKeys();
  let seen = '';
  let handing = handOn;
  const server = createServer(
    {
      key: tls.privateKey.export({ format: 'pem', type: 'pkcs8' }),
      cert: await createCertificate(tls, ['localhost'], Date.now()),
    },
    (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')));
    },
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  // The first connection goes to the enclave untouched, so that its document is seen over the right key.
  const front = (await import('node:net')).createServer((client) => {
    const to = connect(handing ? enclave.port : port, '127.0.0.1');
    handing = false;
    client.on('error', () => to.destroy());
    to.on('error', () => client.destroy());
    client.pipe(to).pipe(client);
  });
  await new Promise<void>((resolve) => {
    front.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `https://127.0.0.1:${(front.address() as AddressInfo).port}`,
    seen: () => seen,
    stop: () => {
      front.close();
      server.close();
    },
  };
}

describe('in Node, whoever ends TLS between client and enclave', () => {
  it('gets not a byte of the request, even if the challenge went to the enclave', async () => {
    const between = await listenBetween(true);
    try {
      const client = new node.SecureClient(optionsOf({ enclaveUrl: between.url }));
      expect(await codeOf(() => client.register())).toBe('tls_key_mismatch');
      expect(between.seen()).toBe('');
    } finally {
      between.stop();
    }
  });

  it('is found out by the challenge', async () => {
    const proxied = await FakeEnclave.start();
    try {
      // A document of the enclave, over a connection that ends elsewhere.
      proxied.behaviour = { userData: { tlsKeyHash: enclave.keys.tls.spkiHash } };
      const client = new node.SecureClient(
        optionsOf({
          enclaveUrl: proxied.url,
          policy: proxied.policy,
          unsafeRoot: proxied.rootPem,
        }),
      );
      expect(await codeOf(() => client.register())).toBe('tls_key_mismatch');
      expect(proxied.received).not.toContain('POST');
    } finally {
      await proxied.stop();
    }
  });
});

describe("the browser's bundle", () => {
  it('cannot be built with anything of Node in it', async () => {
    await expect(bundleFor('client/node/index.ts')).rejects.toThrow(/node:/u);
  });

  it('stays small', () => {
    expect(bundle.length).toBeGreaterThan(50_000);
    expect(bundle.length).toBeLessThan(400_000);
  });
});
