import { describe, expect, it, vi } from 'vitest';
import type { ClockSource } from '../../../enclave/clock.ts';
import { Clock, systemClock } from '../../../enclave/clock.ts';
import { fatalCode } from '../../../enclave/fatal.ts';
import { generateLogKey } from '../../../enclave/keys.ts';
import { LogWriter } from '../../../enclave/log/writer.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { Head } from '../../../wire/attestation/user-data.ts';
import type { Commit } from '../../../wire/commit.ts';
import { parseCommit } from '../../../wire/commit.ts';
import { encodeAck } from '../../../wire/messages.ts';
import { KIND, LABEL, leafKey, parseLeaf } from '../../../wire/leaf.ts';
import { openLeaf } from '../../../wire/open-leaf.ts';
import {
  MAX_COMMIT_LEAVES,
  MAX_COMMITS_IN_FLIGHT,
  MAX_LOG_OUT_BYTES,
} from '../../../wire/limits.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { verifyCheckpoint } from '../../../wire/tlog/checkpoint.ts';
import { leafHash, MemoryTree } from '../../../wire/tlog/merkle.ts';

vi.setConfig({ testTimeout: 20_000 });

const ORIGIN = 'trackseal.test/log/e0000000003';
const EPOCH = 3;
const DISCLOSURE_KEY = new Uint8Array(32).fill(9);

/** For what must hold in every test. */
function assertHolds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`commit: ${what}`);
}

function keyOf(index: number): Uint8Array {
  return leafKey(nodeCrypto, DISCLOSURE_KEY, ORIGIN, index);
}

class Harness {
  readonly key: ReturnType<typeof generateLogKey> = generateLogKey();
  readonly commits: Commit[] = [];
  readonly heads: Head[] = [];
  readonly tree: MemoryTree = new MemoryTree(nodeCrypto);
  readonly log: LogWriter;
  timerError: unknown = null;

  constructor(source: ClockSource = systemClock, commitMs = 60_000, firstCommitLeaves = 1) {
    this.log = new LogWriter({
      crypto: nodeCrypto,
      clock: new Clock(source),
      origin: ORIGIN,
      epoch: EPOCH,
      key: this.key,
      disclosureKey: DISCLOSURE_KEY,
      commitMs,
      firstCommitLeaves,
      stallMs: 60_000,
      onStalled: () => undefined,
      send: (bytes) => {
        assertHolds(bytes.length <= MAX_LOG_OUT_BYTES, 'size of a commit');
        this.#receive(assertAccepted(parseCommit(bytes)));
      },
      onAcknowledged: (head) => this.heads.push(head),
      onTimer: (work) => {
        try {
          work();
        } catch (error) {
          this.timerError = error;
        }
      },
    });
  }

  #receive(commit: Commit): void {
    assertHolds(commit.epoch === EPOCH, 'epoch');
    assertHolds(commit.firstIndex === this.tree.size, 'first index');
    for (const leaf of commit.leaves) this.tree.append(leafHash(nodeCrypto, leaf));
    const checkpoint = assertAccepted(
      verifyCheckpoint(nodeCrypto, commit.note, ORIGIN, this.key.spki),
    );
    assertHolds(checkpoint.size === this.tree.size, 'size');
    assertHolds(toHex(checkpoint.root) === toHex(this.tree.root()), 'root');
    this.commits.push(commit);
  }

  append(bytes = 10, stream = 1): number {
    const plaintext = new Uint8Array(bytes).fill(5);
    return this.log.append({ kind: KIND.input, stream, label: LABEL.host, causes: [], plaintext })
      .index;
  }

  /** One commit of one leaf. */
  commit(): void {
    this.append();
    this.log.flush();
  }

  ack(size: number = this.tree.size, root: Uint8Array = this.tree.root(size)): void {
    this.log.receiveAck(encodeAck({ epoch: EPOCH, size, root }));
  }
}

