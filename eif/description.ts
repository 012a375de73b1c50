// What an image file is, for people and machines: every check that needs nothing but the file. A file that
// parses is described in full even when its CRC or signature does not hold; `faults` says so.

import { createHash } from 'node:crypto';
import { equalBytes, parseUtf8, parseHex, toHex } from '../wire/bytes.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { Result } from '../wire/result.ts';
import { accept } from '../wire/result.ts';
import type { Architecture, SectionType } from './format.ts';
import type { Measurements } from './measurements.ts';
import { measurementsOf } from './measurements.ts';
import type { EifMetadata } from './metadata.ts';
import { parseMetadata } from './metadata.ts';
import type { EifCrc } from './reader.ts';
import { parseEif } from './reader.ts';
import { sectionsOf } from './section-rules.ts';
import type { EifSignature } from './signature.ts';
import { parseSignatureSection } from './signature.ts';

export interface SignerDescription {
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly algorithm: EifSignature['algorithm'];
  /** SHA-256 of the certificate's DER, hex. */
  readonly certificateSha256: string;
}

export interface EifDescription {
  readonly bytes: number;
  readonly sha256: string;
  readonly architecture: Architecture;
  readonly crc: EifCrc;
  readonly sections: readonly {
    readonly type: SectionType;
    readonly offset: number;
    readonly bytes: number;
    readonly sha256: string;
  }[];
  readonly cmdline: string;
  readonly metadata: EifMetadata;
  readonly measurements: Measurements;
  /** Null for an unsigned image. */
  readonly signer: SignerDescription | null;
  /** What does not hold: `eif_crc`, `eif_signature_pcr0`, `eif_signature_invalid`. */
  readonly faults: readonly RefusalCode[];
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function describeSigner({
  certificate,
  certificateDer,
  algorithm,
}: EifSignature): SignerDescription {
  const { subject, issuer, validFrom, validTo } = certificate;
  return {
    subject: subject.replaceAll('\n', ', '),
    issuer: issuer.replaceAll('\n', ', '),
    notBefore: new Date(validFrom).toISOString(),
    notAfter: new Date(validTo).toISOString(),
    algorithm,
    certificateSha256: sha256Hex(certificateDer),
  };
}

/** Codes `eif_*` for a file that cannot be read. */
export function describeEif(file: Uint8Array): Result<EifDescription> {
  const parsed = parseEif(file);
  if (!parsed.ok) return parsed;
  const { architecture, sections, crc } = parsed.value;
  const [metadataBytes] = sectionsOf(sections, 'metadata');
  const metadata = parseMetadata(metadataBytes ?? new Uint8Array(0));
  if (!metadata.ok) return metadata;
  const [signatureBytes] = sectionsOf(sections, 'signature');
  const signature = signatureBytes === undefined ? null : parseSignatureSection(signatureBytes);
  if (signature !== null && !signature.ok) return signature;
  const signed = signature === null ? null : signature.value;
  const measurements = measurementsOf(sections, signed?.certificateDer ?? null);
  const pcr0 = parseHex(measurements.pcr0) ?? new Uint8Array(0);
  const faults: RefusalCode[] = [];
  if (!crc.matches) faults.push('eif_crc');
  if (signed !== null && !equalBytes(signed.pcr0, pcr0)) faults.push('eif_signature_pcr0');
  if (signed?.valid === false) faults.push('eif_signature_invalid');
  const [cmdline] = sectionsOf(sections, 'cmdline');
  return accept({
    bytes: file.length,
    sha256: sha256Hex(file),
    architecture,
    crc,
    sections: sections.map(({ type, offset, data }) => ({
      type,
      offset,
      bytes: data.length,
      sha256: sha256Hex(data),
    })),
    cmdline: parseUtf8(cmdline ?? new Uint8Array(0)) ?? '',
    metadata: metadata.value,
    measurements,
    signer: signed === null ? null : describeSigner(signed),
    faults,
  });
}

export function crcHex(value: number): string {
  return toHex(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}
