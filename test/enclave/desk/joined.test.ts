// The whole enclave of a test: core, desk and a connector with ccxt, behind one host, in front of the simulated
// exchange. A trader registers, the enclave polls, the results are signed, and no key is in anything that the
// host gets: commits, diagnostics, boot messages, bytes on every port, answers before TLS.

import { request } from 'node:https';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { serveConnector } from '../../../enclave/connector/serve.ts';
import type { Control } from '../../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../../simulator/exchange/server.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import { parseAuditEntry } from '../../../wire/audit.ts';
import { parseBase64, toHex } from '../../../wire/bytes.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import type { Metadata } from '../../../wire/envelope.ts';
import type { ExchangePoll } from '../../../wire/exchange-call.ts';
import { OUTCOME, parseExchangePoll } from '../../../wire/exchange-call.ts';
import { parseHeader } from '../../../wire/header.ts';
import { KIND } from '../../../wire/leaf.ts';
import { PORT } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { parseResultStatement } from '../../../wire/result-statement.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { serveStream } from '../../helpers/egress-host.ts';
import type { TestHost } from '../../helpers/enclave-host.ts';
import { startHost } from '../../helpers/enclave-host.ts';
import { closeHost } from '../../helpers/sealing.ts';
import { SecretSearch } from '../../helpers/secret-search.ts';
import type { Addressee, Asker, Opened } from '../../helpers/trader.ts';
import { post, sealFor } from '../../helpers/trader.ts';

type Ledger = ReturnType<Control['ledger']>;

const VENUE_HOSTS = ['api.binance.com', 'fapi.binance.com', 'dapi.binance.com'];
/** Measured too, and nobody's venue here. */
const OTHER_HOST = 'api.kraken.com';

function connectorInProcess(): Promise<Duplex> {
  const [desk, connector] = duplexPair();
  desk.on('error', () => undefined);
  connector.on('error', () => undefined);
  desk.on('close', () => connector.destroy());
  serveConnector(connector, () => desk.destroy());
  return Promise.resolve(desk);
}

function tlsTo(host: TestHost): Duplex {
  const tls = connect({ socket: host.dial(PORT.https), rejectUnauthorized: false });
  tls.on('error', () => undefined);
  return tls;
}

class Scene {
  readonly exchange: RunningExchange;
  readonly host: TestHost;
  readonly dialed: Set<string>;
  readonly answers: Buffer[] = [];
  readonly ask: Asker;

  private constructor(exchange: RunningExchange, host: TestHost, dialed: Set<string>) {
    this.exchange = exchange;
    this.host = host;
    this.dialed = dialed;
    this.ask = (path, { body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const sent = request(
          { path, ...options, createConnection: () => tlsTo(host) },
          (answer) => {
            const chunks: Buffer[] = [Buffer.from(JSON.stringify(answer.headers))];
            answer.on('data', (chunk: Buffer) => chunks.push(chunk));
            answer.on('end', () => {
              this.answers.push(...chunks);
              const { statusCode: status = 0, headers } = answer;
              resolve({ status, headers, body: Buffer.concat(chunks.slice(1)) });
            });
          },
        );
        sent.on('error', reject);
        sent.end(body);
      });
  }

  static async start(): Promise<Scene> {
    const exchange = await startExchange();
    const roots = Buffer.from(exchange.ca);
    const hosts = [...VENUE_HOSTS, OTHER_HOST].map((name) => ({ host: name, port: 443 }));
    const routes = new Map(hosts.map(({ host: name }) => [`${name}:443`, exchange.port]));
    const dialed = new Set<string>();
    const host = await startHost({
      configuration: {
        strategies: [],
        desk: { polling_ms: 60_000, max_sessions: 10, sandbox: false },
      },
      measured: canonicalJson({
        version: 2,
        strategies: [],
        owner_key: null,
        hosts,
        roots_sha256: toHex(nodeCrypto.sha256(roots)),
      }),
      roots,
      items: [],
      desk: { spawnConnector: connectorInProcess },
      onEgress: (stream) => {
        const dials = { push: (dial: { readonly host: string }) => dialed.add(dial.host) };
        serveStream({ answer: null, dials: dials as never, routes }, stream);
      },
    });
    await host.ready();
    return new Scene(exchange, host, dialed);
  }

  get enclave(): Addressee {
    const header = assertAccepted(parseHeader(this.host.open(0)));
    const leafZeroHash = leafHash(nodeCrypto, this.host.leaves[0] ?? new Uint8Array());
    const publicKey = header.x25519Key ?? new Uint8Array();
    return { origin: header.origin, leafZeroHash, keys: { x25519: { publicKey } } };
  }

  send(path: string, metadata: Metadata, plaintext: object): Promise<Opened> {
    return post(
      this.ask,
      path,
      sealFor(this.enclave, { time: Date.now(), ...metadata }, plaintext),
    );
  }

  async operate(op: string, id: string): Promise<Opened> {
    return this.send('/enclave/envelopes', { op }, { session_id: id });
  }

  /** Plaintexts of the private leaves of a kind, as compliance reads them. */
  plaintexts(kind: number): readonly Uint8Array[] {
    return this.host.leavesOf(kind).map((index) => this.host.open(index));
  }

