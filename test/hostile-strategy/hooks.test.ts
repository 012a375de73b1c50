// A strategy whose objects are traps: getters, proxies, conversions, thenables, in whatever it hands over.

import { describe, expect, it } from 'vitest';
import { ETH as ETH_ROW, bundleOf, fateOf, signalText } from '../enclave/strategy/support.ts';
import { atStart, counts, ends, testAttempts, testRefusals } from './support.ts';

const ETH = "{venue:'binance',symbol:'ETHUSDT',market:'spot'}";

describe('a signal', () => {
  testAttempts([
    ends(
      'with getters that change their mind',
      'strategy_output_malformed',
      `let n = 0; ctx.signal({ instrument: 7, side: 1, get quantity() { return n++ === 0 ? -1 : 1; }, limit: 1, ttlMs: 1 })`,
    ),
    ends(
      'with numbers that are objects',
      'strategy_output_malformed',
      signalText({ quantity: '{ valueOf: () => 5, [Symbol.toPrimitive]: () => 5 }' }),
    ),
    ends('with a boxed number', 'strategy_output_malformed', signalText({ quantity: 'Object(5)' })),
    ends(
      'with toJSON',
      'strategy_output_malformed',
      'ctx.signal({ toJSON: () => ({ instrument: 7, side: 1, quantity: 1, limit: 1, ttlMs: 1 }) })',
    ),
    ends(
      'that is a proxy which throws',
      'strategy_crashed',
      "ctx.signal(new Proxy({}, { get() { throw new Error('x'); } }))",
    ),
    ends(
      'that signals again in a getter',
      'strategy_output_limit',
      'const again = { side: 1, quantity: 1, limit: 1, ttlMs: 1, get instrument() { if (ctx.state.deep === undefined) ctx.state.deep = 0; if (ctx.state.deep++ < 100) ctx.signal(again); return 7; } }; ctx.signal(again)',
    ),
    counts(
      'whose getters only look',
      `let asked = ''; const spy = new Proxy({ instrument: 7, side: 1, quantity: 1, limit: 1, ttlMs: 1 }, { get(target, key) { asked += String(key) + ','; return target[key]; }, ownKeys() { harm++; return []; }, has() { harm++; return true; } });
       void spy; harm += asked.length`,
    ),
  ]);
});

describe('what onBatch returns', () => {
  testAttempts([
    ends('is a thenable', 'strategy_malformed', "return { then() { throw new Error('called'); } }"),
    ends('is a promise that never settles', 'strategy_malformed', 'return new Promise(() => {})'),
    ends(
      'is a proxy',
      'strategy_malformed',
      "return new Proxy({}, { get() { throw new Error('called'); } })",
    ),
    ends('is a generator', 'strategy_malformed', 'return (function* () { for (;;) yield 1; })()'),
    ends('is an async iterator', 'strategy_malformed', 'return (async function* () {})()'),
  ]);
});

describe('a definition', () => {
  testRefusals([
    atStart('that is thenable', 'strategy_crashed', { more: 'get parameters() { throw 1; }' }),
    atStart('whose getter throws', 'strategy_crashed', {
      more: 'get onBatch() { throw new Error("secret-2f9c"); }',
    }),
    atStart('whose parameters accept and then throw', 'strategy_crashed', {
      safeParse: 'return { success: true, get data() { throw 1; } };',
    }),
    atStart('whose parameters refuse with a trap', 'strategy_parameters', {
      safeParse: "return { success: false, get error() { throw new Error('secret-2f9c'); } };",
    }),
    atStart('that subscribes with a trap', 'strategy_crashed', {
      subscribe: 'return [{ get venue() { throw 1; } }];',
    }),
    atStart('that subscribes with no list', 'strategy_malformed', {
      subscribe: `return { length: 1, 0: ${ETH} };`,
    }),
    atStart('that lies about the length of its list', 'instrument_unknown', {
      subscribe:
        "return new Proxy([], { get: (target, key) => key === 'length' ? 1 : key === Symbol.iterator ? function* () { yield { venue: 'x' }; } : target[key] });",
    }),
    atStart('that lies about the number of its bars', 'strategy_malformed', {
      more: "barsMs: new Proxy([], { get: (target, key) => { if (key === 'length') return 1; if (key === Symbol.iterator) return function* () { for (let n = 1; n < 10; n++) yield n; }; return target[key]; } }),",
    }),
  ]);

  it.each([
    ['is a function', 'strategy_malformed', '() => {}'],
    [
      'is a revoked proxy',
      'strategy_crashed',
      '(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()',
    ],
    ['is a proxy of nothing', 'strategy_malformed', 'new Proxy({}, {})'],
    ['is a promise', 'strategy_malformed', 'Promise.resolve({})'],
    ['is a symbol', 'strategy_malformed', "Symbol('x')"],
  ] as const)('that %s: %s', async (_, code, bundle) => {
    expect(await fateOf(bundle)).toBe(code);
  });

  it.each([
    [64, 'runs'],
    [65, 'strategy_malformed'],
  ] as const)('that says one instrument and gives %d: %s', async (count, code) => {
    const subscribe = `return new Proxy([], { get: (target, key) => key === 'length' ? 1
      : key === Symbol.iterator ? function* () { for (let n = 0; n < ${count}; n++) yield { venue: 'binance', symbol: 'S' + n, market: 'spot' }; }
      : target[key] });`;
    const instruments = Array.from({ length: 70 }, (_, n) => ({
      ...ETH_ROW,
      id: n + 1,
      symbol: `S${n}`,
    }));
    expect(await fateOf(bundleOf({ subscribe }), 1, {}, { instruments })).toBe(code);
  });

  it('that changes between its uses harms itself only', async () => {
    const more = `get onBatch() { this.asked = (this.asked ?? 0) + 1; return () => { if (this.asked > 100) throw 1; }; },`;
    expect(await fateOf(bundleOf({ more }), 5)).toBe('runs');
  });
});

describe('a state', () => {
  testAttempts([
    counts('that is a proxy', 'harm += ctx.state.x', {
      start:
        "return new Proxy({}, { get: (_, key) => key === 'x' ? 0 : undefined, getPrototypeOf() { throw 1; } });",
    }),
    counts('that is frozen, null or a symbol', 'if (ctx.state !== null) harm++', {
      start: 'return null;',
    }),
    counts('that is thenable', 'harm += ctx.state.called', {
      start: 'return { called: 0, then() { this.called++; } };',
    }),
  ]);
});