function codeOf(work: () => void): string | null {
  try {
    work();
  } catch (error) {
    return fatalCode(error);
  }
  return null;
}

/** A clock that a test moves. */
function manualClock(): ClockSource & { ns: bigint } {
  const clock = { ns: 1n, wallNs: () => 1_700_000_000_000_000_000n, monotonicNs: () => clock.ns };
  return clock;
}

describe('leaves', () => {
  it('are dense per stream, in time order, and end in one signed head per commit', () => {
    const harness = new Harness();
    for (let count = 0; count < 10; count++) harness.append(10, 1 + (count % 3));
    harness.log.flush();
    expect(harness.commits).toHaveLength(1);
    const leaves = (harness.commits[0]?.leaves ?? []).map((bytes) =>
      assertAccepted(parseLeaf(bytes)),
    );
    expect(leaves.map(({ sequence }) => sequence)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
    const times = leaves.map(({ timeNs }) => timeNs);
    expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)));
  });

  it('have salts of their own', () => {
    const harness = new Harness();
    for (let count = 0; count < 600; count++) harness.append();
    harness.log.flush();
    const digests = harness.commits.flatMap(({ leaves }) =>
      leaves.map((bytes) => toHex(assertAccepted(parseLeaf(bytes)).digest)),
    );
    expect(new Set(digests).size).toBe(600);
  });

  it('that are private open with their own key and no other', () => {
    const harness = new Harness();
    harness.append();
    const plaintext = new Uint8Array([1, 2, 3]);
    const draft = { kind: KIND.output, stream: 1000, label: LABEL.strategy, causes: [0] } as const;
    const { index, salt } = harness.log.appendPrivate({ ...draft, plaintext });
    harness.log.flush();
    const leaf = assertAccepted(parseLeaf(harness.commits[0]?.leaves[index] ?? new Uint8Array()));
    const opened = assertAccepted(openLeaf(nodeCrypto, leaf, keyOf(index), null));
    expect(toHex(opened.plaintext)).toBe('010203');
    expect(toHex(opened.salt)).toBe(toHex(salt));
    expect(openLeaf(nodeCrypto, leaf, keyOf(index + 1), null).ok).toBe(false);
  });

  it('too large for a leaf become blobs of their commit', () => {
    const harness = new Harness();
    harness.append(100_000);
    harness.append(10);
    harness.append(200_000);
    harness.log.flush();
    expect(harness.commits[0]?.blobs.map(({ length }) => length)).toEqual([100_000, 200_000]);
  });
});

