// The layout of an enclave image file, version 4 (aws/aws-nitro-enclaves-image-format, README.md). All
// integers are big endian; sections follow one another without padding.
//
//   header, 548 bytes:
//     0x000  4    magic ".eif"                 0x018  2    reserved, 0
//     0x004  2    version, 4                   0x01a  2    number of sections, 2 to 32
//     0x006  2    flags: bit 0 is aarch64      0x01c  256  u64[32]: offset of each section's header
//     0x008  8    default memory in bytes      0x11c  256  u64[32]: size of each section's data
//     0x010  8    default number of CPUs       0x21c  4    unused, 0
//                                              0x220  4    CRC-32 of all bytes but these four
//   section: u16 type | u16 flags, 0 | u64 size of the data | data

export const EIF_MAGIC: Uint8Array = Uint8Array.of(0x2e, 0x65, 0x69, 0x66);
export const EIF_VERSION = 4;
export const HEADER_BYTES = 548;
export const CRC_OFFSET = 544;
export const SECTION_HEADER_BYTES = 12;
export const MIN_SECTIONS = 2;
export const MAX_SECTIONS = 32;
export const FIELD = {
  version: 4,
  flags: 6,
  defaultMemory: 8,
  defaultCpus: 16,
  reserved: 24,
  sections: 26,
  offsets: 28,
  sizes: 284,
  unused: 540,
} as const;

export const ARCHITECTURES = ['x86_64', 'aarch64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export const SECTION_TYPES = ['kernel', 'cmdline', 'ramdisk', 'signature', 'metadata'] as const;
export type SectionType = (typeof SECTION_TYPES)[number];

/** Numbers of the types in a file; 0 and what lies above 5 is refused by the hypervisor. */
export const SECTION_NUMBER: Readonly<Record<SectionType, number>> = {
  kernel: 1,
  cmdline: 2,
  ramdisk: 3,
  signature: 4,
  metadata: 5,
};

/** What a hypervisor takes at most for a signature section. */
export const MAX_SIGNATURE_BYTES = 32_768;
/** Far above any real image, far below what would not fit into memory. */
export const MAX_EIF_BYTES: number = 1024 * 1024 * 1024;

export interface EifSection {
  readonly type: SectionType;
  /** Of the section's header in the file. */
  readonly offset: number;
  readonly data: Uint8Array;
}
