// A strategy that looks for a clock or for randomness: anything that is not in its inputs.

import { describe } from 'vitest';
import { counts, ends, testAttempts } from './support.ts';

/** Adds 1 to `harm` for each expression that does not throw and gives something. */
const gives = (...expressions: readonly string[]): string =>
  expressions.map((text) => `try { if ((${text}) !== undefined) harm++; } catch {}`).join(' ');

describe('a bundle that looks for a clock', () => {
  testAttempts([
    ends('reads Date', 'strategy_crashed', 'new Date()'),
    counts(
      'reads other clocks',
      gives(
        'performance.now()',
        'Temporal.Now.instant()',
        'process.hrtime()',
        'new Event("x").timeStamp',
        'document.timeline',
        'console.time',
        'console.timeStamp',
      ),
    ),
    counts(
      'formats the present',
      gives(
        'new Intl.DateTimeFormat().format()',
        'Intl.DateTimeFormat().resolvedOptions().timeZone',
      ),
    ),
    counts(
      'waits on shared memory',
      gives(
        'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)',
        'Atomics.waitAsync',
        'new SharedArrayBuffer(4)',
        'new ArrayBuffer(4, { shared: true }).shared',
      ),
    ),
    counts(
      'counts in a thread or a timer',
      gives(
        'new Worker("x")',
        'setTimeout(() => {}, 0)',
        'setInterval(() => {}, 0)',
        'setImmediate(() => {})',
        'requestAnimationFrame(() => {})',
        'scheduler.yield()',
        'queueMicrotask(() => {})',
      ),
    ),
    counts(
      'watches the collector',
      gives(
        'new WeakRef({}).deref()',
        'new FinalizationRegistry(() => {})',
        'gc()',
        'performance.memory',
        'process.memoryUsage()',
      ),
    ),
    counts(
      'has promise jobs run between its batches',
      `ctx.state.jobs ??= 0;
       Promise.resolve().then(() => { ctx.state.jobs++; });
       (async () => { await null; ctx.state.jobs++; })();
       harm += ctx.state.jobs`,
    ),
  ]);
});

describe('a bundle that looks for randomness', () => {
  testAttempts([
    ends('draws from Math', 'strategy_crashed', 'Math.random()'),
    counts(
      'draws from the system',
      gives(
        'crypto.getRandomValues(new Uint8Array(1))',
        'crypto.randomUUID()',
        'require("crypto").randomBytes(1)',
        'crypto.subtle',
        'new Blob([])',
        'URL.createObjectURL',
      ),
    ),
    counts(
      'asks for the locale',
      gives(
        "'a'.localeCompare('b')",
        "'I'.toLocaleLowerCase()",
        '(1234.5).toLocaleString()',
        '10n.toLocaleString()',
        '[1.5].toLocaleString()',
        'new Uint8Array(1).toLocaleString()',
        'Intl.getCanonicalLocales()',
        'navigator.language',
      ),
    ),
    counts(
      'asks for the machine',
      gives(
        'navigator.hardwareConcurrency',
        'process.arch',
        'process.env',
        'os.hostname()',
        'globalThis.global',
        'WebAssembly.Memory',
      ),
    ),
    counts(
      'orders objects by where they lie in memory',
      `const made = Array.from({ length: 100 }, (_, number) => ({ number }));
       const sorted = [...made].sort(() => 0).map(({ number }) => number).join();
       const keyed = [...new Map(made.map((one) => [one, one.number])).values()].join();
       const weak = new WeakSet(made); if (weak.size !== undefined || weak[Symbol.iterator] !== undefined) harm++;
       if (sorted !== keyed) harm++;
       if (String({}) !== '[object Object]' || String(() => 1) !== 'function () { [native code] }') harm++`,
    ),
    counts(
      'orders keys by their hash',
      `const names = Array.from({ length: 1000 }, (_, n) => 'k' + ((n * 7919) % 1000));
       const object = Object.fromEntries(names.map((name) => [name, 1]));
       if (Object.keys(object).join() !== names.join()) harm++;
       if ([...new Set(names)].join() !== names.join()) harm++`,
    ),
    counts(
      'searches all that it can reach',
      `const wanted = /^(now|random|wait|waitAsync|getRandomValues|hrtime|deref|getTime|getTimezoneOffset|resolvedOptions|localeCompare|toLocale.*|captureStackTrace|prepareStackTrace|stackTraceLimit|toTemporalInstant|Date|Intl|Temporal|Atomics|SharedArrayBuffer|WeakRef|FinalizationRegistry)$/u;
       const seen = new Set();
       const waiting = [globalThis, batch, ctx, ctx.book(7), [].values(), ''.matchAll(/x/gu), async function* () {}, async () => {}, function* () {},
         new Map().keys(), new Set().keys(), Iterator.from({ next() {} }), [].values().map(String), Promise.resolve(), /x/u, Symbol(), 1n, new Proxy({}, {}), (function () { return arguments; })(), new Error('x')];
       try { null.x; } catch (error) { waiting.push(error); }
       while (waiting.length > 0) {
         const item = waiting.pop();
         if (item === null || (typeof item !== 'object' && typeof item !== 'function' && typeof item !== 'symbol')) continue;
         if (seen.has(item)) continue;
         seen.add(item);
         if (typeof item === 'function' && wanted.test(item.name) && item !== ctx.random) harm++;
         waiting.push(Object.getPrototypeOf(item));
         if (typeof item === 'symbol') continue;
         for (const key of Reflect.ownKeys(item)) {
           const property = Reflect.getOwnPropertyDescriptor(item, key);
           if (wanted.test(String(key)) && property.value !== undefined && property.value !== ctx.random) harm++;
           waiting.push(property.value, property.get, property.set);
         }
       }
       if (seen.size < 500) harm += 1000`,
    ),
  ]);
});
