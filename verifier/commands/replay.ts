// trackseal replay SOURCE: runs strategies again over the logged inputs, in the same kind of process as
// the enclave's, and compares every output byte for byte. For their owner, who may read them; it shows
// that the outputs in the log are these strategies' and nobody else's.

import { equalBytes } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { refused, runCommand, undecided } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import type { HeadsOptionValues } from '../heads-options.ts';
import { HEADS_OPTIONS, HEADS_USAGE, optionalHeadsPath } from '../heads-options.ts';
import type { CommandIo } from '../io.ts';
import type { SelectedEpoch } from '../log/epoch-list.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { STORE_OPTIONS, STORE_USAGE } from '../log/store-options.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import type { JudgedEpoch } from '../log/judge-epoch.ts';
import { judgeEpoch } from '../log/judge-epoch.ts';
import { ProgressBar } from '../log/progress.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import { EpochLeaves } from '../replay/epoch-leaves.ts';
import type { EpochHead } from '../replay/epoch-leaves.ts';
import { locateRunner } from '../replay/locate-runner.ts';
import { replayEpoch } from '../replay/replay-epoch.ts';
import type { StrategyFiles, Wanted } from '../replay/strategy-files.ts';
import { matchStrategies, readStrategyFiles } from '../replay/strategy-files.ts';
import type { ReplayVerdict } from '../replay/verdict.ts';
import { renderVerdict, verdictOf } from '../replay/verdict.ts';

const DEFAULT_STALL_S = 60;

const USAGE = `usage: trackseal replay SOURCE --strategy PATH --key FILE [OPTIONS]

Runs strategies again over the logged inputs and compares every output with the log. DIR or URL is
a log, or the folder of one epoch in it (epochs/0000000001).

  --strategy PATH        folder with bundle and salt, as 'strategy pack' makes it, or the bundle;
                         give it again for each further strategy
  --parameters FILE      default: for each strategy parameters.json in its folder, or in the one
                         above; may be given several times, the commitments say what belongs together
  --parameters-salt FILE of the n-th --parameters; default: the same with .salt
  --only NAME|STREAM     one strategy of the epoch; by default those that the files open
  --all                  every strategy of the epoch: refused when one of them has no files
  --key FILE             compliance's private key (PEM): seed, outputs and reports are private
  --epoch N              which epoch; the newest by default
  --stall SECONDS        how long one batch may take; default ${DEFAULT_STALL_S}
${HEADS_USAGE}
  --no-heads             neither compare with remembered heads nor remember this one
${STORE_USAGE}
  --json                 the verdict as JSON on stdout
  --help

With one of the following, the whole epoch is verified first, as 'verify log' does, remembered heads
included; without, only that the log holds together under its own key.

${POLICY_USAGE}
Exit codes: 0 identical, 1 different or a log that is refused, 2 could not replay.
`;

const OPTIONS = {
  ...STORE_OPTIONS,
  ...POLICY_OPTIONS,
  ...HEADS_OPTIONS,
  strategy: { type: 'string', multiple: true },
  parameters: { type: 'string', multiple: true },
  'parameters-salt': { type: 'string', multiple: true },
  only: { type: 'string' },
  all: { type: 'boolean' },
  key: { type: 'string' },
  epoch: { type: 'string' },
  stall: { type: 'string' },
} as const;

type Values = PolicyOptionValues &
  StoreOptionValues &
  HeadsOptionValues & {
    readonly strategy?: string[] | undefined;
    readonly parameters?: string[] | undefined;
    readonly 'parameters-salt'?: string[] | undefined;
    readonly only?: string | undefined;
    readonly all?: boolean | undefined;
    readonly key?: string | undefined;
    readonly epoch?: string | undefined;
    readonly stall?: string | undefined;
  };

