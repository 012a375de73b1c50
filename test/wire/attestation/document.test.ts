import { describe, expect, it } from 'vitest';
import { parseCoseSign1 } from '../../../wire/attestation/cose.ts';
import { parseDocument } from '../../../wire/attestation/document.ts';
import { concatBytes, parseHex } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { CborTag, encodeCbor, encodeCborHead } from '../../../wire/cbor.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { Result } from '../../../wire/result.ts';
import { encodePairs, encodePayload, payloadOf, pcrsOf } from './forge.ts';

// Certificates are not looked at here: any bytes of a fitting length do.
const chain = { ders: [Uint8Array.of(1), Uint8Array.of(2)] };

function hex(text: string): Uint8Array {
  return parseHex(text.replaceAll(' ', '')) ?? new Uint8Array();
}

function codeOf(result: Result<unknown>): string | null {
  return result.ok ? null : result.refusal.code;
}

function payloadCode(changes: Readonly<Record<string, CborValue | undefined>>): string | null {
  return codeOf(parseDocument(encodePayload(chain, changes)));
}

const bytes = (length: number): Uint8Array => new Uint8Array(length);

describe('the payload', () => {
  it('may be a definite or an indefinite map, in any order', () => {
    const pairs = Object.entries(payloadOf(chain)) as [string, CborValue][];
    const documents = [
      encodePairs(pairs, true),
      encodePairs(pairs, false),
      encodePairs(pairs.toReversed(), true),
    ].map((payload) => assertAccepted(parseDocument(payload)));
    expect(documents[1]).toEqual(documents[0]);
    expect(documents[2]).toEqual(documents[0]);
  });

  it('means the same with null and without the field', () => {
    for (const field of ['public_key', 'user_data', 'nonce']) {
      const missing = assertAccepted(parseDocument(encodePayload(chain, { [field]: undefined })));
      expect(missing).toEqual(assertAccepted(parseDocument(encodePayload(chain))));
      expect([missing.publicKey, missing.userData, missing.nonce]).toEqual([null, null, null]);
    }
  });

  it('may have keys that nobody knows, which change nothing', () => {
    const more = encodePayload(chain, { extra: ['x', new Map([[1, bytes(3)]])], __proto__x: null });
    expect(assertAccepted(parseDocument(more))).toEqual(
      assertAccepted(parseDocument(encodePayload(chain))),
    );
    const pairs = Object.entries(payloadOf(chain)) as [CborValue, CborValue][];
    expect(codeOf(parseDocument(encodePairs([...pairs, [7, 8], ['__proto__', 1]])))).toBeNull();
  });

  it.each<[string, Readonly<Record<string, CborValue | undefined>>, string | null]>([
    ['no module id', { module_id: undefined }, 'document_malformed'],
    ['an empty module id', { module_id: '' }, 'document_malformed'],
    ['a module id with an escape', { module_id: 'i-1-enc1\u001b[2J' }, 'document_malformed'],
    ['a module id of bytes', { module_id: bytes(3) }, 'document_malformed'],
    [
      'a NitroTPM',
      { module_id: 'i-0123456789abcdef0-tpm0123456789abcdef' },
      'document_not_enclave',
    ],
    ['NitroTPM registers', { nitrotpm_pcrs: pcrsOf([0]) }, 'document_not_enclave'],
    [
      'NitroTPM registers only',
      { nitrotpm_pcrs: pcrsOf([0]), pcrs: undefined },
      'document_not_enclave',
    ],
    ['no digest', { digest: undefined }, 'document_digest'],
    ['SHA256', { digest: 'SHA256' }, 'document_digest'],
    ['SHA512', { digest: 'SHA512' }, 'document_digest'],
    ['sha384', { digest: 'sha384' }, 'document_digest'],
    ['no timestamp', { timestamp: undefined }, 'document_malformed'],
    ['timestamp 0', { timestamp: 0 }, 'document_malformed'],
    ['timestamp 1', { timestamp: 1 }, null],
    ['timestamp -1', { timestamp: -1 }, 'document_malformed'],
    ['timestamp as text', { timestamp: '1770366258452' }, 'document_malformed'],
    ['the last date', { timestamp: 8_640_000_000_000_000 }, null],
    ['after the last date', { timestamp: 8_640_000_000_000_001 }, 'document_malformed'],
    ['timestamp 2^64-1', { timestamp: 2n ** 64n - 1n }, 'document_malformed'],
    ['no PCRs', { pcrs: undefined }, 'document_malformed'],
    ['an empty map of PCRs', { pcrs: new Map() }, 'document_malformed'],
    ['PCRs as an array', { pcrs: [bytes(48)] }, 'document_malformed'],
    ['PCRs with holes', { pcrs: pcrsOf([0, 1, 2, 8, 16, 31]) }, null],
    ['one PCR', { pcrs: pcrsOf([31]) }, null],
    ['all PCRs', { pcrs: pcrsOf(Array.from({ length: 32 }, (_, at) => at)) }, null],
    ['PCR32', { pcrs: pcrsOf([0, 32]) }, 'document_malformed'],
    ['PCR-1', { pcrs: new Map([[-1, bytes(48)]]) }, 'document_malformed'],
    ['a PCR named by text', { pcrs: new Map([['0', bytes(48)]]) }, 'document_malformed'],
    ['a PCR of 47 bytes', { pcrs: new Map([[0, bytes(47)]]) }, 'document_malformed'],
    ['a PCR of 49 bytes', { pcrs: new Map([[0, bytes(49)]]) }, 'document_malformed'],
    ['a PCR of 32 bytes', { pcrs: new Map([[0, bytes(32)]]) }, 'document_malformed'],
    ['a PCR of null', { pcrs: new Map([[0, null]]) }, 'document_malformed'],
    ['no certificate', { certificate: undefined }, 'document_malformed'],
    ['an empty certificate', { certificate: bytes(0) }, 'document_malformed'],
    ['a certificate of 1,024 bytes', { certificate: bytes(1024) }, null],
    ['a certificate of 1,025 bytes', { certificate: bytes(1025) }, 'document_malformed'],
    ['no cabundle', { cabundle: undefined }, 'document_malformed'],
    ['an empty cabundle', { cabundle: [] }, 'document_malformed'],
    ['a cabundle of bytes', { cabundle: bytes(3) }, 'document_malformed'],
    ['a cabundle of one', { cabundle: [bytes(1024)] }, null],
    ['a cabundle of eight', { cabundle: Array.from({ length: 8 }, () => bytes(1)) }, null],
    [
      'a cabundle of nine',
      { cabundle: Array.from({ length: 9 }, () => bytes(1)) },
      'document_malformed',
    ],
    ['a cabundle with an empty one', { cabundle: [bytes(0)] }, 'document_malformed'],
    ['a cabundle with 1,025 bytes', { cabundle: [bytes(1025)] }, 'document_malformed'],
    ['an empty public key', { public_key: bytes(0) }, 'document_malformed'],
    ['a public key of 1,024 bytes', { public_key: bytes(1024) }, null],
    ['a public key of 1,025 bytes', { public_key: bytes(1025) }, 'document_malformed'],
    ['a public key as text', { public_key: 'key' }, 'document_malformed'],
    ['empty user data', { user_data: bytes(0) }, null],
    ['user data of 1,024 bytes', { user_data: bytes(1024) }, null],
    ['user data of 1,025 bytes', { user_data: bytes(1025) }, 'document_malformed'],
    ['an empty nonce', { nonce: bytes(0) }, null],
    ['a nonce of 1,024 bytes', { nonce: bytes(1024) }, null],
    ['a nonce of 1,025 bytes', { nonce: bytes(1025) }, 'document_malformed'],
    ['a nonce of false', { nonce: false }, 'document_malformed'],
    ['a tag', { extra: new CborTag(1, 0) }, 'cbor_malformed'],
  ])('with %s', (_, changes, code) => {
    expect(payloadCode(changes)).toBe(code);
  });

  const whole = Object.entries(payloadOf(chain)) as [CborValue, CborValue][];

  it.each<[string, Uint8Array, string]>([
    ['a repeated key', encodePairs([...whole, ['nonce', bytes(1)]]), 'cbor_malformed'],
    ['no map', encodeCbor([1]), 'document_malformed'],
    ['a text', encodeCbor('DescribeNSM'), 'document_malformed'],
    [
      'a byte after the end',
      concatBytes(encodePairs(whole), Uint8Array.of(0)),
      'cbor_trailing_bytes',
    ],
    ['no end', encodePairs(whole).subarray(0, -1), 'cbor_truncated'],
    ['a half float', concatBytes(hex('bf 61 61'), hex('f9 3c00 ff')), 'cbor_malformed'],
    ['undefined', hex('bf 61 61 f7 ff'), 'cbor_malformed'],
    ['a chunked string', hex('bf 61 61 7f 61 62 ff ff'), 'cbor_malformed'],
    ['chunked bytes', hex('bf 61 61 5f 41 62 ff ff'), 'cbor_malformed'],
    ['a repeated PCR', hex('bf 64 70637273 a2 00 40 00 40 ff'), 'cbor_malformed'],
    ['a PCR repeated in another form', hex('bf 64 70637273 a2 00 40 1800 40 ff'), 'cbor_malformed'],
    ['a map that announces 2^32 pairs', hex('ba ffffffff'), 'cbor_limit'],
    // The map itself is a value, too.
    ['257 values', encodePairs(Array.from({ length: 128 }, (_, at) => [at, at])), 'cbor_limit'],
    [
      '255 values, none of them its own',
      encodePairs(Array.from({ length: 127 }, (_, at) => [at, at])),
      'document_malformed',
    ],
  ])('with %s is refused', (_, payload, code) => {
    expect(codeOf(parseDocument(payload))).toBe(code);
  });
});

