import { EventEmitter } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../wire/bytes.ts';
import type { ByteStream, ChannelOptions } from '../../wire/channel.ts';
import { Channel } from '../../wire/channel.ts';
import type { Frame } from '../../wire/frame.ts';
import { encodeFrame, FrameDecoder } from '../../wire/frame.ts';
import type { Refusal } from '../../wire/result.ts';

const KIB = 1024;

/** Records every write; `blocked` makes write() answer false until `unblock()`. */
class RecordingStream extends EventEmitter implements ByteStream {
  writes: Uint8Array[] = [];
  blocked = false;
  ended = false;
  destroyed = false;
  write(chunk: Uint8Array): boolean {
    if (this.ended) throw new Error('write after end');
    this.writes.push(chunk);
    return !this.blocked;
  }
  end(callback?: () => void): void {
    this.ended = true;
    callback?.();
  }
  destroy(): void {
    this.destroyed = true;
  }
  unblock(): void {
    this.blocked = false;
    this.emit('drain');
  }
  /** Type and length of all frames written so far. */
  frames(): [number, number][] {
    const maxPayloadBytes = new Map(Array.from({ length: 256 }, (_, type) => [type, 1 << 24]));
    const { frames } = new FrameDecoder({ maxPayloadBytes }).push(concatBytes(...this.writes));
    return frames.map(({ type, payload }) => [type, payload.length]);
  }
}

interface Side {
  readonly stream: RecordingStream;
  readonly channel: Channel;
  readonly received: Frame[];
  readonly ends: (Refusal | null)[];
}

function open(options: Partial<ChannelOptions> = {}): Side {
  const stream = new RecordingStream();
  const received: Frame[] = [];
  const ends: (Refusal | null)[] = [];
  const channel = new Channel(stream, {
    maxReceiveBytes: 1000,
    firstCreditBytes: 4020,
    types: [0x20],
    onFrame: (frame) => {
      received.push(frame);
    },
    onEnd: (refusal) => {
      ends.push(refusal);
    },
    ...options,
  });
  return { stream, channel, received, ends };
}

function credit(bytes: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, bytes);
  return encodeFrame(0, payload);
}

const frame = (bytes: number): Uint8Array => encodeFrame(0x20, new Uint8Array(bytes));

