// trackseal verify proof FILE: one leaf of a log, offline: attestation, key, signed head, place in the
// tree, and what the leaf says when the file opens it.

import { parseOptions, undecided } from '../command-line.ts';
import { HeadMemory, optionalHeadsPath } from '../heads.ts';
import type { CommandIo } from '../io.ts';
import { describePayload } from '../log/payload.ts';
import { proofExitCode, refusedProof, renderProof, verifiedProof } from '../log/proof-verdict.ts';
import type { ProofVerdict } from '../log/proof-verdict.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { readSmallFile } from '../small-file.ts';
import { verifyEvidence } from '../../wire/log-verification/evidence.ts';
import type { VerifiedEvidence } from '../../wire/log-verification/evidence.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { MAX_PROOF_FILE_BYTES, parseProofFile } from '../../wire/tlog/proof-file.ts';

const USAGE = `usage: trackseal verify proof FILE [OPTIONS]

Verifies one leaf offline, from a proof file that \`trackseal log prove\` has made
(c2sp.org/tlog-proof@v1), and shows what it says when the file discloses it.

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
  io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : renderProof(verdict));
  return proofExitCode(verdict);
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
  const bytes = await readSmallFile(path, MAX_PROOF_FILE_BYTES);
  if (!bytes.ok) return bytes;
  return accept({ path, bytes: bytes.value, trust: trust.value, memory: memory.value });
}

function judge({ path, bytes, trust, memory }: Task): ProofVerdict {
  const file = parseProofFile(bytes);
  if (!file.ok) return refusedProof(path, trust, file.refusal);
  const verified = verifyEvidence(verifierCrypto(), file.value, {
    rootDer: trust.root.der,
    policy: trust.policy ?? { pcrs: null },
  });
  if (!verified.ok) return refusedProof(path, trust, verified.refusal);
  const evidence = verified.value;
  const known = memory === null ? accept(null) : compareHead(memory, evidence);
  if (!known.ok) return refusedProof(path, trust, known.refusal);
  const { leaf, plaintext, boot } = evidence;
  const payload =
    plaintext === null ? accept(null) : describePayload(leaf.kind, plaintext, boot.configuration);
  if (!payload.ok) return refusedProof(path, trust, payload.refusal);
  return verifiedProof(path, trust, evidence, payload.value, memory !== null);
}

/** An old head is no rollback here; another key or another root of the same size is a fork. */
function compareHead(memory: HeadMemory, { boot, checkpoint }: VerifiedEvidence): Result<null> {
  const { origin, logKey } = boot.header;
  const logKeyHash = verifierCrypto().sha256(logKey);
  return memory.checkFork({ origin, logKeyHash, size: checkpoint.size, root: checkpoint.root });
}
