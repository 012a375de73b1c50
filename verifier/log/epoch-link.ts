// The chain of epochs: does the epoch that a header names as its predecessor exist as it says? The
// header is attested, so when the predecessor's tree has the named size and root under the named key,
// it is the log that the enclave was shown. The enclave could not tell whether another enclave had made
// it: here its boot document is verified too. A predecessor that is longer was cut: evidence of a rollback.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { PreviousEpoch } from '../../wire/header.ts';
import { originOf } from '../../wire/header.ts';
import type { HandOver } from '../../wire/kms-messages.ts';
import { parseHandOver } from '../../wire/kms-messages.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import type { LogTrust, VerifiedBoot } from '../../wire/log-verification/boot.ts';
import {
  readAttestationLeaf,
  readHeaderLeaf,
  verifyBoot,
} from '../../wire/log-verification/boot.ts';
import type { Refusal, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import type { MemoryTree } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import type { EpochFiles } from './epoch-files.ts';
import { unsafeClaimedSize } from './epoch-files.ts';
import type { UnverifiedTree } from './read-tree.ts';
import { readTree } from './read-tree.ts';

const NONE = new Uint8Array();
/** A map of nine, 1: 1, 2: kind (docs/PROTOCOL.md 4). */
const KIND_AT = 4;

export interface LinkRequest {
  readonly files: EpochFiles;
  readonly logId: string;
  readonly previous: PreviousEpoch;
  /** Of its image nothing is demanded: it may have been an older one. */
  readonly trust: LogTrust;
  /** Outputs of it that the host says were never released. */
  readonly unreleased: readonly number[];
}

export interface LinkedEpoch {
  readonly boot: VerifiedBoot;
  readonly tree: MemoryTree;
  /** The next image, as it was announced there. */
  readonly handOver: HandOver | null;
}

/** The predecessor, or null when its folder is not there. */
export async function verifyLink(
  crypto: WireCrypto,
  request: LinkRequest,
): Promise<Result<LinkedEpoch | null>> {
  const { files, logId, previous } = request;
  const note = await files.checkpoint();
  if (!note.ok || note.value === null) return note.ok ? accept(null) : note;
  const { epoch } = previous;
  const size = unsafeClaimedSize(note.value);
  if (!size.ok) return unlinked(epoch, size.refusal);
  if (size.value < previous.size) {
    return refuse('epoch_link', { epoch, expected: previous.size, actual: size.value });
  }
  // The signature first: a server could go on for ever with a tree of any size.
  const first = await files.leaves(0, Math.min(size.value, TILE_WIDTH));
  if (!first.ok) return first;
  const leafZero = (first.value[0] ?? NONE).slice();
  const header = readHeaderLeaf(crypto, leafZero);
  if (!header.ok) return unlinked(epoch, header.refusal);
  const { logKey, origin } = header.value.header;
  if (!equalBytes(crypto.sha256(logKey), previous.logKeyHash)) {
    return refuse('epoch_link', { epoch, what: 'log key' });
  }
  if (origin !== originOf(logId, epoch)) return refuse('epoch_link', { epoch, what: 'origin' });
  const checkpoint = verifyCheckpoint(crypto, note.value, origin, logKey);
  if (!checkpoint.ok) return unlinked(epoch, checkpoint.refusal);
  const released = new ReleaseCheck(request.unreleased);
  const announced = new HandOverSearch(crypto);
  const wanted = [0, 1, previous.size - 1];
  const read = await readTree(crypto, files, size.value, wanted, {
    onLeaves: (index, leaves) => {
      released.add(index, leaves);
      announced.add(leaves);
    },
  });
  if (!read.ok) return read;
  const { tree, leaves } = read.value;
  // A server may answer twice: the header in use is the one in the tree.
  if (!equalBytes(leaves.get(0) ?? NONE, leafZero)) {
    return refuse('epoch_link', { epoch, what: 'leaf 0' });
  }
  if (!equalBytes(checkpoint.value.root, tree.root())) {
    return refuse('epoch_link', { epoch, cause: 'root_mismatch' });
  }
  const placed = checkHead(read.value, previous);
  if (!placed.ok) return placed;
  const document = readAttestationLeaf(crypto, leaves.get(1) ?? NONE);
  if (!document.ok) return unlinked(epoch, document.refusal);
  const boot = verifyBoot(crypto, leafZero, document.value, request.trust);
  if (!boot.ok) return unlinked(epoch, boot.refusal);
  const { contradicted } = released;
  if (contradicted !== null) {
    return refuse('epoch_link', { epoch, what: 'unreleased', output: contradicted });
  }
  const handOver = announced.result();
  if (!handOver.ok) return unlinked(epoch, handOver.refusal);
  return accept({ boot: boot.value, tree, handOver: handOver.value });
}

/** The head that the later header names is the last one of this tree, and ends as it says. */
function checkHead({ tree, leaves }: UnverifiedTree, previous: PreviousEpoch): Result<null> {
  const { epoch, size } = previous;
  const named = tree.root(size);
  if (!equalBytes(named, previous.root)) {
    const [expected, actual] = [toHex(previous.root), toHex(named)];
    return refuse('epoch_link', { epoch, size, expected, actual });
  }
  if (tree.size > size) return refuse('rollback', { epoch, expected: tree.size, actual: size });
  const last = parseLeaf(leaves.get(size - 1) ?? NONE);
  return (last.ok && last.value.kind === KIND.close) === previous.clean
    ? accept(null)
    : refuse('epoch_link', { epoch, what: 'close' });
}

/** The leaf by which an epoch announces the image of the next one; it is among the last ones. */
class HandOverSearch {
  readonly #crypto: WireCrypto;
  #found: Uint8Array | null = null;

  constructor(crypto: WireCrypto) {
    this.#crypto = crypto;
  }

  add(leaves: readonly Uint8Array[]): void {
    for (const leaf of leaves) {
      // Its kind is the second field of every leaf: all others need not be parsed.
      if (leaf[KIND_AT] === KIND.handOver) this.#found = leaf.slice();
    }
  }

  result(): Result<HandOver | null> {
    if (this.#found === null) return accept(null);
    const leaf = parseLeaf(this.#found);
    if (!leaf.ok) return leaf;
    const opened = openLeaf(this.#crypto, leaf.value, null, null);
    return opened.ok ? parseHandOver(opened.value.plaintext) : opened;
  }
}

/**
 * What the host says was never released are outputs, and nobody reported on them: a report shows that
 * the enclave had released the output. That others were released nothing shows.
 */
class ReleaseCheck {
  readonly #unreleased: ReadonlySet<number>;
  readonly #outputs = new Set<number>();
  #reported: number | null = null;

  constructor(unreleased: readonly number[]) {
    this.#unreleased = new Set(unreleased);
  }

  add(firstIndex: number, leaves: readonly Uint8Array[]): void {
    if (this.#unreleased.size === 0) return;
    for (const [at, bytes] of leaves.entries()) {
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) continue;
      const { kind, causes } = leaf.value;
      const [cause = -1] = causes;
      if (kind === KIND.output) this.#outputs.add(firstIndex + at);
      else if (kind === KIND.report && this.#unreleased.has(cause)) this.#reported ??= cause;
    }
  }

  /** The first output that the list is wrong about. */
  get contradicted(): number | null {
    const other = [...this.#unreleased].find((output) => !this.#outputs.has(output));
    return this.#reported ?? other ?? null;
  }
}

function unlinked(epoch: number, { code, detail }: Refusal): Result<never> {
  return refuse('epoch_link', { ...detail, epoch, cause: code });
}
