// The track record as it crosses trust: signed statements, frames between desk and ledger, and what a database gives back of
// a book and its records. Each has one encoding; a statement's place is the one that the whole of it says.

import type { CborMap } from '../../../wire/cbor.ts';
import { parseCbor } from '../../../wire/cbor.ts';
import * as desk from '../../../enclave/ledger/from-ledger.ts';
import * as tell from '../../../enclave/ledger/tell-ledger.ts';
import * as read from '../../../enclave/ledger/to-ledger.ts';
import type { LedgerAccount } from '../../../enclave/ledger/protocol.ts';
import { AccountBook } from '../../../enclave/ledger/book/account-book.ts';
import type { PriceRow } from '../../../enclave/ledger/book/contract.ts';
import { PriceTable } from '../../../enclave/ledger/book/price-table.ts';
import type { StoredPollRecord, StoredRecord } from '../../../enclave/ledger/store/contract.ts';
import {
  encodeStoredRecord,
  parseStoredRecord,
} from '../../../enclave/ledger/store/stored-record.ts';
import { encodeTrackState, parseTrackState } from '../../../enclave/ledger/track/track-state.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, assertAccepted, refuse } from '../../../wire/result.ts';
import { HOUR_MS } from '../../../wire/track/figures.ts';
import type { TrackStatement } from '../../../wire/track/statement.ts';
import {
  encodeTrackStatement,
  parseChainPlace,
  parseTrackStatement,
} from '../../../wire/track/statement.ts';
import { balanceOf, boughtAt } from '../../helpers/records.ts';
import { HOUR, metricsOf, vectorChain } from '../../vectors/track.ts';
import type { Target } from '../target.ts';
import { expectThat, sameValue } from '../target.ts';
import { canonicalTarget, codec } from './canonical.ts';

const ID = '00112233445566778899aabbccddeeff';
const HASH = new Uint8Array(32).fill(9);
const ORIGIN = 'trackseal.example/fuzz/e0000000001';
const MAX_BYTES = 64 * 1024;

/** What is accepted as a place is what the statement says, and every statement has one. */
function checkPlace(statement: TrackStatement, bytes: Uint8Array): string {
  const place = parseChainPlace(bytes);
  expectThat(place.ok === (statement.kind !== 'metrics'), 'a statement without its place');
  if (!place.ok) return statement.kind;
  const { figures, ...rest } = { figures: null, ...place.value };
  const whole: Readonly<Record<string, unknown>> = { ...statement };
  for (const [name, value] of Object.entries(rest)) {
    expectThat(sameValue(value, whole[name]), `a place of another ${name}`);
  }
  if (figures !== null && statement.kind === 'hour') {
    expectThat(figures.startMs === statement.figures.startMs, 'a place of another hour');
  }
  return statement.kind;
}

export function trackStatementsTarget(): Target {
  const chain = vectorChain();
  const stated = chain.statements.map((bytes) => assertAccepted(parseTrackStatement(bytes)));
  const values = [...stated, metricsOf(chain)];
  return canonicalTarget({
    name: 'track-statements',
    files: [
      'wire/track/statement.ts',
      'wire/track/hour.ts',
      'wire/track/snapshot.ts',
      'wire/track/revocation.ts',
      'wire/track/metrics.ts',
      'wire/track/figures-codec.ts',
      'wire/track/head.ts',
    ],
    maxBytes: MAX_BYTES,
    words: ['trackseal/hour/v1', 'trackseal/snapshot/v1', 'trackseal/revocation/v1', 'kraken'],
    codecs: [codec('statement', parseTrackStatement, encodeTrackStatement, values, checkPlace)],
  });
}

const account: LedgerAccount = {
  id: ID,
  commitment: HASH,
  userHash: HASH,
  venue: 'kraken',
  label: 'main',
  accountType: 'spot',
  environment: 'live',
  createdMs: HOUR,
  head: { counter: 3, hash: HASH },
};

const fill = { ...boughtAt('a', HOUR + 5, '0.5', '60000'), cost: '30000', rawDigest: HASH };

export function ledgerFramesTarget(): Target {
  return canonicalTarget({
    name: 'ledger-frames',
    files: ['enclave/ledger/from-ledger.ts', 'enclave/ledger/to-ledger.ts', 'wire/fields.ts'],
    maxBytes: MAX_BYTES,
    words: ['kraken', 'live', 'spot', 'mark', 'store_invalid', 'chain_fork', 'BTC/USD'],
    codecs: [
      codec('taken', desk.parseLedgerTaken, desk.encodeLedgerTaken, [
        { id: ID, poll: 1, stored: true },
      ]),
      codec('stated', desk.parseLedgerStated, desk.encodeLedgerStated, [
        { id: ID, counter: 7, hash: HASH },
      ]),
      codec('resync', desk.parseLedgerResync, desk.encodeLedgerResync, [
        { id: ID, fromMs: HOUR, heardMs: null },
        { id: ID, fromMs: HOUR, heardMs: 2 * HOUR },
      ]),
      codec('need', desk.parseNeedPrices, desk.encodeNeedPrices, [
        {
          id: 1,
          venue: 'kraken',
          environment: 'live',
          items: [
            { kind: 'spot', symbol: 'BTC/USD', fromMs: HOUR, toMs: HOUR, stepMs: 3_600_000 },
            { kind: 'mark', symbol: 'X', fromMs: HOUR, toMs: HOUR + 60_000, stepMs: 60_000 },
          ],
        },
      ]),
      codec('sign', desk.parseLedgerSign, desk.encodeLedgerSign, [
        { id: 1, statements: vectorChain().statements },
      ]),
      codec('audit', desk.parseLedgerAudit, desk.encodeLedgerAudit, [
        { event: 'database', account: null, code: 'database_unreachable' },
        { event: 'correction', account: ID, code: null },
      ]),
      codec('answer', desk.parseLedgerAnswer, desk.encodeLedgerAnswer, [
        { id: 1, code: null, body: HASH },
        { id: 2, code: 'not_ready', body: null },
      ]),
      codec('account', read.parseLedgerAccount, tell.encodeLedgerAccount, [
        account,
        { ...account, head: null },
      ]),
      codec('records', read.parseLedgerRecords, tell.encodeLedgerRecords, [
        { id: ID, poll: 1, kind: 'fill', records: [fill] },
      ]),
      codec('missed', read.parseLedgerMissed, tell.encodeLedgerMissed, [
        { id: ID, fromMs: HOUR, toMs: HOUR + 5, reason: 'exchange_unavailable' },
      ]),
      codec('ask', read.parseLedgerAsk, tell.encodeLedgerAsk, [
        { id: 1, operation: 'track', account: ID, arguments: HASH },
      ]),
    ],
  });
}

