import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeJob } from '../../../enclave/desk/connector-frames.ts';
import { parseJob } from '../../../enclave/connector/parse-job.ts';
import type { Job } from '../../../enclave/connector/job.ts';
import type { Done, Fetch, Fetched, Records } from '../../../enclave/connector/protocol.ts';
import { MAX_BODY_CHUNK_BYTES, MAX_RECORDS_PER_PAGE } from '../../../enclave/connector/protocol.ts';
import {
  encodeBody,
  encodeFetched,
  encodeFetchFailed,
  parseCallMeaning,
  parseDone,
  parseFetch,
  parseRecords,
} from '../../../enclave/desk/connector-frames.ts';
import {
  encodeCallMeaning,
  encodeDone,
  encodeFetch,
  encodeRecords,
  parseBody,
  parseFetched,
  parseFetchFailed,
} from '../../../enclave/connector/connector-frames.ts';
import type { Balance, Fill, Price } from '../../../enclave/connector/records.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { utf8 } from '../../../wire/bytes.ts';

const JOB: Job = {
  id: 7,
  kind: 'poll',
  venue: 'binance',
  settings: {
    accountType: 'spot',
    environment: 'sandbox',
    label: 'main',
    allowTrading: false,
    symbols: ['BTC/USDT'],
  },
  credentials: { apiKey: utf8('key'), secret: utf8('secret'), passphrase: null },
  cursors: new Uint8Array([0xa0]),
  fromMs: 1_700_000_000_000,
  reads: 'anew',
  nowMs: 1_700_000_300_000,
  priority: 1,
  budget: { calls: 100, retries: 3, deadlineMs: 60_000 },
  prices: [{ kind: 'spot', symbol: 'BTC/USDT', fromMs: 0, toMs: 3_600_000, stepMs: 3_600_000 }],
};

const FETCH: Fetch = {
  job: 7,
  call: 1,
  method: 'GET',
  url: 'https://api.binance.com/api/v3/account?timestamp=1',
  headers: new Map([['x-mbx-apikey', 'key']]),
  body: null,
  weight: '20',
  attempt: 0,
};

const FILL: Fill = {
  kind: 'fill',
  id: '28457',
  orderId: '100234',
  clientOrderId: null,
  symbol: 'BNB/BTC',
  market: 'spot',
  base: 'BNB',
  quote: 'BTC',
  settle: null,
  side: 'buy',
  price: '4.000001',
  amount: '12',
  contractSize: null,
  inverse: null,
  cost: '48.000012',
  fees: [{ currency: 'BNB', amount: '10.1' }],
  timeMs: 1_499_865_549_590,
  liquidity: 'taker',
  rawDigest: new Uint8Array(32).fill(9),
};

const BALANCE: Balance = {
  kind: 'balance',
  wallet: 'spot',
  currency: 'USDT',
  total: '-1.5',
  free: null,
};

const DONE: Done = {
  job: 7,
  outcome: 'partial',
  errorClass: 'timeout',
  cursors: null,
  coverage: [
    { what: 'fills', market: 'spot', fromMs: 1, toMs: 2, complete: false, reason: 'timeout' },
  ],
  permissions: {
    read: true,
    trade: false,
    withdraw: null,
    transfer: null,
    ipRestricted: null,
    subAccount: null,
    expiresMs: null,
    accountId: '354937868',
  },
  clockOffsetMs: -12,
};