describe('channel, writing', () => {
  it('joins what is sent in one turn into one write', async () => {
    const { stream, channel } = open();
    for (let count = 0; count < 100; count++) channel.send(0x20, new Uint8Array(3));
    expect(stream.writes).toHaveLength(0);
    await nextTurn();
    expect(stream.writes).toHaveLength(1);
    expect(stream.frames()).toHaveLength(100);
    expect(channel.counters).toMatchObject({ framesOut: 100, bytesOut: 800, writes: 1 });
    expect(channel.queuedBytes).toBe(0);
  });

  it('never writes more than 32,768 bytes at once and loses no byte', async () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.constantFrom(8186, 8187, 8191, 8192, 32_762, 32_763, 32_764, 65_531, 200_000),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 30 }), async (sizes) => {
        const { stream, channel } = open({ firstCreditBytes: 1 << 24 });
        const payloads = sizes.map((bytes, index) => new Uint8Array(bytes).fill(index));
        for (const payload of payloads) channel.send(0x20, payload);
        await nextTurn();
        for (const write of stream.writes) expect(write.length).toBeLessThanOrEqual(32_768);
        // Small frames were joined: of two writes in a row one is large.
        for (const [index, write] of stream.writes.slice(1).entries()) {
          const before = stream.writes[index]?.length ?? 0;
          expect(Math.max(before, write.length)).toBeGreaterThanOrEqual(8192);
        }
        const expected = concatBytes(...payloads.map((payload) => encodeFrame(0x20, payload)));
        expect(Buffer.compare(concatBytes(...stream.writes), expected)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('hands slices of a large payload over without copying them', async () => {
    const { stream, channel } = open({ firstCreditBytes: 1 << 24 });
    const payload = new Uint8Array(100 * KIB);
    channel.send(0x20, payload);
    await nextTurn();
    channel.send(0x20, new Uint8Array(3));
    await nextTurn();
    expect(stream.writes.map(({ length }) => length)).toEqual([5, 32_768, 32_768, 32_768, 4096, 8]);
    for (const write of stream.writes.slice(1, 5)) expect(write.buffer).toBe(payload.buffer);
  });

  it('waits for drain after write() answered false', async () => {
    const { stream, channel } = open({ firstCreditBytes: 1 << 24, highWaterBytes: 50_000 });
    stream.blocked = true;
    expect(channel.send(0x20, new Uint8Array(40_000))).toBe(true);
    expect(channel.send(0x20, new Uint8Array(40_000))).toBe(false);
    const drained = channel.drained();
    await nextTurn();
    expect(stream.writes).toHaveLength(1);
    expect(channel.counters.streamStalls).toBe(1);
    stream.unblock();
    expect(await drained).toBe(true);
    expect(stream.frames()).toEqual([
      [0x20, 40_000],
      [0x20, 40_000],
    ]);
  });
});

describe('channel, credits', () => {
  it('sends a frame only when the credit covers all of it', async () => {
    const { stream, channel } = open({ firstCreditBytes: 1005, maxReceiveBytes: 900 });
    channel.send(0x20, new Uint8Array(1000));
    channel.send(0x20, new Uint8Array(10));
    await nextTurn();
    expect(stream.frames()).toEqual([[0x20, 1000]]);
    expect(channel.counters.creditStalls).toBe(1);
    stream.emit('data', credit(14));
    await nextTurn();
    expect(stream.frames()).toHaveLength(1);
    stream.emit('data', credit(1));
    await nextTurn();
    expect(stream.frames()).toHaveLength(2);
    expect(channel.queuedBytes).toBe(0);
  });

  it.each([
    [1004, undefined],
    [1005, undefined],
    [1006, 'credit_exceeded'],
  ])('a peer that uses %i of 1005 bytes', async (bytes, code) => {
    const { stream, ends } = open({
      firstCreditBytes: 1005,
      onFrame: () => new Promise(() => {}),
    });
    stream.emit('data', frame(495));
    stream.emit('data', frame(bytes - 505));
    await nextTurn();
    expect(ends[0]?.code).toBe(code);
    expect(stream.destroyed).toBe(code !== undefined);
  });

  it('refuses overflow at the head, before the payload is there', () => {
    const { stream, ends } = open({ firstCreditBytes: 1005, onFrame: () => new Promise(() => {}) });
    stream.emit('data', frame(500));
    stream.emit('data', frame(501).subarray(0, 5));
    expect(ends).toEqual([{ code: 'credit_exceeded', detail: { bytes: 506, credit: 500 } }]);
  });

  it('grants back when onFrame has settled, and not one CREDIT per frame', async () => {
    const settle: (() => void)[] = [];
    const { stream } = open({
      onFrame: () => new Promise<void>((resolve) => settle.push(resolve)),
    });
    for (let count = 0; count < 20; count++) stream.emit('data', frame(196));
    await nextTurn();
    expect(stream.writes).toHaveLength(0);
    for (const resolve of settle.splice(0)) {
      resolve();
      await nextTurn();
    }
    // 20 × 201 bytes, granted in steps of at least a quarter of 4020.
    expect(stream.writes).toHaveLength(4);
    expect(stream.writes[0]).toEqual(credit(1005));
  });

  it('always lets the largest frame through, however the credit is used up', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 40 }),
        async (sizes) => {
          const { stream, received, ends } = open({ firstCreditBytes: 1005 });
          let granted = 1005;
          for (const size of [...sizes, 1000]) {
            stream.emit('data', frame(size));
            granted -= size + 5;
            await nextTurn();
            for (const write of stream.writes.splice(0)) {
              granted += new DataView(write.buffer, write.byteOffset).getUint32(5);
            }
            expect(granted).toBe(1005);
          }
          expect(received).toHaveLength(sizes.length + 1);
          expect(ends).toEqual([]);
        },
      ),
      { numRuns: 20 },
    );
  });

  it.each([
    ['of nothing', credit(0), 'credit_malformed'],
    ['of 2^31-1 on top of the first', credit(0x7fff_ffff), 'credit_malformed'],
    ['of another length', encodeFrame(0, Uint8Array.of(1, 1, 1)), 'credit_malformed'],
    ['too long', encodeFrame(0, new Uint8Array(5)), 'frame_too_large'],
  ])('refuses a credit %s', (_, bytes, code) => {
    const { stream, ends } = open();
    stream.emit('data', bytes);
    expect(ends[0]?.code).toBe(code);
    expect(stream.destroyed).toBe(true);
  });

  it('does not hand over frames of the same chunk after it was destroyed', () => {
    const side: Side = open({
      onFrame: (received) => {
        side.received.push(received);
        side.channel.destroy({ code: 'stream_closed', detail: {} });
      },
    });
    side.stream.emit('data', concatBytes(frame(1), frame(2)));
    expect(side.received).toHaveLength(1);
    const credited = open();
    credited.stream.emit('data', concatBytes(credit(0), frame(1)));
    expect(credited.received).toHaveLength(0);
  });

  it('does not hand over frames that follow a refusal', () => {
    const { stream, received, ends } = open();
    stream.emit('data', concatBytes(frame(1), encodeFrame(0x33, new Uint8Array(1)), frame(1)));
    stream.emit('data', frame(1));
    expect(received).toHaveLength(1);
    expect(ends).toEqual([{ code: 'frame_unknown', detail: { type: 0x33 } }]);
  });
});

