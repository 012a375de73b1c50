import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Purpose, UserData } from '../../../wire/attestation/user-data.ts';
import { encodeUserData, PURPOSE } from '../../../wire/attestation/user-data.ts';
import { parseUserData, purposeName } from '../../../wire/attestation/parse-user-data.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../../wire/cbor.ts';
import { assertAccepted } from '../../../wire/result.ts';

const hash = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

const full: UserData = {
  purpose: PURPOSE.challenge,
  origin: `${'o'.repeat(84)}/e0000000001`,
  head: { size: Number.MAX_SAFE_INTEGER, root: hash(1) },
  leafZeroHash: hash(2),
  x25519Key: hash(3),
  tlsKeyHash: hash(4),
  ed25519Key: hash(5),
  configDigest: hash(6),
};

const empty: UserData = {
  purpose: PURPOSE.boot,
  origin: 'log/e0000000001',
  head: null,
  leafZeroHash: null,
  x25519Key: null,
  tlsKeyHash: null,
  ed25519Key: null,
  configDigest: null,
};

const hashOrNull = fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }));
const anyUserData: fc.Arbitrary<UserData> = fc.record({
  purpose: fc.constantFrom<Purpose>(...Object.values(PURPOSE)),
  origin: fc.stringMatching(/^[!-~]{1,96}$/u),
  head: fc.option(
    fc.record({
      size: fc.maxSafeNat(),
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    }),
  ),
  leafZeroHash: hashOrNull,
  x25519Key: hashOrNull,
  tlsKeyHash: hashOrNull,
  ed25519Key: hashOrNull,
  configDigest: hashOrNull,
});

function changed(key: number, value: CborValue | undefined): Uint8Array {
  const decoded = assertAccepted(parseCbor(encodeUserData(empty), { maxBytes: 512 }));
  const map = new Map(decoded as ReadonlyMap<number, CborValue>);
  if (value === undefined) map.delete(key);
  else map.set(key, value);
  return encodeCbor(map);
}

describe('user data', () => {
  it('has these bytes', () => {
    expect(toHex(encodeUserData(empty))).toBe(
      `a901010201036f${toHex(Buffer.from('log/e0000000001'))}04f605f606f607f608f609f6`,
    );
    expect(toHex(encodeUserData({ ...empty, head: { size: 1, root: hash(7) } }))).toContain(
      `0482015820${'07'.repeat(32)}05f6`,
    );
  });

  it('fits into 512 bytes with the longest origin and everything in it', () => {
    expect(full.origin).toHaveLength(96);
    expect(encodeUserData(full).length).toBeLessThanOrEqual(330);
    expect(assertAccepted(parseUserData(encodeUserData(full)))).toEqual(full);
  });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(anyUserData, (userData) => {
        expect(assertAccepted(parseUserData(encodeUserData(userData)))).toEqual(userData);
      }),
    );
  });

  it.each<[string, number, CborValue | undefined]>([
    ['version 2', 1, 2],
    ['purpose 0', 2, 0],
    ['purpose 5', 2, 5],
    ['purpose as text', 2, 'boot'],
    ['an empty origin', 3, ''],
    ['an origin of 97 characters', 3, 'o'.repeat(97)],
    ['an origin with a line break', 3, 'log\n/e0000000001'],
    ['an origin with an escape', 3, 'log\u001b[2J'],
    ['a head of one', 4, [1]],
    ['a head of three', 4, [1, hash(1), 0]],
    ['a head of negative size', 4, [-1, hash(1)]],
    ['a head with a short root', 4, [1, new Uint8Array(31)]],
    ['a head above 2^53', 4, [2n ** 53n, hash(1)]],
    ['a short hash', 5, new Uint8Array(31)],
    ['a long key', 6, new Uint8Array(33)],
    ['a missing field', 9, undefined],
    ['an unknown field', 10, null],
  ])('with %s is refused', (_, key, value) => {
    const parsed = parseUserData(changed(key, value));
    expect(parsed.ok ? null : parsed.refusal.code).toBe('user_data_malformed');
  });

  it('that is empty, cut, or not ours is refused, never thrown at', () => {
    const bytes = encodeUserData(full);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseUserData(bytes.subarray(0, length)).ok).toBe(false);
    }
    expect(parseUserData(Buffer.from('{"job_id":1}')).ok).toBe(false);
  });

  it('names its purpose', () => {
    expect(Object.values(PURPOSE).map(purposeName)).toEqual(Object.keys(PURPOSE));
  });
});
