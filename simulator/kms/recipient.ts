// The Recipient of a request: an attestation document, verified under the configured root as KMS does. KMS
// asks for no nonce and knows no freshness but the certificates' validity: a document can be used again.

import { createPublicKey } from 'node:crypto';
import { checkTime, verifyAttestation } from '../../wire/attestation/verify.ts';
import { parseBase64, toHex } from '../../wire/bytes.ts';
import { MAX_DOCUMENT_BYTES } from '../../wire/limits.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { validation } from './errors.ts';

const MAX_BASE64 = Math.ceil((MAX_DOCUMENT_BYTES * 4) / 3) + 4;
const RSA_BITS: ReadonlySet<number | undefined> = new Set([2048, 3072, 4096]);
const FUTURE_MS = 5 * 60_000;

export interface Recipient {
  /** RSA, DER. */
  readonly spki: Uint8Array;
  readonly moduleId: string;
  /** Index to lower-case hex. */
  readonly pcrs: ReadonlyMap<number, string>;
}

function isRsa(spki: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'rsa' && RSA_BITS.has(key.asymmetricKeyDetails?.modulusLength);
  } catch {
    return false;
  }
}

/** `value`: the field of the request. Throws ValidationException for anything that does not verify. */
export function verifyRecipient(value: unknown, rootDer: Uint8Array, nowMs: number): Recipient {
  const fields = typeof value === 'object' && value !== null ? value : {};
  const { AttestationDocument: text, KeyEncryptionAlgorithm: algorithm } = fields as Record<
    string,
    unknown
  >;
  if (algorithm !== 'RSAES_OAEP_SHA_256') {
    throw validation(
      "1 validation error detected: Value at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSAES_OAEP_SHA_256]",
    );
  }
  const bytes = typeof text === 'string' && text.length <= MAX_BASE64 ? parseBase64(text) : null;
  if (bytes === null) throw validation('The attestation document is not valid.');
  const verified = verifyAttestation(nodeCrypto, bytes, { rootDer });
  if (!verified.ok) throw validation('The attestation document is not valid.');
  const { document } = verified.value;
  const inTime =
    checkTime(verified.value, nowMs).ok && checkTime(verified.value, document.timestampMs).ok;
  if (!inTime || document.timestampMs > nowMs + FUTURE_MS) {
    throw validation('The attestation document is expired or not yet valid.');
  }
  if (document.publicKey === null || !isRsa(document.publicKey)) {
    throw validation('The attestation document has no RSA public key of 2048, 3072 or 4096 bits.');
  }
  const pcrs = new Map(Array.from(document.pcrs, ([index, pcr]) => [index, toHex(pcr)] as const));
  return { spki: document.publicKey, moduleId: document.moduleId, pcrs };
}
