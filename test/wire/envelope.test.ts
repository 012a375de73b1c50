import { createHash, createDecipheriv, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toBase64, toHex, utf8 } from '../../wire/bytes.ts';
import type { Envelope, EnvelopeContext, Metadata } from '../../wire/envelope.ts';
import {
  canonicalMetadata,
  encodeAnswer,
  MAX_ANSWER_BYTES,
  MAX_ENVELOPE_BYTES,
  openRequest,
  parseEnvelope,
  sealAnswer,
} from '../../wire/envelope.ts';
import {
  encodeEnvelope,
  openAnswer,
  parseAnswer,
  sealRequest,
} from '../../wire/client-envelope.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import {
  ANSWER,
  CONTEXT,
  ENCLAVE,
  envelopeVectors,
  EPHEMERAL,
  METADATA,
  PLAINTEXT,
} from '../vectors/envelope.ts';

const FILE = new URL('../vectors/envelope.json', import.meta.url);
const committed = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, string>>;

function vector(name: string): string {
  const text = committed[name];
  if (text === undefined) throw new Error(`no vector ${name}`);
  return text;
}

function agreeWith(privateKey: Uint8Array): (publicKey: Uint8Array) => Uint8Array | null {
  return (publicKey) => nodeCrypto.x25519(privateKey, publicKey);
}

/** AES-256-GCM without the code under test. */
function decipher(key: Buffer, box: Readonly<Record<string, string>>, data: Buffer): string {
  const base64 = (name: string): Buffer => Buffer.from(box[name] ?? '', 'base64');
  const gcm = createDecipheriv('aes-256-gcm', key, base64('nonce'));
  gcm.setAAD(data);
  gcm.setAuthTag(base64('tag'));
  return Buffer.concat([gcm.update(base64('ciphertext')), gcm.final()]).toString();
}

/** X25519 of a library that does not look at what comes out. */
function lenient(): Uint8Array {
  return new Uint8Array(32);
}

const enclave = agreeWith(ENCLAVE.privateKey);
const client = { publicKey: EPHEMERAL.publicKey, agree: agreeWith(EPHEMERAL.privateKey) };
const NONCE = new Uint8Array(12).fill(7);

function request(
  metadata: Metadata = METADATA,
  text: string = PLAINTEXT,
): ReturnType<typeof sealRequest> {
  return sealRequest(nodeCrypto, client, NONCE, CONTEXT, metadata, utf8(text));
}

function opened(envelope: Envelope, context: EnvelopeContext = CONTEXT): string {
  const result = openRequest(nodeCrypto, enclave, context, envelope);
  return result.ok ? Buffer.from(result.value.plaintext).toString('utf8') : result.refusal.code;
}

function flip(bytes: Uint8Array, offset: number): Uint8Array {
  return bytes.with(offset, (bytes[offset] ?? 0) ^ 1);
}

describe('test/vectors/envelope.json', () => {
  it('is what the code makes, byte for byte', () => {
    expect(envelopeVectors()).toEqual(committed);
  });

  it('is what docs/PROTOCOL.md 12e says, by another way than the code', () => {
    const hex = (name: string): Buffer => Buffer.from(vector(name), 'hex');
    const salt = createHash('sha256')
      .update(hex('enclave public key'))
      .update(hex('ephemeral public key'))
      .digest();
    expect(salt.toString('hex')).toBe(vector('salt'));
    const info = Buffer.concat([
      Buffer.from(`trackseal/envelope/v1\0${vector('origin')}\0`),
      hex('leaf-0 hash'),
    ]);
    const keys = Buffer.from(hkdfSync('sha256', hex('shared secret'), salt, info, 64));
    expect(keys.subarray(32).toString('hex')).toBe(vector('answer key'));
    const sent = JSON.parse(vector('request')) as Record<string, string>;
    const requestData = Buffer.from(`request\0${vector('metadata, canonical')}`);
    expect(decipher(keys.subarray(0, 32), sent, requestData)).toBe(PLAINTEXT);
    const answered = JSON.parse(vector('answer')) as Record<string, string>;
    const tag = Buffer.from(sent['tag'] ?? '', 'base64');
    const answerData = Buffer.concat([Buffer.from('answer\0'), tag]);
    expect(decipher(keys.subarray(32), answered, answerData)).toBe(ANSWER);
  });
});

