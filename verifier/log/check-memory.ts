// A verified epoch against what this verifier remembers: every head it has seen must lie in the tree, and
// no epoch that it knows may have disappeared. This is what makes cutting off a tail or swapping a log
// visible to somebody who has looked before.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { EpochHeader, PreviousEpoch } from '../../wire/header.ts';
import { originOf, parseOrigin } from '../../wire/header.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Checkpoint } from '../../wire/tlog/checkpoint.ts';
import type { MemoryTree } from '../../wire/tlog/merkle.ts';
import type { HeadMemory, SeenHead } from '../heads.ts';
import type { LinkedEpoch } from './epoch-link.ts';

/** An epoch that the header of the one after it names. */
export interface EarlierEpoch {
  readonly previous: PreviousEpoch;
  /** Null when its folder is not there. */
  readonly linked: LinkedEpoch | null;
}

export interface SeenEpoch {
  readonly header: EpochHeader;
  readonly checkpoint: Checkpoint;
  readonly tree: MemoryTree;
  /** The largest head signed beyond the checkpoint. */
  readonly beyond: Checkpoint | null;
  /** The epochs before it, the latest first, as far as they were followed. */
  readonly chain: readonly EarlierEpoch[];
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

/** Origin of another epoch of the same log. */
export function siblingOrigin(origin: string, epoch: number): string {
  return originOf(parseOrigin(origin)?.logId ?? '', epoch);
}

function ownHead(crypto: WireCrypto, { header, checkpoint }: SeenEpoch): SeenHead {
  const { size, root } = checkpoint;
  return { origin: header.origin, logKeyHash: crypto.sha256(header.logKey), size, root };
}

function earlierHead(origin: string, { epoch, logKeyHash, size, root }: PreviousEpoch): SeenHead {
  return { origin: siblingOrigin(origin, epoch), logKeyHash, size, root };
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
  const own = ownHead(crypto, seen);
  const agrees = memory.check(own);
  if (!agrees.ok) return agrees;
  const consistent = checkTree(memory, own.origin, seen.tree);
  if (!consistent.ok) return consistent;
  for (const { previous, linked } of seen.chain) {
    const head = earlierHead(own.origin, previous);
    const named = memory.check(head);
    if (!named.ok) return named;
    const inTree = linked === null ? accept(null) : checkTree(memory, head.origin, linked.tree);
    if (!inTree.ok) return inTree;
  }
  const newest = options.newest ? memory.checkNewest(own.origin) : accept(null);
  if (!newest.ok) return newest;
  const remembered = memory.heads(own.origin).length;
  const epochs = memory.epochs(own.origin);
  const first = seen.header.previous === null;
  if (first && remembered === 0 && epochs.length > 0 && !options.pinned) {
    return refuse('epoch_without_predecessor', { known_epochs: epochs.length });
  }
  const last = seen.chain.at(-1)?.previous.epoch ?? null;
  return accept({
    heads: remembered,
    unlinked: last !== null && isUnlinked(memory, own.origin, last),
  });
}

/** Epochs before `epoch` are remembered, but not that one: what leads to them is worth following. */
export function isUnlinked(memory: HeadMemory, origin: string, epoch: number): boolean {
  const known = memory.epochs(origin).some((other) => other < epoch);
  return known && memory.heads(siblingOrigin(origin, epoch)).length === 0;
}

/** After `checkMemory` has passed and the verdict is final. */
export function rememberEpoch(
  crypto: WireCrypto,
  memory: HeadMemory,
  seen: SeenEpoch,
  nowMs: number,
): void {
  const own = ownHead(crypto, seen);
  for (const { previous, linked } of seen.chain) {
    memory.remember(earlierHead(own.origin, previous), nowMs, linked !== null);
  }
  memory.remember(own, nowMs, true);
  if (seen.beyond !== null) {
    const { size, root } = seen.beyond;
    memory.remember({ ...own, size, root }, nowMs);
  }
}
