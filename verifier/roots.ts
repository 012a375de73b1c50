// Roots of attestation: AWS Nitro Enclaves G1, which aws-root.ts pins,
// or a file that the user names with --unsafe-root. Nothing in a document can add a root.

import { createHash, X509Certificate } from 'node:crypto';
import type { AttestationTrust } from '../wire/attestation/verify.ts';
import { UNSAFE_UNSIGNED } from '../wire/attestation/verify.ts';
import { toHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { AWS_NITRO_ENCLAVES_G1_SHA256, awsRootDer } from './aws-root.ts';

export interface TrustedRoot {
  readonly der: AttestationTrust['rootDer'];
  /** SHA-256 of the DER, lower-case hex; `none` with --unsafe-unsigned. */
  readonly sha256: string;
  /** False for a root that came with --unsafe-root, and for none. */
  readonly aws: boolean;
}

function fromDer(der: Uint8Array): TrustedRoot {
  const sha256 = toHex(createHash('sha256').update(der).digest());
  return { der, sha256, aws: sha256 === AWS_NITRO_ENCLAVES_G1_SHA256 };
}

export function awsRoot(): TrustedRoot {
  const root = fromDer(awsRootDer());
  if (!root.aws) throw new Error('the pinned root does not have the published fingerprint');
  return root;
}

/** No root: only documents that nobody signed, as an emulated NSM makes them. */
export const NO_ROOT: TrustedRoot = { der: UNSAFE_UNSIGNED, sha256: 'none', aws: false };

/** Exactly one PEM certificate. */
export function parseRoot(pem: string): Result<TrustedRoot> {
  if (pem.split('-----BEGIN ').length !== 2) {
    return refuse('certificate_malformed', { what: 'not one PEM certificate' });
  }
  try {
    return accept(fromDer(new Uint8Array(new X509Certificate(pem).raw)));
  } catch {
    return refuse('certificate_malformed', { what: 'PEM' });
  }
}
