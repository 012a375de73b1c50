// Attestation documents of this epoch: says who we are in `user_data`, and puts the log key, the nonce
// and a head beside it. The nonce of a challenge is the only field that a caller chooses.

import { parseOwnDocument } from '../wire/attestation/own-document.ts';
import type { Head, Purpose } from '../wire/attestation/user-data.ts';
import { encodeUserData } from '../wire/attestation/user-data.ts';
import type { AttestationRequest } from '../wire/nsm.ts';
import type { Result } from '../wire/result.ts';
import { accept } from '../wire/result.ts';
import type { Clock, NsmReading } from './clock.ts';
import type { Nsm } from './nsm/nsm.ts';

export interface AttestedIdentity {
  readonly origin: string;
  readonly logKey: Uint8Array;
  readonly leafZeroHash: Uint8Array;
  readonly tlsKeyHash: Uint8Array;
  readonly x25519Key: Uint8Array | null;
  readonly ed25519Key: Uint8Array | null;
  readonly configDigest: Uint8Array;
}

export interface TimedDocument {
  readonly document: Uint8Array;
  readonly reading: NsmReading;
}

/** A document together with what it says about the time. */
export async function attestTimed(
  nsm: Nsm,
  clock: Clock,
  request: AttestationRequest,
): Promise<Result<TimedDocument>> {
  const beforeNs = clock.nowNs();
  const document = await nsm.attest(request);
  const afterNs = clock.nowNs();
  if (!document.ok) return document;
  const parsed = parseOwnDocument(document.value);
  if (!parsed.ok) return parsed;
  const { timestampMs } = parsed.value;
  return accept({ document: document.value, reading: { timestampMs, beforeNs, afterNs } });
}

export class Attester {
  readonly #nsm: Nsm;
  readonly #clock: Clock;
  readonly #identity: AttestedIdentity;

  constructor(nsm: Nsm, clock: Clock, identity: AttestedIdentity) {
    this.#nsm = nsm;
    this.#clock = clock;
    this.#identity = identity;
  }

  attest(purpose: Purpose, head: Head, nonce: Uint8Array | null): Promise<Result<TimedDocument>> {
    const { logKey, ...identity } = this.#identity;
    const userData = encodeUserData({ purpose, head, ...identity });
    return attestTimed(this.#nsm, this.#clock, { userData, nonce, publicKey: logKey });
  }
}
