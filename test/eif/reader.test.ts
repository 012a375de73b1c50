import { readFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeEif } from '../../eif/description.ts';
import { parseEif } from '../../eif/reader.ts';
import { encodeEif } from '../../eif/writer.ts';
import { utf8 } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { ForgedSection, Forgery } from './forge.ts';
import { forgeEif, METADATA, SOUND } from './forge.ts';

const FIXTURES = new URL('../fixtures/eif/', import.meta.url);

interface Fixture {
  readonly file: string;
  readonly sha256: string;
  readonly expect: string;
  readonly measurements: Readonly<Record<string, string>> | null;
}

async function fixture(name: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(new URL(name, FIXTURES)));
}

function codeOf(file: Uint8Array): string {
  const described = describeEif(file);
  return described.ok ? (described.value.faults[0] ?? 'sound') : described.refusal.code;
}

function without(type: number): readonly ForgedSection[] {
  return SOUND.filter((section) => section.type !== type);
}

describe('the fixtures', async () => {
  const manifest = JSON.parse(
    await readFile(new URL('manifest.json', FIXTURES), 'utf8'),
  ) as readonly Fixture[];
  it.each(manifest)('$file is as its manifest says', async (entry) => {
    const described = assertAccepted(describeEif(await fixture(entry.file)));
    expect(described.sha256).toBe(entry.sha256);
    expect(described.faults).toEqual(entry.expect === 'REJECT: CRC' ? ['eif_crc'] : []);
    const { pcr0: PCR0, pcr1: PCR1, pcr2: PCR2, pcr8: PCR8 } = described.measurements;
    const measured = { PCR0, PCR1, PCR2, ...(PCR8 === null ? {} : { PCR8 }) };
    // A damaged file has no measurements in the manifest; they are not announced either.
    expect(measured).toEqual(entry.measurements ?? measured);
  });

  it('are written again byte for byte from their parts', async () => {
    for (const name of ['synth-unsigned-x86_64.eif', 'synth-signed-secp384r1.eif']) {
      const file = await fixture(name);
      const { sections, architecture, defaultCpus, defaultMemoryBytes } = assertAccepted(
        parseEif(file),
      );
      const all = (type: string): readonly Uint8Array[] =>
        sections.filter((section) => section.type === type).map(({ data }) => data);
      const [kernel, cmdline, metadata] = ['kernel', 'cmdline', 'metadata'].map(
        (type) => all(type)[0],
      );
      if (!kernel || !cmdline || !metadata) throw new Error('a fixture without its parts');
      const signature = all('signature')[0] ?? null;
      const ramdisks = all('ramdisk');
      const parts = { architecture, kernel, cmdline, metadata, ramdisks, signature };
      expect(encodeEif({ ...parts, defaultCpus, defaultMemoryBytes })).toEqual(file);
    }
  });
});

