// The way to one enclave: challenge it, judge its answer, and from then on send sealed requests to the keys that it
// proved. A request is sealed only for an enclave that verified, and in Node sent only over a connection that ends at its
// TLS key. An enclave that started anew has other keys: it is challenged again, and has to be of the same log.

import { toHex, utf8 } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { AnswerKey, Metadata } from '../wire/envelope.ts';
import { ENVELOPE_NONCE_BYTES, MAX_ANSWER_BYTES } from '../wire/envelope.ts';
import { encodeEnvelope, openAnswer, parseAnswer, sealRequest } from '../wire/client-envelope.ts';
import type { ParsedOrigin } from '../wire/header.ts';
import { parseOrigin } from '../wire/header.ts';
import { MAX_DOCUMENT_BYTES } from '../wire/limits.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { AttestedEnclave } from './attested.ts';
import { judgeDocument } from './attested.ts';
import type { Curves, Platform } from './curves.ts';
import { findCurves, randomBytes } from './curves.ts';
import type { Answer, Http } from './http.ts';
import { parseJson, refusalOf } from './http.ts';
import type { Trust } from './trust.ts';

const CHALLENGE_BYTES = 32;

export interface ChannelOptions {
  readonly crypto: WireCrypto;
  readonly platform: Platform;
  readonly http: Http;
  readonly trust: Trust;
  readonly nowMs: () => number;
}

export type Fields = Readonly<Record<string, unknown>>;

export class Channel {
  readonly #options: ChannelOptions;
  #curves: Promise<Curves> | null = null;
  #enclave: AttestedEnclave | null = null;
  /** Of the last one: a log goes on, and never back. */
  #log: ParsedOrigin | null = null;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** The enclave that verified last. */
  get enclave(): AttestedEnclave | null {
    return this.#enclave;
  }

  /** X25519 and Ed25519, and where they come from. */
  curves(): Promise<Curves> {
    this.#curves ??= findCurves(this.#options.platform);
    return this.#curves;
  }

  /** Of which log the enclave has to be, in that epoch or a later one. */
  expectLog(origin: string): void {
    this.#log = parseOrigin(origin);
  }

  /** Challenges the enclave with a new nonce. */
  async attest(): Promise<Result<AttestedEnclave>> {
    const { crypto, platform, http, trust, nowMs } = this.#options;
    this.#enclave = null;
    const nonce = randomBytes(platform, CHALLENGE_BYTES);
    const path = `/attestation?nonce=${toHex(nonce)}`;
    const maxBytes = MAX_DOCUMENT_BYTES;
    const answer = await http({ method: 'GET', path, body: null, maxBytes, pin: null });
    if (!answer.ok) return answer;
    const { status, body, tlsKeyHash } = answer.value;
    if (status !== 200) return refusalOf(answer.value);
    const judged = judgeDocument(crypto, body, { nonce, nowMs: nowMs(), trust });
    if (!judged.ok) return judged;
    const enclave = judged.value;
    if (tlsKeyHash !== null && toHex(tlsKeyHash) !== toHex(enclave.tlsKeyHash)) {
      const [expected, actual] = [toHex(enclave.tlsKeyHash), toHex(tlsKeyHash)];
      return refuse('tls_key_mismatch', { expected, actual });
    }
    const log = parseOrigin(enclave.envelope.origin);
    const follows = this.#checkLog(log);
    if (!follows.ok) return follows;
    this.#log = log;
    this.#enclave = enclave;
    return judged;
  }

  #checkLog(log: ParsedOrigin | null): Result<null> {
    const last = this.#log;
    if (last === null) return accept(null);
    if (log?.logId !== last.logId) {
      return refuse('origin_mismatch', { expected: last.logId, actual: log?.logId ?? null });
    }
    // An enclave of an older epoch that still runs is not the one that writes the log.
    if (log.epoch >= last.epoch) return accept(null);
    return refuse('rollback', { expected: last.epoch, actual: log.epoch });
  }

  /**
   * Sends one sealed request to the enclave that verified last, and opens its answer; refuses with the enclave's own
   * code, too. `plaintext` is wiped.
   */
  async send(path: string, metadata: Metadata, plaintext: Uint8Array): Promise<Result<Fields>> {
    const { crypto, platform, http } = this.#options;
    const enclave = this.#enclave;
    if (enclave === null) return refuse('accounts_not_served');
    const key = await (await this.curves()).newKey();
    const shared = await key.agree(enclave.envelope.enclaveKey);
    const ephemeral = { publicKey: key.publicKey, agree: () => shared };
    const nonce = randomBytes(platform, ENVELOPE_NONCE_BYTES);
    const sealed = sealRequest(crypto, ephemeral, nonce, enclave.envelope, metadata, plaintext);
    plaintext.fill(0);
    if (!sealed.ok) return sealed;
    const { envelope, answer: answerKey } = sealed.value;
    const answer = await http({
      method: 'POST',
      path,
      body: encodeEnvelope(envelope),
      maxBytes: MAX_ANSWER_BYTES,
      pin: enclave.tlsKeyHash,
    });
    const opened = answer.ok ? this.#open(answer.value, answerKey) : answer;
    answerKey.key.fill(0);
    return opened;
  }

  /** Only the attested enclave can have made an answer that opens, whatever the status says. */
  #open(answer: Answer, key: AnswerKey): Result<Fields> {
    const box = parseAnswer(answer.body);
    if (!box.ok) return answer.status === 200 ? box : refusalOf(answer);
    const plaintext = openAnswer(this.#options.crypto, key, box.value);
    if (!plaintext.ok) return plaintext;
    if (answer.status >= 400) return refusalOf({ ...answer, body: plaintext.value });
    const fields = parseJson(plaintext.value);
    if (fields === null) return refuse('envelope_malformed', { what: 'the answer' });
    return 'error' in fields ? refusalOf({ ...answer, body: plaintext.value }) : accept(fields);
  }
}

/** The plaintext of a request. */
export function encodePlaintext(fields: Fields): Uint8Array {
  return utf8(JSON.stringify(fields));
}
