// The enclave that a challenge has proved: its keys, and the log that they belong to. Nothing of an enclave is used
// before this has said yes. The document comes from whoever answers, and is hostile until it verifies.

import { checkPolicy } from '../wire/attestation/policy.ts';
import type { UserData } from '../wire/attestation/user-data.ts';
import { PURPOSE } from '../wire/attestation/user-data.ts';
import { checkAge, checkTime, verifyAttestation } from '../wire/attestation/verify.ts';
import { toHex } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { EnvelopeContext } from '../wire/envelope.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Trust } from './trust.ts';

/** The NSM's clock and ours may differ by this much, both ways. */
export const MAX_SKEW_MS: number = 5 * 60_000;

export interface AttestedEnclave {
  readonly envelope: EnvelopeContext;
  /** Ed25519, raw: signs results. */
  readonly resultKey: Uint8Array;
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo. */
  readonly tlsKeyHash: Uint8Array;
  /** For people; hex. */
  readonly pcr0: string;
  readonly moduleId: string;
  readonly signedMs: number;
  /** As it was judged, to show to others. */
  readonly document: Uint8Array;
}

/** What was asked: a nonce of our own, now, under this trust. */
export interface Challenge {
  readonly nonce: Uint8Array;
  readonly nowMs: number;
  readonly trust: Trust;
}

export function judgeDocument(
  crypto: WireCrypto,
  document: Uint8Array,
  { nonce, nowMs, trust }: Challenge,
): Result<AttestedEnclave> {
  const verified = verifyAttestation(crypto, document, trust);
  if (!verified.ok) return verified;
  const time = checkTime(verified.value, nowMs);
  if (!time.ok) return time;
  const age = checkAge(verified.value, nowMs, MAX_SKEW_MS);
  if (!age.ok) return age;
  const demands = { nonce, purpose: PURPOSE.challenge };
  const checked = checkPolicy(crypto, verified.value, { ...trust.policy, ...demands });
  if (!checked.ok) return checked;
  const keys = keysOf(checked.value);
  if (keys === null)
    return refuse('accounts_not_served', { origin: checked.value?.origin ?? null });
  const { pcrs, moduleId, timestampMs } = verified.value.document;
  return accept({
    ...keys,
    pcr0: toHex(pcrs.get(0) ?? new Uint8Array(0)),
    moduleId,
    signedMs: timestampMs,
    document,
  });
}

/** Null for an enclave that takes no accounts, or for a document of an older version of it. */
function keysOf(
  userData: UserData | null,
): Pick<AttestedEnclave, 'envelope' | 'resultKey' | 'tlsKeyHash'> | null {
  if (userData === null) return null;
  const { origin, leafZeroHash, x25519Key, tlsKeyHash, ed25519Key } = userData;
  if (leafZeroHash === null || x25519Key === null || tlsKeyHash === null || ed25519Key === null) {
    return null;
  }
  const envelope = { enclaveKey: x25519Key, origin, leafZeroHash };
  return { envelope, resultKey: ed25519Key, tlsKeyHash };
}

/**
 * The result key of an epoch, by a document of it that was signed at any time: for statements of epochs that are over.
 * Refuses what a document is refused for.
 */
export function judgeEpoch(
  crypto: WireCrypto,
  document: Uint8Array,
  trust: Trust,
): Result<{ readonly origin: string; readonly resultKey: Uint8Array }> {
  const verified = verifyAttestation(crypto, document, trust);
  if (!verified.ok) return verified;
  const time = checkTime(verified.value, verified.value.document.timestampMs);
  if (!time.ok) return time;
  const checked = checkPolicy(crypto, verified.value, trust.policy);
  if (!checked.ok) return checked;
  const { purpose, origin, ed25519Key } = checked.value ?? { purpose: null, origin: '' };
  if (purpose !== PURPOSE.boot && purpose !== PURPOSE.challenge) {
    return refuse('purpose_mismatch', { expected: 'boot or challenge' });
  }
  return ed25519Key === undefined || ed25519Key === null
    ? refuse('record_unattested', { origin })
    : accept({ origin, resultKey: ed25519Key });
}
