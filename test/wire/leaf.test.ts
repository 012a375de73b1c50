import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import type { Leaf, LeafHeader } from '../../wire/leaf.ts';
import {
  KIND,
  LABEL,
  STREAM,
  encodePublicLeaf,
  leafKey,
  parseLeaf,
  sealLeaf,
} from '../../wire/leaf.ts';
import { blobOf, openLeaf } from '../../wire/open-leaf.ts';
import { INLINE_SIZE_CLASSES, MAX_CAUSES, MAX_LEAF_BYTES } from '../../wire/limits.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';

const HEADER: LeafHeader = {
  kind: KIND.output,
  timeNs: 1_723_161_254_024_619_568n,
  stream: STREAM.firstStrategy,
  label: LABEL.strategy,
  sequence: 7,
  causes: [2, 5],
};
const SALT = new Uint8Array(16).fill(7);
const KEY = new Uint8Array(32).fill(9);

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

function leafOf(bytes: Uint8Array): Leaf {
  return assertAccepted(parseLeaf(bytes));
}

/** The leaf with one field replaced, or removed with `undefined`. */
function withField(bytes: Uint8Array, field: number, value: CborValue | undefined): Uint8Array {
  const map = new Map(
    assertAccepted(parseCbor(bytes, { maxBytes: 1 << 20 })) as Map<number, CborValue>,
  );
  if (value === undefined) map.delete(field);
  else map.set(field, value);
  return encodeCbor(map);
}

describe('a public leaf', () => {
  it('gives back what was put in', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (plaintext) => {
        const { bytes, blob } = encodePublicLeaf(nodeCrypto, HEADER, SALT, plaintext);
        const leaf = leafOf(bytes);
        expect(leaf).toMatchObject(HEADER);
        expect(assertAccepted(openLeaf(nodeCrypto, leaf, null, blob)).plaintext).toEqual(plaintext);
      }),
    );
  });

  it('moves a large payload into a blob and keeps the leaf small', () => {
    const inline = encodePublicLeaf(nodeCrypto, HEADER, SALT, new Uint8Array(60_416));
    expect(inline.blob).toBeNull();
    expect(inline.bytes.length).toBeLessThanOrEqual(MAX_LEAF_BYTES);
    const outside = encodePublicLeaf(nodeCrypto, HEADER, SALT, new Uint8Array(60_417));
    expect(outside.blob?.length).toBe(60_417);
    const leaf = leafOf(outside.bytes);
    expect(codeOf(openLeaf(nodeCrypto, leaf, null, null))).toBe('blob_missing');
    const other = new Uint8Array(60_417).fill(1);
    expect(codeOf(openLeaf(nodeCrypto, leaf, null, other))).toBe('blob_mismatch');
    expect(openLeaf(nodeCrypto, leaf, null, outside.blob).ok).toBe(true);
  });

  it('with any byte flipped shows another leaf, or is refused', () => {
    const { bytes } = encodePublicLeaf(nodeCrypto, HEADER, SALT, Uint8Array.of(1, 2, 3));
    const original = leafOf(bytes);
    const unnoticed = Array.from(bytes, (byte, offset) => bytes.with(offset, byte ^ 1)).filter(
      (flipped) => {
        const parsed = parseLeaf(flipped);
        if (!parsed.ok || !openLeaf(nodeCrypto, parsed.value, null, null).ok) return false;
        // What still opens differs in the header, which the tree's hash covers.
        return isDeepStrictEqual(parsed.value, original);
      },
    );
    expect(unnoticed).toEqual([]);
  });
});

