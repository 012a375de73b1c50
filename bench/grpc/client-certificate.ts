// A client certificate that is its own authority: the sealed client CA of the measurement.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { TlsKey } from '../../enclave/desk/keys.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** PEM. */
export async function clientCertificate(key: TlsKey): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=client',
      keys: {
        privateKey: key.privateKey.toCryptoKey(ALGORITHM, false, ['sign']),
        publicKey: key.publicKey.toCryptoKey(ALGORITHM, true, ['verify']),
      },
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      extensions: [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}
