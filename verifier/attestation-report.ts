// The verdict on one attestation document: every check with its own result, what was not checked, and
// which flags switched something off. The order of checks decides the code: syntax, chain and signature,
// time, policy. "Valid at signing" and "valid now" are two facts; neither implies the other.

import type { AttestationPolicy } from '../wire/attestation/policy.ts';
import { checkPolicy } from '../wire/attestation/policy.ts';
import type { AttestationDocument } from '../wire/attestation/document.ts';
import type { UserData } from '../wire/attestation/user-data.ts';
import { parseUserData, purposeName } from '../wire/attestation/parse-user-data.ts';
import type { AttestationFindings, VerifiedAttestation } from '../wire/attestation/verify.ts';
import { checkTime, examineAttestation } from '../wire/attestation/verify.ts';
import { toHex } from '../wire/bytes.ts';
import type { RefusalCode } from '../wire/codes.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import type { Refusal, RefusalDetail, Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { risksOfDocument } from './attestation-risks.ts';
import type { TrustOptions } from './policy-options.ts';
import type { Risk, RiskFields } from './residual-risks.ts';
import { NO_RISKS, riskFields } from './residual-risks.ts';

/** A document may be this much newer than the clock it is judged by. */
export const MAX_SKEW_MS: number = 5 * 60_000;

export type Instant = 'signing' | 'now' | { readonly atMs: number };

export interface ReportRequest {
  readonly bytes: Uint8Array;
  readonly trust: TrustOptions;
  readonly at: Instant;
  readonly nowMs: number;
  /** What this command demands beyond the trust options. */
  readonly demands: Pick<AttestationPolicy, 'nonce' | 'purpose'>;
  /** The document's head was compared with remembered ones. */
  readonly headsCompared?: boolean;
  /** Names for `skipped` that only the command knows. */
  readonly unchecked?: readonly string[];
  /** Further checks of time (age), after certificates. */
  readonly checkAge?: (verified: VerifiedAttestation) => Result<null>;
  /** Further checks after policy: the connection's TLS key, remembered heads. */
  readonly checkBinding?: (
    verified: VerifiedAttestation,
    userData: UserData | null,
  ) => Result<null>;
}

type CheckName = 'syntax' | 'chain' | 'signature' | 'time' | 'policy';

/** The stable JSON of `--json`. Times are ms since the Unix epoch, byte strings lower-case hex. */
export interface AttestationReport {
  readonly verdict: 'verified' | 'refused' | 'undecided';
  readonly code: RefusalCode | null;
  readonly detail: RefusalDetail;
  readonly valid_at_signing: boolean | null;
  readonly valid_now: boolean | null;
  readonly judged_at: number | null;
  readonly checks: Readonly<Record<CheckName, string>>;
  readonly pcrs: Readonly<Record<string, string>> | null;
  readonly module_id: string | null;
  readonly timestamp: number | null;
  readonly nonce: string | null;
  readonly nonce_checked: boolean;
  readonly public_key: string | null;
  readonly user_data: DecodedUserData | null;
  readonly user_data_raw: string | null;
  readonly root: { readonly sha256: string; readonly aws: boolean };
  /** What nobody asked for, or this version cannot check. */
  readonly skipped: readonly string[];
  readonly unsafe: readonly string[];
  /** What this document alone cannot show; null for a document that was refused. */
  readonly operator_could_still: readonly string[] | null;
  readonly rests_on: readonly string[] | null;
  readonly residual_risks: readonly Risk[] | null;
}

export interface DecodedUserData {
  readonly purpose: string;
  readonly origin: string;
  readonly head: { readonly size: number; readonly root: string } | null;
  readonly leaf_zero_hash: string | null;
  readonly x25519_key: string | null;
  readonly tls_key_hash: string | null;
  readonly ed25519_key: string | null;
  readonly config_digest: string | null;
}

export interface Evaluation {
  readonly report: AttestationReport;
  /** Present when verified. */
  readonly userData: UserData | null;
  readonly verified: VerifiedAttestation | null;
}

