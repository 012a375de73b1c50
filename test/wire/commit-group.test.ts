import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../../wire/bytes.ts';
import { encodeCommitGroup, parseCommitGroup } from '../../wire/commit-group.ts';
import { MAX_COMMIT_GROUP_BYTES, MAX_LOG_OUT_BYTES } from '../../wire/limits.ts';

function codeOf(bytes: Uint8Array): string {
  const parsed = parseCommitGroup(bytes);
  return parsed.ok ? 'accepted' : parsed.refusal.code;
}

describe('a group of commits', () => {
  it('is what it was made of', () => {
    const commits = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { minLength: 1 });
    fc.assert(
      fc.property(commits, (group) => {
        const parsed = parseCommitGroup(encodeCommitGroup(group));
        expect(parsed.ok ? parsed.value.map(toHex) : null).toEqual(group.map(toHex));
      }),
    );
  });

  it('cut anywhere is refused or ends with a whole commit', () => {
    const group = [Uint8Array.of(1, 2, 3), Uint8Array.of(4), Uint8Array.of(5, 6)];
    const bytes = encodeCommitGroup(group);
    const ends = new Set([7, 12, 18]);
    for (let length = 0; length <= bytes.length; length++) {
      const expected = ends.has(length) ? 'accepted' : 'commit_group_malformed';
      expect(codeOf(bytes.subarray(0, length)), `${length} bytes`).toBe(expected);
    }
  });

  it('has no empty commit, and none beyond the largest', () => {
    expect(codeOf(new Uint8Array(4))).toBe('commit_group_malformed');
    const largest = new Uint8Array(MAX_LOG_OUT_BYTES);
    expect(codeOf(encodeCommitGroup([largest]))).toBe('accepted');
    const prefix = Uint8Array.of(0, 0x80, 0, 1);
    expect(codeOf(concatBytes(prefix, largest, Uint8Array.of(0)))).toBe('commit_group_malformed');
  });

  it('is no larger than its limit', () => {
    const half = (bytes: number): Uint8Array => new Uint8Array(bytes - 4);
    const rest = MAX_COMMIT_GROUP_BYTES - 1024;
    expect(codeOf(encodeCommitGroup([half(1024), half(rest)]))).toBe('accepted');
    expect(codeOf(encodeCommitGroup([half(1025), half(rest)]))).toBe('commit_group_malformed');
  });
});
