// A hostile bundle: it is contained, ended where needed, and its end has the right code.

import { describe, expect, it } from 'vitest';
import { Watched, bundleOf, fateOf, signalText, specification } from './support.ts';

/** The number of an expression's successes that a strategy reports as the quantity of a signal, less 1. */
async function quantityOf(onBatch: string, before = ''): Promise<number> {
  const watched = await Watched.start(specification(bundleOf({ onBatch, before })));
  await watched.feed(1);
  const quantity = watched.answers[0]?.outputs[0]?.signal.quantity;
  await watched.strategy.stop();
  if (quantity === undefined) throw new Error(`ended: ${watched.endedCodes.join()}`);
  return quantity - 1;
}

describe('a hostile bundle', () => {
  it.each([
    ['throws', 'strategy_crashed', 'throw new Error("secret")'],
    ['throws undefined', 'strategy_crashed', 'throw undefined'],
    ['throws a hostile object', 'strategy_crashed', 'throw new Proxy({}, {get() { throw 1; }})'],
    ['is async', 'strategy_malformed', 'return (async () => {})()'],
    ['awaits an import', 'strategy_malformed', "return import('node:fs').then(() => {})"],
    ['returns a value', 'strategy_malformed', 'return 0'],
    ['overflows the stack', 'strategy_crashed', 'const f = () => f() + 1; f()'],
    ['detaches its columns', 'strategy_crashed', 'batch.price.buffer.transfer()'],
    [
      'takes the whole heap',
      'strategy_crashed',
      'const a = []; for (;;) a.push(new Array(1000).fill(0))',
    ],
    ['makes an endless string', 'strategy_crashed', 'let s = "x"; for (;;) s += s'],
    ['calls process.exit', 'strategy_crashed', 'process.exit(0)'],
    ['requires fs', 'strategy_crashed', "require('node:fs')"],
    ['opens a socket', 'strategy_crashed', "fetch('http://127.0.0.1')"],
    ['uses a timer', 'strategy_crashed', 'setTimeout(() => {}, 0)'],
    ['reads the clock', 'strategy_crashed', 'Date.now()'],
    ['draws randomness', 'strategy_crashed', 'Math.random()'],
    ['logs', 'strategy_crashed', 'console.log("secret")'],
    ['evaluates text', 'strategy_crashed', "eval('1')"],
    ['makes a function of text', 'strategy_crashed', "new Function('return 1')()"],
    ['does it by a prototype', 'strategy_crashed', "(() => {}).constructor('return 1')()"],
    ['does it by an async prototype', 'strategy_crashed', "(async () => {}).constructor('')()"],
    ['compiles WebAssembly', 'strategy_crashed', 'new WebAssembly.Memory({initial: 1})'],
    ['changes Object.prototype', 'strategy_crashed', 'Object.prototype.polluted = 1'],
    ['changes Array.prototype', 'strategy_crashed', 'Array.prototype.push = () => 0'],
    ['changes Map.prototype', 'strategy_crashed', 'Map.prototype.get = () => 0'],
    ['replaces a global', 'strategy_crashed', 'Number = Object'],
    ['asks for a book it has no right to', 'strategy_crashed', 'ctx.book(3)'],
    ['asks for a position likewise', 'strategy_crashed', 'ctx.position(3)'],
    ['overwrites the context', 'strategy_crashed', 'ctx.timeNs = 0n'],
    ['passes nothing to signal', 'strategy_output_malformed', 'ctx.signal()'],
    ['passes null to signal', 'strategy_output_malformed', 'ctx.signal(null)'],
    [
      'signals again from a getter',
      'strategy_output_limit',
      'const get = () => ctx.signal({get instrument() { return get(); }}); try { get(); } catch {}\n' +
        `for (let n = 0; n < 65; n++) ${signalText()}`,
    ],
  ] as const)('that %s: %s', async (_, code, onBatch) => {
    expect(await fateOf(bundleOf({ onBatch: `${onBatch};` }), 2)).toBe(code);
  });

  it('that keeps the context and signals between batches', async () => {
    const onBatch = `ctx.state.later ??= () => ${signalText()}
      Promise.resolve().then(() => { ctx.state.later(); });`;
    const bundle = bundleOf({ onBatch });
    const watched = await Watched.start(specification(bundle));
    await watched.feed(20);
    expect(watched.answers.flatMap(({ outputs }) => outputs)).toEqual([]);
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual([]);
  });

  it('that loops forever is killed, and only once', async () => {
    const onBatch = `if (++ctx.state.batches === 3) for (;;); ${signalText()}`;
    const bundle = bundleOf({ onBatch });
    const watched = await Watched.start(specification(bundle), { batchMs: 200 });
    await watched.feed(5);
    expect(await watched.ended).toBe('strategy_over_budget');
    expect(watched.answers.length).toBe(2);
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual(['strategy_over_budget']);
  });

  it('that never answers does not live on the rhythm of its inputs', async () => {
    const bundle = bundleOf({ onBatch: 'for (;;);' });
    const watched = await Watched.start(specification(bundle), { batchMs: 200 });
    const timer = setInterval(() => watched.strategy.fill(5, 0, new Uint8Array(10)), 20);
    await watched.feed(1);
    clearInterval(timer);
    expect(await watched.ended).toBe('strategy_over_budget');
  });

  it.each([
    [16, 'runs'],
    [64, 'strategy_over_budget'],
  ] as const)('that takes %d × 16 MiB outside of the heap: %s', async (count, code) => {
    const onBatch = `ctx.state.kept ??= [];
      while (ctx.state.kept.length < ${count}) ctx.state.kept.push(new Uint8Array(1 << 24).fill(1));`;
    const watched = await Watched.start(specification(bundleOf({ onBatch })));
    await watched.feed(1);
    // The supervisor looks at the memory at least every 50 ms.
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual(code === 'runs' ? [] : [code]);
  });

  it('finds no clock, locale, randomness, I/O or module in its world', async () => {
    const names = [
      'Date',
      'Intl',
      'Temporal',
      'WeakRef',
      'FinalizationRegistry',
      'Atomics',
      'SharedArrayBuffer',
      'WebAssembly',
      'console',
      'process',
      'Buffer',
      'require',
      'global',
      'performance',
      'crypto',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'queueMicrotask',
      'structuredClone',
      'fetch',
      'eval',
      'navigator',
      'gc',
    ];
    const members = [
      'Math.random',
      "''.localeCompare",
      "''.toLocaleUpperCase",
      '(1).toLocaleString',
      '(1n).toLocaleString',
      '[].toLocaleString',
      '({}).toLocaleString',
      'new Uint8Array(1).toLocaleString',
      'Error.captureStackTrace',
      'Error.prepareStackTrace',
    ];
    const body = [...names, ...members].map(
      (name) => `if (typeof ${name} !== 'undefined') found++;`,
    );
    const expectNone = `let found = 0; ${body.join('\n')} ${signalText({ quantity: '1 + found' })}`;
    expect(await quantityOf(expectNone)).toBe(0);
  });

  it('finds nothing of the runner behind the objects that it is given', async () => {
    const onBatch = `
      const { getPrototypeOf, getOwnPropertyDescriptors } = Object;
      const seen = new Set([ctx.parameters]);
      const waiting = [batch, ctx, ctx.book(7), ctx.instruments, ctx.signal, ctx.random, globalThis];
      let foreign = 0;
      while (waiting.length > 0) {
        const item = waiting.pop();
        if (item === null || (typeof item !== 'object' && typeof item !== 'function')) continue;
        if (seen.has(item)) continue;
        seen.add(item);
        if (item !== Object.prototype && !(item instanceof Object)) foreign++;
        waiting.push(getPrototypeOf(item));
        for (const property of Object.values(getOwnPropertyDescriptors(item))) {
          waiting.push(property.value, property.get, property.set);
        }
      }
      ${signalText({ quantity: '1 + foreign' })}`;
    expect(await quantityOf(onBatch)).toBe(0);
  });

  it('that runs out of stack in a call of the runner gets an error of its own world', async () => {
    const onBatch = `let foreign = 0;
      const check = (error) => { if (!(error instanceof Error)) foreign++; };
      const dig = (depth) => {
        try { dig(depth + 1); } catch (error) { check(error); }
        try { ctx.random(); ctx.book(7).price(1, 0); ctx.book(7).bar(0, 0); } catch (error) { check(error); }
      };
      try { dig(0); } catch (error) { check(error); }
      ${signalText({ quantity: '1 + foreign' })}`;
    expect(await quantityOf(onBatch)).toBe(0);
  });

  it('cannot write to what another batch sees but its own columns', async () => {
    const onBatch = `
      for (const target of [ctx, batch, ctx.book(7), ctx.book(7).instrument, ctx.instruments]) {
        if (!Object.isFrozen(target)) throw new Error();
      }`;
    expect(await fateOf(bundleOf({ onBatch }), 2)).toBe('runs');
  });
});