export function evaluateAttestation(request: ReportRequest): Evaluation {
  const { bytes, trust } = request;
  const findings = examineAttestation(nodeCrypto, bytes, { rootDer: trust.root.der });
  if (!findings.ok) return undocumented(request, findings.refusal);
  const { chain, signature, verified } = findings.value;
  const time = verified === null ? null : judgeTime(request, verified);
  const policy = verified === null ? null : judgePolicy(request, verified);
  const failed = [chain, signature, refusalOf(time), refusalOf(policy)].find(
    (refusal) => refusal !== null,
  );
  const verdict = verdictOf(failed ?? null);
  const report: AttestationReport = {
    verdict,
    code: failed?.code ?? null,
    detail: failed?.detail ?? {},
    ...timeFacts(request, verified),
    checks: {
      syntax: 'passed',
      chain: chain?.code ?? 'passed',
      signature: signature?.code ?? 'passed',
      time: textOf(time),
      policy: textOf(policy),
    },
    ...documentFacts(verified?.document ?? null),
    nonce_checked: verified !== null && request.demands.nonce !== undefined,
    root: rootFacts(trust),
    skipped: skippedOf(request, findings.value),
    unsafe: trust.unsafe,
    ...risksOf(request, verdict, verified),
  };
  const passed = verdict === 'verified' && policy?.ok === true;
  return { report, verified, userData: passed ? policy.value : null };
}

function refusalOf(result: Result<unknown> | null): Refusal | null {
  return result === null || result.ok ? null : result.refusal;
}

function textOf(result: Result<unknown> | null): string {
  return result === null ? 'skipped' : result.ok ? 'passed' : result.refusal.code;
}

function verdictOf(failed: Refusal | null): AttestationReport['verdict'] {
  if (failed === null) return 'verified';
  return failed.code === 'policy_missing' ? 'undecided' : 'refused';
}

function instantOf(request: ReportRequest, document: AttestationDocument): number {
  if (request.at === 'signing') return document.timestampMs;
  return request.at === 'now' ? request.nowMs : request.at.atMs;
}

function judgeTime(request: ReportRequest, verified: VerifiedAttestation): Result<null> {
  const { timestampMs } = verified.document;
  const atMs = instantOf(request, verified.document);
  const atInstant = checkTime(verified, atMs);
  if (!atInstant.ok) return atInstant;
  // The NSM signs only with a certificate that is valid by its own clock.
  const atSigning = checkTime(verified, timestampMs);
  if (!atSigning.ok) return atSigning;
  if (timestampMs > atMs + MAX_SKEW_MS) {
    return refuse('timestamp_future', {
      timestamp_ms: timestampMs,
      at_ms: atMs,
      max_skew_ms: MAX_SKEW_MS,
    });
  }
  return request.checkAge?.(verified) ?? accept(null);
}

function judgePolicy(
  request: ReportRequest,
  verified: VerifiedAttestation,
): Result<UserData | null> {
  const { trust, demands, checkBinding } = request;
  // Without a policy for the image the rest is checked all the same: it may refuse already.
  const policy = { pcrs: null, ...trust.policy, ...demands };
  const checked = checkPolicy(nodeCrypto, verified, policy);
  if (!checked.ok) return checked;
  const binding = checkBinding?.(verified, checked.value) ?? accept(null);
  if (!binding.ok) return binding;
  return trust.policy === null ? refuse('policy_missing') : checked;
}

function timeFacts(
  request: ReportRequest,
  verified: VerifiedAttestation | null,
): Pick<AttestationReport, 'valid_at_signing' | 'valid_now' | 'judged_at'> {
  if (verified === null) return { valid_at_signing: null, valid_now: null, judged_at: null };
  return {
    valid_at_signing: checkTime(verified, verified.document.timestampMs).ok,
    valid_now: checkTime(verified, request.nowMs).ok,
    judged_at: instantOf(request, verified.document),
  };
}

type DocumentFacts = Pick<
  AttestationReport,
  'pcrs' | 'module_id' | 'timestamp' | 'nonce' | 'public_key' | 'user_data' | 'user_data_raw'
>;

