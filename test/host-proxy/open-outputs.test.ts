import { describe, expect, it } from 'vitest';
import { OpenOutputs } from '../../host-proxy/open-outputs.ts';

function newOutputs(): OpenOutputs {
  const outputs = new OpenOutputs();
  for (const index of [3, 7, 9, 12]) outputs.add(index, `ts${index}`);
  return outputs;
}

describe('open outputs', () => {
  it('are forgotten when they are released and reported, and their leaf is published', () => {
    const outputs = newOutputs();
    for (const index of [3, 9, 12]) outputs.released(index);
    for (const index of [7, 9, 12]) outputs.reported(index);
    outputs.close(12);
    expect(outputs.list).toEqual([
      { index: 3, clientOrderId: 'ts3', released: true, reported: false },
      { index: 7, clientOrderId: 'ts7', released: false, reported: true },
      { index: 12, clientOrderId: 'ts12', released: true, reported: true },
    ]);
    expect(outputs.lastClosed).toBe(9);
    outputs.close(13);
    expect(outputs.list.map(({ index }) => index)).toEqual([3, 7]);
    expect(outputs.lastClosed).toBe(12);
    outputs.reported(3);
    outputs.close(13);
    expect(outputs.lastClosed).toBe(12);
  });

  it('are unreleased until they are released, whatever else is known of them', () => {
    const outputs = newOutputs();
    outputs.reported(7);
    outputs.released(9);
    outputs.close(100);
    expect([...outputs.unreleased]).toEqual([3, 7, 12]);
    // Nobody knows of them.
    outputs.released(1000);
    outputs.reported(1000);
    expect(outputs.list).toHaveLength(4);
  });
});
