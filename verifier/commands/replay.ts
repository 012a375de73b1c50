// trackseal replay DIR|URL: runs the strategy again over the logged inputs, in the same kind of process as
// the enclave's, and compares every output byte for byte. For the owner of the strategy, who may read it;
// it shows that the outputs in the log are this strategy's and nobody else's.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import { findRunner } from '../../wire/node/strategy-program.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { parseOptions, undecided } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import type { CommandIo } from '../io.ts';
import type { SelectedEpoch } from '../log/epoch-list.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { ProgressBar } from '../log/progress.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import { verifyEpoch } from '../log/verify-epoch.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import { EpochLeaves } from '../replay/epoch-leaves.ts';
import type { EpochHead } from '../replay/epoch-leaves.ts';
import { replayEpoch } from '../replay/replay-epoch.ts';
import type { StrategyFiles } from '../replay/strategy-files.ts';
import { matchStrategy, readStrategyFiles } from '../replay/strategy-files.ts';
import type { ReplayVerdict } from '../replay/verdict.ts';
import { renderVerdict, verdictOf } from '../replay/verdict.ts';

const DEFAULT_STALL_S = 60;

const USAGE = `usage: trackseal replay DIR|URL --strategy PATH --key FILE [OPTIONS]

Runs the strategy again over the logged inputs and compares every output with the log. DIR or URL is
a log, or the folder of one epoch in it (epochs/0000000001).

  --strategy PATH        folder with bundle and salt, as 'strategy pack' makes it, or the bundle
  --parameters FILE      default: parameters.json in that folder, or in the one above
  --parameters-salt FILE default: the same with .salt
  --key FILE             compliance's private key (PEM): seed, outputs and reports are private
  --epoch N              which epoch; the newest by default
  --stall SECONDS        how long one batch may take; default ${DEFAULT_STALL_S}
  --json                 the verdict as JSON on stdout
  --help

With one of the following, the whole epoch is verified first, as 'verify log' does; without, only
that the log holds together under its own key.

${POLICY_USAGE}
Exit codes: 0 identical, 1 different, 2 could not replay.
`;

const OPTIONS = {
  ...POLICY_OPTIONS,
  strategy: { type: 'string' },
  parameters: { type: 'string' },
  'parameters-salt': { type: 'string' },
  key: { type: 'string' },
  epoch: { type: 'string' },
  stall: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = PolicyOptionValues & {
  readonly strategy?: string | undefined;
  readonly parameters?: string | undefined;
  readonly 'parameters-salt'?: string | undefined;
  readonly key?: string | undefined;
  readonly epoch?: string | undefined;
  readonly stall?: string | undefined;
};

interface Task {
  readonly crypto: WireCrypto;
  readonly selected: SelectedEpoch;
  readonly files: StrategyFiles;
  readonly keys: PrivateKeys;
  /** Null: the attestation is not looked at. */
  readonly trust: TrustOptions | null;
  readonly stallMs: number;
}

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const task = await prepare(values, positionals);
  if (!task.ok) return undecided(io, task.refusal, json);
  const verdict = await judge(task.value, io);
  if (!verdict.ok) return undecided(io, verdict.refusal, json);
  io.stdout(json ? `${JSON.stringify(verdict.value, null, 2)}\n` : renderVerdict(verdict.value));
  return verdict.value.verdict === 'identical' ? 0 : 1;
}

async function prepare(values: Values, positionals: readonly string[]): Promise<Result<Task>> {
  const [address] = positionals;
  if (address === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one DIR or URL' });
  }
  const { strategy, key } = values;
  if (strategy === undefined || key === undefined) {
    return refuse('usage_invalid', { what: 'give --strategy and --key' });
  }
  const stall = Number(values.stall ?? DEFAULT_STALL_S);
  if (!(stall > 0 && stall <= 86_400)) return refuse('usage_invalid', { what: '--stall' });
  const paths = { strategy, parameters: values.parameters };
  const files = await readStrategyFiles({ ...paths, parametersSalt: values['parameters-salt'] });
  if (!files.ok) return files;
  const keys = await readComplianceKey(key);
  if (!keys.ok) return keys;
  const asked = Object.keys(POLICY_OPTIONS).some((name) => Object.hasOwn(values, name));
  const trust = asked ? await readTrustOptions(values) : accept(null);
  if (!trust.ok) return trust;
  const selected = await selectEpoch(address, values.epoch);
  if (!selected.ok) return selected;
  return accept({
    crypto: verifierCrypto(),
    selected: selected.value,
    files: files.value,
    keys: keys.value,
    trust: trust.value,
    stallMs: stall * 1000,
  });
}

/** In a checkout this file is in verifier/commands/, in a package it is part of dist/trackseal.mjs. */
function locateRunner(): Result<RunnerProgram> {
  const here = dirname(fileURLToPath(import.meta.url));
  for (const root of [join(here, '../..'), join(here, '..')]) {
    const runner = findRunner(root);
    if (existsSync(runner.path)) return accept(runner);
  }
  return refuse('file_unreadable', { what: 'the strategy runner of this installation' });
}

/** Refuses where nothing could be compared. */
async function judge(task: Task, io: CommandIo): Promise<Result<ReplayVerdict>> {
  const { crypto, selected, files, keys, trust, stallMs } = task;
  const program = locateRunner();
  if (!program.ok) return program;
  const leaves = await EpochLeaves.open(crypto, selected.files);
  if (!leaves.ok) return leaves;
  const { head } = leaves.value;
  const entry = matchStrategy(crypto, files, head.header.strategies);
  if (!entry.ok) return entry;
  if (trust !== null) {
    const verified = await verify(task, trust, head, io);
    if (!verified.ok) return verified;
  }
  const progress = new ProgressBar(io, 'replay');
  const facts = await replayEpoch(crypto, {
    leaves: leaves.value,
    keys,
    entry: entry.value,
    files,
    program: program.value,
    stallMs,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  return facts.ok ? accept(verdictOf(selected.name, trust, head, entry.value, facts.value)) : facts;
}

/** The whole epoch under the policy; its head must be the one that is replayed. */
async function verify(
  { crypto, selected, keys }: Task,
  { root, policy }: TrustOptions,
  head: EpochHead,
  io: CommandIo,
): Promise<Result<null>> {
  if (policy === null) return refuse('policy_missing');
  const progress = new ProgressBar(io, 'verify');
  const verified = await verifyEpoch(crypto, {
    files: selected.files,
    trust: { rootDer: root.der, policy },
    keys,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  if (!verified.ok) return verified;
  const { size } = verified.value?.facts.checkpoint ?? { size: 0 };
  const same = verified.value !== null && size === head.size;
  const sameRoot = same && toHex(verified.value.facts.checkpoint.root) === toHex(head.root);
  return sameRoot ? accept(null) : refuse('root_mismatch', { size });
}
