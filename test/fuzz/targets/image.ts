// eif/reader.ts and eif/ramdisk.ts: files that somebody hands to `trackseal image describe` or `verify`. Both
// readers accept only what our writers could have written, so an accepted file is written again and compared.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeEif } from '../../../eif/description.ts';
import { CRC_OFFSET } from '../../../eif/format.ts';
import { measurementsOf } from '../../../eif/measurements.ts';
import { encodeRamdisk, parseRamdisk } from '../../../eif/ramdisk.ts';
import type { RamdiskEntry } from '../../../eif/ramdisk.ts';
import { eifCrc, parseEif } from '../../../eif/reader.ts';
import { sectionsOf } from '../../../eif/section-rules.ts';
import { encodeEif } from '../../../eif/writer.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { ROOT } from '../coverage.ts';
import { dictionary, mix, mutateBytes } from '../mutate/bytes.ts';
import type { Mutator } from '../mutate/bytes.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';

/** The order of sections in which our writer puts them. */
const WRITERS_ORDER = /^kernel cmdline metadata( ramdisk)+( signature)?$/u;

function runEif(file: Uint8Array): string {
  const parsed = parseEif(file);
  const outcome = judge(parsed);
  const described = judge(describeEif(file));
  if (!parsed.ok) {
    expectThat(described === outcome, 'what the reader refuses is described');
    return outcome;
  }
  const { architecture, defaultMemoryBytes, defaultCpus, sections, crc } = parsed.value;
  const { pcr0, pcr1, pcr2 } = measurementsOf(sections, null);
  expectThat(
    [pcr0, pcr1, pcr2].every(({ length }) => length === 96),
    'a register has 48 bytes',
  );
  const order = sections.map(({ type }) => type).join(' ');
  if (crc.matches && WRITERS_ORDER.test(order)) {
    const [kernel, cmdline, metadata, signature] = (
      ['kernel', 'cmdline', 'metadata', 'signature'] as const
    ).map((type) => sectionsOf(sections, type)[0] ?? null);
    const again = encodeEif({
      architecture,
      kernel: kernel ?? new Uint8Array(0),
      cmdline: cmdline ?? new Uint8Array(0),
      metadata: metadata ?? new Uint8Array(0),
      ramdisks: sectionsOf(sections, 'ramdisk'),
      signature: signature ?? null,
      defaultMemoryBytes,
      defaultCpus,
    });
    expectSameBytes(again, file, 'other bytes say the same image');
  }
  return `${described} ${order} ${crc.matches}`;
}

/** Most mutants fail only for their CRC: this one mends it. */
function mended(mutate: Mutator): Mutator {
  return (random, input, other) => {
    const file = mutate(random, input, other).slice();
    if (file.length >= CRC_OFFSET + 4)
      new DataView(file.buffer).setUint32(CRC_OFFSET, eifCrc(file));
    return file;
  };
}

function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(ROOT, 'test/fixtures/eif', name)));
}

export function eifTarget(): Target {
  return {
    name: 'eif',
    files: [
      'eif/reader.ts',
      'eif/section-rules.ts',
      'eif/signature.ts',
      'eif/metadata.ts',
      'eif/description.ts',
    ],
    maxBytes: 16 * 1024,
    seeds: [fixture('synth-unsigned-x86_64.eif'), fixture('synth-signed-secp384r1.eif')],
    mutate: mix([3, mended(mutateBytes)], [1, mutateBytes]),
    run: runEif,
  };
}

function runRamdisk(archive: Uint8Array): string {
  const parsed = parseRamdisk(archive);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  expectSameBytes(encodeRamdisk(parsed.value), archive, 'other bytes say the same archive');
  return `${outcome} ${[...new Set(parsed.value.map(({ type }) => type))].join(' ')}`;
}

const TREE: readonly RamdiskEntry[] = [
  { type: 'directory', path: 'dev', mode: 0o755 },
  { type: 'character', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
  { type: 'file', path: 'init', mode: 0o755, data: utf8('\x7fELF') },
  { type: 'symlink', path: 'lib', target: 'usr/lib' },
];
const WORDS: readonly string[] = ['070701', '070702', 'TRAILER!!!', '../', '/', '0000A1FF', '\0'];

export function ramdiskTarget(): Target {
  return {
    name: 'ramdisk',
    files: ['eif/ramdisk.ts'],
    maxBytes: 16 * 1024,
    seeds: [encodeRamdisk([]), encodeRamdisk(TREE)],
    mutate: mix([3, mutateBytes], [1, dictionary(WORDS.map((word) => utf8(word)))]),
    run: runRamdisk,
  };
}