interface Task {
  readonly crypto: WireCrypto;
  readonly selected: SelectedEpoch;
  readonly files: StrategyFiles;
  readonly wanted: Wanted;
  readonly keys: PrivateKeys;
  /** Null: the attestation is not looked at. */
  readonly trust: TrustOptions | null;
  readonly headsPath: string | null;
  readonly stallMs: number;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform(task: Task, io: CommandIo, json: boolean): Promise<number> {
  const verdict = await judge(task, io);
  if (!verdict.ok) return undecided(io, verdict.refusal, json);
  if ('refusal' in verdict.value) return refused(io, verdict.value.refusal, json);
  io.stdout(json ? `${JSON.stringify(verdict.value, null, 2)}\n` : renderVerdict(verdict.value));
  return verdict.value.verdict === 'identical' ? 0 : 1;
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  { env }: CommandIo,
): Promise<Result<Task>> {
  const [address] = positionals;
  if (address === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one DIR or URL' });
  }
  const { strategy: strategies, key, parameters = [], only, all } = values;
  if (strategies === undefined || key === undefined) {
    return refuse('usage_invalid', { what: 'give --strategy and --key' });
  }
  if (only !== undefined && all === true) {
    return refuse('usage_invalid', { what: 'give --only or --all' });
  }
  const parametersSalts = values['parameters-salt'] ?? [];
  const stall = Number(values.stall ?? DEFAULT_STALL_S);
  if (!(stall > 0 && stall <= 86_400)) return refuse('usage_invalid', { what: '--stall' });
  const files = await readStrategyFiles({ strategies, parameters, parametersSalts });
  if (!files.ok) return files;
  const keys = await readComplianceKey(key);
  if (!keys.ok) return keys;
  const asked = Object.keys(POLICY_OPTIONS).some((name) => Object.hasOwn(values, name));
  const trust = asked ? await readTrustOptions(values, env) : accept(null);
  if (!trust.ok) return trust;
  const selected = await selectEpoch(address, values.epoch, values, env);
  if (!selected.ok) return selected;
  return accept({
    crypto: verifierCrypto(),
    selected: selected.value,
    files: files.value,
    wanted: wantedOf(only, all === true),
    keys: keys.value,
    trust: trust.value,
    headsPath: trust.value === null ? null : optionalHeadsPath(values, env, trust.value.unsafe),
    stallMs: stall * 1000,
  });
}

function wantedOf(only: string | undefined, all: boolean): Wanted {
  if (only !== undefined) return { which: 'one', name: only };
  return { which: all ? 'all' : 'opened' };
}

/** The log itself does not hold under the policy that was given. */
interface RefusedLog {
  readonly refusal: Refusal;
}

/** Refuses where nothing could be compared. */
async function judge(task: Task, io: CommandIo): Promise<Result<ReplayVerdict | RefusedLog>> {
  const { crypto, selected, files, wanted, keys, trust, stallMs } = task;
  const program = locateRunner();
  if (!program.ok) return program;
  const leaves = await EpochLeaves.open(crypto, selected.files);
  if (!leaves.ok) return leaves;
  const { head } = leaves.value;
  const strategies = matchStrategies(crypto, files, head.header.strategies, wanted);
  if (!strategies.ok) return strategies;
  if (trust?.policy === null) return refuse('policy_missing');
  const judged = trust === null ? accept(null) : await verify(task, trust, io);
  if (!judged.ok) return accept({ refusal: judged.refusal });
  // A log that has grown meanwhile is no lie.
  if (judged.value !== null && !isHeadOf(judged.value, head)) {
    return refuse('root_mismatch', { size: head.size });
  }
  const progress = new ProgressBar(io, 'replay');
  const facts = await replayEpoch(crypto, {
    leaves: leaves.value,
    keys,
    strategies: strategies.value,
    program: program.value,
    stallMs,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  if (!facts.ok) return facts;
  const replayed = strategies.value.flatMap(({ entry }, at) => {
    const one = facts.value[at];
    return one === undefined ? [] : [{ entry, facts: one }];
  });
  const verified = trust === null || judged.value === null ? null : { trust, judged: judged.value };
  return accept(verdictOf(selected.name, verified, head, replayed));
}

/** The whole epoch under the policy, as `verify log` does. */
async function verify(
  { crypto, selected, keys, headsPath }: Task,
  trust: TrustOptions,
  io: CommandIo,
): Promise<Result<JudgedEpoch>> {
  const progress = new ProgressBar(io, 'verify');
  const judged = await judgeEpoch({
    crypto,
    trust,
    keys,
    headsPath,
    selected,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  return judged;
}

function isHeadOf({ epoch }: JudgedEpoch, { size, root }: EpochHead): boolean {
  const { checkpoint } = epoch.facts;
  return checkpoint.size === size && equalBytes(checkpoint.root, root);
}
