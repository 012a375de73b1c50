// A WebAssembly strategy in its process: what it is given, and what becomes of one that misbehaves.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseUtf8 } from '../../../wire/bytes.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import { runnerFlags } from '../../../wire/node/strategy-program.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import { MAX_TTL_MS, STATUS } from '../../../wire/payloads.ts';
import type { WatParts } from '../../helpers/wat.ts';
import { strategyOf, watSignal } from '../../helpers/wat.ts';
import {
  ROOT,
  Watched,
  batchOf,
  fateOf,
  reportOf,
  runFrames,
  specification,
  timeOf,
  tradeRow,
} from './support.ts';

const PAGE = 65_536;
const AREA = 52_288;

async function fateOfWat(
  parts: WatParts,
  count = 2,
  limits: Parameters<typeof fateOf>[2] = {},
): Promise<RefusalCode | 'runs'> {
  return fateOf(await strategyOf(parts), count, limits);
}

/** What i64 expressions come to, each in one batch of its own: the quantities of signals, less 1. */
async function valuesOf(
  expressions: readonly string[],
  parts: WatParts = {},
  feed: (watched: Watched) => Promise<void> = (watched) => watched.feed(1),
): Promise<readonly number[]> {
  const signals = expressions.map((one) =>
    watSignal({ quantity: `(i64.add (i64.const 1) ${one})` }),
  );
  const bundle = await strategyOf({ ...parts, onBatch: signals.join('\n') });
  const watched = await Watched.start(specification(bundle));
  await feed(watched);
  const outputs = watched.answers.at(-1)?.outputs ?? [];
  await watched.strategy.stop();
  expect(watched.endedCodes).toEqual([]);
  return outputs.map(({ signal }) => signal.quantity - 1);
}

const SUBSCRIBE = '(call $subscribe (i32.const 7))';

function version(body: string): WatParts {
  return { version: `(func (export "version") (result i32) ${body})` };
}

function input(address: number): WatParts {
  return { input: `(func (export "input") (result i32) (i32.const ${address}))` };
}

function atLoad(body: string): WatParts {
  return { more: `(func $load ${body}) (start $load)` };
}

function configured(body: string, answer = 1): WatParts {
  return { configure: `${body} (i32.const ${answer})` };
}

function subscribed(...ids: readonly number[]): WatParts {
  return configured(ids.map((id) => `(call $subscribe (i32.const ${id}))`).join(' '));
}

function withBars(...intervals: readonly number[]): WatParts {
  return configured(SUBSCRIBE + intervals.map((ms) => `(call $bars (i32.const ${ms}))`).join(' '));
}

/** One slot, of instrument 7, with price scale 2, and nothing known of it. */
const SLOTS_ARE_THERE: string = [
  trapUnlessZero('(i64.sub (i64.load32_u (i32.const 24)) (i64.const 1))'),
  trapUnlessZero(`(i64.sub ${loadAt(46_144)} (i64.const 7))`),
  trapUnlessZero(`(i64.sub ${loadAt(46_144 + 8)} (i64.const 2))`),
  trapUnlessZero(loadAt(46_144 + 24)),
  trapUnlessZero(loadAt(46_144 + 40)),
].join(' ');

/** Needs a local i32 as variable 0. */
function times(count: number, body: string): string {
  return `(loop $again ${body}
    (local.set 0 (i32.add (local.get 0) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get 0) (i32.const ${count}))))`;
}

function callOf(name: string, ...values: readonly number[]): string {
  return `(call $${name} ${values.map((value) => `(i32.const ${value})`).join(' ')})`;
}

function loadAt(address: number): string {
  return `(i64.load (i32.const ${address}))`;
}

function trapUnlessZero(expression: string): string {
  return `(if (i64.ne (i64.const 0) ${expression}) (then (unreachable)))`;
}