describe('an envelope', () => {
  it('opens for the enclave whose key it was sealed for, and its answer for the client alone', () => {
    const { envelope, answer } = assertAccepted(request());
    const parsed = assertAccepted(parseEnvelope(utf8(encodeEnvelope(envelope))));
    const inside = assertAccepted(openRequest(nodeCrypto, enclave, CONTEXT, parsed));
    expect(Buffer.from(inside.plaintext).toString('utf8')).toBe(PLAINTEXT);
    const box = sealAnswer(nodeCrypto, inside.answer, NONCE, utf8(ANSWER));
    const received = assertAccepted(parseAnswer(utf8(encodeAnswer(box))));
    const read = assertAccepted(openAnswer(nodeCrypto, answer, received));
    expect(Buffer.from(read).toString('utf8')).toBe(ANSWER);
  });

  it('mistake 1: two sides that share no secret cannot agree, and nothing travels in clear', () => {
    const { envelope } = assertAccepted(request());
    const sent = encodeEnvelope(envelope);
    for (const secret of ['user-1', 'key of the vector', 'secret of it']) {
      for (const form of [secret, toBase64(utf8(secret)), toHex(utf8(secret))]) {
        expect(sent).not.toContain(form);
      }
    }
    // Everything public is known to this one; the private key is another.
    const stranger = agreeWith(new Uint8Array(32).fill(9));
    expect(openRequest(nodeCrypto, stranger, CONTEXT, envelope)).toMatchObject({
      ok: false,
      refusal: { code: 'envelope_unopened' },
    });
  });

  it('does not open with any byte of key, nonce, ciphertext or tag flipped', () => {
    const { envelope } = assertAccepted(request());
    for (const field of ['ephemeralKey', 'nonce', 'ciphertext', 'tag'] as const) {
      for (let offset = 0; offset < envelope[field].length; offset++) {
        const flipped = { ...envelope, [field]: flip(envelope[field], offset) };
        expect([field, offset, opened(flipped)]).toEqual([field, offset, 'envelope_unopened']);
      }
    }
  });

  it('has one form of its ephemeral key: the bit that X25519 ignores counts', () => {
    const { envelope } = assertAccepted(request());
    const { ephemeralKey } = envelope;
    const twin = ephemeralKey.with(31, (ephemeralKey[31] ?? 0) ^ 0x80);
    expect(enclave(twin)).toEqual(enclave(ephemeralKey));
    expect(opened({ ...envelope, ephemeralKey: twin })).toBe('envelope_unopened');
  });

  it('does not open with other settings, for another log, epoch or enclave key', () => {
    const { envelope } = assertAccepted(request());
    for (const key of Object.keys(METADATA)) {
      const without = Object.fromEntries(Object.entries(METADATA).filter(([name]) => name !== key));
      expect(opened({ ...envelope, metadata: without })).toBe('envelope_unopened');
    }
    const changed = { ...METADATA, allowTrading: true };
    expect(opened({ ...envelope, metadata: changed })).toBe('envelope_unopened');
    const { origin, leafZeroHash, enclaveKey } = CONTEXT;
    for (const context of [
      { ...CONTEXT, origin: `${origin}0` },
      { ...CONTEXT, leafZeroHash: flip(leafZeroHash, 0) },
      { ...CONTEXT, enclaveKey: flip(enclaveKey, 0) },
    ]) {
      expect(opened(envelope, context)).toBe('envelope_unopened');
    }
  });

  it('opens whatever the order of the settings on the way', () => {
    const { envelope } = assertAccepted(request());
    const metadata = Object.fromEntries(Object.entries(METADATA).toReversed());
    expect(opened({ ...envelope, metadata })).toBe(PLAINTEXT);
  });

  it('is not made or opened with a point of low order, even by an X25519 that lets them through', () => {
    // The points of order 1, 2, 4 and 8 and their other encodings (RFC 7748 6.1, Curve25519 paper).
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ];
    const refused = { ok: false, refusal: { code: 'envelope_key_refused' } };
    const { envelope } = assertAccepted(request());
    for (const point of points) {
      const ephemeralKey = new Uint8Array(Buffer.from(point, 'hex'));
      for (const agree of [enclave, lenient]) {
        const result = openRequest(nodeCrypto, agree, CONTEXT, { ...envelope, ephemeralKey });
        expect(result, point).toMatchObject(refused);
      }
      const context = { ...CONTEXT, enclaveKey: ephemeralKey };
      expect(sealRequest(nodeCrypto, client, NONCE, context, {}, utf8(''))).toMatchObject(refused);
    }
  });

  it('an answer opens only for its own request', () => {
    const first = assertAccepted(request());
    const second = assertAccepted(
      sealRequest(nodeCrypto, client, NONCE.with(0, 1), CONTEXT, METADATA, utf8(PLAINTEXT)),
    );
    const box = sealAnswer(nodeCrypto, first.answer, NONCE, utf8(ANSWER));
    const refused = { ok: false, refusal: { code: 'envelope_unopened' } };
    expect(openAnswer(nodeCrypto, second.answer, box)).toMatchObject(refused);
    // The request itself, sent back, is no answer.
    expect(openAnswer(nodeCrypto, first.answer, first.envelope)).toMatchObject(refused);
    for (let offset = 0; offset < box.ciphertext.length; offset++) {
      const flipped = { ...box, ciphertext: flip(box.ciphertext, offset) };
      expect(openAnswer(nodeCrypto, first.answer, flipped)).toMatchObject(refused);
    }
  });
});

const metadataText = fc.string({ unit: 'binary', maxLength: 40 });
const metadata: fc.Arbitrary<Metadata> = fc.dictionary(
  metadataText.filter((key) => key !== '__proto__'),
  fc.oneof(
    metadataText,
    fc.maxSafeInteger().filter((value) => !Object.is(value, -0)),
    fc.boolean(),
    fc.constant(null),
    fc.array(metadataText, { maxLength: 5 }),
  ),
  { maxKeys: 16 },
);

