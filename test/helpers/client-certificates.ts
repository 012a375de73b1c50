// A client CA as an owner has one, and certificates of it for clients: right ones, and wrong in every way.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface ClientIdentity {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly sha256: string;
}

export interface ClientChange {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly usages?: readonly string[];
}

async function pemOf(key: CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replaceAll(/.{64}/gu, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

export class ClientAuthority {
  /** Certificate of the CA, PEM: what the owner seals. */
  readonly pem: string;
  readonly #keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };
  readonly #name: string;
  #serial = 2;

  private constructor(
    name: string,
    keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey },
    pem: string,
  ) {
    this.#name = name;
    this.#keys = keys;
    this.pem = pem;
  }

  static async create(name = 'CN=Clients'): Promise<ClientAuthority> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.create(
      {
        serialNumber: '01',
        subject: name,
        issuer: name,
        publicKey: keys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(Date.now() - 365 * DAY_MS),
        notAfter: new Date(Date.now() + 365 * DAY_MS),
        extensions: [new BasicConstraintsExtension(true, undefined, true)],
      },
      webcrypto,
    );
    return new ClientAuthority(name, keys, `${certificate.toString('pem')}\n`);
  }

  async issue(change: ClientChange = {}): Promise<ClientIdentity> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    this.#serial++;
    const certificate = await X509CertificateGenerator.create(
      {
        serialNumber: String(this.#serial).padStart(2, '0'),
        subject: 'CN=gateway',
        issuer: this.#name,
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(change.fromMs ?? Date.now() - DAY_MS),
        notAfter: new Date(change.toMs ?? Date.now() + DAY_MS),
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new ExtendedKeyUsageExtension([...(change.usages ?? [ExtendedKeyUsage.clientAuth])]),
        ],
      },
      webcrypto,
    );
    const thumbprint = await webcrypto.subtle.digest('SHA-256', certificate.rawData);
    return {
      certificate: `${certificate.toString('pem')}\n`,
      key: await pemOf(keys.privateKey),
      sha256: Buffer.from(thumbprint).toString('hex'),
    };
  }
}
