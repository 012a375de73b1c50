// `strategy backtest --like`: opens the epoch, finds the strategy in it, makes it happen again, and says what
// was the same.

import { readComplianceKey } from '../../verifier/compliance-key.ts';
import type { CommandIo } from '../../verifier/io.ts';
import { selectEpoch } from '../../verifier/log/epoch-list.ts';
import { ProgressBar } from '../../verifier/log/progress.ts';
import { row } from '../../verifier/log/verdict-frame.ts';
import { verifierCrypto } from '../../verifier/log/verifier-crypto.ts';
import { EpochLeaves } from '../../verifier/replay/epoch-leaves.ts';
import { toHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ExecutionSummary } from '../../host-proxy/execution/execution-summary.ts';
import { toJson } from '../../host-proxy/summary.ts';
import type { BacktestOptions } from './backtest.ts';
import type { CaptureOptions } from './capture-batches.ts';
import { CaptureFailure } from './capture-batches.ts';
import { readStory } from './epoch-story.ts';
import type { Reproduction, ReproduceDifference } from './reproduce.ts';
import { reproduceEpoch } from './reproduce.ts';

export interface LikeOptions {
  readonly options: BacktestOptions;
  readonly capture: CaptureOptions;
  readonly log: string;
  /** File of compliance's private key. */
  readonly key: string;
  /** Text of --epoch. */
  readonly wanted: string | undefined;
  /** Name or stream of the strategy; needed where the epoch has several. */
  readonly only: string | undefined;
}

/** What `--json` prints. */
export interface LikeResult {
  readonly verdict: 'identical' | 'different';
  readonly code: RefusalCode | null;
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly strategy: { readonly name: string; readonly version: string; readonly stream: number };
  readonly inputs: number;
  readonly outputs: Reproduction['outputs'];
  readonly reports: Reproduction['reports'];
  readonly first_difference: ReproduceDifference | null;
  readonly ended: Reproduction['ended'];
  /** Of the whole epoch: its strategies share one execution. */
  readonly execution: unknown;
}

function chooseEntry(
  entries: readonly StrategyEntry[],
  only: string | undefined,
  name: string,
): Result<StrategyEntry> {
  const named = (wanted: string): StrategyEntry | undefined =>
    entries.find((entry) => entry.name === wanted || String(entry.stream) === wanted);
  const [first, ...more] = entries;
  const chosen = only === undefined ? (more.length === 0 ? first : named(name)) : named(only);
  return chosen === undefined
    ? refuse('usage_invalid', { what: '--only: which strategy of the epoch is it?' })
    : accept(chosen);
}

/** Refuses where nothing could be compared. */
export async function likeEpoch(like: LikeOptions, io: CommandIo): Promise<Result<LikeResult>> {
  const { options, capture, log, key, wanted, only } = like;
  const { epoch, cuts } = options;
  const keys = await readComplianceKey(key);
  if (!keys.ok) return keys;
  const selected = await selectEpoch(log, wanted);
  if (!selected.ok) return selected;
  const crypto = verifierCrypto();
  const leaves = await EpochLeaves.open(crypto, selected.value.files);
  if (!leaves.ok) return leaves;
  const { head } = leaves.value;
  const entry = chooseEntry(head.header.strategies, only, epoch.name);
  if (!entry.ok) return entry;
  const bar = new ProgressBar(io, 'log');
  const story = await readStory(crypto, leaves.value, keys.value, (done, total) => {
    bar.update(done, total);
  });
  bar.clear();
  if (!story.ok) return story;
  const again = new ProgressBar(io, 'again');
  try {
    const made = await reproduceEpoch({
      epoch: { ...epoch, crypto },
      trading: epoch.trading,
      story: story.value,
      origin: head.header.origin,
      entry: entry.value,
      capture: { path: capture.path },
      cuts,
      onProgress: (done, total) => {
        again.update(done, total);
      },
    });
    if (!made.ok) return made;
    const { name, version, stream } = entry.value;
    const { inputs, outputs, reports, difference, ended, execution } = made.value;
    return accept({
      verdict: difference === null ? 'identical' : 'different',
      code: difference === null ? null : 'replay_mismatch',
      origin: head.header.origin,
      size: head.size,
      root: toHex(head.root),
      strategy: { name, version, stream },
      inputs,
      outputs,
      reports,
      first_difference: difference,
      ended,
      execution: toJson(execution),
    });
  } catch (error) {
    if (error instanceof CaptureFailure) return { ok: false, refusal: error.refusal };
    throw error;
  } finally {
    again.clear();
  }
}

export function renderLike(result: LikeResult): string {
  const { strategy, outputs, reports, ended } = result;
  const { profit, fees } = result.execution as Pick<ExecutionSummary, 'profit' | 'fees'>;
  const lines = [
    `${result.verdict.toUpperCase()}  ${result.origin}, size ${result.size}`,
    row('strategy', `${strategy.name} ${strategy.version}, stream ${strategy.stream}`),
    row('inputs', `${result.inputs} batches`),
    row('outputs', `${outputs.identical} of ${outputs.logged} identical, byte for byte`),
    row('reports', `${reports.identical} of ${reports.logged} identical, all strategies together`),
  ];
  if (ended.logged !== null || ended.reproduced !== null) {
    lines.push(row('ended', `log: ${ended.logged ?? 'no'}, again: ${ended.reproduced ?? 'no'}`));
  }
  lines.push(row('paper P&L', `${profit ?? 'unknown'} after ${fees ?? 'unknown'} of fees, at mid`));
  return `${lines.join('\n')}\n`;
}
