// trackseal verify log DIR|URL: a whole epoch, leaf by leaf, under the key that its attestation binds.
// This is what compliance runs over an archive and what an LP runs over a track record.

import { parseOptions, undecided } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import { HeadMemory, headsPath } from '../heads.ts';
import type { CommandIo } from '../io.ts';
import { checkMemory, rememberEpoch } from '../log/check-memory.ts';
import type { Remembrance, SeenEpoch } from '../log/check-memory.ts';
import { EpochFiles } from '../log/epoch-files.ts';
import { verifyLink } from '../log/epoch-link.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import type { SelectedEpoch } from '../log/epoch-list.ts';
import { ProgressBar } from '../log/progress.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { LogVerdict } from '../log/verdict.ts';
import { exitCodeOf, refusedVerdict, verifiedVerdict } from '../log/verdict.ts';
import { renderVerdict } from '../log/verdict-text.ts';
import { verifyEpoch } from '../log/verify-epoch.ts';
import type { VerifiedEpoch } from '../log/verify-epoch.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { parseOrigin } from '../../wire/header.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { MemoryTree } from '../../wire/tlog/merkle.ts';

const USAGE = `usage: trackseal verify log DIR|URL [OPTIONS]

Verifies one epoch of a log: every leaf, tile and signed head, the attestation that binds its key,
the order of time, streams and causes, and the link to the epoch before. DIR or URL is a log, or
the folder of one epoch in it (epochs/0000000001).

${POLICY_USAGE}
  --epoch N              which epoch; the newest by default
  --key FILE             compliance's private key (PEM): opens and checks private leaves too
  --heads FILE           memory of log heads (default: $TRACKSEAL_HEADS, or the user's state folder;
                         with an --unsafe- flag only a file that is named)
  --no-heads             neither compare with remembered heads nor remember this one
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, no such log, wrong usage).
`;

const OPTIONS = {
  ...POLICY_OPTIONS,
  epoch: { type: 'string' },
  key: { type: 'string' },
  heads: { type: 'string' },
  'no-heads': { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = PolicyOptionValues & {
  readonly epoch?: string | undefined;
  readonly key?: string | undefined;
  readonly heads?: string | undefined;
  readonly 'no-heads'?: boolean | undefined;
};

interface Task {
  readonly crypto: WireCrypto;
  readonly trust: TrustOptions;
  readonly keys: PrivateKeys | null;
  readonly memory: HeadMemory | null;
  readonly selected: SelectedEpoch;
}

/** Codes that mean "I could not look" rather than "it is wrong". */
const UNDECIDED: ReadonlySet<string> = new Set(['source_unreachable', 'file_unreadable']);

export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({ args: [...args], allowPositionals: true, options: OPTIONS });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { values, positionals } = parsed.value;
  if (values.help === true) {
    io.stdout(USAGE);
    return 0;
  }
  const task = await prepare(values, positionals, io.env);
  if (!task.ok) return undecided(io, task.refusal, json);
  const verdict = await judge(task.value, io);
  if (!verdict.ok) return undecided(io, verdict.refusal, json);
  io.stdout(json ? `${JSON.stringify(verdict.value, null, 2)}\n` : renderVerdict(verdict.value));
  return exitCodeOf(verdict.value);
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  env: CommandIo['env'],
): Promise<Result<Task>> {
  const [address] = positionals;
  if (address === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one DIR or URL' });
  }
  const trust = await readTrustOptions(values);
  if (!trust.ok) return trust;
  const keys = values.key === undefined ? accept(null) : await readComplianceKey(values.key);
  if (!keys.ok) return keys;
  const path =
    values['no-heads'] === true ? null : headsPath(values.heads, env, trust.value.unsafe);
  const memory = path === null ? accept(null) : await HeadMemory.load(path);
  if (!memory.ok) return memory;
  const selected = await selectEpoch(address, values.epoch);
  if (!selected.ok) return selected;
  return accept({
    crypto: verifierCrypto(),
    trust: trust.value,
    keys: keys.value,
    memory: memory.value,
    selected: selected.value,
  });
}

/** Refuses only where nothing could be judged. */
async function judge(task: Task, io: CommandIo): Promise<Result<LogVerdict>> {
  const { crypto, trust, selected, keys } = task;
  const { files, name } = selected;
  const refused = ({ code, detail }: Refusal): Result<LogVerdict> =>
    UNDECIDED.has(code)
      ? refuse(code, detail)
      : accept(refusedVerdict(name, trust, { code, detail }));
  const progress = new ProgressBar(io, 'leaves');
  const verified = await verifyEpoch(crypto, {
    files,
    // Without a policy for the image the rest is checked all the same: it may refuse already.
    trust: { rootDer: trust.root.der, policy: trust.policy ?? { pcrs: null } },
    keys,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  if (!verified.ok) return refused(verified.refusal);
  if (verified.value === null)
    return refuse('file_unreadable', { what: 'no checkpoint', path: name });
  const epoch = verified.value;
  const placed = checkPlace(epoch, selected);
  if (!placed.ok) return refused(placed.refusal);
  const previousTree = await readPrevious(crypto, epoch, selected);
  if (!previousTree.ok) return refused(previousTree.refusal);
  const remembered = await consult(task, epoch, previousTree.value);
  if (!remembered.ok) return refused(remembered.refusal);
  const { previous } = epoch.facts.boot.header;
  const link = previousTree.value === null ? 'not_present' : 'verified';
  return accept(
    verifiedVerdict(name, trust, {
      facts: epoch.facts,
      commits: epoch.commits,
      link: previous === null ? 'none' : link,
      succeeded: selected.succeeded,
      remembrance: remembered.value,
    }),
  );
}

/** An epoch under another number would be a way to show one epoch twice. */
function checkPlace({ facts }: VerifiedEpoch, { epoch, asked }: SelectedEpoch): Result<null> {
  const { origin } = facts.boot.header;
  const expected = epoch ?? asked;
  return expected === null || expected === facts.boot.header.epoch
    ? accept(null)
    : refuse('checkpoint_origin', { what: 'folder', expected, origin });
}

async function readPrevious(
  crypto: WireCrypto,
  { facts }: VerifiedEpoch,
  { source, epoch }: SelectedEpoch,
): Promise<Result<MemoryTree | null>> {
  const { previous, origin } = facts.boot.header;
  if (previous === null || epoch === null) return accept(null);
  const files = new EpochFiles(source, previous.epoch);
  const logId = parseOrigin(origin)?.logId ?? '';
  return verifyLink(crypto, files, logId, previous);
}

/** Null without a memory. Remembers only final verdicts. */
async function consult(
  { crypto, memory, trust, selected }: Task,
  { facts, commits, verifier }: VerifiedEpoch,
  previousTree: MemoryTree | null,
): Promise<Result<Remembrance | null>> {
  if (memory === null) return accept(null);
  const { header } = facts.boot;
  const { tree } = verifier;
  const { beyond } = commits;
  const seen: SeenEpoch = { header, checkpoint: facts.checkpoint, tree, beyond, previousTree };
  const checked = checkMemory(crypto, memory, seen, {
    pinned: trust.policy?.origin === header.origin,
    newest: selected.asked === null,
  });
  if (!checked.ok) return checked;
  // Only what verified under a policy is remembered, so that nobody can plant a head.
  if (trust.policy !== null) {
    rememberEpoch(crypto, memory, seen, Date.now());
    await memory.save();
  }
  return accept(checked.value);
}
