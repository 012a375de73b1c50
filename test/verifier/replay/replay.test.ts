// trackseal replay over epochs as an honest enclave writes them, and as a lying one would.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../verifier/commands/replay.ts';
import { generateComplianceKey } from '../../../verifier/compliance-key.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import { parseConfiguration } from '../../../wire/configuration.ts';
import { KIND } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { STATUS, encodeSignal, parseSignal } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import {
  BTC_SELECTOR,
  Watched,
  bundleOf,
  reportOf,
  signalText,
  specification,
} from '../../enclave/strategy/support.ts';
import {
  EpochBuilder,
  INSTRUMENT,
  STRATEGY_STREAM,
  compliance,
  measurements,
  simulatedRoot,
  testBatch,
} from '../../helpers/epoch-builder.ts';
import { filesOf, writeFiles } from '../../helpers/epoch-files.ts';

const SALT = new Uint8Array(32).fill(5);
const PARAMETERS = utf8('{"size": 3}');
const BUNDLE = bundleOf({
  subscribe: `return [${BTC_SELECTOR}];`,
  onBatch: `ctx.state.batches++;
    if (ctx.state.batches === ctx.parameters.loop) for (;;);
    const many = ctx.state.batches === ctx.parameters.limit ? 65 : 1 + ctx.reports.length;
    const quantity = 1 + ctx.parameters.size + Math.floor(ctx.random() * 1000) + ctx.position(1);
    for (let n = 0; n < many; n++) ${signalText({ instrument: '1', quantity: 'quantity' })}`,
});

let folder = '';
let logs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
  await writeFile(join(folder, 'compliance.pem'), compliance.pem);
  await writeFile(join(folder, 'root.pem'), pemOf((await simulatedRoot()).certificateDer));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function pemOf(der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64').replaceAll(/.{64}/gu, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
}

interface Story {
  readonly parameters?: Uint8Array;
  readonly batches?: number;
  /** Drops or changes outputs on their way into the log, by number. */
  readonly output?: (bytes: Uint8Array, number: number) => Uint8Array | null;
  readonly close?: boolean;
  readonly start?: boolean;
  /** What the log says the strategy ended with, after its batches. */
  readonly ended?: RefusalCode;
  readonly batchMs?: number;
}

interface WrittenLog {
  readonly log: string;
  readonly pack: string;
  readonly files: Map<string, Uint8Array>;
}

/** Runs the strategy as the enclave does, logs what it says, and writes log and pack. */
async function writeLog(story: Story = {}): Promise<WrittenLog> {
  const parameters = story.parameters ?? PARAMETERS;
  const commitment = nodeCrypto.sha256(SALT, utf8(BUNDLE));
  const entry = { name: 'example', version: '1.0.0', commitment: toHex(commitment) };
  const epoch = await EpochBuilder.create({
    configuration: { strategies: [{ ...entry, time_budget_ms: 100 }] },
    header: (header) => ({
      ...header,
      strategies: header.strategies.map((strategy) => ({
        ...strategy,
        bundleCommitment: commitment,
        parametersCommitment: nodeCrypto.sha256(SALT, parameters),
      })),
    }),
  });
  if (story.start !== false) await tell(epoch, parameters, story);
  if (story.close !== false) epoch.addClose();
  epoch.commit();
  const log = join(folder, `log-${logs}`);
  const pack = join(folder, `pack-${logs++}`);
  const files = filesOf(epoch);
  await writeFiles(log, files);
  const pieces = { 'bundle.js': utf8(BUNDLE), 'parameters.json': parameters };
  const salts = { salt: utf8(`${toHex(SALT)}\n`), 'parameters.salt': utf8(`${toHex(SALT)}\n`) };
  await writeFiles(pack, new Map(Object.entries({ ...pieces, ...salts })));
  return { log, pack, files };
}

async function tell(epoch: EpochBuilder, parameters: Uint8Array, story: Story): Promise<void> {
  epoch.startStrategy();
  const { instruments } = assertAccepted(parseConfiguration(epoch.header.configuration));
  const watched = await Watched.start(
    specification(BUNDLE, {
      parameters,
      seed: new Uint8Array(32),
      instruments,
    }),
    { batchMs: story.batchMs ?? 20_000 },
  );
  let number = 0;
  for (let sequence = 0; sequence < (story.batches ?? 6); sequence++) {
    const timeNs = epoch.nowNs;
    const input = epoch.addInput(sequence, timeNs);
    watched.strategy.input(input, timeNs, testBatch(sequence, timeNs));
    await watched.strategy.settled();
    const logged: { readonly index: number; readonly id: number }[] = [];
    for (const { bytes, signal } of watched.answers.splice(0).flatMap(({ outputs }) => outputs)) {
      const changed = story.output === undefined ? bytes : story.output(bytes, number);
      number++;
      if (changed === null) continue;
      const header = { kind: KIND.output, stream: STRATEGY_STREAM, causes: signal.causes };
      logged.push({ index: epoch.add(header, changed, true), id: signal.id });
    }
    const [first] = logged;
    if (first === undefined || sequence % 2 === 1) continue;
    const fills = [{ number: 0, price: 6_000_000, quantity: 2, fee: 1, timeNs }];
    const report = { status: STATUS.partlyFilled, fills, filledQuantity: 2 };
    const index = epoch.addReport(first.index, { ...report, timeNs });
    const hash = toHex((epoch.tree.node(0, first.index) ?? new Uint8Array()).subarray(0, 8));
    const sent = { ...report, output: first.index, clientOrderId: `ts${hash}`, timeNs };
    watched.strategy.fill(index, first.id, reportOf(sent));
  }
  expect(watched.endedCodes).toEqual(story.ended === undefined ? [] : [story.ended]);
  if (story.ended !== undefined) epoch.addStrategyEvent({ event: 2, code: story.ended });
  await watched.strategy.stop();
}

