// Compliance's X25519 private key, a PKCS#8 PEM file as `openssl genpkey -algorithm X25519` makes it.
// Whoever holds it can open every private leaf of the epochs whose configuration named its public key.

import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

export interface ComplianceKey {
  /** Raw, 32 bytes. */
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** Null for anything that is no X25519 private key in PEM. */
export function parseComplianceKey(pem: string): ComplianceKey | null {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'x25519') return null;
    const { d, x } = key.export({ format: 'jwk' });
    if (d === undefined || x === undefined) return null;
    return {
      privateKey: new Uint8Array(Buffer.from(d, 'base64url')),
      publicKey: new Uint8Array(Buffer.from(x, 'base64url')),
    };
  } catch {
    return null;
  }
}

export async function readComplianceKey(path: string): Promise<Result<ComplianceKey>> {
  const pem = await readFile(path, 'utf8').catch(() => null);
  const key = pem === null ? null : parseComplianceKey(pem);
  return key === null ? refuse('file_unreadable', { file: path }) : accept(key);
}

/** A fresh key: the PEM of the private part and the hex of the public one, as the configuration has it. */
export function generateComplianceKey(): { readonly pem: string; readonly publicHex: string } {
  const { privateKey } = generateKeyPairSync('x25519');
  const { x } = privateKey.export({ format: 'jwk' });
  return {
    pem: privateKey.export({ format: 'pem', type: 'pkcs8' }),
    publicHex: Buffer.from(x ?? '', 'base64url').toString('hex'),
  };
}
