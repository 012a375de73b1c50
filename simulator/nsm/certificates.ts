// X.509 certificates in the shapes of a Nitro chain, for the simulated NSM and for tests. Every name
// says "simulator": none of these can be mistaken for AWS's, and no verifier accepts their root unless it
// was told to with an --unsafe- flag.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { Extension, JsonName } from '@peculiar/x509';

export type { JsonName } from '@peculiar/x509';

export const P384: EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-384' };
export const ES384: EcdsaParams = { name: 'ECDSA', hash: 'SHA-384' };

type EcKeyGenParams = webcrypto.EcKeyGenParams;
type EcdsaParams = webcrypto.EcdsaParams;
export type KeyPair = webcrypto.CryptoKeyPair;

export interface Issuer {
  readonly subject: JsonName;
  readonly keys: KeyPair;
}

export interface CertificateShape {
  readonly subject: JsonName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Extension[];
}

export async function generateKeyPair(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(P384, true, ['sign', 'verify']);
}

/** DER of a certificate for `keys`, signed by `issuer` with ECDSA P-384 and SHA-384. */
export async function issueCertificate(
  shape: CertificateShape,
  keys: KeyPair,
  issuer: Issuer,
): Promise<Uint8Array> {
  const certificate = await X509CertificateGenerator.create(
    {
      subject: shape.subject,
      issuer: issuer.subject,
      notBefore: new Date(shape.notBeforeMs),
      notAfter: new Date(shape.notAfterMs),
      extensions: [...shape.extensions],
      publicKey: keys.publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: ES384,
    },
    webcrypto,
  );
  return new Uint8Array(certificate.rawData);
}

const { digitalSignature, nonRepudiation, keyCertSign, cRLSign } = KeyUsageFlags;

/** Root, regional and zonal: critical BasicConstraints and KeyUsage, key identifiers. */
export async function authorityExtensions(
  keys: KeyPair,
  issuer: KeyPair | null,
  pathLength?: number,
): Promise<readonly Extension[]> {
  const identifiers = [
    await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
  ];
  const authority =
    issuer === null
      ? []
      : [await AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto)];
  return [
    new BasicConstraintsExtension(true, pathLength, true),
    ...authority,
    ...identifiers,
    new KeyUsagesExtension(digitalSignature | keyCertSign | cRLSign, true),
  ];
}

/** The instance's certificate issues leaves only. */
export function instanceExtensions(): readonly Extension[] {
  return [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(keyCertSign, true)];
}

/** The leaf: no CA, KeyUsage not critical, no key identifiers. */
export function leafExtensions(): readonly Extension[] {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(digitalSignature | nonRepudiation, false),
  ];
}