function orMalformed<T>(value: T | null): Result<T> {
  return value === null ? refuse('message_malformed') : accept(value);
}

const poll: StoredPollRecord = {
  kind: 'poll',
  poll: { origin: ORIGIN, leafIndex: 5, startedMs: HOUR, outcome: 0 },
  endedMs: HOUR + 5,
  reasons: ['partial'],
  tooPrecise: [HOUR],
  toldFromMs: HOUR - 5,
  toldToMs: HOUR,
  follows: false,
  lost: [{ fromMs: HOUR - 9, toMs: HOUR, reason: 'history_limit' }],
  observed: {
    balances: [balanceOf('USD', '5')],
    positions: [],
  },
};
const records: readonly StoredRecord[] = [
  fill,
  poll,
  { ...poll, observed: null, toldFromMs: null },
  { kind: 'missed', fromMs: HOUR, toMs: HOUR + 5, reason: 'exchange_unavailable' },
];

const BOOK = { pricedIn: 'USD' };

/** One with something in it. */
function bookSeed(): AccountBook {
  const book = new AccountBook(BOOK);
  const { balances = [], positions = [] } = poll.observed ?? {};
  book.observe({ fromMs: HOUR, atMs: HOUR + 5, balances, positions });
  book.apply(fill);
  return book;
}

/** One that can go back: with a state from before its last hours, and the prices of those. */
function closedSeed(): AccountBook {
  const book = bookSeed();
  const first = book.nextHourMs ?? HOUR;
  const rows = Array.from({ length: 5 }, (_, at): PriceRow => {
    const atMs = first + at * HOUR_MS;
    const source = 'venue.example/klines';
    return { kind: 'spot', symbol: 'BTC/USD', atMs, price: '50000.5', source, tradedMs: atMs };
  });
  const table = PriceTable.of(rows, ['USDT']);
  const coverage = { polls: 1, complete: true, gaps: [] };
  for (let at = 0; at < 4; at++) book.closeHour(first + at * HOUR_MS, table, coverage);
  return book;
}

/** What a book is after its bytes were read: the opening has no more to say than these. */
function isCanonicalMap(bytes: Uint8Array): boolean {
  const decoded = parseCbor(bytes, { maxBytes: MAX_BYTES, maxItems: MAX_BYTES });
  return decoded.ok && decoded.value instanceof Map && (decoded.value as CborMap).size > 0;
}

export function storedStatesTarget(): Target {
  const book = bookSeed();
  const hours = [{ startMs: HOUR, polls: [poll.poll], reasons: ['partial'], late: 1 }];
  return canonicalTarget({
    name: 'stored-states',
    files: [
      'enclave/ledger/track/track-state.ts',
      'enclave/ledger/book/state-codec.ts',
      'enclave/ledger/book/state-rows.ts',
      'enclave/ledger/store/stored-record.ts',
      'enclave/connector/records.ts',
    ],
    maxBytes: MAX_BYTES,
    words: ['poll', 'missed', 'fill', 'funding', 'flow', 'BTC/USD', 'USD', 'spot'],
    codecs: [
      codec(
        'record',
        (bytes) => orMalformed(parseStoredRecord(bytes)),
        encodeStoredRecord,
        records,
      ),
      codec('state', (bytes) => orMalformed(parseTrackState(bytes)), encodeTrackState, [
        {
          book: book.encode(),
          lastCompleteMs: HOUR,
          hours,
          uncompared: { fromMs: 1, toMs: HOUR, reason: 'history_limit' },
          heardMs: HOUR,
          isDelayed: true,
        },
        {
          book: new Uint8Array(0),
          lastCompleteMs: 0,
          hours: [],
          uncompared: null,
          heardMs: null,
          isDelayed: false,
        },
      ]),
      {
        name: 'book',
        seeds: [book.encode(), closedSeed().encode(), new AccountBook(BOOK).encode()],
        run: (bytes) => {
          const parsed = AccountBook.parse(bytes, BOOK);
          if (parsed === null) return 'refused';
          expectThat(isCanonicalMap(bytes), 'a book of bytes that are no map');
          // What is read can be written, and read again to the same.
          const written = parsed.encode();
          const again = AccountBook.parse(written, BOOK);
          expectThat(again !== null, 'a book that is not read as it was written');
          expectThat(sameValue(again?.encode(), written), 'a book that changes when it is read');
          return 'accepted';
        },
      },
    ],
  });
}
