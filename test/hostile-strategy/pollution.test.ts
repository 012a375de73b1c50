// A strategy that changes built-ins and shared objects, so that the code beside it does something else.

import { describe } from 'vitest';
import { counts, ends, testAttempts } from './support.ts';

/** Each act is to throw; `check` says whether it worked all the same. */
const fails = (...acts: readonly string[]): string =>
  acts.map((act) => `try { (() => { 'use strict'; ${act}; })(); harm++; } catch {}`).join(' ');

describe('a bundle that pollutes', () => {
  testAttempts([
    counts(
      'Object.prototype',
      fails(
        'Object.prototype.x = 1',
        "Object.defineProperty(Object.prototype, 'quantity', { get: () => 5 })",
        'Object.setPrototypeOf(Object.prototype, { x: 1 })',
        '({}).__proto__.x = 1',
        "Object.prototype.__defineGetter__.call(Object.prototype, 'x', () => 1)",
        '({}).constructor.prototype.x = 1',
        'Object.prototype.then = () => {}',
        'delete Object.prototype.toString',
      ) + ' if (({}).x !== undefined || ({}).then !== undefined) harm++;',
    ),
    counts(
      'prototypes of arrays and iterators',
      fails(
        'Array.prototype.push = () => 0',
        'Array.prototype[Symbol.iterator] = function* () {}',
        'Array.prototype.length = 3',
        'Object.getPrototypeOf([].values()).next = () => ({ done: true })',
        "Object.defineProperty(Array.prototype, '0', { set() {} })",
        'Object.defineProperty(Array, Symbol.species, { value: Object })',
      ),
    ),
    counts(
      'prototypes of maps, functions, promises, numbers',
      fails(
        'Map.prototype.get = () => 0',
        'Set.prototype.has = () => true',
        'Function.prototype.call = () => 0',
        'Function.prototype.toString = () => 0',
        'Promise.prototype.then = () => 0',
        'Number.isSafeInteger = () => true',
        'Number.prototype.valueOf = () => 5',
        'BigInt.prototype.x = 1',
        'Symbol.prototype.x = 1',
        'RegExp.prototype.exec = () => 0',
        'Error.prototype.x = 1',
        'Object.getPrototypeOf(Uint8Array).prototype.set = () => 0',
      ),
    ),
    counts(
      'functions of Object, Array, JSON and Math',
      fails(
        'Object.freeze = (x) => x',
        'Object.keys = () => []',
        'Array.isArray = () => true',
        'Array.from = () => []',
        'JSON.parse = () => 0',
        'Math.floor = () => 0',
        'Reflect.ownKeys = () => []',
      ),
    ),
    counts(
      'globals',
      fails(
        'Number = Object',
        'undefined = 1',
        'globalThis.Array = class {}',
        "Object.defineProperty(globalThis, 'Math', { value: {} })",
        'delete globalThis.Map',
        'NaN = 0',
      ),
    ),
    counts(
      'what it is given',
      fails(
        'ctx.timeNs = 0n',
        'ctx.signal = () => 0',
        'batch.length = 5',
        'batch.price = []',
        'ctx.instruments.push({})',
        'ctx.instruments[0].id = 3',
        'ctx.book(7).valid = true',
        'Object.setPrototypeOf(ctx, {})',
        "Object.defineProperty(batch, 'sequence', { value: 9 })",
      ),
    ),
    counts(
      'the columns of the runner',
      `const { price } = batch;
       const set = () => { throw 1; };
       const traps = { buffer: { value: null }, length: { value: 0 }, set: { value: set } };
       if (batch.sequence === 0) Object.defineProperties(price, traps);
       Object.setPrototypeOf(price, null);
       price[0] = 12345;
       globalThis.last ??= [];
       globalThis.last.push(batch.quantity[0], batch.price[0]);
       const expected = globalThis.last.length / 2;
       if (globalThis.last.filter((one) => one === 100).length !== expected) harm++`,
    ),
  ]);
});

describe('a bundle that takes away', () => {
  testAttempts([
    ends('the memory of its columns', 'strategy_crashed', 'batch.price.buffer.transfer()'),
    ends(
      'the memory of all columns',
      'strategy_crashed',
      'for (const one of Object.values(batch)) if (ArrayBuffer.isView(one)) one.buffer.transfer(0)',
    ),
    counts(
      'the extensibility of its global object',
      'Object.preventExtensions(globalThis); Object.freeze(globalThis)',
    ),
  ]);
});
