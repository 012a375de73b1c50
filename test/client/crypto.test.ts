import { readFile } from 'node:fs/promises';
import { createECDH, diffieHellman, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { join } from 'node:path';
import { assert, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { webCrypto } from '../../client/crypto.ts';
import { ROOT } from '../../scripts/bundle.ts';
import { awsRoot } from '../../verifier/roots.ts';
import { checkTime, verifyAttestation } from '../../wire/attestation/verify.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';

// Node's crypto is the other opinion: two implementations that share nothing.
const bytes = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

describe('the cryptography of browsers', () => {
  it('hashes and derives as Node does', () => {
    assert(
      property(uint8Array({ maxLength: 300 }), uint8Array({ maxLength: 300 }), (one, two) => {
        expect(webCrypto.sha256(one, two)).toEqual(nodeCrypto.sha256(one, two));
        expect(webCrypto.sha384(one, two)).toEqual(nodeCrypto.sha384(one, two));
        expect(webCrypto.hkdfSha256(one, two, one, 64)).toEqual(
          nodeCrypto.hkdfSha256(one, two, one, 64),
        );
      }),
    );
    expect(webCrypto.sha256()).toEqual(nodeCrypto.sha256());
  });

  it('seals what Node opens, opens what Node seals, and nothing that was changed', () => {
    assert(
      property(uint8Array({ maxLength: 200 }), uint8Array({ maxLength: 50 }), (plaintext, data) => {
        const [key, nonce] = [bytes(32), bytes(12)];
        const sealed = webCrypto.aes256GcmSeal(key, nonce, plaintext, data);
        expect(sealed).toEqual(nodeCrypto.aes256GcmSeal(key, nonce, plaintext, data));
        expect(webCrypto.aes256GcmOpen(key, nonce, sealed, data)).toEqual(plaintext);
        const changed = Uint8Array.from(sealed, (byte, at) => (at === 0 ? byte ^ 1 : byte));
        expect(webCrypto.aes256GcmOpen(key, nonce, changed, data)).toBeNull();
        expect(webCrypto.aes256GcmOpen(key, nonce, sealed, bytes(51))).toBeNull();
      }),
    );
    expect(webCrypto.aes256GcmOpen(bytes(32), bytes(12), bytes(15), bytes(0))).toBeNull();
  });

  it('agrees on X25519 as Node does, and refuses points of low order', () => {
    for (let turn = 0; turn < 20; turn++) {
      const pair = generateKeyPairSync('x25519');
      const raw = new Uint8Array(pair.privateKey.export({ format: 'der', type: 'pkcs8' })).slice(
        -32,
      );
      const other = generateKeyPairSync('x25519');
      const spki = new Uint8Array(other.publicKey.export({ format: 'der', type: 'spki' })).slice(
        -32,
      );
      expect(webCrypto.x25519(raw, spki)).toEqual(
        new Uint8Array(diffieHellman({ privateKey: pair.privateKey, publicKey: other.publicKey })),
      );
    }
    const one = Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 1 : 0));
    for (const low of [new Uint8Array(32), one, bytes(31), bytes(33)]) {
      expect(webCrypto.x25519(bytes(32), low)).toBeNull();
    }
  });

  it.each([
    ['prime256v1', 'sha256', 'der', 'verifyP256Der'],
    ['secp384r1', 'sha384', 'der', 'verifyP384Der'],
    ['secp384r1', 'sha384', 'ieee-p1363', 'verifyP384Raw'],
  ] as const)(
    'verifies %s, %s, %s as Node does, changed bytes too',
    (namedCurve, hash, dsaEncoding, name) => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
      const message = bytes(100);
      for (let turn = 0; turn < 8; turn++) {
        // Half of them have a high s.
        const signature = new Uint8Array(sign(hash, message, { key: privateKey, dsaEncoding }));
        expect(webCrypto[name](spki, message, signature)).toBe(true);
      }
      const signature = new Uint8Array(sign(hash, message, { key: privateKey, dsaEncoding }));
      for (const whole of [spki, message, signature]) {
        for (const at of [0, 1, 5, 26, 60, whole.length - 1]) {
          const changed = whole.map((byte, index) => (index === at ? byte ^ 1 : byte));
          const parts = [spki, message, signature].map((part) => (part === whole ? changed : part));
          const [key = spki, text = message, sig = signature] = parts;
          expect({ at, ok: webCrypto[name](key, text, sig) }).toEqual({
            at,
            ok: nodeCrypto[name](key, text, sig),
          });
          expect(webCrypto[name](key, text, sig)).toBe(false);
        }
      }
      expect(webCrypto[name](spki, message, signature.subarray(1))).toBe(false);
      expect(webCrypto[name](bytes(spki.length), message, signature)).toBe(false);
      expect(webCrypto[name](spki, message, new Uint8Array(signature.length))).toBe(false);
    },
  );

  it('verifies a document that a Nitro Enclave has made, and no other', async () => {
    const folder = join(ROOT, 'test/fixtures/attestation');
    const name = 'real-2026-02-06-prod-indefmap-nonce32.cbor';
    const document = new Uint8Array(await readFile(join(folder, name)));
    const rootDer = awsRoot().der;
    const verified = assertAccepted(verifyAttestation(webCrypto, document, { rootDer }));
    expect(checkTime(verified, verified.document.timestampMs).ok).toBe(true);
    const flipped = new Uint8Array(await readFile(join(folder, 'derived-payload-bitflip.cbor')));
    expect(verifyAttestation(webCrypto, flipped, { rootDer })).toMatchObject({ ok: false });
  });

  it('takes only keys in the one form', () => {
    // A compressed point is a valid SPKI elsewhere.
    const ecdh = createECDH('prime256v1');
    ecdh.generateKeys();
    const point = ecdh.getPublicKey(null, 'compressed');
    expect(webCrypto.verifyP256Der(new Uint8Array(point), bytes(1), bytes(70))).toBe(false);
  });
});
