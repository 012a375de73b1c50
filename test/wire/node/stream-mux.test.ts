import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, writeU32 } from '../../../wire/bytes.ts';
import { Channel } from '../../../wire/channel.ts';
import {
  MAX_STREAM_CHUNK_BYTES,
  MAX_STREAM_LABEL_BYTES,
  maxStreamFrameBytes,
  STREAM_WINDOW_BYTES,
  StreamMux,
} from '../../../wire/node/stream-mux.ts';

const FRAMES = { open: 1, data: 2, window: 3, end: 4, reset: 5 };
const NONE = new Uint8Array(0);

interface Side {
  readonly mux: StreamMux;
  readonly channel: Channel;
  readonly opened: { readonly stream: Duplex; readonly kind: number; readonly label: Uint8Array }[];
}

/** Two muxes over a channel each, joined. */
function joined(maxPeerStreams = 16): readonly [Side, Side] {
  const [left, right] = duplexPair();
  for (const end of [left, right]) end.on('error', () => undefined);
  const side = (stream: Duplex, numbers: 'odd' | 'even'): Side => {
    const opened: Side['opened'] = [];
    const channel: Channel = new Channel(stream, {
      maxReceiveBytes: MAX_STREAM_CHUNK_BYTES + 4,
      maxReceiveBytesOf: maxStreamFrameBytes(FRAMES),
      firstCreditBytes: 1024 * 1024,
      types: Object.values(FRAMES),
      onFrame: ({ type, payload }) => {
        const refusal = mux.receive(type, payload);
        if (refusal !== null) channel.destroy(refusal);
      },
      onEnd: () => {
        mux.destroy();
      },
    });
    const mux = new StreamMux({
      numbers,
      frames: FRAMES,
      send: (type, head, rest) => channel.send(type, head, rest),
      drained: () => channel.drained(),
      maxPeerStreams,
      onStream: (duplex, kind, label) => {
        opened.push({ stream: duplex, kind, label });
        return kind !== 99;
      },
    });
    return { mux, channel, opened };
  };
  return [side(left, 'odd'), side(right, 'even')];
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** All of it, until its end. */
function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    stream.once('end', () => {
      resolve(Buffer.concat(chunks));
    });
  });
}

function numbered(number: number, ...rest: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(4);
  writeU32(head, 0, number);
  return concatBytes(head, ...rest);
}

/** A mux alone, whose peer is the test. */
function alone(maxPeerStreams = 2): {
  readonly mux: StreamMux;
  readonly sent: { readonly type: number; readonly payload: Uint8Array }[];
  readonly opened: Duplex[];
} {
  const sent: { type: number; payload: Uint8Array }[] = [];
  const opened: Duplex[] = [];
  const mux = new StreamMux({
    numbers: 'odd',
    frames: FRAMES,
    send: (type, head, rest) => {
      sent.push({ type, payload: concatBytes(head, rest) });
      return true;
    },
    drained: () => Promise.resolve(true),
    maxPeerStreams,
    onStream: (stream) => {
      opened.push(stream);
      return true;
    },
  });
  return { mux, sent, opened };
}

const OPEN = Uint8Array.of(7);
const data = (bytes: number): Uint8Array => new Uint8Array(bytes);
const windowOf = (bytes: number): Uint8Array => numbered(bytes);

