// Reads an enclave image file strictly. AWS's own reader walks the sections and ignores the offset table;
// QEMU's follows the table and ignores the rest: a file in which the two differ is refused here, as is
// every byte that no section has. Data are views of the input. A CRC that does not match is a verdict
// and no refusal, so that `describe` can show the rest.

import { crc32 } from 'node:zlib';
import { equalBytes, isZero } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { Architecture, EifSection } from './format.ts';
import {
  ARCHITECTURES,
  CRC_OFFSET,
  EIF_MAGIC,
  EIF_VERSION,
  FIELD,
  HEADER_BYTES,
  MAX_EIF_BYTES,
  MAX_SECTIONS,
  MIN_SECTIONS,
  SECTION_HEADER_BYTES,
  SECTION_NUMBER,
  SECTION_TYPES,
} from './format.ts';
import { checkSections } from './section-rules.ts';

export interface EifCrc {
  readonly stored: number;
  readonly computed: number;
  readonly matches: boolean;
}

export interface EifImage {
  readonly architecture: Architecture;
  readonly defaultMemoryBytes: bigint;
  readonly defaultCpus: bigint;
  /** In the order of the file. */
  readonly sections: readonly EifSection[];
  readonly crc: EifCrc;
}

interface Table {
  readonly offset: bigint;
  readonly size: bigint;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** CRC-32 (ISO-HDLC) of the file but for the four bytes that hold it. */
export function eifCrc(file: Uint8Array): number {
  return crc32(file.subarray(HEADER_BYTES), crc32(file.subarray(0, CRC_OFFSET)));
}

/** Codes `eif_*` (docs/PROTOCOL.md 13). A file is at most 1 GiB. */
export function parseEif(file: Uint8Array): Result<EifImage> {
  if (file.length > MAX_EIF_BYTES) return refuse('eif_too_large', { bytes: file.length });
  if (file.length < HEADER_BYTES) return refuse('eif_truncated', { bytes: file.length });
  const view = viewOf(file);
  if (!equalBytes(file.subarray(0, EIF_MAGIC.length), EIF_MAGIC)) return refuse('eif_magic');
  const version = view.getUint16(FIELD.version);
  if (version !== EIF_VERSION) return refuse('eif_version', { version });
  const flags = view.getUint16(FIELD.flags);
  const architecture = ARCHITECTURES[flags];
  if (architecture === undefined) return refuse('eif_header', { field: 'flags', value: flags });
  const count = view.getUint16(FIELD.sections);
  if (count < MIN_SECTIONS || count > MAX_SECTIONS) {
    return refuse('eif_header', { field: 'num_sections', value: count });
  }
  if (view.getUint16(FIELD.reserved) !== 0 || view.getUint32(FIELD.unused) !== 0) {
    return refuse('eif_header', { field: 'reserved' });
  }
  for (const start of [FIELD.offsets, FIELD.sizes]) {
    const unused = file.subarray(start + 8 * count, start + 8 * MAX_SECTIONS);
    if (!isZero(unused)) return refuse('eif_header', { field: 'unused sections' });
  }
  const sections = readSections(file, count);
  if (!sections.ok) return sections;
  const checked = checkSections(sections.value);
  if (!checked.ok) return checked;
  const stored = view.getUint32(CRC_OFFSET);
  const computed = eifCrc(file);
  return accept({
    architecture,
    defaultMemoryBytes: view.getBigUint64(FIELD.defaultMemory),
    defaultCpus: view.getBigUint64(FIELD.defaultCpus),
    sections: sections.value,
    crc: { stored, computed, matches: stored === computed },
  });
}

function readSections(file: Uint8Array, count: number): Result<readonly EifSection[]> {
  const view = viewOf(file);
  const sections: EifSection[] = [];
  let end = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    const table = {
      offset: view.getBigUint64(FIELD.offsets + 8 * index),
      size: view.getBigUint64(FIELD.sizes + 8 * index),
    };
    const section = readSection(file, index, end, table);
    if (!section.ok) return section;
    sections.push(section.value);
    end += SECTION_HEADER_BYTES + section.value.data.length;
  }
  if (end !== file.length) return refuse('eif_trailing_bytes', { bytes: file.length - end });
  return accept(sections);
}

/** The section that must begin at `offset`. */
function readSection(
  file: Uint8Array,
  index: number,
  offset: number,
  table: Table,
): Result<EifSection> {
  if (table.offset < BigInt(offset)) return refuse('eif_overlap', { section: index });
  if (table.offset > BigInt(offset)) return refuse('eif_gap', { section: index });
  const begin = offset + SECTION_HEADER_BYTES;
  if (begin > file.length) return refuse('eif_truncated', { section: index });
  const view = viewOf(file);
  const number = view.getUint16(offset);
  const flags = view.getUint16(offset + 2);
  const size = view.getBigUint64(offset + 4);
  const type = SECTION_TYPES.find((name) => SECTION_NUMBER[name] === number);
  if (type === undefined) return refuse('eif_section_unknown', { section: index, type: number });
  if (flags !== 0) return refuse('eif_header', { field: 'section flags', section: index });
  if (size !== table.size) return refuse('eif_sizes_disagree', { section: index });
  if (size > BigInt(file.length - begin)) return refuse('eif_truncated', { section: index });
  const data = file.subarray(begin, begin + Number(size));
  return accept({ type, offset, data });
}
