// A verified epoch against what this verifier remembers: every head it has seen must lie in the tree, and
// no epoch that it knows may have disappeared. This is what makes cutting off a tail or swapping a log
// visible to somebody who has looked before.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { originOf, parseOrigin } from '../../wire/header.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Checkpoint } from '../../wire/tlog/checkpoint.ts';
import type { MemoryTree } from '../../wire/tlog/merkle.ts';
import type { HeadMemory, SeenHead } from '../heads.ts';

export interface SeenEpoch {
  readonly header: EpochHeader;
  readonly checkpoint: Checkpoint;
  readonly tree: MemoryTree;
  /** The largest head signed beyond the checkpoint. */
  readonly beyond: Checkpoint | null;
  /** The predecessor's tree, when it was there. */
  readonly previousTree: MemoryTree | null;
}

export interface MemoryOptions {
  /** The policy names this very origin: it may be a log's first epoch. */
  readonly pinned: boolean;
  /** The newest epoch that the source has; null when one was asked for by number. */
  readonly newest: number | null;
}

function headsOf(
  crypto: WireCrypto,
  { header, checkpoint }: SeenEpoch,
): { readonly own: SeenHead; readonly previous: SeenHead | null } {
  const { origin, previous, logKey } = header;
  const { size, root } = checkpoint;
  const own = { origin, logKeyHash: crypto.sha256(logKey), size, root };
  if (previous === null) return { own, previous: null };
  const { epoch, logKeyHash } = previous;
  const before = originOf(parseOrigin(origin)?.logId ?? '', epoch);
  return {
    own,
    previous: { origin: before, logKeyHash, size: previous.size, root: previous.root },
  };
}

/** After `memory.check`, so no remembered head is larger than the tree. */
function checkTree(memory: HeadMemory, origin: string, tree: MemoryTree): Result<null> {
  for (const { size, root, seenMs } of memory.heads(origin)) {
    const actual = tree.root(size);
    if (!equalBytes(actual, root)) {
      const [expected, got] = [toHex(root), toHex(actual)];
      return refuse('fork', { origin, size, expected, actual: got, seen_ms: seenMs });
    }
  }
  return accept(null);
}

/** Answers how many remembered heads of this epoch lie in the tree. */
export function checkMemory(
  crypto: WireCrypto,
  memory: HeadMemory,
  seen: SeenEpoch,
  options: MemoryOptions,
): Result<number> {
  const { own, previous } = headsOf(crypto, seen);
  const known = memory.check(own);
  if (!known.ok) return known;
  const consistent = checkTree(memory, own.origin, seen.tree);
  if (!consistent.ok) return consistent;
  const before = previous === null ? accept(null) : memory.check(previous);
  if (!before.ok) return before;
  if (previous !== null && seen.previousTree !== null) {
    const linked = checkTree(memory, previous.origin, seen.previousTree);
    if (!linked.ok) return linked;
  }
  const remembered = memory.heads(own.origin).length;
  const epochs = knownEpochs(memory, own.origin);
  if (previous === null && remembered === 0 && epochs.length > 0 && !options.pinned) {
    return refuse('epoch_without_predecessor', { known_epochs: epochs.length });
  }
  const latest = Math.max(0, ...epochs);
  if (options.newest !== null && latest > options.newest) {
    return refuse('rollback', { what: 'epoch', expected: latest, actual: options.newest });
  }
  return accept(remembered);
}

/** Epochs of the same log in memory. */
function knownEpochs(memory: HeadMemory, origin: string): readonly number[] {
  const logId = parseOrigin(origin)?.logId;
  return memory.origins().flatMap((other) => {
    const parsed = parseOrigin(other);
    return parsed !== null && parsed.logId === logId ? [parsed.epoch] : [];
  });
}

/** After `checkMemory` has passed and the verdict is final. */
export function rememberEpoch(
  crypto: WireCrypto,
  memory: HeadMemory,
  seen: SeenEpoch,
  nowMs: number,
): void {
  const { own, previous } = headsOf(crypto, seen);
  if (previous !== null) memory.remember(previous, nowMs, seen.previousTree !== null);
  memory.remember(own, nowMs, true);
  if (seen.beyond !== null) {
    const { size, root } = seen.beyond;
    memory.remember({ ...own, size, root }, nowMs);
  }
}
