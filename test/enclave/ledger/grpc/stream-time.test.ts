// How long the stream of a call may be there. It holds one of a client's places: without a timer of its own, requests that
// drip in would hold all of them for as long as their connections live. A sync waits for a poll of the schedule, and a watch
// for as long as its connection: what bounds other calls would cut both off.

import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  KEEPALIVE_TIMEOUT_MS,
  MAX_STREAM_MS,
  MAX_SYNC_MS,
  MAX_SYNC_STREAM_MS,
} from '../../../../enclave/ledger/grpc/limits.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { openGrpcScene } from '../../../helpers/grpc-scene.ts';

const METRICS = '/enclave.EnclaveService/GetAggregatedMetrics';
const SYNC = '/enclave.EnclaveService/ProcessSyncJob';
const WATCH = '/grpc.health.v1.Health/Watch';
/** A message of three bytes: of the user `u`. */
const USER = Buffer.from([0, 0, 0, 0, 3, 0x0a, 1, 0x75]);
const EMPTY = Buffer.alloc(5);

/** Each step is shorter than what a keepalive of the server waits for its answer. */
const STEP_MS = KEEPALIVE_TIMEOUT_MS / 2;

let scene: GrpcScene;
let session: ClientHttp2Session;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  scene = await openGrpcScene();
  session = connectHttp2('http://localhost', { createConnection: () => connect(scene.path) });
  session.on('error', () => undefined);
  await once(session, 'connect');
});

afterEach(async () => {
  session.destroy();
  await scene.close();
  vi.useRealTimers();
  if (scene.fatal.length > 0) throw new Error(`the ledger ended: ${scene.fatal.join()}`);
});

/** What either side had sent has then arrived. */
function roundTrip(): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping((error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    await vi.advanceTimersByTimeAsync(Math.min(left, STEP_MS));
    // The second one is behind our answer to a PING of the server.
    await roundTrip();
    await roundTrip();
  }
}

async function request(path: string): Promise<ClientHttp2Stream> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  await roundTrip();
  expect(scene.service.counters['grpc_streams']).toBe(1);
  return stream;
}

describe('the stream of a call', () => {
  it.each([
    ['of figures', METRICS, MAX_STREAM_MS],
    ['of a sync', SYNC, MAX_SYNC_STREAM_MS],
  ])('%s is cut off when its request does not end, and its place is free', async (_, path, ms) => {
    const stream = await request(path);
    stream.write(USER.subarray(0, 6));
    await pass(ms - 1);
    expect(stream.closed).toBe(false);
    expect(scene.service.counters['grpc_streams']).toBe(1);
    await pass(1);
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(scene.service.counters['grpc_streams']).toBe(0);
    expect(scene.track.asked).toEqual([]);
  });

  it('of a sync is there until its poll has come, however late', async () => {
    const poll = Promise.withResolvers<null>();
    scene.track.wait = async () => {
      await poll.promise;
    };
    const stream = await request(SYNC);
    stream.resume();
    const trailers = new Promise<Readonly<Record<string, unknown>>>((resolve) => {
      stream.once('trailers', resolve);
    });
    stream.end(USER);
    await pass(MAX_SYNC_MS - 1);
    expect(scene.track.asked).toHaveLength(1);
    expect(stream.closed).toBe(false);
    poll.resolve(null);
    expect(await trailers).toMatchObject({ 'grpc-status': '0' });
  });

  it('of a watch stays longer than that of any call', async () => {
    const stream = await request(WATCH);
    stream.resume();
    stream.end(EMPTY);
    await pass(MAX_SYNC_STREAM_MS + 1);
    expect(stream.closed).toBe(false);
  });
});
