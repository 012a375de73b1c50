// The chain of epochs: does the epoch that a header names as its predecessor exist as it says? The
// header is attested, so when the predecessor's tree has the named size and root under the named key,
// it is the log that the enclave was shown. A predecessor that is longer was cut: evidence of a rollback.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { PreviousEpoch } from '../../wire/header.ts';
import { originOf } from '../../wire/header.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { readHeaderLeaf } from '../../wire/log-verification/boot.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import type { MemoryTree } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import type { EpochFiles } from './epoch-files.ts';
import { unsafeClaimedSize } from './epoch-files.ts';
import { readTree } from './read-tree.ts';

/** The predecessor's tree, or null when its folder is not there. */
export async function verifyLink(
  crypto: WireCrypto,
  files: EpochFiles,
  logId: string,
  previous: PreviousEpoch,
): Promise<Result<MemoryTree | null>> {
  const note = await files.checkpoint();
  if (!note.ok || note.value === null) return note.ok ? accept(null) : note;
  const { epoch } = previous;
  const size = unsafeClaimedSize(note.value);
  if (!size.ok) return refuse('epoch_link', { epoch, cause: size.refusal.code });
  if (size.value < previous.size) {
    return refuse('epoch_link', { epoch, expected: previous.size, actual: size.value });
  }
  // The signature first: a server could go on for ever with a tree of any size.
  const first = await files.leaves(0, Math.min(size.value, TILE_WIDTH));
  if (!first.ok) return first;
  const header = readHeaderLeaf(crypto, first.value[0] ?? new Uint8Array());
  if (!header.ok) return refuse('epoch_link', { epoch, cause: header.refusal.code });
  const { logKey, origin } = header.value.header;
  if (!equalBytes(crypto.sha256(logKey), previous.logKeyHash)) {
    return refuse('epoch_link', { epoch, what: 'log key' });
  }
  if (origin !== originOf(logId, epoch)) return refuse('epoch_link', { epoch, what: 'origin' });
  const checkpoint = verifyCheckpoint(crypto, note.value, origin, logKey);
  if (!checkpoint.ok) return refuse('epoch_link', { epoch, cause: checkpoint.refusal.code });
  const lastIndex = previous.size - 1;
  const read = await readTree(crypto, files, size.value, [lastIndex]);
  if (!read.ok) return read;
  const { tree, leaves } = read.value;
  if (!equalBytes(checkpoint.value.root, tree.root())) {
    return refuse('epoch_link', { epoch, cause: 'root_mismatch' });
  }
  const named = tree.root(previous.size);
  if (!equalBytes(named, previous.root)) {
    const [expected, actual] = [toHex(previous.root), toHex(named)];
    return refuse('epoch_link', { epoch, size: previous.size, expected, actual });
  }
  if (size.value > previous.size) {
    return refuse('rollback', { epoch, expected: size.value, actual: previous.size });
  }
  const last = parseLeaf(leaves.get(lastIndex) ?? new Uint8Array());
  if ((last.ok && last.value.kind === KIND.close) !== previous.clean) {
    return refuse('epoch_link', { epoch, what: 'close' });
  }
  return accept(tree);
}
