// Which sections an image has, in which order. PCR0 hashes kernel, command line and ramdisks in the order
// of the file and without their lengths, so the order here is the one that AWS's tools write: the kernel,
// the command line, then the ramdisks, the first of them the boot ramdisk of PCR1. Metadata is measured
// by nothing and may stand anywhere before a signature, which comes last.

import { parseUtf8 } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { EifSection, SectionType } from './format.ts';
import { MAX_SIGNATURE_BYTES } from './format.ts';

const ONCE: readonly SectionType[] = ['kernel', 'cmdline', 'metadata'];
const RANK: Readonly<Record<Exclude<SectionType, 'metadata'>, number>> = {
  kernel: 0,
  cmdline: 1,
  ramdisk: 2,
  signature: 3,
};

export function checkSections(sections: readonly EifSection[]): Result<readonly EifSection[]> {
  const count = (type: SectionType): number => sections.filter((one) => one.type === type).length;
  for (const type of ONCE) {
    if (count(type) > 1) return refuse('eif_section_repeated', { type });
    if (count(type) === 0) return refuse('eif_section_missing', { type });
  }
  if (count('ramdisk') === 0) return refuse('eif_section_missing', { type: 'ramdisk' });
  if (count('signature') > 1) return refuse('eif_section_repeated', { type: 'signature' });
  let highest = 0;
  for (const [index, { type }] of sections.entries()) {
    const rank = type === 'metadata' ? highest : RANK[type];
    // A signature must be the last one, metadata included.
    if (rank < highest || (type === 'metadata' && highest === RANK.signature)) {
      return refuse('eif_section_order', { section: index, type });
    }
    highest = rank;
  }
  for (const { type, data } of sections) {
    if (data.length === 0 && type !== 'cmdline') return refuse('eif_section_empty', { type });
    if (type === 'signature' && data.length > MAX_SIGNATURE_BYTES) {
      return refuse('eif_signature_malformed', { bytes: data.length });
    }
    if (type === 'cmdline' && !isCommandLine(data)) return refuse('eif_cmdline');
  }
  return accept(sections);
}

/** Printable ASCII: the kernel would cut it at a NUL, and a newline hides what follows. */
export function isCommandLine(data: Uint8Array): boolean {
  return parseUtf8(data) !== null && data.every((byte) => byte >= 0x20 && byte < 0x7f);
}

export function sectionsOf(
  sections: readonly EifSection[],
  type: SectionType,
): readonly Uint8Array[] {
  return sections.filter((one) => one.type === type).map(({ data }) => data);
}
