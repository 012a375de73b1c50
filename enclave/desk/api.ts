// The HTTPS API: finds the operation of a request, limits how often, and answers. A body is read up to 32 KiB and only where
// there is one; session ids come inside of envelopes, or in URLs from clients that name the TLS key they have
// pinned. Whoever sends anything else gets a closed code, and the host can at most let nobody in.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { equalBytes, parseHex, toBase64, toHex } from '../../wire/bytes.ts';
import { MAX_ENVELOPE_BYTES } from '../../wire/envelope.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import {
  allowanceHeaders,
  allowOrigins,
  answerBytes,
  answerJson,
  answerRefusal,
  answerText,
  failureOf,
  statusOf,
} from './api-answers.ts';
import { operationMetadata, registerMetadata, renewBody, trackPlace } from './api-schemas.ts';
import { hasBody, lacksHost, readBody } from './api-body.ts';
import { Challenges } from './challenges.ts';
import type { Envelopes, OpenedEnvelope } from './envelopes.ts';
import type { Routes } from './https.ts';
import type { Operations } from './operations.ts';
import { openApiDocument } from './openapi.ts';
import type { Allowance } from './rate-windows.ts';
import { ConnectionWindows, NamedWindows, SharedWindow, tightest } from './rate-windows.ts';
import type { SecretFields } from './secret-fields.ts';
import { parseSecretFields, wipeFields } from './secret-fields.ts';
import type { DeskServices } from './services.ts';
import { DEFAULT_TTL_SECONDS } from './sessions.ts';

const CLIENT_PER_MINUTE = 100;
const SESSION_PER_MINUTE = 100;
const REGISTRATIONS_PER_MINUTE = 120;
/** All clients together: an envelope costs a tenth of a millisecond, or an attempt to open one does. */
const TOTAL_PER_MINUTE = 6000;

const NONCE = /^\/attestation\/quote\?nonce=([0-9a-f]*)$/u;
const OWN = /^\/(?:attestation\/(?:quote|boot)|openapi\.json|tls\/csr|enclave\/.*)$/u;
const SESSION_FIELDS: ReadonlySet<string> = new Set(['session_id', 'ttl', 'after']);
const SESSION_PATH = /^\/enclave\/(summary|metrics|sessions)\/([A-Za-z0-9_-]{1,64})(\/renew)?$/u;

export interface ApiParts {
  readonly services: DeskServices;
  readonly operations: Operations;
  readonly envelopes: Envelopes;
  /** PEM of a certificate request for the TLS key. */
  readonly csr: () => Promise<string>;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
}

interface Route {
  readonly methods: Readonly<Record<string, (exchange: Exchange) => Promise<void> | void>>;
  /** Answers may be read by scripts of any web page: there are no cookies, and nothing in clear is secret. */
  readonly open: boolean;
}

function get(answer: (exchange: Exchange) => Promise<void> | void): Route {
  return { methods: { GET: answer }, open: true };
}

export class DeskApi implements Routes {
  readonly #parts: ApiParts;
  readonly #openApi: Buffer = Buffer.from(JSON.stringify(openApiDocument()));
  readonly #clients: ConnectionWindows;
  readonly #bySession: NamedWindows;
  readonly #registrations: SharedWindow;
  readonly #total = new SharedWindow(TOTAL_PER_MINUTE);
  readonly #challenges: Challenges;
  readonly #counters = { api_requests: 0, api_refused: 0 };

  constructor(parts: ApiParts) {
    this.#parts = parts;
    this.#challenges = new Challenges(parts.services);
    const limits = parts.services.configuration.limits.api ?? {};
    this.#clients = new ConnectionWindows(limits.client_per_minute ?? CLIENT_PER_MINUTE);
    this.#bySession = new NamedWindows(limits.session_per_minute ?? SESSION_PER_MINUTE);
    const registrations = limits.registrations_per_minute ?? REGISTRATIONS_PER_MINUTE;
    this.#registrations = new SharedWindow(registrations);
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  owns(path: string): boolean {
    return OWN.test(path);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    this.#counters.api_requests++;
    const path = request.url ?? '';
    const exchange = { request, response, path };
    const route = this.#routeOf(path);
    const takesBody = request.method === 'POST' && route !== null && 'POST' in route.methods;
    if (lacksHost(request) || (hasBody(request) && !takesBody)) {
      this.#refuseUnread(exchange, refuse('message_malformed'));
    } else if (route === null) this.#refuse(exchange, refuse('not_found'));
    else await this.#answerRoute(exchange, route);
  }

  async #answerRoute(exchange: Exchange, { methods, open }: Route): Promise<void> {
    const { request, response } = exchange;
    if (open) allowOrigins(response);
    const answer = methods[request.method ?? ''];
    if (answer !== undefined) {
      await answer(exchange);
      return;
    }
    response.setHeader('allow', Object.keys(methods).join(', '));
    if (open && request.method === 'OPTIONS' && 'POST' in methods) {
      response.setHeader('access-control-allow-methods', 'POST');
      response.setHeader('access-control-allow-headers', 'content-type');
      answerBytes(response, 200, 'text/plain', new Uint8Array());
    } else this.#refuse(exchange, refuse('method_not_allowed'));
  }