const PROTECTED = hex('a1013822');
const none = new Map<number, CborValue>();

function cose(...parts: readonly CborValue[]): Uint8Array {
  return encodeCbor(parts);
}

const good = cose(PROTECTED, none, bytes(1), bytes(96));

describe('the envelope', () => {
  it.each<[string, Uint8Array, string | null]>([
    ['four parts', good, null],
    ['tag 18', concatBytes(hex('d2'), good), null],
    ['tag 18 twice', concatBytes(hex('d2 d2'), good), 'cose_malformed'],
    ['tag 18 in a longer form', concatBytes(hex('d8 12'), good), 'cbor_not_deterministic'],
    ['tag 61', concatBytes(hex('d8 3d'), good), 'cbor_malformed'],
    ['three parts', cose(PROTECTED, none, bytes(1)), 'cose_malformed'],
    ['five parts', cose(PROTECTED, none, bytes(1), bytes(96), 0), 'cose_malformed'],
    [
      'an indefinite array',
      concatBytes(hex('9f'), good.subarray(1), hex('ff')),
      'cbor_not_deterministic',
    ],
    ['a map', encodeCbor(new Map([[1, PROTECTED]])), 'cose_malformed'],
    ['no array', encodeCbor(PROTECTED), 'cose_malformed'],
    ['an empty protected header', cose(bytes(0), none, bytes(1), bytes(96)), 'cose_algorithm'],
    [
      'a header that is no bytes',
      cose(new Map([[1, -35]]), none, bytes(1), bytes(96)),
      'cose_malformed',
    ],
    ['ES256', cose(hex('a10126'), none, bytes(1), bytes(96)), 'cose_algorithm'],
    ['ES512', cose(hex('a1013823'), none, bytes(1), bytes(96)), 'cose_algorithm'],
    [
      'a further protected parameter',
      cose(hex('a20138220400'), none, bytes(1), bytes(96)),
      'cose_algorithm',
    ],
    [
      'ES384 in a longer form',
      cose(hex('a101390022'), none, bytes(1), bytes(96)),
      'cose_algorithm',
    ],
    [
      'an unprotected parameter',
      cose(PROTECTED, new Map([[4, 0]]), bytes(1), bytes(96)),
      'cose_unprotected',
    ],
    ['an unprotected header of null', cose(PROTECTED, null, bytes(1), bytes(96)), 'cose_malformed'],
    ['a detached payload', cose(PROTECTED, none, null, bytes(96)), 'cose_malformed'],
    ['an empty payload', cose(PROTECTED, none, bytes(0), bytes(96)), 'cose_malformed'],
    [
      'a signature of 95 bytes',
      cose(PROTECTED, none, bytes(1), bytes(95)),
      'cose_signature_length',
    ],
    [
      'a signature of 97 bytes',
      cose(PROTECTED, none, bytes(1), bytes(97)),
      'cose_signature_length',
    ],
    ['no signature', cose(PROTECTED, none, bytes(1), null), 'cose_malformed'],
    ['nothing', bytes(0), 'cbor_truncated'],
    ['text', hex('7b22646f63'), 'cbor_truncated'],
  ])('with %s', (_, document, code) => {
    expect(codeOf(parseCoseSign1(document))).toBe(code);
  });

  it('is at most 16 KiB', () => {
    const around = good.length + 2; // the payload's head grows by two bytes
    const ofSize = (size: number): Uint8Array =>
      cose(PROTECTED, none, bytes(1 + size - around), bytes(96));
    expect([16_383, 16_384, 16_385].map((size) => codeOf(parseCoseSign1(ofSize(size))))).toEqual([
      null,
      null,
      'document_too_large',
    ]);
    expect(ofSize(16_384)).toHaveLength(16_384);
  });

  it('signs RFC 9052 section 4.4', () => {
    const { signed } = assertAccepted(parseCoseSign1(good));
    expect(signed).toEqual(
      concatBytes(hex('84 6a 5369676e617475726531 44 a1013822 40'), encodeCborHead(2, 1), bytes(1)),
    );
  });
});
