import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ReplayClock, ReplayOptions, ReplaySummary } from '../../../host-proxy/feed/replay.ts';
import { replayCapture } from '../../../host-proxy/feed/replay.ts';
import type { FeedChannel } from '../../../wire/market/sender.ts';
import { FeedSender } from '../../../wire/market/sender.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import type { Result } from '../../../wire/result.ts';
import { assertAccepted } from '../../../wire/result.ts';

const directory = mkdtempSync(join(tmpdir(), 'trackseal-replay-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const ETH: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 8,
  sequence_rule: 'binance-spot',
};

function capture(times: readonly number[], extra = ''): string {
  const path = join(directory, 'capture');
  const trade = { e: 'trade', s: 'ETHUSDT', p: '1.00', q: '1.0', T: 1, m: true };
  const lines = times.map(
    (ms, id) => `${ms.toString()}000000 ${JSON.stringify({ ...trade, t: id + 1 })}\n`,
  );
  writeFileSync(path, lines.join('') + extra);
  return path;
}

class FakeClock implements ReplayClock {
  now = 1000;
  slept: number[] = [];
  nowMs(): number {
    return this.now;
  }
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.now += ms;
    await Promise.resolve();
  }
}

interface Run {
  readonly result: Result<ReplaySummary>;
  readonly batches: Uint8Array[];
  /** Clock at each batch. */
  readonly sentAt: number[];
}

async function replay(
  path: string,
  options: Partial<ReplayOptions> = {},
  clock = new FakeClock(),
  stallMs = 0,
): Promise<Run> {
  const batches: Uint8Array[] = [];
  const sentAt: number[] = [];
  const channel: FeedChannel = {
    alive: true,
    queuedBytes: 0,
    send: (_, payload) => {
      batches.push(payload);
      sentAt.push(clock.now);
      return stallMs === 0;
    },
    drained: () => {
      clock.now += stallMs;
      return Promise.resolve(true);
    },
  };
  const sender = new FeedSender(channel, { whenFull: 'wait', maxQueuedBytes: 0 });
  const result = await replayCapture(
    {
      path,
      instruments: [ETH],
      stream: 1,
      speed: null,
      limitEvents: null,
      closeRows: 4,
      closeMs: 50,
      onMalformed: 'stop',
      clock,
      ...options,
    },
    sender,
  );
  return { result, batches, sentAt };
}

const TIMES = [0, 10, 20, 30, 40, 90, 100, 150, 1000];

describe('replay', () => {
  it('sends the same batches at every speed', async () => {
    const path = capture(TIMES);
    const fast = await replay(path);
    expect(fast.batches).toHaveLength(5);
    expect((await replay(path, { speed: 1 })).batches).toEqual(fast.batches);
    expect((await replay(path, { speed: 50 })).batches).toEqual(fast.batches);
    expect(assertAccepted(fast.result)).toEqual({
      messages: 9,
      events: 9,
      batches: 5,
      refusedLines: 0,
      firstTimeNs: 0n,
      lastTimeNs: 1_000_000_000n,
      ended: 'end',
    });
  });

  it('keeps the time between events, and sends a batch that is due before it waits', async () => {
    const path = capture(TIMES);
    const real = new FakeClock();
    const run = await replay(path, { speed: 1 }, real);
    expect(real.slept.reduce((sum, ms) => sum + ms, 0)).toBe(1000);
    // Rows 0–3 at the fourth; 40 before the wait for 90; 90–100 before 150; 150 before 1000; 1000 at the end.
    expect(run.sentAt.map((at) => at - 1000)).toEqual([30, 40, 100, 150, 1000]);
    const tenfold = new FakeClock();
    await replay(path, { speed: 10 }, tenfold);
    expect(tenfold.now).toBe(1100);
    const fast = new FakeClock();
    await replay(path, {}, fast);
    expect(fast.slept).toEqual([]);
  });

  it('moves its schedule by the time that the enclave made it wait', async () => {
    const clock = new FakeClock();
    const { sentAt } = await replay(capture([0, 100, 200, 300]), { speed: 1 }, clock, 1000);
    expect(sentAt.map((at) => at - 1000)).toEqual([0, 1100, 2200, 3300]);
  });

  it.each([
    [1, 1, 'limit'],
    [8, 8, 'limit'],
    [9, 9, 'limit'],
    [10, 9, 'end'],
  ])('stops after %i events', async (limitEvents, events, ended) => {
    const { result } = await replay(capture(TIMES), { limitEvents });
    expect(assertAccepted(result)).toMatchObject({ events, ended });
  });

  it('sends what it has when it is aborted', async () => {
    const abort = new AbortController();
    const clock = new FakeClock();
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async (ms) => {
      await sleep(ms);
      if (clock.now >= 1020) abort.abort();
    };
    const { result, batches } = await replay(
      capture(TIMES),
      { speed: 1, signal: abort.signal },
      clock,
    );
    expect(assertAccepted(result)).toMatchObject({ events: 2, batches: 1, ended: 'aborted' });
    expect(batches).toHaveLength(1);
  });

  it('sends what came before a malformed line, then refuses; or counts it and goes on', async () => {
    const path = capture(TIMES, '5 ?\n');
    const stopped = await replay(path);
    expect(stopped.result).toMatchObject({
      refusal: { code: 'capture_malformed', detail: { line: 10, field: 'json' } },
    });
    expect(stopped.batches).toHaveLength(5);
    const lines: unknown[] = [];
    const onRefusal = ({ detail }: { detail: unknown }): unknown => lines.push(detail);
    const { result } = await replay(path, { onMalformed: 'continue', onRefusal });
    expect(assertAccepted(result)).toMatchObject({ events: 9, refusedLines: 1, ended: 'end' });
    expect(lines).toEqual([{ line: 10, field: 'json' }]);
  });

  it('refuses a file that is not there', async () => {
    const { result } = await replay(join(directory, 'missing'), { onMalformed: 'continue' });
    expect(result).toMatchObject({ refusal: { code: 'file_unreadable' } });
  });

  it('ends with the stream', async () => {
    const channel: FeedChannel = {
      alive: false,
      queuedBytes: 0,
      send: () => false,
      drained: () => Promise.resolve(false),
    };
    const result = await replayCapture(
      {
        path: capture(TIMES),
        instruments: [ETH],
        stream: 1,
        speed: null,
        limitEvents: null,
        closeRows: 1,
        closeMs: 1,
        onMalformed: 'stop',
      },
      new FeedSender(channel, { whenFull: 'wait', maxQueuedBytes: 0 }),
    );
    expect(assertAccepted(result)).toMatchObject({ ended: 'stream_closed' });
  });
});