  #routeOf(path: string): Route | null {
    if (path === '/attestation/quote' || path.startsWith('/attestation/quote?')) {
      return get((exchange) => this.#answerQuote(exchange));
    }
    if (path === '/attestation/boot') return get((exchange) => this.#answerBoot(exchange));
    if (path === '/openapi.json') {
      return get(({ response }) => {
        answerBytes(response, 200, 'application/json', this.#openApi);
      });
    }
    if (path === '/tls/csr') return get((exchange) => this.#answerCsr(exchange));
    if (path === '/enclave/sessions' || path === '/enclave/submit_key') {
      const answer = (exchange: Exchange): Promise<void> => this.#answerEnvelope(exchange, true);
      return { methods: { POST: answer }, open: true };
    }
    if (path === '/enclave/envelopes') {
      const answer = (exchange: Exchange): Promise<void> => this.#answerEnvelope(exchange, false);
      return { methods: { POST: answer }, open: true };
    }
    return this.#sessionRoute(path);
  }

  /** The older paths, with the session id in the URL. */
  #sessionRoute(path: string): Route | null {
    const [, kind, id = '', renew] = SESSION_PATH.exec(path) ?? [];
    if (kind === undefined || (renew !== undefined && kind !== 'sessions')) return null;
    const name = Buffer.from(id, 'latin1');
    const { operations } = this.#parts;
    const pinned =
      (work: (exchange: Exchange) => Promise<Result<object>>) =>
      (exchange: Exchange): Promise<void> =>
        this.#answerPinned(exchange, id, work);
    if (kind !== 'sessions') {
      const operation = kind === 'summary' ? 'summary' : 'metrics';
      return { methods: { GET: pinned(() => operations.result(name, operation)) }, open: false };
    }
    if (renew === undefined) {
      return { methods: { DELETE: pinned(() => operations.revoke(name)) }, open: false };
    }
    const work = async (exchange: Exchange): Promise<Result<object>> => {
      const ttl = hasBody(exchange.request) ? await readTtl(exchange) : accept(DEFAULT_TTL_SECONDS);
      return ttl.ok ? operations.renew(name, ttl.value) : ttl;
    };
    return { methods: { POST: pinned(work) }, open: false };
  }

  #state(): Result<null> {
    const { services } = this.#parts;
    if (!services.isReady()) return refuse('not_ready');
    return services.logStalled() ? refuse('log_stalled') : accept(null);
  }

  async #answerQuote(exchange: Exchange): Promise<void> {
    const document = await this.#challenges.answer(NONCE.exec(exchange.path)?.[1] ?? '');
    if (!document.ok) {
      this.#refuse(exchange, document);
      return;
    }
    const { services } = this.#parts;
    answerJson(exchange.response, 200, {
      enclave_id: services.origin,
      attestation_type: 'AWS_NITRO',
      document: toBase64(document.value),
      public_key: toBase64(services.keys.x25519.publicKey),
      timestamp: new Date(services.nowMs()).toISOString(),
      version: 1,
    });
  }

