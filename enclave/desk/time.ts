// The time of limiter, breaker, schedule and polling, handed to them, so that tests run hours of it at once. In the
// enclave it is the core's clock, which a host cannot move, and Node's timers.

export interface Time {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Runs `work` once; the answer takes it back. */
  after(ms: number, work: () => void): () => void;
}

/** The largest delay of Node's timers. */
const MAX_TIMER_MS = 0x7fff_ffff;

export function nodeTime(nowMs: () => number): Time {
  return {
    nowMs,
    after: (ms, work) => {
      const timer = setTimeout(work, Math.min(Math.max(0, Math.ceil(ms)), MAX_TIMER_MS));
      return () => clearTimeout(timer);
    },
  };
}
