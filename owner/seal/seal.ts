// Seals one item: signed by the owner for one image, log and configuration, encrypted under a fresh key that KMS
// wraps for that image only. The plaintext lives in memory of this process; what Node copies on the way to KMS
// (the content key, as base64) cannot be wiped.

import { randomBytes } from 'node:crypto';
import type { KMSClient } from '@aws-sdk/client-kms';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { SealStatement } from '../../wire/sealed.ts';
import { CONTENT_KEY_BYTES, sealContext, signedBytes } from '../../wire/sealed.ts';
import { encodeSealed, encodeStatement, sealContent } from '../../wire/seal.ts';
import { encrypt } from '../kms-client.ts';
import type { OwnerKey } from '../owner-key.ts';
import type { SealMaterial } from './sources.ts';

const NONCE_BYTES = 12;

export interface Sealed {
  readonly statement: SealStatement;
  readonly bytes: Uint8Array;
}

/** Refuses what KMS refuses. Wipes `material`, whatever happens. */
export async function sealItem(
  kms: KMSClient,
  ownerKey: OwnerKey,
  about: Omit<SealStatement, 'commitment' | 'label'>,
  material: SealMaterial,
): Promise<Result<Sealed>> {
  const { salt, bytes, label } = material;
  const contentKey = new Uint8Array(randomBytes(CONTENT_KEY_BYTES));
  try {
    const statement = { ...about, label, commitment: nodeCrypto.sha256(salt, bytes) };
    const encoded = encodeStatement(statement);
    const wrapped = await encrypt(kms, about.keyArn, sealContext(statement), contentKey);
    if (!wrapped.ok) return wrapped;
    const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
    const sealed = encodeSealed({
      statement: encoded,
      signature: ownerKey.sign(signedBytes(encoded)),
      wrappedKey: wrapped.value,
      content: sealContent(nodeCrypto, contentKey, nonce, encoded, salt, bytes),
    });
    return accept({ statement, bytes: sealed });
  } finally {
    contentKey.fill(0);
    salt.fill(0);
    bytes.fill(0);
  }
}