  #answerBoot(exchange: Exchange): void {
    const { bootDocument } = this.#parts.services;
    if (bootDocument.length === 0) this.#refuse(exchange, refuse('not_ready'));
    else answerBytes(exchange.response, 200, 'application/cbor', bootDocument);
  }

  async #answerCsr(exchange: Exchange): Promise<void> {
    if (!this.#take(exchange, [])) return;
    const pem = Buffer.from(await this.#parts.csr());
    answerBytes(exchange.response, 200, 'application/pkcs10', pem);
  }

  async #answerEnvelope(exchange: Exchange, registers: boolean): Promise<void> {
    const { response } = exchange;
    if (!this.#take(exchange, [])) return;
    const state = this.#state();
    if (!state.ok) {
      this.#refuseUnread(exchange, state);
      return;
    }
    const body = await readBody(exchange, MAX_ENVELOPE_BYTES);
    if (!body.ok) {
      this.#refuseUnread(exchange, body);
      return;
    }
    const opened = this.#parts.envelopes.open(body.value);
    body.value.fill(0);
    if (!opened.ok) {
      this.#refuse(exchange, opened);
      return;
    }
    const result = await this.#operate(exchange, opened.value, registers);
    const { services } = this.#parts;
    const status = result.ok ? 200 : statusOf(result.refusal.code)[0];
    if (!result.ok) this.#counters.api_refused++;
    if (status === 429) response.setHeader('retry-after', 60);
    const value = result.ok ? result.value : failureOf(result.refusal, services.nowMs());
    answerText(response, status, opened.value.seal(value));
  }

  async #operate(
    exchange: Exchange,
    { metadata, plaintext }: OpenedEnvelope,
    registers: boolean,
  ): Promise<Result<object>> {
    const fields = parseSecretFields(plaintext);
    plaintext.fill(0);
    if (!fields.ok) return fields;
    const wiped = (result: Result<object>): Result<object> => {
      wipeFields(fields.value);
      return result;
    };
    if (!registers) return wiped(await this.#operateSession(exchange, metadata, fields.value));
    const settings = registerMetadata.safeParse(metadata);
    if (!settings.success) return wiped(malformed(settings.error.issues));
    const allowance = this.#registrations.take(this.#parts.services.nowMs());
    allowanceHeaders(exchange.response, allowance);
    if (!allowance.allowed) return wiped(refuse('rate_limited'));
    return this.#parts.operations.register(settings.data, fields.value);
  }

  async #operateSession(
    exchange: Exchange,
    metadata: object,
    fields: SecretFields,
  ): Promise<Result<object>> {
    const asked = operationMetadata.safeParse(metadata);
    if (!asked.success) return malformed(asked.error.issues);
    const id = fields.get('session_id');
    const ttl = fields.has('ttl') ? fields.get('ttl') : DEFAULT_TTL_SECONDS;
    const after = trackPlace.safeParse(fields.has('after') ? fields.get('after') : 0);
    const known = [...fields.keys()].every((name) => SESSION_FIELDS.has(name));
    if (!known || !Buffer.isBuffer(id)) return refuse('api_malformed', { field: 'session_id' });
    const lifetime = renewBody.safeParse({ ttl });
    if (!lifetime.success) return refuse('api_malformed', { field: 'ttl' });
    if (!after.success) return refuse('api_malformed', { field: 'after' });
    if (!this.#takeSession(exchange, id)) return refuse('rate_limited');
    const { operations } = this.#parts;
    const { op } = asked.data;
    if (op === 'renew') return operations.renew(id, lifetime.data.ttl);
    if (op === 'track') return operations.track(id, after.data);
    return op === 'revoke' ? operations.revoke(id) : operations.result(id, op);
  }

  async #answerPinned(
    exchange: Exchange,
    id: string,
    work: (exchange: Exchange) => Promise<Result<object>>,
  ): Promise<void> {
    if (!this.#take(exchange, [Buffer.from(id, 'latin1')])) return;
    const state = this.#state();
    const allowed = state.ok ? this.#checkPin(exchange.request) : state;
    if (!allowed.ok) {
      this.#refuseUnread(exchange, allowed);
      return;
    }
    const result = await work(exchange);
    if (result.ok) answerJson(exchange.response, 200, result.value);
    else this.#refuse(exchange, result);
  }

  /** Only a client that looks at the key of its peer can know it; a web page cannot, and has envelopes. */
  #checkPin({ headers }: IncomingMessage): Result<null> {
    const header = headers['trackseal-tls-pin'];
    const pin = typeof header === 'string' ? parseHex(header) : null;
    return pin !== null && equalBytes(pin, this.#parts.services.keys.tls.spkiHash)
      ? accept(null)
      : refuse('tls_pin_required');
  }

  /** False when it was refused. */
  #take(exchange: Exchange, sessions: readonly Uint8Array[]): boolean {
    const { request } = exchange;
    const nowMs = this.#parts.services.nowMs();
    const client = this.#clients.take(request.socket, nowMs);
    const all = sessions.reduce<Allowance>(
      (allowance, id) => tightest(allowance, this.#bySession.take(windowName(id), nowMs)),
      tightest(client, this.#total.take(nowMs)),
    );
    allowanceHeaders(exchange.response, all);
    if (all.allowed) return true;
    this.#refuseUnread(exchange, refuse('rate_limited'));
    return false;
  }

  #takeSession({ response }: Exchange, id: Uint8Array): boolean {
    const allowance = this.#bySession.take(windowName(id), this.#parts.services.nowMs());
    allowanceHeaders(response, allowance);
    return allowance.allowed;
  }

  #refuse({ response }: Exchange, refused: Result<unknown>): void {
    if (refused.ok) return;
    this.#counters.api_refused++;
    answerRefusal(response, refused.refusal, this.#parts.services.nowMs());
  }

  /** A body that may follow is not read: the connection ends with the answer. */
  #refuseUnread(exchange: Exchange, refused: Result<unknown>): void {
    const { request, response } = exchange;
    if (hasBody(request)) {
      response.setHeader('connection', 'close');
      response.on('finish', () => request.destroy());
    }
    this.#refuse(exchange, refused);
  }
}

/** The id itself is not kept. */
function windowName(id: Uint8Array): string {
  return toHex(nodeCrypto.sha256(id));
}

async function readTtl(exchange: Exchange): Promise<Result<number>> {
  const body = await readBody(exchange, MAX_ENVELOPE_BYTES);
  if (!body.ok) return body;
  const fields = parseSecretFields(body.value);
  if (!fields.ok) return refuse('api_malformed');
  const parsed = renewBody.safeParse(Object.fromEntries(fields.value));
  return parsed.success ? accept(parsed.data.ttl) : malformed(parsed.error.issues);
}

/** Names the field of the schema, never what was there. */
function malformed(issues: readonly { readonly path: readonly PropertyKey[] }[]): Result<never> {
  return refuse('api_malformed', { field: (issues[0]?.path ?? []).map(String).join('.') });
}
