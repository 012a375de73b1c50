import { describe, expect, it } from 'vitest';
import { chachaBlock, seededRandom } from '../../../enclave/strategy/random.ts';
import { parseHex, toHex } from '../../../wire/bytes.ts';
import type { Frame } from '../../../wire/frame.ts';
import { FrameDecoder } from '../../../wire/frame.ts';
import { FRAME } from '../../../wire/messages.ts';
import { STATUS } from '../../../wire/payloads.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import {
  ROOT,
  SEED,
  batchOf,
  bundleOf,
  fillFrame,
  inputFrame,
  reportOf,
  runFrames,
  signalText,
  startFrame,
  tradeRow,
} from './support.ts';

const BUSY = bundleOf({
  more: 'barsMs: [1000],',
  start: 'return { seen: new Map(), sum: 0 };',
  onBatch: `for (let row = 0; row < batch.length; row++) {
      ctx.state.seen.set(batch.id[row], Math.sin(batch.price[row]) + Math.exp(ctx.random()));
    }
    for (const value of ctx.state.seen.values()) ctx.state.sum += value;
    const bar = ctx.book(7).bar(0, 1);
    const quantity = 1 + Math.floor(Math.abs(ctx.state.sum) * 1000) + (bar === null ? 0 : bar.high);
    if (ctx.random() < 0.7) ${signalText({ quantity: 'quantity', limit: '1 + Math.floor(ctx.random() * 2 ** 50)' })}`,
});

function inputs(): Uint8Array[] {
  const frames = [startFrame(BUSY)];
  for (let sequence = 0; sequence < 60; sequence++) {
    const rows = Array.from({ length: 1 + (sequence % 5) }, (_, index) =>
      tradeRow(sequence, { id: sequence * 10 + index + 1, price: 268_000 + sequence * 3 + index }),
    );
    frames.push(inputFrame(10 + 2 * sequence, batchOf(sequence, rows)));
    const partly = reportOf({ status: STATUS.partlyFilled });
    if (sequence % 4 === 0) frames.push(fillFrame(11 + 2 * sequence, sequence >> 1, partly));
  }
  return frames;
}

function framesOf(bytes: Uint8Array): readonly Frame[] {
  const maxPayloadBytes = new Map([FRAME.started, FRAME.outputs, FRAME.ended].map((t) => [t, 1e6]));
  return new FrameDecoder({ maxPayloadBytes }).push(bytes).frames;
}

describe('a strategy, run twice', () => {
  it('gives the same bytes in another process, and when its input comes byte by byte', async () => {
    const frames = inputs();
    const [first, second, pieces, source] = await Promise.all([
      runFrames(frames),
      runFrames(frames),
      runFrames(frames, 1),
      runFrames(frames, 1000, findRunner(ROOT)),
    ]);
    expect(framesOf(first).length).toBe(61);
    expect(toHex(second)).toBe(toHex(first));
    expect(toHex(pieces)).toBe(toHex(first));
    // The sources of a checkout and the bundle of the image are the same runner.
    expect(toHex(source)).toBe(toHex(first));
  });

  it('gives other signals with another seed', async () => {
    const frames = inputs();
    const other = startFrame(BUSY, { seed: SEED.with(31, 0) });
    const [first, second] = await Promise.all([
      runFrames(frames),
      runFrames([other, ...frames.slice(1)]),
    ]);
    expect(toHex(second)).not.toBe(toHex(first));
  });

  it('shows the same stacks, error texts and function texts, however the runner was bundled', async () => {
    const onBatch = `
      const functions = [ctx.random, ctx.book, ctx.position, ctx.signal, ctx.book(7).price, ctx.book(7).bar];
      const texts = functions.map((one) => [String(one), one.name, one.length].join());
      const acts = [() => null.x, () => ctx.book(1), () => { ctx.timeMs = 1; }, () => Object.freeze.x.y];
      for (const act of [...acts, () => ctx.book(7).price(1, {}), () => ctx.book(7).bar(null, undefined).x]) {
        try { act(); } catch (error) { texts.push(String(error), String(error.stack)); }
      }
      let hash = 7;
      for (const letter of texts.join()) hash = (hash * 31 + letter.charCodeAt(0)) % 2 ** 40;
      ${signalText({ quantity: '1 + hash', limit: '1 + texts.join().length' })}`;
    const frames = [startFrame(bundleOf({ onBatch })), inputFrame(10, batchOf(0))];
    const image = await runFrames(frames);
    expect(framesOf(image).map(({ type }) => type)).toEqual([FRAME.started, FRAME.outputs]);
    expect(toHex(await runFrames(frames, 1000, findRunner(ROOT)))).toBe(toHex(image));
  });
});

/** Eight bytes of keystream as a number in [0, 1). */
function numberOf(hex: string): number {
  const words = new DataView((parseHex(hex) ?? SEED).buffer);
  const [a, b] = [words.getUint32(0, true), words.getUint32(4, true)];
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}

describe('the random numbers', () => {
  it('are ChaCha20 as RFC 8439 2.3.2 has it', () => {
    const state = new Uint32Array(16);
    state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
    const key = new DataView(SEED.buffer);
    for (let word = 0; word < 8; word++) state[4 + word] = key.getUint32(word * 4, true);
    state.set([1, 0x09000000, 0x4a000000, 0], 12);
    const stream = new Uint8Array(chachaBlock(state).buffer);
    expect(toHex(stream)).toBe(
      '10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e' +
        'd2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e',
    );
  });

  it('are the words of the keystream of RFC 8439 A.1, test vectors 1 and 2', () => {
    const random = seededRandom(new Uint8Array(32));
    const drawn = Array.from({ length: 9 }, () => random());
    expect(drawn[0]).toBe(numberOf('76b8e0ada0f13d90'));
    // The second block begins.
    expect(drawn[8]).toBe(numberOf('9f07e7be5551387a'));
  });

  it('lie in [0, 1) and look uniform over many blocks', () => {
    const random = seededRandom(SEED);
    const buckets = new Uint32Array(16);
    for (let n = 0; n < 160_000; n++) {
      const value = random();
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 16)] = (buckets[Math.floor(value * 16)] ?? 0) + 1;
    }
    // Ten standard deviations; the seed is fixed, so this does not flicker.
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(1000);
  });
});
