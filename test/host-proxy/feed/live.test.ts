import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Logger } from '../../../host-proxy/logger.ts';
import { LiveSource, planLive } from '../../../host-proxy/feed/live.ts';
import type { LiveFeedConfig } from '../../../host-proxy/feed/live.ts';
import type { Batch } from '../../../wire/batch.ts';
import { BatchMemory, parseBatch } from '../../../wire/batch.ts';
import type { Instrument } from '../../../wire/instrument.ts';
import { Market } from '../../../wire/market/market.ts';
import { FeedSender } from '../../../wire/market/sender.ts';
import type { FeedChannel } from '../../../wire/market/sender.ts';
import { SequenceTracker } from '../../../wire/market/sequence.ts';
import type { DeclaredGap } from '../../../wire/messages.ts';
import { FRAME, parseDeclaredGap } from '../../../wire/messages.ts';
import type { LiveTimes } from '../../../wire/node/live-stream.ts';
import type { Gap } from '../../../wire/payloads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { TlsAuthority } from '../../../simulator/kms/authority.ts';
import { eventually, LiveVenue } from '../../helpers/live-venue.ts';

const BTC: Instrument = {
  id: 1,
  venue: 'binance',
  symbol: 'BTCUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 5,
  sequence_rule: 'binance-spot',
};
const ETH: Instrument = { ...BTC, id: 2, symbol: 'ETHUSDT' };
const CONFIGURATION = { instruments: [BTC, ETH], streams: [{ id: 3, name: 'spot' }] };
const FAST: Partial<LiveTimes> = {
  tickMs: 5,
  askMs: 5,
  reconnect: { firstMs: 10, maxMs: 20 },
};

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** The enclave's end of the feed: what it knows of the market, and which gaps it would log. */
class Taker implements FeedChannel {
  readonly alive = true;
  /** Set by a test that does not read. */
  held = 0;
  readonly market = new Market([BTC, ETH]);
  readonly tracker = new SequenceTracker([BTC, ETH]);
  readonly venueGaps: Gap[] = [];
  readonly declared: DeclaredGap[] = [];
  readonly sequences: number[] = [];
  readonly prices: number[] = [];
  #waiters: (() => void)[] = [];

  get queuedBytes(): number {
    return this.held;
  }

  send(type: number, payload: Uint8Array): boolean {
    if (type === FRAME.gap) this.declared.push(assertAccepted(parseDeclaredGap(payload)));
    else this.#take(assertAccepted(parseBatch(payload, null, new BatchMemory())));
    return this.held === 0;
  }

  drained(): Promise<boolean> {
    if (this.held === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#waiters.push(() => {
        resolve(true);
      });
    });
  }

  drain(): void {
    this.held = 0;
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #take(batch: Batch): void {
    this.sequences.push(batch.sequence);
    this.venueGaps.push(...this.tracker.apply(batch));
    this.market.apply(batch);
    this.prices.push(...Array.from(batch.price.subarray(0, batch.rows)));
  }
}

interface Running {
  readonly venue: LiveVenue;
  readonly taker: Taker;
  readonly source: LiveSource;
  readonly stop: () => Promise<void>;
}

let identity: Awaited<ReturnType<TlsAuthority['issue']>>;
beforeAll(async () => {
  const authority = await TlsAuthority.open(null);
  identity = await authority.issue(['localhost']);
  // As NODE_EXTRA_CA_CERTS does for the host.
  setDefaultCACertificates([...getCACertificates(), authority.pem]);
});

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(times: Partial<LiveTimes> = {}): Promise<Running> {
  const venue = await LiveVenue.start({
    tls: { key: identity.keyPem, cert: identity.certificatePem },
  });
  const config: LiveFeedConfig = {
    close_rows: 256,
    close_ms: 5,
    streams: [
      {
        stream: 3,
        venue: 'binance-spot',
        url: `wss://localhost:${venue.port}`,
        rest_url: `https://localhost:${venue.port}`,
      },
    ],
  };
  const plans = assertAccepted(planLive(config, CONFIGURATION));
  const source = new LiveSource({
    plans,
    closeRows: config.close_rows,
    closeMs: config.close_ms,
    logger: quiet,
    times: { ...FAST, ...times },
    random: () => 0,
  });
  const taker = new Taker();
  const openSender = (): FeedSender =>
    new FeedSender(taker, { whenFull: 'drop', maxQueuedBytes: 1024 * 1024 });
  const abort = new AbortController();
  const ended = source.run(openSender(), abort.signal, openSender);
  const stop = async (): Promise<void> => {
    abort.abort();
    assertAccepted(await ended);
  };
  stops.push(stop);
  await eventually(() => venue.requests.length > 0, 'subscription');
  return { venue, taker, source, stop };
}

