import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { wrapDisclosureKey } from '../../wire/disclosure.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';

function raw(text: string | undefined): Uint8Array {
  return Buffer.from(text ?? '', 'base64url');
}

function keyPair(): { privateKey: Uint8Array; publicKey: Uint8Array } {
  const pair = generateKeyPairSync('x25519');
  const jwk = pair.privateKey.export({ format: 'jwk' });
  return { privateKey: raw(jwk.d), publicKey: raw(jwk.x) };
}

const ORIGIN = 'log.example/e0000000001';
const KEY = new Uint8Array(32).fill(5);

describe('the disclosure key', () => {
  const compliance = keyPair();
  const wrapped = assertAccepted(
    wrapDisclosureKey(nodeCrypto, KEY, compliance.publicKey, keyPair(), ORIGIN),
  );

  it('opens with the private key of compliance', () => {
    expect(wrapped.length).toBe(80);
    expect(assertAccepted(unwrapDisclosureKey(nodeCrypto, wrapped, compliance, ORIGIN))).toEqual(
      KEY,
    );
  });

  it('does not open with another key, for another origin, or with any byte flipped', () => {
    const refused = { ok: false, refusal: { code: 'disclosure_key_wrong' } };
    expect(unwrapDisclosureKey(nodeCrypto, wrapped, keyPair(), ORIGIN)).toMatchObject(refused);
    expect(unwrapDisclosureKey(nodeCrypto, wrapped, compliance, `${ORIGIN}0`)).toMatchObject(
      refused,
    );
    for (let offset = 0; offset < wrapped.length; offset++) {
      const flipped = wrapped.with(offset, (wrapped[offset] ?? 0) ^ 1);
      expect(unwrapDisclosureKey(nodeCrypto, flipped, compliance, ORIGIN)).toMatchObject(refused);
    }
  });

  it('is never wrapped to a point of low order', () => {
    expect(wrapDisclosureKey(nodeCrypto, KEY, new Uint8Array(32), keyPair(), ORIGIN)).toMatchObject(
      { ok: false, refusal: { code: 'config_invalid' } },
    );
  });
});
