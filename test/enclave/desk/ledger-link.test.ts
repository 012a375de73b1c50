import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LedgerLink } from '../../../enclave/desk/ledger-link.ts';
import type { LedgerLinkOptions } from '../../../enclave/desk/ledger-link.ts';
import type { LedgerOpen } from '../../../enclave/ledger/protocol.ts';
import * as protocol from '../../../enclave/ledger/protocol.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { Channel } from '../../../wire/channel.ts';
import { encodeDeskCounters } from '../../../wire/desk-messages.ts';
import type { Frame } from '../../../wire/frame.ts';
import { FIRST_CREDIT_BULK_BYTES } from '../../../wire/limits.ts';
import { MAX_LOST_COUNTER } from '../../../wire/track/signing.ts';
import { accept, refuse } from '../../../wire/result.ts';

const { LEDGER_FRAME } = protocol;
const ID = 'ab'.repeat(16);
const OPEN: LedgerOpen = {
  origin: 'trackseal.example/demo/e0000000001',
  epoch: 1,
  configuration: new Uint8Array(2),
  nowNs: 1n,
  storageKeys: [],
  leafZeroHash: new Uint8Array(32),
  ed25519: new Uint8Array(32),
  databasePassword: null,
  userKey: new Uint8Array(32).fill(6),
};

interface Played {
  readonly link: LedgerLink;
  readonly frames: Frame[];
  readonly heard: unknown[];
  /** How the link ended; null while it lives. */
  ended: string | null;
  readonly databases: Duplex[];
  send(type: number, payload?: Uint8Array): void;
  until(condition: () => boolean): Promise<void>;
}

/** A link whose ledger the test plays. */
function played(options: Partial<LedgerLinkOptions> = {}): Played {
  const [near, far] = duplexPair();
  for (const end of [near, far]) end.on('error', () => undefined);
  near.on('close', () => far.destroy());
  const frames: Frame[] = [];
  const channel = new Channel(far, {
    maxReceiveBytes: protocol.MAX_LEDGER_FRAME_BYTES,
    firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
    types: protocol.TO_LEDGER_TYPES,
    onFrame: (frame) => {
      frames.push(frame);
    },
    onEnd: () => undefined,
  });
  const heard: unknown[] = [];
  const databases: Duplex[] = [];
  const one: Played = {
    frames,
    heard,
    databases,
    ended: null,
    send: (type, payload = new Uint8Array(0)) => {
      channel.send(type, payload);
    },
    until: async (condition) => {
      while (!condition()) await turn();
    },
    link: new LedgerLink(near, OPEN, {
      runAsync: (work) => work(),
      onReady: () => heard.push('ready'),
      onTaken: (taken) => heard.push(taken),
      onStated: (stated) => heard.push(stated),
      onResync: (resync) => heard.push(resync),
      onAudit: (entry) => heard.push(entry),
      onDatabase: (stream) => databases.push(stream),
      prices: () => Promise.resolve({ rows: [], missing: [] }),
      sign: () => Promise.resolve(refuse('session_unknown')),
      onEnd: (code) => {
        one.ended = code;
      },
      ...options,
    }),
  };
  return one;
}

const SMALL: readonly (readonly [string, number, Uint8Array])[] = [
  ['TAKEN', LEDGER_FRAME.taken, protocol.encodeLedgerTaken({ id: ID, poll: 1, stored: true })],
  [
    'STATED',
    LEDGER_FRAME.stated,
    protocol.encodeLedgerStated({ id: ID, counter: 1, hash: new Uint8Array(32) }),
  ],
  ['RESYNC', LEDGER_FRAME.resync, protocol.encodeLedgerResync({ id: ID, fromMs: 1, heardMs: 2 })],
  [
    'AUDIT',
    LEDGER_FRAME.audit,
    protocol.encodeLedgerAudit({ event: 'database', account: ID, code: 'ledger_unavailable' }),
  ],
  ['COUNTERS', LEDGER_FRAME.counters, encodeDeskCounters({ polls: 1 })],
  [
    'NEED_PRICES',
    LEDGER_FRAME.needPrices,
    protocol.encodeNeedPrices({
      id: 1,
      venue: 'binance',
      environment: 'live',
      items: [{ kind: 'spot', symbol: 'BTC/USDT', fromMs: 0, toMs: 3_600_000, stepMs: 60_000 }],
    }),
  ],
  ['SIGN', LEDGER_FRAME.sign, protocol.encodeLedgerSign({ id: 1, statements: [Uint8Array.of(1)] })],
  ['READY', LEDGER_FRAME.ready, new Uint8Array(0)],
];

