// trackseal verify bundle FILE: an evidence file, offline: container, attestation, signed head, every leaf's
// place in the tree, what is shown and what is withheld.

import { parseOptions, undecided } from '../command-line.ts';
import {
  bundleExitCode,
  refusedBundle,
  renderBundle,
  verifiedBundle,
} from '../evidence/bundle-verdict.ts';
import type { BundleVerdict } from '../evidence/bundle-verdict.ts';
import { verifyBundle } from '../evidence/verify-bundle.ts';
import { ZIP_LIMITS } from '../evidence/zip.ts';
import { HeadMemory, optionalHeadsPath } from '../heads.ts';
import type { CommandIo } from '../io.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { readSmallFile } from '../small-file.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const USAGE = `usage: trackseal verify bundle FILE [OPTIONS]

Verifies an evidence file that \`trackseal log pull\` has made, offline: what is shown is in the log under
its signed head, nothing of the range is missing but what is withheld by its hash, and tables say what
the leaves say.

${POLICY_USAGE}
  --heads FILE           memory of log heads (default: $TRACKSEAL_HEADS, or the user's state folder;
                         with an --unsafe- flag only a file that is named)
  --no-heads             do not compare with remembered heads
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

const OPTIONS = {
  ...POLICY_OPTIONS,
  heads: { type: 'string' },
  'no-heads': { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = PolicyOptionValues & {
  readonly heads?: string | undefined;
  readonly 'no-heads'?: boolean | undefined;
};

interface Task {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly trust: TrustOptions;
  readonly memory: HeadMemory | null;
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
  const task = await prepare(values, positionals, io.env);
  if (!task.ok) return undecided(io, task.refusal, json);
  const verdict = judge(task.value);
  io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : renderBundle(verdict));
  return bundleExitCode(verdict);
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  env: CommandIo['env'],
): Promise<Result<Task>> {
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one FILE' });
  }
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const heads = optionalHeadsPath(values, env, trust.value.unsafe);
  const memory = heads === null ? accept(null) : await HeadMemory.load(heads);
  if (!memory.ok) return memory;
  const bytes = await readSmallFile(path, ZIP_LIMITS.fileBytes);
  if (!bytes.ok) return bytes;
  return accept({ path, bytes: bytes.value, trust: trust.value, memory: memory.value });
}

function judge({ path, bytes, trust, memory }: Task): BundleVerdict {
  const crypto = verifierCrypto();
  const verified = verifyBundle(crypto, bytes, {
    rootDer: trust.root.der,
    policy: trust.policy ?? { pcrs: null },
  });
  if (!verified.ok) return refusedBundle(path, trust, verified.refusal);
  const { boot, checkpoint } = verified.value;
  const { origin, logKey } = boot.header;
  const { size, root } = checkpoint;
  // An old head is no rollback here; another key or another root of the same size is a fork.
  const known =
    memory?.checkFork({ origin, logKeyHash: crypto.sha256(logKey), size, root }) ?? accept(null);
  return known.ok
    ? verifiedBundle(path, trust, verified.value, memory !== null)
    : refusedBundle(path, trust, known.refusal);
}
