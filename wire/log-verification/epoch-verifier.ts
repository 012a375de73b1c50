// Verifies a whole epoch, fed leaf by leaf in order, so that a log of any length needs little memory
// beside its hashes. Trusts the pinned root and the policy in `trust`; leaves, blobs and notes are
// hostile until the attested key has signed the root above them. The first thing that is wrong is
// refused, with its index; a verifier that has refused must not be used further.

import type { HandOver } from '../kms-frames.ts';
import { parseHandOver } from '../kms-frames.ts';
import { equalBytes, toHex } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { BatchMemory, parseBatch } from '../batch.ts';
import type { Kind, Leaf } from '../leaf.ts';
import { KIND, parseLeaf } from '../leaf.ts';
import { blobOf, checkBlob, openLeaf } from '../open-leaf.ts';
import type { CloseReason, Gap } from '../enclave-payloads.ts';
import {
  CLOSE_REASON,
  parseClose,
  parseGap,
  parseHeartbeat,
  parseRecovery,
  parseStrategyEvent,
} from '../payloads.ts';
import type { Refusal, Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { Checkpoint } from '../tlog/checkpoint.ts';
import { verifyCheckpoint } from '../tlog/checkpoint.ts';
import { MemoryTree, leafHash } from '../tlog/merkle.ts';
import { Anchors } from './anchors.ts';
import type { AnchorFacts } from './anchors.ts';
import type { LogTrust, VerifiedBoot } from './boot.ts';
import { readAttestationLeaf, verifyBoot } from './boot.ts';
import { FeedTimes } from './feed-times.ts';
import type { FeedFacts } from './feed-times.ts';
import { InputOrder } from './input-order.ts';
import { LeafRules } from './leaf-rules.ts';
import type { PrivateKeys } from './private-leaves.ts';
import { PrivateLeaves } from './private-leaves.ts';
import { StrategyOrder } from './strategy-order.ts';
import { VenueGaps } from './venue-gaps.ts';

/** A leaf whose layout holds; nothing more is known of it. */
export interface ParsedEntry {
  readonly bytes: Uint8Array;
  readonly leaf: Leaf;
  readonly hash: Uint8Array;
  /** SHA-256, hex, of the blob that it names. */
  readonly blobHash: string | null;
}

export interface LoggedGap extends Gap {
  readonly index: number;
  readonly stream: number;
  readonly timeNs: bigint;
}

export interface LoggedHandOver extends HandOver {
  readonly index: number;
}

export interface EpochFacts {
  readonly boot: VerifiedBoot;
  readonly checkpoint: Checkpoint;
  readonly counts: ReadonlyMap<Kind, number>;
  /** Rows of all batches. */
  readonly rows: number;
  /** The first 100. */
  readonly gaps: readonly LoggedGap[];
  readonly gapTotals: ReadonlyMap<number, number>;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** Null without a close leaf: the epoch still runs or ended uncleanly. */
  readonly closeReason: CloseReason | null;
  readonly anchors: AnchorFacts;
  readonly feed: FeedFacts;
  /** The next image, as the host has announced it in this log. */
  readonly handOver: LoggedHandOver | null;
  /** Outputs of the epoch before that, as its host says, were never released. */
  readonly unreleased: readonly number[];
  /** Null without compliance's key. */
  readonly privateOpened: number | null;
  readonly blobs: number;
}

const MAX_LISTED_GAPS = 100;

/** All that is known once header and attestation have verified. */
interface Epoch {
  readonly boot: VerifiedBoot;
  readonly rules: LeafRules;
  readonly anchors: Anchors;
  readonly privateLeaves: PrivateLeaves | null;
  readonly instruments: ReadonlySet<number>;
  readonly venueGaps: VenueGaps;
  readonly feed: FeedTimes;
}

export class EpochVerifier {
  readonly tree: MemoryTree;
  readonly #crypto: WireCrypto;
  readonly #trust: LogTrust;
  readonly #keys: PrivateKeys | null;
  readonly #inputs = new InputOrder();
  readonly #strategies = new StrategyOrder();
  readonly #sequences = new Map<number, number>();
  readonly #counts = new Map<Kind, number>();
  readonly #gaps: LoggedGap[] = [];
  readonly #gapTotals = new Map<number, number>();
  #epoch: Epoch | null = null;
  #leafZero: ParsedEntry | null = null;
  readonly #memory = new BatchMemory();
  #firstNs = 0n;
  #lastNs = 0n;
  #acknowledged = 0;
  #rows = 0;
  #blobs = 0;
  #closeReason: CloseReason | null = null;
  #unreleased: readonly number[] | null = null;
  #handOver: LoggedHandOver | null = null;

  constructor(crypto: WireCrypto, trust: LogTrust, keys: PrivateKeys | null = null) {
    this.#crypto = crypto;
    this.#trust = trust;
    this.#keys = keys;
    this.tree = new MemoryTree(crypto);
  }

  /** Header, configuration and attestation, once leaves 0 and 1 are in. */
  get boot(): VerifiedBoot | null {
    return this.#epoch?.boot ?? null;
  }

  /** Leaf keys, for whoever gave compliance's key. */
  get privateLeaves(): PrivateLeaves | null {
    return this.#epoch?.privateLeaves ?? null;
  }

  /** The kind of a leaf that was added; null beyond them. */
  kindOf(index: number): Kind | null {
    return this.#epoch?.rules.kindOf(index) ?? null;
  }

  /** The layouts of the next leaves, to see which blobs `add` will want. `hashes`: if known. */
  parse(
    entries: readonly Uint8Array[],
    hashes: readonly Uint8Array[] = [],
  ): Result<readonly ParsedEntry[]> {
    const parsed: ParsedEntry[] = [];
    for (const [position, bytes] of entries.entries()) {
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) return at(this.tree.size + position, leaf.refusal);
      const hash = hashes[position] ?? leafHash(this.#crypto, bytes);
      const blob = blobOf(leaf.value);
      const blobHash = blob === null ? null : toHex(blob.hash);
      parsed.push({ bytes, leaf: leaf.value, hash, blobHash });
    }
    return accept(parsed);
  }

  /** The next leaves; `blobs` by hash, a missing one is refused as `blob_missing`. */
  add(entries: readonly ParsedEntry[], blobs: ReadonlyMap<string, Uint8Array>): Result<null> {
    for (const entry of entries) {
      const index = this.tree.size;
      const blob = entry.blobHash === null ? null : (blobs.get(entry.blobHash) ?? null);
      const added = this.#addLeaf(index, entry, blob);
      if (!added.ok) return at(index, added.refusal);
      this.tree.append(entry.hash);
    }
    return accept(null);
  }

  /** A signed head of this epoch: under the attested key, and the root at its size. */
  checkNote(note: Uint8Array): Result<Checkpoint> {
    if (this.boot === null) return refuse('leaf_misplaced', { leaves: this.tree.size });
    const { origin, logKey } = this.boot.header;
    const checked = verifyCheckpoint(this.#crypto, note, origin, logKey);
    if (!checked.ok || checked.value.size > this.tree.size) return checked;
    const { size, root } = checked.value;
    return equalBytes(root, this.tree.root(size)) ? checked : refuse('fork', { size });
  }

  /** After the last leaf. `note` is the checkpoint: refused as `root_mismatch` unless it covers all. */
  finish(note: Uint8Array): Result<EpochFacts> {
    if (this.#epoch === null) return refuse('leaf_misplaced', { leaves: this.tree.size });
    const { boot, anchors, feed, privateLeaves } = this.#epoch;
    const { origin, logKey } = boot.header;
    const checkpoint = verifyCheckpoint(this.#crypto, note, origin, logKey);
    if (!checkpoint.ok) return checkpoint;
    const { size, root } = checkpoint.value;
    if (size !== this.tree.size || !equalBytes(root, this.tree.root())) {
      return refuse('root_mismatch', { size, leaves: this.tree.size });
    }
    return accept({
      boot,
      checkpoint: checkpoint.value,
      counts: this.#counts,
      rows: this.#rows,
      gaps: this.#gaps,
      gapTotals: this.#gapTotals,
      firstNs: this.#firstNs,
      lastNs: this.#lastNs,
      closeReason: this.#closeReason,
      anchors: anchors.facts(),
      feed: feed.facts(this.#lastNs),
      handOver: this.#handOver,
      unreleased: this.#unreleased ?? [],
      privateOpened: privateLeaves?.opened ?? null,
      blobs: this.#blobs,
    });
  }

  #addLeaf(index: number, entry: ParsedEntry, blob: Uint8Array | null): Result<null> {
    const { leaf } = entry;
    if (this.#closeReason !== null) return refuse('leaf_after_close');
    if (leaf.timeNs < this.#lastNs) return refuse('time_backwards');
    if (index === 0) this.#firstNs = leaf.timeNs;
    this.#lastNs = leaf.timeNs;
    const sequence = this.#sequences.get(leaf.stream) ?? 0;
    if (leaf.sequence !== sequence) {
      return refuse('sequence_gap', {
        stream: leaf.stream,
        expected: sequence,
        actual: leaf.sequence,
      });
    }
    this.#sequences.set(leaf.stream, sequence + 1);
    this.#counts.set(leaf.kind, (this.#counts.get(leaf.kind) ?? 0) + 1);
    if (entry.blobHash !== null) this.#blobs++;
    if (this.#epoch === null) return this.#addBootLeaf(index, entry);
    const placed = this.#epoch.rules.add(leaf);
    if (!placed.ok) return placed;
    const due = leaf.kind === KIND.gap ? accept(null) : this.#epoch.venueGaps.addOther();
    return due.ok ? this.#checkPayload(this.#epoch, index, leaf, blob) : due;
  }

  #addBootLeaf(index: number, entry: ParsedEntry): Result<null> {
    if (index === 0 || this.#leafZero === null) {
      this.#leafZero = entry;
      return accept(null);
    }
    const document = readAttestationLeaf(this.#crypto, entry.bytes);
    if (!document.ok) return document;
    const leafZero = this.#leafZero.bytes;
    const verified = verifyBoot(this.#crypto, leafZero, document.value, this.#trust);
    if (!verified.ok) return verified;
    const boot = verified.value;
    const opened =
      this.#keys === null ? accept(null) : PrivateLeaves.open(this.#crypto, boot, this.#keys);
    if (!opened.ok) return opened;
    const rules = new LeafRules(boot.header);
    for (const { leaf } of [this.#leafZero, entry]) {
      const placed = rules.add(leaf);
      if (!placed.ok) return placed;
    }
    const { instruments } = boot.configuration;
    const ids = new Set(instruments.map(({ id }) => id));
    this.#epoch = {
      boot,
      rules,
      anchors: new Anchors(this.#crypto, this.#trust, boot, entry.leaf.timeNs),
      privateLeaves: opened.value,
      instruments: ids,
      venueGaps: new VenueGaps(instruments),
      feed: new FeedTimes(ids, entry.leaf.timeNs),
    };
    return accept(null);
  }

  /** What the leaf says, as far as it can be read. */
  #checkPayload(epoch: Epoch, index: number, leaf: Leaf, blob: Uint8Array | null): Result<null> {
    const isPrivate = leaf.body.form === 'private' || leaf.body.form === 'private-blob';
    if (isPrivate) return this.#checkPrivate(epoch, index, leaf, blob);
    const opened = openLeaf(this.#crypto, leaf, null, blob);
    if (!opened.ok) return opened;
    const { plaintext } = opened.value;
    switch (leaf.kind) {
      case KIND.input:
        return this.#checkBatch(epoch, index, leaf, plaintext);
      case KIND.gap:
        return this.#checkGap(epoch, index, leaf, plaintext);
      case KIND.anchor:
        return epoch.anchors.add(index, leaf.timeNs, plaintext, this.tree);
      case KIND.heartbeat:
        return this.#checkHeartbeat(index, plaintext);
      case KIND.handOver:
        return this.#checkHandOver(index, plaintext);
      case KIND.recovery:
        return this.#checkRecovery(epoch, plaintext);
      case KIND.strategyEvent: {
        const event = parseStrategyEvent(plaintext);
        if (!event.ok) return event;
        return this.#strategies.add(index, leaf.stream, leaf.kind, event.value);
      }
      case KIND.close:
        return this.#checkClose(plaintext);
      case KIND.header:
      case KIND.attestation:
      case KIND.output:
      case KIND.report:
      case KIND.seed:
      case KIND.exchangeCall:
      case KIND.result:
      case KIND.audit:
        break;
    }
    // Header and attestation are leaves 0 and 1; the others are private.
    throw new Error(`leaf rules let kind ${leaf.kind} pass`);
  }

  #checkPrivate(epoch: Epoch, index: number, leaf: Leaf, blob: Uint8Array | null): Result<null> {
    const there = checkBlob(this.#crypto, leaf, blob);
    if (!there.ok) return there;
    const signals = this.#strategies.outputs(leaf.stream);
    if (leaf.kind === KIND.output || leaf.kind === KIND.seed) {
      const inOrder = this.#strategies.add(index, leaf.stream, leaf.kind, null);
      if (!inOrder.ok) return inOrder;
    }
    return epoch.privateLeaves?.add(index, leaf, blob, signals, this.tree) ?? accept(null);
  }

  #checkBatch(epoch: Epoch, index: number, leaf: Leaf, plaintext: Uint8Array): Result<null> {
    const batch = parseBatch(plaintext, epoch.instruments, this.#memory);
    if (!batch.ok) return batch;
    const { stream, timeNs, rows } = batch.value;
    if (stream !== leaf.stream) return refuse('leaf_misplaced', { stream: leaf.stream });
    this.#rows += rows;
    epoch.privateLeaves?.addBatch(index, timeNs);
    epoch.venueGaps.addBatch(index, batch.value);
    epoch.feed.addBatch(leaf.timeNs, batch.value);
    return this.#inputs.addBatch(index, batch.value);
  }

  #checkGap(epoch: Epoch, index: number, leaf: Leaf, plaintext: Uint8Array): Result<null> {
    const gap = parseGap(plaintext);
    if (!gap.ok) return gap;
    const shown = epoch.venueGaps.addGap(leaf, gap.value);
    if (!shown.ok) return shown;
    const { reason } = gap.value;
    this.#gapTotals.set(reason, (this.#gapTotals.get(reason) ?? 0) + 1);
    if (this.#gaps.length < MAX_LISTED_GAPS) {
      this.#gaps.push({ ...gap.value, index, stream: leaf.stream, timeNs: leaf.timeNs });
    }
    return this.#inputs.addGap(index, leaf.stream, gap.value);
  }

  #checkHeartbeat(index: number, plaintext: Uint8Array): Result<null> {
    const heartbeat = parseHeartbeat(plaintext);
    if (!heartbeat.ok) return heartbeat;
    const { acknowledgedSize } = heartbeat.value;
    if (acknowledgedSize > index || acknowledgedSize < this.#acknowledged) {
      return refuse('leaf_misplaced', { acknowledged: acknowledgedSize });
    }
    this.#acknowledged = acknowledgedSize;
    return accept(null);
  }

  /** Once: a second one could take back what the first has announced. */
  #checkHandOver(index: number, plaintext: Uint8Array): Result<null> {
    const handOver = parseHandOver(plaintext);
    if (!handOver.ok) return handOver;
    if (this.#handOver !== null) return refuse('leaf_misplaced', { kind: KIND.handOver });
    this.#handOver = { ...handOver.value, index };
    return accept(null);
  }

  /** An epoch that was closed for a hand-over has one, and one that has one ends for nothing else. */
  #checkClose(plaintext: Uint8Array): Result<null> {
    const reason = parseClose(plaintext);
    if (!reason.ok) return reason;
    if ((reason.value === CLOSE_REASON.handOver) !== (this.#handOver !== null)) {
      return refuse('leaf_misplaced', { kind: KIND.close, reason: reason.value });
    }
    this.#closeReason = reason.value;
    return accept(null);
  }

  /** Outputs that the host says were never released lie in the epoch before. */
  #checkRecovery({ boot }: Epoch, plaintext: Uint8Array): Result<null> {
    const recovery = parseRecovery(plaintext);
    if (!recovery.ok) return recovery;
    const { previous } = boot.header;
    const { previousEpoch, unreleased } = recovery.value;
    const inside = unreleased.every((output) => previous !== null && output < previous.size);
    if (previous?.epoch !== previousEpoch || !inside) return refuse('epoch_link');
    // A second list could take back what the first one says.
    if (this.#unreleased !== null) return refuse('leaf_misplaced', { kind: KIND.recovery });
    this.#unreleased = unreleased;
    return accept(null);
  }
}

/** The refusal with the leaf's index. */
function at(index: number, refusal: Refusal): Result<never> {
  return refuse(refusal.code, { index, ...refusal.detail });
}
