// Answers challenges with attestation documents, a limited number at once and a second: the NSM's calls are serialised, and
// anybody may ask. The nonce is the only thing that a caller chooses.

import { parseHex } from '../../wire/bytes.ts';
import { MAX_NONCE_BYTES, MIN_NONCE_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { refuse } from '../../wire/result.ts';
import { TokenBucket } from './rate-limit.ts';
import type { DeskServices } from './services.ts';

/** Challenges that may wait for the NSM. */
const MAX_CHALLENGES = 16;

export type ChallengeServices = Pick<
  DeskServices,
  'acknowledgedSize' | 'attest' | 'configuration' | 'nowNs'
>;

export class Challenges {
  readonly #services: ChallengeServices;
  readonly #bucket: TokenBucket;
  #waiting = 0;
  /** Documents that were answered. */
  answered = 0;

  constructor(services: ChallengeServices) {
    this.#services = services;
    const { attestations_per_second: perSecond } = services.configuration.limits;
    this.#bucket = new TokenBucket(perSecond, services.nowNs());
  }

  /** `nonce` in hex, as it came. Refuses `nonce_invalid`, `not_ready`, `rate_limited`, and what the core does. */
  async answer(nonce: string): Promise<Result<Uint8Array>> {
    const bytes = parseHex(nonce);
    if (bytes === null || bytes.length < MIN_NONCE_BYTES || bytes.length > MAX_NONCE_BYTES) {
      return refuse('nonce_invalid');
    }
    if (this.#services.acknowledgedSize() === 0) return refuse('not_ready');
    if (this.#waiting >= MAX_CHALLENGES || !this.#bucket.take(this.#services.nowNs())) {
      return refuse('rate_limited');
    }
    this.#waiting++;
    try {
      const document = await this.#services.attest(bytes);
      if (document.ok) this.answered++;
      return document;
    } finally {
      this.#waiting--;
    }
  }
}