const bookOf = ({ taker }: Running): { valid: boolean; lastUpdateId: number } | undefined =>
  taker.market.of(1)?.book;

describe('live feed through ccxt', () => {
  it('subscribes, gets a snapshot over HTTP, and makes a book of prices as they were written', async () => {
    const running = await start();
    const { venue, taker, source } = running;
    expect(JSON.parse(venue.requests[0] ?? '')).toEqual({
      method: 'SUBSCRIBE',
      params: [
        'btcusdt@depth@100ms',
        'btcusdt@trade',
        'btcusdt@bookTicker',
        'ethusdt@depth@100ms',
        'ethusdt@trade',
        'ethusdt@bookTicker',
      ],
      id: 1,
    });
    venue.update('BTCUSDT');
    // 2^53 / 10^2 is beyond what a float keeps apart.
    venue.trade('BTCUSDT', '90071992547409.91');
    await eventually(() => bookOf(running)?.valid === true, 'book');
    venue.update('BTCUSDT');
    await eventually(() => bookOf(running)?.lastUpdateId === 104, 'update');
    expect(venue.paths).toEqual(['/ws', '/api/v3/depth?symbol=BTCUSDT&limit=1000']);
    expect(taker.prices).toContain(9_007_199_254_740_991);
    expect(taker.venueGaps).toEqual([]);
    expect(source.stats).toMatchObject([
      { stream: 3, venue: 'binance-spot', books: 1, counters: { connected: 1, gaps: 0 } },
    ]);
  });

  it('declares a gap when the connection breaks, comes back and finds its books again', async () => {
    const running = await start();
    const { venue, taker, source } = running;
    venue.update('BTCUSDT');
    await eventually(() => bookOf(running)?.valid === true, 'book');
    for (const socket of venue.sockets) socket.terminate();
    await eventually(() => venue.connections === 2 && venue.requests.length === 2, 'reconnect');
    // What the venue said in between is missing, and nobody numbers it here.
    expect(taker.declared).toEqual([
      { stream: 3, firstMissing: (taker.sequences.at(-1) ?? 0) + 1, batches: 1, rows: null },
    ]);
    venue.update('BTCUSDT');
    await eventually(
      () => bookOf(running)?.valid === true && bookOf(running)?.lastUpdateId === 104,
      'again',
    );
    expect(taker.sequences).toEqual([...new Set(taker.sequences)]);
    expect(source.stats[0]?.counters).toMatchObject({ lost: 1, gaps: 1, connected: 2 });
  });

  it('asks for another snapshot after a hole in the venue’s numbers', async () => {
    const running = await start();
    const { venue, taker } = running;
    venue.update('BTCUSDT');
    await eventually(() => bookOf(running)?.valid === true, 'book');
    venue.update('BTCUSDT', { U: 999, u: 1000 });
    await eventually(() => bookOf(running)?.valid === false, 'gap');
    expect(taker.venueGaps).toMatchObject([{ reason: 4, instrument: 1, firstMissing: 103 }]);
    expect(taker.declared).toEqual([]);
    venue.onSnapshot = (_, answer) => {
      answer.end('{"lastUpdateId":1000,"bids":[["1.00","1"]],"asks":[]}');
      return true;
    };
    await eventually(() => bookOf(running)?.valid === true, 'resnapshot');
    expect(venue.connections).toBe(1);
  });

  it.each([
    ['what is no JSON', 'nonsense'],
    ['a price that is a number', '{"e":"trade","s":"BTCUSDT","t":1,"p":1.5,"q":"1","m":true}'],
    ['a refused subscription', '{"error":{"code":2,"msg":"Invalid request"},"id":1}'],
  ])('ends the connection at %s', async (_, text) => {
    const running = await start();
    const { venue, taker, source } = running;
    venue.update('BTCUSDT');
    await eventually(() => taker.sequences.length > 0, 'batch');
    venue.send(text);
    await eventually(() => venue.connections === 2, 'reconnect');
    expect(taker.declared).toHaveLength(1);
    expect(source.stats[0]?.counters).toMatchObject({ refused: 1, gaps: 1 });
  });

  it('ends the connection at a binary message and at one over 4 MiB', async () => {
    const { venue, source } = await start();
    for (const socket of venue.sockets) socket.send(Buffer.from('{}'));
    await eventually(() => venue.connections === 2, 'binary');
    await eventually(() => venue.sockets.length === 1, 'one socket');
    venue.send(JSON.stringify({ padding: 'x'.repeat(4 * 1024 * 1024) }));
    await eventually(() => venue.connections === 3, 'oversized');
    expect(source.stats[0]?.counters.lost).toBe(2);
  });

  it('notices a venue that is silent, pongs included', async () => {
    const { venue, source } = await start({ pingMs: 50, silenceMs: 3000 });
    await eventually(() => venue.pings >= 2, 'pings');
    // While it answers pings, it lives.
    expect(venue.connections).toBe(1);
    for (const socket of venue.sockets) socket.pause();
    await eventually(() => venue.connections === 2, 'reconnect');
    expect(source.stats[0]?.counters.silent).toBeGreaterThan(0);
  });

  it('goes on trying while the venue refuses', async () => {
    const { venue, source } = await start();
    venue.refuse = 503;
    for (const socket of venue.sockets) socket.terminate();
    await eventually(() => (source.stats[0]?.counters.connectsFailed ?? 0) >= 3, 'attempts');
    venue.refuse = null;
    await eventually(() => source.stats[0]?.counters.connected === 2, 'reconnect');
    expect(venue.connections).toBe(2);
  });

  it('obeys a venue that has had enough of snapshots', async () => {
    const running = await start();
    const { venue, source } = running;
    let asked = 0;
    venue.onSnapshot = (_, answer) => {
      asked++;
      answer.writeHead(429, { 'retry-after': '3600' }).end('{"code":-1003,"msg":"Too many"}');
      return true;
    };
    venue.update('BTCUSDT');
    await eventually(() => source.stats[0]?.counters.snapshotsFailed === 1, 'refusal');
    for (let more = 0; more < 20; more++) venue.update('BTCUSDT');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(asked).toBe(1);
  });

  it('drops whole batches for an enclave that does not read, and declares them in order', async () => {
    const running = await start();
    const { venue, taker } = running;
    venue.update('BTCUSDT');
    await eventually(() => bookOf(running)?.valid === true, 'book');
    const before = taker.sequences.length;
    taker.held = 2 * 1024 * 1024;
    for (let more = 0; more < 5; more++) {
      venue.update('BTCUSDT');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const socket of venue.sockets) socket.terminate();
    await eventually(() => venue.connections === 2, 'reconnect');
    expect(taker.sequences).toHaveLength(before);
    taker.drain();
    await eventually(() => taker.declared.length === 1, 'declared');
    const [gap] = taker.declared;
    expect(gap?.firstMissing).toBe((taker.sequences.at(-1) ?? 0) + 1);
    // The dropped ones and the place of what never came.
    expect(gap?.batches).toBeGreaterThanOrEqual(2);
    expect(gap?.rows).toBeNull();
    venue.update('BTCUSDT');
    await eventually(() => taker.sequences.length > before, 'next batch');
    expect(taker.sequences[before]).toBe((gap?.firstMissing ?? 0) + (gap?.batches ?? 0));
  });
});

