// A strategy that throws: words that are meant for a log, and objects that trap whoever looks at them.

import { describe } from 'vitest';
import { SECRET, atStart, ends, takesOver, testAttempts, testRefusals } from './support.ts';

describe('a bundle that throws', () => {
  testAttempts([
    ends(
      'words for the log',
      'strategy_crashed',
      `throw new Error('${SECRET} \\n{"level":"info"}')`,
    ),
    ends('a text', 'strategy_crashed', `throw '${SECRET}'`),
    ends('nothing', 'strategy_crashed', 'throw undefined'),
    ends(
      'a proxy that traps everything',
      'strategy_crashed',
      'throw new Proxy(function () {}, new Proxy({}, { get() { throw 1; } }))',
    ),
    ends(
      'an error whose texts throw',
      'strategy_crashed',
      'throw Object.defineProperties(new Error(), { message: { get() { throw 1; } }, name: { get() { throw 2; } }, stack: { get() { throw 3; } }, toString: { value() { throw 4; } } })',
    ),
    ends(
      'an error with an endless chain of causes',
      'strategy_crashed',
      'const error = new Error(); error.cause = error; throw new AggregateError([error, error], "x", { cause: error })',
    ),
    ends(
      'out of a disposal',
      'strategy_crashed',
      `using thing = { [Symbol.dispose]() { throw new Error('${SECRET}'); } }; throw new Error('${SECRET}')`,
    ),
  ]);
});

describe('a bundle that sets hooks', () => {
  testAttempts([
    ends(
      'for stacks',
      'strategy_crashed',
      `Error.prepareStackTrace = () => '${SECRET}'; throw new Error()`,
    ),
    ends(
      'for the inspection of objects',
      'strategy_crashed',
      `throw { [Symbol.for('nodejs.util.inspect.custom')]() { return '${SECRET}'; }, inspect() { return '${SECRET}'; } }`,
    ),
    ends(
      'for rejections, and throws',
      'strategy_crashed',
      `Promise.reject(new Error('${SECRET}')); Promise.reject({ get stack() { throw 1; } }); throw 1`,
    ),
    ends(
      'for conversion',
      'strategy_crashed',
      `throw { [Symbol.toPrimitive]() { return '${SECRET}'; }, toJSON() { return '${SECRET}'; } }`,
    ),
    ends(
      'at the end of the stack',
      'strategy_crashed',
      'const dig = () => { try { dig(); } finally { dig(); } }; let n = 0; const f = () => { n++; f(); }; f()',
    ),
  ]);
});

describe('a bundle that throws at the start', () => {
  testRefusals([
    atStart('while it loads', 'strategy_malformed', { before: `throw new Error('${SECRET}');` }),
    atStart('in its parameters', 'strategy_crashed', {
      safeParse: `throw new Error('${SECRET}');`,
    }),
    atStart('in subscribe', 'strategy_crashed', { subscribe: `throw new Error('${SECRET}');` }),
    atStart('in start', 'strategy_crashed', { start: `throw new Error('${SECRET}');` }),
    atStart('as a syntax error with words in it', 'strategy_malformed', {
      before: `let ${SECRET} = ;`,
    }),
  ]);
});

describe('a taken-over runner', () => {
  testAttempts([
    takesOver(
      'throws',
      `t.started(); t.readInput(); throw new Error('${SECRET}');`,
      'strategy_crashed',
    ),
    takesOver(
      'rejects without a handler',
      `t.started(); t.readInput(); Promise.reject(new Error('${SECRET}')); await new Promise((done) => t.later(done, 5000));`,
      'strategy_crashed',
    ),
    takesOver(
      'catches all exceptions and goes on',
      "t.process.on('uncaughtException', () => {}); t.started(); queueMicrotask(() => { throw 1; }); await null; t.confess(0);",
    ),
    takesOver(
      'talks on standard error',
      `t.started(); for (let n = 0; n < 1000; n++) t.fs.writeSync(2, '${SECRET} '.repeat(1000)); console.error('${SECRET}'); t.process.emitWarning('${SECRET}'); t.process._rawDebug('${SECRET}'); t.confess(0);`,
    ),
    takesOver(
      'talks on standard output',
      `t.started(); t.readInput(); t.fs.writeSync(1, '${SECRET}\\n'.repeat(100)); t.confess(0);`,
      'strategy_output_malformed',
    ),
  ]);
});
