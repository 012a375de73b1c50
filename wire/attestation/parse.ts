// An attestation document's syntax, envelope and payload together; nothing in the result is proven.

import type { Result } from '../result.ts';
import { accept } from '../result.ts';
import type { CoseSign1 } from './cose.ts';
import { parseCoseSign1 } from './cose.ts';
import type { AttestationDocument } from './document.ts';
import { parseDocument } from './document.ts';

export interface ParsedAttestation {
  readonly cose: CoseSign1;
  readonly document: AttestationDocument;
}

/** Envelope first: a payload is looked at only when the envelope around it is right. */
export function parseSignedDocument(bytes: Uint8Array): Result<ParsedAttestation> {
  const cose = parseCoseSign1(bytes);
  if (!cose.ok) return cose;
  const document = parseDocument(cose.value.payload);
  return document.ok ? accept({ cose: cose.value, document: document.value }) : document;
}

/** Syntax only: nothing in the result is proven. */
export function parseAttestation(bytes: Uint8Array): Result<AttestationDocument> {
  const parsed = parseSignedDocument(bytes);
  return parsed.ok ? accept(parsed.value.document) : parsed;
}