function plan(
  streams: LiveFeedConfig['streams'],
  configuration: Parameters<typeof planLive>[1] = CONFIGURATION,
): unknown {
  const planned = planLive({ streams, close_rows: 1, close_ms: 1 }, configuration);
  return planned.ok ? planned.value : planned.refusal.detail['field'];
}

describe('plan of a live feed', () => {
  const stream = { stream: 3, venue: 'binance-spot', url: null, rest_url: null };
  it('takes the public addresses of the venue', () => {
    expect(plan([stream])).toMatchObject([
      {
        url: 'wss://stream.binance.com:443/ws',
        restUrl: 'https://api.binance.com',
        instruments: [BTC, ETH],
      },
    ]);
  });

  it.each([
    ['a stream that is not configured', [{ ...stream, stream: 4 }], 'stream'],
    ['a stream twice', [stream, stream], 'stream'],
    ['an unknown venue', [{ ...stream, venue: 'ftx-spot' }], 'venue'],
    ['a venue without instruments', [{ ...stream, venue: 'binance-linear' }], 'venue'],
  ])('refuses %s', (_, streams, field) => {
    expect(plan(streams)).toBe(`feed.streams.${field}`);
  });

  it('refuses a stream that the enclave fetches itself, and another sequence rule', () => {
    const source = { venue: 'binance-spot', host: 'stream.binance.com' };
    const fetched = [{ id: 3, name: 'spot', source }];
    expect(plan([stream], { ...CONFIGURATION, streams: fetched })).toBe('feed.streams.stream');
    const instruments = [BTC, { ...ETH, sequence_rule: 'none' as const }];
    expect(plan([stream], { ...CONFIGURATION, instruments })).toBe('feed.streams.venue');
  });
});
