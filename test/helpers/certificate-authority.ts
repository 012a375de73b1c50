// A public authority as an operator would use one: takes the enclave's request, answers a chain. What it certifies a test
// may change.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** Of an authority that nobody should have any more. */
export const WEAK_ALGORITHM: webcrypto.RsaHashedKeyGenParams = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 1024,
  publicExponent: Uint8Array.of(1, 0, 1),
};

type Algorithm = typeof ALGORITHM | typeof WEAK_ALGORITHM;
type Pair = Awaited<ReturnType<typeof newPair>>;

async function newPair(
  algorithm: Algorithm,
): Promise<{ publicKey: CryptoKey; privateKey: CryptoKey }> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

interface Authority {
  readonly name: string;
  readonly algorithm: Algorithm;
  readonly keys: Pair;
  readonly pem: string;
}

export interface Certified {
  /** Instead of those of the request. */
  readonly names?:
    readonly { readonly type: 'dns' | 'ip' | 'email'; readonly value: string }[] | null;
  readonly key?: CryptoKey;
  readonly ca?: boolean;
  readonly usages?: readonly string[];
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly serial?: number;
}

export class CertificateAuthority {
  readonly root: Authority;
  readonly intermediate: Authority;

  private constructor(root: Authority, intermediate: Authority) {
    this.root = root;
    this.intermediate = intermediate;
  }

  static async create(
    nowMs: number = Date.now(),
    algorithm: Algorithm = ALGORITHM,
  ): Promise<CertificateAuthority> {
    const root = await authority('CN=Test Root', null, nowMs, ALGORITHM);
    const intermediate = await authority('CN=Test Intermediate', root, nowMs, algorithm);
    return new CertificateAuthority(root, intermediate);
  }

  /** Leaf and intermediate, PEM, as `request` (PEM) asks for. */
  async issue(
    request: string,
    change: Certified = {},
    nowMs: number = Date.now(),
  ): Promise<string> {
    return (await this.leaf(request, change, nowMs)) + this.intermediate.pem;
  }

  async leaf(request: string, change: Certified = {}, nowMs: number = Date.now()): Promise<string> {
    const asked = new Pkcs10CertificateRequest(request);
    if (!(await asked.verify(webcrypto))) throw new Error('nobody has signed the request');
    const extension = asked.extensions.find(
      (one) => one instanceof SubjectAlternativeNameExtension,
    );
    const names = extension?.names.items ?? [];
    const certified =
      change.names === undefined
        ? names.map(({ value }) => ({ type: 'dns' as const, value }))
        : change.names;
    const certificate = await X509CertificateGenerator.create(
      {
        serialNumber: String(change.serial ?? 7).padStart(2, '0'),
        subject: asked.subject,
        issuer: this.intermediate.name,
        publicKey: change.key ?? (await asked.publicKey.export(ALGORITHM, ['verify'], webcrypto)),
        signingKey: this.intermediate.keys.privateKey,
        signingAlgorithm: this.intermediate.algorithm,
        notBefore: new Date(change.fromMs ?? nowMs - DAY_MS),
        notAfter: new Date(change.toMs ?? nowMs + 90 * DAY_MS),
        extensions: [
          new BasicConstraintsExtension(change.ca ?? false, undefined, true),
          new ExtendedKeyUsageExtension([...(change.usages ?? [ExtendedKeyUsage.serverAuth])]),
          ...(certified === null ? [] : [new SubjectAlternativeNameExtension([...certified])]),
        ],
      },
      webcrypto,
    );
    return `${certificate.toString('pem')}\n`;
  }
}

async function authority(
  name: string,
  issuer: Authority | null,
  nowMs: number,
  algorithm: Algorithm,
): Promise<Authority> {
  const keys = await newPair(algorithm);
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: '01',
      subject: name,
      issuer: issuer?.name ?? name,
      publicKey: keys.publicKey,
      signingKey: (issuer?.keys ?? keys).privateKey,
      signingAlgorithm: issuer?.algorithm ?? algorithm,
      notBefore: new Date(nowMs - DAY_MS),
      notAfter: new Date(nowMs + 365 * DAY_MS),
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    },
    webcrypto,
  );
  return { name, algorithm, keys, pem: `${certificate.toString('pem')}\n` };
}
