import { copyFile, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../scripts/strategy-pack.ts';
import type { StrategyCommitment } from '../../scripts/strategy-pack.ts';
import { utf8 } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { isWebAssembly } from '../../wire/strategy-bundle.ts';
import { ROOT, fateOf } from '../enclave/strategy/support.ts';

const SOURCE = `
import * as z from 'zod/mini';
import { BUY, defineStrategy } from 'trackseal/strategy';
import { size } from './lib/size.ts';
const parameters = z.strictObject({ size: z.int().check(z.minimum(1)) });
export default defineStrategy({
  parameters,
  subscribe: () => [{ venue: 'binance', symbol: 'ETHUSDT', market: 'spot' as const }],
  start: () => ({}),
  onBatch(_, { signal, parameters }) {
    signal({ instrument: 7, side: BUY, quantity: size(parameters.size), limit: 1, ttlMs: 1 });
  },
});
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
  for (const place of ['a', 'b/c/d']) {
    await mkdir(join(folder, place, 'lib'), { recursive: true });
    await writeFile(join(folder, place, 'mine.ts'), SOURCE);
    await writeFile(
      join(folder, place, 'lib/size.ts'),
      'export const size = (n: number) => 2 * n;',
    );
  }
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function pack(...args: string[]): Promise<{ exit: number; out: string; errors: string }> {
  const said = { out: '', errors: '' };
  const exit = await run(args, {
    stdout: (text) => (said.out += text),
    stderr: (text) => (said.errors += text),
    isTerminal: false,
    env: {},
  });
  return { exit, ...said };
}

function commitmentOf(out: string): string {
  return (JSON.parse(out) as StrategyCommitment).commitment;
}

describe('trackseal strategy pack', () => {
  it('gives the same bytes and the same commitment from any folder', async () => {
    const [first, second] = [join(folder, 'out1'), join(folder, 'out2')];
    expect((await pack(join(folder, 'a/mine.ts'), '-o', first)).exit).toBe(0);
    const salt = join(first, 'salt');
    const again = await pack(join(folder, 'b/c/d/mine.ts'), '-o', second, '--salt', salt);
    expect(again.exit).toBe(0);
    for (const name of ['bundle.js', 'salt', 'commitment.json']) {
      expect(await readFile(join(second, name), 'utf8')).toBe(
        await readFile(join(first, name), 'utf8'),
      );
    }
    const bundle = await readFile(join(first, 'bundle.js'), 'utf8');
    expect(bundle).not.toContain(folder);
    expect(bundle).not.toContain(ROOT);
    expect(bundle).toContain('// strategy:lib/size.ts');
    expect(again.out).toBe(await readFile(join(first, 'commitment.json'), 'utf8'));
  });

  it('commits to salt and bundle, with a fresh salt each time', async () => {
    const out = join(folder, 'out3');
    const first = await pack(join(folder, 'a/mine.ts'), '-o', out, '--name', 'x', '--version', '2');
    const bundle = new Uint8Array(await readFile(join(out, 'bundle.js')));
    const salt = Buffer.from((await readFile(join(out, 'salt'), 'utf8')).trim(), 'hex');
    expect(JSON.parse(first.out)).toEqual({
      name: 'x',
      version: '2',
      commitment: Buffer.from(nodeCrypto.sha256(new Uint8Array(salt), bundle)).toString('hex'),
    });
    const second = await pack(join(folder, 'a/mine.ts'), '-o', out);
    expect(commitmentOf(second.out)).not.toBe(commitmentOf(first.out));
    expect(JSON.parse(second.out)).toMatchObject({ name: 'mine', version: '1.0.0' });
  });

  it('makes what a strategy process runs, zod included', async () => {
    const out = join(folder, 'out4');
    await pack(join(folder, 'a/mine.ts'), '-o', out);
    const bundle = await readFile(join(out, 'bundle.js'), 'utf8');
    const fate = (parameters: string): Promise<string> =>
      fateOf(bundle, 2, {}, { parameters: utf8(parameters) });
    expect(await fate('{"size": 1}')).toBe('runs');
    expect(await fate('{"size": 0}')).toBe('strategy_parameters');
    expect(await fate('{"size": 1.5}')).toBe('strategy_parameters');
    expect(await fate('{"size": 1, "more": 1}')).toBe('strategy_parameters');
    expect(await fate('{}')).toBe('strategy_parameters');
  });

  it('refuses what does not build, and wrong usage', async () => {
    const out = join(folder, 'out5');
    const broken = join(folder, 'broken.ts');
    for (const text of [
      "import 'node:fs'; export default 1;",
      'export default (;',
      "import './no';",
    ]) {
      await writeFile(broken, text);
      const { exit, errors } = await pack(broken, '-o', out);
      expect(exit).toBe(1);
      expect(errors).toContain('ERROR');
    }
    expect((await pack(join(folder, 'nothing.ts'), '-o', out)).exit).toBe(1);
    await copyFile(broken, join(folder, 'salt'));
    const wrong = [
      [],
      ['-o', out],
      [broken],
      [broken, broken, '-o', out],
      [broken, '-o', out, '--unknown'],
      [broken, '-o', out, '--salt', join(folder, 'salt')],
      [broken, '-o', out, '--salt', join(folder, 'none')],
    ];
    for (const args of wrong) expect((await pack(...args)).exit).toBe(2);
    expect((await pack('--help')).exit).toBe(0);
  });
});

describe('trackseal strategy pack of AssemblyScript', () => {
  const EXAMPLE = join(ROOT, 'strategies/assembly/mean-reversion.ts');

  it('gives the same bytes and the same commitment from any folder, whatever else lies there', async () => {
    const [first, second] = [join(folder, 'as1'), join(folder, 'as2')];
    expect((await pack(EXAMPLE, '-o', first)).exit).toBe(0);
    const copy = join(folder, 'e/f/assembly');
    await cp(join(ROOT, 'strategies/assembly'), copy, { recursive: true });
    await writeFile(join(copy, 'asconfig.json'), '{"options": {"optimizeLevel": 0}}');
    const salt = ['--salt', join(first, 'salt')];
    const again = await pack(join(copy, 'mean-reversion.ts'), '-o', second, ...salt);
    expect(again.exit).toBe(0);
    expect((await readdir(first)).sort()).toEqual(['bundle.wasm', 'commitment.json', 'salt']);
    const bundle = await readFile(join(first, 'bundle.wasm'));
    expect(bundle.equals(await readFile(join(second, 'bundle.wasm')))).toBe(true);
    expect(again.out).toBe(await readFile(join(first, 'commitment.json'), 'utf8'));
    expect(isWebAssembly(bundle)).toBe(true);
    for (const path of [folder, ROOT]) expect(bundle.includes(path)).toBe(false);

    // A module that was made elsewhere is packed as it is; a pack of another kind leaves no second bundle.
    const third = join(folder, 'as3');
    await pack(join(folder, 'a/mine.ts'), '-o', third);
    const made = await pack(join(first, 'bundle.wasm'), '-o', third, ...salt);
    expect(commitmentOf(made.out)).toBe(commitmentOf(again.out));
    expect((await readdir(third)).sort()).toEqual(['bundle.wasm', 'commitment.json', 'salt']);
  });

  it('refuses what does not compile or cannot run, and says why', async () => {
    const sources = join(folder, 'g/assembly');
    await mkdir(sources, { recursive: true });
    const broken = join(sources, 'broken.ts');
    for (const [text, place] of [
      ["import './nothing'; export function f(): void {}", 'broken.ts(1,8)'],
      ['export function f(): i32 { return x; }', 'broken.ts(1,35)'],
      ['export function f(', 'broken.ts(1,18)'],
    ] as const) {
      await writeFile(broken, text);
      const { exit, errors } = await pack(broken, '-o', join(folder, 'as4'));
      expect(exit).toBe(1);
      expect(errors).toContain('ERROR');
      expect(errors).toContain(place);
    }
    const parts = [
      'configure(): bool { return true; }',
      'start(): void {}',
      'onBatch(): void {BODY}',
    ];
    const functions = parts.map((part) => `export function ${part}`).join('\n');
    const whole = `export { input, version } from './trackseal';\n${functions}`;
    await cp(join(ROOT, 'strategies/assembly/trackseal.ts'), join(sources, 'trackseal.ts'));
    for (const [text, fault] of [
      [whole.replace('BODY', 'Math.random();'), 'import env.seed (use random()'],
      [whole.replace('BODY', 'Date.now();'), 'import env.Date.now (there is no clock'],
      [whole.replace('BODY', "console.log('x');"), 'import env.console.log (strategies have no'],
      [functions.replace('BODY', ''), 'no export version of its type (export configure'],
      [whole.replace('BODY', '').replace('start(', 'begin('), 'no export start of its type'],
      [
        whole.replace('BODY', '').replace('start()', 'start(x: i32)'),
        'no export start of its type',
      ],
    ] as const) {
      await writeFile(broken, text);
      const { exit, errors } = await pack(broken, '-o', join(folder, 'as4'));
      expect([exit, errors]).toEqual([1, expect.stringContaining(fault)]);
    }
    await writeFile(broken, whole.replace('BODY', ''));
    expect((await pack(broken, '-o', join(folder, 'as4'))).exit).toBe(0);
    const text = join(sources, 'text.wasm');
    await writeFile(text, 'export default {};');
    expect((await pack(text, '-o', join(folder, 'as4'))).errors).toContain('no WebAssembly');
    const nothing = join(sources, 'nothing.ts');
    expect((await pack(nothing, '-o', join(folder, 'as4'))).exit).toBe(1);
  });
});
