// The enclave's time: its wall clock read once at boot, plus its monotonic clock. A host that can move
// the wall clock later moves nothing here. NSM time, which the hypervisor signs, is the only reference:
// at boot it gives the error bound that the header states, and at each anchor a limit on the drift.

import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { Fatal } from './fatal.ts';

export interface ClockSource {
  /** Nanoseconds since the Unix epoch. */
  wallNs(): bigint;
  /** Nanoseconds since any fixed point; never goes back. */
  monotonicNs(): bigint;
}

export const systemClock: ClockSource = {
  wallNs: () => BigInt(Date.now()) * 1_000_000n,
  monotonicNs: () => process.hrtime.bigint(),
};

export interface NsmReading {
  /** What the attestation document says, in ms. */
  readonly timestampMs: number;
  /** The enclave's clock just before the request and just after the answer. */
  readonly beforeNs: bigint;
  readonly afterNs: bigint;
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

/** Largest difference between the NSM's clock and ours that the reading allows. */
export function errorBoundNs(reading: NsmReading): bigint {
  const nsmNs = BigInt(reading.timestampMs) * 1_000_000n;
  return absolute(nsmNs - reading.beforeNs) + (reading.afterNs - reading.beforeNs);
}

export class Clock {
  readonly bootWallNs: bigint;
  readonly #source: ClockSource;
  readonly #bootMonotonicNs: bigint;
  #lastNs: bigint;

  constructor(source: ClockSource) {
    this.#source = source;
    this.bootWallNs = source.wallNs();
    this.#bootMonotonicNs = source.monotonicNs();
    this.#lastNs = this.bootWallNs;
  }

  /** Nanoseconds since the Unix epoch; never less than before, or the enclave ends. */
  nowNs(): bigint {
    const nowNs = this.bootWallNs + this.#source.monotonicNs() - this.#bootMonotonicNs;
    if (nowNs < this.#lastNs) throw new Fatal('clock_backwards');
    this.#lastNs = nowNs;
    return nowNs;
  }
}

/**
 * Is the NSM's timestamp at least one ms-step within `limitMs` of the time between request and answer?
 * Refuses with `clock_divergence`.
 */
export function checkDivergence(reading: NsmReading, limitMs: number): Result<null> {
  const limitNs = BigInt(limitMs) * 1_000_000n;
  const nsmNs = BigInt(reading.timestampMs) * 1_000_000n;
  if (nsmNs > reading.afterNs + limitNs || nsmNs < reading.beforeNs - limitNs) {
    return refuse('clock_divergence', {
      limit_ms: limitMs,
      difference_ms: Number((nsmNs - reading.beforeNs) / 1_000_000n),
    });
  }
  return accept(null);
}
