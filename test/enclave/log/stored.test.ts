// The log under policy s3: a commit counts when host and bucket have it.

import { describe, expect, it } from 'vitest';
import { Clock, systemClock } from '../../../enclave/clock.ts';
import { fatalCode } from '../../../enclave/fatal.ts';
import { generateLogKey } from '../../../enclave/keys.ts';
import { LogWriter } from '../../../enclave/log/writer.ts';
import { parseCommit } from '../../../wire/commit.ts';
import { encodeAck } from '../../../wire/messages.ts';
import { KIND, LABEL } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash, MemoryTree } from '../../../wire/tlog/merkle.ts';

const EPOCH = 3;

class Harness {
  readonly log: LogWriter;
  /** Sizes at the ends of commits: sent, given to the bucket, counted. */
  readonly sent: number[] = [];
  readonly stored: number[] = [];
  readonly counted: number[] = [];
  readonly #tree = new MemoryTree(nodeCrypto);

  constructor() {
    this.log = new LogWriter({
      crypto: nodeCrypto,
      clock: new Clock(systemClock),
      origin: 'trackseal.test/log/e0000000003',
      epoch: EPOCH,
      key: generateLogKey(),
      disclosureKey: new Uint8Array(32),
      commitMs: 60_000,
      stallMs: 60_000,
      onStalled: () => undefined,
      send: (bytes) => {
        for (const leaf of assertAccepted(parseCommit(bytes)).leaves) {
          this.#tree.append(leafHash(nodeCrypto, leaf));
        }
        this.sent.push(this.#tree.size);
      },
      store: (bytes, size) => {
        const { firstIndex, leaves } = assertAccepted(parseCommit(bytes));
        this.stored.push(firstIndex + leaves.length === size ? size : -1);
      },
      onAcknowledged: ({ size }) => this.counted.push(size),
      onTimer: (work) => {
        work();
      },
    });
  }

  /** One leaf, in a commit of its own as soon as sharing allows it. */
  leaf(): void {
    const plaintext = new Uint8Array(8);
    this.log.append({ kind: KIND.input, stream: 1, label: LABEL.host, causes: [], plaintext });
    this.log.flushShared();
  }

  ack(size: number): void {
    this.log.receiveAck(encodeAck({ epoch: EPOCH, size, root: this.#tree.root(size) }));
  }

  codeOf(work: () => void): string | null {
    try {
      work();
    } catch (error) {
      return fatalCode(error);
    }
    return null;
  }
}

describe('a commit under policy s3', () => {
  it('goes to the bucket when the host has it, and counts when the bucket has it', () => {
    const harness = new Harness();
    for (let count = 0; count < 3; count++) harness.leaf();
    expect(harness.sent).toEqual([1, 2, 3]);
    expect(harness.stored).toEqual([]);
    harness.ack(2);
    expect(harness.stored).toEqual([1, 2]);
    expect(harness.log.acknowledged).toBeNull();
    harness.log.receiveStored(1);
    expect(harness.counted).toEqual([1]);
    harness.ack(3);
    harness.log.receiveStored(3);
    expect(harness.counted).toEqual([1, 3]);
    expect(harness.log.acknowledged?.size).toBe(3);
  });

  it('is not acknowledged twice, nor stored before the host has it', () => {
    const harness = new Harness();
    for (let count = 0; count < 3; count++) harness.leaf();
    harness.ack(2);
    harness.ack(2);
    expect(harness.stored).toEqual([1, 2]);
    expect(harness.codeOf(() => harness.ack(1))).toBe('ack_unknown');
    expect(harness.codeOf(() => harness.log.receiveStored(3))).toBe('internal');
    expect(harness.codeOf(() => harness.log.receiveStored(9))).toBe('internal');
    expect(harness.counted).toEqual([]);
  });
});

describe('leaves that come while the bucket is slow', () => {
  it('have their own commits up to 32, share the next one, and the next object waits for it', () => {
    const harness = new Harness();
    for (let size = 1; size <= 31; size++) {
      harness.leaf();
      harness.ack(size);
    }
    expect(harness.log.receiveStored(1)).toBe(0);
    for (let size = 32; size <= 33; size++) {
      harness.leaf();
      harness.ack(size);
    }
    expect(harness.sent).toHaveLength(33);
    for (let count = 0; count < 5; count++) harness.leaf();
    expect(harness.sent).toHaveLength(33);
    expect(harness.log.receiveStored(20)).toBe(38);
    expect(harness.sent.slice(33)).toEqual([38]);
    harness.ack(38);
    expect(harness.log.receiveStored(38)).toBe(0);
    expect(harness.counted).toEqual([1, 20, 38]);
  });

  it('are not taken at all beyond 64 commits', () => {
    const harness = new Harness();
    for (let size = 1; size <= 64; size++) {
      harness.log.append({
        kind: KIND.input,
        stream: 1,
        label: LABEL.host,
        causes: [],
        plaintext: new Uint8Array(8),
      });
      harness.log.flush();
      expect(harness.log.hasRoom).toBe(size < 64);
      harness.ack(size);
    }
    expect(harness.log.hasRoom).toBe(false);
    harness.log.receiveStored(1);
    expect(harness.log.hasRoom).toBe(true);
  });
});