interface Said {
  readonly exit: number;
  readonly out: string;
  readonly errors: string;
}

async function replay(log: string, pack: string, ...more: readonly string[]): Promise<Said> {
  const said = { out: '', errors: '' };
  const key = join(folder, 'compliance.pem');
  const exit = await run([log, '--strategy', pack, '--key', key, ...more], {
    stdout: (text) => (said.out += text),
    stderr: (text) => (said.errors += text),
    isTerminal: false,
    env: {},
  });
  return { exit, ...said };
}

async function verdictOf(story: Story, ...more: readonly string[]): Promise<[number, unknown]> {
  const { log, pack } = await writeLog(story);
  const { exit, out } = await replay(log, pack, '--json', ...more);
  return [exit, JSON.parse(out)];
}

function changeQuantity(bytes: Uint8Array): Uint8Array {
  const signal = assertAccepted(parseSignal(bytes));
  return encodeSignal({ ...signal, quantity: signal.quantity + 1 });
}

function withFifthChanged(bytes: Uint8Array, number: number): Uint8Array {
  return number === 4 ? changeQuantity(bytes) : bytes;
}

function withoutNinth(bytes: Uint8Array, number: number): Uint8Array | null {
  return number === 8 ? null : bytes;
}

describe('trackseal replay', () => {
  it('finds an honest log identical', async () => {
    const { log, pack } = await writeLog();
    const { exit, out } = await replay(log, pack, '--json');
    expect(JSON.parse(out)).toMatchObject({
      verdict: 'identical',
      code: null,
      epoch: 1,
      log_verified: false,
      unsafe: [],
      strategy: { name: 'example', version: '1.0.0', stream: STRATEGY_STREAM },
      inputs: 6,
      reports: 3,
      streams: expect.arrayContaining([
        { id: 0, label: 'enclave', name: 'enclave' },
        expect.objectContaining({ label: 'host' }),
      ]),
      operator_could_still: expect.arrayContaining([
        'have written this log without an enclave: run verify log',
        expect.stringContaining('invent, change or withhold market data'),
      ]),
      outputs: 9,
      identical: 9,
      not_logged: 0,
      end: 'clean',
      ended: { logged: null, replayed: null },
      first_difference: null,
    });
    expect(exit).toBe(0);
    const text = await replay(log, join(pack, 'bundle.js'));
    expect(text.exit).toBe(0);
    expect(text.out).toMatch(/^IDENTICAL .*\n.*9 of 9 identical.*NOT CHECKED/su);
  });

  it('verifies the log before, under a policy', async () => {
    const { log, pack } = await writeLog();
    const root = ['--unsafe-root', join(folder, 'root.pem')];
    const pcrs = [measurements.pcr0, measurements.pcr1, measurements.pcr2].flatMap((pcr, index) => [
      `--pcr${index}`,
      toHex(pcr),
    ]);
    const good = await replay(log, pack, '--json', ...root, ...pcrs);
    expect(JSON.parse(good.out)).toMatchObject({
      verdict: 'identical',
      log_verified: true,
      unsafe: ['--unsafe-root'],
    });
    const other = pcrs.with(1, '11'.repeat(48));
    const bad = await replay(log, pack, '--json', ...root, ...other);
    expect([bad.exit, JSON.parse(bad.out)]).toMatchObject([1, { code: 'pcr_mismatch' }]);
    const none = await replay(log, pack, '--json', ...root);
    expect([none.exit, JSON.parse(none.out)]).toMatchObject([2, { code: 'policy_missing' }]);
  });

  it('compares the log with remembered heads, and remembers it', async () => {
    const heads = ['--heads', join(folder, 'heads.json')];
    const trust = ['--unsafe-root', join(folder, 'root.pem'), '--unsafe-any-image', ...heads];
    const [one, twin] = [await writeLog(), await writeLog()];
    expect((await replay(one.log, one.pack, ...trust)).exit).toBe(0);
    expect((await replay(one.log, one.pack, ...trust)).exit).toBe(0);
    const { exit, out, errors } = await replay(twin.log, twin.pack, '--json', ...trust);
    expect([exit, JSON.parse(out)]).toMatchObject([1, { verdict: 'refused', code: 'fork' }]);
    expect(errors).toContain('two histories');
    const unasked = [...trust, '--no-heads'];
    expect((await replay(twin.log, twin.pack, ...unasked)).exit).toBe(0);
  });

  it('finds an output that the strategy did not give', async () => {
    expect(await verdictOf({ output: withFifthChanged })).toMatchObject([
      1,
      {
        verdict: 'different',
        code: 'replay_mismatch',
        identical: 4,
        first_difference: {
          output: 4,
          logged: { id: 4, instrument: INSTRUMENT },
          replayed: { id: 4, instrument: INSTRUMENT },
        },
      },
    ]);
  });

  it('finds an output that was left out', async () => {
    expect(await verdictOf({ output: withoutNinth })).toMatchObject([
      1,
      {
        code: 'replay_mismatch',
        first_difference: { output: 8, logged: null, replayed: { id: 8 } },
      },
    ]);
    // An enclave that was killed may not have logged it any more.
    expect(await verdictOf({ output: withoutNinth, close: false })).toMatchObject([
      0,
      { verdict: 'identical', end: 'open', outputs: 8, identical: 8, not_logged: 1 },
    ]);
  });

  it('follows a strategy to its end', async () => {
    const parameters = utf8('{"size": 3, "limit": 4}');
    const code = 'strategy_output_limit';
    expect(await verdictOf({ parameters, batches: 4, ended: code })).toMatchObject([
      0,
      { verdict: 'identical', inputs: 4, ended: { logged: code, replayed: code } },
    ]);
    expect(await verdictOf({ parameters: utf8('{"size": 3, "limit": 7}') })).toMatchObject([
      0,
      { ended: { logged: null, replayed: null } },
    ]);
  });

  it('follows a strategy that was killed over its budget', async () => {
    const parameters = utf8('{"size": 3, "loop": 4}');
    const code = 'strategy_over_budget';
    const story = { parameters, batches: 4, ended: code, batchMs: 3000 } as const;
    expect(await verdictOf(story, '--stall', '5')).toMatchObject([
      0,
      { verdict: 'identical', inputs: 4, ended: { logged: code, replayed: code } },
    ]);
  });

  it('ends a strategy that is lost in its first batch', async () => {
    const code = 'strategy_over_budget';
    const story = { parameters: utf8('{"size": 3, "loop": 1}'), batches: 1, ended: code } as const;
    expect(await verdictOf({ ...story, batchMs: 3000 }, '--stall', '5')).toMatchObject([
      0,
      { verdict: 'identical', inputs: 1, ended: { logged: code, replayed: code } },
    ]);
  });

  it('replays an epoch without any batch', async () => {
    expect(await verdictOf({ batches: 0 })).toMatchObject([
      0,
      { verdict: 'identical', inputs: 0, outputs: 0, ended: { logged: null, replayed: null } },
    ]);
  });

  it('cannot replay with other files or keys, or without a start', async () => {
    const { log, pack, files } = await writeLog();
    const code = async (...args: readonly string[]): Promise<unknown> => {
      const { exit, out, errors } = await replay(log, pack, '--json', ...args);
      expect(exit).toBe(2);
      expect(errors).toContain('UNDECIDED');
      return (JSON.parse(out) as { code: string }).code;
    };
    const other = join(folder, 'other');
    await writeFile(other, '{"size": 4}');
    const salt = ['--parameters-salt', join(pack, 'parameters.salt')];
    expect(await code('--parameters', other, ...salt)).toBe('commitment_mismatch');
    await writeFile(other, 'ff'.repeat(32));
    expect(await code('--parameters-salt', other)).toBe('commitment_mismatch');
    await writeFile(other, 'ff');
    expect(await code('--parameters-salt', other)).toBe('file_unreadable');
    await writeFile(other, generateComplianceKey().pem);
    expect(await code('--key', other)).toBe('disclosure_key_wrong');
    expect(await code('--key', pack)).toBe('file_unreadable');
    expect(await code('--stall', '0')).toBe('usage_invalid');
    expect(await code('--epoch', '2')).toBe('file_unreadable');
    expect(await code('--unknown')).toBe('usage_invalid');
    expect(await code('one too many')).toBe('usage_invalid');

    const idle = await writeLog({ start: false });
    const { exit, out } = await replay(idle.log, idle.pack, '--json');
    expect([exit, JSON.parse(out)]).toMatchObject([2, { code: 'strategy_not_started' }]);

    const path = [...files.keys()].find((name) => name.includes('tile/entries'));
    const bytes = await readFile(join(log, path ?? ''));
    await writeFile(join(log, path ?? ''), bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1));
    expect(await code()).toBe('root_mismatch');
  });

  it('explains itself', async () => {
    const { exit, out } = await replay('.', '.', '--help');
    expect([exit, out.startsWith('usage: trackseal replay')]).toEqual([0, true]);
  });
});