describe('streams over one channel', () => {
  it('carry what was written, each its own, whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 12 }), {
          minLength: 1,
          maxLength: 6,
        }),
        async (streams) => {
          const [left, right] = joined();
          const texts = streams.map((pieces, at) =>
            pieces.map((size, piece) => Buffer.alloc(size, at * 16 + piece)),
          );
          const sent = texts.map((pieces, at) => {
            const stream = left.mux.open(at, Uint8Array.of(at));
            for (const piece of pieces) stream.write(piece);
            stream.end();
            return readAll(stream);
          });
          await until(() => right.opened.length === streams.length);
          const found = await Promise.all(
            right.opened.map(async ({ stream, kind, label }) => {
              expect(label).toEqual(Uint8Array.of(kind));
              const bytes = await readAll(stream);
              stream.end(bytes);
              return [kind, bytes] as const;
            }),
          );
          for (const [at, bytes] of found) {
            expect(bytes.equals(Buffer.concat(texts[at] ?? []))).toBe(true);
          }
          // And back.
          const back = await Promise.all(sent);
          expect(back.map(({ length }) => length)).toEqual(
            texts.map((pieces) => Buffer.concat(pieces).length),
          );
          await until(() => left.mux.size === 0 && right.mux.size === 0);
          left.channel.destroy({ code: 'stream_closed', detail: {} });
        },
      ),
      { numRuns: 25 },
    );
  });

  it('one that nobody reads holds no other, and has at most its window under way', async () => {
    const [left, right] = joined();
    const slow = left.mux.open(1, NONE);
    slow.write(Buffer.alloc(4 * STREAM_WINDOW_BYTES));
    const quick = left.mux.open(2, NONE);
    const large = Buffer.alloc(8 * STREAM_WINDOW_BYTES, 3);
    quick.end(large);
    await until(() => right.opened.length === 2);
    const [first, second] = right.opened;
    expect((await readAll(second?.stream as Duplex)).equals(large)).toBe(true);
    // What is beyond the window is still here.
    const { bytesOut } = left.channel.counters;
    expect(bytesOut - large.length).toBeLessThan(STREAM_WINDOW_BYTES + 64 * 1024);
    const read = readAll(first?.stream as Duplex);
    slow.end();
    expect((await read).length).toBe(4 * STREAM_WINDOW_BYTES);
  });

  it('one that is ended on one side goes on on the other', async () => {
    const [left, right] = joined();
    const stream = left.mux.open(1, NONE);
    stream.end('question');
    await until(() => right.opened.length === 1);
    const other = right.opened[0]?.stream as Duplex;
    expect((await readAll(other)).toString()).toBe('question');
    other.end('answer');
    expect((await readAll(stream)).toString()).toBe('answer');
  });

  it('one that is not wanted, or destroyed, is over on both sides, and the others are not', async () => {
    const [left, right] = joined();
    const unwanted = left.mux.open(99, NONE);
    const other = left.mux.open(1, NONE);
    await until(() => unwanted.destroyed);
    await until(() => right.opened.length === 2);
    right.opened[1]?.stream.destroy();
    await until(() => other.destroyed);
    expect([left.mux.size, right.mux.size]).toEqual([0, 0]);
    // What was under way when it was destroyed falls on nobody.
    const third = left.mux.open(1, NONE);
    await until(() => right.opened.length === 3);
    third.write(Buffer.alloc(STREAM_WINDOW_BYTES));
    right.opened[2]?.stream.destroy();
    await until(() => third.destroyed);
    expect([left.channel.alive, right.channel.alive]).toEqual([true, true]);
  });

  it('all end with the channel, and none can be opened after it', async () => {
    const [left, right] = joined();
    const stream = left.mux.open(1, NONE);
    await until(() => right.opened.length === 1);
    right.channel.destroy({ code: 'stream_closed', detail: {} });
    await until(() => stream.destroyed && right.opened[0]?.stream.destroyed === true);
    expect(left.mux.open(1, NONE).destroyed).toBe(true);
  });

  it('one more than the limit is reset; a place is free again when one is over', async () => {
    const [left, right] = joined(2);
    const streams = [1, 2, 3].map((kind) => left.mux.open(kind, NONE));
    await until(() => streams[2]?.destroyed === true);
    expect(right.opened.map(({ kind }) => kind)).toEqual([1, 2]);
    streams[0]?.destroy();
    await until(() => right.mux.size === 1);
    left.mux.open(4, NONE);
    await until(() => right.opened.length === 3);
    expect(right.opened[2]?.kind).toBe(4);
  });
});

