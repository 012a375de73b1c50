import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../wire/node/crypto.ts';

function newSigner(namedCurve: 'P-256' | 'P-384'): {
  readonly spki: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
} {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  return {
    spki,
    sign: (message) => sign(namedCurve === 'P-256' ? 'sha256' : 'sha384', message, privateKey),
  };
}

describe('verifying with the key that was used last', () => {
  const message = Uint8Array.of(1, 2, 3);

  it('never takes one key for another', () => {
    const [a, b] = [newSigner('P-256'), newSigner('P-256')];
    const [byA, byB] = [a.sign(message), b.sign(message)];
    for (const [spki, signature, expected] of [
      [a.spki, byA, true],
      [a.spki, byB, false],
      [b.spki, byB, true],
      [b.spki, byA, false],
      [a.spki, byA, true],
    ] as const) {
      expect(nodeCrypto.verifyP256Der(spki, message, signature)).toBe(expected);
    }
  });

  it('takes no key whose bytes changed after its use, and none that is no key, twice', () => {
    const { spki, sign: signed } = newSigner('P-256');
    const signature = signed(message);
    const bytes = spki.slice();
    expect(nodeCrypto.verifyP256Der(bytes, message, signature)).toBe(true);
    bytes[30] = (bytes[30] ?? 0) ^ 1;
    expect(nodeCrypto.verifyP256Der(bytes, message, signature)).toBe(false);
    expect(nodeCrypto.verifyP256Der(bytes, message, signature)).toBe(false);
    expect(nodeCrypto.verifyP256Der(spki, message, signature)).toBe(true);
  });

  it('keeps the curves apart', () => {
    const [small, large] = [newSigner('P-256'), newSigner('P-384')];
    expect(nodeCrypto.verifyP256Der(small.spki, message, small.sign(message))).toBe(true);
    expect(nodeCrypto.verifyP384Der(large.spki, message, large.sign(message))).toBe(true);
    expect(nodeCrypto.verifyP384Der(small.spki, message, small.sign(message))).toBe(false);
    expect(nodeCrypto.verifyP256Der(large.spki, message, large.sign(message))).toBe(false);
  });
});
