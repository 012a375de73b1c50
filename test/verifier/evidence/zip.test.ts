import { crc32, deflateRawSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPartName } from '../../../verifier/evidence/manifest.ts';
import { ZIP_LIMITS, readZip, writeZip } from '../../../verifier/evidence/zip.ts';
import { concatBytes, utf8 } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { ForgedEntry } from './forge-zip.ts';
import { forgeZip } from './forge-zip.ts';

const anyName = (): boolean => true;

function codeOf(bytes: Uint8Array, isKnown: (name: string) => boolean = anyName): string {
  const read = readZip(bytes, isKnown);
  return read.ok ? 'accepted' : read.refusal.code;
}

function entry(name: string, text = 'hello', changes: Partial<ForgedEntry> = {}): ForgedEntry {
  const data = utf8(text);
  return { name, data, size: data.length, crc: crc32(data), method: 0, ...changes };
}

function deflated(
  name: string,
  bytes: Uint8Array,
  changes: Partial<ForgedEntry> = {},
): ForgedEntry {
  const data = new Uint8Array(deflateRawSync(bytes));
  return { name, data, size: bytes.length, crc: crc32(bytes), method: 8, ...changes };
}

describe('the container', () => {
  it('gives back what was put in, whatever it is', () => {
    // No name of ours looks like a number, of which a JavaScript object has its own order.
    const name = fc.stringMatching(/^[a-z][a-z0-9/._-]{0,40}$/u);
    const files = fc.dictionary(name, fc.uint8Array({ maxLength: 3000 }), {
      minKeys: 1,
      maxKeys: 20,
    });
    fc.assert(
      fc.property(files, (content) => {
        const packed = new Map(Object.entries(content));
        const read = assertAccepted(readZip(writeZip(packed), anyName));
        expect([...read.keys()]).toEqual([...packed.keys()].sort());
        for (const [key, bytes] of packed)
          expect(Buffer.compare(read.get(key) ?? utf8('?'), bytes)).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it('is the same in every time zone and whatever the order', () => {
    const files = [
      ['b', utf8('two')],
      ['a', utf8('one')],
    ] as const;
    const zone = process.env['TZ'];
    const made = ['UTC', 'America/New_York', 'Asia/Kolkata'].map((one, at) => {
      process.env['TZ'] = one;
      return Buffer.from(writeZip(new Map(at === 0 ? files : files.toReversed()))).toString('hex');
    });
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
    expect(new Set(made).size).toBe(1);
  });

  it('of the forger is read when nothing is wrong with it', () => {
    expect(codeOf(forgeZip([entry('a'), deflated('b', utf8('x'.repeat(999)))]))).toBe('accepted');
  });

  it('is refused cut anywhere, and with any bit of its structure flipped', () => {
    const whole = writeZip(
      new Map([
        ['a', utf8('hello'.repeat(50))],
        ['b', utf8('')],
      ]),
    );
    for (let length = 0; length < whole.length; length++) {
      expect(codeOf(whole.subarray(0, length)), `${length}`).toBe('bundle_zip_malformed');
    }
    // The two "version" fields say nothing that anybody needs.
    for (let at = 0; at < whole.length; at++) {
      for (const bit of [1, 16, 128]) {
        const read = readZip(whole.with(at, (whole[at] ?? 0) ^ bit), anyName);
        if (!read.ok) continue;
        const same = Buffer.compare(read.value.get('a') ?? utf8(''), utf8('hello'.repeat(50)));
        expect(same, `byte ${at}`).toBe(0);
      }
    }
  });
});

describe('a hostile container', () => {
  it.each<[string, string, () => Uint8Array]>([
    ['a name twice', 'bundle_name', () => forgeZip([entry('a'), entry('a', 'other')])],
    ['names out of order', 'bundle_zip_malformed', () => forgeZip([entry('b'), entry('a')])],
    ['an empty name', 'bundle_zip_malformed', () => forgeZip([entry('')])],
    ['a name that moves the cursor', 'bundle_zip_malformed', () => forgeZip([entry('a\u001B[2J')])],
    ['a long name', 'bundle_zip_malformed', () => forgeZip([entry('a'.repeat(129))])],
    ['no entries', 'bundle_too_large', () => forgeZip([])],
    ['bytes before the first', 'bundle_zip_malformed', () => forgeZip([entry('a')], { prefix: 1 })],
    [
      'bytes behind the end',
      'bundle_zip_malformed',
      () => concatBytes(forgeZip([entry('a')]), utf8('x')),
    ],
    ['a comment', 'bundle_zip_malformed', () => forgeZip([entry('a')], { comment: 'x' })],
    [
      'a hole between entries',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', 'x', { behind: 3 }), entry('b')]),
    ],
    [
      'two entries that share their data',
      'bundle_zip_malformed',
      () => forgeZip([entry('a'), entry('b', 'hello', { offset: 0 })]),
    ],
    [
      'another name in the local header',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', 'x', { localName: 'b' })]),
    ],
    [
      'another size in the local header',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', 'x', { localSize: 2 })]),
    ],
    [
      'a link',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', '/etc/passwd', { attributes: 0o120777 * 65_536 })]),
    ],
    [
      'its data in another order than its names',
      'bundle_zip_malformed',
      () => forgeZip([entry('b'), entry('a')], { reversed: true }),
    ],
    [
      'flags in one of the two headers',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', 'x', { flags: 0x800, localFlags: 0 })]),
    ],
    ['encryption', 'bundle_zip_malformed', () => forgeZip([entry('a', 'x', { flags: 1 })])],
    ['a data descriptor', 'bundle_zip_malformed', () => forgeZip([entry('a', 'x', { flags: 8 })])],
    [
      'an unknown method',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', 'x', { method: 12 })]),
    ],
    ['a wrong CRC', 'bundle_zip_malformed', () => forgeZip([entry('a', 'x', { crc: 5 })])],
    [
      'less data than it says',
      'bundle_zip_malformed',
      () => forgeZip([deflated('a', utf8('x'.repeat(500)), { size: 501 })]),
    ],
    [
      'more data than it says',
      'bundle_zip_malformed',
      () => forgeZip([deflated('a', utf8('x'.repeat(500)), { size: 499 })]),
    ],
    [
      'bytes behind the packed data',
      'bundle_zip_malformed',
      () => {
        const made = deflated('a', utf8('x'.repeat(500)));
        return forgeZip([{ ...made, data: concatBytes(made.data, utf8('hidden')) }]);
      },
    ],
    [
      'data that cannot be unpacked',
      'bundle_zip_malformed',
      () => forgeZip([entry('a', '\u0007rubbish', { method: 8, size: 100 })]),
    ],
    [
      'a bomb',
      'bundle_too_large',
      () => forgeZip([deflated('a', new Uint8Array(8 * 1024 * 1024))]),
    ],
    [
      'an entry that says it is enormous',
      'bundle_too_large',
      () => forgeZip([deflated('a', utf8('x'), { size: 0xffff_ffff })]),
    ],
    [
      'a directory elsewhere',
      'bundle_zip_malformed',
      () => forgeZip([entry('a')], { directoryOffset: 5 }),
    ],
    [
      'more entries than there are',
      'bundle_zip_malformed',
      () => forgeZip([entry('a')], { count: 2 }),
    ],
    [
      'fewer entries than there are',
      'bundle_zip_malformed',
      () => forgeZip([entry('a'), entry('b')], { count: 1 }),
    ],
    ['a second disk', 'bundle_zip_malformed', () => forgeZip([entry('a')], { disk: 1 })],
  ])('with %s is refused as %s', (_, code, make) => {
    expect(codeOf(make())).toBe(code);
  });

  it.each([
    '../a',
    '/etc/passwd',
    'leaves/../../a',
    'leaves\\a',
    'C:a',
    'manifest.json/',
    'Manifest.json',
    'leaves/1.cbor',
    'tile/0/000.p/0',
    'blobs/AB',
    'proofs/a.tlog-proof',
    './manifest.json',
    'leaves/00000000000000000001.cbor/x',
  ])('with the name %s is refused, before anything is unpacked', (name) => {
    expect(codeOf(forgeZip([entry(name)]), isPartName)).toBe('bundle_name');
  });

  it('is refused for its ratio, size and number at the limit and not below', () => {
    const { ratio, smallEntryBytes, entries } = ZIP_LIMITS;
    expect(codeOf(forgeZip([deflated('a', new Uint8Array(smallEntryBytes))]))).toBe('accepted');
    expect(codeOf(forgeZip([deflated('a', new Uint8Array(smallEntryBytes + 1))]))).toBe(
      'bundle_too_large',
    );
    const packed = utf8('y'.repeat(300));
    const claims = (size: number): string =>
      codeOf(forgeZip([entry('a', 'y'.repeat(300), { method: 8, size })]));
    // The claim is believed as far as the ratio allows; then the data is looked at.
    expect(claims(packed.length * ratio)).toBe('bundle_zip_malformed');
    expect(claims(packed.length * ratio + 1)).toBe('bundle_too_large');
    const many = Array.from({ length: entries + 1 }, (_, at) =>
      entry(String(at).padStart(6, '0'), ''),
    );
    expect(codeOf(forgeZip(many))).toBe('bundle_too_large');
    expect(codeOf(forgeZip(many.slice(1)))).toBe('accepted');
  });
});
