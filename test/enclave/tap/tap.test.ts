import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { TlsAuthority } from '../../../simulator/kms/authority.ts';
import { encodeDeskOpen } from '../../../wire/desk-messages.ts';
import { eventually } from '../../helpers/live-venue.ts';
import type { TapStage } from '../../helpers/tap-stage.ts';
import { startTapStage, TAP_BTC, TAP_START_NS, TAP_STREAM } from '../../helpers/tap-stage.ts';

/** With a book. */
async function followed(options: Parameters<typeof startTapStage>[0] = {}): Promise<TapStage> {
  const stage = await startTapStage(options);
  const { venue, core } = stage;
  await eventually(() => venue.requests.length === 1, 'subscription');
  venue.update('BTCUSDT');
  await eventually(() => core.book.valid, 'book');
  return stage;
}

/** A trade of so many bytes. */
function tradeOf(bytes: number): string {
  const head = '{"e":"trade","T":1,"s":"BTCUSDT","t":1,"p":"7.77","q":"1","m":true,"x":"';
  return `${head}${'x'.repeat(bytes - head.length - 2)}"}`;
}

/** A snapshot that would do, of so many bytes. */
function snapshotOf(bytes: number): string {
  const head = '{"lastUpdateId":102,"bids":[["1.00","1"]],"asks":[],"x":"';
  return `${head}${'x'.repeat(bytes - head.length - 2)}"}`;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('the tap', () => {
  it('gets a book over TLS through the way out, prices as they were written', async () => {
    const { venue, core, egress } = await followed();
    venue.trade('BTCUSDT', '90071992547409.91');
    venue.update('BTCUSDT');
    await eventually(() => core.book.lastUpdateId === 104, 'update');
    await eventually(() => core.prices.includes(9_007_199_254_740_991), 'trade');
    expect(core.batches.every(({ stream }) => stream === TAP_STREAM)).toBe(true);
    // The core's clock, carried on.
    expect(core.batches[0]?.timeNs).toBeGreaterThanOrEqual(TAP_START_NS);
    expect(core.batches[0]?.timeNs).toBeLessThan(TAP_START_NS + 60_000_000_000n);
    expect(core.venueGaps).toEqual([]);
    expect(core.declared).toEqual([]);
    expect(egress.dials).toEqual([
      { host: 'stream.binance.com', port: 443 },
      { host: 'api.binance.com', port: 443 },
    ]);
    expect(venue.paths).toEqual(['/ws', '/api/v3/depth?symbol=BTCUSDT&limit=1000']);
  });

  it('declares a gap for a connection that is reset, and finds its book again', async () => {
    const { venue, core } = await followed();
    for (const socket of venue.sockets) socket.terminate();
    await eventually(() => venue.requests.length === 2, 'reconnect');
    await eventually(() => core.declared.length === 1, 'declared');
    expect(core.declared).toEqual([
      {
        stream: TAP_STREAM,
        firstMissing: (core.batches.at(-1)?.sequence ?? -1) + 1,
        batches: 1,
        rows: null,
      },
    ]);
    venue.update('BTCUSDT');
    await eventually(() => core.book.valid && core.book.lastUpdateId === 104, 'again');
  });

  it.each([
    ['leaves updates out', { U: 900, u: 901 }],
    ['repeats itself', { U: 103, u: 104 }],
    ['goes back', { U: 1, u: 2 }],
  ])('loses the book of a venue that %s, and asks for a snapshot', async (_, change) => {
    const { venue, core } = await followed();
    venue.update('BTCUSDT');
    await eventually(() => core.book.lastUpdateId === 104, 'update');
    venue.onSnapshot = (_request, answer) => {
      answer.end('{"lastUpdateId":2000,"bids":[["1.00","1"]],"asks":[]}');
      return true;
    };
    venue.update('BTCUSDT', change);
    await eventually(() => core.venueGaps.length === 1, 'gap');
    expect(core.venueGaps.at(-1)).toMatchObject({ reason: 4, instrument: 1, firstMissing: 105 });
    await eventually(() => core.book.lastUpdateId === 2000, 'resnapshot');
    expect(venue.connections).toBe(1);
    expect(core.declared).toEqual([]);
  });

  it.each([
    ['no JSON', 'nonsense'],
    ['another type', '{"e":"depthUpdate","s":"BTCUSDT","U":"1","u":2,"b":[],"a":[]}'],
    ['a price as a number', '{"e":"trade","s":"BTCUSDT","t":1,"p":1.5,"q":"1","m":true}'],
    [
      'an id beyond 2^53',
      '{"e":"trade","s":"BTCUSDT","t":9007199254740992,"p":"1","q":"1","m":true}',
    ],
    ['too many decimals', '{"e":"trade","s":"BTCUSDT","t":1,"p":"1.001","q":"1","m":true}'],
    ['deep nesting', '['.repeat(200_000)],
    ['a refused subscription', '{"error":{"code":2,"msg":"no"},"id":1}'],
    ['a binary message', Buffer.from('{}')],
    ['one byte more than 2 MiB', tradeOf(2 * 1024 * 1024 + 1)],
  ])('ends the connection at %s, and goes on with another', async (_, message) => {
    const { venue, core, exit } = await followed();
    for (const socket of venue.sockets) socket.send(message);
    await eventually(() => venue.connections === 2, 'reconnect');
    await eventually(() => core.declared.length === 1, 'declared');
    venue.update('BTCUSDT');
    await eventually(() => core.book.valid && core.book.lastUpdateId >= 104, 'book');
    expect(await Promise.race([exit, Promise.resolve('runs')])).toBe('runs');
  });

  it('takes a message of 2 MiB', async () => {
    const { venue, core } = await followed();
    venue.send(tradeOf(2 * 1024 * 1024));
    await eventually(() => core.prices.includes(777), 'trade');
    expect(venue.connections).toBe(1);
  });

  it('ends a compressed frame, which nobody offered', async () => {
    const { venue } = await followed();
    for (const socket of venue.sockets) {
      // FIN, RSV1, text; one byte.
      (socket as unknown as { _socket: Socket })._socket.write(Uint8Array.of(0xc1, 0x01, 0x20));
    }
    await eventually(() => venue.connections === 2, 'reconnect');
    expect(venue.connections).toBe(2);
  });

  it('answers pings, and notices who does not answer its own', async () => {
    const { venue } = await followed({ times: { pingMs: 50, silenceMs: 3000 } });
    let pongs = 0;
    for (const socket of venue.sockets) {
      socket.on('pong', () => pongs++);
      socket.ping();
    }
    await eventually(() => pongs === 1 && venue.pings > 2, 'pings both ways');
    expect(venue.connections).toBe(1);
    for (const socket of venue.sockets) socket.pause();
    await eventually(() => venue.connections === 2, 'reconnect');
  });

  it('drops whole batches for a core that does not take them, bounded, and declares them', async () => {
    const { venue, core } = await followed();
    const busy = Promise.withResolvers<undefined>();
    core.busy = busy.promise;
    const side = Array.from({ length: 500 }, (_, at) => [`${at + 1}.00`, '1']);
    // Credit for 16 MiB, then 4 MiB of queue.
    for (let round = 0; round < 1600; round++) {
      venue.update('BTCUSDT', { b: side, a: side });
      if (round % 50 === 0) await pause(5);
    }
    // Answered in order: all of it has been read.
    const [socket] = venue.sockets;
    const ponged = new Promise((resolve) => socket?.once('pong', resolve));
    socket?.ping();
    await ponged;
    const taken = core.batches.length;
    expect(taken).toBeLessThan(1000);
    core.busy = null;
    busy.resolve(undefined);
    await eventually(() => core.declared.length > 0, 'declared');
    venue.update('BTCUSDT');
    await eventually(() => core.batches.length > taken, 'goes on');
    // Nothing between is undeclared.
    let expected = 0;
    const holes = new Map(
      core.declared.map(({ firstMissing, batches }) => [firstMissing, batches]),
    );
    for (const { sequence } of core.batches) {
      expected += holes.get(expected) ?? 0;
      expect(sequence).toBe(expected);
      expected++;
    }
    expect(venue.connections).toBe(1);
  });

  it.each([
    ['a redirect', 302, {}, ''],
    ['an error', 500, {}, ''],
    ['an encoding', 200, { 'content-encoding': 'gzip' }, '{}'],
    ['too much', 200, {}, snapshotOf(4 * 1024 * 1024 + 1)],
    ['no JSON', 200, {}, '<html>'],
    ['another book', 200, {}, '{"lastUpdateId":-1,"bids":[],"asks":[]}'],
  ])('asks again, later, for a snapshot that comes as %s', async (_, status, headers, body) => {
    const { venue, core } = await startTapStage();
    await eventually(() => venue.requests.length === 1, 'subscription');
    let asked = 0;
    venue.onSnapshot = (request, answer) => {
      if (request.url?.startsWith('/api/v3/depth') !== true) throw new Error('followed');
      if (++asked > 1) return false;
      answer.writeHead(status, { location: '/elsewhere', ...headers }).end(body);
      return true;
    };
    venue.update('BTCUSDT');
    await eventually(() => core.book.valid, 'book');
    expect(asked).toBe(2);
    expect(venue.connections).toBe(1);
  });

  it('takes a snapshot of 4 MiB', async () => {
    const { venue, core } = await startTapStage();
    await eventually(() => venue.requests.length === 1, 'subscription');
    venue.onSnapshot = (_, answer) => {
      answer.end(snapshotOf(4 * 1024 * 1024));
      return true;
    };
    venue.update('BTCUSDT');
    await eventually(() => core.book.valid, 'book');
    expect(venue.paths.filter((path) => path.startsWith('/api'))).toHaveLength(1);
  });

  it('asks for one snapshot at a time, not for all at once', async () => {
    const eth = { ...TAP_BTC, id: 2, symbol: 'ETHUSDT' };
    const instruments = [TAP_BTC, eth, { ...TAP_BTC, id: 3, symbol: 'XRPUSDT' }];
    const { venue, core } = await startTapStage({ instruments, times: { askMs: 3_600_000 } });
    await eventually(() => venue.requests.length === 1, 'subscription');
    for (const { symbol } of instruments) venue.update(symbol);
    const valid = (): number =>
      instruments.filter(({ id }) => core.market.of(id)?.book.valid === true).length;
    await eventually(() => valid() === 1, 'first book');
    await pause(300);
    expect(valid()).toBe(1);
    expect(venue.paths.filter((path) => path.startsWith('/api'))).toHaveLength(1);
  });

  it.each([429, 418])('obeys Retry-After of a %i, for all books', async (status) => {
    const { venue, core } = await startTapStage({
      instruments: [TAP_BTC, { ...TAP_BTC, id: 2, symbol: 'ETHUSDT' }],
      times: { askMs: 200 },
    });
    await eventually(() => venue.requests.length === 1, 'subscription');
    let asked = 0;
    venue.onSnapshot = (_, answer) => {
      asked++;
      answer.writeHead(status, { 'retry-after': '30' }).end();
      return true;
    };
    venue.update('BTCUSDT');
    venue.update('ETHUSDT');
    await eventually(() => asked === 1, 'asked');
    await pause(1500);
    expect(asked).toBe(1);
    expect(core.book.valid).toBe(false);
  });
});

describe('whom the tap talks to', () => {
  it('refuses a certificate of another root', async () => {
    const stranger = await TlsAuthority.open(null);
    const { venue, egress, core } = await startTapStage({ signer: stranger });
    await eventually(() => egress.dials.length >= 3, 'attempts');
    expect(venue.connections).toBe(0);
    expect(core.batches).toEqual([]);
  });

  it('refuses a certificate of another name', async () => {
    const { venue, egress } = await startTapStage({ names: ['stream.example.com'] });
    await eventually(() => egress.dials.length >= 3, 'attempts');
    expect(venue.connections).toBe(0);
  });

  it.each([
    [
      'a host that is not measured',
      { hosts: [{ host: 'api.binance.com', port: 443 }] },
      'host_not_measured',
    ],
    [
      'snapshots from one that is not',
      { hosts: [{ host: 'stream.binance.com', port: 443 }] },
      'host_not_measured',
    ],
    [
      'another port',
      {
        hosts: [
          { host: 'stream.binance.com', port: 444 },
          { host: 'api.binance.com', port: 443 },
        ],
      },
      'host_not_measured',
    ],
    [
      'a host that is not the venue’s',
      {
        source: { venue: 'binance-spot', host: 'stream.example.com' },
        hosts: [{ host: 'stream.example.com', port: 443 }],
      },
      'config_invalid',
    ],
    [
      'a venue that nobody can read',
      {
        source: { venue: 'ftx-spot', host: 'ftx.com' },
        instruments: [{ ...TAP_BTC, venue: 'ftx' }],
        hosts: [{ host: 'ftx.com', port: 443 }],
      },
      'config_invalid',
    ],
  ])('ends at %s', async (_, options, code) => {
    const { exit, egress } = await startTapStage(options);
    expect(await exit).toBe(code);
    expect(egress.dials).toEqual([]);
  });

  it.each([
    [
      'roots that are not measured',
      'roots_mismatch',
      (open) => encodeDeskOpen({ ...open, roots: Uint8Array.of(1) }),
    ],
    ['nonsense for OPEN', 'message_malformed', () => Uint8Array.of(0xa0)],
  ] satisfies [string, string, NonNullable<Parameters<typeof startTapStage>[0]>['open']][])(
    'ends at %s',
    async (_, code, open) => {
      const { exit } = await startTapStage({ open });
      expect(await exit).toBe(code);
    },
  );

  it('ends with the core', async () => {
    const { core, exit, venue } = await followed();
    core.channel.destroy({ code: 'stream_closed', detail: {} });
    expect(await exit).toBeNull();
    await eventually(() => venue.sockets.length === 0, 'closed');
  });
});

const book = (type: string, u: number): string =>
  JSON.stringify({
    topic: 'orderbook.50.BTCUSDT',
    type,
    ts: 1_700_000_000_000,
    data: { s: 'BTCUSDT', b: [['100.10', '1.5']], a: [], u, seq: 1 },
  });

describe('a venue whose snapshots come in the stream', () => {
  const instrument = {
    ...TAP_BTC,
    venue: 'bybit',
    market: 'linear',
    sequence_rule: 'bybit',
  } as const;

  it('is asked for the book again after a hole, on the same connection', async () => {
    const { venue, core, egress } = await startTapStage({
      instruments: [instrument],
      source: { venue: 'bybit-linear', host: 'stream.bybit.com' },
      hosts: [{ host: 'stream.bybit.com', port: 443 }],
      times: { pingMs: 50 },
    });
    venue.onRequest = (socket, text) => {
      const { op } = JSON.parse(text) as { readonly op: string };
      const success = { success: true, ret_msg: op === 'ping' ? 'pong' : '', op };
      socket.send(JSON.stringify(success));
      return true;
    };
    await eventually(() => venue.requests.length > 0, 'subscription');
    venue.send(book('snapshot', 500));
    venue.send(book('delta', 501));
    await eventually(() => core.book.lastUpdateId === 501, 'book');
    venue.send(book('delta', 503));
    await eventually(() => venue.requests.some((text) => text.includes('unsubscribe')), 'again');
    expect(core.venueGaps).toMatchObject([{ reason: 4, firstMissing: 502, count: 1 }]);
    venue.send(book('snapshot', 1));
    await eventually(() => core.book.valid && core.book.lastUpdateId === 1, 'counted anew');
    await eventually(() => venue.requests.includes('{"op":"ping"}'), 'ping');
    expect(venue.connections).toBe(1);
    expect(egress.dials).toHaveLength(1);
    expect(core.declared).toEqual([]);
  });

  it('is asked for a snapshot that does not come', async () => {
    const { venue } = await startTapStage({
      instruments: [instrument],
      source: { venue: 'bybit-linear', host: 'stream.bybit.com' },
      hosts: [{ host: 'stream.bybit.com', port: 443 }],
    });
    venue.onRequest = () => true;
    await eventually(() => venue.requests.some((text) => text.includes('unsubscribe')), 'again');
    expect(venue.connections).toBe(1);
  });
});
