// Enclaves of one image, as far as the lease goes, with a host each that offers what it likes: boot, commits,
// releases, death at any request. And the reader who judges them all by what is in the bucket.

import { Clock, systemClock } from '../../../enclave/clock.ts';
import type { Guard } from '../../../enclave/fatal.ts';
import { createGuard } from '../../../enclave/fatal.ts';
import { generateLogKey } from '../../../enclave/keys.ts';
import { LogWriter } from '../../../enclave/log/writer.ts';
import { Committer } from '../../../enclave/s3/committer.ts';
import type { Lease } from '../../../enclave/s3/lease.ts';
import { checkBucket, leaseOf, takeOver } from '../../../enclave/s3/lease.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { parseCommit } from '../../../wire/commit.ts';
import { encodeAck } from '../../../wire/messages.ts';
import type { PreviousEpoch } from '../../../wire/header.ts';
import { originOf } from '../../../wire/header.ts';
import { KIND, LABEL, parseLeaf, STREAM } from '../../../wire/leaf.ts';
import { openLeaf } from '../../../wire/open-leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import { encodeCommitGroup, parseCommitGroup } from '../../../wire/objects.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { verifyCheckpoint } from '../../../wire/tlog/checkpoint.ts';
import type { ModelBucket } from '../../helpers/model-bucket.ts';

const LOG_ID = 'trackseal.test/log';
/** Outputs that an epoch has, one after the other. */
const OUTPUTS = 3;

/** What a host says of the epoch before. */
export interface Offer {
  readonly entry: PreviousEpoch;
  readonly logKey: Uint8Array;
  readonly nextCommit: number | null;
}

export interface Released {
  readonly twin: number;
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
}

/** Leaf 0 of the twins: log key (91 bytes), then what the header says of the previous epoch. */
function encodeLeafZero(logKey: Uint8Array, offer: Offer | null): Uint8Array {
  const before = offer === null ? '' : `${offer.entry.size} ${toHex(offer.entry.root)}`;
  return utf8(`${toHex(logKey)} ${before}`);
}

export class Twin {
  readonly id: number;
  readonly epoch: number;
  /** All outputs are released, or it is dead. */
  readonly done: Promise<null>;
  code: string | null = null;
  dead = false;
  /** What its host has on disk. */
  readonly spool: Uint8Array[] = [];
  readonly #bucket: ModelBucket;
  readonly #releases: Released[];
  readonly #stop = new AbortController();
  readonly #end = Promise.withResolvers<null>();
  readonly #guard: Guard;
  #log: LogWriter | null = null;

  constructor(id: number, bucket: ModelBucket, offer: Offer | null, releases: Released[]) {
    this.id = id;
    this.#bucket = bucket;
    this.#releases = releases;
    this.epoch = (offer?.entry.epoch ?? 0) + 1;
    this.#guard = createGuard((code) => {
      this.code ??= code;
      this.kill();
    });
    void this.#guard
      .runAsync(() => this.#run(offer))
      .then(() => {
        this.#end.resolve(null);
      });
    this.done = this.#end.promise;
  }

  /** Nothing of it acts any more; what it has sent may still arrive. */
  kill(): void {
    this.dead = true;
    this.#log?.stop();
    this.#stop.abort();
    this.#end.resolve(null);
  }

  async #run(offer: Offer | null): Promise<void> {
    const { epoch } = this;
    const origin = originOf(LOG_ID, epoch);
    const clock = new Clock(systemClock);
    const key = generateLogKey();
    const client = this.#bucket.client(this.id);
    const made = leaseOf(nodeCrypto, clock, client, 30, this.#stop.signal);
    const lease: Lease = {
      ...made,
      insistence: { ...made.insistence, firstPauseMs: 1, longestPauseMs: 2 },
    };
    await checkBucket(lease);
    if (offer !== null) {
      const { entry, logKey, nextCommit } = offer;
      const before = { origin: originOf(LOG_ID, entry.epoch), logKey, nextCommit };
      await takeOver(lease, before, entry, { origin, key });
    }
    if (this.dead) return;
    const log = this.#open(lease, origin, key, clock);
    this.#append(log, KIND.header, encodeLeafZero(key.spki, offer));
    this.#append(log, KIND.attestation, utf8('a document'));
    log.flush();
    await log.acknowledgement(2);
    for (let output = 0; output < OUTPUTS && !this.dead; output++) {
      this.#append(log, KIND.output, utf8(`output ${output}`));
      log.flushShared();
      await log.acknowledgement(log.size);
    }
  }

  #open(
    lease: Lease,
    origin: string,
    key: ReturnType<typeof generateLogKey>,
    clock: Clock,
  ): LogWriter {
    const { epoch } = this;
    const guard = this.#guard;
    const committer = new Committer({
      lease,
      epoch,
      guard,
      onStored: (size) => (this.dead ? 0 : log.receiveStored(size)),
    });
    const log: LogWriter = new LogWriter({
      crypto: nodeCrypto,
      clock,
      origin,
      epoch,
      key,
      disclosureKey: new Uint8Array(32),
      commitMs: 60_000,
      firstCommitLeaves: 2,
      stallMs: 60_000,
      onStalled: () => undefined,
      send: (commit) => {
        this.spool.push(commit.slice());
        const { note } = assertAccepted(parseCommit(commit));
        const { size, root } = assertAccepted(verifyCheckpoint(nodeCrypto, note, origin, key.spki));
        queueMicrotask(() => {
          guard.run(() => {
            if (!this.dead) log.receiveAck(encodeAck({ epoch, size, root }));
          });
        });
      },
      store: (commit, size) => {
        committer.add(commit, size);
      },
      onAcknowledged: ({ size, root }) => {
        if (this.dead) throw new Error('a release after the end');
        this.#releases.push({ twin: this.id, epoch, size, root: toHex(root) });
      },
      onTimer: (work) => {
        guard.run(work);
      },
    });
    this.#log = log;
    return log;
  }

  #append(log: LogWriter, kind: 0 | 1 | 5, plaintext: Uint8Array): void {
    const { enclave: stream } = STREAM;
    log.append({ kind, stream, label: LABEL.enclave, causes: [], plaintext });
  }
}

