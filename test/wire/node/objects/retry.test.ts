import { describe, expect, it } from 'vitest';
import { retryTransient } from '../../../../wire/node/objects/retry.ts';
import { StoreError } from '../../../../wire/node/objects/store.ts';
import { codeOf } from './contract.ts';

const POLICY = { attempts: 4, firstPauseMs: 1, longestPauseMs: 2 };

describe('trying again', () => {
  it.each([
    [3, 'none'],
    [4, 'unavailable'],
    [5, 'unavailable'],
  ])('of %i failures and four attempts: %s', async (failures, expected) => {
    let calls = 0;
    const result = retryTransient(POLICY, undefined, async () => {
      calls += 1;
      if (calls <= failures) throw new StoreError('unavailable');
      return Promise.resolve(calls);
    });
    expect(await codeOf(result)).toBe(expected);
    expect(calls).toBe(4);
  });

  it('is not done for what is final, and bugs pass through', async () => {
    let calls = 0;
    const call = (error: Error): Promise<unknown> =>
      retryTransient(POLICY, undefined, () => {
        calls += 1;
        return Promise.reject(error);
      });
    expect(await codeOf(call(new StoreError('denied')))).toBe('denied');
    await expect(call(new TypeError('a bug'))).rejects.toThrow('a bug');
    expect(calls).toBe(2);
  });

  it('draws a pause at random before each call but the first', async () => {
    let drawn = 0;
    const random = (): number => {
      drawn += 1;
      return 0;
    };
    const policy = { attempts: 6, firstPauseMs: 3_600_000, longestPauseMs: 3_600_000, random };
    const result = retryTransient(policy, undefined, () =>
      Promise.reject(new StoreError('conflict')),
    );
    // The longest pauses would not end in this test: zero is drawn, and is what counts.
    expect(await codeOf(result)).toBe('conflict');
    expect(drawn).toBe(5);
  });

  it('ends at once when it is stopped', async () => {
    const stop = new AbortController();
    const policy = { attempts: 9, firstPauseMs: 3_600_000, longestPauseMs: 3_600_000 };
    const result = retryTransient(policy, stop.signal, () => {
      queueMicrotask(() => {
        stop.abort();
      });
      return Promise.reject(new StoreError('unavailable'));
    });
    expect(await codeOf(result)).toBe('stopped');
  });
});
