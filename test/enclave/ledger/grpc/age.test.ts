// A connection that has reached its age takes no more calls; a sync that waits for a poll comes to its end on it.

import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type * as Limits from '../../../../enclave/ledger/grpc/limits.ts';
import { MAX_CALL_MS } from '../../../../enclave/ledger/grpc/limits.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { openGrpcScene } from '../../../helpers/grpc-scene.ts';

// In place of nearly an hour, and of minutes.
vi.mock('../../../../enclave/ledger/grpc/limits.ts', async (load) => {
  const limits = await load<typeof Limits>();
  return { ...limits, MAX_AGE_MS: 200, AGE_GRACE_MS: limits.AGE_GRACE_MS / 50 };
});

/** A message of three bytes: of the user `u`. */
const USER = Buffer.from([0, 0, 0, 0, 3, 0x0a, 1, 0x75]);
/** Longer than other calls may take, as much shorter as the rest. */
const LATER_MS = (1.5 * MAX_CALL_MS) / 50;

let scene: GrpcScene;

beforeEach(async () => {
  scene = await openGrpcScene();
});
afterEach(() => scene.close());

it('a sync under way outlives the age of its connection', async () => {
  const poll = Promise.withResolvers<null>();
  scene.track.wait = async () => {
    await poll.promise;
  };
  const session = connectHttp2('http://localhost', { createConnection: () => connect(scene.path) });
  session.on('error', () => undefined);
  const old = once(session, 'goaway');
  const stream = session.request({
    ':method': 'POST',
    ':path': '/enclave.EnclaveService/ProcessSyncJob',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const trailers = once(stream, 'trailers');
  stream.resume();
  stream.end(USER);
  await old;
  await sleep(LATER_MS);
  expect(scene.track.asked).toHaveLength(1);
  expect(stream.closed).toBe(false);
  poll.resolve(null);
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
  session.destroy();
});
