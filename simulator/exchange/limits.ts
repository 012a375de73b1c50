// How venues count: weights in a fixed window, or a counter that decays. Each keeps one count per key (an
// address, an account), and answers what was used and when there is room again.

export interface Use {
  readonly used: number;
  readonly limit: number;
  readonly isOver: boolean;
  /** Until the window ends or enough has decayed. */
  readonly retryAfterMs: number;
}

/** Weights add up until the window's end; windows start at multiples of their length. */
export class FixedWindow {
  readonly limit: number;
  readonly windowMs: number;
  readonly #counts = new Map<string, { window: number; used: number }>();

  constructor(limit: number, windowMs: number) {
    this.limit = limit;
    this.windowMs = windowMs;
  }

  /** `scale` multiplies the limit. What goes over counts too. */
  add(key: string, weight: number, nowMs: number, scale: number = 1): Use {
    const window = Math.floor(nowMs / this.windowMs);
    const kept = this.#counts.get(key);
    const count = kept !== undefined && kept.window === window ? kept : { window, used: 0 };
    count.used += weight;
    this.#counts.set(key, count);
    const limit = this.limit * scale;
    const retryAfterMs = (window + 1) * this.windowMs - nowMs;
    return { used: count.used, limit, isOver: count.used > limit, retryAfterMs };
  }
}

/** A counter that falls by `perSecond`; what goes over is refused and does not count. */
export class Decaying {
  readonly #limit: number;
  readonly #perSecond: number;
  readonly #counts = new Map<string, { atMs: number; used: number }>();

  constructor(limit: number, perSecond: number) {
    this.#limit = limit;
    this.#perSecond = perSecond;
  }

  add(key: string, weight: number, nowMs: number, scale: number = 1): Use {
    const kept = this.#counts.get(key) ?? { atMs: nowMs, used: 0 };
    const rate = this.#perSecond * scale;
    const decayed = Math.max(0, kept.used - ((nowMs - kept.atMs) / 1000) * rate);
    const limit = this.#limit * scale;
    const isOver = decayed + weight > limit;
    this.#counts.set(key, { atMs: nowMs, used: isOver ? decayed : decayed + weight });
    const retryAfterMs = Math.max(0, Math.ceil(((decayed + weight - limit) / rate) * 1000));
    return { used: decayed + weight, limit, isOver, retryAfterMs };
  }
}

/** Who goes on while refused is shut out, longer each time, as Binance does it: two minutes to three days. */
export class Bans {
  readonly #kept = new Map<string, { strikes: number; bans: number; untilMs: number }>();
  readonly #strikes: number;

  constructor(strikes: number) {
    this.#strikes = strikes;
  }

  untilMs(key: string, nowMs: number): number | null {
    const untilMs = this.#kept.get(key)?.untilMs ?? 0;
    return untilMs > nowMs ? untilMs : null;
  }

  /** Counts a request that was refused for its rate; bans at the last strike. */
  strike(key: string, nowMs: number): void {
    const kept = this.#kept.get(key) ?? { strikes: 0, bans: 0, untilMs: 0 };
    kept.strikes += 1;
    if (kept.strikes >= this.#strikes) {
      kept.untilMs = nowMs + Math.min(120_000 * 4 ** kept.bans, 259_200_000);
      kept.bans += 1;
      kept.strikes = 0;
    }
    this.#kept.set(key, kept);
  }
}