describe('settings', () => {
  it('have one canonical form, which survives the way as JSON', () => {
    fc.assert(
      fc.property(metadata, fc.string(), (settings, text) => {
        const { envelope } = assertAccepted(request(settings, text));
        const received = assertAccepted(parseEnvelope(utf8(encodeEnvelope(envelope))));
        expect(canonicalMetadata(received.metadata)).toBe(canonicalMetadata(settings));
        expect(opened(received)).toBe(text);
      }),
      { numRuns: 50 },
    );
  });

  it('are sorted by UTF-16 units, as RFC 8785 wants', () => {
    const example = { '\u20ac': 1, '\r': 2, '\ufb33': 3, 1: 4, '\u{1f600}': 5, '\u0080': 6, ö: 7 };
    expect(canonicalMetadata(example)).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\u{1f600}":5,"\ufb33":3}',
    );
  });
});

describe('what is no envelope', () => {
  const { envelope } = assertAccepted(request());
  const whole = JSON.parse(encodeEnvelope(envelope)) as Readonly<Record<string, unknown>>;
  const refused = { ok: false, refusal: { code: 'envelope_malformed' } };
  const settings = whole['metadata'] as Readonly<Record<string, unknown>>;
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 1]));

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['an array', '[]'],
    ['a text', '"x"'],
    ['another version', JSON.stringify({ ...whole, v: 2 })],
    ['a version as text', JSON.stringify({ ...whole, v: '1' })],
    ['a field too many', JSON.stringify({ ...whole, salt: '' })],
    ['a field too few', JSON.stringify({ ...whole, tag: undefined })],
    ['a short key', JSON.stringify({ ...whole, ephemeral_pub: toBase64(new Uint8Array(31)) })],
    ['a long key', JSON.stringify({ ...whole, ephemeral_pub: toBase64(new Uint8Array(33)) })],
    ['a nonce of 16 bytes', JSON.stringify({ ...whole, nonce: toBase64(new Uint8Array(16)) })],
    ['a tag of 12 bytes', JSON.stringify({ ...whole, tag: toBase64(new Uint8Array(12)) })],
    ['base64url', JSON.stringify({ ...whole, tag: `${'_'.repeat(21)}w==` })],
    ['hex', JSON.stringify({ ...whole, nonce: toHex(NONCE) })],
    ['nested settings', JSON.stringify({ ...whole, metadata: { a: { b: 1 } } })],
    ['settings that are an array', JSON.stringify({ ...whole, metadata: [] })],
    ['a fraction', JSON.stringify({ ...whole, metadata: { ...settings, ttl: 1.5 } })],
    ['minus zero', JSON.stringify(whole).replace('"ttl":86400', '"ttl":-0')],
    ['numbers in a list', JSON.stringify({ ...whole, metadata: { symbols: [1] } })],
    ['a lone surrogate', JSON.stringify({ ...whole, metadata: { label: '\ud800' } })],
    ['17 settings', JSON.stringify({ ...whole, metadata: many })],
    ['a long text', JSON.stringify({ ...whole, metadata: { label: 'x'.repeat(129) } })],
    ['101 symbols', JSON.stringify({ ...whole, metadata: { s: Array(101).fill('x') } })],
  ])('%s', (_, text) => {
    expect(parseEnvelope(utf8(text))).toMatchObject(refused);
  });

  it.each([
    ['16 settings', { ...many, k16: undefined }],
    ['a text of 128', { label: 'x'.repeat(128) }],
    ['100 symbols', { s: Array(100).fill('x') }],
  ])('but %s are allowed', (_, value) => {
    expect(parseEnvelope(utf8(JSON.stringify({ ...whole, metadata: value }))).ok).toBe(true);
  });

  it('bytes that are not UTF-8, or more than there may be', () => {
    expect(parseEnvelope(Uint8Array.of(0xff))).toMatchObject(refused);
    const text = JSON.stringify(whole);
    const padded = (bytes: number): Uint8Array =>
      utf8(text + ' '.repeat(bytes - utf8(text).length));
    expect(parseEnvelope(padded(MAX_ENVELOPE_BYTES)).ok).toBe(true);
    expect(parseEnvelope(padded(MAX_ENVELOPE_BYTES + 1))).toMatchObject(refused);
    const answer = encodeAnswer(
      sealAnswer(nodeCrypto, assertAccepted(request()).answer, NONCE, NONCE),
    );
    const long = (bytes: number): Uint8Array => utf8(answer + ' '.repeat(bytes - answer.length));
    expect(parseAnswer(long(MAX_ANSWER_BYTES)).ok).toBe(true);
    expect(parseAnswer(long(MAX_ANSWER_BYTES + 1))).toMatchObject(refused);
    expect(parseAnswer(utf8(JSON.stringify({ ...whole })))).toMatchObject(refused);
  });
});
