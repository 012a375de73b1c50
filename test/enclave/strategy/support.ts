// Strategies as text, batches for them, and a strategy process whose answers a test can wait for.

import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { startStrategy } from '../../../enclave/strategy/process.ts';
import type {
  Strategy,
  StrategyAnswer,
  StrategyLimits,
  StrategySpecification,
} from '../../../enclave/strategy/types.ts';
import { BatchBuilder } from '../../../wire/market/batch-builder.ts';
import type { Row } from '../../../wire/market/batch-builder.ts';
import { bundleImage } from '../../../eif/build/bundles.ts';
import { ROW } from '../../../wire/batch.ts';
import { concatBytes, utf8 } from '../../../wire/bytes.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import type { Instrument } from '../../../wire/configuration.ts';
import { encodeFrame } from '../../../wire/frame.ts';
import { FRAME } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { RunnerProgram } from '../../../wire/node/strategy-program.ts';
import { runnerFlags, spawnStrategy } from '../../../wire/node/strategy-program.ts';
import { findRunner } from '../../../wire/node/find-runner.ts';
import type { Report } from '../../../wire/payloads.ts';
import { STATUS, encodeReport } from '../../../wire/payloads.ts';
import type { Result } from '../../../wire/result.ts';
import { encodeStrategyFill } from '../../../wire/strategy-fill.ts';
import { encodeStrategyInput, encodeStrategyStart } from '../../../wire/strategy-messages.ts';

export const ROOT: string = fileURLToPath(new URL('../../..', import.meta.url));

let folder: Promise<string> | null = null;
afterAll(async () => {
  if (folder !== null) await rm(await folder, { recursive: true });
});

async function bundleRunner(): Promise<RunnerProgram> {
  folder = mkdtemp(join(tmpdir(), 'trackseal-'));
  const path = join(await folder, 'strategy-runner.mjs');
  const bundle = (await bundleImage()).find(({ name }) => name === 'strategy-runner.mjs');
  await writeFile(path, bundle?.bytes ?? new Uint8Array());
  return { execPath: findRunner(ROOT).execPath, flags: runnerFlags(), path };
}

let program: Promise<RunnerProgram> | null = null;

/** The runner as it is in the image: one file, and nothing else to read. */
export function imageRunner(): Promise<RunnerProgram> {
  program ??= bundleRunner();
  return program;
}

export const ETH: Instrument = {
  id: 7,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 4,
  sequence_rule: 'binance-spot',
};
export const BTC: Instrument = { ...ETH, id: 3, symbol: 'BTCUSDT' };
const ETH_SELECTOR = "{venue:'binance',symbol:'ETHUSDT',market:'spot'}";
export const BTC_SELECTOR = "{venue:'binance',symbol:'BTCUSDT',market:'spot'}";

export interface BundleParts {
  readonly before?: string;
  readonly safeParse?: string;
  readonly subscribe?: string;
  readonly start?: string;
  readonly onBatch?: string;
  readonly more?: string;
}

/** A bundle as `strategy pack` makes it, without the SDK and zod. `onBatch` sees `batch` and `ctx`. */
export function bundleOf(parts: BundleParts = {}): string {
  return `"use strict";
((module) => {
${parts.before ?? ''}
module.exports.default = {
  parameters: { safeParse: (value) => { ${parts.safeParse ?? 'return {success: true, data: value};'} } },
  subscribe: (parameters) => { ${parts.subscribe ?? `return [${ETH_SELECTOR}];`} },
  start: (parameters, instruments) => { ${parts.start ?? 'return {batches: 0};'} },
  onBatch(batch, ctx) { ${parts.onBatch ?? ''} },
  ${parts.more ?? ''}
};
return module.exports.default;
})({ exports: {} });
`;
}

/** One signal to buy; fields can be replaced. */
export function signalText(fields: Readonly<Record<string, string>> = {}): string {
  const all = { instrument: '7', side: '1', quantity: '10', limit: '268000', ttlMs: '1000' };
  const pairs = Object.entries({ ...all, ...fields });
  return `ctx.signal({${pairs.map(([name, value]) => `${name}: ${value}`).join(', ')}});`;
}

export const SEED: Uint8Array = Uint8Array.from({ length: 32 }, (_, index) => index);

/** A script's text, or the bytes of a module. */
export type TestBundle = string | Uint8Array;

export function specification(
  bundle: TestBundle,
  changes: Partial<StrategySpecification> = {},
): StrategySpecification {
  const bytes = typeof bundle === 'string' ? utf8(bundle) : bundle;
  const salt = new Uint8Array(32).fill(9);
  return {
    name: 'test',
    stream: 1000,
    bundle: bytes,
    salt,
    commitment: nodeCrypto.sha256(salt, bytes),
    parameters: utf8('{}'),
    seed: SEED,
    instruments: [ETH, BTC],
    ...changes,
  };
}

export const LIMITS: StrategyLimits = {
  startMs: 20_000,
  batchMs: 20_000,
  windowInputs: 64,
  windowBytes: 4 * 1024 * 1024,
};

const START_NS = 1_723_161_254_000_000_000n;

export function timeOf(sequence: number): bigint {
  return START_NS + BigInt(sequence) * 100_000_000n;
}

