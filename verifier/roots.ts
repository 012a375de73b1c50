// Roots of attestation: AWS Nitro Enclaves G1, pinned here by its bytes and its published fingerprint,
// or a file that the user names with --unsafe-root. Nothing in a document can add a root.

import { createHash, X509Certificate } from 'node:crypto';
import type { AttestationTrust } from '../wire/attestation/verify.ts';
import { UNSAFE_UNSIGNED } from '../wire/attestation/verify.ts';
import { toHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

// https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip, valid until 2049-10-28.
const AWS_NITRO_ENCLAVES_G1 = `-----BEGIN CERTIFICATE-----
MIICETCCAZagAwIBAgIRAPkxdWgbkK/hHUbMtOTn+FYwCgYIKoZIzj0EAwMwSTEL
MAkGA1UEBhMCVVMxDzANBgNVBAoMBkFtYXpvbjEMMAoGA1UECwwDQVdTMRswGQYD
VQQDDBJhd3Mubml0cm8tZW5jbGF2ZXMwHhcNMTkxMDI4MTMyODA1WhcNNDkxMDI4
MTQyODA1WjBJMQswCQYDVQQGEwJVUzEPMA0GA1UECgwGQW1hem9uMQwwCgYDVQQL
DANBV1MxGzAZBgNVBAMMEmF3cy5uaXRyby1lbmNsYXZlczB2MBAGByqGSM49AgEG
BSuBBAAiA2IABPwCVOumCMHzaHDimtqQvkY4MpJzbolL//Zy2YlES1BR5TSksfbb
48C8WBoyt7F2Bw7eEtaaP+ohG2bnUs990d0JX28TcPQXCEPZ3BABIeTPYwEoCWZE
h8l5YoQwTcU/9KNCMEAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkCW1DdkF
R+eWw5b6cp3PmanfS5YwDgYDVR0PAQH/BAQDAgGGMAoGCCqGSM49BAMDA2kAMGYC
MQCjfy+Rocm9Xue4YnwWmNJVA44fA0P5W2OpYow9OYCVRaEevL8uO1XYru5xtMPW
rfMCMQCi85sWBbJwKKXdS6BptQFuZbT73o/gBh1qUxl/nNr12UO8Yfwr6wPLb+6N
IwLz3/Y=
-----END CERTIFICATE-----
`;
/** SHA-256 of the DER, as AWS publishes it. */
export const AWS_NITRO_ENCLAVES_G1_SHA256 =
  '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';

export interface TrustedRoot {
  readonly der: AttestationTrust['rootDer'];
  /** SHA-256 of the DER, lower-case hex; `none` with --unsafe-unsigned. */
  readonly sha256: string;
  /** False for a root that came with --unsafe-root, and for none. */
  readonly aws: boolean;
}

function fromPem(pem: string): TrustedRoot {
  const der = new Uint8Array(new X509Certificate(pem).raw);
  const sha256 = toHex(createHash('sha256').update(der).digest());
  return { der, sha256, aws: sha256 === AWS_NITRO_ENCLAVES_G1_SHA256 };
}

export function awsRoot(): TrustedRoot {
  const root = fromPem(AWS_NITRO_ENCLAVES_G1);
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
    return accept(fromPem(pem));
  } catch {
    return refuse('certificate_malformed', { what: 'PEM' });
  }
}
