import { describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../../wire/market/batcher.ts';
import type { FeedChannel } from '../../../wire/market/sender.ts';
import { FeedSender } from '../../../wire/market/sender.ts';
import { FRAME, parseDeclaredGap } from '../../../wire/messages.ts';
import { assertAccepted } from '../../../wire/result.ts';

/** A channel that holds what it is given until `drain()`. */
class HeldChannel implements FeedChannel {
  alive = true;
  sent: [number, Uint8Array][] = [];
  queuedBytes = 0;
  #waiters: (() => void)[] = [];
  send(type: number, payload: Uint8Array): boolean {
    this.sent.push([type, payload]);
    this.queuedBytes += payload.length;
    return this.queuedBytes < 100;
  }
  drained(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiters.push(() => {
        resolve(this.alive);
      });
    });
  }
  drain(): void {
    this.queuedBytes = 0;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

const batch = (sequence: number): EncodedBatch => ({
  stream: 3,
  sequence,
  timeNs: 1n,
  rows: 10 + sequence,
  bytes: new Uint8Array(60),
});

function gapsOf(channel: HeldChannel): unknown[] {
  return channel.sent
    .filter(([type]) => type === FRAME.gap)
    .map(([, payload]) => assertAccepted(parseDeclaredGap(payload)));
}

describe('feed sender, waiting', () => {
  it('makes the source wait while the channel is full, and drops nothing', async () => {
    const channel = new HeldChannel();
    const sender = new FeedSender(channel, { whenFull: 'wait', maxQueuedBytes: 1 });
    sender.send(batch(0));
    expect(await sender.ready()).toBe(true);
    sender.send(batch(1));
    const ready = sender.ready();
    channel.drain();
    expect(await ready).toBe(true);
    sender.finish();
    expect(channel.sent.map(([type]) => type)).toEqual([FRAME.batch, FRAME.batch]);
    expect(sender.counters).toMatchObject({
      batchesSent: 2,
      rowsSent: 21,
      waits: 1,
      batchesDropped: 0,
    });
  });

  it('says when the stream is over', async () => {
    const channel = new HeldChannel();
    const sender = new FeedSender(channel, { whenFull: 'wait', maxQueuedBytes: 1 });
    sender.send(batch(0));
    sender.send(batch(1));
    const ready = sender.ready();
    channel.alive = false;
    channel.drain();
    expect(await ready).toBe(false);
  });
});

function dropping(channel: HeldChannel, maxQueuedBytes: number): [FeedSender, number[]] {
  const passed: number[] = [];
  const sender = new FeedSender(channel, {
    whenFull: 'drop',
    maxQueuedBytes,
    onSent: ({ sequence }) => passed.push(sequence),
    onDeclared: ({ firstMissing, batches }) => passed.push(-firstMissing, -batches),
  });
  return [sender, passed];
}

describe('feed sender, dropping', () => {
  it('drops whole batches from a full queue on, and declares them when it has drained', async () => {
    const channel = new HeldChannel();
    const [sender, passed] = dropping(channel, 120);
    // 60 and 120 bytes fit, 180 do not.
    for (let sequence = 0; sequence < 5; sequence++) sender.send(batch(sequence));
    expect(await sender.ready()).toBe(true);
    // There would be room again, but a hole that ends too soon is followed by the next one.
    channel.queuedBytes = 60;
    sender.send(batch(5));
    expect(gapsOf(channel)).toEqual([]);
    channel.drain();
    await Promise.resolve();
    expect(gapsOf(channel)).toEqual([{ stream: 3, firstMissing: 2, batches: 4, rows: 54 }]);
    sender.send(batch(6));
    expect(channel.sent.map(([type]) => type)).toEqual([0x20, 0x20, 0x21, 0x20]);
    expect(passed).toEqual([0, 1, -2, -4, 6]);
    expect(sender.counters).toMatchObject({
      batchesSent: 3,
      batchesDropped: 4,
      rowsDropped: 54,
      gapsDeclared: 1,
    });
  });

  it('begins a new hole after the last one was declared', async () => {
    const channel = new HeldChannel();
    const [sender] = dropping(channel, 100);
    for (let sequence = 0; sequence < 9; sequence++) {
      sender.send(batch(sequence));
      if (sequence % 3 === 2) {
        channel.drain();
        await Promise.resolve();
      }
    }
    expect(gapsOf(channel)).toEqual(
      [1, 4, 7].map((firstMissing) => ({
        stream: 3,
        firstMissing,
        batches: 2,
        rows: 21 + 2 * firstMissing,
      })),
    );
  });

  it('declares at the end what no batch follows, once', async () => {
    const channel = new HeldChannel();
    const [sender] = dropping(channel, 60);
    sender.send(batch(0));
    sender.send(batch(1));
    sender.finish();
    sender.finish();
    channel.drain();
    await Promise.resolve();
    expect(gapsOf(channel)).toEqual([{ stream: 3, firstMissing: 1, batches: 1, rows: 11 }]);
  });

  it('declares nothing to a stream that is over', async () => {
    const channel = new HeldChannel();
    const [sender] = dropping(channel, 60);
    sender.send(batch(0));
    sender.send(batch(1));
    channel.alive = false;
    channel.drain();
    await Promise.resolve();
    expect(gapsOf(channel)).toEqual([]);
  });
});
