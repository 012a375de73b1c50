// trackseal strategy new, test and backtest as an author uses them: what `new` writes compiles, passes, packs and
// runs in both languages; a strategy that does something else fails with its place; what cannot run says why.

import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { run as backtest } from '../../scripts/strategy-backtest.ts';
import { run as create } from '../../scripts/strategy-new.ts';
import { run as pack } from '../../scripts/strategy-pack.ts';
import { run as test } from '../../scripts/strategy-test.ts';
import type { CommandIo } from '../../verifier/io.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import { ROOT } from '../enclave/strategy/support.ts';
import { CAPTURE, newFolder } from './kit/support.ts';

interface Said {
  readonly exit: number;
  readonly out: string;
  readonly errors: string;
  readonly json: Readonly<Record<string, unknown>>;
}

type Command = (args: readonly string[], io: CommandIo) => Promise<number>;

async function say(command: Command, ...args: readonly string[]): Promise<Said> {
  const said = { out: '', errors: '' };
  const exit = await command(args, {
    stdout: (text) => (said.out += text),
    stderr: (text) => (said.errors += text),
    isTerminal: false,
    env: {},
  });
  const json = said.out.startsWith('{') ? (JSON.parse(said.out) as Said['json']) : {};
  return { exit, ...said, json };
}

let folder = '';
beforeAll(async () => {
  folder = await newFolder();
  const plain = await say(create, 'plain', '--dir', join(folder, 'plain'));
  const module = await say(create, 'module', '--wasm', '--dir', join(folder, 'module'));
  if (plain.exit + module.exit > 0) throw new Error(plain.errors + module.errors);
});

/** A quiet backtest over the first rows. */
function short(path: string): Promise<Said> {
  return say(backtest, join(folder, path), '--capture', CAPTURE, '--limit', '60000', '--json');
}

function compile(path: string): { readonly status: number | null; readonly said: string } {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', path], { encoding: 'utf8' });
  return { status, said: stdout };
}

/** A copy of the strategy with one text replaced by another. */
async function changed(file: string, from: string, to: string): Promise<string> {
  const copy = await newFolder();
  const path = join(copy, 'copy');
  await cp(join(folder, 'plain'), path, { recursive: true });
  const text = await readFile(join(path, file), 'utf8');
  expect(text).toContain(from);
  await writeFile(join(path, file), text.replace(from, to));
  return path;
}