/** An epoch as the bucket has it. */
export interface RecordedEpoch {
  readonly epoch: number;
  readonly logKey: Uint8Array;
  /** "size root" of the epoch before, as leaf 0 says; '' for none. */
  readonly before: string;
  /** "size root" after each commit. */
  readonly heads: readonly string[];
  readonly last: { readonly size: number; readonly root: Uint8Array };
  /** Number of the object behind its last commit. */
  readonly nextCommit: number;
}

/** Epochs from the first one on, from the oldest versions of what is in the bucket. */
export function readRecord(bucket: ModelBucket): readonly RecordedEpoch[] {
  const epochs: RecordedEpoch[] = [];
  for (let epoch = 1; bucket.oldest(claimKey(epoch)) !== null; epoch++) {
    epochs.push(readEpoch(bucket, epoch));
  }
  return epochs;
}

function readEpoch(bucket: ModelBucket, epoch: number): RecordedEpoch {
  const claim = bucket.oldest(claimKey(epoch)) ?? new Uint8Array();
  const first = assertAccepted(parseCommit(claim));
  const leaf = assertAccepted(parseLeaf(first.leaves[0] ?? new Uint8Array()));
  const { plaintext } = assertAccepted(openLeaf(nodeCrypto, leaf, null, null));
  const [keyHex = '', ...before] = new TextDecoder().decode(plaintext).split(' ');
  const logKey = new Uint8Array(Buffer.from(keyHex, 'hex'));
  const origin = originOf(LOG_ID, epoch);
  const heads: string[] = [];
  let last: { readonly size: number; readonly root: Uint8Array } = {
    size: 0,
    root: new Uint8Array(32),
  };
  const add = (bytes: Uint8Array): void => {
    const { note, firstIndex } = assertAccepted(parseCommit(bytes));
    if (firstIndex !== last.size) throw new Error(`a hole in epoch ${epoch}`);
    last = assertAccepted(verifyCheckpoint(nodeCrypto, note, origin, logKey));
    heads.push(`${last.size} ${toHex(last.root)}`);
  };
  add(claim);
  let nextCommit = 1;
  for (; ; nextCommit++) {
    const bytes = bucket.oldest(commitsKey(epoch, nextCommit));
    const group = bytes === null ? null : parseCommitGroup(bytes);
    if (group?.ok !== true) break;
    group.value.forEach(add);
  }
  return { epoch, logKey, before: before.join(' '), heads, last, nextCommit };
}

/** What an honest host offers: the end of the last epoch in the bucket. */
export function honestOffer(epochs: readonly RecordedEpoch[]): Offer | null {
  const last = epochs.at(-1);
  return last === undefined ? null : offerOf(last);
}

export function offerOf({ epoch, logKey, last, nextCommit }: RecordedEpoch): Offer {
  const entry = { epoch, ...last, logKeyHash: nodeCrypto.sha256(logKey), clean: false };
  return { entry, logKey, nextCommit };
}

/** The host's part when an epoch is over: what it has acknowledged and the bucket does not have yet. */
export function completeEpoch(bucket: ModelBucket, { epoch, spool, dead }: Twin): void {
  const [first] = spool;
  if (!dead || first === undefined) return;
  if (bucket.oldest(claimKey(epoch)) === null) bucket.put(claimKey(epoch), first);
  if (toHex(bucket.oldest(claimKey(epoch)) ?? first) !== toHex(first)) return;
  const { heads, nextCommit } = readEpoch(bucket, epoch);
  const rest = spool.slice(heads.length);
  const place = commitsKey(epoch, nextCommit);
  if (rest.length > 0 && bucket.oldest(place) === null) bucket.put(place, encodeCommitGroup(rest));
}
