// Attempts of hostile strategies, each in an epoch with a harmless one beside it. After the epoch every
// attempt is asked the same: how did it end, did any harm get through, did the others go on, does the log
// verify, has anything of it left the enclave in words.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startStrategy } from '../../enclave/strategy/process.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { KIND } from '../../wire/leaf.ts';
import { EpochVerifier } from '../../wire/log-verification/epoch-verifier.ts';
import type { Item } from '../../wire/messages.ts';
import { FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { runnerFlags } from '../../wire/node/strategy-program.ts';
import { findRunner } from '../../wire/node/find-runner.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import {
  CLOSE_REASON,
  STRATEGY_EVENT,
  parseSignal,
  parseStrategyEvent,
} from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  batchOf,
  bundleOf,
  livingStrategies,
  ETH,
  ROOT,
  signalText,
} from '../enclave/strategy/support.ts';
import type { BundleParts } from '../enclave/strategy/support.ts';
import type { TestHost } from '../helpers/enclave-host.ts';
import { commitmentOf, startHost, testItems } from '../helpers/enclave-host.ts';
import { complianceKeys, testTrust } from '../helpers/epoch-builder.ts';

/** Stands in what hostile strategies say; must never leave the enclave. */
export const SECRET = 'secret-2f9c';
const BATCHES = 4;
/** The configuration has at most 8 strategies; one of them is harmless. */
const ATTEMPTS_PER_EPOCH = 7;

export interface Attempt {
  readonly name: string;
  readonly bundle: string;
  /** The code it is ended with, or `runs`: until the epoch closes. */
  readonly fate: RefusalCode | 'runs';
  readonly budgetMs?: number;
  /** Of the epoch: that of its first attempt. */
  readonly runner?: RunnerName;
}

/** Runners that bundles can take over, in this folder. */
type RunnerName = 'taken-over-runner' | 'sealed-runner';

/**
 * A bundle whose `onBatch` counts in `harm` what it achieved. It confesses in the quantity of a signal, which
 * is 1 when nothing was.
 */
export function counts(name: string, onBatch: string, parts: BundleParts = {}): Attempt {
  const confession = signalText({ quantity: '1 + harm' });
  const bundle = bundleOf({ ...parts, onBatch: `let harm = 0; ${onBatch}; ${confession}` });
  return { name, bundle, fate: 'runs' };
}

/** A bundle that is ended, with `fate`. */
export function ends(
  name: string,
  fate: RefusalCode,
  onBatch: string,
  parts: BundleParts = {},
): Attempt {
  return { name, fate, bundle: bundleOf({ ...parts, onBatch: `${onBatch};` }) };
}

/** A bundle that refuses or fails to start: the epoch does not begin. */
export function atStart(name: string, fate: RefusalCode, parts: BundleParts): Attempt {
  return { name, fate, bundle: bundleOf(parts) };
}

/** Code in the runner's own context; `t` has every module of Node's (taken-over-runner.ts). */
export function takesOver(name: string, code: string, fate: Attempt['fate'] = 'runs'): Attempt {
  return { name, fate, bundle: `//taken over\n(async (t) => { ${code} })` };
}

/** Code in the runner's own context, with nothing in hand but what confesses (sealed-runner.ts). */
export function breaksSeal(name: string, code: string): Attempt {
  const bundle = `//taken over\n(async ({ confess, started }) => { ${code} })`;
  return { name, fate: 'runs', bundle, runner: 'sealed-runner' };
}

/** Says that it started, and confesses how many of `acts` the boundary did not deny. */
export function deniedAll(name: string, ...acts: readonly string[]): Attempt {
  const list = acts.map((act) => `async () => { ${act} }`).join(', ');
  return takesOver(name, `t.started(); t.confess(await t.denied(${list}));`);
}

let folder: Promise<string> | null = null;
const runners = new Map<RunnerName, Promise<RunnerProgram>>();
afterAll(async () => {
  if (folder !== null) await rm(await folder, { recursive: true });
});

async function buildRunner(name: RunnerName): Promise<RunnerProgram> {
  folder ??= mkdtemp(join(tmpdir(), 'trackseal-'));
  const path = join(await folder, `${name}.mjs`);
  await build({
    entryPoints: [join(ROOT, 'test/hostile-strategy', `${name}.ts`)],
    outfile: path,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    logLevel: 'warning',
  });
  return { execPath: findRunner(ROOT).execPath, flags: runnerFlags(), path };
}

/** A runner that some bundles take over, with the flags of the real one. */
export function runnerOf(name: RunnerName): Promise<RunnerProgram> {
  const known = runners.get(name) ?? buildRunner(name);
  runners.set(name, known);
  return known;
}

function itemsFor(name: string, bundle: string): readonly [strategy: Item, parameters: Item] {
  const [strategy, parameters] = testItems(name);
  return [{ ...strategy, bytes: utf8(bundle) }, parameters];
}

interface Started {
  readonly name: string;
  readonly bundle: string;
  readonly budgetMs?: number;
}

/** An enclave whose strategies are real processes, not yet waited for. */
export async function startEpoch(
  strategies: readonly Started[],
  runner: RunnerName = 'taken-over-runner',
): Promise<TestHost> {
  const items = strategies.map(({ name, bundle }) => itemsFor(name, bundle));
  return startHost({
    configuration: {
      instruments: [ETH],
      strategies: strategies.map(({ name, budgetMs = 30_000 }, index) => {
        const [item] = items[index] ?? testItems(name);
        const { version } = item;
        return { name, version, commitment: commitmentOf(item), time_budget_ms: budgetMs };
      }),
    },
    items: items.flat(),
    startStrategy,
    strategyRunner: await runnerOf(runner),
  });
}