describe('a WebAssembly strategy at its start', () => {
  const malformed = 'strategy_malformed';
  const crashed = 'strategy_crashed';
  it.each([
    ['is no module that V8 takes', malformed, { onBatch: '(i32.const 1)' }],
    [
      'imports a function of another module',
      malformed,
      { imports: '(import "env" "f" (func $subscribe (param i32)))' },
    ],
    ['has shared memory', malformed, { memory: '(memory (export "memory") 2 16 shared)' }],
    ['has exceptions', malformed, { onBatch: '(block (try_table (catch_all 0) (unreachable)))' }],
    ['is of another version', malformed, version('(i32.const 2)')],
    ['traps when asked for its version', malformed, version('(unreachable)')],
    ['puts its input where there is no memory', malformed, input(2 * PAGE)],
    ['puts its input so that it ends outside', malformed, input(2 * PAGE - AREA + 8)],
    ['puts its input at the very end', 'runs', input(2 * PAGE - AREA)],
    ['puts its input at a negative address', malformed, input(-8)],
    ['puts its input at an odd address', malformed, input(4)],
    ['traps in its start function', malformed, atLoad('(unreachable)')],
    ['signals in its start function', malformed, atLoad(watSignal())],
    ['subscribes in its start function', malformed, atLoad(SUBSCRIBE)],
    ['traps while it is configured', crashed, { configure: '(unreachable)' }],
    ['signals while it is configured', crashed, configured(watSignal())],
    ['finds its slots in start', 'runs', { start: SLOTS_ARE_THERE }],
    ['traps in start', crashed, { start: '(unreachable)' }],
    ['signals in start', crashed, { start: watSignal() }],
    ['subscribes in start', crashed, { start: SUBSCRIBE }],
    ['asks for bars in a batch', crashed, { onBatch: '(call $bars (i32.const 7))' }],
    ['refuses its parameters', 'strategy_parameters', configured(SUBSCRIBE, 0)],
    ['answers 2', 'strategy_parameters', configured(SUBSCRIBE, 2)],
    ['subscribes to nothing', malformed, configured('')],
    ['subscribes to an unknown instrument', 'instrument_unknown', subscribed(7, 4)],
    ['subscribes to instrument 0', 'instrument_unknown', subscribed(0)],
    ['subscribes 64 times', 'runs', subscribed(...Array<number>(64).fill(7))],
    ['subscribes 65 times', malformed, subscribed(...Array<number>(65).fill(7))],
    [
      'asks for fifty million intervals',
      malformed,
      configured(`(local i32) ${SUBSCRIBE} ${times(5e7, '(call $bars (i32.const 1))')}`),
    ],
    ['has four intervals', 'runs', withBars(1, 2, 3, MAX_TTL_MS)],
    ['has five intervals', malformed, withBars(1, 2, 3, 4, 5)],
    ['has an interval of 0', malformed, withBars(0)],
    ['has an interval beyond a day', malformed, withBars(MAX_TTL_MS + 1)],
    ['has a negative interval', malformed, withBars(-1)],
  ] as const)('that %s: %s', async (_, code, parts) => {
    expect(await fateOfWat(parts)).toBe(code);
  });

  it.each([
    ['its start function', atLoad('(loop $l (br $l))')],
    ['version', version('(loop $l (br $l)) (i32.const 1)')],
    ['configure', configured('(loop $l (br $l))')],
    ['start', { start: '(loop $l (br $l))' }],
  ] as const)('that loops forever in %s', async (_, parts) => {
    expect(await fateOfWat(parts, 1, { startMs: 500 })).toBe('strategy_over_budget');
  });
});

