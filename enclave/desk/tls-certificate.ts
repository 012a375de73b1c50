// The certificate that the TLS key shows: signed by itself, because what makes the key believable is its
// hash in the attestation document, not a name. It lives as long as the epoch may, or until the host brings
// one of a public authority (tls-certificates.ts), made from the request here.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { TlsKey } from './keys.ts';

const DAY_MS = 86_400_000;
const VALID_DAYS = 397;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

type Keys = { readonly privateKey: CryptoKey; readonly publicKey: CryptoKey };

function keysOf(key: TlsKey): Keys {
  return {
    privateKey: key.privateKey.toCryptoKey(ALGORITHM, false, ['sign']),
    publicKey: key.publicKey.toCryptoKey(ALGORITHM, true, ['verify']),
  };
}

function namesOf(names: readonly string[]): SubjectAlternativeNameExtension {
  return new SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value })));
}

/** PEM. Names without a dot, which no public authority knows, are left out where there are others. */
export async function createCertificateRequest(
  key: TlsKey,
  names: readonly string[],
): Promise<string> {
  const dotted = names.filter((name) => name.includes('.'));
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      name: `CN=${(dotted[0] ?? names[0] ?? '').slice(0, 64)}`,
      keys: keysOf(key),
      signingAlgorithm: ALGORITHM,
      extensions: [namesOf(dotted.length === 0 ? names : dotted)],
    },
    webcrypto,
  );
  return `${request.toString('pem')}\n`;
}

/** PEM, for the names of the configuration. `nowMs` is the enclave's clock. */
export async function createCertificate(
  key: TlsKey,
  names: readonly string[],
  nowMs: number,
): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=trackseal enclave',
      keys: keysOf(key),
      signingAlgorithm: ALGORITHM,
      notBefore: new Date(nowMs - DAY_MS),
      notAfter: new Date(nowMs + VALID_DAYS * DAY_MS),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        namesOf(names),
      ],
    },
    webcrypto,
  );
  return certificate.toString('pem');
}
