// The signature section: who signed PCR0. CBOR as serde writes it, byte strings as arrays of integers:
//
//   [ { "signing_certificate": [PEM bytes …], "signature": [COSE_Sign1 bytes …] } ]
//   COSE_Sign1 = [ bstr {1: -7|-35|-36}, {}, bstr payload, bstr r ‖ s ], untagged
//   payload    = { "register_index": 0, "register_value": [48 bytes …] }
//
// One form only is read: what does not encode to the same bytes again is refused. PCR8 comes from the
// certificate alone, so an image whose signature does not hold has one too: verify before you pin it.

import { X509Certificate, createPrivateKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { encodeSigStructure } from '../wire/attestation/cose.ts';
import { concatBytes, equalBytes, parseUtf8, utf8 } from '../wire/bytes.ts';
import type { CborValue } from '../wire/cbor.ts';
import { encodeCbor, encodeCborHead, parseCbor } from '../wire/cbor.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { MAX_SIGNATURE_BYTES } from './format.ts';
import { PCR_BYTES } from './measurements.ts';

interface Algorithm {
  readonly name: 'ES256' | 'ES384' | 'ES512';
  readonly hash: string;
  /** The protected header, CBOR. */
  readonly header: Uint8Array;
}

/** By the curve of the signing key, RFC 9053 2.1. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  prime256v1: { name: 'ES256', hash: 'sha256', header: Uint8Array.of(0xa1, 0x01, 0x26) },
  secp384r1: { name: 'ES384', hash: 'sha384', header: Uint8Array.of(0xa1, 0x01, 0x38, 0x22) },
  secp521r1: { name: 'ES512', hash: 'sha512', header: Uint8Array.of(0xa1, 0x01, 0x38, 0x23) },
};

export interface EifSignature {
  readonly certificate: X509Certificate;
  readonly certificateDer: Uint8Array;
  readonly algorithm: Algorithm['name'];
  /** What the signature says PCR0 is. */
  readonly pcr0: Uint8Array;
  /** The signature is the certificate's over that PCR0; the image's own PCR0 is for the caller. */
  readonly valid: boolean;
}

function integers(bytes: Uint8Array): CborValue {
  return Array.from(bytes);
}

function isByte(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 256;
}

/** Null unless all elements are bytes. */
function bytesOf(value: CborValue | undefined): Uint8Array | null {
  if (!Array.isArray(value)) return null;
  const elements: readonly unknown[] = value;
  return elements.every(isByte) ? Uint8Array.from(elements) : null;
}

/** Keys in the order given: serde's order of fields, not CBOR's. */
function encodeFields(fields: readonly (readonly [string, CborValue])[]): Uint8Array {
  return concatBytes(
    encodeCborHead(5, fields.length),
    ...fields.flatMap(([key, value]) => [encodeCbor(key), encodeCbor(value)]),
  );
}

function encodePayload(pcr0: Uint8Array): Uint8Array {
  return encodeFields([
    ['register_index', 0],
    ['register_value', integers(pcr0)],
  ]);
}

function encodeSection(pem: Uint8Array, cose: Uint8Array): Uint8Array {
  return concatBytes(
    encodeCborHead(4, 1),
    encodeFields([
      ['signing_certificate', integers(pem)],
      ['signature', integers(cose)],
    ]),
  );
}

function encodeCose(header: Uint8Array, payload: Uint8Array, signature: Uint8Array): Uint8Array {
  return encodeCbor([header, new Map(), payload, signature]);
}

/** Signs PCR0. Refuses `eif_certificate` when key and certificate do not belong together. */
export function signPcr0(
  pcr0: Uint8Array,
  keyPem: string,
  certificatePem: string,
): Result<Uint8Array> {
  const pem = utf8(certificatePem);
  const certificate = parseCertificate(pem);
  if (!certificate.ok) return certificate;
  const key = parsePrivateKey(keyPem);
  if (key === null || !certificate.value.checkPrivateKey(key)) {
    return refuse('eif_certificate', { why: 'the key is not the key of the certificate' });
  }
  const algorithm = algorithmOf(certificate.value.publicKey);
  if (algorithm === null) return refuse('eif_certificate', { why: 'not P-256, P-384 or P-521' });
  const payload = encodePayload(pcr0);
  const signature = sign(algorithm.hash, encodeSigStructure(algorithm.header, payload), {
    key,
    dsaEncoding: 'ieee-p1363',
  });
  const cose = encodeCose(algorithm.header, payload, new Uint8Array(signature));
  return accept(encodeSection(pem, cose));
}

