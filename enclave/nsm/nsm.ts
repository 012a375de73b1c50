// The Nitro Security Module behind typed calls. Everything above `NsmDevice` is shared by the real
// device and the simulator: only bytes go down, only bytes come up. Calls are serialised, as the driver
// does; whoever wants attestations often must be rate-limited before. The NSM is trusted.

import type { AttestationRequest, NsmDescription, PcrState } from '../../wire/nsm.ts';
import { encodeNsm, MAX_NSM_REQUEST_BYTES, parseNsm } from '../../wire/nsm.ts';
import type { Result } from '../../wire/result.ts';
import { refuse } from '../../wire/result.ts';

export interface NsmDevice {
  /** One request, one response, both CBOR. Rejects when the device itself fails. */
  request(bytes: Uint8Array): Promise<Uint8Array>;
}

export class Nsm {
  readonly #device: NsmDevice;
  /** Settles when the last call has; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(device: NsmDevice) {
    this.#device = device;
  }

  describe(): Promise<Result<NsmDescription>> {
    return this.#call(encodeNsm.describe(), parseNsm.describe);
  }

  describePcr(index: number): Promise<Result<PcrState>> {
    return this.#call(encodeNsm.describePcr(index), parseNsm.describePcr);
  }

  /** Answers the new value: SHA-384(old value ‖ data). */
  extendPcr(index: number, data: Uint8Array): Promise<Result<Uint8Array>> {
    return this.#call(encodeNsm.extendPcr(index, data), parseNsm.extendPcr);
  }

  /** Locks PCR 0 to `range` - 1. */
  lockPcrs(range: number): Promise<Result<null>> {
    return this.#call(encodeNsm.lockPcrs(range), parseNsm.lockPcrs);
  }

  /** A raw attestation document. */
  attest(request: AttestationRequest): Promise<Result<Uint8Array>> {
    return this.#call(encodeNsm.attestation(request), parseNsm.attestation);
  }

  /** 1 to 256 random bytes. */
  random(): Promise<Result<Uint8Array>> {
    return this.#call(encodeNsm.random(), parseNsm.random);
  }

  #call<T>(request: Uint8Array, parse: (response: Uint8Array) => Result<T>): Promise<Result<T>> {
    if (request.length > MAX_NSM_REQUEST_BYTES) {
      return Promise.resolve(refuse('nsm_error', { error: 'InputTooLarge' }));
    }
    const answer = this.#last.then(() => this.#device.request(request)).then(parse, refuseDevice);
    this.#last = answer.catch(() => null);
    return answer;
  }
}

/** The system's error code (ENOENT, ETIMEDOUT…) tells a missing device from a failing one. */
export function refuseDevice(error: unknown): Result<never> {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return refuse('nsm_unavailable', { system: typeof code === 'string' ? code : 'unknown' });
}
