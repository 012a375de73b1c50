// COSE_Sign1 (RFC 9052 4.2) in the one form that the Nitro Security Module writes: ES384, nothing in
// the unprotected header, definite lengths. Parsing decides nothing about the signature; verify.ts does.
//
//   [18] [ bstr a1013822 = {1: -35}, {}, bstr payload (1..16,384), bstr r ‖ s (96) ]   tag 18 optional
//   signed: ["Signature1", bstr a1013822, bstr '', bstr payload]

import { concatBytes, toHex, utf8 } from '../bytes.ts';
import { encodeCborHead } from '../cbor.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { parseCoseEnvelope } from './cose-envelope.ts';

const SIGNATURE_BYTES = 96; // r and s of P-384, 48 bytes each
const PROTECTED_ES384 = 'a1013822'; // {1: -35}

export interface CoseSign1 {
  readonly payload: Uint8Array;
  /** r ‖ s; both high and low s occur. */
  readonly signature: Uint8Array;
  /** The bytes that the signature covers. */
  readonly signed: Uint8Array;
}

export function parseCoseSign1(bytes: Uint8Array): Result<CoseSign1> {
  const envelope = parseCoseEnvelope(bytes);
  if (!envelope.ok) return envelope;
  const { header, unprotected, payload, signature } = envelope.value;
  if (toHex(header) !== PROTECTED_ES384) return refuse('cose_algorithm');
  if (unprotected.size !== 0) return refuse('cose_unprotected');
  if (signature.length !== SIGNATURE_BYTES) {
    return refuse('cose_signature_length', { bytes: signature.length });
  }
  return accept({ payload, signature, signed: encodeSigStructure(header, payload) });
}

/** RFC 9052 4.4, without external data. */
export function encodeSigStructure(header: Uint8Array, payload: Uint8Array): Uint8Array {
  const context = utf8('Signature1');
  return concatBytes(
    encodeCborHead(4, 4),
    encodeCborHead(3, context.length),
    context,
    encodeCborHead(2, header.length),
    header,
    encodeCborHead(2, 0),
    encodeCborHead(2, payload.length),
    payload,
  );
}