describe('a private leaf', () => {
  it('opens with its key only, at every size class', () => {
    for (const size of [...INLINE_SIZE_CLASSES, 65_520]) {
      for (const length of [size - 20, size - 21]) {
        const plaintext = new Uint8Array(length).fill(3);
        const { bytes, blob } = sealLeaf(nodeCrypto, HEADER, SALT, plaintext, KEY);
        const leaf = leafOf(bytes);
        expect(blob === null).toBe(size !== 65_520);
        expect(blobOf(leaf)?.bytes ?? null).toBe(blob?.length ?? null);
        const opened = assertAccepted(openLeaf(nodeCrypto, leaf, KEY, blob));
        expect(Buffer.from(opened.plaintext).equals(plaintext)).toBe(true);
        const wrong = KEY.with(0, 8);
        expect(codeOf(openLeaf(nodeCrypto, leaf, wrong, blob))).toBe('leaf_key_wrong');
        expect(codeOf(openLeaf(nodeCrypto, leaf, null, blob))).toBe('leaf_key_wrong');
      }
    }
  });

  it('shows only its size class', () => {
    const lengths = [0, 1, 100, 236].map(
      (length) => sealLeaf(nodeCrypto, HEADER, SALT, new Uint8Array(length), KEY).bytes.length,
    );
    expect(new Set(lengths).size).toBe(1);
    const next = sealLeaf(nodeCrypto, HEADER, SALT, new Uint8Array(237), KEY).bytes.length;
    expect(next).toBeGreaterThan(lengths[0] ?? 0);
  });

  it('is bound to its header: a sealed body does not open under another one', () => {
    const { bytes } = sealLeaf(nodeCrypto, HEADER, SALT, Uint8Array.of(1), KEY);
    const moved = leafOf(withField(bytes, 6, 8));
    expect(codeOf(openLeaf(nodeCrypto, moved, KEY, null))).toBe('leaf_key_wrong');
  });

  it('refuses padding that is not zero or larger than needed', () => {
    const honest = leafOf(sealLeaf(nodeCrypto, HEADER, SALT, Uint8Array.of(1), KEY).bytes);
    const header = new Map<number, CborValue>([
      [1, 1],
      [2, HEADER.kind],
      [3, HEADER.timeNs],
      [4, HEADER.stream],
      [5, HEADER.label],
      [6, HEADER.sequence],
      [7, HEADER.causes],
      [8, honest.digest],
    ]);
    const seal = (padded: Uint8Array): Leaf => ({
      ...honest,
      body: {
        form: 'private',
        sealed: nodeCrypto.aes256GcmSeal(KEY, new Uint8Array(12), padded, encodeCbor(header)),
      },
    });
    const padded = new Uint8Array(256);
    padded.set(SALT);
    padded.set([0, 0, 0, 1, 1], 16);
    expect(openLeaf(nodeCrypto, seal(padded), KEY, null).ok).toBe(true);
    const dirty = padded.with(255, 1);
    expect(codeOf(openLeaf(nodeCrypto, seal(dirty), KEY, null))).toBe('leaf_padding');
    const wide = new Uint8Array(512);
    wide.set(padded);
    expect(codeOf(openLeaf(nodeCrypto, seal(wide), KEY, null))).toBe('leaf_padding');
    const long = padded.with(16, 255);
    expect(codeOf(openLeaf(nodeCrypto, seal(long), KEY, null))).toBe('leaf_padding');
  });

  it('commits to one plaintext: another salt inside is a digest mismatch', () => {
    const leaf = leafOf(sealLeaf(nodeCrypto, HEADER, SALT, Uint8Array.of(1), KEY).bytes);
    const other = leafOf(
      withField(
        encodePublicLeaf(nodeCrypto, HEADER, SALT, Uint8Array.of(1)).bytes,
        8,
        new Uint8Array(32),
      ),
    );
    expect(codeOf(openLeaf(nodeCrypto, other, null, null))).toBe('leaf_digest_mismatch');
    expect(openLeaf(nodeCrypto, leaf, KEY, null).ok).toBe(true);
  });
});

describe('leafKey', () => {
  it('differs by index, origin and disclosure key', () => {
    const keys = [
      leafKey(nodeCrypto, KEY, 'log/e0000000001', 0),
      leafKey(nodeCrypto, KEY, 'log/e0000000001', 1),
      leafKey(nodeCrypto, KEY, 'log/e0000000002', 0),
      leafKey(nodeCrypto, KEY.with(0, 1), 'log/e0000000001', 0),
    ].map((key) => Buffer.from(key).toString('hex'));
    expect(new Set(keys).size).toBe(4);
  });
});

describe('parseLeaf', () => {
  const { bytes } = encodePublicLeaf(nodeCrypto, HEADER, SALT, Uint8Array.of(1));
  const zeros = new Uint8Array(32);
  it.each<[string, number, CborValue | undefined, string]>([
    ['another version', 1, 2, 'leaf_malformed'],
    ['a kind that does not exist', 2, 16, 'leaf_kind_unknown'],
    ['a negative time', 3, -1, 'leaf_malformed'],
    ['a stream beyond the last', 4, 2004, 'leaf_malformed'],
    ['an unknown label', 5, 4, 'leaf_malformed'],
    ['no sequence', 6, undefined, 'leaf_malformed'],
    ['causes that repeat', 7, [2, 2], 'leaf_malformed'],
    ['causes out of order', 7, [5, 2], 'leaf_malformed'],
    ['a short digest', 8, zeros.subarray(1), 'leaf_malformed'],
    ['an unknown body', 9, [4, zeros], 'leaf_malformed'],
    ['a body with more items', 9, [0, SALT, zeros, 0], 'leaf_malformed'],
    ['a body with a short salt', 9, [0, SALT.subarray(1), zeros], 'leaf_malformed'],
    ['a sealed body of no size class', 9, [1, new Uint8Array(271)], 'leaf_malformed'],
    ['a blob of no bytes', 9, [2, SALT, zeros, 0], 'leaf_malformed'],
    ['a blob of more than 1 MiB', 9, [2, SALT, zeros, 1_048_577], 'leaf_malformed'],
    ['a private blob of no size class', 9, [3, zeros, 65_535], 'leaf_malformed'],
    ['a field more', 10, 0, 'leaf_malformed'],
  ])('refuses %s', (_, field, value, code) => {
    expect(codeOf(parseLeaf(withField(bytes, field, value)))).toBe(code);
  });

  it.each([
    [MAX_CAUSES, 'accepted'],
    [MAX_CAUSES + 1, 'leaf_malformed'],
  ])('takes at most 64 causes: %i', (count, code) => {
    const causes = Array.from({ length: count }, (_, index) => index);
    expect(codeOf(parseLeaf(withField(bytes, 7, causes)))).toBe(code);
  });

  it('refuses a leaf of more than 60 KiB', () => {
    const large = withField(bytes, 9, [0, SALT, new Uint8Array(MAX_LEAF_BYTES)]);
    expect(codeOf(parseLeaf(large))).toBe('cbor_limit');
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(typeof parseLeaf(noise).ok).toBe('boolean');
      }),
      { numRuns: 1000 },
    );
  });
});