  /** Where any of the secrets is found. */
  leaks(secrets: Readonly<Record<string, string>>): readonly string[] {
    const { host } = this;
    const kinds = [KIND.exchangeCall, KIND.result, KIND.audit];
    const ports = Array.from(host.tapped, ([port, chunks]) => [`port ${port}`, chunks] as const);
    return new SecretSearch(secrets).inAll({
      leaves: host.leaves,
      blobs: host.blobs,
      'plaintexts of leaves': kinds.flatMap((kind) => this.plaintexts(kind)),
      diagnostics: [JSON.stringify(host.diagnostics)],
      'boot messages': host.bootFrames.map(({ payload }) => payload),
      answers: this.answers,
      'paths of calls': [
        JSON.stringify(this.polls().map(({ calls }) => calls.map(({ path }) => path))),
      ],
      ...Object.fromEntries(ports),
    });
  }

  polls(): readonly ExchangePoll[] {
    return this.plaintexts(KIND.exchangeCall).map(pollOf);
  }

  async close(): Promise<void> {
    await closeHost(this.host);
    await this.exchange.close();
  }
}

function pollOf(bytes: Uint8Array): ExchangePoll {
  return assertAccepted(parseExchangePoll(bytes));
}

let scene: Scene | null = null;
afterEach(async () => {
  await scene?.close();
  scene = null;
});

describe('a trader, an enclave and an exchange', () => {
  it('register, poll, and a signed result that is what the ledger holds, with no key anywhere', async () => {
    const one = (scene = await Scene.start());
    const { control } = one.exchange;
    const account = control.account({ venue: 'binance' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USDT', amount: '100000.00000001' });
    control.trade({ ...of, symbol: 'BTC/USDT', side: 'buy', price: '65000.01', amount: '0.5' });
    const secrets = { userId: 'joined-user-77', apiKey: account.api_key, secret: account.secret };
    const registered = await one.send(
      '/enclave/sessions',
      { op: 'register', exchange: 'binance', symbols: ['BTC/USDT'] },
      secrets,
    );
    expect(registered.inside).toMatchObject({ status: 'active' });
    const id = String(registered.inside['session_id']);
    // The first poll follows at once.
    await expect
      .poll(async () => (await one.operate('summary', id)).status, { timeout: 30_000 })
      .toBe(200);
    const { inside } = await one.operate('summary', id);
    const statement = assertAccepted(
      parseResultStatement(parseBase64(String(inside['statement'])) ?? new Uint8Array()),
    );
    expect(statement.venue).toBe('binance');
    expect(statement.hosts.map(({ host }) => host)).toContain('api.binance.com');
    const ledger: Ledger = control.ledger(of);
    expect(Object.fromEntries(statement.figures.balances ?? [])).toEqual(ledger.balances['spot']);
    // Logged before it was answered, at the index that it names.
    const leaf = one.host.open(Number(inside['leaf_index']));
    expect(Buffer.from(leaf).toString('base64')).toBe(inside['statement']);
    expect(one.polls().some(({ outcome }) => outcome !== OUTCOME.failed)).toBe(true);
    await one.operate('revoke', id);
    const names = one
      .plaintexts(KIND.audit)
      .map((bytes) => assertAccepted(parseAuditEntry(bytes)).event);
    expect(names).toEqual([1, 2, 5]);
    expect(one.leaks({ ...secrets, sessionId: id })).toEqual([]);
    // The exchange itself, and nobody else, was told.
    expect([...one.dialed].every((host) => VENUE_HOSTS.includes(host))).toBe(true);
    expect(control.requests.every(({ venue }) => venue === 'binance')).toBe(true);
    expect(one.host.tapped.get(PORT.egress)?.length).toBeGreaterThan(10);
  }, 90_000);

  it.each<readonly [string, string, (control: Control, key: string) => unknown]>([
    ['a wrong secret', 'exchange_refused', () => null],
    [
      'a page that repeats the key',
      'exchange_unavailable',
      (control, key) =>
        control.fault({ type: 'status', status: 500, body: `<html>bad key ${key}</html>` }),
    ],
    ['a cut body', 'exchange_network', (control) => control.fault({ type: 'cut' })],
    [
      'a redirect',
      'exchange_answer_invalid',
      (control) => control.fault({ type: 'redirect', location: `https://${OTHER_HOST}/` }),
    ],
    [
      'a wrong certificate',
      'tls_untrusted',
      (control) => control.fault({ type: 'certificate', kind: 'wrong-authority' }),
    ],
  ] as const)(
    'with %s: no session, and no key anywhere',
    async (what, code, prepare) => {
      const one = (scene = await Scene.start());
      const { control } = one.exchange;
      const account = control.account({ venue: 'binance' });
      prepare(control, account.api_key);
      const secret = what === 'a wrong secret' ? 'W'.repeat(64) : account.secret;
      const secrets = { userId: 'joined-user-77', apiKey: account.api_key, secret };
      const { status, inside } = await one.send(
        '/enclave/sessions',
        { op: 'register', exchange: 'binance' },
        secrets,
      );
      expect(status).toBeGreaterThanOrEqual(400);
      expect(inside['error']).toBe(code);
      expect(one.leaks(secrets)).toEqual([]);
      expect([...one.dialed].every((host) => VENUE_HOSTS.includes(host))).toBe(true);
      await one.host.until(() => one.host.leavesOf(KIND.audit).length === 2);
      expect(one.leaks(secrets)).toEqual([]);
    },
    90_000,
  );
});
