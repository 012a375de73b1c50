// A token bucket: `perSecond` requests a second on average, as many at once.

export class TokenBucket {
  readonly #perSecond: number;
  #tokens: number;
  #lastNs: bigint;

  constructor(perSecond: number, nowNs: bigint) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#lastNs = nowNs;
  }

  take(nowNs: bigint): boolean {
    const earned = (Number(nowNs - this.#lastNs) / 1e9) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + earned);
    this.#lastNs = nowNs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
