// Writes an enclave image file: the same parts give the same bytes. Sections come in the order of AWS's
// builder: kernel, command line, metadata, ramdisks, signature.

import { concatBytes } from '../wire/bytes.ts';
import type { Architecture, SectionType } from './format.ts';
import {
  ARCHITECTURES,
  CRC_OFFSET,
  EIF_MAGIC,
  EIF_VERSION,
  FIELD,
  HEADER_BYTES,
  MAX_SECTIONS,
  SECTION_HEADER_BYTES,
  SECTION_NUMBER,
} from './format.ts';
import { eifCrc } from './reader.ts';

export interface EifParts {
  readonly architecture: Architecture;
  readonly kernel: Uint8Array;
  /** Printable ASCII. */
  readonly cmdline: Uint8Array;
  /** UTF-8 JSON, `encodeMetadata`. */
  readonly metadata: Uint8Array;
  /** The first is the boot ramdisk, which PCR1 covers; the others are the application, PCR2. */
  readonly ramdisks: readonly Uint8Array[];
  /** `encodeSignatureSection`, or null for an unsigned image. */
  readonly signature: Uint8Array | null;
  /** Hints that the hypervisor does not use; AWS's tool writes 1 GiB and 2. */
  readonly defaultMemoryBytes?: bigint;
  readonly defaultCpus?: bigint;
}

const DEFAULT_MEMORY_BYTES = 1024n ** 3n;
const DEFAULT_CPUS = 2n;

function encodeSection(type: SectionType, data: Uint8Array): Uint8Array {
  const header = new Uint8Array(SECTION_HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint16(0, SECTION_NUMBER[type]);
  view.setBigUint64(4, BigInt(data.length));
  return concatBytes(header, data);
}

/** Throws a RangeError for more than 32 sections; what the parts hold is for `parseEif` to judge. */
export function encodeEif(parts: EifParts): Uint8Array {
  const { kernel, cmdline, metadata, ramdisks, signature } = parts;
  const sections = [
    encodeSection('kernel', kernel),
    encodeSection('cmdline', cmdline),
    encodeSection('metadata', metadata),
    ...ramdisks.map((data) => encodeSection('ramdisk', data)),
    ...(signature === null ? [] : [encodeSection('signature', signature)]),
  ];
  if (sections.length > MAX_SECTIONS) throw new RangeError('an image has at most 32 sections');
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(EIF_MAGIC);
  view.setUint16(FIELD.version, EIF_VERSION);
  view.setUint16(FIELD.flags, ARCHITECTURES.indexOf(parts.architecture));
  view.setBigUint64(FIELD.defaultMemory, parts.defaultMemoryBytes ?? DEFAULT_MEMORY_BYTES);
  view.setBigUint64(FIELD.defaultCpus, parts.defaultCpus ?? DEFAULT_CPUS);
  view.setUint16(FIELD.sections, sections.length);
  let offset = HEADER_BYTES;
  for (const [index, { length }] of sections.entries()) {
    view.setBigUint64(FIELD.offsets + 8 * index, BigInt(offset));
    view.setBigUint64(FIELD.sizes + 8 * index, BigInt(length - SECTION_HEADER_BYTES));
    offset += length;
  }
  const file = concatBytes(header, ...sections);
  new DataView(file.buffer).setUint32(CRC_OFFSET, eifCrc(file));
  return file;
}
