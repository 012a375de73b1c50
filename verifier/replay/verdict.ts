// The verdict of a replay, as `--json` prints it, and as text. One strategy or several: what is said of all
// of them together is the sum, and `strategies` says it of each.

import { toHex } from '../../wire/bytes.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import { LABEL } from '../../wire/leaf.ts';
import type { EpochHeader, StrategyEntry } from '../../wire/header.ts';
import { hintOf } from '../hints.ts';
import { nameOf } from '../log/names.ts';
import type { JudgedEpoch } from '../log/judge-epoch.ts';
import { keyTrust } from '../log/key-accounts.ts';
import { risksOfInputs, risksOfLog, risksOfOutputs, risksOfPolicy } from '../log/log-risks.ts';
import { printable, row } from '../log/verdict-frame.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { RiskFields } from '../residual-risks.ts';
import { renderRisks, riskFields } from '../residual-risks.ts';
import type { Difference } from './comparison.ts';
import { describeSignal } from './comparison.ts';
import type { EpochHead } from './epoch-leaves.ts';
import type { ReplayFacts } from './replay-epoch.ts';

/** One strategy of the epoch, replayed. */
export interface StrategyVerdict {
  readonly verdict: 'identical' | 'different';
  readonly name: string;
  readonly version: string;
  readonly stream: number;
  readonly commitment: string;
  /** Batches and reports that it got. */
  readonly inputs: number;
  readonly reports: number;
  /** Outputs in the log, how many the replay gave too, and what it gave beyond a log that was cut off. */
  readonly outputs: number;
  readonly identical: number;
  readonly not_logged: number;
  readonly ended: { readonly logged: RefusalCode | null; readonly replayed: RefusalCode | null };
  readonly first_difference: {
    readonly output: number;
    readonly logged_leaf: number | null;
    readonly logged: Readonly<Record<string, unknown>> | null;
    readonly replayed_input: number | null;
    readonly replayed: Readonly<Record<string, unknown>> | null;
  } | null;
}

/** What `--json` prints; a stable schema. Hashes are hex, the signals' times text. */
export interface ReplayVerdict extends RiskFields {
  readonly verdict: 'identical' | 'different';
  readonly code: RefusalCode | null;
  readonly source: string;
  readonly origin: string;
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
  /** The attestation and all rules of `verify log` were checked. */
  readonly log_verified: boolean;
  readonly unsafe: readonly string[];
  /** Null when no memory was asked. */
  readonly consistency: {
    readonly result: 'ok' | 'none';
    readonly remembered_heads: number;
  } | null;
  readonly feed_mode: string;
  readonly commit_policy: string;
  readonly streams: readonly {
    readonly id: number;
    readonly label: string;
    readonly name: string;
  }[];
  /** In the order of their streams. */
  readonly strategies: readonly StrategyVerdict[];
  /** Strategies of the epoch that were not replayed, by name. */
  readonly not_replayed: readonly string[];
  /** Batches that at least one of them got; the other numbers are sums. */
  readonly inputs: number;
  readonly reports: number;
  readonly outputs: number;
  readonly identical: number;
  readonly not_logged: number;
  readonly end: 'clean' | 'open';
  /** Of the one that was replayed; null for several, see `strategies`. */
  readonly strategy: Pick<StrategyVerdict, 'name' | 'version' | 'stream' | 'commitment'> | null;
  readonly ended: StrategyVerdict['ended'] | null;
  /** Of the first strategy that differs. */
  readonly first_difference: StrategyVerdict['first_difference'];
}

function describe(difference: Difference): NonNullable<StrategyVerdict['first_difference']> {
  const { output, logged, replayed } = difference;
  return {
    output,
    logged_leaf: logged?.index ?? null,
    logged: logged === null ? null : describeSignal(logged.bytes),
    replayed_input: replayed?.input ?? null,
    replayed: replayed === null ? null : describeSignal(replayed.bytes),
  };
}

function judge(entry: StrategyEntry, facts: ReplayFacts): StrategyVerdict {
  const { name, version, stream, bundleCommitment } = entry;
  const { comparison } = facts;
  const { difference } = comparison;
  return {
    verdict: facts.identical ? 'identical' : 'different',
    name,
    version,
    stream,
    commitment: toHex(bundleCommitment),
    inputs: facts.inputs,
    reports: facts.reports,
    outputs: facts.outputs,
    identical: comparison.identical,
    not_logged: difference === null ? comparison.notLogged : 0,
    ended: { logged: facts.endedLogged, replayed: facts.endedReplayed },
    first_difference: difference === null ? null : describe(difference),
  };
}

/** One strategy of the epoch and what its replay came to. */
export interface ReplayedStrategy {
  readonly entry: StrategyEntry;
  readonly facts: ReplayFacts;
}

/** The log as `verify log` judges it, and by which options. */
export interface VerifiedReplay {
  readonly trust: TrustOptions;
  readonly judged: JudgedEpoch;
}

