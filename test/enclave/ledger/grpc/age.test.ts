// A connection that has reached its age takes no more calls; a sync that waits for a poll comes to its end on it, and a watch
// ends, so that its client finds a place for the next connection.

import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type * as Limits from '../../../../enclave/ledger/grpc/limits.ts';
import { MAX_CALL_MS, MAX_CONNECTIONS_PER_CLIENT } from '../../../../enclave/ledger/grpc/limits.ts';
import type { GrpcScene } from '../../../helpers/grpc-scene.ts';
import { openGrpcScene } from '../../../helpers/grpc-scene.ts';

// In place of nearly an hour, and of minutes.
vi.mock('../../../../enclave/ledger/grpc/limits.ts', async (load) => {
  const limits = await load<typeof Limits>();
  return { ...limits, MAX_AGE_MS: 200, AGE_GRACE_MS: limits.AGE_GRACE_MS / 50, WATCH_MS: 20 };
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

function open(): ClientHttp2Session {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(scene.path) });
  session.on('error', () => undefined);
  return session;
}

function ask(session: ClientHttp2Session, path: string, body: Buffer): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  stream.resume();
  stream.end(body);
  return stream;
}

it('a sync under way outlives the age of its connection', async () => {
  const poll = Promise.withResolvers<null>();
  scene.track.wait = async () => {
    await poll.promise;
  };
  const session = open();
  const old = once(session, 'goaway');
  const stream = ask(session, '/enclave.EnclaveService/ProcessSyncJob', USER);
  const trailers = once(stream, 'trailers');
  await old;
  await sleep(LATER_MS);
  expect(scene.track.asked).toHaveLength(1);
  expect(stream.closed).toBe(false);
  poll.resolve(null);
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
  session.destroy();
});

function watched(): readonly [ClientHttp2Session, ClientHttp2Stream] {
  const session = open();
  return [session, ask(session, '/grpc.health.v1.Health/Watch', Buffer.alloc(5))];
}

it('watches end with it, and their places are there for the connections that come instead', async () => {
  const all = Array.from({ length: MAX_CONNECTIONS_PER_CLIENT }, watched);
  await Promise.all(all.map(([, stream]) => once(stream, 'response')));
  const places = all.map(([session]) => once(session, 'close'));
  const ended = await Promise.all(all.map(([, stream]) => once(stream, 'trailers')));
  for (const [headers] of ended) expect(headers).toMatchObject({ 'grpc-status': '0' });
  await Promise.all(places);
  // Ours may be closed a moment before the service knows it.
  const isIn = async ([session, stream]: ReturnType<typeof watched>): Promise<boolean> => {
    const answered = once(stream, 'response').then(() => true);
    const isAnswered = await Promise.race([answered, once(session, 'close').then(() => false)]);
    session.destroy();
    return isAnswered;
  };
  while (!(await isIn(watched()))) await sleep(20);
}, 10_000);
