import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../wire/bytes.ts';
import type { Frame } from '../../wire/frame.ts';
import { encodeFrame, FrameDecoder } from '../../wire/frame.ts';
import type { Refusal } from '../../wire/result.ts';

const maxPayloadBytes = new Map([
  [0x20, 20_000],
  [0x21, 4],
]);

function decodeAll(chunks: readonly Uint8Array[]): {
  frames: Frame[];
  refusal: Refusal | null;
  partial: boolean;
} {
  const decoder = new FrameDecoder({ maxPayloadBytes });
  const frames: Frame[] = [];
  let refusal: Refusal | null = null;
  for (const chunk of chunks) {
    const decoded = decoder.push(chunk);
    frames.push(...decoded.frames);
    refusal = decoded.refusal;
  }
  const plain = frames.map(({ type, payload }) => ({ type, payload: new Uint8Array(payload) }));
  return { frames: plain, refusal, partial: decoder.partial };
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  edges.sort((a, b) => a - b);
  return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
}

describe('frame', () => {
  it('has the layout of the protocol', () => {
    expect(encodeFrame(0x20, Uint8Array.of(0xaa, 0xbb))).toEqual(
      Uint8Array.of(0, 0, 0, 2, 0x20, 0xaa, 0xbb),
    );
  });

  it('gives the same frames for every split, byte by byte too', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 4090, max: 20_000 }).map((length) => new Uint8Array(length).fill(7)),
    );
    fc.assert(
      fc.property(
        fc.array(payload, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 9 }),
        (payloads, cuts) => {
          const bytes = concatBytes(...payloads.map((each) => encodeFrame(0x20, each)));
          const expected = {
            frames: payloads.map((each) => ({ type: 0x20, payload: each })),
            refusal: null,
            partial: false,
          };
          expect(decodeAll([bytes])).toEqual(expected);
          expect(decodeAll(split(bytes, cuts))).toEqual(expected);
          expect(decodeAll(split(bytes, [...bytes.keys()]))).toEqual(expected);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gives the same verdict on arbitrary bytes for every split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 0, 0, 1, 4, 5, 0x20, 0x21, 0x22, 255), { maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 9 }),
        (numbers, cuts) => {
          const bytes = Uint8Array.from(numbers);
          const whole = decodeAll([bytes]);
          expect(decodeAll(split(bytes, cuts))).toEqual(whole);
          expect(decodeAll(split(bytes, [...bytes.keys()]))).toEqual(whole);
        },
      ),
    );
  });

  it.each([
    [3, undefined],
    [4, undefined],
    [5, 'frame_too_large'],
    [0xffff_ffff, 'frame_too_large'],
  ])('checks a length of %i before the payload arrives', (length, code) => {
    const head = new Uint8Array(5);
    new DataView(head.buffer).setUint32(0, length);
    head[4] = 0x21;
    expect(decodeAll([head]).refusal?.code).toBe(code);
  });

  it('hands over what came before a refusal and stays refused', () => {
    const good = encodeFrame(0x21, Uint8Array.of(1));
    const bad = encodeFrame(0x22, Uint8Array.of(1));
    const { frames, refusal } = decodeAll([concatBytes(good, bad, good), good]);
    expect(frames).toHaveLength(1);
    expect(refusal).toEqual({ code: 'frame_unknown', detail: { type: 0x22 } });
  });

  it('does not keep a chunk alive for a small payload', () => {
    const decoder = new FrameDecoder({ maxPayloadBytes });
    const chunk = concatBytes(encodeFrame(0x21, Uint8Array.of(1)), new Uint8Array(3));
    const { frames } = decoder.push(chunk);
    expect(frames[0]?.payload.buffer.byteLength).toBe(1);
    expect(decoder.partial).toBe(true);
  });
});
