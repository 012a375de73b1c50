// What the Nitro hypervisor measures of an image, SHA-384: PCR = SHA384(48 zero bytes ‖ SHA384(content)).
// The contents are joined without their lengths, so one PCR alone does not fix where a section ends: pin
// PCR0, PCR1 and PCR2 together. Formulas: aws/aws-nitro-enclaves-image-format, src/utils/mod.rs.

import { createHash } from 'node:crypto';
import { toHex } from '../wire/bytes.ts';
import type { EifSection } from './format.ts';

/** Lower-case hex, 96 characters each; PCR8 is null for an unsigned image. */
export interface Measurements {
  readonly pcr0: string;
  readonly pcr1: string;
  readonly pcr2: string;
  readonly pcr8: string | null;
}

export const PCR_BYTES = 48;

/** A PCR that was extended once with the hash of `parts`, joined. */
export function measure(parts: readonly Uint8Array[]): Uint8Array {
  const content = createHash('sha384');
  for (const part of parts) content.update(part);
  const zeros = new Uint8Array(PCR_BYTES);
  return new Uint8Array(createHash('sha384').update(zeros).update(content.digest()).digest());
}

/** Kernel, command line and ramdisks, in the order of the file. */
export function measureImage(sections: readonly EifSection[]): readonly Uint8Array[] {
  const measured = sections.filter(({ type }) => type !== 'metadata' && type !== 'signature');
  const data = measured.map((section) => section.data);
  const boot = measured.findIndex(({ type }) => type === 'ramdisk') + 1;
  const ramdisks = measured.filter(({ type }) => type === 'ramdisk').map((one) => one.data);
  return [measure(data), measure(data.slice(0, boot)), measure(ramdisks.slice(1))];
}

/** `certificateDer`: of the signing certificate, or null. */
export function measurementsOf(
  sections: readonly EifSection[],
  certificateDer: Uint8Array | null,
): Measurements {
  const [pcr0 = '', pcr1 = '', pcr2 = ''] = measureImage(sections).map(toHex);
  const pcr8 = certificateDer === null ? null : toHex(measure([certificateDer]));
  return { pcr0, pcr1, pcr2, pcr8 };
}

/** As nitro-cli prints them: what policies and `measurements.json` hold. */
export function measurementsJson({ pcr0, pcr1, pcr2, pcr8 }: Measurements): {
  readonly Measurements: Readonly<Record<string, string>>;
} {
  return {
    Measurements: {
      HashAlgorithm: 'Sha384 { ... }',
      PCR0: pcr0,
      PCR1: pcr1,
      PCR2: pcr2,
      ...(pcr8 === null ? {} : { PCR8: pcr8 }),
    },
  };
}
