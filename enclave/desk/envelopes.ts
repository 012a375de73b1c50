// Opens what clients seal for this epoch's X25519 key, and seals the answers. An ephemeral key is taken once, and the
// time that it is bound to has to be near, so that what was recorded on the way is of no use later. Whatever does
// not open is refused before anything of it is looked at.

import { createPublicKey, diffieHellman, randomBytes } from 'node:crypto';
import { toHex } from '../../wire/bytes.ts';
import type { AnswerKey, EnvelopeContext, Metadata } from '../../wire/envelope.ts';
import {
  encodeAnswer,
  ENVELOPE_NONCE_BYTES,
  MAX_ENVELOPE_AGE_MS,
  openRequest,
  parseEnvelope,
  sealAnswer,
} from '../../wire/envelope.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { DeskServices } from './services.ts';

/** RFC 8410: the DER in front of a raw X25519 key. */
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
/** 80 bytes each. Ten minutes of 160 envelopes a second; the rate limits allow fewer. */
const MAX_REMEMBERED = 100_000;

export interface OpenedEnvelope {
  readonly metadata: Metadata;
  /** For whoever takes it to wipe. */
  readonly plaintext: Uint8Array;
  /** The JSON body that answers with `value`; the key is wiped. Once. */
  readonly seal: (value: object) => string;
}

type EnvelopeServices = Pick<DeskServices, 'keys' | 'origin' | 'leafZeroHash' | 'nowMs'>;

export class Envelopes {
  readonly #services: EnvelopeServices;
  readonly #context: EnvelopeContext;
  /** Ephemeral key to when its time is over, ms. */
  readonly #seen = new Map<string, number>();

  readonly #maxRemembered: number;

  constructor(services: EnvelopeServices, maxRemembered: number = MAX_REMEMBERED) {
    const { keys, origin, leafZeroHash } = services;
    this.#services = services;
    this.#maxRemembered = maxRemembered;
    this.#context = { enclaveKey: keys.x25519.publicKey, origin, leafZeroHash };
  }

  /** Refuses `envelope_malformed`, `envelope_key_refused`, `envelope_unopened`, `envelope_time`, `envelope_replayed`. */
  open(body: Uint8Array): Result<OpenedEnvelope> {
    const parsed = parseEnvelope(body);
    if (!parsed.ok) return parsed;
    const envelope = parsed.value;
    const opened = openRequest(nodeCrypto, (key) => this.#agree(key), this.#context, envelope);
    if (!opened.ok) return opened;
    const { plaintext, answer } = opened.value;
    const fresh = this.#checkFresh(envelope.ephemeralKey, envelope.metadata['time']);
    if (!fresh.ok) {
      plaintext.fill(0);
      answer.key.fill(0);
      return fresh;
    }
    const { metadata } = envelope;
    return accept({ metadata, plaintext, seal: (value) => sealJson(answer, value) });
  }

  #agree(ephemeralKey: Uint8Array): Uint8Array | null {
    try {
      const der = Buffer.concat([X25519_SPKI, ephemeralKey]);
      const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
      const { privateKey } = this.#services.keys.x25519;
      return new Uint8Array(diffieHellman({ privateKey, publicKey }));
    } catch {
      return null;
    }
  }

  #checkFresh(ephemeralKey: Uint8Array, time: unknown): Result<null> {
    const nowMs = this.#services.nowMs();
    if (typeof time !== 'number') return refuse('envelope_malformed');
    const ageMs = nowMs - time;
    if (!(Math.abs(ageMs) <= MAX_ENVELOPE_AGE_MS)) {
      return refuse('envelope_time', { age_ms: ageMs, maximum_ms: MAX_ENVELOPE_AGE_MS });
    }
    const name = toHex(ephemeralKey);
    if (this.#seen.has(name)) return refuse('envelope_replayed');
    if (this.#seen.size >= this.#maxRemembered) this.#forget(nowMs);
    if (this.#seen.size >= this.#maxRemembered) return refuse('rate_limited');
    // From then on its time alone refuses it.
    this.#seen.set(name, time + MAX_ENVELOPE_AGE_MS);
    return accept(null);
  }

  #forget(nowMs: number): void {
    for (const [name, untilMs] of this.#seen) if (untilMs < nowMs) this.#seen.delete(name);
  }
}

function sealJson(answer: AnswerKey, value: object): string {
  const plaintext = Buffer.from(JSON.stringify(value));
  const box = sealAnswer(nodeCrypto, answer, randomBytes(ENVELOPE_NONCE_BYTES), plaintext);
  answer.key.fill(0);
  plaintext.fill(0);
  return encodeAnswer(box);
}
