// trackseal verify result FILE: figures of an account that an enclave has signed, against the attestation of its
// epoch, and against the log when it is there. Offline unless the log has an address.

import type { UserData } from '../../wire/attestation/user-data.ts';
import { MAX_DOCUMENT_BYTES } from '../../wire/limits.ts';
import { parseOrigin } from '../../wire/header.ts';
import { verifyEvidence } from '../../wire/log-verification/evidence.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ResultStatement } from '../../wire/result-statement.ts';
import { MAX_PROOF_FILE_BYTES, parseProofFile } from '../../wire/tlog/proof-file.ts';
import { evaluateAttestation } from '../attestation-report.ts';
import { refused, runCommand } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { makeProof } from '../log/make-proof.ts';
import { ProgressBar } from '../log/progress.ts';
import { STORE_OPTIONS, STORE_USAGE } from '../log/store-options.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { checkLeaf, checkSignature, readStatement } from '../result/check-result.ts';
import type { ResultFile } from '../result/result-file.ts';
import { MAX_RESULT_FILE_BYTES, parseResultFile } from '../result/result-file.ts';
import type { ResultVerdict } from '../result/result-verdict.ts';
import { refusedResult, renderResult, verifiedResult } from '../result/result-verdict.ts';
import { readSmallFile } from '../small-file.ts';

const USAGE = `usage: trackseal verify result FILE --attestation FILE [OPTIONS]

Verifies figures of an account that an enclave has signed: the JSON that a trader's client was answered.
The attestation is one of the same epoch: the enclave answers it at /attestation/boot, and leaf 1 of
its log has it.

  --attestation FILE     the attestation document (CBOR), of purpose boot or challenge
  --proof FILE           a proof of the result's leaf, made with \`trackseal log prove\`: the result is
                         in the log
  --log SOURCE           the same from a copy of the log: a folder, a URL or a bucket
${POLICY_USAGE}${STORE_USAGE}
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

const OPTIONS = {
  ...POLICY_OPTIONS,
  ...STORE_OPTIONS,
  attestation: { type: 'string' },
  proof: { type: 'string' },
  log: { type: 'string' },
} as const;

type Values = PolicyOptionValues &
  StoreOptionValues & {
    readonly attestation?: string | undefined;
    readonly proof?: string | undefined;
    readonly log?: string | undefined;
  };

interface Task {
  readonly values: Values;
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly document: Uint8Array;
  readonly trust: TrustOptions;
}

// Room to tell "too large" from "not readable": the parser has the exact limit.
const MAX_FILE_BYTES = 4 * MAX_DOCUMENT_BYTES;

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, {
    usage: USAGE,
    options: OPTIONS,
    prepare: (values, positionals, { env }) => prepare(values, positionals, env),
    perform,
  });
}

async function perform(task: Task, io: CommandIo, json: boolean): Promise<number> {
  const { path, trust } = task;
  const judged = judge(task);
  const proof = judged.ok ? await readProof(task.values, judged.value, io) : accept(null);
  if (!proof.ok) return refused(io, proof.refusal, json);
  const verdict = verdictOf(path, trust, judged, proof.value);
  io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : renderResult(verdict));
  return exitCodeOf(verdict);
}

function verdictOf(
  path: string,
  trust: TrustOptions,
  judged: Result<Judged>,
  proof: Uint8Array | null,
): ResultVerdict {
  if (!judged.ok) return refusedResult(path, trust, judged.refusal);
  const { file, statement } = judged.value;
  const inLog = proof === null ? accept(null) : checkProof(proof, judged.value, trust);
  return inLog.ok
    ? verifiedResult(path, trust, statement, file.leafIndex, proof !== null)
    : refusedResult(path, trust, inLog.refusal);
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  env: CommandIo['env'],
): Promise<Result<Task>> {
  const [path] = positionals;
  const { attestation, proof, log } = values;
  if (path === undefined || positionals.length !== 1 || attestation === undefined) {
    return refuse('usage_invalid', { what: 'give one FILE and --attestation FILE' });
  }
  if (proof !== undefined && log !== undefined) {
    return refuse('usage_invalid', { what: 'give one of --proof and --log' });
  }
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const document = await readSmallFile(attestation, MAX_FILE_BYTES);
  if (!document.ok) return document;
  const bytes = await readSmallFile(path, MAX_RESULT_FILE_BYTES);
  if (!bytes.ok) return bytes;
  return accept({ values, path, bytes: bytes.value, document: document.value, trust: trust.value });
}

interface Judged {
  readonly file: ResultFile;
  readonly statement: ResultStatement;
}

/** File, statement, document, signature: refuses the first that fails. */
function judge({ bytes, document, trust }: Task): Result<Judged> {
  const file = parseResultFile(bytes);
  if (!file.ok) return file;
  const statement = readStatement(file.value);
  if (!statement.ok) return statement;
  let userData: UserData | null = null;
  // Archived evidence: certificates live for hours, and are judged at the time of the signature.
  const { report } = evaluateAttestation({
    bytes: document,
    trust,
    at: 'signing',
    nowMs: Date.now(),
    demands: {},
    checkBinding: (_, found) => {
      userData = found;
      return checkSignature(file.value, statement.value, found);
    },
  });
  const { code, detail } = report;
  // Without a policy all the rest was checked, and the verdict says so.
  if (code !== null && (code !== 'policy_missing' || userData === null))
    return refuse(code, detail);
  return accept({ file: file.value, statement: statement.value });
}

/** The proof of the result's leaf; null when nobody asked for it. */
async function readProof(
  values: Values,
  { file, statement }: Judged,
  io: CommandIo,
): Promise<Result<Uint8Array | null>> {
  const { proof, log } = values;
  if (proof !== undefined) return readSmallFile(proof, MAX_PROOF_FILE_BYTES);
  if (log === undefined) return accept(null);
  const epoch = parseOrigin(statement.origin)?.epoch;
  const selected = await selectEpoch(
    log,
    epoch === undefined ? undefined : String(epoch),
    values,
    io.env,
  );
  if (!selected.ok) return selected;
  const progress = new ProgressBar(io, 'leaves');
  const made = await makeProof(verifierCrypto(), {
    files: selected.value.files,
    index: file.leafIndex,
    keys: null,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  return made.ok ? accept(made.value.bytes) : made;
}

function checkProof(
  bytes: Uint8Array,
  { file, statement }: Judged,
  trust: TrustOptions,
): Result<null> {
  const proof = parseProofFile(bytes);
  if (!proof.ok) return proof;
  const evidence = verifyEvidence(verifierCrypto(), proof.value, {
    rootDer: trust.root.der,
    policy: trust.policy ?? { pcrs: null },
  });
  return evidence.ok ? checkLeaf(file, statement, evidence.value) : evidence;
}
