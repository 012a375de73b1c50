// A strategy that makes code of text: in its own context, in that of the runner, in WebAssembly.

import { describe } from 'vitest';
import { counts, deniedAll, ends, takesOver, testAttempts } from './support.ts';

/** Adds 1 to `harm` unless `act` throws. */
const works = (act: string): string => `try { ${act}; harm++; } catch {}`;

describe('a bundle', () => {
  testAttempts([
    ends('calls eval', 'strategy_crashed', "eval('1')"),
    counts('calls the constructor of functions', works("(() => {}).constructor('return 1')()")),
    counts(
      'calls the constructors of async functions and generators',
      [
        "(async () => {}).constructor('')",
        "(function* () {}).constructor('')",
        "(async function* () {}).constructor('')",
        "Reflect.construct(Function, ['return 1'])",
        "Function.prototype.constructor('return 1')",
        "Reflect.apply(Function, null, ['return 1'])",
        "class F extends Function {}; new F('return 1')",
        "Function.prototype.bind.call(Function, null, 'return 1')()()",
      ]
        .map((act) => works(act))
        .join(' '),
    ),
    counts('gives text to a timer', works("setTimeout('1')") + works("setInterval('1')")),
    counts(
      'compiles WebAssembly',
      works('new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))'),
    ),
    counts('makes a realm', works('new ShadowRealm()')),
    counts(
      'imports text',
      `import('data:text/javascript,globalThis.got=1').catch(() => { globalThis.got = 1; });
       harm += globalThis.got ?? 0`,
    ),
  ]);
});

/** Whatever is not of this context is of the runner's. */
const foreign = (get: string): string => `
  const isForeign = (value) => value !== null && (typeof value === 'object' || typeof value === 'function')
    && !(value instanceof Object) && Object.getPrototypeOf(value) !== null && value !== Object.prototype;
  const look = (get) => { try { if (isForeign(get())) harm++; } catch (error) { if (isForeign(error)) harm++; } };
  ${get}`;

describe("a bundle that looks for the runner's own constructors", () => {
  testAttempts([
    counts(
      'in the stack of an error whose name is a symbol',
      foreign(
        "const error = new Error('x'); Object.defineProperty(error, 'name', { value: Symbol('x') }); look(() => error.stack);",
      ),
    ),
    counts(
      'in the stack of an error whose message throws or is a proxy',
      foreign(`for (const value of [Symbol('x'), { toString() { throw 1; } }, new Proxy(() => '', { apply: (_, __, list) => { look(() => list); return ''; } })]) {
        const error = new Error('x'); Object.defineProperty(error, 'message', { value }); look(() => error.stack);
        const named = new Error('x'); Object.defineProperty(named, 'name', { value: { toString: value } }); look(() => named.stack);
      }`),
    ),
    counts(
      'in what its own hook for stacks is given',
      foreign(`for (const hook of ['prepareStackTrace', 'stackTraceLimit', 'captureStackTrace']) {
        try { Error[hook] = (...list) => list.forEach((one) => look(() => one)); } catch {}
        try { Object.prototype[hook] = (...list) => list.forEach((one) => look(() => one)); } catch {}
      }
      look(() => new Error('x').stack); look(() => null.x);`),
    ),
    counts(
      'in the promise of an import',
      foreign("look(() => import('node:fs')); look(() => import({ toString() { throw 1; } }));"),
    ),
    counts(
      'in errors of calls with hostile arguments',
      foreign(`const bad = [Symbol('x'), 1n, { valueOf() { throw Symbol('x'); } }, new Proxy({}, {}), null, Infinity, -1];
      for (const value of bad) {
        look(() => ctx.book(value)); look(() => ctx.position(value)); look(() => ctx.book(7).price(value, value));
        look(() => ctx.book(7).quantity(1, value)); look(() => ctx.book(7).bar(value, 0)); look(() => ctx.random(value));
      }`),
    ),
    counts(
      'in errors at the end of the stack',
      foreign(`const dig = () => { try { dig(); } catch (error) { look(() => { throw error; }); }
        look(() => ctx.random()); look(() => ctx.book(7).price(1, 0)); look(() => ctx.book(7).bar(0, 0)); };
      try { dig(); } catch (error) { look(() => { throw error; }); }`),
    ),
    counts(
      'in who called it',
      foreign(`function loose() { look(() => loose.caller); look(() => loose.arguments); look(() => arguments.callee); look(() => this); }
      loose(); look(() => this?.constructor); look(() => (0, function () { return this; })());`),
    ),
  ]);
});

describe('a taken-over runner', () => {
  testAttempts([
    takesOver(
      'makes functions of text',
      `t.started();
       let harm = 0;
       const makers = [Function, (async () => {}).constructor, (function* () {}).constructor, (async function* () {}).constructor];
       for (const make of makers) { try { make('return 1'); harm++; } catch {} }
       try { (0, eval)('1'); harm++; } catch {}
       t.confess(harm);`,
    ),
    deniedAll(
      'loads native code',
      "t.process.dlopen({ exports: {} }, '/x.node')",
      "await import('node:ffi')",
      "t.moduleModule.createRequire('/x.js')('/x.node')",
      't.crypto.setEngine("/x.so")',
      "new t.wasi.WASI({ version: 'preview1' })",
    ),
    takesOver(
      'asks V8 for its internals',
      `t.started(); t.readInput(); t.v8.setFlagsFromString('--allow-natives-syntax');
       new t.vm.Script('%GetOptimizationStatus(() => 1)').runInThisContext(); t.confess(1);`,
      'strategy_crashed',
    ),
  ]);
});
