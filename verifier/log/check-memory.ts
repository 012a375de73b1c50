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
  /** Nobody asked for this epoch by its number: it is offered as the newest. */
  readonly newest: boolean;
}

export interface Remembrance {
  /** Remembered heads of this epoch; all lie in its tree. */
  readonly heads: number;
  /** Earlier epochs are remembered, and nothing here leads to them. */
  readonly unlinked: boolean;
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

export function checkMemory(
  crypto: WireCrypto,
  memory: HeadMemory,
  seen: SeenEpoch,
  options: MemoryOptions,
): Result<Remembrance> {
  const { own, previous } = headsOf(crypto, seen);
  const agrees = memory.check(own);
  if (!agrees.ok) return agrees;
  const consistent = checkTree(memory, own.origin, seen.tree);
  if (!consistent.ok) return consistent;
  const before = previous === null ? accept(null) : memory.check(previous);
  if (!before.ok) return before;
  if (previous !== null && seen.previousTree !== null) {
    const linked = checkTree(memory, previous.origin, seen.previousTree);
    if (!linked.ok) return linked;
  }
  const remembered = memory.heads(own.origin).length;
  const epochs = memory.epochs(own.origin);
  if (previous === null && remembered === 0 && epochs.length > 0 && !options.pinned) {
    return refuse('epoch_without_predecessor', { known_epochs: epochs.length });
  }
  const newest = options.newest ? memory.checkNewest(own.origin) : accept(null);
  if (!newest.ok) return newest;
  const { epoch } = seen.header;
  const known = epochs.some((other) => other < epoch);
  const unlinked = known && previous !== null && memory.heads(previous.origin).length === 0;
  return accept({ heads: remembered, unlinked });
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
