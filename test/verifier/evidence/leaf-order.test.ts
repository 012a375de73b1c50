import { describe, expect, it } from 'vitest';
import { LeafOrder } from '../../../verifier/evidence/leaf-order.ts';
import type { Leaf } from '../../../wire/leaf.ts';
import { KIND, LABEL } from '../../../wire/leaf.ts';

function leaf(changes: Partial<Leaf>): Leaf {
  return {
    kind: KIND.heartbeat,
    timeNs: 5n,
    stream: 0,
    label: LABEL.enclave,
    sequence: 0,
    causes: [],
    digest: new Uint8Array(32),
    body: { form: 'public', salt: new Uint8Array(16), plaintext: new Uint8Array() },
    ...changes,
  };
}

const FIRST = [
  [0, { kind: KIND.header }],
  [1, { kind: KIND.attestation, sequence: 1 }],
] as const;

function codeOf(...leaves: readonly (readonly [number, Partial<Leaf>])[]): string {
  const order = new LeafOrder();
  for (const [index, changes] of leaves) {
    const added = order.add(index, leaf(changes));
    if (!added.ok) return added.refusal.code;
  }
  return 'accepted';
}

describe('leaves of one log, with others missing between them,', () => {
  it.each<[string, string, readonly (readonly [number, Partial<Leaf>])[]]>([
    ['follow one another', 'accepted', [[2, { sequence: 2 }]]],
    ['may have the same time', 'accepted', [[2, { sequence: 2, timeNs: 5n }]]],
    ['cannot go back in time', 'time_backwards', [[2, { sequence: 2, timeNs: 4n }]]],
    ['cannot skip a number where none is missing', 'sequence_gap', [[2, { sequence: 3 }]]],
    ['may skip numbers where some are missing', 'accepted', [[7, { sequence: 3 }]]],
    ['cannot repeat a number', 'sequence_gap', [[7, { sequence: 1 }]]],
    [
      'begin a stream at 0 where none is missing',
      'sequence_gap',
      [[2, { stream: 9, sequence: 1 }]],
    ],
    ['may begin a stream later', 'accepted', [[5, { stream: 9, sequence: 1 }]]],
    ['cannot name later causes', 'cause_invalid', [[2, { sequence: 2, causes: [2] }]]],
    ['may name earlier causes', 'accepted', [[2, { sequence: 2, causes: [1] }]]],
    ['have one header', 'leaf_misplaced', [[2, { kind: KIND.header, sequence: 2 }]]],
  ])('%s: %s', (_, code, more) => {
    expect(codeOf(...FIRST, ...more)).toBe(code);
  });

  it('begin with header and attestation', () => {
    expect(codeOf([0, {}])).toBe('leaf_misplaced');
    expect(codeOf([0, { kind: KIND.attestation }])).toBe('leaf_misplaced');
  });
});
