// X.509 version 3 certificates, as much as a Nitro attestation chain uses: ECDSA P-384 with SHA-384,
// BasicConstraints and KeyUsage. Nothing is trusted here: this file only says what the bytes mean, and
// chain.ts decides. A certificate that says anything critical we do not know is refused, so that a
// constraint is never overlooked. RFC 5280 4.1 and 4.2.
//
//   Certificate     ::= SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING }
//   TBSCertificate  ::= SEQUENCE { [0] { INTEGER 2 }, serial, AlgorithmIdentifier, issuer,
//                                  SEQUENCE { notBefore, notAfter }, subject, SPKI, [3] { extensions } }
//   Extension       ::= SEQUENCE { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }

import { equalBytes, toHex } from '../bytes.ts';
import type { RefusalCode } from '../codes.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { DerElement } from './der.ts';
import {
  DER_TAG,
  DerError,
  DerReader,
  readAll,
  readBitStringBytes,
  readBoolean,
  readNamedBits,
  readTime,
  readUnsigned,
} from './der.ts';

// SEQUENCE { ecdsa-with-SHA384 }, without parameters (RFC 5758 3.2).
const ECDSA_SHA384 = '300a06082a8648ce3d040303';
// SubjectPublicKeyInfo of an uncompressed P-384 point (RFC 5480), up to and including the 04.
const P384_SPKI_PREFIX = '3076301006072a8648ce3d020106052b8104002203620004';
const P384_SPKI_BYTES = 120;
const MAX_SERIAL_BYTES = 20; // RFC 5280 4.1.2.2
const MAX_EXTENSIONS = 16;
const BASIC_CONSTRAINTS = '551d13';
const KEY_USAGE = '551d0f';
const DIGITAL_SIGNATURE_BIT = 0;
const KEY_CERT_SIGN_BIT = 5;

export interface Certificate {
  /** The whole certificate as received. */
  readonly der: Uint8Array;
  /** TBSCertificate as received: what the issuer has signed. */
  readonly tbs: Uint8Array;
  /** ECDSA-Sig-Value, strict DER. */
  readonly signature: Uint8Array;
  /** Names as received; they are compared byte by byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Inclusive boundaries, milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** P-384 SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly isCa: boolean;
  /** BasicConstraints pathLenConstraint. */
  readonly pathLength: number | null;
  /** Null when there is no KeyUsage extension. */
  readonly keyUsage: { readonly digitalSignature: boolean; readonly keyCertSign: boolean } | null;
}

class Refused extends Error {
  readonly code: RefusalCode;
  readonly what: string;
  constructor(code: RefusalCode, what: string) {
    super(code);
    this.code = code;
    this.what = what;
  }
}

export function parseCertificate(der: Uint8Array): Result<Certificate> {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    return refuse('certificate_malformed', { what: 'size', bytes: der.length });
  }
  try {
    return accept(readAll(der, (reader) => readCertificate(der, reader)));
  } catch (error) {
    if (error instanceof DerError) return refuse('certificate_malformed', { what: error.message });
    if (error instanceof Refused) return refuse(error.code, { what: error.what });
    throw error;
  }
}

function readCertificate(der: Uint8Array, outer: DerReader): Certificate {
  return outer.inside(DER_TAG.sequence, (reader) => {
    const tbs = reader.element(DER_TAG.sequence);
    const outerAlgorithm = reader.element(DER_TAG.sequence);
    const signature = readBitStringBytes(reader);
    const fields = readAll(tbs.content, readTbs);
    // RFC 5280 4.1.1.2: the signed algorithm must be the one that is used.
    if (!equalBytes(fields.algorithm.whole, outerAlgorithm.whole)) {
      throw new Refused('certificate_algorithm', 'inner and outer algorithm differ');
    }
    if (toHex(outerAlgorithm.whole) !== ECDSA_SHA384) {
      throw new Refused('certificate_algorithm', 'signature');
    }
    checkP384(fields.spki);
    checkSignatureForm(signature);
    const { issuer, subject, notBeforeMs, notAfterMs, spki } = fields;
    return {
      der,
      tbs: tbs.whole,
      signature,
      issuer,
      subject,
      notBeforeMs,
      notAfterMs,
      spki,
      ...fields.extensions,
    };
  });
}

type Extensions = Pick<Certificate, 'isCa' | 'pathLength' | 'keyUsage'>;

interface TbsFields {
  readonly algorithm: DerElement;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly spki: Uint8Array;
  readonly extensions: Extensions;
}