describe('a commit', () => {
  it('closes by count', () => {
    const harness = new Harness();
    for (let count = 1; count < MAX_COMMIT_LEAVES; count++) harness.append();
    expect(harness.commits).toHaveLength(0);
    harness.append();
    expect(harness.commits.map(({ leaves }) => leaves.length)).toEqual([MAX_COMMIT_LEAVES]);
  });

  it('closes by size', () => {
    const harness = new Harness();
    for (let count = 0; count < 10; count++) harness.append(50_000);
    expect(harness.commits).toHaveLength(0);
    harness.append(50_000);
    expect(harness.commits).toHaveLength(1);
    harness.append(500_000);
    expect(harness.commits).toHaveLength(1);
    harness.append(1_048_576);
    expect(harness.commits).toHaveLength(2);
  });

  it('that others may share is closed at once while fewer than four are on their way', () => {
    const harness = new Harness();
    for (let count = 0; count < 4; count++) {
      harness.append();
      harness.log.flushShared();
      expect(harness.commits).toHaveLength(count + 1);
    }
    for (let count = 0; count < 3; count++) {
      harness.append();
      harness.log.flushShared();
    }
    expect(harness.commits).toHaveLength(4);
    harness.ack(1, harness.tree.root(1));
    expect(harness.commits.map(({ leaves }) => leaves.length)).toEqual([1, 1, 1, 1, 3]);
    // Nothing waits: the next acknowledgement signs nothing.
    harness.ack();
    expect(harness.commits).toHaveLength(5);
  });

  it('that others may share is closed by its size and by whoever cannot wait', () => {
    const harness = new Harness();
    for (let count = 0; count < 4; count++) harness.commit();
    harness.append();
    harness.log.flushShared();
    harness.append(60_000);
    for (let count = 0; count < 8; count++) harness.append(60_000);
    expect(harness.commits.map(({ leaves }) => leaves.length)).toEqual([1, 1, 1, 1, 10]);
    harness.append();
    harness.log.flushShared();
    expect(harness.commits).toHaveLength(5);
    harness.log.flush();
    expect(harness.commits).toHaveLength(6);
  });

  it('closes by time with those that share', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const harness = new Harness(systemClock, 5);
      for (let count = 0; count < 4; count++) harness.commit();
      harness.append();
      vi.advanceTimersByTime(60_000);
      expect(harness.commits).toHaveLength(4);
      harness.ack();
      expect(harness.commits).toHaveLength(5);
    } finally {
      vi.useRealTimers();
    }
  });

  it('closes by time, and an empty one never', async () => {
    const harness = new Harness(systemClock, 5);
    harness.append();
    harness.append();
    await vi.waitUntil(() => harness.commits.length === 1);
    expect(harness.commits[0]?.leaves).toHaveLength(2);
    harness.log.flush();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.commits).toHaveLength(1);
  });

  it('closes by time also when an acknowledgement comes meanwhile', async () => {
    const harness = new Harness(systemClock, 5);
    harness.commit();
    harness.append();
    harness.ack();
    await vi.waitUntil(() => harness.commits.length === 2);
    expect(harness.commits[1]?.leaves).toHaveLength(1);
  });

  it('that is the first waits for all of its leaves, however long they take', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const harness = new Harness(systemClock, 5, 2);
      harness.append();
      vi.advanceTimersByTime(60_000);
      expect(harness.commits).toHaveLength(0);
      harness.append();
      vi.advanceTimersByTime(5);
      expect(harness.commits.map(({ leaves }) => leaves.length)).toEqual([2]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is not signed when the clock stands still or goes back', () => {
    const clock = manualClock();
    const harness = new Harness(clock);
    harness.commit();
    clock.ns++;
    harness.commit();
    harness.append();
    expect(codeOf(() => harness.log.flush())).toBe('clock_backwards');
    expect(harness.commits).toHaveLength(2);
    clock.ns--;
    expect(codeOf(() => harness.append())).toBe('clock_backwards');
  });
});

