// A strategy that never comes to an end: it is killed at its time budget, and the others go on.

import { describe, expect, it } from 'vitest';
import { fateOf, bundleOf } from '../enclave/strategy/support.ts';
import type { BundleParts } from '../enclave/strategy/support.ts';
import { counts, ends, takesOver, testAttempts } from './support.ts';
import type { Attempt } from './support.ts';

const BUDGET_MS = 500;

function loops(name: string, onBatch: string, parts: BundleParts = {}): Attempt {
  const late = `if (batch.sequence === 1) { ${onBatch} }`;
  return { ...ends(name, 'strategy_over_budget', late, parts), budgetMs: BUDGET_MS };
}

describe('a bundle that loops', () => {
  testAttempts([
    loops('and does nothing', 'for (;;);'),
    loops(
      'and catches what would end it',
      'for (;;) { try { throw 1; } catch {} finally { continue; } }',
    ),
    loops('in a regular expression', "/^(a+)+$/u.test('a'.repeat(100) + 'b')"),
    loops('in a comparison', '[3, 1, 2].sort(() => { for (;;); })'),
    loops('in a getter of its signal', 'ctx.signal({ get instrument() { for (;;); } })'),
    loops(
      'in an iterator',
      'Array.from({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 0, length: 0 }) }) }, () => { for (;;); })',
    ),
    loops('in a trap of a proxy', 'void new Proxy({}, { get() { for (;;); } }).x'),
    loops(
      'in native code, over an array of any length',
      'Array.prototype.indexOf.call({ length: Number.MAX_SAFE_INTEGER }, 1)',
    ),
    loops(
      'in native code, over large integers',
      'let big = 3n; for (;;) { big = (big * big) % (1n << 4_000_000n) + 3n; }',
    ),
    loops(
      'at the end of the stack',
      'const dig = () => { try { dig(); } finally { dig(); } }; dig()',
    ),
    loops('in a replacement', "'x'.replaceAll('x', () => { for (;;); })"),
    loops('in a conversion to JSON', 'JSON.stringify({ toJSON() { for (;;); } })'),
    loops('in a generator', 'for (const _ of (function* () { for (;;) yield 1; })());'),
    loops(
      'after a signal',
      'ctx.signal({ instrument: 7, side: 1, quantity: 1, limit: 1, ttlMs: 1 }); for (;;);',
    ),
  ]);
});

describe('a bundle that leaves a loop for later', () => {
  testAttempts([
    counts('in a promise job', 'Promise.resolve().then(() => { for (;;); })'),
    counts(
      'in an endless chain of promise jobs',
      'const chain = () => Promise.resolve().then(chain); chain()',
    ),
    counts('in an async function', '(async () => { await null; for (;;); })()'),
    counts(
      'in an async generator',
      '(async () => { for await (const _ of (async function* () { for (;;) yield 1; })()); })()',
    ),
    counts('in the reaction to a rejection', 'Promise.reject(1).catch(() => { for (;;); })'),
  ]);
});

describe('a bundle that loops before it has started', () => {
  it.each([
    ['while it loads', { before: 'for (;;);' }],
    ['in its parameters', { safeParse: 'for (;;);' }],
    ['in subscribe', { subscribe: 'for (;;);' }],
    [
      'in an endless list of instruments',
      {
        subscribe:
          "return new Proxy([], { get: (target, key) => key === 'length' ? 1 : key === Symbol.iterator ? function* () { for (;;) yield { venue: 'binance', symbol: 'ETHUSDT', market: 'spot' }; } : target[key] });",
      },
    ],
    ['in start', { start: 'for (;;);' }],
    ['in a getter of its definition', { more: 'get barsMs() { for (;;); }' }],
  ] as const)('%s', async (_, parts) => {
    expect(await fateOf(bundleOf(parts), 1, { startMs: 2000 })).toBe('strategy_over_budget');
  });
});

const over = (name: string, code: string): Attempt => ({
  ...takesOver(name, code, 'strategy_over_budget'),
  budgetMs: BUDGET_MS,
});

describe('a taken-over runner', () => {
  testAttempts([
    over('answers no input', 't.started(); for (;;) t.read();'),
    over('reads no input', 't.started(); await new Promise((done) => t.later(done, 60_000));'),
    over('loops', 't.started(); for (;;);'),
    over('loops in jobs', 't.started(); for (;;) await null;'),
    over(
      'sends half of an answer',
      't.started(); const { leafIndex } = t.readInput(); t.write(t.outputsFrame(leafIndex, []).subarray(0, 7)); for (;;) t.read();',
    ),
    over('closes its input', 't.started(); t.readInput(); t.fs.closeSync(0); for (;;);'),
    over('waits', 't.started(); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);'),
  ]);
});