describe('a hostile WebAssembly strategy', () => {
  it.each([
    ['traps', 'strategy_crashed', '(unreachable)'],
    ['divides by zero', 'strategy_crashed', '(drop (i32.div_u (i32.const 1) (i32.const 0)))'],
    [
      'reads beyond its memory',
      'strategy_crashed',
      `(drop (i32.load (i32.const ${2 * PAGE - 3})))`,
    ],
    ['writes beyond its memory', 'strategy_crashed', '(i32.store (i32.const -1) (i32.const 1))'],
    [
      'copies beyond its memory',
      'strategy_crashed',
      '(memory.copy (i32.const 0) (i32.const 1) (i32.const -1))',
    ],
    ['makes an integer of a NaN', 'strategy_crashed', '(drop (i64.trunc_f64_s (f64.const nan)))'],
    ['calls itself endlessly', 'strategy_crashed', '(call $onBatch)'],
    ['sends 64 signals', 'runs', `(local i32) ${times(64, watSignal())}`],
    ['sends 65 signals', 'strategy_output_limit', `(local i32) ${times(65, watSignal())}`],
    ['sends a million signals', 'strategy_output_limit', `(local i32) ${times(1e6, watSignal())}`],
    ['sends signals, then traps', 'strategy_crashed', `${watSignal()} (unreachable)`],
  ] as const)('that %s: %s', async (_, code, onBatch) => {
    expect(await fateOfWat({ onBatch })).toBe(code);
  });

  it.each([
    ['quantity', '0', false],
    ['quantity', '1', true],
    ['quantity', '9007199254740991', true],
    ['quantity', '9007199254740992', false],
    ['quantity', '9007199254740993', false],
    ['quantity', '9223372036854775807', false],
    ['quantity', '-1', false],
    ['quantity', '-9223372036854775808', false],
    ['limit', '0', false],
    ['limit', '1', true],
    ['limit', '9007199254740991', true],
    ['limit', '9007199254740992', false],
    ['limit', '-1', false],
    ['ttlMs', '0', false],
    ['ttlMs', '1', true],
    ['ttlMs', '86400000', true],
    ['ttlMs', '86400001', false],
    ['ttlMs', '-1', false],
    ['side', '0', false],
    ['side', '1', true],
    ['side', '2', true],
    ['side', '3', false],
    ['side', '-1', false],
    ['instrument', '7', true],
    ['instrument', '3', false],
    ['instrument', '4', false],
    ['instrument', '-1', false],
  ] as const)('a signal with %s %s: %s', async (field, value, accepted) => {
    const type = field === 'quantity' || field === 'limit' ? 'i64' : 'i32';
    const onBatch = watSignal({ [field]: `(${type}.const ${value})` });
    const code = accepted ? 'runs' : 'strategy_output_malformed';
    expect(await fateOfWat({ onBatch }, 1)).toBe(code);
  });

  it('that loops forever is killed, and only once', async () => {
    const onBatch = `(global.set $batches (i32.add (global.get $batches) (i32.const 1)))
      (if (i32.eq (global.get $batches) (i32.const 3)) (then (loop $l (br $l)))) ${watSignal()}`;
    const bundle = await strategyOf({ onBatch, more: '(global $batches (mut i32) (i32.const 0))' });
    const watched = await Watched.start(specification(bundle), { batchMs: 200 });
    await watched.feed(5);
    expect(await watched.ended).toBe('strategy_over_budget');
    expect(watched.answers.length).toBe(2);
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual(['strategy_over_budget']);
  });

  it('that takes all its memory has that much and no more, and still gets its batches', async () => {
    const parts: WatParts = {
      memory: '(memory (export "memory") 1 4096)',
      start: `(drop (memory.grow (i32.const 4095)))
        (memory.fill (i32.const ${PAGE}) (i32.const 1) (i32.const ${4095 * PAGE}))`,
    };
    const values = await valuesOf(
      [
        '(i64.extend_i32_u (memory.size))',
        // One page too many: -1.
        '(i64.add (i64.const 1) (i64.extend_i32_s (memory.grow (i32.const 1))))',
        // Rows, quantity of the first row, sequence, from the area in the memory that has moved.
        '(i64.load32_u (i32.const 4))',
        '(i64.load (i32.const 29760))',
        '(i64.load (i32.const 8))',
      ],
      parts,
      (watched) => watched.feed(3),
    );
    expect(values).toEqual([4096, 0, 1, 100, 2]);
  });

  it('that writes over its input area harms only itself, until the next batch', async () => {
    const clobber = `(memory.fill (i32.const 0) (i32.const 255) (i32.const ${AREA}))`;
    const seen = watSignal({
      quantity: '(i64.load (i32.const 29760))',
      limit: '(i64.load (i32.const 21568))',
      ttlMs: '(i32.add (i32.const 1) (i32.load (i32.const 8)))',
      instrument: '(i32.wrap_i64 (i64.load (i32.const 46144)))',
    });
    const bundle = await strategyOf({ start: clobber, onBatch: `${seen} ${clobber}` });
    const watched = await Watched.start(specification(bundle));
    await watched.feed(3);
    await watched.strategy.stop();
    expect(watched.endedCodes).toEqual([]);
    const signals = watched.answers.flatMap(({ outputs }) => outputs.map(({ signal }) => signal));
    expect(signals.map(({ quantity, limit, ttlMs }) => [quantity, limit, ttlMs])).toEqual([
      [100, 268_380, 1],
      [100, 268_380, 2],
      [100, 268_380, 3],
    ]);
  });

  it('finds 0 where there is nothing, and no text beyond the end', async () => {
    const all = [-1, 0, 1, 64, 2147483647, -2147483648];
    const numbers = (count: number): readonly string[] => {
      const tuples = Array.from({ length: all.length ** count }, (_, index) =>
        Array.from(
          { length: count },
          (__, at) => all[Math.floor(index / all.length ** at) % all.length],
        ),
      );
      return tuples.map((tuple) => tuple.map((value) => `(i32.const ${value})`).join(' '));
    };
    const onBatch = [
      ...numbers(4).map((tuple) => trapUnlessZero(`(call $bar ${tuple})`)),
      ...numbers(4).map((tuple) => trapUnlessZero(`(call $level ${tuple})`)),
      ...numbers(3).map((tuple) => trapUnlessZero(`(call $fill ${tuple})`)),
      ...numbers(2).map((tuple) => trapUnlessZero(`(call $report ${tuple})`)),
      ...[-1, 2, 1024, 2147483647].map((index) =>
        trapUnlessZero(`(i64.extend_i32_s (call $instrument (i32.const ${index})))`),
      ),
      ...[
        [0, 0, 2],
        [0, 0, -1],
        [1, 2, 0],
        [1, 0, 7],
        [1, -1, 0],
        [4, 0, 0],
        [5, 0, 0],
        [-1, 0, 0],
      ].map((tuple) => {
        const values = tuple.map((value) => `(i32.const ${value})`).join(' ');
        return trapUnlessZero(`(i64.extend_i32_s (i32.add (i32.const 1) (call $text ${values})))`);
      }),
    ].join('\n');
    expect(await fateOfWat({ onBatch }, 1)).toBe('runs');
  });
});

