// Signs an image, or signs it again: the file is written anew from its parts, so that no size in the table
// is left from a former signature. PCR0 to PCR2 stay what they are; PCR8 follows from the certificate.

import { parseHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { measurementsOf } from './measurements.ts';
import { parseEif } from './reader.ts';
import { sectionsOf } from './section-rules.ts';
import { signPcr0 } from './signature.ts';
import { encodeEif } from './writer.ts';

/** Refuses what `parseEif` refuses, `eif_crc`, and `eif_certificate` for key and certificate (PEM). */
export function signEif(
  file: Uint8Array,
  keyPem: string,
  certificatePem: string,
): Result<Uint8Array> {
  const parsed = parseEif(file);
  if (!parsed.ok) return parsed;
  const { architecture, sections, crc, defaultMemoryBytes, defaultCpus } = parsed.value;
  // What is damaged must not get a signature.
  if (!crc.matches) return refuse('eif_crc');
  const pcr0 = parseHex(measurementsOf(sections, null).pcr0) ?? new Uint8Array(0);
  const signature = signPcr0(pcr0, keyPem, certificatePem);
  if (!signature.ok) return signature;
  const part = (type: 'kernel' | 'cmdline' | 'metadata'): Uint8Array =>
    sectionsOf(sections, type)[0] ?? new Uint8Array(0);
  return accept(
    encodeEif({
      architecture,
      kernel: part('kernel'),
      cmdline: part('cmdline'),
      metadata: part('metadata'),
      ramdisks: sectionsOf(sections, 'ramdisk'),
      signature: signature.value,
      defaultMemoryBytes,
      defaultCpus,
    }),
  );
}