describe('trackseal strategy new', () => {
  it('writes what compiles, passes its scenarios and packs, in both languages', async () => {
    expect(compile(join(folder, 'plain'))).toEqual({ status: 0, said: '' });
    for (const name of ['plain', 'module']) {
      const path = join(folder, name);
      const tested = await say(test, path, '--json');
      expect([tested.exit, tested.json['verdict']], tested.out).toEqual([0, 'passed']);
      expect(tested.json['scenarios']).toHaveLength(5);
      const packed = await say(pack, path, '-o', join(path, 'pack'));
      expect([packed.exit, packed.json['name']], packed.errors).toEqual([0, name]);
      // The bundle that is to be sealed, under the scenarios of the folder that it lies in.
      const bundle = join(path, 'pack', name === 'plain' ? 'bundle.js' : 'bundle.wasm');
      const sealed = await say(test, bundle);
      expect([sealed.exit, sealed.errors], sealed.out).toEqual([0, '']);
    }
    const readme = await readFile(join(folder, 'module/README.md'), 'utf8');
    expect(readme).toMatch(/^# module\n(?:.|\n)*`assembly\/strategy\.ts`/u);
  });

  it('gives the same signals in both languages, over real data, packed or not', async () => {
    const plain = await short('plain');
    const module = await short('module');
    const packed = await short('plain/pack');
    expect(plain.exit, plain.errors).toBe(0);
    expect(Number(plain.json['signals'])).toBeGreaterThan(20);
    for (const { json } of [module, packed]) {
      expect(json['outputs_sha256']).toBe(plain.json['outputs_sha256']);
      expect(json['by_instrument']).toEqual(plain.json['by_instrument']);
    }
    expect(packed.json['root']).not.toBe(module.json['root']);
  });

  it('does not write over anything, and wants a name', async () => {
    const full = await say(create, 'other', '--dir', join(folder, 'plain'));
    expect([full.exit, full.errors]).toEqual([2, expect.stringContaining('not empty')]);
    const empty = join(folder, 'empty');
    await mkdir(empty);
    expect((await say(create, 'x', '--dir', empty, '--json')).json).toMatchObject({
      verdict: 'written',
      files: expect.arrayContaining(['strategy.ts', 'scenarios.json']),
    });
    for (const args of [[], ['a b'], ['../a'], ['-'], ['a', 'b'], ['a', '--no-such-option']]) {
      const { exit, errors } = await say(create, ...args);
      expect([exit, errors]).toEqual([2, expect.stringContaining('usage_invalid')]);
    }
  });
});

const FOLLOW = 'followOrder(context);';

describe('trackseal strategy test', () => {
  it('shows what came instead, and where', async () => {
    const path = await changed('strategy.ts', 'askPrice + slippage', 'askPrice + slippage + 1');
    const { exit, out } = await say(test, path);
    expect(exit).toBe(1);
    expect(out).toMatch(/^FAILED {2}copy: 2 of 5 scenarios\n/u);
    expect(out).toContain('steps.5, 50 ms: other signals than expected');
    expect(out).toContain('- {"side":"buy","quantity":"0.10000","limit":"2683.83","ttl_ms":500}');
    expect(out).toContain('+ {"side":"buy","quantity":"0.10000","limit":"2683.84","ttl_ms":500}');
    expect(out).toContain('copy the lines into `expect`');
    const one = await say(test, path, '--only', 'refuses parameters out of range', '--json');
    expect([one.exit, one.json['scenarios']]).toMatchObject([
      0,
      [{ ended: 'strategy_parameters' }],
    ]);
  });

  it.each([
    [
      'a signal too many',
      'context.book(instrument);',
      'context.book(instrument); context.signal({ instrument, side: BUY, quantity: 1, limit: 1, ttlMs: 1 });',
      'other signals than expected',
    ],
    ['a crash', FOLLOW, 'throw new Error("secret");', 'it ended with strategy_crashed'],
    ['a loop', FOLLOW, 'for (;;);', 'it ended with strategy_over_budget'],
    [
      'a wrong quantity',
      'quantity: buys ? quantity : position',
      'quantity: 0.5',
      'it ended with strategy_output_malformed',
    ],
    [
      'a promise',
      'function onBatch(',
      'async function onBatch(',
      'it ended with strategy_malformed',
    ],
  ])('finds %s', async (_, from, to, what) => {
    const path = await changed('strategy.ts', from, to);
    const scenarios = join(path, 'scenarios.json');
    const text = await readFile(scenarios, 'utf8');
    const quick = '"time_budget_ms": 2000, "parameters": { "lookback": 3';
    await writeFile(scenarios, text.replace('"parameters": { "lookback": 3', quick));
    const only = ['--only', 'buys a breakout, and sells after the holding time'];
    const { exit, out } = await say(test, path, ...only);
    expect(exit).toBe(1);
    expect(out).toContain(what);
    expect(out).not.toContain('secret');
  });

  it('finds a strategy that is not determined', async () => {
    const runner = join(await newFolder(), 'runner.ts');
    await writeFile(runner, randomRunner());
    const program: RunnerProgram = { execPath: process.execPath, flags: [], path: runner };
    const path = join(folder, 'plain');
    const scenarios = join(await newFolder(), 'scenarios.json');
    const trade = { trade: { side: 'buy', price: '1.00', quantity: '1' } };
    const steps = [trade, { expect: [{ side: 'buy' }] }];
    await writeFile(scenarios, JSON.stringify({ scenarios: [{ name: 'any', steps }] }));
    const random: Command = (args, io) => test(args, io, program);
    const { exit, out } = await say(random, path, '--scenarios', scenarios);
    expect([exit, out]).toEqual([1, expect.stringContaining('not determined: two processes')]);
  });

  it.each([
    ['{', 'json_malformed'],
    ['{}', 'scenarios: Invalid input'],
    [
      '{"scenarios": [{"name": "a", "steps": [{"trad": 1}]}]}',
      'scenarios.0.steps.0: exactly one of',
    ],
    [
      '{"scenarios": [{"name": "a", "steps": [{"after": 5}]}]}',
      'scenarios.0.steps.0: exactly one of',
    ],
    [
      '{"scenarios": [{"name": "a", "steps": [{"repeat": 2, "steps": [{"best": {"bid": ["1", "1"]}}]}]}]}',
      'scenarios.0.steps.0.steps.0.best.ask',
    ],
    ['{"scenarios": [{"name": "a", "steps": [], "ends": "tired"}]}', 'scenarios.0.ends: a code of'],
    [
      '{"scenarios": [{"name": "a", "steps": []}, {"name": "a", "steps": []}]}',
      'two scenarios are called',
    ],
    ['{"instruments": [], "scenarios": [{"name": "a", "steps": []}]}', 'config_invalid'],
  ])('refuses %s', async (text, what) => {
    const file = join(await newFolder(), 'scenarios.json');
    await writeFile(file, text);
    const { exit, errors } = await say(test, join(folder, 'plain'), '--scenarios', file);
    expect([exit, errors]).toEqual([2, expect.stringContaining(what)]);
    expect(errors).toMatch(/\n {2}next {10}\S/u);
  });

  it.each([
    [
      { trade: { side: 'buy', price: '1.001', quantity: '1' } },
      'price 1.001: the table has 2 decimals',
    ],
    [
      { trade: { side: 'buy', price: '1', quantity: '0.000001' } },
      'quantity 0.000001: the table has 5',
    ],
    [{ instrument: 'XRP', trade: { side: 'buy', price: '1', quantity: '1' } }, 'no instrument XRP'],
    [{ report: { signal: 3, status: 'filled' } }, 'there is no signal 3 yet'],
    [{ expect: [{ side: 'buy' }] }, 'other signals than expected'],
    [
      { repeat: 3, drift: '-1', steps: [{ trade: { side: 'buy', price: '1', quantity: '1' } }] },
      'drifted out of range',
    ],
  ])('fails at a step that cannot be played: %j', async (step, what) => {
    const file = join(await newFolder(), 'scenarios.json');
    await writeFile(file, JSON.stringify({ scenarios: [{ name: 'a', steps: [step] }] }));
    const { exit, out } = await say(test, join(folder, 'plain'), '--scenarios', file);
    expect([exit, out]).toEqual([1, expect.stringContaining(what)]);
  });

  it.each(['plain', 'module'])('shows the words of the builder: %s', async (name) => {
    const copy = join(await newFolder(), 'copy');
    await cp(join(folder, name), copy, { recursive: true });
    const file = join(copy, name === 'plain' ? 'strategy.ts' : 'assembly/strategy.ts');
    await writeFile(file, `${await readFile(file, 'utf8')}\nlet broken: = 1;\n`);
    for (const [command, ...more] of [[test], [backtest, '--capture', CAPTURE]] as const) {
      const { exit, errors } = await say(command, copy, ...more);
      expect(exit).toBe(2);
      expect(errors).toMatch(/^UNDECIDED {2}strategy_malformed(?:.|\n)*strategy\.ts/u);
    }
  });

  it('passes the example of the guide', async () => {
    const guide = await readFile(join(ROOT, 'docs/STRATEGIES.md'), 'utf8');
    const [, example = ''] = /```json\n((?:.|\n)*?)```/u.exec(guide) ?? [];
    const file = join(await newFolder(), 'scenarios.json');
    await writeFile(file, example);
    const { exit, out } = await say(test, join(folder, 'plain'), '--scenarios', file);
    expect([exit, out]).toEqual([0, expect.stringContaining('buys a breakout')]);
  });

  it('says what is missing', async () => {
    const bare = await newFolder();
    const none = await say(test, bare, '--json');
    expect([none.exit, none.json]).toMatchObject([
      2,
      { verdict: 'undecided', code: 'file_unreadable' },
    ]);
    await cp(join(folder, 'plain/strategy.ts'), join(bare, 'strategy.ts'));
    expect((await say(test, bare)).errors).toContain('no scenarios.json beside the strategy');
    await cp(join(folder, 'plain/scenarios.json'), join(bare, 'scenarios.json'));
    expect((await say(test, bare)).errors).toContain('no instruments');
    const other = await say(test, join(folder, 'plain'), '--only', 'nothing');
    expect([other.exit, other.errors]).toEqual([2, expect.stringContaining('"buys a breakout')]);
  });
});

describe('trackseal strategy backtest', () => {
  it('writes picture and fills, runs twice, and takes an operator’s file', async () => {
    const path = join(folder, 'plain');
    const host = join(folder, 'host.json');
    await writeFile(host, JSON.stringify(hostFile()));
    const [plot, fills] = [join(folder, 'p.svg'), join(folder, 'f.csv')];
    const more = ['--twice', '--plot', plot, '--fills', fills, '--host', host, '--json'];
    const { exit, json, errors } = await say(backtest, path, '--capture', CAPTURE, ...more);
    expect([exit, errors]).toEqual([0, '']);
    expect(json).toMatchObject({
      verdict: 'ran',
      twice_identical: true,
      cuts: { rows: 128, ms: 20 },
      rows: expect.any(Number),
      model: { latency_ms: 7, taker_fee_ppm: 400, limits: true },
      captures: [{ ended: 'limit' }],
    });
    expect(Number(json['rows'])).toBeGreaterThanOrEqual(40_000);
    const [one] = json['by_instrument'] as { fills: number; orders: { rejected: object } }[];
    // The firm's limit is one order.
    expect(Object.keys(one?.orders.rejected ?? {})).toEqual(['risk_order_rate']);
    expect(await readFile(plot, 'utf8')).toMatch(/^<svg (?:.|\n)*<\/svg>\n$/u);
    expect((await readFile(fills, 'utf8')).trimEnd().split('\r\n')).toHaveLength(
      1 + (one?.fills ?? 0),
    );
  });

  it('makes the table from the capture when there is none, and shows it', async () => {
    const bare = await newFolder();
    for (const file of ['strategy.ts', 'parameters.json']) {
      await cp(join(folder, 'plain', file), join(bare, file));
    }
    const args = ['--capture', CAPTURE, '--limit', '5000', '--json'];
    const { exit, json, errors } = await say(backtest, bare, ...args);
    expect(exit).toBe(0);
    expect(errors).toContain('made from the captures');
    const shown = JSON.parse(errors.slice(errors.indexOf('['))) as unknown;
    expect(shown).toEqual(json['instruments']);
  });

  it('ends with the strategy, and with its code', async () => {
    const path = await changed('strategy.ts', 'followOrder(context);', 'null.x;');
    const { exit, out, errors } = await say(
      backtest,
      path,
      '--capture',
      CAPTURE,
      '--limit',
      '5000',
    );
    expect(exit).toBe(1);
    expect(out).toMatch(/^ENDED {2}copy/u);
    expect(errors).toMatch(
      /^REFUSED {2}strategy_crashed(?:.|\n)*batch +0\n(?:.|\n)*strategy test/u,
    );
  });

  it.each([
    [[], 'give --capture'],
    [['--capture', '/nonexistent'], 'file_unreadable'],
    [['--capture', join(ROOT, 'README.md')], 'capture_malformed'],
    [['--capture', CAPTURE, '--rows', '0'], '--rows: a whole number, 1 to 1024'],
    [['--capture', CAPTURE, '--rows', '1025'], '--rows'],
    [['--capture', CAPTURE, '--ms', '1.5'], '--ms'],
    [['--capture', CAPTURE, '--limit', '0'], '--limit'],
    [['--capture', CAPTURE, '--seed', '00'], '--seed: 64 hex digits'],
    [['--capture', CAPTURE, '--latency-ms', '-1'], '--latency-ms'],
    [['--capture', CAPTURE, '--time-budget', '60001'], '--time-budget'],
    [['--capture', CAPTURE, '--host', '/nonexistent'], 'file_unreadable'],
    [['--capture', CAPTURE, '--parameters', '/nonexistent'], 'file_unreadable'],
    [['--capture', CAPTURE, '--instruments', join(ROOT, 'package.json')], 'config_invalid'],
    [['--capture', CAPTURE, '--like', '/nonexistent'], '--like takes one --capture and --key'],
    [['--capture', CAPTURE, '--like', '/nonexistent', '--key', '/nonexistent'], 'file_unreadable'],
  ])('cannot run with %j', async (args, what) => {
    const { exit, errors } = await say(backtest, join(folder, 'plain'), ...args);
    expect([exit, errors]).toEqual([2, expect.stringContaining(what)]);
    expect(errors).toMatch(/\n {2}next {10}\S/u);
  });

  it('refuses a capture of other instruments, or with more decimals than the table', async () => {
    const other = await changed('instruments.json', 'ETHUSDT', 'BTCUSDT');
    expect((await say(backtest, other, '--capture', CAPTURE)).errors).toContain(
      'instrument_unknown',
    );
    const coarse = await changed('instruments.json', '"quantity_scale": 5', '"quantity_scale": 3');
    const { exit, errors } = await say(backtest, coarse, '--capture', CAPTURE);
    expect([exit, errors]).toEqual([
      2,
      expect.stringMatching(/capture_malformed(?:.|\n)*line +\d/u),
    ]);
  });
});

function hostFile(): object {
  return {
    transport: 'unix:/nonexistent',
    state: 'state',
    log: 'log',
    configuration: 'configuration.json',
    strategies: [],
    enclave: { command: null },
    feed: {
      stream: 1,
      capture: 'x',
      speed: null,
      close_rows: 128,
      close_ms: 20,
      limit_events: 40_000,
    },
    execution: {
      paper: { latency_ms: 7, taker_fee_ppm: 400, maker_fee_ppm: 50, slippage_ticks: 0 },
      limits: {
        max_order_notional: '10000',
        max_position_notional: '20000',
        max_orders: 1,
        order_window_ms: 86_400_000,
        price_band_ppm: 5000,
        max_daily_loss: '5000',
      },
    },
    tiles: null,
    ingress: null,
  };
}

/** The path as text of a program. */
function from(path: string): string {
  return JSON.stringify(join(ROOT, path));
}

/** A runner that answers every batch with a signal of a random quantity. */
function randomRunner(): string {
  return `
import { readSync, writeSync } from 'node:fs';
import { parseBatch } from ${from('wire/batch.ts')};
import { FrameDecoder, encodeFrame } from ${from('wire/frame.ts')};
import { FRAME } from ${from('wire/messages.ts')};
import { encodeSignal } from ${from('wire/payloads.ts')};
import { assertAccepted } from ${from('wire/result.ts')};
import { encodeStrategyOutputs, encodeStrategyStarted, parseStrategyInput } from ${from('wire/strategy-messages.ts')};
const decoder = new FrameDecoder({ maxPayloadBytes: new Map([[FRAME.start, 8e6], [FRAME.input, 8e6]]) });
const buffer = new Uint8Array(1e6);
let id = 0;
for (;;) {
  const count = readSync(0, buffer);
  if (count === 0) break;
  for (const { type, payload } of decoder.push(buffer.slice(0, count)).frames) {
    if (type === FRAME.start) writeSync(1, encodeFrame(FRAME.started, encodeStrategyStarted([1])));
    if (type !== FRAME.input) continue;
    const { leafIndex, bytes } = assertAccepted(parseStrategyInput(payload));
    const quantity = 1 + Math.floor(Math.random() * 2 ** 40);
    const decisionNs = assertAccepted(parseBatch(bytes)).timeNs;
    const signal = { id: id++, instrument: 1, side: 1, quantity, limit: 1, ttlMs: 1, decisionNs, causes: [leafIndex] };
    writeSync(1, encodeFrame(FRAME.outputs, encodeStrategyOutputs({ leafIndex, outputs: [encodeSignal(signal)] })));
  }
}
`;
}
