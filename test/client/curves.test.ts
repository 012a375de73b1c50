import { generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import type { Curves, Platform } from '../../client/curves.ts';
import { findCurves, randomBytes } from '../../client/curves.ts';

const { subtle } = webcrypto;

/** The platform of this Node, with some of it taken away or changed. */
function platformWith(change: Partial<SubtleCrypto>): Platform {
  const changed = new Proxy(subtle, {
    get: (target, name) => {
      const own = (change as Record<PropertyKey, unknown>)[name];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { getRandomValues: (bytes) => webcrypto.getRandomValues(bytes), subtle: changed };
}

const whole = platformWith({});
const bare: Platform = { getRandomValues: (bytes) => webcrypto.getRandomValues(bytes) };
const notSupported = (): Promise<never> =>
  Promise.reject(Object.assign(new Error('no'), { name: 'NotSupportedError' }));
const withoutCurves = platformWith({ generateKey: notSupported, importKey: notSupported });

const ed25519 = generateKeyPairSync('ed25519');
const signer = new Uint8Array(ed25519.publicKey.export({ format: 'der', type: 'spki' })).slice(-32);
const message = Buffer.from('a result');
const signature = new Uint8Array(sign(null, message, ed25519.privateKey));

async function works(curves: Curves): Promise<void> {
  const privateKey = randomBytes(whole, 32);
  const key = await curves.newKey();
  const shared = await key.agree(nacl.scalarMult.base(privateKey));
  expect(shared).toEqual(nacl.scalarMult(privateKey, key.publicKey));
  expect((await curves.newKey()).publicKey).not.toEqual(key.publicKey);
  const low = await curves.newKey();
  expect(await low.agree(new Uint8Array(32))).toBeNull();
  expect(await (await curves.newKey()).agree(new Uint8Array(31))).toBeNull();
  expect(await curves.verifyEd25519(signer, message, signature)).toBe(true);
  const other = signature.map((byte, at) => (at === 40 ? byte ^ 1 : byte));
  expect(await curves.verifyEd25519(signer, message, other)).toBe(false);
  expect(await curves.verifyEd25519(signer, Buffer.from('another'), signature)).toBe(false);
  expect(await curves.verifyEd25519(signer.slice(1), message, signature)).toBe(false);
  expect(await curves.verifyEd25519(signer, message, signature.slice(1))).toBe(false);
}

describe('curves', () => {
  it.each([
    ['of the platform', whole, ['platform', 'platform']],
    ['of tweetnacl, where there is no WebCrypto', bare, ['tweetnacl', 'tweetnacl']],
    ['of tweetnacl, where WebCrypto does not know them', withoutCurves, ['tweetnacl', 'tweetnacl']],
    [
      'of both, where WebCrypto knows one of them',
      platformWith({ generateKey: notSupported }),
      ['tweetnacl', 'platform'],
    ],
    [
      'of tweetnacl, where the platform accepts any signature',
      platformWith({ verify: () => Promise.resolve(true) }),
      ['platform', 'tweetnacl'],
    ],
    [
      'of tweetnacl, where the platform agrees on something else',
      platformWith({ deriveBits: () => Promise.resolve(new ArrayBuffer(32)) }),
      ['tweetnacl', 'platform'],
    ],
  ] as const)('%s', async (_, platform, [x25519, ed]) => {
    const curves = await findCurves(platform);
    expect([curves.x25519, curves.ed25519]).toEqual([x25519, ed]);
    await works(curves);
  });
});
