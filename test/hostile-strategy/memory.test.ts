// A strategy that takes memory without end. Each acts at a batch of its own, one after the other.

import { describe } from 'vitest';
import type { RefusalCode } from '../../wire/codes.ts';
import { counts, ends, takesOver, testAttempts } from './support.ts';
import type { Attempt } from './support.ts';

let turn = 0;

function takes(name: string, fate: RefusalCode, onBatch: string): Attempt {
  const attempt = ends(name, fate, `if (batch.sequence === ${turn++ % 7}) { ${onBatch} }`);
  // The longest that there is: it is its memory that is to end it, on a slow machine too.
  return { ...attempt, budgetMs: 60_000 };
}

const CRASHED = 'strategy_crashed';
const OVER = 'strategy_over_budget';

describe('a bundle that takes memory', () => {
  testAttempts(
    [
      takes('in arrays', CRASHED, 'const list = []; for (;;) list.push(new Array(1000).fill(0));'),
      takes('in many small objects', CRASHED, 'let last = null; for (;;) last = { last };'),
      takes('in one long text', CRASHED, "let text = 'x'; for (;;) text += text;"),
      takes(
        'in many texts',
        CRASHED,
        "const list = []; for (let n = 0; ; n++) list.push(('x'.repeat(1000) + n).toUpperCase());",
      ),
      takes('in a map', CRASHED, 'const map = new Map(); for (let n = 0; ; n++) map.set({}, n);'),
      takes(
        'outside of the heap',
        OVER,
        'const list = []; for (;;) list.push(new Uint8Array(1 << 22).fill(1));',
      ),
      takes(
        'outside of the heap, in small pieces',
        OVER,
        'const list = []; for (;;) list.push(new Uint8Array(4096).fill(1));',
      ),
      takes(
        'in promises that nobody waits for',
        CRASHED,
        'const list = []; for (;;) list.push(new Promise(() => {}).then(() => 1));',
      ),
      takes(
        'in rejections that nobody handles',
        CRASHED,
        'for (;;) Promise.reject(new Array(100).fill(0));',
      ),
      takes(
        'in symbols of the registry',
        CRASHED,
        "for (let n = 0; ; n++) Symbol.for('x'.repeat(10_000) + n);",
      ),
      takes(
        'in large integers',
        CRASHED,
        'const list = []; for (let n = 0n; ; n++) list.push((1n << 1_000_000n) + n);',
      ),
      takes(
        'in functions',
        CRASHED,
        'const list = []; for (;;) { const inner = []; list.push(() => { inner.push(1); return list; }); }',
      ),
      takes(
        'in buffers that grow',
        OVER,
        'const list = []; for (;;) { const one = new ArrayBuffer(0, { maxByteLength: 1 << 24 }); one.resize(1 << 24); new Uint8Array(one).fill(1); list.push(one); }',
      ),
    ],
    7,
  );
});

describe('a bundle that keeps a little', () => {
  testAttempts([
    counts(
      'more at each batch',
      'ctx.state.kept ??= []; ctx.state.kept.push(new Uint8Array(1 << 20).fill(1))',
    ),
    counts(
      'and asks for more than there is',
      'try { new ArrayBuffer(2 ** 50); harm++; } catch {} try { new Array(2 ** 32); harm++; } catch {}',
    ),
  ]);
});

const over = (name: string, code: string): Attempt => takesOver(name, `t.started(); ${code}`, OVER);

describe('a taken-over runner that takes memory', () => {
  testAttempts([
    over(
      'while it is asked nothing',
      't.confessOnce(0); const list = []; for (;;) list.push(t.Buffer.alloc(1 << 22, 1));',
    ),
    over(
      "in Node's cryptography",
      't.confessOnce(0); t.confessOnce(0); const list = []; for (;;) list.push(t.crypto.createSecretKey(t.Buffer.alloc(1 << 20, 1)));',
    ),
  ]);
});
