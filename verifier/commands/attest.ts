// trackseal attest URL: challenge a running enclave, verify its answer, and check that the TLS connection
// ends inside it. This is what an LP runs before believing anything else that comes from that address.

import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { UserData } from '../../wire/attestation/user-data.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import type { VerifiedAttestation } from '../../wire/attestation/verify.ts';
import { checkAge } from '../../wire/attestation/verify.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Evaluation } from '../attestation-report.ts';
import { evaluateAttestation, exitCodeOf, MAX_SKEW_MS } from '../attestation-report.ts';
import { renderReport } from '../attestation-text.ts';
import type { Answer } from '../challenge.ts';
import { attestationUrl, challenge } from '../challenge.ts';
import { runCommand, undecided } from '../command-line.ts';
import type { SeenHead } from '../heads.ts';
import { HeadMemory, headsPath, refuseWriting } from '../heads.ts';
import type { CommandIo } from '../io.ts';
import { POLICY_OPTIONS, POLICY_USAGE, readTrustOptions } from '../policy-options.ts';
import type { TrustOptions } from '../policy-options.ts';

const USAGE = `usage: trackseal attest URL [OPTIONS]

Sends a fresh 32-byte nonce to URL/attestation, verifies the answer, and checks that the TLS
connection ends in the attested enclave. URL is for example https://enclave.example:3000

${POLICY_USAGE}
  -o FILE                save the document
  --heads FILE           memory of log heads (default: $TRACKSEAL_HEADS, or the user's state folder)
  --timeout-ms N         1,000 to 120,000, default 15,000
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, no answer, wrong usage).
`;

const NONCE_BYTES = 32;
const DEFAULT_TIMEOUT_MS = 15_000;

const OPTIONS = {
  ...POLICY_OPTIONS,
  output: { type: 'string', short: 'o' },
  heads: { type: 'string' },
  'timeout-ms': { type: 'string' },
} as const;

interface Attempt {
  readonly url: URL;
  readonly nonce: Uint8Array;
  readonly timeoutMs: number;
  readonly trust: TrustOptions;
  /** Null: no head is compared or remembered. */
  readonly headsPath: string | null;
  readonly memory: HeadMemory;
  readonly unchecked: readonly string[];
  readonly output: string | undefined;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform(attempt: Attempt, io: CommandIo, json: boolean): Promise<number> {
  const { url, output, timeoutMs } = attempt;
  const answer = await challenge(url, timeoutMs);
  if (!answer.ok) return undecided(io, answer.refusal, json);
  // Saved whatever the verdict is: a refused document is evidence too.
  const saved = await save(output, answer.value.document);
  if (!saved.ok) return undecided(io, saved.refusal, json);
  const evaluation = await judge(attempt, answer.value);
  if (!evaluation.ok) return undecided(io, evaluation.refusal, json);
  const { report } = evaluation.value;
  io.stdout(json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, url.origin));
  return exitCodeOf(report);
}

type Values = Parameters<typeof readTrustOptions>[0] & {
  readonly output?: string | undefined;
  readonly heads?: string | undefined;
  readonly 'timeout-ms'?: string | undefined;
};

async function prepare(
  values: Values,
  positionals: readonly string[],
  { env }: CommandIo,
): Promise<Result<Attempt>> {
  const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
  const [base] = positionals;
  const url = base === undefined ? null : attestationUrl(base, nonce);
  if (url === null || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one URL that starts with https://' });
  }
  const timeoutMs = Number(values['timeout-ms'] ?? DEFAULT_TIMEOUT_MS);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1000 || timeoutMs > 120_000) {
    return refuse('usage_invalid', { what: '--timeout-ms: 1000 to 120000' });
  }
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const path = headsPath(values.heads, env, trust.value.unsafe);
  const memory = await HeadMemory.load(path);
  if (!memory.ok) return memory;
  const { output } = values;
  // A document alone cannot show that its head continues the remembered ones: `verify log` does.
  const unchecked = path === null ? ['consistency', 'heads'] : ['consistency'];
  return accept({
    url,
    nonce,
    timeoutMs,
    trust: trust.value,
    headsPath: path,
    memory: memory.value,
    unchecked,
    output,
  });
}

function evaluate(
  { nonce, trust, unchecked, headsPath: path }: Attempt,
  answer: Answer,
  memory: HeadMemory,
): Evaluation {
  const nowMs = Date.now();
  return evaluateAttestation({
    bytes: answer.document,
    trust,
    unchecked,
    headsCompared: path !== null,
    at: 'now',
    nowMs,
    demands: { nonce, purpose: PURPOSE.challenge },
    checkAge: (verified) => checkAge(verified, nowMs, MAX_SKEW_MS),
    checkBinding: (verified, userData) => {
      const key = checkTlsKey(userData, answer.tlsKeyHash);
      if (!key.ok) return key;
      const head = headOf(verified, userData);
      if (head === null) return accept(null);
      const known = memory.check(head);
      // Who answers a challenge runs now: an epoch before one that is known has no business to.
      return known.ok ? memory.checkNewest(head.origin) : known;
    },
  });
}

/** Whoever ends the TLS connection outside the enclave has another key than the attested one. */
function checkTlsKey(userData: UserData | null, actual: Uint8Array): Result<null> {
  const expected = userData?.tlsKeyHash ?? null;
  if (expected !== null && equalBytes(expected, actual)) return accept(null);
  return refuse('tls_key_mismatch', {
    expected: expected === null ? null : toHex(expected),
    actual: toHex(actual),
  });
}

function headOf(verified: VerifiedAttestation, userData: UserData | null): SeenHead | null {
  const { publicKey } = verified.document;
  if (userData === null || userData.head === null || publicKey === null) return null;
  const logKeyHash = new Uint8Array(createHash('sha256').update(publicKey).digest());
  return { origin: userData.origin, logKeyHash, ...userData.head };
}

async function save(path: string | undefined, document: Uint8Array): Promise<Result<null>> {
  if (path === undefined) return accept(null);
  return writeFile(path, document).then(() => accept(null), refuseWriting);
}

/** Only what verified under a policy is remembered, so that nobody can plant a head. */
async function judge(attempt: Attempt, answer: Answer): Promise<Result<Evaluation>> {
  const evaluation = evaluate(attempt, answer, attempt.memory);
  const { verified, userData } = evaluation;
  const head = verified === null ? null : headOf(verified, userData);
  if (head === null) return accept(evaluation);
  // Again under the lock: another verifier may have seen another head meanwhile.
  return HeadMemory.update(attempt.headsPath, (memory) => {
    const last = evaluate(attempt, answer, memory);
    if (last.report.verdict === 'verified') memory.remember(head, Date.now());
    return accept(last);
  });
}