export function tradeRow(sequence: number, changes: Partial<Row> = {}): Row {
  return {
    instrument: ETH.id,
    kind: ROW.trade,
    side: 1,
    exchangeTimeNs: timeOf(sequence),
    receiveTimeNs: timeOf(sequence),
    price: 268_380,
    quantity: 100,
    id: sequence + 1,
    ...changes,
  };
}

/** A batch of stream 1 at `timeOf(sequence)`. */
export function batchOf(sequence: number, rows: readonly Row[] = [tradeRow(sequence)]): Uint8Array {
  const builder = new BatchBuilder(1);
  for (const row of rows) builder.addRow(row);
  return new Uint8Array(builder.encode(sequence, timeOf(sequence)));
}

export function reportOf(changes: Partial<Report> = {}): Uint8Array {
  return encodeReport({
    output: 5,
    clientOrderId: 'ts0011223344556677',
    status: STATUS.filled,
    reason: null,
    filledQuantity: 10,
    fills: [{ number: 0, price: 268_000, quantity: 10, fee: 27, timeNs: START_NS }],
    environment: 'paper',
    timeNs: START_NS,
    ...changes,
  });
}

export class Watched {
  readonly answers: StrategyAnswer[] = [];
  readonly ended: Promise<RefusalCode>;
  readonly endedCodes: RefusalCode[] = [];
  #resolve: (code: RefusalCode) => void = () => undefined;
  started: Result<Strategy> | null = null;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  static async start(
    spec: StrategySpecification,
    limits: Partial<StrategyLimits> = {},
    program: RunnerProgram | null = null,
  ): Promise<Watched> {
    const watched = new Watched();
    const runner = program ?? (await imageRunner());
    const { signal } = new AbortController();
    watched.started = await watched.begin(spec, runner, signal, limits);
    return watched;
  }

  begin(
    spec: StrategySpecification,
    runner: RunnerProgram,
    stopped: AbortSignal,
    limits: Partial<StrategyLimits> = {},
  ): Promise<Result<Strategy>> {
    return startStrategy(
      runner,
      spec,
      { ...LIMITS, ...limits },
      {
        onAnswer: (answer) => this.answers.push(answer),
        onEnded: (code) => {
          this.endedCodes.push(code);
          this.#resolve(code);
        },
      },
      stopped,
    );
  }

  get strategy(): Strategy {
    if (this.started?.ok !== true) throw new Error('the strategy has not started');
    return this.started.value;
  }

  /** Sends batches 0 to `count` - 1 as leaves 10, 11, … and waits for the answers. */
  async feed(count: number): Promise<void> {
    for (let sequence = 0; sequence < count; sequence++) {
      const room = this.strategy.input(10 + sequence, timeOf(sequence), batchOf(sequence));
      if (!room) await this.strategy.drained();
    }
    await this.strategy.settled();
  }
}

/** What becomes of a bundle that gets `count` batches: the code it ended with, or `runs`. */
export async function fateOf(
  bundle: TestBundle,
  count = 1,
  limits: Partial<StrategyLimits> = {},
  changes: Partial<StrategySpecification> = {},
): Promise<RefusalCode | 'runs'> {
  const watched = await Watched.start(specification(bundle, changes), limits);
  if (watched.started?.ok === false) return watched.started.refusal.code;
  await watched.feed(count);
  const [code] = watched.endedCodes;
  await watched.strategy.stop();
  return code ?? 'runs';
}

export function startFrame(
  bundle: TestBundle,
  changes: Partial<StrategySpecification> = {},
): Uint8Array {
  return encodeFrame(FRAME.start, encodeStrategyStart(specification(bundle, changes)));
}

export function inputFrame(leafIndex: number, batch: Uint8Array): Uint8Array {
  return encodeFrame(FRAME.input, encodeStrategyInput({ leafIndex, bytes: batch }));
}

export function fillFrame(leafIndex: number, signal: number, report: Uint8Array): Uint8Array {
  return encodeFrame(FRAME.fill, encodeStrategyFill({ leafIndex, signal, report }));
}

/** Everything that a runner writes when it reads `frames` in pieces of `pieceBytes` and then the end. */
export async function runFrames(
  frames: readonly Uint8Array[],
  pieceBytes: number = Number.MAX_SAFE_INTEGER,
  program: RunnerProgram | null = null,
): Promise<Uint8Array> {
  const child = spawnStrategy(program ?? (await imageRunner()));
  const chunks: Uint8Array[] = [];
  child.stdout.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  child.stdin.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve();
    });
  });
  const bytes = concatBytes(...frames);
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) {
    const written = child.stdin.write(bytes.subarray(offset, offset + pieceBytes));
    if (!written && child.stdin.writable) {
      await new Promise<void>((resolve) => {
        child.stdin.once('drain', resolve);
        child.stdin.once('close', resolve);
      });
    }
  }
  child.stdin.end();
  await closed;
  return concatBytes(...chunks);
}

/** Strategy processes of this test, without the dead that nobody has waited for. */
export async function livingStrategies(): Promise<readonly number[]> {
  const children: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/u.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    const [state, parentOf] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || Number(parentOf) !== process.pid) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '');
    if (command.includes('--permission')) children.push(Number(name));
  }
  return children;
}