export function verdictOf(
  source: string,
  /** Null: the log was not verified. */
  verified: VerifiedReplay | null,
  { header, size, root }: EpochHead,
  replayed: readonly ReplayedStrategy[],
): ReplayVerdict {
  const strategies = replayed.map(({ entry, facts }) => judge(entry, facts));
  const identical = strategies.every((one) => one.verdict === 'identical');
  const sum = (field: 'reports' | 'outputs' | 'identical' | 'not_logged'): number =>
    strategies.reduce((total, one) => total + one[field], 0);
  const [only = null] = strategies.length === 1 ? strategies : [];
  const streams = new Set(strategies.map(({ stream }) => stream));
  return {
    verdict: identical ? 'identical' : 'different',
    code: identical ? null : 'replay_mismatch',
    source,
    origin: header.origin,
    epoch: header.epoch,
    size,
    root: toHex(root),
    log_verified: verified !== null,
    unsafe: verified?.trust.unsafe ?? [],
    consistency: consistencyOf(verified),
    feed_mode: header.feedMode,
    commit_policy: header.commitPolicy,
    streams: header.streams.map(({ id, label, name }) => ({
      id,
      label: nameOf(LABEL, label),
      name,
    })),
    strategies,
    not_replayed: header.strategies.flatMap(({ name, stream }) =>
      streams.has(stream) ? [] : [name],
    ),
    inputs: Math.max(...strategies.map(({ inputs }) => inputs)),
    reports: sum('reports'),
    outputs: sum('outputs'),
    identical: sum('identical'),
    not_logged: sum('not_logged'),
    end: replayed.some(({ facts }) => facts.closed) ? 'clean' : 'open',
    strategy: only && {
      name: only.name,
      version: only.version,
      stream: only.stream,
      commitment: only.commitment,
    },
    ended: only?.ended ?? null,
    first_difference:
      strategies.find((one) => one.first_difference !== null)?.first_difference ?? null,
    ...risksOf(verified, header),
  };
}

function consistencyOf(verified: VerifiedReplay | null): ReplayVerdict['consistency'] {
  const heads = verified?.judged.remembrance?.heads ?? null;
  return heads === null ? null : { result: heads > 0 ? 'ok' : 'none', remembered_heads: heads };
}

/** Without a verified log nothing is known of its end, its chain, its notes. */
function risksOf(verified: VerifiedReplay | null, header: EpochHeader): RiskFields {
  if (verified !== null) {
    const { trust, judged } = verified;
    return riskFields(trust, risksOfLog(judged, trust), keyTrust(judged.epoch.facts.boot));
  }
  return riskFields(null, [
    {
      risk: 'unverified_log',
      sentence: 'have written this log without an enclave: run verify log',
    },
    ...risksOfPolicy(header),
    ...risksOfInputs(header),
    ...risksOfOutputs(header),
  ]);
}

function renderStrategy(strategy: StrategyVerdict): readonly string[] {
  const { name, version, stream, ended, first_difference: difference } = strategy;
  const lines = [
    row('strategy', `${name} ${version}, stream ${stream}, commitment ${strategy.commitment}`),
    row('replayed', `${strategy.inputs} batches, ${strategy.reports} reports`),
    row('outputs', `${strategy.identical} of ${strategy.outputs} identical, byte for byte`),
  ];
  if (strategy.not_logged > 0) {
    lines.push(row('beyond', `${strategy.not_logged} outputs that the log was cut off before`));
  }
  if (ended.logged !== null || ended.replayed !== null) {
    lines.push(row('ended', `log: ${ended.logged ?? 'no'}, replay: ${ended.replayed ?? 'no'}`));
  }
  if (difference !== null) {
    lines.push(row('difference', `output ${difference.output}`));
    lines.push(row('logged', JSON.stringify(difference.logged)));
    lines.push(row('replayed', JSON.stringify(difference.replayed)));
  }
  return lines;
}

export function renderVerdict(verdict: ReplayVerdict): string {
  const lines = [
    `${verdict.verdict.toUpperCase()}  ${verdict.source}`,
    row('origin', verdict.origin),
    row('log head', `size ${verdict.size}, root ${verdict.root}`),
    row('policy', `commits: ${verdict.commit_policy}, feed: ${verdict.feed_mode}`),
    ...verdict.strategies.flatMap(renderStrategy),
  ];
  if (verdict.not_replayed.length > 0) {
    lines.push(row('NOT replayed', verdict.not_replayed.join(', ')));
  }
  if (verdict.code !== null) {
    lines.push(`  ${verdict.code}: ${REFUSAL_CODES[verdict.code]}`);
    lines.push(row('next', hintOf(verdict.code)));
  }
  lines.push(row('log', verdict.log_verified ? 'verified' : 'attestation NOT CHECKED: verify log'));
  if (verdict.unsafe.length > 0) {
    lines.push(row('UNSAFE', `${verdict.unsafe.join(' ')}: do not rely on this verdict`));
  }
  lines.push(...renderRisks(verdict).map(printable));
  return `${lines.join('\n')}\n`;
}
