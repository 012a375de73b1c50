// What the enclave reads of the documents that its own device made: syntax, and no signature.

import type { Result } from '../result.ts';
import { parseCoseEnvelope } from './cose-envelope.ts';
import type { AttestationDocument } from './document.ts';
import { parseDocument } from './document.ts';

/**
 * What a document says, whoever signed it and however: for the enclave, which asks its own device and
 * leaves the judgement of signatures to verifiers.
 */
export function parseOwnDocument(bytes: Uint8Array): Result<AttestationDocument> {
  const envelope = parseCoseEnvelope(bytes);
  return envelope.ok ? parseDocument(envelope.value.payload) : envelope;
}
