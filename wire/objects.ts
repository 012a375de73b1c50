// Groups of commits, as an epoch's objects hold them (docs/PROTOCOL.md section 7); its close is in epoch-close.ts.
// They prove nothing by themselves: each commit has a note signed by the epoch's log key. Hostile objects are
// refused with a code.
//
//   group   (u32 length | COMMIT)…, at least one

import { concatBytes, readU32, writeU32 } from './bytes.ts';
import { MAX_LOG_OUT_BYTES } from './limits.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

const LENGTH_BYTES = 4;
/** A group of one commit of the largest size, and another one's worth on top. */
export const MAX_COMMIT_GROUP_BYTES: number = 2 * MAX_LOG_OUT_BYTES;
/** The largest object of a log: an entry bundle or a group. */
export const MAX_OBJECT_BYTES: number = 17 * 1024 * 1024;

/** What a commit adds to a group. */
export function groupedBytes(commitBytes: number): number {
  return LENGTH_BYTES + commitBytes;
}

/** `commits` are COMMIT payloads, one at least; throws a RangeError for more than fits. */
export function encodeCommitGroup(commits: readonly Uint8Array[]): Uint8Array {
  const bytes = commits.reduce((sum, { length }) => sum + groupedBytes(length), 0);
  if (commits.length === 0 || bytes > MAX_COMMIT_GROUP_BYTES) throw new RangeError('commit group');
  return concatBytes(
    ...commits.flatMap((commit) => {
      const head = new Uint8Array(LENGTH_BYTES);
      writeU32(head, 0, commit.length);
      return [head, commit];
    }),
  );
}

/** The COMMIT payloads of a group, as views into `bytes`. Refuses with `message_malformed`. */
export function parseCommitGroup(bytes: Uint8Array): Result<readonly Uint8Array[]> {
  const commits: Uint8Array[] = [];
  let at = 0;
  while (at + LENGTH_BYTES <= bytes.length && bytes.length <= MAX_COMMIT_GROUP_BYTES) {
    const begin = at + LENGTH_BYTES;
    const end = begin + readU32(bytes, at);
    if (end === begin || end > bytes.length) break;
    commits.push(bytes.subarray(begin, end));
    at = end;
  }
  return commits.length > 0 && at === bytes.length
    ? accept(commits)
    : refuse('message_malformed', { message: 'commit group', offset: at });
}
