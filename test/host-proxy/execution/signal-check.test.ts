import { describe, expect, it } from 'vitest';
import type { LogReader } from '../../../host-proxy/epoch-log.ts';
import { checkRelease } from '../../../host-proxy/execution/signal-check.ts';
import { toHex } from '../../../wire/bytes.ts';
import { encodePublicLeaf, KIND, LABEL } from '../../../wire/leaf.ts';
import type { Release } from '../../../wire/messages.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { encodeSignal } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { signalOf, TestLog } from './support.ts';

function verdict(log: LogReader, release: Release): string {
  const result = checkRelease(nodeCrypto, log, release);
  return result.ok ? 'accepted' : result.refusal.code;
}

/** Two inputs, an output, two more leaves. */
function sample(): { log: TestLog; release: Release } {
  const log = new TestLog();
  log.fill();
  log.fill();
  const release = log.signal(signalOf({ causes: [0, 1] }));
  log.fill();
  log.fill();
  return { log, release };
}

describe('check of a released signal', () => {
  it('accepts what is in the log, and names the order after its leaf', () => {
    const { log, release } = sample();
    const logged = assertAccepted(checkRelease(nodeCrypto, log, release));
    const hash = leafHash(nodeCrypto, log.leaves[2] ?? new Uint8Array());
    expect(logged).toMatchObject({
      leafIndex: 2,
      clientOrderId: `ts${toHex(hash).slice(0, 16)}`,
      signal: { quantity: 10, causes: [0, 1] },
    });
  });

  it.each([5, 1000])('refuses leaf %i, which the log does not have', (leafIndex) => {
    const { log, release } = sample();
    expect(verdict(log, { ...release, leafIndex })).toBe('signal_not_logged');
  });

  it('refuses a leaf that has no inclusion proof yet', () => {
    const { log, release } = sample();
    const reader: LogReader = { leaf: (index) => log.leaf(index), inclusion: () => null };
    expect(verdict(reader, release)).toBe('signal_not_logged');
  });

  it('refuses a leaf of another kind', () => {
    const { log } = sample();
    const header = {
      kind: KIND.input,
      timeNs: 1n,
      stream: 1,
      label: LABEL.host,
      sequence: 0,
      causes: [],
    };
    const salt = new Uint8Array(16);
    const plaintext = encodeSignal(signalOf());
    const { bytes } = encodePublicLeaf(nodeCrypto, header, salt, plaintext);
    const leafIndex = log.append(bytes);
    expect(verdict(log, { leafIndex, salt, plaintext })).toBe('signal_not_logged');
  });

  it('refuses a leaf that is none', () => {
    const { log, release } = sample();
    expect(verdict(log, { ...release, leafIndex: 0 })).toBe('leaf_malformed');
  });

  it('refuses another salt or plaintext than the logged one, every byte of it', () => {
    const { log, release } = sample();
    for (const field of ['salt', 'plaintext'] as const) {
      for (let index = 0; index < release[field].length; index++) {
        const changed = new Uint8Array(release[field]);
        changed[index] = (changed[index] ?? 0) ^ 1;
        expect(verdict(log, { ...release, [field]: changed })).toBe('leaf_digest_mismatch');
      }
    }
  });

  it('refuses the plaintext of another signal of the log', () => {
    const { log, release } = sample();
    const other = log.signal(signalOf({ id: 1 }));
    expect(verdict(log, { ...release, leafIndex: other.leafIndex })).toBe('leaf_digest_mismatch');
  });

  it('refuses when the proof does not lead to the acknowledged root', () => {
    const { log, release } = sample();
    const answer = log.inclusion(2);
    if (answer === null) throw new Error('the leaf is in the log');
    const root = new Uint8Array(answer.root);
    root[0] = (root[0] ?? 0) ^ 1;
    const broken = [
      { ...answer, root },
      { ...answer, proof: answer.proof.slice(1) },
      { ...answer, size: 4 },
      { ...answer, size: 2 },
    ];
    for (const inclusion of broken) {
      const reader: LogReader = { leaf: (index) => log.leaf(index), inclusion: () => inclusion };
      expect(verdict(reader, release)).toBe('inclusion_invalid');
    }
  });

  it('refuses a logged output that is no signal, or that names other causes', () => {
    const { log } = sample();
    expect(verdict(log, log.output(Uint8Array.of(1), []))).toBe('signal_malformed');
    const plaintext = encodeSignal(signalOf({ causes: [0, 1] }));
    expect(verdict(log, log.output(plaintext, [0]))).toBe('signal_malformed');
    expect(verdict(log, log.output(plaintext, [0, 2]))).toBe('signal_malformed');
    expect(verdict(log, log.output(plaintext, [0, 1]))).toBe('accepted');
  });
});