/** As a module could ask for them, were it not refused before. */
const GREEDY = `
  import { writeSync } from 'node:fs';
  const acts = {
    memory4096: () => new WebAssembly.Memory({ initial: 4096, maximum: 4096 }),
    memory4097: () => new WebAssembly.Memory({ initial: 4097, maximum: 4097 }),
    grown4096: () => new WebAssembly.Memory({ initial: 1, maximum: 65536 }).grow(4095),
    grown4097: () => new WebAssembly.Memory({ initial: 1, maximum: 65536 }).grow(4096),
    table65536: () => new WebAssembly.Table({ initial: 65536, element: 'anyfunc' }),
    table65537: () => new WebAssembly.Table({ initial: 65537, element: 'anyfunc' }),
  };
  const done = Object.keys(acts).filter((name) => {
    try { acts[name](); return true; } catch { return false; }
  });
  writeSync(1, done.join());
  process.exit();`;

it('V8 itself gives no module of the runner more memory or larger tables', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
  const path = join(folder, 'greedy.mjs');
  await writeFile(path, GREEDY);
  const { execPath } = findRunner(ROOT);
  const said = await runFrames([], 1, { execPath, flags: runnerFlags(), path });
  await rm(folder, { recursive: true });
  expect(parseUtf8(said)).toBe('memory4096,grown4096,table65536');
});

