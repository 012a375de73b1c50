import { describe, expect, it } from 'vitest';
import { CommitChecker } from '../../host-proxy/commit-check.ts';
import { EpochTree } from '../../host-proxy/epoch-tree.ts';
import { encodeCommit } from '../../wire/messages.ts';
import type { Commit } from '../../wire/commit.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import { LogWriter, newLogKey, signCheckpoint } from '../helpers/log-writer.ts';

function newChecker(epoch = 1): CommitChecker {
  return new CommitChecker(nodeCrypto, new EpochTree(nodeCrypto, () => null), epoch);
}

function codeOf(checker: CommitChecker, payload: Uint8Array): string {
  const checked = checker.check(payload);
  return checked.ok ? 'accepted' : checked.refusal.code;
}

/** Two good commits; the second one is changed before it is checked. */
function codeOfSecond(change: (commit: Commit, writer: LogWriter) => Partial<Commit>): string {
  const writer = new LogWriter();
  const checker = newChecker();
  expect(codeOf(checker, writer.commit())).toBe('accepted');
  writer.addInputs(3);
  const commit = writer.commitValue();
  return codeOf(checker, encodeCommit({ ...commit, ...change(commit, writer) }));
}

/** One commit with one blob, which is changed before it is checked. */
function codeWithBlobs(change: (blob: Uint8Array) => Uint8Array[]): string {
  const writer = new LogWriter();
  writer.add(KIND.input, new Uint8Array(70_000));
  const commit = writer.commitValue();
  const blobs = change(commit.blobs[0] ?? new Uint8Array());
  return codeOf(newChecker(), encodeCommit({ ...commit, blobs }));
}

describe('commit check', () => {
  it('accepts what an enclave makes, and finds outputs and the close leaf', () => {
    const writer = new LogWriter();
    const checker = newChecker();
    writer.add(KIND.output, new Uint8Array(10));
    writer.add(KIND.input, new Uint8Array(70_000));
    const first = checker.check(writer.commit());
    expect(first).toMatchObject({ ok: true, value: { size: 3, outputs: [1], closed: false } });
    writer.add(KIND.close, new Uint8Array(3));
    const second = checker.check(writer.commit());
    expect(second).toMatchObject({ ok: true, value: { size: 4, outputs: [], closed: true } });
    expect(checker.header?.origin).toBe(writer.header.origin);
  });

  it.each<[string, string, (commit: Commit, writer: LogWriter) => Partial<Commit>]>([
    ['nothing', 'accepted', () => ({})],
    ['another epoch', 'commit_mismatch', () => ({ epoch: 2 })],
    ['an index too low', 'commit_mismatch', () => ({ firstIndex: 0 })],
    ['an index too high', 'commit_mismatch', () => ({ firstIndex: 2 })],
    ['a leaf less', 'commit_mismatch', ({ leaves }) => ({ leaves: leaves.slice(1) })],
    ['leaves swapped', 'root_mismatch', ({ leaves }) => ({ leaves: leaves.toReversed() })],
    [
      'a leaf that is none',
      'cbor_truncated',
      ({ leaves }) => ({ leaves: leaves.map(() => Uint8Array.of(0xa1)) }),
    ],
    ['a blob that no leaf names', 'blob_mismatch', () => ({ blobs: [new Uint8Array(9)] })],
    [
      'a note of another key',
      'note_signature',
      (_, writer) => ({
        note: signCheckpoint(writer.header.origin, 4, writer.root(), newLogKey()),
      }),
    ],
    [
      'a note of another origin',
      'note_signature',
      (_, writer) => ({
        note: signCheckpoint('trackseal.test/other/e0000000001', 4, writer.root(), writer.key),
      }),
    ],
    [
      'a signed note of another size',
      'commit_mismatch',
      (_, writer) => ({
        note: signCheckpoint(writer.header.origin, 5, writer.root(), writer.key),
      }),
    ],
    [
      'a signed note of the right root for another size and index',
      'commit_mismatch',
      (_, writer) => ({
        firstIndex: 7,
        note: signCheckpoint(writer.header.origin, 10, writer.root(), writer.key),
      }),
    ],
    [
      'a signed note of another root',
      'root_mismatch',
      (_, writer) => ({
        note: signCheckpoint(writer.header.origin, 4, new Uint8Array(32), writer.key),
      }),
    ],
  ])('with %s: %s', (_, code, change) => {
    expect(codeOfSecond(change)).toBe(code);
  });

  it('refuses all that comes after a refusal', () => {
    const writer = new LogWriter();
    const checker = newChecker();
    const good = writer.commit();
    expect(codeOf(checker, Uint8Array.of(0))).not.toBe('accepted');
    expect(codeOf(checker, good)).toBe('commit_mismatch');
  });

  it('refuses a first leaf that is no header, or one of another epoch', () => {
    const writer = new LogWriter();
    writer.addInputs(1);
    const { leaves, ...rest } = writer.commitValue();
    const swapped = encodeCommit({ ...rest, leaves: leaves.toReversed() });
    expect(codeOf(newChecker(), swapped)).toBe('header_mismatch');
    const other = new LogWriter(2).commitValue({ epoch: 1 });
    expect(codeOf(newChecker(), encodeCommit(other))).toBe('header_mismatch');
  });

  it('refuses a missing and a wrong blob', () => {
    expect(codeWithBlobs((blob) => [blob])).toBe('accepted');
    expect(codeWithBlobs(() => [])).toBe('blob_missing');
    expect(codeWithBlobs((blob) => [blob.map((byte) => byte ^ 1)])).toBe('blob_mismatch');
    expect(codeWithBlobs((blob) => [blob, blob])).toBe('blob_mismatch');
  });

  it('refuses a leaf after the close leaf, in the same commit and in the next', () => {
    const same = new LogWriter();
    same.add(KIND.close, new Uint8Array(3));
    same.addInputs(1);
    expect(codeOf(newChecker(), same.commit())).toBe('leaf_after_close');
    const next = new LogWriter();
    next.add(KIND.close, new Uint8Array(3));
    const checker = newChecker();
    expect(codeOf(checker, next.commit())).toBe('accepted');
    next.addInputs(1);
    expect(codeOf(checker, next.commit())).toBe('leaf_after_close');
  });
});

describe('epoch tree', () => {
  it('has the nodes and tiles of a whole tree, and asks for what it has forgotten', () => {
    const whole = new MemoryTree(nodeCrypto);
    const asked: string[] = [];
    const tree = new EpochTree(nodeCrypto, (level, index) => {
      asked.push(`${level}/${index}`);
      return null;
    });
    for (let index = 0; index < 70_000; index++) {
      const hash = leafHash(nodeCrypto, Uint8Array.of(index, index >> 8, index >> 16));
      whole.append(hash);
      tree.append(hash);
    }
    for (const [level, index] of [
      [0, 0],
      [0, 69_999],
      [3, 8749],
      [3, 8750],
      [7, 546],
      [8, 272],
      [8, 273],
      [16, 0],
      [16, 1],
      [15, 1],
    ] as const) {
      expect(tree.node(level, index)).toEqual(whole.node(level, index));
    }
    expect(tree.root()).toEqual(whole.root());
    expect(asked).toEqual([]);
    tree.forget(0, 3);
    expect(tree.node(4, 50)).toBeNull();
    expect(asked).toEqual(['0/3']);
  });
});
