// Port 3000: HTTPS whose TLS ends here; the host carries the bytes. Three paths of its own, without bodies or state of
// a caller's; the others are the API's. The host and whoever it lets in can use up connections and attestations, both limited; a
// connection lives 30 seconds at most, so that nobody can hold one for good. Answers are of one form.

import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { parseHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { MAX_NONCE_BYTES, MIN_NONCE_BYTES } from '../../wire/limits.ts';
import { PORT } from '../../wire/messages.ts';
import { SlicedStream } from '../../wire/node/sliced-stream.ts';
import type { Listener, Transport } from '../../wire/node/transport.ts';
import type { TlsKey } from './keys.ts';
import { TokenBucket } from './rate-limit.ts';
import type { DeskServices } from './services.ts';

const MAX_CONNECTIONS = 256;
const CONNECTION_MS = 30_000;
const HANDSHAKE_MS = 10_000;
const MAX_HEADER_BYTES = 8 * 1024;
/** Challenges that may wait for the NSM, whose calls are serialised. */
const MAX_CHALLENGES = 16;
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
];
const NONCE = /^\/attestation\?nonce=([0-9a-f]*)$/u;

export type HttpsServices = Pick<
  DeskServices,
  | 'acknowledgedSize'
  | 'attest'
  | 'configuration'
  | 'epoch'
  | 'guard'
  | 'isReady'
  | 'logStalled'
  | 'nowNs'
  | 'origin'
>;

/** What answers other paths. */
export interface Routes {
  /** Is the path one of its own? Then it has the request, whatever its method and body. */
  owns(path: string): boolean;
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

export class HttpsService {
  readonly #services: HttpsServices;
  readonly #server: Server;
  readonly #key: string;
  readonly #routes: Routes | null;
  readonly #bucket: TokenBucket;
  readonly #streams = new Set<Duplex>();
  readonly #counters = { https_connections: 0, https_refused: 0, challenges: 0 };
  #listener: Listener | null = null;
  #challenges = 0;

  constructor(
    services: HttpsServices,
    key: TlsKey,
    certificate: string,
    routes: Routes | null = null,
  ) {
    this.#services = services;
    this.#routes = routes;
    this.#key = key.privateKey.export({ format: 'pem', type: 'pkcs8' });
    const { configuration, guard } = services;
    this.#bucket = new TokenBucket(configuration.limits.attestations_per_second, services.nowNs());
    this.#server = createServer({
      key: this.#key,
      cert: certificate,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS.join(':'),
      honorCipherOrder: true,
      handshakeTimeout: HANDSHAKE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      ALPNProtocols: ['http/1.1'],
      requireHostHeader: false,
    });
    // What node would answer by itself has no code: all of it comes here.
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      this.#server.on(event, (request: IncomingMessage, response: ServerResponse) => {
        void guard.runAsync(() => this.#answer(request, response));
      });
    }
    this.#server.on('tlsClientError', () => undefined);
    this.#server.on('clientError', (_, socket) => {
      socket.destroy();
    });
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  /** Another certificate (chain, PEM) for the same key, from the next connection on. */
  replaceCertificate(chain: string): void {
    this.#server.setSecureContext({
      key: this.#key,
      cert: chain,
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS.join(':'),
      honorCipherOrder: true,
    });
  }

  async listen(transport: Transport): Promise<void> {
    this.#listener = await transport.listen(PORT.https, (stream) => {
      this.#accept(stream);
    });
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    for (const stream of this.#streams) stream.destroy();
  }

  #accept(stream: Duplex): void {
    stream.on('error', () => undefined);
    if (this.#streams.size >= MAX_CONNECTIONS) {
      this.#counters.https_refused++;
      stream.destroy();
      return;
    }
    this.#counters.https_connections++;
    // Nobody speaks TLS with a closed mouth: who ends their side is gone, and gives up the place.
    const sliced = new SlicedStream(stream, { allowHalfOpen: false });
    this.#streams.add(sliced);
    const timer = setTimeout(() => {
      sliced.destroy();
    }, CONNECTION_MS);
    sliced.on('error', () => undefined);
    sliced.on('close', () => {
      clearTimeout(timer);
      this.#streams.delete(sliced);
    });
    this.#server.emit('connection', sliced);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    if (this.#routes?.owns((request.url ?? '').split('?', 1)[0] ?? '') === true) {
      await this.#routes.answer(request, response);
      return;
    }
    if (hasBody(request) || lacksHost(request)) {
      // It is not read: the connection ends with the answer.
      response.setHeader('connection', 'close');
      response.on('finish', () => request.destroy());
      refuseRequest(response, 400, 'message_malformed');
      return;
    }
    const path = request.url ?? '';
    const known = path === '/health' || path === '/ready' || /^\/attestation(?:\?|$)/u.test(path);
    if (!known) refuseRequest(response, 404, 'not_found');
    else if (request.method !== 'GET') {
      response.setHeader('allow', 'GET');
      refuseRequest(response, 405, 'method_not_allowed');
    } else if (path === '/health') this.#answerHealth(response);
    else if (path === '/ready') this.#answerReady(response);
    else await this.#answerChallenge(path, response);
  }

  #answerHealth(response: ServerResponse): void {
    const { epoch, origin } = this.#services;
    const acknowledged_size = this.#services.acknowledgedSize();
    const { isReady, logStalled } = this.#services;
    const status = !isReady() ? 'not_ready' : logStalled() ? 'log_stalled' : 'ready';
    answerJson(response, 200, { status, epoch, origin, acknowledged_size });
  }

  #answerReady(response: ServerResponse): void {
    if (!this.#services.isReady()) refuseRequest(response, 503, 'not_ready');
    else if (this.#services.logStalled()) refuseRequest(response, 503, 'log_stalled');
    else answerJson(response, 200, { status: 'ready' });
  }

  async #answerChallenge(path: string, response: ServerResponse): Promise<void> {
    const nonce = parseHex(NONCE.exec(path)?.[1] ?? '');
    if (nonce === null || nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) {
      refuseRequest(response, 400, 'nonce_invalid');
      return;
    }
    if (this.#services.acknowledgedSize() === 0) {
      refuseRequest(response, 503, 'not_ready');
      return;
    }
    if (this.#challenges >= MAX_CHALLENGES || !this.#bucket.take(this.#services.nowNs())) {
      refuseRequest(response, 429, 'rate_limited');
      return;
    }
    this.#challenges++;
    const attested = await this.#services.attest(nonce);
    this.#challenges--;
    if (!attested.ok) {
      const { code } = attested.refusal;
      refuseRequest(response, code === 'rate_limited' ? 429 : 503, code);
      return;
    }
    this.#counters.challenges++;
    answerBytes(response, 200, 'application/cbor', attested.value);
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** RFC 9112 3.2. */
function lacksHost({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.host === undefined && httpVersion === '1.1';
}

function answerBytes(
  response: ServerResponse,
  status: number,
  type: string,
  bytes: Uint8Array,
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(bytes);
}

function answerJson(response: ServerResponse, status: number, value: object): void {
  answerBytes(response, status, 'application/json', Buffer.from(`${JSON.stringify(value)}\n`));
}

function refuseRequest(response: ServerResponse, status: number, code: RefusalCode): void {
  answerJson(response, status, { error: code });
}
