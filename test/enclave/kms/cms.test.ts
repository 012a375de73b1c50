import {
  createHash,
  createPrivateKey,
  createPublicKey,
  publicEncrypt,
  constants,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openEnvelope } from '../../../enclave/kms/cms.ts';
import { ROOT } from '../../../scripts/bundle.ts';
import { sealForRecipient } from '../../../simulator/kms/envelope.ts';
import { parseHex, toHex } from '../../../wire/bytes.ts';

interface Vectors {
  readonly private_key: string;
  readonly cases: readonly { name: string; envelope: string; plaintext: string }[];
}

const vectors = JSON.parse(readFileSync(join(ROOT, 'test/vectors/cms.json'), 'utf8')) as Vectors;
const KEY = createPrivateKey(vectors.private_key);
const FIXTURES = join(ROOT, '../shared/fixtures/kms');

function bytesOf(hex: string): Uint8Array {
  return parseHex(hex) ?? new Uint8Array(0);
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}

function hashOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spkiOf(key)).digest());
}

const open = (envelope: Uint8Array): string | null => {
  const plaintext = openEnvelope(KEY, hashOf(KEY), envelope);
  return plaintext === null ? null : toHex(plaintext);
};

const named = (part: string): Uint8Array =>
  bytesOf(vectors.cases.find(({ name }) => name.startsWith(part))?.envelope ?? '');
const FORM_A = named('32 bytes, form A, 2');
const FORM_B = named('32 bytes, form B');

/** `envelope` with the one place where `from` stands changed into `to`. */
function changed(envelope: Uint8Array, from: string, to: string): Uint8Array {
  const hex = toHex(envelope);
  expect(hex.split(from), `${from} is there once`).toHaveLength(2);
  return bytesOf(hex.replace(from, to));
}

it.each(vectors.cases)('opens $name', ({ envelope, plaintext }) => {
  expect(open(bytesOf(envelope))).toBe(plaintext);
});

it.skipIf(!existsSync(FIXTURES))('opens what KMS and its like wrote', () => {
  const names = readdirSync(FIXTURES).filter((name) => name.endsWith('.ber'));
  expect(names.length).toBeGreaterThanOrEqual(2);
  for (const name of names) {
    const stem = join(FIXTURES, name.replace(/\.ciphertext-for-recipient\.ber$/u, ''));
    const key = createPrivateKey(readFileSync(`${stem}.private-key.pk8.pem`));
    const envelope = new Uint8Array(readFileSync(join(FIXTURES, name)));
    const plaintext = openEnvelope(key, hashOf(key), envelope);
    expect(plaintext, name).toEqual(new Uint8Array(readFileSync(`${stem}.plaintext.bin`)));
  }
});
if (!existsSync(FIXTURES)) console.log('cms: no ../shared/fixtures/kms here, own vectors only');

describe('refuses, always with null,', () => {
  const IV_HEAD = '0410';
  it.each<[string, () => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['a byte behind the last end mark', () => Buffer.concat([FORM_A, Buffer.of(0)])],
    ['a missing end mark', () => FORM_A.subarray(0, -2)],
    [
      'a definite length outside',
      () => changed(FORM_B, '308006092a864886f70d010703', '307f06092a864886f70d010703'),
    ],
    ['signed data', () => changed(FORM_B, '2a864886f70d010703', '2a864886f70d010702')],
    ['another version of EnvelopedData', () => changed(FORM_B, '3080020102', '3080020100')],
    ['another version of the recipient', () => changed(FORM_B, '0201028020', '0201008020')],
    ['two recipients', () => changed(FORM_B, '3182016b', '318202d6')],
    [
      'an issuer and serial number in place of a key identifier',
      () => changed(FORM_B, '0201028020', '0201023020'),
    ],
    ['PKCS #1 1.5', () => changed(FORM_B, '2a864886f70d010107', '2a864886f70d010101')],
    [
      'OAEP with SHA-1',
      () => changed(FORM_B, 'a00f300d0609608648016503040201', 'a00f300d0609608648016503040204'),
    ],
    [
      'MGF1 with another hash',
      () => changed(FORM_B, '0108300d0609608648016503040201', '0108300d0609608648016503040202'),
    ],
    ['a key of RSA-4096', () => changed(FORM_B, '04820100', '04820200')],
    ['AES-128', () => changed(FORM_B, '60864801650304012a', '608648016503040102')],
    ['AES-GCM', () => changed(FORM_B, '60864801650304012a', '60864801650304012e')],
    ['another content type', () => changed(FORM_B, '2a864886f70d010701', '2a864886f70d010702')],
    ['an IV of 12 bytes', () => changed(FORM_B, `012a${IV_HEAD}`, '012a040c')],
    ['a length that is not the shortest', () => changed(FORM_A, 'a0800420', 'a080048120')],
    ['a chunk of indefinite length', () => changed(FORM_A, 'a0800420', 'a0800480')],
    ['a chunk that is no octet string', () => changed(FORM_A, 'a0800420', 'a0800320')],
    ['no content', () => bytesOf(toHex(FORM_A).replace(/a0800420.*$/u, `a080${'00'.repeat(10)}`))],
    [
      'half a block',
      () => bytesOf(toHex(FORM_B).replace(/8030(.{80}).*$/u, '8028$1') + '00'.repeat(8)),
    ],
    ['more than KMS answers', () => sealForRecipient(new Uint8Array(5900), spkiOf(KEY), 'B')],
  ])('%s', (_, envelope) => {
    expect(open(envelope())).toBeNull();
  });

  it('an envelope for another key', () => {
    const other = hashOf(KEY);
    other[0] = (other[0] ?? 0) ^ 1;
    expect(openEnvelope(KEY, other, FORM_A)).toBeNull();
  });

  it.each([0, 16, 31, 33])('a content key of %i bytes', (length) => {
    const key = createPublicKey(KEY);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const wrapped = publicEncrypt({ key, padding, oaepHash: 'sha256' }, new Uint8Array(length));
    const hex = toHex(FORM_B);
    const start = hex.indexOf('04820100') + 8;
    const envelope = hex.slice(0, start) + toHex(wrapped) + hex.slice(start + 512);
    expect(open(bytesOf(envelope))).toBeNull();
  });

  it('every other byte in head and tail, and every cut', () => {
    for (const envelope of [FORM_A, FORM_B]) {
      const whole = open(envelope);
      expect(whole).not.toBeNull();
      fc.assert(
        fc.property(fc.nat(envelope.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
          const flipped = envelope.slice();
          flipped[at] = (flipped[at] ?? 0) ^ mask;
          // Content and IV have no integrity of their own; they give another plaintext or a wrong padding.
          expect(open(flipped)).not.toBe(whole);
        }),
        { numRuns: 300 },
      );
      for (let length = 0; length < envelope.length; length++) {
        expect(open(envelope.subarray(0, length)), `cut at ${length}`).toBeNull();
      }
    }
  });
});

it('opens what an encoder of somebody else makes, of any size that KMS answers with', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096 }), fc.constantFrom('A', 'B'), (bytes, form) => {
      const envelope = sealForRecipient(bytes, spkiOf(KEY), form);
      expect(open(envelope)).toBe(toHex(bytes));
    }),
    { numRuns: 40 },
  );
});