function readTbs(reader: DerReader): TbsFields {
  const version = reader.inside(DER_TAG.explicit0, (inner) => readUnsigned(inner, 1));
  if (version[0] !== 2) throw new DerError('version', 0);
  readUnsigned(reader, MAX_SERIAL_BYTES);
  const algorithm = reader.element(DER_TAG.sequence);
  const issuer = readName(reader);
  const { notBeforeMs, notAfterMs } = reader.inside(DER_TAG.sequence, (inner) => ({
    notBeforeMs: readTime(inner),
    notAfterMs: readTime(inner),
  }));
  if (notAfterMs < notBeforeMs) throw new DerError('validity', 0);
  const subject = readName(reader);
  const spki = reader.element(DER_TAG.sequence).whole;
  // Unique identifiers ([1], [2]) are not used by AWS: the next element must be the extensions.
  const extensions = reader.inside(DER_TAG.explicit3, (inner) =>
    inner.inside(DER_TAG.sequence, readExtensions),
  );
  return { algorithm, issuer, subject, notBeforeMs, notAfterMs, spki, extensions };
}

/** Name ::= SEQUENCE OF SET OF SEQUENCE { OID, value }; not empty. */
function readName(reader: DerReader): Uint8Array {
  const name = reader.element(DER_TAG.sequence);
  if (name.content.length === 0) throw new DerError('empty name', 0);
  const relative = new DerReader(name.content);
  while (!relative.done) {
    relative.inside(DER_TAG.set, (attributes) => {
      do {
        attributes.inside(DER_TAG.sequence, (attribute) => {
          attribute.element(DER_TAG.oid);
          attribute.any();
        });
      } while (!attributes.done);
    });
  }
  return name.whole;
}

function readExtensions(reader: DerReader): Extensions {
  const seen = new Set<string>();
  let constraints: Pick<Certificate, 'isCa' | 'pathLength'> = { isCa: false, pathLength: null };
  let keyUsage: Certificate['keyUsage'] = null;
  do {
    reader.inside(DER_TAG.sequence, (extension) => {
      const oid = toHex(extension.element(DER_TAG.oid).content);
      // A second copy could contradict the first; which one counts would depend on the reader.
      if (seen.has(oid) || seen.size === MAX_EXTENSIONS) {
        throw new Refused('certificate_extension', 'repeated or too many');
      }
      seen.add(oid);
      const flag = extension.optional(DER_TAG.boolean);
      const critical = flag !== null && readBoolean(flag);
      if (flag !== null && !critical) throw new DerError('default value encoded', 0);
      const value = extension.element(DER_TAG.octetString).content;
      if (oid === BASIC_CONSTRAINTS) constraints = readAll(value, readBasicConstraints);
      else if (oid === KEY_USAGE) keyUsage = readAll(value, readKeyUsage);
      else if (critical) throw new Refused('certificate_extension', 'unknown critical extension');
    });
  } while (!reader.done);
  return { ...constraints, keyUsage };
}

function readBasicConstraints(reader: DerReader): Pick<Certificate, 'isCa' | 'pathLength'> {
  return reader.inside(DER_TAG.sequence, (inner) => {
    const flag = inner.optional(DER_TAG.boolean);
    const isCa = flag !== null && readBoolean(flag);
    if (flag !== null && !isCa) throw new DerError('default value encoded', 0);
    if (inner.done) return { isCa, pathLength: null };
    // One byte is more than any chain has; a longer number must not wrap around to a small one.
    const pathLength = readUnsigned(inner, 1)[0] ?? 0;
    if (!isCa) throw new Refused('certificate_extension', 'path length without CA');
    return { isCa, pathLength };
  });
}

function readKeyUsage(reader: DerReader): Certificate['keyUsage'] {
  const bits = readNamedBits(reader);
  return {
    digitalSignature: bits.has(DIGITAL_SIGNATURE_BIT),
    keyCertSign: bits.has(KEY_CERT_SIGN_BIT),
  };
}

function checkP384(spki: Uint8Array): void {
  const prefix = spki.subarray(0, P384_SPKI_PREFIX.length / 2);
  if (spki.length !== P384_SPKI_BYTES || toHex(prefix) !== P384_SPKI_PREFIX) {
    throw new Refused('certificate_algorithm', 'public key');
  }
}

/** ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }, each positive and at most 48 bytes. */
function checkSignatureForm(signature: Uint8Array): void {
  readAll(signature, (reader) => {
    reader.inside(DER_TAG.sequence, (inner) => {
      readUnsigned(inner, 48);
      readUnsigned(inner, 48);
    });
  });
}
