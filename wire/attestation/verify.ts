// Verification of attestation documents. The order is fixed: syntax, then certificate chain and
// signature, each looked at whatever the other says, then time, then policy (policy.ts). Only the first
// three make a `VerifiedAttestation`, so "the proof is invalid" and "the proof is valid, but not what
// you asked for" cannot be mixed up. The pinned root is all that is trusted.

import type { WireCrypto } from '../crypto.ts';
import type { Refusal, Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { Certificate } from './certificate.ts';
import { parseCertificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import type { CoseSign1 } from './cose.ts';
import type { AttestationDocument } from './document.ts';
import { parseSignedDocument } from './parse.ts';
import { parseUnsignedDocument } from './unsigned.ts';

/** In place of a root: documents that nobody signed, from an emulated NSM. Proves nothing about who says it. */
export const UNSAFE_UNSIGNED = 'unsafe-unsigned';

export interface AttestationTrust {
  /** The root certificate, DER. The document's own copy must be the same bytes. */
  readonly rootDer: Uint8Array | typeof UNSAFE_UNSIGNED;
}

/**
 * Made by `verifyAttestation` only: syntax, chain and signature hold, or the caller wanted unsigned documents.
 * Says nothing about time.
 */
class Verified {
  readonly document: AttestationDocument;
  readonly #certificates: readonly Certificate[];

  constructor(document: AttestationDocument, certificates: readonly Certificate[]) {
    this.document = document;
    this.#certificates = certificates;
  }

  /** Root first, leaf last. */
  get certificates(): readonly Certificate[] {
    return this.#certificates;
  }
}

export type VerifiedAttestation = Verified;

/** What each check said about a document whose syntax holds; null where it passed. */
export interface AttestationFindings {
  readonly document: AttestationDocument;
  readonly chain: Refusal | null;
  readonly signature: Refusal | null;
  /** Null unless both passed. */
  readonly verified: VerifiedAttestation | null;
}

/** Refuses for syntax only; chain and signature are reported side by side. */
export function examineAttestation(
  crypto: WireCrypto,
  bytes: Uint8Array,
  trust: AttestationTrust,
): Result<AttestationFindings> {
  const { rootDer } = trust;
  if (rootDer === UNSAFE_UNSIGNED) return examineUnsigned(bytes);
  const parsed = parseSignedDocument(bytes);
  if (!parsed.ok) return parsed;
  const { cose, document } = parsed.value;
  const chain = verifyChain(crypto, [...document.cabundle, document.certificate], rootDer);
  const signature = verifySignature(crypto, cose, document);
  return accept({
    document,
    chain: chain.ok ? null : chain.refusal,
    signature: signature.ok ? null : signature.refusal,
    verified: chain.ok && signature.ok ? new Verified(document, chain.value) : null,
  });
}

/** There is neither chain nor signature to look at, and so no time of a certificate either. */
function examineUnsigned(bytes: Uint8Array): Result<AttestationFindings> {
  const parsed = parseUnsignedDocument(bytes);
  if (!parsed.ok) return parsed;
  const document = parsed.value;
  return accept({ document, chain: null, signature: null, verified: new Verified(document, []) });
}

/** The document's own leaf key; it means something only when the chain holds too. */
function verifySignature(
  crypto: WireCrypto,
  cose: CoseSign1,
  document: AttestationDocument,
): Result<null> {
  const leaf = parseCertificate(document.certificate);
  if (!leaf.ok) return leaf;
  return crypto.verifyP384Raw(leaf.value.spki, cose.signed, cose.signature)
    ? accept(null)
    : refuse('cose_signature');
}

/** Syntax, chain and signature. When both of the last fail, the chain's refusal names the other. */
export function verifyAttestation(
  crypto: WireCrypto,
  bytes: Uint8Array,
  trust: AttestationTrust,
): Result<VerifiedAttestation> {
  const findings = examineAttestation(crypto, bytes, trust);
  if (!findings.ok) return findings;
  const { chain, signature, verified } = findings.value;
  if (verified !== null) return accept(verified);
  if (chain === null) return refuse(signature?.code ?? 'cose_signature', signature?.detail);
  return refuse(chain.code, { ...chain.detail, signature: signature?.code ?? 'holds' });
}

/** Were all certificates valid at `atMs` (ms since the Unix epoch)? Boundaries count as valid. */
export function checkTime(verified: VerifiedAttestation, atMs: number): Result<null> {
  for (const [position, { notBeforeMs, notAfterMs }] of verified.certificates.entries()) {
    if (!(atMs >= notBeforeMs && atMs <= notAfterMs)) {
      return refuse('certificate_expired', {
        position,
        at_ms: atMs,
        not_before_ms: notBeforeMs,
        not_after_ms: notAfterMs,
      });
    }
  }
  return accept(null);
}

/** For live checks: is the NSM's timestamp within `maxSkewMs` of the verifier's clock, both ways? */
export function checkAge(
  verified: VerifiedAttestation,
  nowMs: number,
  maxSkewMs: number,
): Result<null> {
  const ageMs = nowMs - verified.document.timestampMs;
  if (!(ageMs >= -maxSkewMs))
    return refuse('timestamp_future', { age_ms: ageMs, max_skew_ms: maxSkewMs });
  if (ageMs > maxSkewMs) return refuse('document_stale', { age_ms: ageMs, max_skew_ms: maxSkewMs });
  return accept(null);
}