describe('what a WebAssembly strategy is given', () => {
  it('its parameters, the names of the instruments, and random numbers of 53 bits', async () => {
    const values = await valuesOf([
      ...[0, 1].map(
        (at) => `(i64.extend_i32_u (call $text (i32.const 0) (i32.const 0) (i32.const ${at})))`,
      ),
      '(i64.extend_i32_u (call $text (i32.const 2) (i32.const 1) (i32.const 0)))',
      '(i64.extend_i32_u (call $text (i32.const 3) (i32.const 0) (i32.const 3)))',
      '(i64.extend_i32_u (call $instrument (i32.const 0)))',
      '(i64.extend_i32_u (call $instrument (i32.const 1)))',
      // The first keystream words for the seed of these tests are not in the RFC: any two that differ.
      '(i64.extend_i32_u (i64.ne (call $random) (call $random)))',
      '(i64.shr_u (call $random) (i64.const 53))',
    ]);
    expect(values).toEqual([...Buffer.from('{}Bt'), 7, 3, 1, 0]);
  });

  it('reports, their fills and reasons, and its position', async () => {
    const values = await valuesOf(
      [
        '(i64.load32_u (i32.const 28))',
        ...[1, 2, 3, 4, 5, 6].map((field) => callOf('report', 0, field)),
        ...[1, 2].map((field) => callOf('fill', 0, 0, field)),
        `(i64.sub (i64.const 0) ${callOf('fill', 0, 0, 3)})`,
        callOf('report', 1, 1),
        callOf('report', 1, 4),
        callOf('report', 1, 6),
        `(i64.extend_i32_u ${callOf('text', 4, 1, 5)})`,
        // Position of slot 0.
        `(i64.load (i32.const ${46_144 + 24}))`,
      ],
      {},
      async ({ strategy }) => {
        strategy.input(10, timeOf(0), batchOf(0));
        const fill = { number: 0, price: 268_001, quantity: 4, fee: -9, timeNs: timeOf(0) };
        strategy.fill(
          20,
          2,
          reportOf({ status: STATUS.partlyFilled, filledQuantity: 4, fills: [fill] }),
        );
        strategy.fill(
          21,
          3,
          reportOf({ status: STATUS.rejected, reason: 'risk_kill_switch', fills: [] }),
        );
        strategy.input(30, timeOf(1), batchOf(1));
        await strategy.settled();
      },
    );
    expect(values).toEqual([2, 2, 7, 1, 2, 4, 1, 268_001, 4, 9, 3, 6, 0, 'k'.charCodeAt(0), 4]);
  });

  it('rows of the subscribed instruments only, and the times of all', async () => {
    const values = await valuesOf(
      [
        '(i64.load32_u (i32.const 0))',
        '(i64.load32_u (i32.const 4))',
        '(i64.load32_u (i32.const 24))',
        ...[0, 1].map((row) => `(i64.load16_u (i32.const ${64 + 2 * row}))`),
        ...[0, 1].map((row) => loadAt(29_760 + 8 * row)),
        ...[0, 1].map((row) => loadAt(37_952 + 8 * row)),
        // In microseconds, for a quantity has 53 bits.
        `(i64.div_u ${loadAt(16)} (i64.const 1000))`,
        `(i64.div_u ${loadAt(5184 + 8)} (i64.const 1000))`,
        `(i64.div_u ${loadAt(13_376 + 8)} (i64.const 1000))`,
      ],
      {},
      async ({ strategy }) => {
        const rows = [3, 7, 3, 7].map((instrument, index) =>
          tradeRow(0, { instrument, quantity: 10 + index, id: 20 + index }),
        );
        strategy.input(10, timeOf(0), batchOf(0, rows));
        await strategy.settled();
      },
    );
    const micros = Number(timeOf(0) / 1000n);
    expect(values).toEqual([1, 2, 1, 7, 7, 11, 13, 21, 23, micros, micros, micros]);
  });
});