/** Refuses `eif_signature_malformed` and `eif_certificate`. */
export function parseSignatureSection(data: Uint8Array): Result<EifSignature> {
  const options = { maxBytes: MAX_SIGNATURE_BYTES, maxDepth: 4, maxItems: MAX_SIGNATURE_BYTES };
  const decoded = parseCbor(data, { ...options, deterministic: false });
  if (!decoded.ok) return refuse('eif_signature_malformed', { why: decoded.refusal.code });
  const entries = decoded.value;
  const entry: unknown = Array.isArray(entries) && entries.length === 1 ? entries[0] : null;
  if (!(entry instanceof Map)) return refuse('eif_signature_malformed', { why: 'not one entry' });
  const fields = entry as ReadonlyMap<unknown, CborValue>;
  const pem = bytesOf(fields.get('signing_certificate'));
  const cose = bytesOf(fields.get('signature'));
  if (pem === null || cose === null || !equalBytes(encodeSection(pem, cose), data)) {
    return refuse('eif_signature_malformed', { why: 'another form than AWS writes' });
  }
  const certificate = parseCertificate(pem);
  if (!certificate.ok) return certificate;
  return parseCose(certificate.value, cose);
}

function parseCose(certificate: X509Certificate, bytes: Uint8Array): Result<EifSignature> {
  const algorithm = algorithmOf(certificate.publicKey);
  if (algorithm === null) return refuse('eif_certificate', { why: 'not P-256, P-384 or P-521' });
  const decoded = parseCbor(bytes, { maxBytes: MAX_SIGNATURE_BYTES, maxDepth: 3, maxItems: 8 });
  const parts: readonly unknown[] = decoded.ok && Array.isArray(decoded.value) ? decoded.value : [];
  const [, , payload, signature] = parts;
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array)) {
    return refuse('eif_signature_malformed', { why: 'no COSE_Sign1' });
  }
  const pcr0 = parsePayload(payload);
  // Also what the parts in front are: the algorithm of this key, and nothing unprotected.
  if (pcr0 === null || !equalBytes(encodeCose(algorithm.header, payload, signature), bytes)) {
    return refuse('eif_signature_malformed', { why: 'not the COSE_Sign1 of PCR0 by this key' });
  }
  const valid = verify(
    algorithm.hash,
    encodeSigStructure(algorithm.header, payload),
    { key: certificate.publicKey, dsaEncoding: 'ieee-p1363' },
    signature,
  );
  const certificateDer = new Uint8Array(certificate.raw);
  return accept({ certificate, certificateDer, algorithm: algorithm.name, pcr0, valid });
}

function parsePayload(bytes: Uint8Array): Uint8Array | null {
  const decoded = parseCbor(bytes, { maxBytes: 1024, maxDepth: 2, maxItems: PCR_BYTES + 8 });
  if (!decoded.ok || !(decoded.value instanceof Map)) return null;
  const pcr0 = bytesOf((decoded.value as ReadonlyMap<unknown, CborValue>).get('register_value'));
  if (pcr0?.length !== PCR_BYTES) return null;
  return equalBytes(encodePayload(pcr0), bytes) ? pcr0 : null;
}

function algorithmOf(key: KeyObject): Algorithm | null {
  return ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? null;
}

function parsePrivateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

/** One certificate and no second one that a reader might take instead. */
function parseCertificate(pem: Uint8Array): Result<X509Certificate> {
  const text = parseUtf8(pem);
  if (text === null || text.split('-----BEGIN').length !== 2) {
    return refuse('eif_certificate', { why: 'not one PEM certificate' });
  }
  try {
    return accept(new X509Certificate(text));
  } catch {
    return refuse('eif_certificate', { why: 'not a certificate' });
  }
}
