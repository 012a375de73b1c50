import { describe, expect, it } from 'vitest';
import { utf8 } from '../../wire/bytes.ts';
import { encodePublicLeaf, KIND, LABEL, sealLeaf, STREAM } from '../../wire/leaf.ts';
import type { BundleIndex } from '../../wire/log-index.ts';
import { encodeBundleIndex, MAX_INDEX_BYTES, parseBundleIndex } from '../../wire/log-index.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { clientOrderIdOf } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { testBatch } from '../helpers/epoch-builder.ts';

const SALT = new Uint8Array(16).fill(1);
const TIME_NS = BigInt(Date.UTC(2026, 10, 21, 23, 59, 59, 999)) * 1_000_000n;

function leafOf(kind: 0 | 2 | 5, timeNs: bigint, plaintext: Uint8Array): Uint8Array {
  const label = kind === KIND.output ? LABEL.strategy : LABEL.enclave;
  const header = { kind, timeNs, stream: STREAM.enclave, label, sequence: 0, causes: [] };
  return kind === KIND.output
    ? sealLeaf(nodeCrypto, header, SALT, plaintext, new Uint8Array(32)).bytes
    : encodePublicLeaf(nodeCrypto, header, SALT, plaintext).bytes;
}

function indexOf(leaves: readonly Uint8Array[]): { day: string; index: BundleIndex } {
  const { day, bytes } = assertAccepted(encodeBundleIndex(nodeCrypto, 7, 256, leaves));
  return { day, index: assertAccepted(parseBundleIndex(bytes)) };
}

function parses(value: unknown): boolean {
  return parseBundleIndex(utf8(JSON.stringify(value))).ok;
}

describe('index of a bundle', () => {
  it('says what is in it, and only what is public', () => {
    const output = leafOf(KIND.output, TIME_NS + 2n, utf8('a secret signal'));
    const { day, index } = indexOf([
      leafOf(KIND.header, TIME_NS, utf8('header')),
      leafOf(KIND.input, TIME_NS + 1n, testBatch(0, 5n)),
      output,
      leafOf(KIND.input, TIME_NS + 2_000_000n, utf8('not a batch')),
    ]);
    expect(day).toBe('2026-11-21');
    expect(index).toEqual({
      version: 1,
      epoch: 7,
      first: 256,
      last: 259,
      from_ns: TIME_NS.toString(),
      to_ns: (TIME_NS + 2_000_000n).toString(),
      kinds: { 0: 1, 2: 2, 5: 1 },
      outputs: [{ leaf: 258, order: clientOrderIdOf(leafHash(nodeCrypto, output)) }],
      instruments: [1],
    });
  });

  it('is on the day of the first leaf, also at the ends of the calendar', () => {
    expect(indexOf([leafOf(KIND.header, 0n, utf8('x'))]).day).toBe('1970-01-01');
    const next = leafOf(KIND.header, TIME_NS + 1_000_000n, utf8('x'));
    expect(indexOf([next]).day).toBe('2026-11-22');
    expect(indexOf([leafOf(KIND.header, 2n ** 64n - 1n, utf8('x'))]).day).toBe('2554-07-21');
  });

  it('of 256 outputs stays below its limit', () => {
    const leaves = Array.from({ length: 256 }, (_, at) =>
      leafOf(KIND.output, TIME_NS, Uint8Array.of(at)),
    );
    const { bytes } = assertAccepted(encodeBundleIndex(nodeCrypto, 9_999_999_999, 2 ** 52, leaves));
    expect(bytes.length).toBeLessThan(MAX_INDEX_BYTES / 2);
    expect(assertAccepted(parseBundleIndex(bytes)).outputs).toHaveLength(256);
  });

  it('refuses what is not a bundle and what is not an index', () => {
    expect(encodeBundleIndex(nodeCrypto, 1, 0, [Uint8Array.of(1)]).ok).toBe(false);
    expect(encodeBundleIndex(nodeCrypto, 1, 0, []).ok).toBe(false);
    const { index } = indexOf([leafOf(KIND.header, 1n, utf8('x'))]);
    expect(parses(index)).toBe(true);
    expect(parses({ ...index, more: 1 })).toBe(false);
    expect(parses({ ...index, epoch: 0 })).toBe(false);
    expect(parses({ ...index, from_ns: '-1' })).toBe(false);
    expect(parses({ ...index, outputs: [{ leaf: 1, order: 'ts00' }] })).toBe(false);
    expect(parseBundleIndex(utf8('{')).ok).toBe(false);
    expect(parseBundleIndex(new Uint8Array(MAX_INDEX_BYTES + 1)).ok).toBe(false);
  });
});
