// The ledger as the image starts it: its bundle and Node under the launcher's filter for its user, handed to a desk that
// polls the simulated exchange. What the filter kills would show as a ledger that ends, again and again.

import { rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleImage } from '../../../eif/build/bundles.ts';
import { ledgerFlags } from '../../../enclave/child-flags.ts';
import { deskStarter } from '../../../enclave/desk-process.ts';
import type { RunningDesk } from '../../../enclave/desk-link.ts';
import { ledgerScene } from '../../helpers/ledger-scene.ts';
import type { LaunchPrograms } from './program.ts';
import { makePrograms, whyNot } from './program.ts';

const missing = whyNot();
if (missing !== null) console.log(`launcher of the ledger not tested: ${missing}`);

const SOCKET = `ts-ledger-${process.pid}`;

describe.skipIf(missing !== null)('the launcher of the ledger', () => {
  let programs: LaunchPrograms;
  let desk: RunningDesk;
  const arrived: Socket[] = [];
  const waiting: ((stream: Socket) => void)[] = [];
  const server = createServer((stream) => {
    arrived.push(stream);
    waiting.shift()?.(stream);
  });

  beforeAll(async () => {
    programs = await makePrograms();
    const { folder, launcher, node } = programs;
    const bundle = (await bundleImage()).find(({ name }) => name === 'ledger.mjs');
    writeFileSync(join(folder, 'ledger.mjs'), bundle?.bytes ?? '');
    writeFileSync(join(folder, 'idle.mjs'), 'setInterval(() => undefined, 1000);');
    await new Promise<void>((resolve) => server.listen(`\0${SOCKET}-ledger`, resolve));
    const program = { execPath: node, launcher };
    const idle = { ...program, flags: [], path: join(folder, 'idle.mjs') };
    desk = deskStarter({
      desk: idle,
      connector: idle,
      ledger: { ...program, flags: ledgerFlags(), path: join(folder, 'ledger.mjs') },
      socket: `@${SOCKET}`,
      address: 'vsock:1',
    })();
  });
  afterAll(async () => {
    await desk.stop();
    server.close();
    rmSync(programs.folder, { recursive: true });
  });

  it('lets it hear a poll, and another do so when it is gone', async () => {
    const scene = await ledgerScene({
      spawnLedger: () => {
        desk.spawn('ledger');
        return new Promise((resolve) => waiting.push(resolve));
      },
    });
    await scene.until(() => scene.ledger.counters['ledger_running'] === 1);
    const answer = scene.exchange.control.account({ venue: 'binance' });
    scene.exchange.control.deposit({ account: answer.account, currency: 'USDT', amount: '1000' });
    scene.polling.add(scene.account(answer, 'binance'), null);
    await scene.untilPolls(1);
    await scene.until(() => scene.ledger.counters['ledger_polls_kept'] === 0);
    // One at a time: the second starts when the first is gone, and it is told nothing that was taken.
    arrived[0]?.destroy();
    await scene.until(() => scene.ledger.counters['ledger_started'] === 2, 500);
    await scene.until(() => scene.ledger.counters['ledger_running'] === 1);
    await scene.until(() => scene.polls.length >= 2, 10_000);
    await scene.until(() => scene.ledger.counters['ledger_polls_kept'] === 0);
    expect(scene.ledger.counters['ledger_started']).toBe(2);
  });

  it('lets it answer gRPC', async () => {
    // There is one at a time.
    for (const stream of arrived) stream.destroy();
    const scene = await ledgerScene({
      spawnLedger: () => {
        desk.spawn('ledger');
        return new Promise((resolve) => waiting.push(resolve));
      },
    });
    await scene.until(() => scene.ledger.counters['ledger_running'] === 1);
    const stream = scene.ledger.openGrpc(new Uint8Array(32).fill(7));
    if (stream === null) throw new Error('no ledger');
    const session = connect('http://localhost', { createConnection: () => stream });
    session.on('error', () => undefined);
    const asked = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    // An empty message: the server as a whole.
    asked.end(Buffer.alloc(5));
    const trailers = await new Promise<Readonly<Record<string, unknown>>>((resolve) => {
      asked.once('trailers', resolve);
      asked.once('close', () => resolve({}));
      asked.resume();
    });
    expect(trailers['grpc-status']).toBe('0');
    session.destroy();
    arrived.at(-1)?.destroy();
  });
});
