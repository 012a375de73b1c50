import { describe, expect, it } from 'vitest';
import type { NsmDevice } from '../../../enclave/nsm/nsm.ts';
import { Nsm } from '../../../enclave/nsm/nsm.ts';
import { encodeCbor } from '../../../wire/cbor.ts';

const answer = encodeCbor(new Map([['GetRandom', new Map([['random', new Uint8Array(4)]])]]));

function device(request: NsmDevice['request']): Nsm {
  return new Nsm({ request });
}

describe('Nsm', () => {
  it('sends one request at a time, in order', async () => {
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const nsm = device(async (bytes) => {
      most = Math.max(most, ++running);
      order.push(bytes.length);
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
      running--;
      return answer;
    });
    await Promise.all([nsm.random(), nsm.describe(), nsm.random(), nsm.lockPcrs(32)]);
    expect(most).toBe(1);
    expect(order).toEqual([10, 12, 10, 19]);
  });

  it('turns a failing device into a refusal, and goes on', async () => {
    let calls = 0;
    const nsm = device(() => {
      calls++;
      if (calls === 1) {
        return Promise.reject(Object.assign(new Error('no device'), { code: 'ENOENT' }));
      }
      if (calls === 2) throw new Error('secret');
      return Promise.resolve(answer);
    });
    expect(await nsm.random()).toEqual({
      ok: false,
      refusal: { code: 'nsm_unavailable', detail: { system: 'ENOENT' } },
    });
    expect(await nsm.random()).toEqual({
      ok: false,
      refusal: { code: 'nsm_unavailable', detail: { system: 'unknown' } },
    });
    expect((await nsm.random()).ok).toBe(true);
  });

  it('never sends more than the driver takes', async () => {
    const sizes: number[] = [];
    const nsm = device((bytes) => {
      sizes.push(bytes.length);
      return Promise.resolve(answer);
    });
    // 27 bytes: maps, names, index and the head of the data.
    const extend = (length: number): Promise<unknown> => nsm.extendPcr(16, new Uint8Array(length));
    await extend(0x1000 - 27);
    expect(await extend(0x1000 - 26)).toMatchObject({
      refusal: { code: 'nsm_error', detail: { error: 'InputTooLarge' } },
    });
    expect(sizes).toEqual([0x1000]);
  });
});