describe('a hostile peer', () => {
  it.each<[string, readonly (readonly [number, Uint8Array])[], string]>([
    ['data on a stream that never was', [[2, numbered(2, data(1))]], 'message_malformed'],
    ['data on a stream of ours that never was', [[2, numbered(1, data(1))]], 'message_malformed'],
    ['a number of ours', [[1, numbered(1, OPEN)]], 'message_malformed'],
    ['the number 0', [[1, numbered(0, OPEN)]], 'message_malformed'],
    [
      'a number again',
      [
        [1, numbered(4, OPEN)],
        [1, numbered(4, OPEN)],
      ],
      'message_malformed',
    ],
    [
      'a number that goes back',
      [
        [1, numbered(4, OPEN)],
        [1, numbered(2, OPEN)],
      ],
      'message_malformed',
    ],
    ['no kind', [[1, numbered(2)]], 'message_malformed'],
    [
      'a long label',
      [[1, numbered(2, OPEN, data(MAX_STREAM_LABEL_BYTES + 1))]],
      'message_malformed',
    ],
    ['no number', [[1, Uint8Array.of(1)]], 'message_malformed'],
    [
      'no data',
      [
        [1, numbered(2, OPEN)],
        [2, numbered(2)],
      ],
      'message_malformed',
    ],
    [
      'a large chunk',
      [
        [1, numbered(2, OPEN)],
        [2, numbered(2, data(MAX_STREAM_CHUNK_BYTES + 1))],
      ],
      'message_malformed',
    ],
    [
      'data after the end',
      [
        [1, numbered(2, OPEN)],
        [4, numbered(2)],
        [2, numbered(2, data(1))],
      ],
      'credit_exceeded',
    ],
    [
      'two ends',
      [
        [1, numbered(2, OPEN)],
        [4, numbered(2)],
        [4, numbered(2)],
      ],
      'message_malformed',
    ],
    [
      'an end with more',
      [
        [1, numbered(2, OPEN)],
        [4, numbered(2, data(1))],
      ],
      'message_malformed',
    ],
    [
      'a window of 0',
      [
        [1, numbered(2, OPEN)],
        [3, numbered(2, windowOf(0))],
      ],
      'credit_malformed',
    ],
    [
      'a window that was not used',
      [
        [1, numbered(2, OPEN)],
        [3, numbered(2, windowOf(1))],
      ],
      'credit_malformed',
    ],
    [
      'a short window',
      [
        [1, numbered(2, OPEN)],
        [3, numbered(2, data(3))],
      ],
      'message_malformed',
    ],
  ])('with %s is refused', (_, frames, code) => {
    const { mux } = alone();
    const refusals = frames.map(([type, payload]) => mux.receive(type, payload));
    expect(refusals.slice(0, -1).every((refusal) => refusal === null)).toBe(true);
    expect(refusals.at(-1)?.code).toBe(code);
  });

  it('can have the window of each stream and not a byte more', () => {
    const { mux, sent } = alone();
    expect(mux.receive(1, numbered(2, OPEN))).toBeNull();
    const chunks = STREAM_WINDOW_BYTES / MAX_STREAM_CHUNK_BYTES;
    const whole = numbered(2, data(MAX_STREAM_CHUNK_BYTES));
    for (let chunk = 0; chunk < chunks; chunk++) expect(mux.receive(2, whole)).toBeNull();
    expect(mux.receive(2, numbered(2, data(1)))?.code).toBe('credit_exceeded');
    expect(sent.filter(({ type }) => type === FRAMES.window)).toEqual([]);
  });

  it('that opens without end is answered with resets and holds nothing here', () => {
    const { mux, sent, opened } = alone(2);
    for (let at = 1; at <= 100; at++) expect(mux.receive(1, numbered(2 * at, OPEN))).toBeNull();
    expect(opened).toHaveLength(2);
    expect(mux.size).toBe(2);
    expect(sent.filter(({ type }) => type === FRAMES.reset)).toHaveLength(98);
  });

  it('never makes it throw, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 1, max: 5 }),
            fc.integer({ min: 0, max: 6 }),
            fc.uint8Array({ maxLength: 12 }),
          ),
          { maxLength: 40 },
        ),
        (frames) => {
          const { mux } = alone();
          mux.open(1, NONE).on('error', () => undefined);
          for (const [type, number, rest] of frames) {
            if (mux.receive(type, numbered(number, rest)) !== null) break;
          }
          expect(mux.size).toBeLessThanOrEqual(3);
          mux.destroy();
          expect(mux.size).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});
