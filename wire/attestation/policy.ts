// Policy for attestation documents that verified: is this the image, the configuration, the challenge
// and the purpose that the verifier wants? Every refusal here means "valid proof, wrong policy".
// Each check names the attack it stops. Fields of a policy that are left out are not checked; callers
// say so in their verdict.

import { equalBytes, isZero, toHex } from '../bytes.ts';
import type { RefusalCode } from '../codes.ts';
import type { WireCrypto } from '../crypto.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { PCR_BYTES } from './document.ts';
import type { Purpose, UserData } from './user-data.ts';
import { parseUserData, purposeName } from './parse-user-data.ts';
import type { VerifiedAttestation } from './verify.ts';

/** The register that our enclave extends with its configuration's digest before it locks all. */
export const CONFIG_PCR = 16;

/** PCR0, 1 and 2 only together: bytes can be moved between measured parts without changing PCR0. */
export interface ImagePcrs {
  readonly pcr0: Uint8Array;
  readonly pcr1: Uint8Array;
  readonly pcr2: Uint8Array;
  /** Further registers, such as 3 (IAM role), 4 (instance) and 8 (signing certificate). */
  readonly others?: ReadonlyMap<number, Uint8Array>;
}

/** An image that its publisher has taken back, and why. */
export interface RevokedImage {
  readonly pcr0: Uint8Array;
  readonly note: string;
}

export interface AttestationPolicy {
  /** Null accepts any image, which proves nothing about what runs. */
  readonly pcrs: ImagePcrs | null;
  /** Images that are as good as `pcrs`: those of an upgrade window, or of a release key's list. */
  readonly alternatives?: readonly ImagePcrs[];
  /** Refused whatever else the policy says. */
  readonly revoked?: readonly RevokedImage[];
  /** Accepts zero PCRs: the operator can read and change all memory of such an enclave. */
  readonly unsafeAllowDebug?: boolean;
  readonly nonce?: Uint8Array;
  readonly purpose?: Purpose;
  /** A whole origin, or a log id for any of its epochs. */
  readonly origin?: string;
  readonly configDigest?: Uint8Array;
  readonly publicKey?: Uint8Array;
}

/** PCR of data that is extended once into a zero register: SHA-384(48 zero bytes ‖ data). */
export function extendedPcr(crypto: WireCrypto, data: Uint8Array): Uint8Array {
  return crypto.sha384(new Uint8Array(PCR_BYTES), data);
}

/** The document's user data when it is ours, null when it is not and the policy does not need it. */
export function checkPolicy(
  crypto: WireCrypto,
  verified: VerifiedAttestation,
  policy: AttestationPolicy,
): Result<UserData | null> {
  const checks = [
    checkDebug(verified, policy.unsafeAllowDebug ?? false),
    checkRevoked(verified, policy.revoked ?? []),
    policy.pcrs === null
      ? accept(null)
      : checkImages(verified, policy.pcrs, policy.alternatives ?? []),
    checkBytes('nonce_mismatch', policy.nonce, verified.document.nonce),
    checkBytes('public_key_mismatch', policy.publicKey, verified.document.publicKey),
  ];
  for (const check of checks) if (!check.ok) return check;
  return checkUserData(crypto, verified, policy);
}

/** In debug mode the PCRs of the image are zero and the console and memory are open to the host. */
function checkDebug(verified: VerifiedAttestation, allow: boolean): Result<null> {
  for (const index of [0, 1, 2]) {
    const pcr = verified.document.pcrs.get(index);
    if (pcr === undefined) return refuse('pcr_missing', { index });
    if (isZero(pcr) && !allow) return refuse('debug_mode', { index });
  }
  return accept(null);
}

/** PCR0 is enough to refuse: whoever moves bytes to the other registers has another image anyway. */
function checkRevoked(
  verified: VerifiedAttestation,
  revoked: readonly RevokedImage[],
): Result<null> {
  const actual = verified.document.pcrs.get(0);
  const found = revoked.find(({ pcr0 }) => actual !== undefined && equalBytes(actual, pcr0));
  return found === undefined
    ? accept(null)
    : refuse('image_revoked', { pcr0: toHex(found.pcr0), note: found.note });
}

