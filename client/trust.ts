// What a client trusts, before it has spoken to anybody: images by their measurements, and the root that vouches for
// the hardware. There is no default that lets an image pass; what switches a check off begins with `unsafe` and is
// part of every answer.

import { UNSAFE_UNSIGNED } from '../wire/attestation/verify.ts';
import type { AttestationTrust } from '../wire/attestation/verify.ts';
import type { AttestationPolicy } from '../wire/attestation/policy.ts';
import { parseBase64, toHex } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { awsRootDer } from '../verifier/aws-root.ts';
import { parsePolicyFile } from '../verifier/policy-file.ts';

export interface Trust {
  readonly rootDer: AttestationTrust['rootDer'];
  readonly policy: Pick<
    AttestationPolicy,
    'pcrs' | 'alternatives' | 'revoked' | 'unsafeAllowDebug' | 'origin' | 'configDigest'
  >;
  /** What was switched off, for people. */
  readonly unsafe: readonly string[];
}

/** What an application may say beside its policy. For tests and simulators: each takes a proof away. */
export interface UnsafeOptions {
  /** PEM of another root than AWS's. */
  readonly unsafeRoot?: string | undefined;
  /** Documents that nobody signed, of an emulated enclave. */
  readonly unsafeUnsigned?: boolean | undefined;
  readonly unsafeAllowDebug?: boolean | undefined;
}

/** Measurements as nitro-cli prints them, with additions: the policy file of `trackseal attest`, as text or object. */
export type Policy = string | object;

/** Refuses `policy_missing`, `policy_malformed`, `certificate_malformed`, `chain_root`, `usage_invalid`. */
export function readTrust(
  crypto: WireCrypto,
  policy: Policy | undefined,
  { unsafeRoot, unsafeUnsigned = false, unsafeAllowDebug = false }: UnsafeOptions,
): Result<Trust> {
  if (policy === undefined) return refuse('policy_missing');
  const file = parsePolicyFile(typeof policy === 'string' ? policy : JSON.stringify(policy));
  if (!file.ok) return file;
  const { images, origin, configDigest, rootSha256 } = file.value;
  const [pcrs, ...alternatives] = images;
  if (pcrs === undefined) {
    return refuse('policy_malformed', { what: 'the policy names no image, only a release key' });
  }
  const root = readRoot(unsafeRoot, unsafeUnsigned);
  if (!root.ok) return root;
  const actual = root.value === UNSAFE_UNSIGNED ? 'none' : toHex(crypto.sha256(root.value));
  if (rootSha256 !== undefined && rootSha256 !== actual) {
    return refuse('chain_root', {
      what: 'the policy names another root',
      expected: rootSha256,
      actual,
    });
  }
  return accept({
    rootDer: root.value,
    policy: {
      pcrs,
      alternatives,
      unsafeAllowDebug,
      ...(origin === undefined ? {} : { origin }),
      ...(configDigest === undefined ? {} : { configDigest }),
    },
    unsafe: [
      ...(unsafeRoot === undefined ? [] : ['unsafeRoot']),
      ...(unsafeUnsigned ? ['unsafeUnsigned'] : []),
      ...(unsafeAllowDebug ? ['unsafeAllowDebug'] : []),
    ],
  });
}

function readRoot(pem: string | undefined, unsigned: boolean): Result<AttestationTrust['rootDer']> {
  if (unsigned && pem !== undefined) {
    return refuse('usage_invalid', { what: 'one of unsafeRoot and unsafeUnsigned' });
  }
  if (unsigned) return accept(UNSAFE_UNSIGNED);
  if (pem === undefined) return accept(awsRootDer());
  const found = /^\s*-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----\s*$/u.exec(pem);
  const der = parseBase64(found?.[1]?.replaceAll(/\s/gu, '') ?? '!');
  return der === null
    ? refuse('certificate_malformed', { what: 'not one PEM certificate' })
    : accept(der);
}