describe('every malformed file has its code', () => {
  const data = utf8('data');
  const cases: readonly (readonly [string, string, Forgery])[] = [
    ['no fault', 'sound', { sections: SOUND }],
    ['one ramdisk', 'sound', { sections: SOUND.slice(0, 4) }],
    [
      'metadata after the ramdisks',
      'sound',
      { sections: [...without(5), { type: 5, data: METADATA }] },
    ],
    [
      'another magic',
      'eif_magic',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint8(0, 0x2f);
        },
      },
    ],
    [
      'version 3',
      'eif_version',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint16(4, 3);
        },
      },
    ],
    [
      'version 5',
      'eif_version',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint16(4, 5);
        },
      },
    ],
    [
      'a reserved flag',
      'eif_header',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint16(6, 2);
        },
      },
    ],
    [
      'reserved bytes',
      'eif_header',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint8(25, 1);
        },
      },
    ],
    [
      'unused bytes before the CRC',
      'eif_header',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint8(540, 1);
        },
      },
    ],
    [
      'an offset in an unused slot',
      'eif_header',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint8(28 + 8 * 31, 1);
        },
      },
    ],
    [
      'a size in an unused slot',
      'eif_header',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint8(284 + 8 * 5, 1);
        },
      },
    ],
    ['no section', 'eif_header', { sections: [] }],
    ['one section', 'eif_header', { sections: SOUND.slice(0, 1) }],
    [
      '33 sections announced',
      'eif_header',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint16(26, 33);
        },
      },
    ],
    [
      'a size in the table that the section does not have',
      'eif_sizes_disagree',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint8(291, 7);
        },
      },
    ],
    [
      'a size in the section that the table does not have',
      'eif_sizes_disagree',
      { sections: SOUND.with(1, { type: 2, data, size: 3 }) },
    ],
    [
      'both sizes beyond the file',
      'eif_truncated',
      {
        sections: SOUND.slice(0, 4).with(3, { type: 3, data, size: 5 }),
        change: (view) => {
          view.setUint8(284 + 8 * 3 + 7, 5);
        },
      },
    ],
    [
      'a size of 2^64-1',
      'eif_truncated',
      {
        sections: SOUND.slice(0, 4),
        change: (view) => {
          const offset = Number(view.getBigUint64(28 + 8 * 3));
          view.setBigUint64(284 + 8 * 3, 2n ** 64n - 1n);
          view.setBigUint64(offset + 4, 2n ** 64n - 1n);
        },
      },
    ],
    [
      'an offset into the section before',
      'eif_overlap',
      {
        sections: SOUND,
        change: (view) => {
          view.setBigUint64(36, view.getBigUint64(36) - 1n);
        },
      },
    ],
    [
      'an offset behind its place',
      'eif_gap',
      {
        sections: SOUND,
        change: (view) => {
          view.setBigUint64(36, view.getBigUint64(36) + 1n);
        },
      },
    ],
    [
      'an offset of 2^64-1',
      'eif_gap',
      {
        sections: SOUND,
        change: (view) => {
          view.setBigUint64(36, 2n ** 64n - 1n);
        },
      },
    ],
    [
      'one byte after the last section',
      'eif_trailing_bytes',
      { sections: SOUND, append: new Uint8Array(1) },
    ],
    [
      'a section that the table does not have',
      'eif_trailing_bytes',
      {
        sections: SOUND,
        change: (view) => {
          view.setUint16(26, 4);
          view.setBigUint64(28 + 32, 0n);
          view.setBigUint64(284 + 32, 0n);
        },
      },
    ],
    ['type 0', 'eif_section_unknown', { sections: SOUND.with(4, { type: 0, data }) }],
    ['type 6', 'eif_section_unknown', { sections: SOUND.with(4, { type: 6, data }) }],
    ['flags of a section', 'eif_header', { sections: SOUND.with(4, { type: 3, data, flags: 1 }) }],
    ['two kernels', 'eif_section_repeated', { sections: [...SOUND, { type: 1, data }] }],
    ['two command lines', 'eif_section_repeated', { sections: [...SOUND, { type: 2, data }] }],
    ['two metadata sections', 'eif_section_repeated', { sections: [...SOUND, { type: 5, data }] }],
    [
      'two signatures',
      'eif_section_repeated',
      { sections: [...SOUND, { type: 4, data }, { type: 4, data }] },
    ],
    ['no kernel', 'eif_section_missing', { sections: without(1) }],
    ['no command line', 'eif_section_missing', { sections: without(2) }],
    ['no ramdisk', 'eif_section_missing', { sections: without(3) }],
    ['no metadata', 'eif_section_missing', { sections: without(5) }],
    [
      'the command line first',
      'eif_section_order',
      { sections: [...SOUND.slice(1, 2), ...SOUND.slice(0, 1), ...SOUND.slice(2)] },
    ],
    [
      'a ramdisk before the kernel',
      'eif_section_order',
      { sections: [...SOUND.slice(4), ...SOUND.slice(0, 4)] },
    ],
    [
      'a ramdisk before the command line',
      'eif_section_order',
      { sections: [...SOUND.slice(0, 1), ...SOUND.slice(3, 4), ...SOUND.slice(1, 3)] },
    ],
    [
      'a signature before a ramdisk',
      'eif_section_order',
      { sections: [...SOUND.slice(0, 4), { type: 4, data }, ...SOUND.slice(4)] },
    ],
    [
      'a signature before the metadata',
      'eif_section_order',
      { sections: [...without(5), { type: 4, data }, { type: 5, data: METADATA }] },
    ],
    [
      'an empty kernel',
      'eif_section_empty',
      { sections: SOUND.with(0, { type: 1, data: new Uint8Array(0) }) },
    ],
    [
      'an empty ramdisk',
      'eif_section_empty',
      { sections: SOUND.with(4, { type: 3, data: new Uint8Array(0) }) },
    ],
    [
      'a NUL in the command line',
      'eif_cmdline',
      { sections: SOUND.with(1, { type: 2, data: utf8('a\0b') }) },
    ],
    [
      'a newline in the command line',
      'eif_cmdline',
      { sections: SOUND.with(1, { type: 2, data: utf8('a\n') }) },
    ],
    ['metadata that is not JSON', 'eif_metadata', { sections: SOUND.with(2, { type: 5, data }) }],
    [
      'metadata of another shape',
      'eif_metadata',
      { sections: SOUND.with(2, { type: 5, data: utf8('{}') }) },
    ],
    [
      'a signature that is not CBOR',
      'eif_signature_malformed',
      { sections: [...SOUND, { type: 4, data }] },
    ],
    [
      'a signature of more than 32 KiB',
      'eif_signature_malformed',
      { sections: [...SOUND, { type: 4, data: new Uint8Array(32_769) }] },
    ],
  ];

  it.each(cases)('%s: %s', (_, code, forgery) => {
    expect(codeOf(forgeEif(forgery))).toBe(code);
  });

  it('a file that ends anywhere is refused, and never read beyond', () => {
    const file = forgeEif({ sections: SOUND });
    for (let length = 0; length < file.length; length++) {
      expect(codeOf(file.subarray(0, length))).not.toBe('sound');
    }
  });

  it('one changed bit is refused, or shows in the CRC', () => {
    const file = forgeEif({ sections: SOUND });
    fc.assert(
      fc.property(fc.nat({ max: file.length * 8 - 1 }), (bit) => {
        const changed = Uint8Array.from(file);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(codeOf(changed)).not.toBe('sound');
      }),
    );
  });
});

describe('the writer', () => {
  it('writes what the reader reads, for any parts', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(
        bytes,
        fc.array(bytes, { minLength: 1, maxLength: 29 }),
        fc.constantFrom('x86_64' as const, 'aarch64' as const),
        (kernel, ramdisks, architecture) => {
          const file = encodeEif({
            architecture,
            kernel,
            cmdline: utf8('quiet'),
            metadata: METADATA,
            ramdisks,
            signature: null,
          });
          const image = assertAccepted(parseEif(file));
          expect(image.architecture).toBe(architecture);
          expect(image.crc.matches).toBe(true);
          expect(
            image.sections.filter(({ type }) => type === 'ramdisk').map(({ data }) => data),
          ).toEqual(ramdisks);
          expect(image.sections[0]?.data).toEqual(kernel);
        },
      ),
    );
  });
});
