// Bars from trades: open, high, low, close and volume of each interval, exact integers. An interval is
// [k × interval, (k + 1) × interval) of the trades' own time, so that the same trades give the same bars
// whatever the batches. A bar is complete when a trade of a later interval arrives; there is no clock.

/** Prices and quantities are scaled integers. */
export interface Bar {
  readonly startNs: bigint;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  /** A bigint: the sum of safe integers may leave their range. */
  readonly volume: bigint;
  /** Part of the volume where the buyer took. */
  readonly buyVolume: bigint;
  readonly trades: number;
}

const NS_PER_MS = 1_000_000n;

export class Bars {
  readonly intervalNs: bigint;
  readonly #capacity: number;
  readonly #closed: Bar[] = [];
  #startNs = 0n;
  #endNs = -1n;
  #open = 0;
  #high = 0;
  #low = 0;
  #close = 0;
  #trades = 0;
  #volume = 0n;
  #buyVolume = 0n;

  /** Keeps the last `capacity` complete bars. */
  constructor(intervalMs: number, capacity = 1024) {
    if (!Number.isSafeInteger(intervalMs) || intervalMs < 1 || capacity < 1) {
      throw new RangeError('an interval is a positive number of milliseconds');
    }
    this.intervalNs = BigInt(intervalMs) * NS_PER_MS;
    this.#capacity = capacity;
  }

  /** Complete bars, the oldest first. Intervals without trades have none. */
  get closed(): readonly Bar[] {
    return this.#closed;
  }

  /** The bar that is not complete; null before the first trade. */
  get current(): Bar | null {
    if (this.#trades === 0) return null;
    return {
      startNs: this.#startNs,
      open: this.#open,
      high: this.#high,
      low: this.#low,
      close: this.#close,
      volume: this.#volume,
      buyVolume: this.#buyVolume,
      trades: this.#trades,
    };
  }

  /** A trade of an earlier interval counts into the bar that is open. True when a bar was completed. */
  add(timeNs: bigint, price: number, quantity: number, buyerTook: boolean): boolean {
    let completed = false;
    if (timeNs >= this.#endNs) {
      completed = this.#complete();
      this.#startNs = timeNs - (timeNs % this.intervalNs);
      this.#endNs = this.#startNs + this.intervalNs;
      this.#open = price;
      this.#high = price;
      this.#low = price;
    }
    if (price > this.#high) this.#high = price;
    if (price < this.#low) this.#low = price;
    this.#close = price;
    this.#trades++;
    this.#volume += BigInt(quantity);
    if (buyerTook) this.#buyVolume += BigInt(quantity);
    return completed;
  }

  #complete(): boolean {
    const bar = this.current;
    if (bar === null) return false;
    this.#closed.push(bar);
    if (this.#closed.length > this.#capacity) this.#closed.shift();
    this.#trades = 0;
    this.#volume = 0n;
    this.#buyVolume = 0n;
    return true;
  }
}
