import { describe, expect, it } from 'vitest';
import { InputOrder } from '../../../wire/log-verification/input-order.ts';
import type { Gap } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';

function gap(firstMissing: number | null, count: number | null): Gap {
  return { reason: 2, firstMissing, count, instrument: null, code: null };
}

function batch(sequence: number, stream = 1): Parameters<InputOrder['addBatch']>[1] {
  return { stream, sequence, timeNs: 0n };
}

function codeOf(result: ReturnType<InputOrder['addBatch']>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

describe('the order of batches', () => {
  it('is kept for each stream', () => {
    const order = new InputOrder();
    for (const stream of [1, 2]) {
      for (let sequence = 0; sequence < 3; sequence++) {
        assertAccepted(order.addBatch(0, batch(sequence, stream)));
      }
    }
    assertAccepted(order.addGap(0, 1, gap(3, 2)));
    expect(codeOf(order.addBatch(0, batch(5, 2)))).toBe('sequence_gap');
    expect(codeOf(order.addBatch(0, batch(5, 1)))).toBe('accepted');
  });

  it('joins gaps in any order and does not use one twice', () => {
    const order = new InputOrder();
    for (const [first, count] of [
      [4, 2],
      [0, 2],
      [1, 3],
    ] as const) {
      assertAccepted(order.addGap(0, 1, gap(first, count)));
    }
    expect(codeOf(order.addBatch(0, batch(7)))).toBe('sequence_gap');
    expect(codeOf(order.addBatch(0, batch(6)))).toBe('accepted');
    expect(codeOf(order.addBatch(0, batch(8)))).toBe('sequence_gap');
  });

  it('takes a gap without numbers for nothing', () => {
    const order = new InputOrder();
    assertAccepted(order.addGap(0, 1, gap(null, null)));
    expect(codeOf(order.addBatch(0, batch(1)))).toBe('sequence_gap');
    assertAccepted(order.addGap(0, 1, gap(0, null)));
    expect(codeOf(order.addBatch(0, batch(1)))).toBe('accepted');
  });

  it('takes any number of gaps that follow one another', () => {
    const order = new InputOrder();
    for (let index = 0; index < 5000; index++) {
      assertAccepted(order.addGap(index, 1, gap(index, 1)));
    }
    expect(codeOf(order.addBatch(0, batch(5001)))).toBe('sequence_gap');
    expect(codeOf(order.addBatch(0, batch(5000)))).toBe('accepted');
  });

  it('bounds the gaps between two batches', () => {
    const order = new InputOrder();
    for (let index = 0; index < 4096; index++) {
      assertAccepted(order.addGap(index, 1, gap(10 + 2 * index, 1)));
    }
    expect(codeOf(order.addGap(9, 1, gap(0, 10)))).toBe('sequence_gap');
    expect(codeOf(order.addGap(9, 2, gap(0, 10)))).toBe('accepted');
  });
});
