// The log of this epoch: gives each leaf its place and time, closes commits, signs their checkpoints and
// hands them to the host. In memory are the tree's right edge, the leaves of the open commit, and size
// and root of each commit that waits for its acknowledgement, under policy s3 its bytes too. The host can
// delay acknowledgements, and then the feed waits, for good if need be; one for a size or root that was
// never sent ends the enclave.

import type { WireCrypto } from '../../wire/crypto.ts';
import { encodeCommitOf, parseAck } from '../../wire/commit.ts';
import { equalBytes, utf8 } from '../../wire/bytes.ts';
import type { Kind, Label, LeafHeader } from '../../wire/leaf.ts';
import { encodePublicLeaf, encodePublicLeafHead, leafKey, sealLeaf } from '../../wire/leaf.ts';
import { MAX_COMMIT_LEAVES, MAX_COMMITS_IN_FLIGHT } from '../../wire/limits.ts';
import { encodeCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash, TreeEdge } from '../../wire/tlog/edge.ts';
import { encodeNote, noteKeyId } from '../../wire/tlog/note.ts';
import type { Head } from '../../wire/attestation/user-data.ts';
import type { Clock } from '../clock.ts';
import { Fatal } from '../fatal.ts';
import type { LogKey } from '../keys.ts';
import { Salts } from './salts.ts';
import { StallWatch } from './stall.ts';

/**
 * A commit is closed from this many bytes on; with the largest leaf and blob it stays under 8 MiB. More would
 * save signatures, but neither side should work on one commit for long, and memory is touched once.
 */
const COMMIT_BYTES = 512 * 1024;
/** With so many on their way to the disk another commit would only wait behind them there. */
const SHARE_FROM_IN_FLIGHT = 4;
/** With so many waiting for the bucket what comes waits for its next answer, and takes fewer signatures. */
const SHARE_FROM_STORING = 32;
/** Together with the 64 commits this bounds what waits for acknowledgements. */
const MAX_BYTES_IN_FLIGHT: number = 16 * 1024 * 1024;
/**
 * While the log is full strategies still answer what they have: 8 of them, 32 inputs each, 64 outputs,
 * leaves of 4.3 KiB, 70 MiB. Beyond this bound the feed was not stopped, which is a bug.
 */
const MAX_OPEN_BYTES: number = 128 * 1024 * 1024;

export interface LeafDraft {
  readonly kind: Kind;
  readonly stream: number;
  readonly label: Label;
  /** Ascending indexes of earlier leaves. */
  readonly causes: readonly number[];
  readonly plaintext: Uint8Array;
}

export interface AppendedLeaf {
  readonly index: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export interface LogWriterOptions {
  readonly crypto: WireCrypto;
  readonly clock: Clock;
  readonly origin: string;
  readonly epoch: number;
  readonly key: LogKey;
  /** Opens every private leaf of the epoch; not copied. */
  readonly disclosureKey: Uint8Array;
  /** An incomplete commit is closed after this. */
  readonly commitMs: number;
  /** No timer closes the first commit before it has this many leaves; default 1. */
  readonly firstCommitLeaves?: number;
  /** Without an acknowledgement for this long, while commits wait for theirs, the log is stalled. */
  readonly stallMs: number;
  /** True when the log stalls, false when it moves again, in turns. */
  readonly onStalled: (stalled: boolean) => void;
  /** Sends one COMMIT. */
  readonly send: (commit: Uint8Array) => void;
  /** Policy s3: takes each COMMIT that the host has acknowledged; it counts once `receiveStored` covers it. */
  readonly store?: (commit: Uint8Array, size: number) => void;
  /** After each acknowledgement that is new. */
  readonly onAcknowledged: (head: Head) => void;
  /** For errors of timers. */
  readonly onTimer: (work: () => void) => void;
}

interface OpenLeaf {
  /** The leaf in pieces that follow one another. */
  readonly pieces: readonly Uint8Array[];
  readonly blob: Uint8Array | null;
  readonly hash: Uint8Array;
  /** Of pieces and blob. */
  readonly bytes: number;
}

interface SentCommit extends Head {
  readonly bytes: number;
  /** Null where nothing is stored. */
  readonly payload: Uint8Array | null;
}

interface Waiter {
  readonly size: number;
  readonly resolve: () => void;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #edge: TreeEdge;
  readonly #keyId: Uint8Array;
  readonly #salts = new Salts();
  readonly #stall: StallWatch;
  readonly #sequences = new Map<number, number>();
  #open: OpenLeaf[] = [];
  #openBytes = 0;
  /** The open commit should be closed as soon as there is room. */
  #due = false;
  /** The same, but it may wait for the next acknowledgement. */
  #wanted = false;
  #timer: NodeJS.Timeout | null = null;
  #inFlight: SentCommit[] = [];
  #bytesInFlight = 0;
  /** The first ones of those in flight: the host has them, and the bucket not yet. */
  #storing = 0;
  #hostHead: Head | null = null;
  #acknowledged: Head | null = null;
  #lastCommitNs = 0n;
  #lastLeafNs = 0n;
  #stopped = false;
  #roomWaiters: (() => void)[] = [];
  #sizeWaiters: Waiter[] = [];
  #commits = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#edge = new TreeEdge(options.crypto);
    this.#keyId = noteKeyId(options.crypto, options.key.spki);
    const { clock, stallMs: afterMs, onStalled: onChange, onTimer } = options;
    this.#stall = new StallWatch({ clock, afterMs, onChange, onTimer });
  }