/** One image as a whole: registers of two images do not add up to a third. */
function checkImages(
  verified: VerifiedAttestation,
  image: ImagePcrs,
  alternatives: readonly ImagePcrs[],
): Result<null> {
  const first = checkPcrs(verified, image);
  if (first.ok || alternatives.some((other) => checkPcrs(verified, other).ok)) return accept(null);
  if (alternatives.length === 0) return first;
  const { code, detail } = first.refusal;
  return refuse(code, { ...detail, images: 1 + alternatives.length });
}

function checkPcrs(verified: VerifiedAttestation, image: ImagePcrs): Result<null> {
  const { pcr0, pcr1, pcr2, others } = image;
  const expected = new Map([...(others ?? []), [0, pcr0], [1, pcr1], [2, pcr2]] as const);
  for (const [index, value] of expected) {
    const check = checkPcr(verified, index, value, 'pcr_mismatch');
    if (!check.ok) return check;
  }
  return accept(null);
}

function checkPcr(
  verified: VerifiedAttestation,
  index: number,
  expected: Uint8Array,
  code: RefusalCode,
): Result<null> {
  const actual = verified.document.pcrs.get(index);
  // A register that is not listed was not locked: its value could still change.
  if (actual === undefined) return refuse('pcr_missing', { index, expected: toHex(expected) });
  if (equalBytes(actual, expected)) return accept(null);
  return refuse(code, { index, expected: toHex(expected), actual: toHex(actual) });
}

/** Compares in constant time. A field that is null is a mismatch when a value was expected. */
function checkBytes(
  code: RefusalCode,
  expected: Uint8Array | undefined,
  actual: Uint8Array | null,
): Result<null> {
  if (expected === undefined || (actual !== null && equalBytes(actual, expected))) {
    return accept(null);
  }
  return refuse(code, {
    expected: toHex(expected),
    actual: actual === null ? null : toHex(actual),
  });
}

function checkUserData(
  crypto: WireCrypto,
  verified: VerifiedAttestation,
  policy: AttestationPolicy,
): Result<UserData | null> {
  const { purpose, origin, configDigest } = policy;
  const parsed = parseUserData(verified.document.userData ?? new Uint8Array());
  if (!parsed.ok) {
    const demanded = purpose !== undefined || origin !== undefined || configDigest !== undefined;
    return demanded ? parsed : accept(null);
  }
  const userData = parsed.value;
  if (purpose !== undefined && userData.purpose !== purpose) {
    return refuse('purpose_mismatch', {
      expected: purposeName(purpose),
      actual: purposeName(userData.purpose),
    });
  }
  if (origin !== undefined && !matchesOrigin(userData.origin, origin)) {
    return refuse('origin_mismatch', { expected: origin, actual: userData.origin });
  }
  const config = checkBytes('config_mismatch', configDigest, userData.configDigest);
  if (!config.ok) return config;
  // The register, not the claim, proves which configuration the enclave had when it locked its PCRs.
  if (userData.configDigest !== null) {
    const pcr = extendedPcr(crypto, userData.configDigest);
    const measured = checkPcr(verified, CONFIG_PCR, pcr, 'config_mismatch');
    if (!measured.ok) return measured;
  }
  return accept(userData);
}

/** An origin is `<log id>/e<10 digits>`; a policy may name the log id alone, for all its epochs. */
export function matchesOrigin(actual: string, expected: string): boolean {
  if (actual === expected) return true;
  // A log's id may look like another log's origin; who names an origin means that one epoch.
  if (/\/e[0-9]{10}$/u.test(expected)) return false;
  return actual.startsWith(expected) && /^\/e[0-9]{10}$/u.test(actual.slice(expected.length));
}
