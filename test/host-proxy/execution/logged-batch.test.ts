import { describe, expect, it } from 'vitest';
import { loggedBatch } from '../../../host-proxy/execution/logged-batch.ts';
import { BatchMemory } from '../../../wire/batch.ts';
import type { Kind, Label } from '../../../wire/leaf.ts';
import { encodePublicLeaf, KIND, LABEL } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { encodedBatches, snapshot, TestLog, trade } from './support.ts';

const [FIRST, SECOND] = encodedBatches([[snapshot(1, [[99, 1]], [[101, 1]])], [trade(2, 100, 7)]]);

function logOf(kind: Kind, label: Label, plaintext: Uint8Array): TestLog {
  const log = new TestLog();
  const head = { kind, timeNs: 1n, stream: 1, label, sequence: 0, causes: [] };
  log.append(encodePublicLeaf(nodeCrypto, head, new Uint8Array(16), plaintext).bytes);
  return log;
}

function played(log: TestLog, sequence = 1, leafIndex = 0, stream = 1): number | null {
  const progress = { stream, sequence, leafIndex, acknowledgedSize: 1 };
  return loggedBatch(log, progress, new BatchMemory())?.rows ?? null;
}

describe('a batch out of the log', () => {
  const bytes = SECOND?.bytes ?? new Uint8Array();

  it('is the one of the leaf that PROGRESS names', () => {
    expect(played(logOf(KIND.input, LABEL.tls, bytes))).toBe(1);
  });

  it.each([
    ['of the host’s own feed', logOf(KIND.input, LABEL.host, bytes), undefined],
    ['of another kind', logOf(KIND.gap, LABEL.tls, bytes), undefined],
    ['with another batch', logOf(KIND.input, LABEL.tls, FIRST?.bytes ?? bytes), undefined],
    ['with nonsense', logOf(KIND.input, LABEL.tls, Uint8Array.of(1)), undefined],
    ['that is not there', logOf(KIND.input, LABEL.tls, bytes), 1],
  ])('is nothing for a leaf %s', (_, log, leafIndex) => {
    expect(played(log, 1, leafIndex)).toBeNull();
  });

  it('is nothing for another stream or sequence', () => {
    const log = logOf(KIND.input, LABEL.tls, bytes);
    expect(played(log, 2)).toBeNull();
    expect(played(log, 1, 0, 2)).toBeNull();
  });
});
