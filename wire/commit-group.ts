// A numbered object of an epoch's `commits/`: COMMITs that follow one another (docs/PROTOCOL.md 7). Layout
// only; what the commits say is checked by whoever reads them.
//
//   one or more of: u32 length | COMMIT

import { concatBytes } from './bytes.ts';
import { MAX_COMMIT_GROUP_BYTES, MAX_LOG_OUT_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

/** Of the length before each COMMIT. */
export const GROUP_PREFIX_BYTES = 4;

/** The caller keeps to MAX_COMMIT_GROUP_BYTES. */
export function encodeCommitGroup(commits: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    ...commits.flatMap((commit) => {
      const prefix = new Uint8Array(GROUP_PREFIX_BYTES);
      new DataView(prefix.buffer).setUint32(0, commit.length);
      return [prefix, commit];
    }),
  );
}

/** At least one COMMIT, as views into `bytes`, not parsed. Refuses with `commit_group_malformed`. */
export function parseCommitGroup(bytes: Uint8Array): Result<readonly Uint8Array[]> {
  const commits: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (bytes.length <= MAX_COMMIT_GROUP_BYTES && offset + GROUP_PREFIX_BYTES <= bytes.length) {
    const length = view.getUint32(offset);
    const start = offset + GROUP_PREFIX_BYTES;
    if (length === 0 || length > MAX_LOG_OUT_BYTES || start + length > bytes.length) break;
    commits.push(bytes.subarray(start, start + length));
    offset = start + length;
  }
  return offset === bytes.length && commits.length > 0
    ? accept(commits)
    : refuse('commit_group_malformed', { bytes: bytes.length, at: offset });
}
