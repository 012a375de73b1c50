// The four parts of a COSE_Sign1 (RFC 9052 4.2), before anything is said about its algorithm or its signature.
// Hostile bytes are refused with a code; what is accepted proves nothing (cose.ts and verify.ts judge it).
//
//   [18] [ bstr header, unprotected map, bstr payload (1..16,384), bstr signature ]   tag 18 optional

import { CborTag, parseCbor } from '../cbor.ts';
import { MAX_DOCUMENT_BYTES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

const COSE_SIGN1_TAG = 18;

/** Before anything is said about its algorithm or its signature. */
export interface CoseEnvelope {
  readonly header: Uint8Array;
  readonly unprotected: ReadonlyMap<unknown, unknown>;
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** The four parts and nothing else. */
export function parseCoseEnvelope(bytes: Uint8Array): Result<CoseEnvelope> {
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    return refuse('document_too_large', { bytes: bytes.length, maximum: MAX_DOCUMENT_BYTES });
  }
  const decoded = parseCbor(bytes, {
    maxBytes: MAX_DOCUMENT_BYTES,
    maxDepth: 3,
    maxItems: 64,
    tags: [COSE_SIGN1_TAG],
  });
  if (!decoded.ok) return decoded;
  const parts = decoded.value instanceof CborTag ? decoded.value.value : decoded.value;
  if (!Array.isArray(parts) || parts.length !== 4) return refuse('cose_malformed');
  const [header, unprotected, payload, signature] = parts as readonly unknown[];
  if (!(header instanceof Uint8Array) || !(unprotected instanceof Map)) {
    return refuse('cose_malformed');
  }
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    return refuse('cose_malformed');
  }
  if (payload.length === 0) return refuse('cose_malformed');
  return accept({ header, unprotected, payload, signature });
}
