import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LOG_OUT_BYTES } from '../../wire/limits.ts';
import { encodeCommitGroup, MAX_COMMIT_GROUP_BYTES, parseCommitGroup } from '../../wire/objects.ts';
import { encodeEpochClose, parseEpochClose } from '../../wire/epoch-close.ts';
import { assertAccepted } from '../../wire/result.ts';

const commits = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), {
  minLength: 1,
  maxLength: 6,
});

describe('groups of commits', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(commits, (payloads) => {
        expect(assertAccepted(parseCommitGroup(encodeCommitGroup(payloads)))).toEqual(payloads);
      }),
    );
  });

  it('are refused when cut anywhere but behind a commit, and with bytes behind the last one', () => {
    const payloads = [Uint8Array.of(1, 2, 3), Uint8Array.of(4), new Uint8Array(300).fill(5)];
    const bytes = encodeCommitGroup(payloads);
    const whole = new Set([7, 12, bytes.length]);
    for (let length = 0; length <= bytes.length; length++) {
      expect([length, parseCommitGroup(bytes.subarray(0, length)).ok]).toEqual([
        length,
        whole.has(length),
      ]);
    }
    expect(parseCommitGroup(new Uint8Array([...bytes, 0]))).toMatchObject({
      refusal: { code: 'message_malformed', detail: { offset: bytes.length } },
    });
    // A commit of no bytes is none.
    expect(parseCommitGroup(new Uint8Array(4)).ok).toBe(false);
  });

  it('hold as much as they may, and not a byte more', () => {
    const half = MAX_COMMIT_GROUP_BYTES / 2;
    expect(half).toBe(MAX_LOG_OUT_BYTES);
    const fits = [new Uint8Array(half - 4), new Uint8Array(half - 4)];
    const bytes = encodeCommitGroup(fits);
    expect(bytes.length).toBe(MAX_COMMIT_GROUP_BYTES);
    expect(assertAccepted(parseCommitGroup(bytes)).map(({ length }) => length)).toEqual([
      half - 4,
      half - 4,
    ]);
    expect(() => encodeCommitGroup([new Uint8Array(half - 3), new Uint8Array(half - 4)])).toThrow(
      RangeError,
    );
    expect(() => encodeCommitGroup([])).toThrow(RangeError);
    const larger = new Uint8Array(MAX_COMMIT_GROUP_BYTES + 5);
    larger.set(bytes);
    larger.set([0, 0, 0, 1, 7], MAX_COMMIT_GROUP_BYTES);
    expect(parseCommitGroup(larger).ok).toBe(false);
  });
});

const close = {
  note: Uint8Array.of(1),
  lastLeaf: Uint8Array.of(2, 3),
  proof: [new Uint8Array(32).fill(4), new Uint8Array(32).fill(5)],
};

const proofOf = (hashes: number, bytes: number): Uint8Array =>
  encodeEpochClose({
    ...close,
    proof: Array.from({ length: hashes }, () => new Uint8Array(bytes)),
  });

describe('the close of an epoch', () => {
  it('comes back as it was', () => {
    expect(assertAccepted(parseEpochClose(encodeEpochClose(close)))).toEqual(close);
    const single = { ...close, proof: [] };
    expect(assertAccepted(parseEpochClose(encodeEpochClose(single)))).toEqual(single);
  });

  it('has a proof of at most 63 hashes of 32 bytes', () => {
    expect(parseEpochClose(proofOf(63, 32)).ok).toBe(true);
    expect(parseEpochClose(proofOf(64, 32)).ok).toBe(false);
    expect(parseEpochClose(proofOf(1, 31)).ok).toBe(false);
    expect(parseEpochClose(proofOf(1, 33)).ok).toBe(false);
  });
});