describe('messages between desk and connector', () => {
  it('come back as they were sent', () => {
    expect(assertAccepted(parseJob(encodeJob(JOB)))).toEqual(JOB);
    expect(assertAccepted(parseFetch(encodeFetch(FETCH)))).toEqual(FETCH);
    const fetched: Fetched = { call: 1, status: 200, headers: new Map([['date', '']]), more: true };
    expect(assertAccepted(parseFetched(encodeFetched(fetched)))).toEqual(fetched);
    const body = { call: 1, bytes: utf8('[]'), last: true };
    expect(assertAccepted(parseBody(encodeBody(body)))).toEqual(body);
    const failed = { call: 1, errorClass: 'rate_limited', retryAfterMs: 5000 } as const;
    expect(assertAccepted(parseFetchFailed(encodeFetchFailed(failed)))).toEqual(failed);
    const records: Records = { job: 7, kind: 'fill', records: [FILL] };
    expect(assertAccepted(parseRecords(encodeRecords(records)))).toEqual(records);
    const balances: Records = { job: 7, kind: 'balance', records: [BALANCE] };
    expect(assertAccepted(parseRecords(encodeRecords(balances)))).toEqual(balances);
    const meaning = { call: 1, callClass: 'ok' } as const;
    expect(assertAccepted(parseCallMeaning(encodeCallMeaning(meaning)))).toEqual(meaning);
    expect(assertAccepted(parseDone(encodeDone(DONE)))).toEqual(DONE);
  });

  it('are refused with any byte cut off or added', () => {
    const bytes = encodeFetch(FETCH);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), (end) => {
        expect(parseFetch(bytes.subarray(0, end)).ok).toBe(false);
      }),
    );
    expect(parseFetch(new Uint8Array([...bytes, 0])).ok).toBe(false);
  });

  it('hold credentials as views, so that one fill wipes them', () => {
    const bytes = encodeJob(JOB);
    const { credentials } = assertAccepted(parseJob(bytes));
    bytes.fill(0);
    expect([...credentials.secret]).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

function refusalOfFill(change: Partial<Fill>): unknown {
  const records = [{ ...FILL, ...change }];
  const parsed = parseRecords(encodeRecords({ job: 7, kind: 'fill', records }));
  return parsed.ok ? null : parsed.refusal;
}

/** Of the moment 1000. */
function isPriceAccepted(tradedMs: number): boolean {
  const market = { of: 'spot', symbol: 'BTC/USDT', source: 'a.example/b' } as const;
  const dated = { atMs: 1000, price: '1', stepMs: 60_000, tradedMs } as const;
  const records: readonly Price[] = [{ kind: 'price', ...market, ...dated }];
  return parseRecords(encodeRecords({ job: 7, kind: 'price', records })).ok;
}

function isPageAccepted(count: number): boolean {
  const records = Array.from({ length: count }, () => BALANCE);
  return parseRecords(encodeRecords({ job: 7, kind: 'balance', records })).ok;
}

function isBodyAccepted(bytes: number): boolean {
  return parseBody(encodeBody({ call: 1, bytes: new Uint8Array(bytes), last: true })).ok;
}

describe('what a connector may not say', () => {
  it('is that something was dealt after the moment that it is the price of', () => {
    expect([999, 1000, 1001].map(isPriceAccepted)).toEqual([true, true, false]);
  });

  it.each([
    ['a price with an exponent', { price: '1e3' }, 10],
    ['a price that is not canonical', { price: '4.10' }, 10],
    ['a negative amount', { amount: '-1' }, 11],
    ['an empty id', { id: '' }, 1],
    ['an id of 129 characters', { id: 'x'.repeat(129) }, 1],
    ['a digest of 31 bytes', { rawDigest: new Uint8Array(31) }, 18],
    ['a time beyond the year 9999', { timeMs: 253_402_300_800_000 }, 16],
  ])('%s', (_, change, field) => {
    expect(refusalOfFill(change)).toEqual({
      code: 'message_malformed',
      detail: { message: 'records', field },
    });
  });

  it('a page of 501 records, a body of more than 256 KiB, a negative weight', () => {
    expect(isPageAccepted(MAX_RECORDS_PER_PAGE)).toBe(true);
    expect(isPageAccepted(MAX_RECORDS_PER_PAGE + 1)).toBe(false);
    expect(isBodyAccepted(MAX_BODY_CHUNK_BYTES)).toBe(true);
    expect(isBodyAccepted(MAX_BODY_CHUNK_BYTES + 1)).toBe(false);
    expect(parseFetch(encodeFetch({ ...FETCH, weight: '-1' })).ok).toBe(false);
  });

  it('records of another kind than the page names', () => {
    const page = encodeRecords({ job: 7, kind: 'fill', records: [BALANCE] });
    expect(parseRecords(page).ok).toBe(false);
  });
});
