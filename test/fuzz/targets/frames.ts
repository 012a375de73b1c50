// wire/frame.ts: one shot, byte by byte and in random pieces give the same frames and the same refusal, and
// what the decoder hands over is what a plain reading of the layout says.

import type { DecodedFrames, Frame, FrameLimits } from '../../../wire/frame.ts';
import { encodeFrame, FRAME_HEAD_BYTES, FrameDecoder } from '../../../wire/frame.ts';
import { readU32 } from '../../../wire/bytes.ts';
import type { Refusal } from '../../../wire/result.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { interestingLength, interestingUint } from '../mutate/values.ts';
import { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { expectThat, judge, sameValue } from '../target.ts';

const MAXIMA: ReadonlyMap<number, number> = new Map([
  [0x00, 4],
  [0x14, 0],
  [0x20, 9000],
  [0x21, 64],
  [0x30, 20_000],
]);
/** Payload bytes that `admit` lets through. */
const BUDGET_BYTES = 40_000;
const MAX_ONE_BY_ONE = 3000;

function limits(): FrameLimits {
  let left = BUDGET_BYTES;
  return {
    maxPayloadBytes: MAXIMA,
    admit: (_, bytes) => {
      left -= bytes;
      return left < 0 ? { code: 'credit_exceeded', detail: {} } : null;
    },
  };
}

function decode(pieces: Iterable<Uint8Array>): DecodedFrames & { readonly partial: boolean } {
  const decoder = new FrameDecoder(limits());
  const frames: Frame[] = [];
  let refusal: Refusal | null = null;
  for (const piece of pieces) {
    const decoded = decoder.push(piece);
    expectThat(refusal === null || decoded.frames.length === 0, 'frames after a refusal');
    frames.push(...decoded.frames);
    refusal = decoded.refusal;
  }
  return { frames, refusal, partial: decoder.partial };
}

function* inPieces(bytes: Uint8Array, next: () => number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const size = Math.max(1, next());
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** The layout, read without any state. */
function plainly(bytes: Uint8Array): { frames: Frame[]; code: string | null } {
  const frames: Frame[] = [];
  let left = BUDGET_BYTES;
  for (let at = 0; at + FRAME_HEAD_BYTES <= bytes.length;) {
    const length = readU32(bytes, at);
    const type = bytes[at + 4] ?? 0;
    const maximum = MAXIMA.get(type);
    if (maximum === undefined) return { frames, code: 'frame_unknown' };
    if (length > maximum) return { frames, code: 'frame_too_large' };
    left -= length;
    if (left < 0) return { frames, code: 'credit_exceeded' };
    const start = at + FRAME_HEAD_BYTES;
    if (start + length > bytes.length) break;
    frames.push({ type, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return { frames, code: null };
}

function run(bytes: Uint8Array): string {
  const whole = decode([bytes]);
  const expected = plainly(bytes);
  expectThat(sameValue(whole.frames, expected.frames), 'other frames than the layout says');
  expectThat(
    (whole.refusal?.code ?? null) === expected.code,
    'another refusal than the layout says',
  );
  const random = new Random(bytes.length + (bytes[bytes.length >> 1] ?? 0) * 65_537);
  const cuts = [(): number => random.length(5000) + 1, (): number => random.between(1, 9)];
  if (bytes.length <= MAX_ONE_BY_ONE) cuts.push(() => 1);
  for (const next of cuts) {
    const pieces = decode(inPieces(bytes, next));
    expectThat(sameValue(pieces, whole), 'cut in pieces, the stream means something else');
  }
  const outcome = whole.refusal === null ? 'read' : judge({ ok: false, refusal: whole.refusal });
  return `${outcome} ${Math.min(whole.frames.length, 4)} ${whole.partial}`;
}

/** Some frames, a length or a type of them changed. */
const mutateFrames: Mutator = (random) => {
  const frames = Array.from({ length: random.between(1, 6) }, () => {
    const type = random.pick([0x00, 0x14, 0x20, 0x20, 0x21, 0x30, random.below(256)]);
    const maximum = MAXIMA.get(type) ?? 10;
    const length = random.pick([
      maximum,
      Math.min(maximum, interestingLength(random, 30_000)),
      random.below(maximum + 1),
      random.oneIn(8) ? maximum + 1 : 0,
    ]);
    const frame = encodeFrame(type, random.bytes(Math.min(length, 300)));
    if (length <= 300) return frame;
    const large = encodeFrame(type, new Uint8Array(length).fill(length));
    if (random.oneIn(8))
      new DataView(large.buffer).setUint32(0, Number(interestingUint(random) & 0xffff_ffffn));
    return large;
  });
  return new Uint8Array(Buffer.concat(frames));
};

export function framesTarget(): Target {
  return {
    name: 'frames',
    files: ['wire/frame.ts'],
    maxBytes: 64 * 1024,
    seeds: [
      encodeFrame(0x14, new Uint8Array(0)),
      encodeFrame(0x20, new Uint8Array(100).fill(7)),
      new Uint8Array(
        Buffer.concat([
          encodeFrame(0x00, new Uint8Array(4)),
          encodeFrame(0x30, new Uint8Array(5000)),
        ]),
      ),
      encodeFrame(0x20, new Uint8Array(9001)),
    ],
    mutate: mix([2, mutateFrames], [3, mutateBytes]),
    run,
    maxSteps: { base: 20_000, perByte: 100 },
  };
}
