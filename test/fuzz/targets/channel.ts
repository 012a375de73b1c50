// wire/channel.ts: a script of what the peer and our own side do, with a stream that stalls, ends and
// breaks. Frames are those of the layout, in order; credit is kept on both sides; writes stay small; the
// end comes once, with a code of the list.

import { readU32 } from '../../../wire/bytes.ts';
import type { ByteStream } from '../../../wire/channel.ts';
import { Channel, CREDIT_TYPE } from '../../../wire/channel.ts';
import type { Frame } from '../../../wire/frame.ts';
import { encodeFrame, FRAME_HEAD_BYTES, FrameDecoder } from '../../../wire/frame.ts';
import { MAX_WRITE_BYTES } from '../../../wire/limits.ts';
import type { Refusal } from '../../../wire/result.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { expectThat, judge } from '../target.ts';

const FIRST_CREDIT_BYTES = 4000;
const MAX_FRAME_BYTES = 1500;
const SMALL_FRAME_BYTES = 16;
const LARGE = 0x20;
const SMALL = 0x21;
const SENT = 0x28;

type Listener = (chunk: Uint8Array) => void;

/** A stream that does what the script says. */
class ScriptedStream implements ByteStream {
  readonly #listeners = new Map<string, Listener[]>();
  readonly written: Uint8Array[] = [];
  stalled = false;
  destroyed = false;
  ended = false;
  /** What the other side has ended, or what broke, says nothing more. */
  #over = false;

  write(chunk: Uint8Array): boolean {
    expectThat(!this.ended, 'written after the end');
    expectThat(chunk.length <= MAX_WRITE_BYTES && chunk.length > 0, 'a write of the wrong size');
    this.written.push(chunk.slice());
    return !this.stalled;
  }

