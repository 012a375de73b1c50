// Code that got out of the strategy's context into the runner's own: what the seal has left there.

import { describe } from 'vitest';
import { breaksSeal, testAttempts } from './support.ts';

describe('code in the runner itself', () => {
  testAttempts([
    breaksSeal(
      'finds nothing on the global object but the language',
      `let harm = 0;
       const foreign = ['process', 'global', 'Buffer', 'require', 'module', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask',
         'fetch', 'WebSocket', 'EventSource', 'performance', 'crypto', 'navigator', 'localStorage', 'structuredClone', 'MessageChannel',
         'BroadcastChannel', 'Worker', 'URL', 'Blob', 'File', 'AbortController', 'TextEncoder', 'EventTarget', 'Storage', 'console'];
       for (const name of foreign) if (name in globalThis) harm++;
       started(); confess(harm);`,
    ),
    breaksSeal(
      'imports no module, not even a loaded one',
      `let harm = 0;
       for (const name of ['node:fs', 'fs', 'node:os', 'node:process', 'node:child_process', 'node:worker_threads', 'node:vm', 'node:module', 'data:text/javascript,1', 'file:///etc/hostname', '/etc/hostname']) {
         try { await import(name); harm++; } catch {}
       }
       started(); confess(harm);`,
    ),
    breaksSeal(
      'searches all that it can reach for a way out',
      `const wanted = /^(kill|_kill|_debugProcess|binding|dlopen|spawn|readFileSync|writeSync|openSync|require|getBuiltinModule|setPriority|runInThisContext|Worker|connect|reallyExit|env|hrtime|report)$/u;
       const seen = new Set(); let harm = 0;
       const waiting = [globalThis, [].values(), ''.matchAll(/x/gu), async function* () {}, async () => {}, function* () {}, new Map().keys(), Promise.resolve(), new Error('x')];
       try { await import('node:fs'); } catch (error) { waiting.push(error); }
       while (waiting.length > 0) {
         const item = waiting.pop();
         if (item === null || (typeof item !== 'object' && typeof item !== 'function')) continue;
         if (seen.has(item) || item === confess || item === started) continue;
         seen.add(item);
         if (typeof item === 'function' && wanted.test(item.name)) harm++;
         waiting.push(Object.getPrototypeOf(item));
         for (const key of Reflect.ownKeys(item)) {
           const property = Reflect.getOwnPropertyDescriptor(item, key);
           if (wanted.test(String(key))) harm++;
           waiting.push(property.value, property.get, property.set);
         }
       }
       if (seen.size < 500) harm += 1000;
       started(); confess(harm);`,
    ),
    breaksSeal(
      'looks at who calls it',
      `let harm = 0;
       try { Error.prepareStackTrace = (_, frames) => frames; } catch {}
       const { stack } = new Error('x');
       if (Array.isArray(stack)) for (const frame of stack) { if (frame.getThis?.() !== undefined || frame.getFunction?.() !== undefined) harm++; }
       started(); confess(harm);`,
    ),
    breaksSeal(
      'changes no built-in of the runner',
      `let harm = 0;
       for (const act of [() => { Array.prototype.push = () => 0; }, () => { Object.prototype.x = 1; }, () => { Map.prototype.get = () => 0; }, () => { Promise.prototype.then = () => 0; }, () => { Object.getPrototypeOf(Uint8Array).prototype.subarray = () => 0; }]) {
         try { (() => { 'use strict'; act(); })(); } catch {}
       }
       if ([1].push.name !== 'push' || ({}).x !== undefined || new Map([[1, 2]]).get(1) !== 2) harm++;
       started(); confess(harm);`,
    ),
  ]);
});
