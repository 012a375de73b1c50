// Port 3000: HTTPS whose TLS ends here; the host carries the bytes. Three paths of its own, without bodies or state of
// a caller's; the others are the API's. The host and whoever it lets in can use up connections and attestations, both limited; a
// connection lives 30 seconds at most, so that nobody can hold one for good. Answers are of one form.

import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';
import type { RefusalCode } from '../../wire/codes.ts';
import { PORT } from '../../wire/enclave-messages.ts';
import { SlicedStream } from '../../wire/node/sliced-stream.ts';
import type { Listener, Transport } from '../../wire/node/transport.ts';
import type { Refusal } from '../../wire/result.ts';
import { allowOrigins, answerBytes, answerJson, answerRefusal } from './api-answers.ts';
import { hasBody, lacksHost } from './api-body.ts';
import { Challenges } from './challenges.ts';
import type { TlsKey } from './keys.ts';
import type { DeskServices } from './services.ts';

const MAX_CONNECTIONS = 256;
const CONNECTION_MS = 30_000;
const HANDSHAKE_MS = 10_000;
const MAX_HEADER_BYTES = 8 * 1024;
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
  readonly #challenges: Challenges;
  readonly #streams = new Set<Duplex>();
  readonly #counters = { https_connections: 0, https_refused: 0 };
  #listener: Listener | null = null;

  constructor(
    services: HttpsServices,
    key: TlsKey,
    certificate: string,
    routes: Routes | null = null,
  ) {
    this.#services = services;
    this.#routes = routes;
    this.#key = key.privateKey.export({ format: 'pem', type: 'pkcs8' });
    const { guard } = services;
    this.#challenges = new Challenges(services);
    this.#server = createServer({
      ...this.#context(certificate),
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
    return { ...this.#counters, challenges: this.#challenges.answered };
  }

  /** Another certificate (chain, PEM) for the same key, from the next connection on. */
  replaceCertificate(chain: string): void {
    this.#server.setSecureContext(this.#context(chain));
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

  #context(cert: string): SecureContextOptions {
    const ciphers = CIPHERS.join(':');
    return { key: this.#key, cert, minVersion: 'TLSv1.2', ciphers, honorCipherOrder: true };
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
      this.#refuseCode(response, 'message_malformed');
      return;
    }
    // A page of any origin may verify an enclave; nothing of this is secret.
    allowOrigins(response);
    const path = request.url ?? '';
    const known = path === '/health' || path === '/ready' || /^\/attestation(?:\?|$)/u.test(path);
    if (!known) this.#refuseCode(response, 'not_found');
    else if (request.method !== 'GET') {
      response.setHeader('allow', 'GET');
      this.#refuseCode(response, 'method_not_allowed');
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
    if (!this.#services.isReady()) this.#refuseCode(response, 'not_ready');
    else if (this.#services.logStalled()) this.#refuseCode(response, 'log_stalled');
    else answerJson(response, 200, { status: 'ready' });
  }

  async #answerChallenge(path: string, response: ServerResponse): Promise<void> {
    const document = await this.#challenges.answer(NONCE.exec(path)?.[1] ?? '');
    if (document.ok) answerBytes(response, 200, 'application/cbor', document.value);
    else this.#refuse(response, document.refusal);
  }

  #refuseCode(response: ServerResponse, code: RefusalCode): void {
    this.#refuse(response, { code, detail: {} });
  }

  #refuse(response: ServerResponse, refusal: Refusal): void {
    answerRefusal(response, refusal, Number(this.#services.nowNs() / 1_000_000n));
  }
}