  on(event: string, listener: Listener): unknown {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  once(event: string, listener: () => void): unknown {
    return this.on(event, listener);
  }

  end(callback?: () => void): unknown {
    this.ended = true;
    callback?.();
    return this;
  }

  destroy(): unknown {
    this.destroyed = true;
    return this;
  }

  emit(event: string, chunk: Uint8Array = new Uint8Array(0)): void {
    if (this.#over && event !== 'drain' && event !== 'close') return;
    if (event !== 'data' && event !== 'drain') this.#over = true;
    const listeners = this.#listeners.get(event) ?? [];
    if (event === 'drain') this.#listeners.set(event, []);
    for (const listener of listeners) listener(chunk);
  }
}

class Script {
  readonly stream = new ScriptedStream();
  readonly channel: Channel;
  readonly received: Frame[] = [];
  readonly ends: (Refusal | null)[] = [];
  readonly #settle: (() => void)[] = [];
  holds = false;
  sent = 0;

  constructor() {
    this.channel = new Channel(this.stream, {
      maxReceiveBytes: MAX_FRAME_BYTES,
      maxReceiveBytesOf: new Map([[SMALL, SMALL_FRAME_BYTES]]),
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [LARGE, SMALL],
      highWaterBytes: 2000,
      onFrame: (frame) => {
        expectThat(this.ends.length === 0, 'a frame after the end');
        this.received.push(frame);
        if (this.holds) return new Promise<void>((resolve) => this.#settle.push(resolve));
        return undefined;
      },
      onEnd: (refusal) => {
        this.ends.push(refusal);
      },
    });
  }

  settle(): void {
    for (const resolve of this.#settle.splice(0)) resolve();
  }

  /** What the peer has been granted on top of the first credit. */
  grants(): { granted: number; sentBytes: number } {
    const decoder = new FrameDecoder({
      maxPayloadBytes: new Map([
        [CREDIT_TYPE, 4],
        [SENT, FIRST_CREDIT_BYTES],
      ]),
    });
    const { frames, refusal } = decoder.push(new Uint8Array(Buffer.concat(this.stream.written)));
    expectThat(refusal === null, 'what is written are no frames');
    let granted = 0;
    let sentBytes = 0;
    for (const { type, payload } of frames) {
      if (type === CREDIT_TYPE) granted += readU32(payload, 0);
      else sentBytes += FRAME_HEAD_BYTES + payload.length;
    }
    return { granted, sentBytes };
  }
}

/** op | argument: see `step`. A chunk takes as many bytes as it says, from what follows. */
async function play(script: Script, ops: Uint8Array): Promise<number> {
  const { stream, channel } = script;
  let credited = 0;
  for (let at = 0; at + 1 < ops.length; at += 2) {
    const [op = 0, argument = 0] = ops.subarray(at, at + 2);
    switch (op % 10) {
      case 0:
      case 1:
      case 2: {
        const size = op % 10 === 2 ? argument * 64 : argument;
        const chunk = ops.slice(at + 2, at + 2 + size);
        at += chunk.length;
        if (!stream.destroyed) stream.emit('data', chunk);
        break;
      }
      case 3:
        channel.send(SENT, new Uint8Array(argument * 8));
        script.sent++;
        break;
      case 4:
        stream.stalled = !stream.stalled;
        if (!stream.stalled) stream.emit('drain');
        break;
      case 5:
        script.holds = !script.holds;
        break;
      case 6:
        script.settle();
        break;
      case 7:
        if (argument < 64) void channel.close();
        else if (argument > 250) stream.emit(argument > 253 ? 'error' : 'close');
        else if (argument > 240) stream.emit('end');
        else void channel.drained();
        break;
      case 8: {
        const credit = new Uint8Array(4);
        credit[2] = argument;
        credited += argument * 256;
        if (!stream.destroyed) stream.emit('data', encodeFrame(CREDIT_TYPE, credit));
        break;
      }
      default:
        if (!stream.destroyed)
          stream.emit('data', encodeFrame(op < 128 ? LARGE : SMALL, new Uint8Array(argument)));
    }
    for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  }
  return credited;
}

async function run(ops: Uint8Array): Promise<string> {
  const script = new Script();
  await play(script, ops);
  const { stream, channel, ends, received } = script;
  expectThat(ends.length <= 1, 'the end came twice');
  const costs = received.reduce((sum, { payload }) => sum + FRAME_HEAD_BYTES + payload.length, 0);
  const { granted, sentBytes } = script.grants();
  expectThat(costs <= FIRST_CREDIT_BYTES + granted, 'more was taken than was granted');
  expectThat(granted <= costs, 'more was granted than was used up');
  for (const { type, payload } of received) {
    const maximum = type === SMALL ? SMALL_FRAME_BYTES : MAX_FRAME_BYTES;
    expectThat(payload.length <= maximum, 'a frame larger than its maximum');
  }
  expectThat(!channel.alive || !stream.destroyed, 'a dead stream that is said to live');
  // Close what is left, as its owner would: nothing may be thrown then either.
  channel.destroy({ code: 'stream_closed', detail: {} });
  await Promise.resolve();
  expectThat(script.ends.length === 1, 'the end must come once');
  expectThat(channel.queuedBytes === 0, 'a dead channel keeps bytes');
  const [end] = ends;
  const how = end === null || end === undefined ? 'open' : judge({ ok: false, refusal: end });
  return `${how} ${Math.min(received.length, 4)} ${granted > 0} ${sentBytes > FIRST_CREDIT_BYTES}`;
}

function someOps(random: Random): Uint8Array {
  const ops: number[] = [];
  for (let count = random.between(1, 30); count > 0; count--) {
    const choice = random.below(4);
    if (choice === 0) {
      const payload = random.bytes(random.pick([0, 1, 4, 16, 17, random.below(200)]));
      const frame = encodeFrame(random.pick([0, LARGE, SMALL, random.below(256)]), payload);
      // In two pieces, now and then.
      const cut = random.oneIn(3) ? random.below(frame.length) : 0;
      if (cut > 0) ops.push(0, cut, ...frame.subarray(0, cut));
      ops.push(0, frame.length - cut, ...frame.subarray(cut));
    } else ops.push(random.below(256), random.below(256));
  }
  return Uint8Array.from(ops);
}

const mutateOps: Mutator = (random, input, other) => {
  if (random.oneIn(3)) return someOps(random);
  const at = 2 * random.below(input.length / 2 + 1);
  const from = 2 * random.below(other.length / 2 + 1);
  const piece = random.oneIn(2)
    ? someOps(random)
    : other.subarray(from, from + 2 * random.below(40));
  return new Uint8Array(Buffer.concat([input.subarray(0, at), piece, input.subarray(at)]));
};

/** A chunk that is one frame. */
function frame(type: number, bytes: number): readonly number[] {
  return [0, FRAME_HEAD_BYTES + bytes, ...encodeFrame(type, new Uint8Array(bytes))];
}

export function channelTarget(): Target {
  return {
    name: 'channel',
    files: ['wire/channel.ts', 'wire/frame.ts', 'wire/slices.ts'],
    maxBytes: 8192,
    seeds: [
      Uint8Array.from([...frame(LARGE, 200), ...frame(SMALL, 16), 6, 0, 7, 245]),
      Uint8Array.from([3, 200, 3, 200, 3, 200, 4, 0, 8, 20, 3, 250, 4, 0, 7, 10]),
      Uint8Array.from([5, 0, 9, 200, 9, 250, 9, 255, 9, 255, 6, 0, 5, 0, 9, 255, 7, 200, 7, 255]),
      Uint8Array.from([...frame(0, 4), ...frame(SMALL, 17)]),
    ],
    mutate: mix([3, mutateOps], [2, mutateBytes]),
    run,
    maxSteps: { base: 50_000, perByte: 200 },
  };
}
