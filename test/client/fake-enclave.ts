// An enclave's HTTPS for tests of clients: attested by the simulated NSM, with real keys and real envelopes, and an account
// that is nothing but a note of what was sent. A test may have it misbehave.

import 'reflect-metadata';
import { diffieHellman, createPublicKey, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeskKeys } from '../../enclave/desk/keys.ts';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import { Nsm } from '../../enclave/nsm/nsm.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { measure, measurementsJson } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import type { UserData } from '../../wire/attestation/user-data.ts';
import { encodeUserData, PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseHex, toBase64, toHex } from '../../wire/bytes.ts';
import type { Metadata } from '../../wire/envelope.ts';
import { encodeAnswer, openRequest, parseEnvelope, sealAnswer } from '../../wire/envelope.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { ResultStatement } from '../../wire/result-statement.ts';
import { encodeResultStatement, resultSignedBytes } from '../../wire/result-statement.ts';
import { assertAccepted } from '../../wire/result.ts';

const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
export const LOG_ID = 'log.example';
const hash = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

/** What came in an envelope that opened. */
export interface Request {
  readonly path: string;
  readonly metadata: Metadata;
  readonly plaintext: Record<string, unknown>;
}

export interface Behaviour {
  readonly userData?: Partial<UserData>;
  /** The attestation's own; null: none. */
  readonly nonce?: Uint8Array | null;
  /** Answers instead, when true comes back. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** The plain object to seal, or a status with a plain body. */
  readonly answer?: (
    request: Request,
  ) => object | { readonly status: number; readonly body: string };
}

export class FakeEnclave {
  readonly requests: Request[] = [];
  /** Every byte that came on any connection, decrypted. */
  received = '';
  behaviour: Behaviour = {};
  keys: DeskKeys = generateDeskKeys();
  epoch = 1;
  policy = '';
  rootPem = '';
  #nsm: Nsm | null = null;
  #server: Server | null = null;
  #folder = '';
  #port = 0;

