// The certificate that the TLS key shows: signed by itself, because what makes the key believable is its
// hash in the attestation document, not a name. It lives as long as the epoch may; browsers and public
// CAs are a matter for later.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { TlsKey } from './keys.ts';

const DAY_MS = 86_400_000;
const VALID_DAYS = 397;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** PEM, for the names of the configuration. `nowMs` is the enclave's clock. */
export async function createCertificate(
  key: TlsKey,
  names: readonly string[],
  nowMs: number,
): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=trackseal enclave',
      keys: {
        privateKey: key.privateKey.toCryptoKey(ALGORITHM, false, ['sign']),
        publicKey: key.publicKey.toCryptoKey(ALGORITHM, true, ['verify']),
      },
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(nowMs - DAY_MS),
      notAfter: new Date(nowMs + VALID_DAYS * DAY_MS),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
      ],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}
