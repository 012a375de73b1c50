import type { ServerUnaryCall } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { UnaryHandler } from '../../../../enclave/ledger/grpc/calls.ts';
import { unaryHandler } from '../../../../enclave/ledger/grpc/calls.ts';
import {
  AGE_GRACE_MS,
  MAX_CALL_MS,
  MAX_SYNC_MS,
  MAX_SYNC_STREAM_MS,
} from '../../../../enclave/ledger/grpc/limits.ts';
import { createGuard } from '../../../../enclave/fatal.ts';
import { enclaveService } from '../../../../wire/grpc/services.ts';
import type { Result } from '../../../../wire/result.ts';

/** Work that minds nothing. */
function endless(maxMs?: number): UnaryHandler {
  return unaryHandler(
    {
      method: enclaveService.methods.healthCheck,
      parse: () => ({ ok: true, value: null }),
      ask: () => new Promise<Result<null>>(() => undefined),
      answer: () => ({
        status: 0,
        enclave: true,
        version: '',
        uptime: '0',
        origin: '',
        stored: false,
      }),
      ...(maxMs === undefined ? {} : { maxMs }),
    },
    {
      guard: createGuard((code) => {
        throw new Error(code);
      }),
      ended: () => undefined,
    },
  );
}

/** A call with a deadline of its client; ends with the code of its status. */
function callOf(handler: UnaryHandler, deadlineMs: number): { code: number | null } {
  const call = {
    request: new Uint8Array(0),
    getDeadline: () => new Date(Date.now() + deadlineMs),
    once: () => undefined,
    off: () => undefined,
  } as unknown as ServerUnaryCall<Uint8Array, Uint8Array>;
  const ended: { code: number | null } = { code: null };
  handler(call, (error) => {
    ended.code = error !== null && 'code' in error ? (error.code ?? 0) : 0;
  });
  return ended;
}

const DEADLINE_EXCEEDED = 4;

it('a connection that is as old as it may be waits for the longest call', () => {
  expect(AGE_GRACE_MS).toBeGreaterThanOrEqual(MAX_SYNC_STREAM_MS);
});

describe('a call ends, whatever its work does,', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    [
      'after what calls may take, of a client that would wait for ever',
      endless(),
      1e9,
      MAX_CALL_MS,
    ],
    ['after what a sync may take', endless(MAX_SYNC_MS), 1e9, MAX_SYNC_MS],
    ['with the deadline of its client, if that is sooner', endless(MAX_SYNC_MS), 5000, 5000],
  ])('%s', async (_, handler, deadlineMs, endsMs) => {
    const ended = callOf(handler, deadlineMs);
    await vi.advanceTimersByTimeAsync(endsMs - 1);
    expect(ended.code).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended.code).toBe(DEADLINE_EXCEEDED);
  });
});