  /** Leaves so far, those of the open commit included. */
  get size(): number {
    return this.#edge.size + this.#open.length;
  }

  /** The last head that the host has acknowledged, and under policy s3 the bucket has too. */
  get acknowledged(): Head | null {
    return this.#acknowledged;
  }

  get lastLeafNs(): bigint {
    return this.#lastLeafNs;
  }

  /** True while commits wait for acknowledgements that do not come. */
  get stalled(): boolean {
    return this.#stall.stalled;
  }

  get counters(): Readonly<Record<string, number>> {
    return {
      ...this.#stall.counters,
      leaves: this.size,
      commits: this.#commits,
      commits_in_flight: this.#inFlight.length,
      acknowledged_size: this.#acknowledged?.size ?? 0,
    };
  }

  /** False while too much waits for acknowledgements: take nothing more from the host. */
  get hasRoom(): boolean {
    return this.#stopped || this.#mayClose();
  }

  /** Resolves when there is room, and when the log has stopped. */
  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Resolves when `size` leaves are acknowledged; never, when the log stops before. */
  acknowledgement(size: number): Promise<void> {
    if ((this.#acknowledged?.size ?? 0) >= size) return Promise.resolve();
    return new Promise((resolve) => this.#sizeWaiters.push({ size, resolve }));
  }

  /** Anybody may read this leaf. */
  append(draft: LeafDraft): AppendedLeaf {
    return this.#append(draft, false);
  }

  /** Whoever has the disclosure key or this leaf's key may read it. */
  appendPrivate(draft: LeafDraft): AppendedLeaf {
    return this.#append(draft, true);
  }

  /** Closes the open commit now, or as soon as there is room. */
  flush(): void {
    if (this.#open.length === 0) return;
    this.#due = true;
    this.#closeDue();
  }

  /**
   * Closes the open commit now while the host keeps up, else with the next acknowledgement: what comes
   * meanwhile shares its signature and its place on the disk.
   */
  flushShared(): void {
    if (this.#open.length === 0) return;
    this.#wanted = true;
    this.#closeDue();
  }

  /** Nothing is signed any more. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stall.stop();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  /** An ACK payload from the host: cumulative, and only for what was sent. */
  receiveAck(payload: Uint8Array): void {
    const parsed = parseAck(payload);
    if (!parsed.ok || parsed.value.epoch !== this.#options.epoch) throw new Fatal('ack_unknown');
    const { size, root } = parsed.value;
    const last = this.#hostHead;
    if (last !== null && last.size === size && equalBytes(last.root, root)) return;
    const position = this.#inFlight.findIndex((commit) => commit.size === size);
    const commit = this.#inFlight[position];
    if (position < this.#storing || commit === undefined || !equalBytes(commit.root, root)) {
      throw new Fatal('ack_unknown');
    }
    this.#hostHead = { size, root: commit.root };
    const { store } = this.#options;
    if (store === undefined) {
      this.#settle(position + 1);
      return;
    }
    const acknowledged = this.#inFlight.slice(this.#storing, position + 1);
    this.#storing = position + 1;
    this.#closeDue();
    for (const { payload, size: end } of acknowledged) if (payload !== null) store(payload, end);
  }

  /**
   * The bucket has the first `size` leaves, which were given to `store` as whole commits. Answers the size
   * that the next object should wait for: what was held back until now has waited for one object already.
   */
  receiveStored(size: number): number {
    const count = this.#inFlight.findIndex((commit) => commit.size === size) + 1;
    if (count === 0 || count > this.#storing) throw new Fatal('internal');
    const isHeldBack = this.#wanted && this.#storing >= SHARE_FROM_STORING;
    this.#storing -= count;
    this.#due ||= isHeldBack;
    this.#settle(count);
    return isHeldBack ? this.#edge.size : 0;
  }

  /** The oldest `count` commits are acknowledged. */
  #settle(count: number): void {
    const covered = this.#inFlight.splice(0, count);
    for (const { bytes } of covered) this.#bytesInFlight -= bytes;
    const last = covered.at(-1);
    if (last === undefined) return;
    const { size, root } = last;
    this.#acknowledged = { size, root };
    this.#stall.acknowledged(this.#inFlight.length > 0);
    this.#closeDue();
    this.#options.onAcknowledged(this.#acknowledged);
    this.#wake(size);
  }

  #wake(size: number): void {
    const reached = this.#sizeWaiters.filter((waiter) => waiter.size <= size);
    this.#sizeWaiters = this.#sizeWaiters.filter((waiter) => waiter.size > size);
    for (const waiter of reached) waiter.resolve();
    if (!this.hasRoom) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  #append(draft: LeafDraft, sealed: boolean): AppendedLeaf {
    if (this.#stopped) throw new Fatal('log_unavailable');
    if (this.#openBytes > MAX_OPEN_BYTES) throw new Fatal('log_full');
    const { clock } = this.#options;
    const { kind, stream, label, causes, plaintext } = draft;
    const index = this.size;
    const sequence = this.#sequences.get(stream) ?? 0;
    const timeNs = clock.nowNs();
    const salt = this.#salts.next();
    const header: LeafHeader = { kind, timeNs, stream, label, sequence, causes };
    const leaf = sealed
      ? this.#seal(index, header, salt, plaintext)
      : this.#encode(header, salt, plaintext);
    this.#sequences.set(stream, sequence + 1);
    this.#lastLeafNs = timeNs;
    this.#open.push(leaf);
    this.#openBytes += leaf.bytes;
    if (this.#open.length >= MAX_COMMIT_LEAVES || this.#openBytes >= COMMIT_BYTES) this.flush();
    else this.#armTimer();
    return { index, salt, hash: leaf.hash };
  }

  #seal(index: number, header: LeafHeader, salt: Uint8Array, plaintext: Uint8Array): OpenLeaf {
    const { crypto, disclosureKey, origin } = this.#options;
    const key = leafKey(crypto, disclosureKey, origin, index);
    const { bytes, blob } = sealLeaf(crypto, header, salt, plaintext, key);
    key.fill(0);
    return this.#openLeaf([bytes], blob);
  }

  /** A plaintext in the leaf stays where it is until its commit is closed. */
  #encode(header: LeafHeader, salt: Uint8Array, plaintext: Uint8Array): OpenLeaf {
    const { crypto } = this.#options;
    const head = encodePublicLeafHead(crypto, header, salt, plaintext);
    if (head !== null) return this.#openLeaf([head, plaintext], null);
    const { bytes, blob } = encodePublicLeaf(crypto, header, salt, plaintext);
    return this.#openLeaf([bytes], blob);
  }

  #openLeaf(pieces: readonly Uint8Array[], blob: Uint8Array | null): OpenLeaf {
    let bytes = blob?.length ?? 0;
    for (const piece of pieces) bytes += piece.length;
    return { pieces, blob, hash: leafHash(this.#options.crypto, ...pieces), bytes };
  }

  #armTimer(): void {
    if (this.#timer !== null || this.#due || this.#wanted) return;
    if (this.size < (this.#options.firstCommitLeaves ?? 1)) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#options.onTimer(() => {
        this.flushShared();
      });
    }, this.#options.commitMs);
  }

  #mayClose(): boolean {
    return (
      this.#inFlight.length < MAX_COMMITS_IN_FLIGHT && this.#bytesInFlight < MAX_BYTES_IN_FLIGHT
    );
  }

  get #isDue(): boolean {
    const unacknowledged = this.#inFlight.length - this.#storing;
    const mayShare = unacknowledged < SHARE_FROM_IN_FLIGHT && this.#storing < SHARE_FROM_STORING;
    return this.#due || (this.#wanted && mayShare);
  }

  #closeDue(): void {
    while (this.#isDue && !this.#stopped && this.#mayClose()) {
      this.#closeCommit();
      const rest = this.#open.length > 0;
      this.#due &&= rest;
      this.#wanted &&= rest;
    }
    // Leaves that nobody was in a hurry for still wait for the timer.
    if (this.#open.length > 0 || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #closeCommit(): void {
    const { origin, epoch, key } = this.#options;
    const nowNs = this.#options.clock.nowNs();
    // A clock that stands still would let two heads claim the same time.
    if (nowNs <= this.#lastCommitNs) throw new Fatal('clock_backwards');
    this.#lastCommitNs = nowNs;
    const firstIndex = this.#edge.size;
    const leaves = this.#takeLeaves();
    for (const leaf of leaves) this.#edge.append(leaf.hash);
    const size = this.#edge.size;
    if (size <= firstIndex) throw new Fatal('internal');
    const root = this.#edge.root();
    const text = encodeCheckpoint({ origin, size, root });
    const commit = encodeCommitOf({
      epoch,
      firstIndex,
      leaves: leaves.map(({ pieces }) => pieces),
      blobs: leaves.flatMap(({ blob }) => (blob === null ? [] : [blob])),
      note: encodeNote(text, origin, this.#keyId, key.sign(utf8(text))),
    });
    const payload = this.#options.store === undefined ? null : commit;
    this.#inFlight.push({ size, root, bytes: commit.length, payload });
    this.#bytesInFlight += commit.length;
    this.#commits++;
    this.#stall.sent();
    this.#options.send(commit);
  }

  /** The next leaves of the open commit, up to the size of one commit. */
  #takeLeaves(): readonly OpenLeaf[] {
    let count = 0;
    let bytes = 0;
    for (const leaf of this.#open) {
      if (count === MAX_COMMIT_LEAVES || bytes >= COMMIT_BYTES) break;
      bytes += leaf.bytes;
      count++;
    }
    this.#openBytes -= bytes;
    return this.#open.splice(0, count);
  }
}
