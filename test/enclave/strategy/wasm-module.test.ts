// Which modules may run. What is refused here is what V8 would run: each case says so.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { moduleFault } from '../../../enclave/strategy/wasm-module.ts';
import { bundleStrategy } from '../../../scripts/strategy-bundle.ts';
import { concatBytes } from '../../../wire/bytes.ts';
import type { WatParts } from '../../helpers/wat.ts';
import { assemble, strategyOf, watSignal } from '../../helpers/wat.ts';
import { ROOT } from './support.ts';

/** The JavaScript interface, which only the types of browsers describe. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { validate(bytes: Uint8Array): boolean };
};

async function faultOf(parts: WatParts): Promise<string | null> {
  const bytes = await strategyOf(parts);
  // Otherwise the case would show nothing about our own reader.
  expect(WebAssembly.validate(bytes)).toBe(true);
  return moduleFault(bytes);
}

const SWIZZLE =
  '(drop (i8x16.relaxed_swizzle (v128.const i32x4 0 0 0 0) (v128.const i32x4 0 0 0 0)))';

function leb(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

function section(id: number, ...items: readonly (readonly number[])[]): readonly number[] {
  const content = [...leb(items.length), ...items.flat()];
  return [id, ...leb(content.length), ...content];
}

function text(name: string): number[] {
  return [...leb(name.length), ...Buffer.from(name)];
}

function exportOf(name: string, at: number): readonly number[] {
  return text(name).concat(0, at + 1);
}

/** A function that answers a small number. */
function answering(value: number): readonly number[] {
  return [4, 0, 0x41, value, 0x0b];
}

/** A strategy whose `onBatch` has these bytes, with a table, data, a global, and more than 64 types. */
function strategyWith(...body: readonly number[]): Uint8Array {
  const code = [4, 1, 0x7f, 1, 0x7e, 1, 0x7d, 1, 0x7c, ...body, 0x0b];
  const filler = Array.from({ length: 67 }, () => [0x60, 0, 0]);
  const exports = ['version', 'input', 'configure', 'start', 'onBatch'];
  const sections = [
    section(1, [0x60, 0, 0], [0x60, 0, 1, 0x7f], [0x60, 1, 0x7f, 0], ...filler, IDENTITY),
    section(2, [...text('trackseal'), ...text('subscribe'), 0, 2]),
    section(3, [1], [1], [1], [0], [0]),
    section(4, [0x70, 0, 1]),
    section(5, [1, 2, 16]),
    section(6, [0x7f, 1, 0x41, 0, 0x0b]),
    section(7, [...text('memory'), 2, 0], ...exports.map(exportOf)),
    section(9, [0, 0x41, 0, 0x0b, 1, 5]),
    [12, 1, 1],
    section(
      10,
      answering(1),
      answering(0),
      answering(1),
      [2, 0, 0x0b],
      [...leb(code.length), ...code],
    ),
    section(11, [1, 1, 0xfd]),
  ];
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}
/** (i32) → i32, type 70. */
const IDENTITY: readonly number[] = [0x60, 1, 0x7f, 1, 0x7f];

/** Instructions with immediates that look like others, in short and in long forms. */
const MISLEADING: readonly (readonly number[])[] = [
  [0x41, 1, 0x02, 0xc6, 0x00, 0x0b, 0x1a],
  [0x41, 1, 0x03, 0xc6, 0x80, 0x80, 0x80, 0x00, 0x0b, 0x1a],
  [0x02, 0x40, 0x0c, 0x00, 0x0b],
  [0x02, 0x40, 0x41, 0, 0x0d, 0x80, 0x00, 0x0b],
  [0x02, 0x40, 0x41, 0, 0x0e, 3, 0x00, 0x80, 0x00, 0x00, 0x00, 0x0b],
  [0x41, 0, 0x04, 0x7f, 0x41, 0xfd, 0x00, 0x05, 0x41, 0xfe, 0x00, 0x0b, 0x1a],
  [0x41, 0, 0x04, 0x40, 0x0f, 0x0b, 0x41, 0, 0x04, 0x40, 0x00, 0x0b],
  [0x41, 0xfd, 0xfd, 0xfd, 0xfd, 0x07, 0x1a],
  [0x42, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0x00, 0x1a],
  [0x43, 0xfd, 0xfd, 0xfd, 0xfd, 0x1a],
  [0x44, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0x1a],
  [0x41, 0, 0x28, 0x02, 0xfd, 0xfd, 0xfd, 0x07, 0x1a],
  [0x41, 0, 0x42, 0, 0x37, 0x00, 0xfd, 0x01],
  [0x3f, 0x00, 0x1a, 0x41, 0, 0x40, 0x00, 0x1a],
  [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x08, 0x00, 0x00, 0xfc, 0x09, 0x00],
  [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0a, 0x00, 0x00],
  [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x8b, 0x00, 0x00],
  [0x20, 3, 0xfc, 0x86, 0x80, 0x00, 0x1a],
  [0x41, 0, 0x41, 0, 0x41, 0, 0x1c, 1, 0x7f, 0x1a],
  [0x41, 0, 0x22, 0x80, 0x00, 0x21, 0, 0x23, 0, 0x24, 0],
  [0x41, 0, 0x11, 0x80, 0x00, 0x00, 0x01],
];
const VECTOR: readonly number[] = [0xfd, 0x0c, ...Array<number>(16).fill(0)];
/** i8x16.relaxed_swizzle of two vectors, drop. */
const RELAXED: readonly number[] = [...VECTOR, ...VECTOR, 0xfd, 0x80, 0x02, 0x1a];

