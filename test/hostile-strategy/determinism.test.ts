// A strategy that looks for what differs between two machines: the C library, the processor, the locale,
// the time zone, where the runner lies. Whatever it can compute must not depend on them.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../wire/bytes.ts';
import type { Frame } from '../../wire/frame.ts';
import { FrameDecoder } from '../../wire/frame.ts';
import { FRAME } from '../../wire/messages.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import { parseSignal } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseStrategyOutputs } from '../../wire/strategy-messages.ts';
import {
  ROOT,
  batchOf,
  bundleOf,
  imageRunner,
  inputFrame,
  runFrames,
  signalText,
  startFrame,
} from '../enclave/strategy/support.ts';

/** \`see(text)\` and \`number(value)\` go into a hash, which is the quantity of the signal. */
function observes(code: string): readonly Uint8Array[] {
  const onBatch = `
    let hash = 7;
    const mix = (word) => { hash = (hash * 31 + word) % 1099511627689; };
    const float = new Float64Array(1), words = new Uint32Array(float.buffer);
    const number = (value) => { float[0] = value; mix(words[0]); mix(words[1]); };
    const see = (text) => { for (const letter of String(text)) mix(letter.codePointAt(0)); };
    let state = 12345;
    const next = () => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return state / 2 ** 32; };
    ${code}
    ${signalText({ quantity: '1 + hash' })}`;
  return [startFrame(bundleOf({ onBatch })), inputFrame(10, batchOf(0))];
}

function framesOf(bytes: Uint8Array): readonly Frame[] {
  const maxPayloadBytes = new Map([FRAME.started, FRAME.outputs, FRAME.ended].map((t) => [t, 1e6]));
  return new FrameDecoder({ maxPayloadBytes }).push(bytes).frames;
}

/** The hash of what a strategy saw. */
async function seen(frames: readonly Uint8Array[], program: RunnerProgram): Promise<number> {
  const bytes = await runFrames(frames, Number.MAX_SAFE_INTEGER, program);
  const outputs = framesOf(bytes).find(({ type }) => type === FRAME.outputs);
  if (outputs === undefined) throw new Error(`no answer: ${toHex(bytes)}`);
  const [signal] = assertAccepted(parseStrategyOutputs(outputs.payload)).outputs;
  return assertAccepted(parseSignal(signal ?? new Uint8Array())).quantity;
}

/** The same program under an environment that a strategy's process never has. */
function under(program: RunnerProgram, ...variables: readonly string[]): RunnerProgram {
  const { execPath, flags, path } = program;
  return { execPath: '/usr/bin/env', flags: [...variables, execPath, ...flags], path };
}

const OLD_PROCESSOR =
  'GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-FMA4,-AVX';

describe('a strategy sees the same', () => {
  it('powers with every C library and processor', async () => {
    const frames = observes(
      'for (let n = 0; n < 200_000; n++) number((next() * 10 ** (n % 6 - 3)) ** ((next() - 0.5) * 50));',
    );
    const program = await imageRunner();
    // By the code in V8. The C library's own differs from it in every tenth, and with the processor's fused
    // multiplication from itself in 144 of these 200,000.
    expect(await seen(frames, program)).toBe(946_136_957_343);
    expect(await seen(frames, under(program, OLD_PROCESSOR))).toBe(946_136_957_343);
  });

  it('logarithms, exponentials and angles with every C library and processor', async () => {
    const frames = observes(`
      const names = ['sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh',
        'exp', 'expm1', 'log', 'log1p', 'log2', 'log10', 'cbrt', 'sqrt', 'fround', 'f16round'];
      for (const name of names) {
        for (let n = 0; n < 5000; n++) {
          const value = Math[name]((next() - 0.3) * 10 ** (n % 5 - 2));
          number(Number.isNaN(value) ? 0 : value);
        }
      }
      for (let n = 0; n < 5000; n++) { number(Math.atan2(next() - 0.5, next() - 0.5)); number(Math.hypot(next(), next(), next())); }`);
    const program = await imageRunner();
    expect(await seen(frames, under(program, OLD_PROCESSOR))).toBe(await seen(frames, program));
  });

  it('texts, orders and errors in every locale, time zone and folder', async () => {
    const frames = observes(`
      for (let n = 0; n < 2000; n++) see((next() - 0.5) * 10 ** (n % 40 - 20));
      for (const act of [() => null.x, () => undefined(), () => new Array(-1), () => JSON.parse('{'), () => 1n + 1,
        () => new RegExp('('), () => ctx.signal.x.y, () => Symbol() + '', () => decodeURI('%'), () => (1).toFixed(200)]) {
        try { act(); } catch (error) { see(error); see(error.stack); see(Object.getOwnPropertyNames(error)); }
      }
      see('straße İI ŉ'.toUpperCase() + 'ΑΣ İ'.toLowerCase() + 'é'.normalize('NFD').length);
      see(/\\p{Script=Greek}+/u.exec('abc αβγ')); see('ſK'.match(/[a-z]+/giu));
      see(['é', 'z', 'a', 'Z', 'ä', '10', '9'].sort()); see([3, 1, 2, 1].map((a, b) => ({ a, b })).sort((x, y) => x.a - y.a).map(({ b }) => b));
      see(Object.keys({ b: 1, 2: 1, a: 1, 1: 1, [-1]: 1 })); see(Reflect.ownKeys(globalThis).map(String));
      see([1.5, 1e21, -0, 2 ** 53].join()); see(String([ctx.random, ctx.book, class A {}, Math.sin])); see(10n ** 40n);
      for (const name of Reflect.ownKeys(Object.getPrototypeOf(ctx)).concat(Reflect.ownKeys(ctx), Reflect.ownKeys(batch))) see(String(name));`);
    const program = await imageRunner();
    const first = await seen(frames, program);
    const elsewhere = [
      'LANG=tr_TR.UTF-8',
      'LC_ALL=de_DE.UTF-8',
      'TZ=Asia/Tokyo',
      'HOME=/tmp',
      'USER=x',
    ];
    expect(await seen(frames, under(program, ...elsewhere))).toBe(first);
    expect(await seen(frames, findRunner(ROOT))).toBe(first);
  });
});