describe('channel, ends', () => {
  it('flushes on close, then ends', async () => {
    const { stream, channel } = open({ firstCreditBytes: 1005 });
    channel.send(0x20, new Uint8Array(1000));
    channel.send(0x20, new Uint8Array(10));
    const closed = channel.close();
    expect(channel.send(0x20, new Uint8Array(1))).toBe(false);
    await nextTurn();
    expect(stream.ended).toBe(false);
    stream.emit('data', credit(15));
    expect(await closed).toBe(true);
    expect(stream.ended).toBe(true);
    expect(stream.frames()).toHaveLength(2);
  });

  it('goes on sending after the peer has ended, while the credit lasts', async () => {
    const { stream, channel, ends } = open({ firstCreditBytes: 1005 });
    stream.emit('end');
    expect(ends).toEqual([null]);
    channel.send(0x20, new Uint8Array(100));
    await nextTurn();
    expect(stream.frames()).toHaveLength(1);
    channel.send(0x20, new Uint8Array(1000));
    const closed = channel.close();
    expect(await closed).toBe(false);
    expect(stream.destroyed).toBe(true);
    expect(ends).toEqual([null]);
  });

  it('takes frames after its own close and writes no credit for them', async () => {
    const { stream, channel, received } = open();
    expect(await channel.close()).toBe(true);
    for (let count = 0; count < 3; count++) stream.emit('data', frame(1000));
    await nextTurn();
    expect(received).toHaveLength(3);
  });

  it.each(['error', 'close'])('says so when the stream has an early %s', async (event) => {
    const { stream, channel, ends } = open({ highWaterBytes: 1 });
    stream.blocked = true;
    channel.send(0x20, new Uint8Array(1000));
    channel.send(0x20, new Uint8Array(1000));
    const drained = channel.drained();
    stream.emit(event, new Error('reset'));
    stream.emit('close');
    expect(await drained).toBe(false);
    expect(ends).toEqual([{ code: 'stream_closed', detail: {} }]);
    expect(channel.alive).toBe(false);
    expect(channel.queuedBytes).toBe(0);
  });

  it('refuses an end in the middle of a frame', () => {
    const { stream, ends } = open();
    stream.emit('data', frame(9).subarray(0, 3));
    stream.emit('end');
    expect(ends).toEqual([{ code: 'stream_closed', detail: { partial: true } }]);
  });
});

describe('channel, over a socket', () => {
  it('stalls the sender while the receiver is slow, and holds a bounded number of bytes', async () => {
    const firstCreditBytes = 64 * KIB;
    const payload = new Uint8Array(8 * KIB);
    const total = 200;
    let inFlight = 0;
    let worst = 0;
    let received = 0;
    const stalled = Promise.withResolvers<void>();
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<Duplex>((resolve) => server.once('connection', resolve));
    const { port } = server.address() as AddressInfo;
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const ended = new Promise<Refusal | null>((resolve) => {
      void accepted.then((stream) => {
        const channel = new Channel(stream, {
          maxReceiveBytes: 8 * KIB,
          firstCreditBytes,
          types: [0x20],
          onFrame: async () => {
            inFlight++;
            received++;
            worst = Math.max(worst, inFlight);
            await stalled.promise;
            inFlight--;
          },
          onEnd: (refusal) => {
            void channel.close();
            resolve(refusal);
          },
        });
      });
    });
    const sender = new Channel(client, {
      maxReceiveBytes: 0,
      firstCreditBytes,
      types: [],
      highWaterBytes: 32 * KIB,
      onFrame: () => {},
      onEnd: () => {},
    });
    let worstQueue = 0;
    const sending = (async () => {
      for (let count = 0; count < total; count++) {
        if (!sender.send(0x20, payload)) await sender.drained();
        worstQueue = Math.max(worstQueue, sender.queuedBytes);
      }
      return sender.close();
    })();
    const isStalled = (): boolean => sender.counters.creditStalls > 0 && received >= 7;
    while (!isStalled()) await nextTurn();
    expect(received).toBe(7); // 7 × 8,197 bytes fit into 64 KiB
    stalled.resolve();
    expect(await sending).toBe(true);
    expect(await ended).toBe(null);
    expect(received).toBe(total);
    expect(worst).toBeLessThanOrEqual(7);
    expect(worstQueue).toBeLessThan(32 * KIB + 8197);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
