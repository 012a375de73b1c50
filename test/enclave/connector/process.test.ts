// The connector as a process of its own: started as the image starts it, from sources and from its bundle.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connectorFlags } from '../../../enclave/child-flags.ts';
import { CONNECTOR_SOURCES } from '../../../simulator/sources.ts';
import { IMAGE_OPTIONS, ROOT } from '../../../eif/build/bundles.ts';
import { connectorPlugin } from '../../../eif/build/connector.ts';
import { startExchange } from '../../../simulator/exchange/server.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Internet } from '../../helpers/connector-desk.ts';
import { jobOf, routes, runJobOver } from '../../helpers/connector-desk.ts';
import { simulatedInternet } from '../../helpers/simulated-venues.ts';

/** Of the target that the whole image keeps to: 3 MB for all programs. */
const MAX_BUNDLE_BYTES = 1_400_000;

let folder = '';
let bundle = '';
let bundleBytes = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'connector-'));
  const { outputFiles } = await build({
    ...IMAGE_OPTIONS,
    entryPoints: ['enclave/connector/main.ts'],
    plugins: [connectorPlugin],
    outfile: 'dist/connector.mjs',
  });
  const bytes = outputFiles?.[0]?.contents ?? new Uint8Array(0);
  bundleBytes = bytes.length;
  bundle = join(folder, 'connector.mjs');
  await writeFile(bundle, bytes);
});

afterAll(() => rm(folder, { recursive: true }));

interface Started {
  readonly child: ChildProcess;
  /** The desk's side of the socket that is the child's descriptors 0 and 1. */
  readonly stream: Socket;
  readonly exited: Promise<number | null>;
}

async function start(flags: readonly string[], path: string): Promise<Started> {
  const at = join(folder, `${process.hrtime.bigint()}.sock`);
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(at, resolve);
  });
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  const end = connect(at);
  const stream = await accepted;
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    end.once('connect', resolve);
  });
  const child = spawn(process.execPath, [...flags, path], {
    stdio: [end, end, 'ignore'],
    env: {},
    cwd: '/',
  });
  end.destroy();
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => {
      resolve(code);
    });
  });
  return { child, stream, exited };
}

const ALPACA: Internet = routes({
  '/v2/account': () => ({ body: { id: 'a', cash: '1.50', currency: 'USD', status: 'ACTIVE' } }),
  '/v2/positions': () => ({ body: [] }),
  '/v2/account/activities': () => ({ body: [] }),
});

describe('the connector process', () => {
  it.each([
    [
      'sources',
      () => connectorFlags(CONNECTOR_SOURCES.map((path) => join(ROOT, path))),
      () => join(ROOT, 'enclave/connector/main.ts'),
    ],
    ['bundle', () => connectorFlags(), () => bundle],
  ])(
    'does a job from its %s without network and files, and ends with its stream',
    async (_, flags, path) => {
      const { stream, exited } = await start(flags(), path());
      const { records, done } = await runJobOver(stream, jobOf('alpaca'), ALPACA);
      expect(done.outcome).toBe('complete');
      expect(records).toEqual([
        { kind: 'balance', wallet: 'cash', currency: 'USD', total: '1.5', free: null },
      ]);
      stream.end();
      expect(await exited).toBe(0);
    },
  );

  it('asks for prices from its bundle, without keys', async () => {
    const nowMs = Date.UTC(2026, 10, 20, 12);
    const exchange = await startExchange({ clock: () => nowMs });
    onTestFinished(() => exchange.close());
    exchange.control.move({ isMoving: true });
    const { stream, exited } = await start(connectorFlags(), bundle);
    const credentials = { apiKey: utf8(''), secret: utf8(''), passphrase: null };
    const span = { fromMs: nowMs - 3_600_000, toMs: nowMs, stepMs: 3_600_000 } as const;
    const kinds = [
      ['kraken', 'spot', 'EUR/USD'],
      ['binanceusdm', 'mark', 'BTC/USDT:USDT'],
      ['krakenfutures', 'mark', 'BTC/USD:USD'],
    ] as const;
    for (const [venue, kind, symbol] of kinds) {
      const prices = [{ kind, symbol, ...span }];
      const job = jobOf(venue, { kind: 'prices', nowMs, credentials, prices });
      const { records } = await runJobOver(stream, job, simulatedInternet(exchange));
      const at = venue === 'binanceusdm' ? 'binance' : venue;
      const told = records.map((record) => (record.kind === 'price' ? record.price : null));
      const priceAt = (timeMs: number): string =>
        exchange.control.priceAt({ venue: at, symbol, timeMs }).price;
      expect(told).toEqual([priceAt(span.fromMs), priceAt(span.toMs)]);
    }
    stream.end();
    expect(await exited).toBe(0);
  });

  it('ends when the desk breaks the protocol', async () => {
    const { stream, exited } = await start(connectorFlags(), bundle);
    stream.write(Buffer.from([0, 0, 0, 1, 0x88, 0]));
    expect(await exited).toBe(0);
  });

  it('has a bundle of less than 1.4 MB, without what ccxt brings for chains and sockets', async () => {
    expect(bundleBytes).toBeGreaterThan(500_000);
    expect(bundleBytes).toBeLessThan(MAX_BUNDLE_BYTES);
  });
});
