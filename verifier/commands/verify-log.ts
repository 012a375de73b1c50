// trackseal verify log SOURCE: a whole epoch, leaf by leaf, under the key that its attestation binds.
// This is what compliance runs over an archive and what an LP runs over a track record.

import { runCommand, undecided } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import type { HeadsOptionValues } from '../heads-options.ts';
import { HEADS_OPTIONS, HEADS_USAGE, optionalHeadsPath } from '../heads-options.ts';
import type { CommandIo } from '../io.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { STORE_OPTIONS, STORE_USAGE } from '../log/store-options.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import type { SelectedEpoch } from '../log/epoch-list.ts';
import { judgeEpoch } from '../log/judge-epoch.ts';
import { ProgressBar } from '../log/progress.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { LogVerdict } from '../log/verdict.ts';
import { refusedVerdict, verifiedVerdict } from '../log/verdict.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { renderVerdict } from '../log/verdict-text.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const USAGE = `usage: trackseal verify log SOURCE [OPTIONS]

Verifies one epoch of a log: every leaf, tile and signed head, the attestation that binds its key,
the order of time, streams and causes, and the link to the epoch before. SOURCE is a log, or
the folder of one epoch in it (epochs/0000000001): a folder, a URL or s3://BUCKET/PREFIX.

${POLICY_USAGE}
  --epoch N              which epoch; the newest by default
  --key FILE             compliance's private key (PEM): opens and checks private leaves too
${HEADS_USAGE}
  --no-heads             neither compare with remembered heads nor remember this one
${STORE_USAGE}
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, no such log, wrong usage).
`;

const OPTIONS = {
  ...STORE_OPTIONS,
  ...POLICY_OPTIONS,
  ...HEADS_OPTIONS,
  epoch: { type: 'string' },
  key: { type: 'string' },
} as const;

type Values = PolicyOptionValues &
  StoreOptionValues &
  HeadsOptionValues & {
    readonly epoch?: string | undefined;
    readonly key?: string | undefined;
  };

interface Task {
  readonly trust: TrustOptions;
  readonly keys: PrivateKeys | null;
  readonly headsPath: string | null;
  readonly selected: SelectedEpoch;
}

/** Codes that mean "I could not look" rather than "it is wrong". */
const UNDECIDED: ReadonlySet<string> = new Set(['source_unreachable', 'file_unreadable']);

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform(task: Task, io: CommandIo, json: boolean): Promise<number> {
  const verdict = await judge(task, io);
  if (!verdict.ok) return undecided(io, verdict.refusal, json);
  io.stdout(json ? `${JSON.stringify(verdict.value, null, 2)}\n` : renderVerdict(verdict.value));
  return exitCodeOf(verdict.value);
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
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const keys = values.key === undefined ? accept(null) : await readComplianceKey(values.key);
  if (!keys.ok) return keys;
  const headsPath = optionalHeadsPath(values, env, trust.value.unsafe);
  const selected = await selectEpoch(address, values.epoch, values, env);
  if (!selected.ok) return selected;
  return accept({
    trust: trust.value,
    keys: keys.value,
    headsPath,
    selected: selected.value,
  });
}

/** Refuses only where nothing could be judged. */
async function judge(task: Task, io: CommandIo): Promise<Result<LogVerdict>> {
  const { trust, selected } = task;
  const progress = new ProgressBar(io, 'leaves');
  const judged = await judgeEpoch({
    ...task,
    crypto: verifierCrypto(),
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  if (judged.ok) return accept(verifiedVerdict(selected.name, trust, judged.value));
  return UNDECIDED.has(judged.refusal.code)
    ? judged
    : accept(refusedVerdict(selected.name, trust, judged.refusal));
}