describe('acknowledgements', () => {
  it('are cumulative', () => {
    const harness = new Harness();
    for (let count = 0; count < 5; count++) harness.commit();
    harness.ack(3);
    harness.ack(5);
    expect(harness.heads.map(({ size }) => size)).toEqual([3, 5]);
    expect(toHex(harness.log.acknowledged?.root ?? new Uint8Array())).toBe(
      toHex(harness.tree.root()),
    );
  });

  it('may be repeated once they are the last, without effect', () => {
    const harness = new Harness();
    harness.commit();
    harness.ack();
    harness.ack();
    expect(harness.heads).toHaveLength(1);
  });

  const root = new Uint8Array(32);
  const wrong: [name: string, payload: (harness: Harness) => Uint8Array][] = [
    ['of a size never sent', () => encodeAck({ epoch: EPOCH, size: 7, root })],
    ['of another root', () => encodeAck({ epoch: EPOCH, size: 2, root })],
    ['of the last size with another root', () => encodeAck({ epoch: EPOCH, size: 1, root })],
    [
      'of another epoch',
      ({ tree }) => encodeAck({ epoch: EPOCH + 1, size: 2, root: tree.root(2) }),
    ],
    [
      'of a size inside of a commit',
      ({ tree }) => encodeAck({ epoch: EPOCH, size: 3, root: tree.root(3) }),
    ],
    [
      'that go back',
      (harness) => {
        harness.ack(2);
        return encodeAck({ epoch: EPOCH, size: 1, root: harness.tree.root(1) });
      },
    ],
    ['that are none', () => encodeCbor([1, 2, 3])],
    ['that are empty', () => new Uint8Array()],
  ];
  it.each(wrong)('%s are fatal', (_, payload) => {
    const harness = new Harness();
    harness.commit();
    harness.ack(1);
    harness.commit();
    harness.append();
    harness.append();
    harness.log.flush();
    expect(harness.tree.size).toBe(4);
    const bytes = payload(harness);
    expect(codeOf(() => harness.log.receiveAck(bytes))).toBe('ack_unknown');
  });

  it('for leaves that wait in the open commit come too early', () => {
    const harness = new Harness();
    harness.commit();
    harness.append();
    expect(codeOf(() => harness.ack(2, root))).toBe('ack_unknown');
  });

  it('wake whoever waits for their size, and only them', async () => {
    const harness = new Harness();
    harness.commit();
    harness.commit();
    const woken: number[] = [];
    void harness.log.acknowledgement(1).then(() => woken.push(1));
    void harness.log.acknowledgement(2).then(() => woken.push(2));
    harness.ack(1);
    await Promise.resolve();
    await Promise.resolve();
    expect(woken).toEqual([1]);
    harness.ack(2);
    await harness.log.acknowledgement(2);
    expect(woken).toEqual([1, 2]);
  });
});

describe('without acknowledgements', () => {
  it('at most 64 commits are in flight; then leaves wait, in order, and nothing is lost', async () => {
    const harness = new Harness();
    for (let count = 0; count < MAX_COMMITS_IN_FLIGHT; count++) {
      expect(harness.log.hasRoom).toBe(true);
      harness.commit();
    }
    expect(harness.log.hasRoom).toBe(false);
    for (let count = 0; count < 10; count++) harness.commit();
    expect(harness.commits).toHaveLength(MAX_COMMITS_IN_FLIGHT);
    let ready = false;
    const waiting = harness.log.ready().then(() => {
      ready = true;
    });
    await Promise.resolve();
    expect(ready).toBe(false);
    harness.ack(1);
    // One acknowledged, one sent: still full.
    expect(harness.commits).toHaveLength(MAX_COMMITS_IN_FLIGHT + 1);
    expect(harness.commits.at(-1)?.leaves).toHaveLength(10);
    expect(harness.log.hasRoom).toBe(false);
    harness.ack(2);
    await waiting;
    expect(harness.log.hasRoom).toBe(true);
    expect(harness.tree.size).toBe(MAX_COMMITS_IN_FLIGHT + 10);
  });

  it('bytes in flight are limited too', () => {
    const harness = new Harness();
    let commits = 0;
    while (harness.log.hasRoom) {
      harness.append(1_048_576);
      commits++;
    }
    expect(commits).toBe(16);
    harness.ack(1);
    expect(harness.log.hasRoom).toBe(true);
  });

  it('more than strategies can still answer is a bug', () => {
    const harness = new Harness();
    while (harness.log.hasRoom) harness.append(1_048_576);
    expect(
      codeOf(() => {
        for (let count = 0; count < 200; count++) harness.append(1_048_576);
      }),
    ).toBe('log_full');
  });
});

describe('a stopped log', () => {
  it('signs nothing and lets nobody wait', async () => {
    const harness = new Harness(systemClock, 5);
    for (let count = 0; count < MAX_COMMITS_IN_FLIGHT; count++) harness.commit();
    harness.append();
    const ready = harness.log.ready();
    harness.log.stop();
    await ready;
    harness.log.flush();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.commits).toHaveLength(MAX_COMMITS_IN_FLIGHT);
    expect(codeOf(() => harness.append())).toBe('log_unavailable');
  });
});