const headAt = (counter: number): Uint8Array =>
  protocol.encodeLedgerStated({ id: ID, counter, hash: new Uint8Array(32) });
const price = (change: object): Uint8Array =>
  protocol.encodeNeedPrices({
    id: 1,
    venue: 'binance',
    environment: 'live',
    items: [{ kind: 'spot', symbol: 'A', fromMs: 0, toMs: 60_000, stepMs: 60_000, ...change }],
  });
const statements = (count: number, bytes: number): Uint8Array =>
  protocol.encodeLedgerSign({
    id: 1,
    statements: Array.from({ length: count }, () => new Uint8Array(bytes)),
  });

describe('the link to a ledger', () => {
  it.each([1, MAX_LOST_COUNTER])('takes a head at %i', async (counter) => {
    const one = played();
    one.send(LEDGER_FRAME.stated, headAt(counter));
    await one.until(() => one.heard.length > 0);
    expect(one.heard).toEqual([{ id: ID, counter, hash: new Uint8Array(32) }]);
  });

  it.each(SMALL)('takes %s as it should be', async (_, type, payload) => {
    const one = played();
    one.send(type, payload);
    one.send(LEDGER_FRAME.taken, protocol.encodeLedgerTaken({ id: ID, poll: 77, stored: false }));
    await one.until(() => one.heard.length > 0 && one.heard.at(-1) !== 'ready');
    expect(one.ended).toBeNull();
  });

  it.each(SMALL.filter(([, , { length }]) => length > 0))(
    'ends at any byte of %s that is cut off or added',
    async (_, type, payload) => {
      for (const bad of [payload.subarray(0, -1), Buffer.concat([payload, Uint8Array.of(0)])]) {
        const one = played();
        one.send(type, bad);
        await one.until(() => one.ended !== null);
        expect(one.ended).toBe('ledger_malformed');
      }
    },
  );

  it('never throws at bytes of any kind', async () => {
    const types = protocol.FROM_LEDGER_TYPES;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...types), fc.uint8Array({ maxLength: 40 })), {
          minLength: 1,
          maxLength: 8,
        }),
        async (frames) => {
          const one = played();
          for (const [type, payload] of frames) one.send(type, payload);
          for (let at = 0; at < 12; at++) await turn();
          one.link.end('ledger_ended');
          expect(['ledger_malformed', 'ledger_ended']).toContain(one.ended);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each<[string, number, Uint8Array]>([
    ['a frame that is not its own', LEDGER_FRAME.open, new Uint8Array(0)],
    ['READY with words', LEDGER_FRAME.ready, Uint8Array.of(1)],
    [
      'an answer to nothing',
      LEDGER_FRAME.answer,
      protocol.encodeLedgerAnswer({ id: 1, code: null, body: Uint8Array.of(1) }),
    ],
    [
      'an answer with both',
      LEDGER_FRAME.answer,
      protocol.encodeLedgerAnswer({ id: 0, code: 'not_found', body: Uint8Array.of(1) }),
    ],
    [
      'a code that nobody has',
      LEDGER_FRAME.audit,
      encodeCbor(
        new Map<number, string | null>([
          [1, 'database'],
          [2, null],
          [3, 'made_up'],
        ]),
      ),
    ],
    [
      'an event that nobody has',
      LEDGER_FRAME.audit,
      encodeCbor(
        new Map<number, string | null>([
          [1, 'made_up'],
          [2, null],
          [3, null],
        ]),
      ),
    ],
    ['a head of nothing', LEDGER_FRAME.stated, headAt(0)],
    ['a head beyond what a chain has', LEDGER_FRAME.stated, headAt(MAX_LOST_COUNTER + 1)],
    ['a step of a second', LEDGER_FRAME.needPrices, price({ stepMs: 1000 })],
    ['a time that goes back', LEDGER_FRAME.needPrices, price({ fromMs: 60_001 })],
    [
      'more steps than a question has',
      LEDGER_FRAME.needPrices,
      price({ toMs: 60_000 * (protocol.MAX_PRICE_STEPS + 1) }),
    ],
    ['nothing to sign', LEDGER_FRAME.sign, statements(0, 1)],
    [
      'more statements than a leaf has',
      LEDGER_FRAME.sign,
      statements(protocol.MAX_SIGN_STATEMENTS + 1, 1),
    ],
    ['a statement that is too large', LEDGER_FRAME.sign, statements(1, 64 * 1024 + 1)],
    ['statements that no leaf holds', LEDGER_FRAME.sign, statements(16, 64 * 1024)],
    ['a counter with another name', LEDGER_FRAME.counters, encodeDeskCounters({ 'A B': 1 })],
    ['a stream of another kind', LEDGER_FRAME.streamOpen, Uint8Array.of(0, 0, 0, 1, 1)],
    ['data on no stream', LEDGER_FRAME.streamData, Uint8Array.of(0, 0, 0, 2, 1)],
  ])('ends at %s', async (_, type, payload) => {
    const one = played();
    one.send(type, payload);
    await one.until(() => one.ended !== null);
    expect(one.ended).toBe('ledger_malformed');
  });

  it.each<[string, number, Uint8Array]>([
    [
      'as many steps as a question has',
      LEDGER_FRAME.needPrices,
      price({ toMs: 60_000 * protocol.MAX_PRICE_STEPS }),
    ],
    [
      'as many statements as a leaf has',
      LEDGER_FRAME.sign,
      statements(protocol.MAX_SIGN_STATEMENTS, 1),
    ],
    ['the largest statement', LEDGER_FRAME.sign, statements(1, 64 * 1024)],
    ['as many bytes as a leaf holds', LEDGER_FRAME.sign, statements(15, 64 * 1024)],
  ])('takes %s', async (_, type, payload) => {
    const one = played();
    one.send(type, payload);
    const answer = type === LEDGER_FRAME.sign ? LEDGER_FRAME.signed : LEDGER_FRAME.prices;
    await one.until(() => one.frames.some((frame) => frame.type === answer));
    expect(one.ended).toBeNull();
  });

  it('ends at a second READY, and at a statement that may not be signed', async () => {
    const twice = played();
    twice.send(LEDGER_FRAME.ready);
    twice.send(LEDGER_FRAME.ready);
    await twice.until(() => twice.ended !== null);
    const forbidden = played({ sign: () => Promise.resolve(null) });
    forbidden.send(LEDGER_FRAME.sign, statements(1, 1));
    await forbidden.until(() => forbidden.ended !== null);
    expect([twice.ended, forbidden.ended]).toEqual(['ledger_malformed', 'ledger_malformed']);
    expect(forbidden.frames.some(({ type }) => type === LEDGER_FRAME.signed)).toBe(false);
  });

  it('gives it streams to the database, eight at a time, and none of another kind', async () => {
    const one = played();
    const open = (number: number, kind: number): void => {
      one.send(LEDGER_FRAME.streamOpen, Uint8Array.of(0, 0, 0, number, kind));
    };
    for (let at = 1; at <= 9; at++) open(2 * at, protocol.STREAM_KIND.database);
    await one.until(() => one.frames.some(({ type }) => type === LEDGER_FRAME.streamReset));
    expect(one.databases).toHaveLength(8);
    one.databases[0]?.destroy();
    await one.until(
      () => one.frames.filter(({ type }) => type === LEDGER_FRAME.streamReset).length === 2,
    );
    open(20, protocol.STREAM_KIND.grpc);
    await one.until(
      () => one.frames.filter(({ type }) => type === LEDGER_FRAME.streamReset).length === 3,
    );
    expect(one.databases).toHaveLength(8);
    expect(one.ended).toBeNull();
  });

  it.each([
    [1, true],
    [2, false],
  ])('no price is dealt after its moment: %i of 1', (tradedMs, isTaken) => {
    const row = { kind: 'spot', symbol: 'BTC/USDT', atMs: 1, price: '1', source: 'a/b' } as const;
    const rows = [{ ...row, tradedMs }];
    const page = protocol.encodeLedgerPrices({ id: 7, rows, missing: [], last: true });
    expect(protocol.parseLedgerPrices(page).ok).toBe(isTaken);
  });

  it('tells prices in pages, the last one with what is missing', async () => {
    const rows = Array.from({ length: 2 * protocol.MAX_PRICES_PER_PAGE + 1 }, (_, at) => {
      const source = `api.binance.com/${'k'.repeat(100)}`;
      return {
        kind: 'spot',
        symbol: 'BTC/USDT',
        atMs: at,
        price: '1',
        source,
        tradedMs: at,
      } as const;
    });
    const missing = [{ symbol: 'X/Y', reason: 'history_limit' }];
    const one = played({ prices: () => Promise.resolve({ rows, missing }) });
    one.send(LEDGER_FRAME.needPrices, price({}));
    const pages = (): readonly protocol.LedgerPrices[] =>
      one.frames
        .filter(({ type }) => type === LEDGER_FRAME.prices)
        .map(({ payload }) => {
          const parsed = protocol.parseLedgerPrices(payload);
          if (!parsed.ok) throw new Error(parsed.refusal.code);
          return parsed.value;
        });
    await one.until(() => pages().some(({ last }) => last));
    expect(pages().flatMap((page) => page.rows)).toEqual(rows);
    expect(pages().map((page) => page.missing)).toEqual([
      ...pages()
        .slice(1)
        .map(() => []),
      missing,
    ]);
  });

  it('ends one that hangs, and not one that says something', async () => {
    const hung = played({ silentMs: 20 });
    await hung.until(() => hung.ended !== null);
    expect(hung.ended).toBe('ledger_ended');
    const alive = played({ silentMs: 200 });
    const talks = setInterval(() => {
      alive.send(LEDGER_FRAME.counters, encodeDeskCounters({ polls: 1 }));
    }, 5);
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
    clearInterval(talks);
    expect(alive.ended).toBeNull();
    alive.link.end('ledger_ended');
  });

  it('answers questions by their number, and gives up those of a ledger that ends', async () => {
    const one = played();
    expect(await one.link.ask('returns', ID, new Uint8Array(0))).toEqual(
      refuse('ledger_unavailable'),
    );
    one.send(LEDGER_FRAME.ready);
    await one.until(() => one.heard.length === 1);
    const asked = [1, 2, 3].map(() => one.link.ask('returns', ID, new Uint8Array(0)));
    one.send(
      LEDGER_FRAME.answer,
      protocol.encodeLedgerAnswer({ id: 1, code: null, body: Uint8Array.of(5) }),
    );
    one.send(
      LEDGER_FRAME.answer,
      protocol.encodeLedgerAnswer({ id: 0, code: 'not_found', body: null }),
    );
    expect(await asked[1]).toEqual(accept(Uint8Array.of(5)));
    expect(await asked[0]).toEqual(refuse('not_found'));
    one.link.end('ledger_ended');
    expect(await asked[2]).toEqual(refuse('ledger_unavailable'));
  });
});
