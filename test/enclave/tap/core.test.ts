import { duplexPair } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { RunningTap } from '../../../enclave/tap-link.ts';
import { MAX_BATCHES_IN_WORK } from '../../../enclave/release.ts';
import { Channel } from '../../../wire/channel.ts';
import type { DeskOpen } from '../../../wire/desk-messages.ts';
import { DESK_FRAME, parseDeskOpen } from '../../../wire/desk-messages.ts';
import { parseHeader } from '../../../wire/header.ts';
import { KIND, LABEL } from '../../../wire/leaf.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_BOOT_BYTES } from '../../../wire/limits.ts';
import { encodeDeclaredGap, FRAME, parseProgress, parseRefused } from '../../../wire/messages.ts';
import { GAP, parseGap } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { HostOptions, TestHost } from '../../helpers/enclave-host.ts';
import { hostConfiguration, startHost, STREAM_A } from '../../helpers/enclave-host.ts';
import { testBatch } from '../../helpers/epoch-builder.ts';

vi.setConfig({ testTimeout: 20_000 });

const OWN = 5;
const TIME_NS = 1_700_000_000_000_000_000n;
const SOURCE = { venue: 'binance-spot', host: 'stream.binance.com' };

interface Stage {
  readonly host: TestHost;
  readonly tap: Channel;
  readonly open: Promise<DeskOpen>;
  readonly stopped: () => boolean;
}

async function start(options: HostOptions = {}): Promise<Stage> {
  const opened = Promise.withResolvers<DeskOpen>();
  let tap: Channel | null = null;
  let stops = 0;
  const startTap = (): RunningTap => {
    const [core, own] = duplexPair();
    tap = new Channel(own, {
      maxReceiveBytes: MAX_BOOT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [DESK_FRAME.open],
      onFrame: ({ payload }) => {
        opened.resolve(assertAccepted(parseDeskOpen(payload)));
      },
      onEnd: () => undefined,
    });
    return {
      stream: core,
      stop: () => {
        stops++;
        own.destroy();
        return Promise.resolve();
      },
    };
  };
  const [instrument] = hostConfiguration().instruments;
  if (instrument === undefined) throw new Error('no instrument');
  const host = await startHost({
    ...options,
    startTap,
    configuration: {
      instruments: [instrument, { ...instrument, id: 2, market: 'linear', sequence_rule: 'none' }],
      streams: [
        { id: STREAM_A, name: 'of the host' },
        { id: OWN, name: 'own', source: SOURCE },
      ],
    },
  });
  onTestFinished(() => {
    host.enclave.fail('internal');
  });
  await host.ready();
  await host.until(() => tap !== null);
  if (tap === null) throw new Error('no tap');
  return { host, tap, open: opened.promise, stopped: () => stops > 0 };
}