/** Nothing of a document that is not proven: a reader might take it for evidence. */
function documentFacts(document: AttestationDocument | null): DocumentFacts {
  if (document === null) {
    return {
      pcrs: null,
      module_id: null,
      timestamp: null,
      nonce: null,
      public_key: null,
      user_data: null,
      user_data_raw: null,
    };
  }
  return {
    pcrs: Object.fromEntries(Array.from(document.pcrs, ([index, pcr]) => [index, toHex(pcr)])),
    module_id: document.moduleId,
    timestamp: document.timestampMs,
    nonce: hexOrNull(document.nonce),
    public_key: hexOrNull(document.publicKey),
    user_data: decodeUserData(document.userData),
    user_data_raw: hexOrNull(document.userData),
  };
}

function hexOrNull(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : toHex(bytes);
}

/** Null when the user data is not ours. */
export function decodeUserData(bytes: Uint8Array | null): DecodedUserData | null {
  const parsed = parseUserData(bytes ?? new Uint8Array());
  if (!parsed.ok) return null;
  const { purpose, origin, head, ...rest } = parsed.value;
  const { leafZeroHash, x25519Key, tlsKeyHash, ed25519Key, configDigest } = rest;
  return {
    purpose: purposeName(purpose),
    origin,
    head: head === null ? null : { size: head.size, root: toHex(head.root) },
    leaf_zero_hash: hexOrNull(leafZeroHash),
    x25519_key: hexOrNull(x25519Key),
    tls_key_hash: hexOrNull(tlsKeyHash),
    ed25519_key: hexOrNull(ed25519Key),
    config_digest: hexOrNull(configDigest),
  };
}

function rootFacts({ root }: TrustOptions): AttestationReport['root'] {
  return { sha256: root.sha256, aws: root.aws };
}

function skippedOf(request: ReportRequest, { verified }: AttestationFindings): readonly string[] {
  const { trust, demands } = request;
  if (verified === null) return ['time', 'policy'];
  const skipped: string[] = [];
  if (trust.policy === null || trust.policy.pcrs === null) skipped.push('pcrs');
  if (trust.policy?.configDigest === undefined) skipped.push('config_digest');
  if (trust.policy?.origin === undefined) skipped.push('origin');
  if (demands.nonce === undefined) skipped.push('nonce');
  if (demands.purpose === undefined) skipped.push('purpose');
  if (request.checkAge === undefined) skipped.push('age');
  if (request.checkBinding === undefined) skipped.push('tls_key');
  return [...skipped, ...trust.unchecked, ...(request.unchecked ?? [])];
}

function risksOf(
  { trust, demands, checkBinding, headsCompared = false }: ReportRequest,
  verdict: AttestationReport['verdict'],
  verified: VerifiedAttestation | null,
): Pick<AttestationReport, keyof RiskFields> {
  if (verdict === 'refused' || verified === null) return NO_RISKS;
  const risks = risksOfDocument({
    trust,
    userData: decodeUserData(verified.document.userData),
    nonceChecked: demands.nonce !== undefined,
    purposeChecked: demands.purpose !== undefined,
    connectionChecked: checkBinding !== undefined,
    headsCompared,
  });
  return riskFields(trust, risks);
}

/** The report when there is no document to speak of: a syntax error, or a file that cannot be read. */
function undocumented(request: ReportRequest, refusal: Refusal): Evaluation {
  const skipped = 'skipped';
  const report: AttestationReport = {
    verdict: 'refused',
    code: refusal.code,
    detail: refusal.detail,
    ...timeFacts(request, null),
    checks: {
      syntax: refusal.code,
      chain: skipped,
      signature: skipped,
      time: skipped,
      policy: skipped,
    },
    ...documentFacts(null),
    nonce_checked: false,
    root: rootFacts(request.trust),
    skipped: ['chain', 'signature', 'time', 'policy'],
    unsafe: request.trust.unsafe,
    ...NO_RISKS,
  };
  return { report, verified: null, userData: null };
}

/** 0 verified, 1 refused, 2 could not decide. */
export function exitCodeOf(report: AttestationReport): number {
  return { verified: 0, refused: 1, undecided: 2 }[report.verdict];
}
