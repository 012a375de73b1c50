import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Clock } from '../../../enclave/clock.ts';
import { Fatal } from '../../../enclave/fatal.ts';
import { StallWatch } from '../../../enclave/log/stall.ts';

const AFTER_MS = 5000;

interface Rig {
  readonly watch: StallWatch;
  readonly changes: boolean[];
  /** Moves the clock and lets timers fire. */
  readonly pass: (ms: number) => void;
}

function rig(
  onTimer: (work: () => void) => void = (work) => {
    work();
  },
): Rig {
  let ns = 1n;
  const clock = new Clock({ wallNs: () => 1_700_000_000_000_000_000n, monotonicNs: () => ns });
  const changes: boolean[] = [];
  const onChange = (stalled: boolean): void => {
    changes.push(stalled);
  };
  const watch = new StallWatch({ clock, afterMs: AFTER_MS, onChange, onTimer });
  const pass = (ms: number): void => {
    ns += BigInt(ms) * 1_000_000n;
    vi.advanceTimersByTime(ms);
  };
  return { watch, changes, pass };
}

describe('a stalled log', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is one whose oldest commit has waited for the limit, not one millisecond less', () => {
    const { watch, changes, pass } = rig();
    watch.sent();
    pass(AFTER_MS - 1);
    watch.sent();
    expect([watch.stalled, changes]).toEqual([false, []]);
    pass(1);
    expect([watch.stalled, changes]).toEqual([true, [true]]);
  });

  it('says how long it has been so, once for each time, until an acknowledgement comes', () => {
    const { watch, changes, pass } = rig();
    expect(watch.counters).toEqual({ log_stalls: 0, log_stalled_ms: 0 });
    watch.sent();
    pass(AFTER_MS - 1);
    expect(watch.counters).toEqual({ log_stalls: 0, log_stalled_ms: 0 });
    pass(10 * AFTER_MS + 1);
    watch.sent();
    expect(watch.counters).toEqual({ log_stalls: 1, log_stalled_ms: 11 * AFTER_MS });
    watch.acknowledged(true);
    expect(watch.counters).toEqual({ log_stalls: 1, log_stalled_ms: 0 });
    expect([watch.stalled, changes]).toEqual([false, [true, false]]);
    pass(AFTER_MS);
    expect(watch.counters).toEqual({ log_stalls: 2, log_stalled_ms: AFTER_MS });
    expect(changes).toEqual([true, false, true]);
  });

  it('is none while nothing waits', () => {
    const { watch, changes, pass } = rig();
    pass(2 * AFTER_MS);
    watch.sent();
    pass(AFTER_MS - 1);
    watch.acknowledged(false);
    pass(2 * AFTER_MS);
    expect(changes).toEqual([]);
    watch.sent();
    watch.stop();
    pass(2 * AFTER_MS);
    expect(changes).toEqual([]);
    // And the next commit is watched again, from its own time on.
    watch.sent();
    pass(AFTER_MS - 1);
    expect(changes).toEqual([]);
    pass(1);
    expect(changes).toEqual([true]);
  });

  it('hands what its clock throws to the guard', () => {
    const thrown: unknown[] = [];
    let ns = 10n;
    const clock = new Clock({ wallNs: () => 0n, monotonicNs: () => ns });
    const watch = new StallWatch({
      clock,
      afterMs: AFTER_MS,
      onChange: () => {
        clock.nowNs();
      },
      onTimer: (work) => {
        try {
          work();
        } catch (error) {
          thrown.push(error);
        }
      },
    });
    watch.sent();
    ns = 1n;
    vi.advanceTimersByTime(AFTER_MS);
    expect(thrown).toEqual([new Fatal('clock_backwards')]);
  });
});