describe('a stream that the enclave fetches itself', () => {
  it('is declared with label tls, and its tap learns no secrets', async () => {
    const { host, open } = await start();
    const header = assertAccepted(parseHeader(host.open(0)));
    expect(header.streams.filter(({ id }) => id === STREAM_A || id === OWN)).toEqual([
      { id: STREAM_A, label: LABEL.host, name: 'of the host' },
      { id: OWN, label: LABEL.tls, name: 'own' },
    ]);
    expect(await open).toMatchObject({ origin: header.origin, vaultKeys: [], accounts: [] });
  });

  it('becomes input leaves with label tls, which strategies get', async () => {
    const { host, tap } = await start();
    const feed = await host.connectFeed();
    tap.send(FRAME.batch, testBatch(0, TIME_NS, OWN));
    await host.until(() => host.feedOf(FRAME.progress).length === 1);
    const [index = -1] = host.leavesOf(KIND.input);
    expect(host.leaf(index)).toMatchObject({ stream: OWN, label: LABEL.tls });
    const progress = host
      .feedOf(FRAME.progress)
      .map((bytes) => assertAccepted(parseProgress(bytes)));
    expect(progress).toMatchObject([{ stream: OWN, sequence: 0, leafIndex: index }]);
    expect(host.strategies.started[0]?.inputs.map(({ leafIndex }) => leafIndex)).toEqual([index]);
    expect(feed.alive).toBe(true);
  });

  it('takes gaps of the tap under the same label', async () => {
    const { host, tap } = await start();
    tap.send(
      FRAME.gap,
      encodeDeclaredGap({ stream: OWN, firstMissing: 0, batches: 2, rows: null }),
    );
    await host.until(() => host.leavesOf(KIND.gap).length === 1);
    const [index = -1] = host.leavesOf(KIND.gap);
    expect(host.leaf(index)).toMatchObject({ stream: OWN, label: LABEL.tls });
    expect(assertAccepted(parseGap(host.open(index)))).toMatchObject({
      reason: GAP.declared,
      count: 2,
    });
  });

  it('is refused from the host, and leaves nothing', async () => {
    const { host } = await start();
    const feed = await host.connectFeed();
    feed.send(FRAME.batch, testBatch(0, TIME_NS, OWN));
    feed.send(
      FRAME.gap,
      encodeDeclaredGap({ stream: OWN, firstMissing: 0, batches: 1, rows: null }),
    );
    await host.until(() => host.feedOf(FRAME.refused).length === 2);
    const refused = host.feedOf(FRAME.refused).map((bytes) => assertAccepted(parseRefused(bytes)));
    expect(refused.map(({ code }) => code)).toEqual(['stream_unknown', 'stream_unknown']);
    expect(host.leavesOf(KIND.input)).toEqual([]);
    expect(host.leavesOf(KIND.gap)).toEqual([]);
  });

  it('is the only one with its instruments: the host cannot slip prices in elsewhere', async () => {
    const { host } = await start();
    const feed = await host.connectFeed();
    feed.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    await host.until(() => host.feedOf(FRAME.refused).length === 1);
    const [refused = new Uint8Array()] = host.feedOf(FRAME.refused);
    expect(assertAccepted(parseRefused(refused)).code).toBe('instrument_unknown');
    expect(host.leavesOf(KIND.input)).toEqual([]);
    // A batch of the host's own stream that is refused is a hole in it.
    await host.until(() => host.leavesOf(KIND.gap).length === 1);
  });

  it('cannot be mixed up by the tap with one of the host', async () => {
    const { host, tap } = await start();
    tap.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    tap.send(FRAME.batch, testBatch(0, TIME_NS, OWN));
    await host.until(() => host.leavesOf(KIND.input).length === 1);
    expect(host.leavesOf(KIND.input).map((index) => host.leaf(index).stream)).toEqual([OWN]);
  });

  it('goes on while the host’s feed comes and goes', async () => {
    const { host, tap } = await start();
    const feed = await host.connectFeed();
    feed.destroy({ code: 'stream_closed', detail: {} });
    tap.send(FRAME.batch, testBatch(0, TIME_NS, OWN));
    await host.until(() => host.leavesOf(KIND.input).length === 1);
    expect(host.leavesOf(KIND.input)).toHaveLength(1);
  });

  it(`waits after ${MAX_BATCHES_IN_WORK} batches for a host that takes no answers`, async () => {
    const { host, tap } = await start();
    for (let sequence = 0; sequence < MAX_BATCHES_IN_WORK + 100; sequence++) {
      tap.send(FRAME.batch, testBatch(sequence, TIME_NS + BigInt(sequence), OWN));
    }
    await host.until(() => host.leavesOf(KIND.input).length >= MAX_BATCHES_IN_WORK);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(host.leavesOf(KIND.input)).toHaveLength(MAX_BATCHES_IN_WORK);
    await host.connectFeed();
    await host.until(() => host.leavesOf(KIND.input).length === MAX_BATCHES_IN_WORK + 100);
    expect(host.feedOf(FRAME.progress).length).toBeGreaterThan(0);
  });

  it('ends with its tap, and the epoch goes on', async () => {
    const { host, tap, stopped } = await start();
    tap.destroy({ code: 'stream_closed', detail: {} });
    await host.until(() => host.diagnostics.some(({ code }) => code === 'tap_ended'));
    expect(stopped()).toBe(true);
    const feed = await host.connectFeed();
    expect(feed.alive).toBe(true);
  });
});