function between(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function sorted(numbers: ReadonlySet<number>): readonly number[] {
  return [...numbers].sort((a, b) => a - b);
}

describe('a module that may run', () => {
  it('is what the compiler makes of a strategy, and V8 takes it', async () => {
    for (const name of [
      'strategies/assembly/mean-reversion.ts',
      'test/strategies/twins/assembly/probe.ts',
    ]) {
      const bytes = await bundleStrategy(join(ROOT, name));
      expect(WebAssembly.validate(bytes)).toBe(true);
      expect(moduleFault(bytes)).toBeNull();
    }
  });

  it.each([
    ['all that is left out', {}],
    ['a signal', { onBatch: watSignal() }],
    ['more exports', { more: '(func (export "more")) (global (export "g") i32 (i32.const 1))' }],
    [
      'globals of every type, computed too',
      {
        more: `(global i32 (i32.add (i32.const 253) (i32.const -1)))
          (global (mut i64) (i64.const -1)) (global f32 (f32.const nan)) (global f64 (f64.const 1))`,
      },
    ],
    ['a start function', { more: '(func $s) (start $s)' }],
    ['the most memory', { memory: '(memory (export "memory") 2 4096)' }],
    ['the largest table', { more: '(table 65536 funcref)' }],
  ] as const)('with %s', async (_, parts) => {
    expect(await faultOf(parts)).toBeNull();
  });
});

describe('a module that may not run, though V8 would', () => {
  const memory = 'memory without a maximum, or shared';
  it.each([
    ['a memory without a maximum', memory, { memory: '(memory (export "memory") 2)' }],
    ['shared memory', memory, { memory: '(memory (export "memory") 2 16 shared)' }],
    ['64-bit memory', memory, { memory: '(memory (export "memory") i64 2 16)' }],
    [
      'one page too many',
      'memory beyond the limit',
      { memory: '(memory (export "memory") 2 4097)' },
    ],
    ['two memories', 'no export memory', { more: '(memory $second 1 1)' }],
    ['no memory', 'no export memory', { memory: '' }],
    ['a memory that is not exported', 'no export memory', { memory: '(memory 2 16)' }],
    [
      'a function called memory',
      'no export memory',
      { memory: '(memory 2 16) (func (export "memory"))' },
    ],
    [
      'an imported memory',
      'import trackseal.memory',
      { memory: '(import "trackseal" "memory" (memory 1 1)) (export "memory" (memory 0))' },
    ],
    ['an entry too many', 'table', { more: '(table 65537 funcref)' }],
    ['a table of references', 'table', { more: '(table 1 externref)' }],
    ['a table that grows', 'instruction 0xd0', growing()],
    [
      'an import of another module',
      'import env.text',
      importing('"env" "text"', 'func (param i32)'),
    ],
    [
      'an unknown import',
      'import trackseal.now',
      importing('"trackseal" "now"', 'func (param i32)'),
    ],
    [
      'an import called like a method of objects',
      'import trackseal.toString',
      importing('"trackseal" "toString"', 'func (param i32)'),
    ],
    [
      'an import of another type',
      'type of import bars',
      importing('"trackseal" "bars"', 'func (param i64)'),
    ],
    [
      'an import with another result',
      'type of import bars',
      importing('"trackseal" "bars"', 'func (param i32) (result i32)'),
    ],
    ['an imported global', 'type of import bars', importing('"trackseal" "bars"', 'global i32')],
    [
      'an imported table',
      'type of import bars',
      importing('"trackseal" "bars"', 'table 1 funcref'),
    ],
    ['no version', 'no export version of its type', { version: '' }],
    [
      'a version of 64 bits',
      'no export version of its type',
      exported('version', '(result i64) (i64.const 1)'),
    ],
    [
      'a global called version',
      'no export version of its type',
      // With the index of a function of the right type.
      {
        version: `${'(global i32 (i32.const 1))'.repeat(10)}
          (global (export "version") i32 (i32.const 1))`,
      },
    ],
    [
      'an input with a parameter',
      'no export input of its type',
      { input: '(func (export "input") (param i32) (result i32) (i32.const 0))' },
    ],
    [
      'an import passed on as input',
      'no export input of its type',
      {
        input: '(export "input" (func $instrument))',
      },
    ],
    ['vectors', 'instruction 0xfd', { onBatch: '(drop (i32x4.splat (i32.const 1)))' }],
    ['relaxed vectors', 'instruction 0xfd', { onBatch: SWIZZLE }],
    ['vectors as variables', 'type', { onBatch: '(local v128)' }],
    ['vectors as globals', 'type', { more: '(global v128 (v128.const i32x4 0 0 0 0))' }],
    ['globals of references', 'type', { more: '(global externref (ref.null extern))' }],
    ['vectors as parameters', 'type', { more: '(func (param v128))' }],
    [
      'vectors that never run',
      'instruction 0xfd',
      { onBatch: `(if (i32.const 0) (then ${SWIZZLE}))` },
    ],
    ['atomic memory', 'instruction 0xfe', { onBatch: '(drop (i32.atomic.load (i32.const 0)))' }],
    ['fences', 'instruction 0xfe', { onBatch: '(atomic.fence)' }],
    ['exceptions', 'section 13', { more: '(tag $e)', onBatch: '(throw $e)' }],
    [
      'catching all',
      'instruction 0x1f',
      { onBatch: '(block (try_table (catch_all 0) (call $onBatch)))' },
    ],
    [
      'catching all as it used to be',
      'instruction 0x6',
      { onBatch: '(try (do (call $onBatch)) (catch_all))' },
    ],
    ['tail calls', 'instruction 0x12', { onBatch: '(return_call $onBatch)' }],
    ['references to functions', 'instruction 0xd2', { onBatch: '(drop (ref.func $onBatch))' }],
    ['structures', 'type', { more: '(type $s (struct (field i32))) (func (param (ref null $s)))' }],
    ['references of the host', 'type', { more: '(func (param externref))' }],
  ] as const)('for %s', async (_, fault, parts) => {
    expect(await faultOf(parts)).toBe(fault);
  });
});

function growing(): WatParts {
  return {
    more: '(table $t 1 funcref)',
    onBatch: '(drop (table.grow $t (ref.null func) (i32.const 1)))',
  };
}

function importing(name: string, what: string): WatParts {
  const [kind, ...type] = what.split(' ');
  return {
    imports: `(import ${name} (${kind} $other ${type.join(' ')}))
      (import "trackseal" "subscribe" (func $subscribe (param i32)))`,
  };
}

function exported(name: 'version' | 'input', type: string): WatParts {
  return { [name]: `(func (export "${name}") ${type})` };
}

describe('the list of instructions', () => {
  it('is read in step with V8, whatever the form of an immediate', () => {
    for (const one of [...MISLEADING, MISLEADING.flat()]) {
      const bytes = strategyWith(...one);
      expect([one, WebAssembly.validate(bytes), moduleFault(bytes)]).toEqual([one, true, null]);
      const more = strategyWith(...one, ...RELAXED);
      expect(WebAssembly.validate(more)).toBe(true);
      expect([one, moduleFault(more)]).toEqual([one, 'instruction 0xfd']);
    }
  });

  it('does not read beyond the end of a function', () => {
    expect(moduleFault(strategyWith(0x44))).toBe('code');
  });

  it('has no blocks of other types', () => {
    for (const [type, fault] of [
      [0x7e, null],
      [0x7b, 'type'],
      [0x70, 'type'],
      [0x6f, 'type'],
    ] as const) {
      const bytes = strategyWith(0x02, type, 0x00, 0x0b, 0x1a);
      expect(WebAssembly.validate(bytes)).toBe(true);
      expect([type, moduleFault(bytes)]).toEqual([type, fault]);
    }
  });

  it('is closed: of all that V8 takes nothing else gets in', () => {
    const allowed = new Set([
      ...between(0x00, 0x05),
      ...between(0x0b, 0x11),
      ...between(0x1a, 0x1c),
      ...between(0x20, 0x24),
      ...between(0x28, 0xc4),
      ...between(0xfc00, 0xfc0b),
    ]);
    const zeros = between(0, 20).map((count) => Array<number>(count).fill(0));
    const forms = [
      ...zeros,
      ...zeros.map((bytes) => [0x40].concat(bytes, 0x0b)),
      ...[0x7f, 0x7e, 0x7b, 0x70].map((type) => [1, type]),
      [0x70],
      // An else has its if.
      [0x0b],
    ];
    const seen = new Set<number>();
    const faults = new Set<string>();
    const opcodes = [...between(0, 0xfb), ...between(0xfc00, 0xfc40), 0xfd, 0xfe, 0xff];
    for (const opcode of opcodes) {
      const head = opcode > 0xff ? [opcode >> 8, opcode & 0xff] : [opcode];
      for (const form of forms) {
        // After unreachable every type fits; the second one takes what is left on the stack. An else has its
        // if before it, an end its block.
        const opened = opcode === 0x05 ? [0x04, 0x40] : opcode === 0x0b ? [0x02, 0x40] : [];
        const before = [0x00].concat(opened);
        const bytes = strategyWith(...before, ...head, ...form, 0x00);
        if (!WebAssembly.validate(bytes)) continue;
        const fault = moduleFault(bytes);
        if (fault === null) seen.add(opcode);
        else if (allowed.has(opcode)) faults.add(fault);
      }
    }
    expect(sorted(seen)).toEqual(sorted(allowed));
    // Of instructions that are allowed, the forms for vectors, references and a second memory are not.
    expect([...faults].sort()).toEqual(['memory index', 'type']);
  });
});

describe('bytes of any kind', () => {
  it('cut anywhere are refused, by this reader or by V8', async () => {
    const bytes = strategyWith(...MISLEADING.flat());
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.slice(0, length);
      expect([length, moduleFault(cut) === null && WebAssembly.validate(cut)]).toEqual([
        length,
        false,
      ]);
    }
  });

  it('never make it throw', async () => {
    const good = await strategyOf({ onBatch: watSignal() });
    const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255), cut: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        let bytes = good;
        for (const { at, byte, cut } of changes) {
          const rest = bytes.subarray(Math.min(at + cut, bytes.length));
          bytes = concatBytes(bytes.subarray(0, at), Uint8Array.of(byte), rest);
        }
        const fault = moduleFault(bytes);
        expect(fault === null || fault.length > 0).toBe(true);
      }),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
        const bytes = concatBytes(good.subarray(0, 8), tail);
        expect(moduleFault(bytes)).not.toBeNull();
      }),
      { numRuns: 5000 },
    );
  });
});