  static async start(): Promise<FakeEnclave> {
    const enclave = new FakeEnclave();
    enclave.#folder = await mkdtemp(join(tmpdir(), 'trackseal-client-'));
    const root = await SimulatedRoot.open(enclave.#folder);
    enclave.rootPem = await readFile(join(enclave.#folder, 'root.pem'), 'utf8');
    const measurements = measure({ boot: Buffer.from('boot'), application: Buffer.from('app') });
    enclave.policy = measurementsJson(measurements);
    const nsm = new Nsm(new SimulatedNsm({ root, measurements }));
    assertAccepted(await nsm.extendPcr(16, hash(9)));
    assertAccepted(await nsm.lockPcrs(32));
    enclave.#nsm = nsm;
    await enclave.#listen();
    return enclave;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get origin(): string {
    return `${LOG_ID}/e${String(this.epoch).padStart(10, '0')}`;
  }

  /** As after a restart: other keys, the next epoch, the same address. */
  async restart(): Promise<void> {
    await this.#close();
    this.keys = generateDeskKeys();
    this.epoch++;
    await this.#listen();
  }

  async stop(): Promise<void> {
    await this.#close();
    await rm(this.#folder, { recursive: true });
  }

  async #listen(): Promise<void> {
    const key = this.keys.tls.privateKey.export({ format: 'pem', type: 'pkcs8' });
    const cert = await createCertificate(this.keys.tls, ['localhost'], Date.now());
    const server = createServer({ key, cert }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server = server;
    await new Promise<void>((resolve) => {
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async #close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => {
      this.#server?.close(resolve);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { url = '' } = request;
    this.received += `${request.method} ${url} ${JSON.stringify(request.headers)} ${body.toString()}\n`;
    if (this.behaviour.intercept?.(request, response) === true) return;
    if (url.startsWith('/attestation?nonce=')) await this.#attest(url, response);
    else if (request.method === 'POST') this.#open(url, body, response);
    else response.writeHead(404).end('{"error":"not_found"}');
  }

  async #attest(url: string, response: ServerResponse): Promise<void> {
    const { x25519, ed25519, tls } = this.keys;
    const userData = encodeUserData({
      purpose: PURPOSE.challenge,
      origin: this.origin,
      head: { size: 10, root: hash(10) },
      leafZeroHash: hash(1),
      x25519Key: x25519.publicKey,
      tlsKeyHash: tls.spkiHash,
      ed25519Key: ed25519.publicKey,
      configDigest: hash(9),
      ...this.behaviour.userData,
    });
    const asked = parseHex(url.split('nonce=')[1] ?? '');
    const nonce = this.behaviour.nonce === undefined ? asked : this.behaviour.nonce;
    const publicKey = new Uint8Array(91).fill(4);
    const document = await this.#nsm?.attest({ userData, nonce, publicKey });
    response.setHeader('content-type', 'application/cbor');
    response.end(document === undefined ? '' : assertAccepted(document));
  }

  #open(path: string, body: Buffer, response: ServerResponse): void {
    const { privateKey, publicKey } = this.keys.x25519;
    const envelope = parseEnvelope(body);
    const opened = envelope.ok
      ? openRequest(
          nodeCrypto,
          (key) => {
            const der = Buffer.concat([X25519_SPKI, key]);
            const peer = createPublicKey({ key: der, format: 'der', type: 'spki' });
            return new Uint8Array(diffieHellman({ privateKey, publicKey: peer }));
          },
          { enclaveKey: publicKey, origin: this.origin, leafZeroHash: hash(1) },
          envelope.value,
        )
      : envelope;
    if (!envelope.ok || !opened.ok) {
      const error = envelope.ok && !opened.ok ? opened.refusal.code : 'envelope_malformed';
      response.writeHead(400).end(JSON.stringify({ error, message: 'no', code: error }));
      return;
    }
    const text = Buffer.from(opened.value.plaintext).toString('utf8');
    const request = {
      path,
      metadata: envelope.value.metadata,
      plaintext: JSON.parse(text) as Record<string, unknown>,
    };
    this.requests.push(request);
    const answer = this.behaviour.answer?.(request) ?? {};
    if ('status' in answer && 'body' in answer) {
      response.writeHead(Number(answer.status)).end(answer.body);
      return;
    }
    const plaintext = Buffer.from(JSON.stringify(answer));
    const box = sealAnswer(nodeCrypto, opened.value.answer, randomBytes(12), plaintext);
    response.writeHead('error' in answer ? 400 : 200).end(encodeAnswer(box));
  }
}

export const COMMITMENT: string = toHex(hash(7));
/** The answer to a registration. */
export function registered(ttlSeconds = 86_400): object {
  return {
    session_id: Buffer.alloc(32, 5).toString('base64url'),
    expires_at: new Date(Date.now() + ttlSeconds * 1000).toISOString(),
    status: 'active',
    account_commitment: COMMITMENT,
    account_salt: toHex(hash(8)),
    venue: 'binance',
    account_id: null,
    permissions: {
      read: true,
      trade: false,
      withdraw: null,
      transfer: null,
      ip_restricted: true,
      sub_account: null,
      expires_at: null,
    },
  };
}

/** A statement of the enclave about the account that it registered. */
export function statementOf(enclave: FakeEnclave): ResultStatement {
  const startNs = 1_700_000_000_000_000_000n;
  const none = new Map<string, string>();
  return {
    origin: enclave.origin,
    accountCommitment: parseHex(COMMITMENT) ?? new Uint8Array(0),
    venue: 'binance',
    hosts: [{ host: 'api.binance.com', spkiHash: hash(3) }],
    environment: 'live',
    observedSinceNs: startNs,
    periodStartNs: startNs,
    periodEndNs: startNs + 600_000_000_000n,
    asOfNs: startNs + 600_000_000_000n,
    polls: { scheduled: 3, complete: 1, partial: 1, failed: 1, missed: 0 },
    coverage: [
      { what: 'fills', market: 'spot', fromMs: 1, toMs: 2, complete: true, reason: null },
      { what: 'funding', market: null, fromMs: 1, toMs: 2, complete: false, reason: 'network' },
    ],
    gaps: [{ fromMs: 1_700_000_000_000, toMs: 1_700_000_300_000, reason: 'network' }],
    method: 'sums/v1',
    figures: {
      trades: 2,
      volume: new Map([['USDT', '1000.00000001']]),
      fees: new Map([['BNB', '0.01']]),
      funding: none,
      deposits: none,
      withdrawals: none,
      balances: null,
      positions: null,
      unrealized: null,
      matched: null,
      unmatched: null,
      hours: [{ startMs: 1_699_999_200_000, trades: 2, volume: none, fees: none, complete: false }],
    },
    missing: ['returns'],
  };
}

/** A result of leaf 41, as the enclave signs it; a test changes fields of it afterwards. */
export function signedResult(
  enclave: FakeEnclave,
  change: object = {},
  statement: Partial<ResultStatement> = {},
): object {
  const bytes = encodeResultStatement({ ...statementOf(enclave), ...statement });
  const signed = resultSignedBytes(41, bytes);
  return {
    statement: toBase64(bytes),
    leaf_index: 41,
    leaf_salt: 'ab'.repeat(16),
    signature: toBase64(enclave.keys.ed25519.sign(signed)),
    summary: { trades: 'a million' },
    ...change,
  };
}