interface Outcome {
  readonly fate: RefusalCode | 'runs' | 'never started';
  /** What its signals confess. */
  readonly harm: readonly number[];
  readonly epoch: EpochOutcome;
}

interface EpochOutcome {
  readonly goodSignals: number;
  readonly diagnostics: readonly string[];
  readonly verified: boolean;
  readonly spoke: boolean;
  readonly end: string | null;
  readonly left: readonly number[];
}

function fateOf(host: TestHost, stream: number): Outcome['fate'] {
  let fate: Outcome['fate'] = 'never started';
  for (const index of host.leavesOf(KIND.strategyEvent)) {
    if (host.leaf(index).stream !== stream) continue;
    const { event, code } = assertAccepted(parseStrategyEvent(host.open(index)));
    fate = event === STRATEGY_EVENT.started ? 'runs' : (code ?? 'runs');
  }
  return fate;
}

function quantitiesOf(host: TestHost, stream: number): readonly number[] {
  return host
    .leavesOf(KIND.output)
    .filter((index) => host.leaf(index).stream === stream)
    .map((index) => assertAccepted(parseSignal(host.open(index))).quantity);
}

async function verifies(host: TestHost): Promise<boolean> {
  const verifier = new EpochVerifier(nodeCrypto, await testTrust(), complianceKeys());
  assertAccepted(verifier.add(assertAccepted(verifier.parse(host.leaves)), new Map()));
  const note = host.commits.at(-1)?.note ?? new Uint8Array();
  const { checkpoint } = assertAccepted(verifier.finish(note));
  return (
    Buffer.from(checkpoint.root).equals(host.tree.root()) && checkpoint.size === host.tree.size
  );
}

/** Processes that stay. One that was killed may take a while to be gone: its memory has to be freed. */
async function leftStrategies(): Promise<readonly number[]> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const left = await livingStrategies();
    if (left.length === 0 || performance.now() > endMs) return left;
    await sleep(20);
  }
}

async function runEpoch(
  attempts: readonly Attempt[],
  batches: number,
): Promise<readonly Outcome[]> {
  const good = bundleOf({ onBatch: signalText({ quantity: '1' }) });
  const named = attempts.map(({ bundle, budgetMs }, index) => ({
    name: `attempt-${index}`,
    bundle,
    ...(budgetMs === undefined ? {} : { budgetMs }),
  }));
  const host = await startEpoch([...named, { name: 'good', bundle: good }], attempts[0]?.runner);
  await host.ready();
  await host.connectFeed();
  for (let sequence = 0; sequence < batches; sequence++) {
    host.feed?.send(FRAME.batch, batchOf(sequence));
    await host.until(() => host.feedOf(FRAME.progress).length === sequence + 1);
  }
  host.enclave.close(CLOSE_REASON.signal);
  const { code: end } = await host.end;
  const epoch: EpochOutcome = {
    goodSignals: quantitiesOf(host, 1000 + attempts.length).length,
    diagnostics: host.diagnostics.map(({ code }) => code),
    verified: await verifies(host),
    spoke: Buffer.concat([...host.tapped.values()].flat()).includes(SECRET),
    end,
    left: await leftStrategies(),
  };
  return attempts.map((_, index) => ({
    fate: fateOf(host, 1000 + index),
    harm: quantitiesOf(host, 1000 + index).map((quantity) => quantity - 1),
    epoch,
  }));
}

/** One test for each attempt; to be called in a `describe`. */
export function testAttempts(attempts: readonly Attempt[], batches: number = BATCHES): void {
  const outcomes: Outcome[] = [];
  beforeAll(async () => {
    for (let first = 0; first < attempts.length; first += ATTEMPTS_PER_EPOCH) {
      outcomes.push(
        ...(await runEpoch(attempts.slice(first, first + ATTEMPTS_PER_EPOCH), batches)),
      );
    }
  }, 600_000);

  it.each(attempts.map((attempt, index) => ({ ...attempt, index })))(
    '$name: $fate',
    ({ fate, index }) => {
      const outcome = outcomes[index];
      if (outcome === undefined) throw new Error('the epoch did not run');
      expect(outcome.fate).toBe(fate);
      expect(outcome.harm.filter((harm) => harm !== 0)).toEqual([]);
      // What runs confesses at every batch, or it would prove nothing; what was ended, the enclave reports.
      const told = fate === 'runs' ? outcome.harm.length === batches : isTold(outcome, fate);
      expect(told).toBe(true);
      expect(outcome.epoch).toMatchObject({
        goodSignals: batches,
        verified: true,
        spoke: false,
        end: null,
        left: [],
      });
    },
  );
}

function isTold({ epoch }: Outcome, code: RefusalCode): boolean {
  return epoch.diagnostics.includes(code);
}

/** One boot for each attempt: it fails with the code, leaves no process, and says nothing else. */
export function testRefusals(attempts: readonly Attempt[]): void {
  it.each(attempts)('$name: $fate', async ({ bundle, fate }) => {
    const host = await startEpoch([{ name: 'attempt', bundle }]);
    expect(await host.failed()).toBe(fate);
    expect(await host.end).toEqual({ code: fate });
    expect(Buffer.concat([...host.tapped.values()].flat()).includes(SECRET)).toBe(false);
    // Killed by now, and gone within moments.
    while ((await livingStrategies()).length > 0) await new Promise((next) => setTimeout(next, 20));
  });
}