/** `(a, b: i32, c: i64) → i32` of the document as parameters and result of the text format. */
function typeOf(documented: string): string {
  const [parameters = '', result = ''] = documented.split(' → ');
  const names = parameters
    .slice(1, -1)
    .split(', ')
    .filter((name) => name !== '');
  const types = names.map((_, at) =>
    names
      .slice(at)
      .find((name) => name.includes(': '))
      ?.slice(-3),
  );
  const results = result === '()' ? '' : `(result ${result})`;
  return `(param ${types.join(' ')}) ${results}`;
}

/** Names and types of a table of the document. */
function rowsOf(table = ''): readonly (readonly [string, string])[] {
  const rows = table.matchAll(/^\| `(\w+)` +\| (\(.*?\) → \S+)/gmu);
  return [...rows].map(([, name = '', type = '']) => [name, type]);
}

it('docs/PROTOCOL.md has the imports and exports that are taken', async () => {
  const document = await readFile(join(ROOT, 'docs/PROTOCOL.md'), 'utf8');
  const start = document.indexOf('### WebAssembly strategies');
  const chapter = document.slice(start, document.indexOf('The input area, little'));
  const [exports, imports] = chapter.split('It may import these functions');
  const [imported, exported_] = [rowsOf(imports), rowsOf(exports)];
  expect([imported.length, exported_.length]).toEqual([10, 5]);
  const lines = [
    ...imported.map(
      ([name, type]) => `(import "trackseal" "${name}" (func $${name} ${typeOf(type)}))`,
    ),
    '(memory (export "memory") 2 16)',
    ...exported_.map(([name, type]) => `(func (export "${name}") ${typeOf(type)} (unreachable))`),
  ];
  expect(moduleFault(await assemble(`(module ${lines.join('\n')})`))).toBeNull();
});
