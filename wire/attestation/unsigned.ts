// The one form of document that QEMU's emulated NSM makes: the algorithm is -1, which COSE does not assign, and
// the signature is 64 zero bytes. Nobody signed it, so anybody can write one. For verifiers that were told
// so by name (--unsafe-unsigned); everywhere else such a document is refused as `cose_algorithm`.
//
//   [ bstr a10120 = {1: -1}, {}, bstr payload, bstr 64 zero bytes ]

import { isZero, toHex } from '../bytes.ts';
import type { Result } from '../result.ts';
import { refuse } from '../result.ts';
import { parseCoseEnvelope } from './cose-envelope.ts';
import type { AttestationDocument } from './document.ts';
import { parseDocument } from './document.ts';

const PROTECTED_NONE = 'a10120'; // {1: -1}
const SIGNATURE_BYTES = 64;

/** Refuses signed documents too: whoever wants a signature checked does not come here. */
export function parseUnsignedDocument(bytes: Uint8Array): Result<AttestationDocument> {
  const envelope = parseCoseEnvelope(bytes);
  if (!envelope.ok) return envelope;
  const { header, unprotected, payload, signature } = envelope.value;
  if (toHex(header) !== PROTECTED_NONE) return refuse('cose_algorithm', { wanted: 'unsigned' });
  if (unprotected.size !== 0) return refuse('cose_unprotected');
  if (signature.length !== SIGNATURE_BYTES) {
    return refuse('cose_signature_length', { bytes: signature.length });
  }
  return isZero(signature) ? parseDocument(payload) : refuse('cose_signature');
}
