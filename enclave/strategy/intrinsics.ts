// Takes out of a V8 context whatever could differ between two runs: clock, randomness, locale, weak
// references, shared memory, WebAssembly, stack traces; then freezes its intrinsics. `hardenIntrinsics`
// is turned into text and evaluated inside that context, so it uses nothing from outside its own braces.
// This is for determinism; what contains a hostile strategy is its process. Not covered: how deep a
// recursion can go, and the bits of a NaN.

export function hardenIntrinsics(): void {
  'use strict';
  const globals: object = globalThis;

  // Everything else goes: Date, Intl, Temporal, WeakRef, Atomics, WebAssembly, eval, console, …
  const KEPT: readonly string[] = (
    'Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol ' +
    'Promise RegExp Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError ' +
    'URIError SuppressedError globalThis JSON Math ArrayBuffer Uint8Array Int8Array Uint16Array ' +
    'Int16Array Uint32Array Int32Array BigUint64Array BigInt64Array Uint8ClampedArray Float16Array ' +
    'Float32Array Float64Array DataView Map BigInt Set Iterator WeakMap WeakSet Proxy Reflect ' +
    'decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape isFinite isNaN'
  ).split(' ');

  /** Methods that are newer than the language level of the type checker, on the globals by default. */
  function call(name: string, argument: unknown, object: object = globals): unknown {
    const method = Reflect.get(object, name) as (argument: unknown) => unknown;
    return Reflect.apply(method, object, [argument]);
  }

  /** All objects reachable from the globals and from syntax (generators, async functions, iterators). */
  function collectIntrinsics(): Set<object> {
    const found = new Set<object>();
    const waiting: unknown[] = [
      globals,
      {
        async plain() {},
        *generator() {},
        async *asyncGenerator() {},
      },
      [][Symbol.iterator](),
      ''[Symbol.iterator](),
      new Map()[Symbol.iterator](),
      new Set()[Symbol.iterator](),
      ''.matchAll(/x/gu),
      call('map', (item: unknown) => item, [].values()),
      call('from', { next: () => ({ done: true }) }, Reflect.get(globals, 'Iterator') as object),
    ];
    while (waiting.length > 0) {
      const item = waiting.pop();
      if ((typeof item !== 'object' && typeof item !== 'function') || item === null) continue;
      if (found.has(item)) continue;
      found.add(item);
      waiting.push(Object.getPrototypeOf(item));
      for (const key of Reflect.ownKeys(item)) {
        const property = Reflect.getOwnPropertyDescriptor(item, key);
        waiting.push(property?.value, property?.get, property?.set);
      }
    }
    return found;
  }

  for (const key of Reflect.ownKeys(globals)) {
    if (typeof key !== 'string' || !KEPT.includes(key)) Reflect.deleteProperty(globals, key);
  }
  Reflect.deleteProperty(Math, 'random');
  Reflect.deleteProperty(Error, 'captureStackTrace');
  // Without a limit V8 takes no stack at all. With one it calls Node's formatter in the runner's context, which
  // shows paths of the runner and lets an exception of that context out.
  Reflect.deleteProperty(Error, 'stackTraceLimit');
  // The text of the runner's own functions depends on how it was bundled.
  Reflect.defineProperty(Function.prototype, 'toString', {
    value: () => 'function () { [native code] }',
  });
  for (const item of collectIntrinsics()) {
    for (const key of Reflect.ownKeys(item)) {
      if (typeof key === 'string' && key.toLowerCase().includes('locale')) {
        Reflect.deleteProperty(item, key);
      }
    }
  }

  // A frozen prototype would forbid `error.name = …` on objects that inherit from it, and libraries do
  // that. An accessor lets such an assignment make an own property instead.
  const overridden: readonly object[] = [
    Object.prototype,
    ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
      (error): object => error.prototype,
    ),
    AggregateError.prototype,
  ];
  for (const prototype of overridden) {
    for (const key of Reflect.ownKeys(prototype)) {
      const property = Reflect.getOwnPropertyDescriptor(prototype, key);
      if (property === undefined || !('value' in property)) continue;
      const value: unknown = property.value;
      Reflect.defineProperty(prototype, key, {
        get: () => value,
        set(this: unknown, own: unknown) {
          if (this === prototype || typeof this !== 'object' || this === null) {
            throw new TypeError('intrinsics are frozen');
          }
          const writable = { writable: true, enumerable: true, configurable: true };
          Reflect.defineProperty(this, key, { value: own, ...writable });
        },
      });
    }
  }

  for (const item of collectIntrinsics()) if (item !== globals) Object.freeze(item);
  // The global object stays extensible, for libraries with a registry there; what it has is fixed.
  for (const key of Reflect.ownKeys(globals)) {
    Reflect.defineProperty(globals, key, { writable: false, configurable: false });
  }
}
