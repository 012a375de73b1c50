import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Coverage } from '../../../enclave/connector/classes.ts';
import type { Fill, Flow } from '../../../enclave/connector/records.ts';
import {
  encodeAccountState,
  MAX_STATE_BYTES,
  parseAccountState,
} from '../../../enclave/desk/account-codec.ts';
import type { PollResult } from '../../../enclave/desk/account-state.ts';
import { AccountState } from '../../../enclave/desk/account-state.ts';
import { CoverageMap, Gaps, MAX_GAPS } from '../../../enclave/desk/coverage.ts';
import { OurOrders, MAX_ORDERS } from '../../../enclave/desk/our-orders.ts';
import { MAX_JOB_RECORDS, PollRecords, volumeOf } from '../../../enclave/desk/poll-records.ts';
import { RetryBudget } from '../../../enclave/desk/retry-budget.ts';
import { MAX_SEEN, Seen, seenKey } from '../../../enclave/desk/seen.ts';
import { MAX_CURRENCIES, Sums } from '../../../enclave/desk/sums.ts';
import type { CborMap } from '../../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../../wire/cbor.ts';
import { addDecimals, assertDecimal, formatDecimal, ZERO } from '../../../wire/decimal.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { MAX_LOST_COUNTER } from '../../../wire/track/signing.ts';
import { accountOf, fillOf, HOUR_MS, NOON_MS } from '../../helpers/polling-scene.ts';
import { transferOf } from '../../helpers/records.ts';

const COMMITMENT = accountOf(1).commitment;
const DAY_MS = 24 * HOUR_MS;

function stateOf(): AccountState {
  return new AccountState(NOON_MS, NOON_MS - 7 * DAY_MS);
}

function recordsOf(state: AccountState, nowMs: number): PollRecords {
  return new PollRecords(state.seen, () => false, nowMs);
}

function rowOf(change: Partial<Coverage> = {}): Coverage {
  return {
    what: 'fills',
    market: 'spot',
    fromMs: NOON_MS - DAY_MS,
    toMs: NOON_MS,
    complete: true,
    reason: null,
    ...change,
  };
}

function resultOf(records: PollRecords | null, change: Partial<PollResult> = {}): PollResult {
  return {
    outcome: 'complete',
    reason: null,
    slotMs: NOON_MS,
    isRetry: false,
    startedMs: NOON_MS,
    endedMs: NOON_MS,
    cursors: null,
    coverage: [],
    records,
    hosts: new Map(),
    ...change,
  };
}

/** As a restart does it. */
function reread(state: AccountState): AccountState {
  const bytes = encodeAccountState(state, COMMITMENT);
  return assertAccepted(parseAccountState(bytes ?? new Uint8Array(0), COMMITMENT));
}

function flowOf(id: string, change: Partial<Flow> = {}): Flow {
  return transferOf({ id, currency: 'USDT', amount: '10', timeMs: NOON_MS, ...change });
}

describe('what an account adds up to', () => {
  const anyFill = fc.record({
    id: fc.nat(400),
    minute: fc.nat(600),
    cost: fc.constantFrom('1', '0.1', '0.000000000000000001', '99999999.99'),
    fee: fc.constantFrom('0', '0.00001', '-0.5'),
  });
  /** Which of the fills a poll brings, and what becomes of it. */
  const anyPoll = fc.record({
    picks: fc.array(fc.nat(99), { maxLength: 60 }),
    end: fc.constantFrom('complete', 'partial', 'failed', 'lost', 'restart'),
  });

  it('is each record once, however polls overlap, fail, break off or are restarted', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyFill, { minLength: 1, maxLength: 100, selector: ({ id }) => id }),
        fc.array(anyPoll, { maxLength: 12 }),
        (list, polls) => {
          const fills = list.map(({ id, minute, cost, fee }) =>
            fillOf(id, {
              timeMs: NOON_MS - minute * 60_000,
              cost,
              fees: [{ currency: 'BNB', amount: fee }],
            }),
          );
          let state = stateOf();
          const told = new Set<Fill>();
          for (const { picks, end } of polls) {
            const brought = picks.flatMap((pick) => fills[pick] ?? []);
            const records = recordsOf(state, NOON_MS);
            // In two pages, which may overlap as well.
            expect(records.take('fill', brought)).toBe(true);
            expect(records.take('fill', brought.slice(0, 3))).toBe(true);
            if (end === 'restart') state = reread(state);
            else if (end === 'failed')
              state.apply(resultOf(records, { outcome: 'failed', reason: 'network' }));
            else if (end !== 'lost') {
              state.apply(
                resultOf(records, { outcome: end, reason: end === 'partial' ? 'network' : null }),
              );
              for (const fill of brought) told.add(fill);
            }
          }
          const sum = (read: (fill: Fill) => string): string => {
            let total = ZERO;
            for (const fill of told) total = addDecimals(total, assertDecimal(read(fill)));
            return formatDecimal(total);
          };
          const figures = reread(state).figures(NOON_MS, false);
          expect(figures.trades).toBe(told.size);
          if (told.size === 0) return;
          expect(figures.volume).toEqual({ USDT: sum(({ cost }) => cost ?? '0') });
          expect(figures.fees).toEqual({ BNB: sum(({ fees }) => fees?.[0]?.amount ?? '0') });
          expect(figures.hours.reduce((trades, hour) => trades + hour.trades, 0)).toBe(told.size);
        },
      ),
    );
  });

  it('counts a deposit when it is there, once, and leaves pending ones for later', () => {
    const state = stateOf();
    for (const status of ['pending', 'ok', 'ok', 'pending'] as const) {
      const records = recordsOf(state, NOON_MS);
      records.take('flow', [flowOf('1', { status })]);
      state.apply(resultOf(records));
    }
    const records = recordsOf(state, NOON_MS);
    records.take('flow', [
      // Another kind of flow under the same number is another flow.
      flowOf('1', { type: 'withdrawal', direction: 'out', amount: '3' }),
      flowOf('2', { type: 'transfer_in' }),
      flowOf('3', { status: 'failed' }),
    ]);
    state.apply(resultOf(records));
    const { deposits, withdrawals } = state.figures(NOON_MS, false);
    expect([deposits, withdrawals]).toEqual([{ USDT: '10' }, { USDT: '3' }]);
  });

  it('takes off what a venue takes back: a withdrawal that failed, a deposit that was not there', () => {
    const state = stateOf();
    const records = recordsOf(state, NOON_MS);
    records.take('flow', [
      flowOf('1', { type: 'withdrawal', direction: 'out', amount: '5' }),
      flowOf('2', { type: 'withdrawal', direction: 'out', amount: '3' }),
      flowOf('3', { type: 'withdrawal', direction: 'in', amount: '5' }),
      flowOf('4', { amount: '10' }),
      flowOf('5', { direction: 'out', amount: '1' }),
    ]);
    state.apply(resultOf(records));
    const { deposits, withdrawals } = state.figures(NOON_MS, false);
    expect([deposits, withdrawals]).toEqual([{ USDT: '9' }, { USDT: '3' }]);
  });

  it('has the fees that a venue tells beside its fills, less what it gives back', () => {
    const state = stateOf();
    const records = recordsOf(state, NOON_MS);
    records.take('fill', [
      fillOf(1, { fees: null }),
      fillOf(2, { fees: [{ currency: 'USDT', amount: '1' }] }),
    ]);
    records.take('flow', [
      flowOf('fee-1', { type: 'fee', direction: 'out', amount: '0.5' }),
      flowOf('fee-1', { type: 'fee', direction: 'out', amount: '0.5' }),
      flowOf('fee-2', { type: 'fee', direction: 'in', amount: '0.2' }),
    ]);
    state.apply(resultOf(records));
    const { fees, hours } = state.figures(NOON_MS, false);
    expect(fees).toEqual({ USDT: '1.3' });
    expect(hours.at(-1)?.fees).toEqual({ USDT: '1.3' });
  });

  it.each<[string, Partial<Fill>, string | null]>([
    ['what the venue says it cost', { cost: '60.5', price: '1', amount: '1' }, 'USDT 60.5'],
    ['price times amount', { cost: null, price: '60000.1', amount: '0.003' }, 'USDT 180.0003'],
    [
      'price times contracts of a linear market',
      { cost: null, market: 'swap', settle: 'USDT', price: '2', amount: '3', contractSize: '0.01' },
      'USDT 0.06',
    ],
    [
      'contracts of an inverse market, in quote',
      {
        cost: '0.01',
        market: 'swap',
        inverse: true,
        quote: 'USD',
        amount: '3',
        contractSize: '100',
      },
      'USD 300',
    ],
    ['nothing for contracts of an unknown size', { cost: null, market: 'swap' }, null],
    ['nothing without a currency', { quote: null }, null],
  ])('volume is %s', (_, change, expected) => {
    const volume = volumeOf(fillOf(1, change));
    expect(volume === null ? null : `${volume.currency} ${formatDecimal(volume.amount)}`).toBe(
      expected,
    );
  });

  it('says so where a fill has no volume', () => {
    const state = stateOf();
    const records = recordsOf(state, NOON_MS);
    records.take('fill', [fillOf(1, { quote: null })]);
    state.apply(resultOf(records, { coverage: [rowOf()] }));
    const { trades, coverage } = state.figures(NOON_MS, false);
    expect(trades).toBe(1);
    expect(coverage).toContainEqual(
      expect.objectContaining({ what: 'volume', complete: false, reason: 'unvalued' }),
    );
  });

  it('does not count what is older than what is settled, and says so', () => {
    const state = stateOf();
    const first = recordsOf(state, NOON_MS);
    first.take('fill', [fillOf(1, { timeMs: NOON_MS - DAY_MS })]);
    const later = NOON_MS + 30 * DAY_MS;
    state.apply(resultOf(first, { coverage: [rowOf({ toMs: later })] }));
    expect(state.seen.fill.size).toBe(0);
    const second = recordsOf(state, later);
    second.take('fill', [fillOf(1, { timeMs: NOON_MS - DAY_MS }), fillOf(2, { timeMs: later })]);
    state.apply(resultOf(second, { endedMs: later }));
    const { trades, coverage } = reread(state).figures(later, false);
    expect(trades).toBe(2);
    expect(coverage).toContainEqual(expect.objectContaining({ what: 'records', reason: 'late' }));
  });

  it('takes no more records of a job than it may bring', () => {
    const records = recordsOf(stateOf(), NOON_MS);
    const page = Array.from({ length: 500 }, () => fillOf(1));
    for (let taken = 0; taken < MAX_JOB_RECORDS; taken += 500)
      expect(records.take('fill', page)).toBe(true);
    expect(records.take('fill', [fillOf(1)])).toBe(false);
  });
});

function fullState(): AccountState {
  const state = stateOf();
  const records = recordsOf(state, NOON_MS);
  const page = Array.from({ length: 300 }, (_, index) =>
    fillOf(index, { timeMs: NOON_MS - index * 60_000, quote: `Q${index % 20}` }),
  );
  records.take('fill', page);
  records.take('flow', [flowOf('1')]);
  state.apply(
    resultOf(records, {
      cursors: new Uint8Array(1000).fill(1),
      coverage: [rowOf(), rowOf({ what: 'deposits', complete: false, reason: 'network' })],
      hosts: new Map([['api.example', new Uint8Array(32)]]),
    }),
  );
  state.miss(NOON_MS, NOON_MS + 1000, 2, 'late');
  state.lastSlotMs = NOON_MS;
  return state;
}

describe('the state', () => {
  it('is read as it was written, but for balances and positions, which are of a moment', () => {
    const state = fullState();
    const again = reread(state);
    const figures = {
      ...state.figures(NOON_MS, true),
      balances: null,
      positions: null,
      unrealized: null,
    };
    expect(again.figures(NOON_MS, true)).toEqual(figures);
    expect(again.cursors).toEqual(state.cursors);
    expect(again.lastSlotMs).toBe(NOON_MS);
    expect(encodeAccountState(again, COMMITMENT)).toEqual(encodeAccountState(state, COMMITMENT));
  });

  it('with any byte changed is refused or another state, and never throws', () => {
    const bytes = encodeAccountState(fullState(), COMMITMENT) ?? new Uint8Array(0);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] ?? 0) ^ flip;
        const parsed = parseAccountState(changed, COMMITMENT);
        const again = parsed.ok ? encodeAccountState(parsed.value, COMMITMENT) : null;
        expect(again).not.toEqual(bytes);
      }),
    );
  });

  it('with an hour that begins within another is refused', () => {
    const bytes = encodeAccountState(fullState(), COMMITMENT) ?? new Uint8Array(0);
    const changed = Buffer.from(bytes);
    const start = Buffer.alloc(8);
    start.writeBigUInt64BE(BigInt(NOON_MS));
    changed.writeBigUInt64BE(BigInt(NOON_MS + 1), changed.lastIndexOf(start));
    expect(parseAccountState(changed, COMMITMENT)).toMatchObject({
      refusal: { code: 'message_malformed' },
    });
  });

  it.each([1, MAX_LOST_COUNTER])('has the head of the chain, at %i', (counter) => {
    const state = stateOf();
    state.head = { counter, hash: new Uint8Array(32).fill(7) };
    expect(reread(state).head).toEqual(state.head);
  });

  it.each([0, MAX_LOST_COUNTER + 1])('with a head at %i is refused', (counter) => {
    const state = stateOf();
    state.head = { counter, hash: new Uint8Array(32) };
    const bytes = encodeAccountState(state, COMMITMENT) ?? new Uint8Array(0);
    expect(parseAccountState(bytes, COMMITMENT)).toMatchObject({
      refusal: { code: 'message_malformed', detail: { field: 1 } },
    });
  });

  it('of before there were heads, and before it could be read again, has none', () => {
    const bytes = encodeAccountState(stateOf(), COMMITMENT) ?? new Uint8Array(0);
    const fields = assertAccepted(parseCbor(bytes, { maxBytes: MAX_STATE_BYTES })) as CborMap;
    const before = new Map([...fields].filter(([field]) => Number(field) < 18));
    expect(before.size).toBe(fields.size - 2);
    const older = assertAccepted(parseAccountState(encodeCbor(before), COMMITMENT));
    expect([older.head, older.again]).toEqual([null, null]);
    expect(older.lastSlotMs).toBe(stateOf().lastSlotMs);
  });

  it('reads again from the earliest time that was asked for, and goes on when it did', () => {
    const state = stateOf();
    const startMs = NOON_MS - 7 * DAY_MS;
    expect([state.reads, state.fromMs]).toEqual(['on', startMs]);
    state.resync({ fromMs: NOON_MS - DAY_MS, isHeard: true });
    expect([state.reads, state.fromMs]).toEqual(['again', NOON_MS - DAY_MS]);
    state.resync({ fromMs: NOON_MS, isHeard: false });
    expect([state.reads, state.fromMs]).toEqual(['anew', NOON_MS - DAY_MS]);
    state.resync({ fromMs: 0, isHeard: true });
    expect([state.reads, state.fromMs]).toEqual(['anew', startMs]);
    state.apply(resultOf(null, { outcome: 'failed', reason: 'network' }));
    expect([reread(state).reads, reread(state).fromMs]).toEqual(['anew', startMs]);
    state.apply(resultOf(recordsOf(state, NOON_MS), { cursors: new Uint8Array(1) }));
    expect([state.reads, reread(state).again]).toEqual(['on', null]);
  });

  it('is heard by whoever has its last poll', () => {
    const state = stateOf();
    state.apply(resultOf(recordsOf(state, NOON_MS), { endedMs: NOON_MS + 5 }));
    const heard = [null, NOON_MS + 4, NOON_MS + 5, NOON_MS + 6].map((ms) => state.isHeard(ms));
    expect(heard).toEqual([false, false, true, true]);
  });

  it('goes on from its last poll, unless it is read anew', () => {
    const state = stateOf();
    expect(state.sinceMs).toBeNull();
    const told = { endedMs: NOON_MS + 5, cursors: new Uint8Array(1) };
    state.apply(resultOf(recordsOf(state, NOON_MS), told));
    expect(reread(state).sinceMs).toBe(NOON_MS + 5);
    state.resync({ fromMs: NOON_MS, isHeard: true });
    expect(reread(state).sinceMs).toBe(NOON_MS + 5);
    state.resync({ fromMs: NOON_MS, isHeard: false });
    expect(reread(state).sinceMs).toBeNull();
  });

  it('of another account is refused', () => {
    const bytes = encodeAccountState(stateOf(), COMMITMENT) ?? new Uint8Array(0);
    expect(parseAccountState(bytes, accountOf(2).commitment)).toMatchObject({
      refusal: { code: 'message_malformed', detail: { field: 2 } },
    });
  });

  it('too large for the vault is not given: the one before stays', () => {
    const state = stateOf();
    for (let hour = 0; hour < 160; hour++) {
      const records = recordsOf(state, NOON_MS);
      const fills = Array.from({ length: 16 }, (_, index) =>
        fillOf(hour * 16 + index, {
          quote: `A-VERY-LONG-NAME-OF-A-CURRENCY-THAT-NOBODY-USES-${index}`,
          timeMs: NOON_MS - hour * HOUR_MS,
          cost: '123456789012345678901234567890.123456789012345678901234567',
        }),
      );
      records.take('fill', fills);
      state.apply(resultOf(records));
    }
    expect(encodeAccountState(state, COMMITMENT)).toBeNull();
    expect(MAX_STATE_BYTES).toBeLessThan(256 * 1024);
  });
});

describe('coverage', () => {
  it('joins spans that touch, and shows one that is missing', () => {
    const map = new CoverageMap();
    map.take([rowOf({ fromMs: 0, toMs: 100 })], true);
    map.take([rowOf({ fromMs: 90, toMs: 200 })], true);
    expect(map.rows(0)[0]).toMatchObject({ from_ms: 0, to_ms: 200, complete: true });
    expect(map.covers('fills', 0, 200)).toBe(true);
    map.take([rowOf({ fromMs: 300, toMs: 400 })], true);
    expect(map.rows(0)[0]).toMatchObject({ to_ms: 400, complete: false, reason: 'hole' });
    expect([map.covers('fills', 0, 200), map.covers('fills', 150, 350)]).toEqual([true, false]);
    // The venue told it later.
    map.take([rowOf({ fromMs: 150, toMs: 350 })], true);
    expect(map.rows(0)[0]).toMatchObject({ complete: true, reason: null });
  });

  it('of a subject is that of all its markets, and none is no coverage', () => {
    const map = new CoverageMap();
    expect(map.covers('fills', 0, 1)).toBe(false);
    map.take(
      [rowOf({ fromMs: 0, toMs: 100 }), rowOf({ market: 'swap', fromMs: 50, toMs: 100 })],
      true,
    );
    expect([map.covers('fills', 0, 100), map.covers('fills', 50, 100)]).toEqual([false, true]);
  });

  it('forgets a failure that a complete poll does not speak of any more', () => {
    const map = new CoverageMap();
    map.take([rowOf({ market: 'all', complete: false, reason: 'network' })], false);
    map.take([rowOf()], false);
    expect(map.rows(0)).toHaveLength(2);
    map.take([rowOf()], true);
    expect(map.rows(0).map(({ market }) => market)).toEqual(['spot']);
  });

  it('keeps what is not covered until a poll speaks of the subject again', () => {
    const map = new CoverageMap();
    const missing = { what: 'transfers', complete: false, reason: 'not_supported' } as const;
    map.take([rowOf(), rowOf(missing)], true);
    // Interactive Brokers' statement is asked for once an hour; the polls between say nothing of it.
    map.take([rowOf({ what: 'funding', complete: false, reason: 'venue_lacks' })], true);
    expect(map.rows(0)).toContainEqual(expect.objectContaining(missing));
    map.take([rowOf(), rowOf({ what: 'transfers', market: 'other' })], true);
    expect(map.rows(0)).not.toContainEqual(expect.objectContaining(missing));
  });

  it('has gaps of one reason each, which never say less than what was missing', () => {
    const gaps = new Gaps();
    gaps.extend(0, 10, 'network');
    gaps.extend(300, 310, 'network');
    gaps.extend(600, 610, 'banned');
    gaps.end(900);
    gaps.end(1200);
    expect(gaps.rows).toEqual([
      { from_ms: 0, to_ms: 310, reason: 'network' },
      { from_ms: 310, to_ms: 900, reason: 'banned' },
    ]);
    for (let gap = 1; gap < 3 * MAX_GAPS; gap++) {
      gaps.extend(gap * 10_000, gap * 10_000 + 10, 'timeout');
      gaps.end(gap * 10_000 + 1000);
    }
    expect(gaps.rows.length).toBeLessThanOrEqual(MAX_GAPS);
    expect(gaps.rows[0]).toMatchObject({ from_ms: 0, reason: 'several' });
    const covered = (atMs: number): boolean =>
      gaps.rows.some(({ from_ms: from, to_ms: to }) => from <= atMs && atMs <= to);
    for (let gap = 1; gap < 3 * MAX_GAPS; gap++) expect(covered(gap * 10_000 + 500)).toBe(true);
  });
});

describe('bounds', () => {
  it(`remembers ${MAX_SEEN} records of a kind, and settles what it forgets`, () => {
    const seen = new Seen();
    for (let id = 0; id <= MAX_SEEN; id++) seen.add(seenKey(String(id)), id * 1000);
    seen.bound();
    expect([seen.size, seen.floorMs]).toEqual([MAX_SEEN, 1000]);
    expect(seen.has(seenKey('0'))).toBe(false);
    const again = Seen.parse(seen.encode(), seen.floorMs);
    expect([again?.size, again?.has(seenKey('1'))]).toEqual([MAX_SEEN, true]);
    expect(Seen.parse(new Uint8Array(13), 0)).toBeNull();
  });

  it('keeps keys of other parts apart', () => {
    expect(
      new Set([seenKey('a', 'bc'), seenKey('ab', 'c'), seenKey('abc'), seenKey('a', 'b', 'c')])
        .size,
    ).toBe(4);
  });

  it(`adds up ${MAX_CURRENCIES} currencies of 60 digits`, () => {
    const sums = new Sums();
    const one = assertDecimal('1');
    for (let name = 0; name < MAX_CURRENCIES; name++) expect(sums.add(`C${name}`, one)).toBe(true);
    expect(sums.add('one more', one)).toBe(false);
    expect(sums.add('C0', one)).toBe(true);
    const most = assertDecimal('9'.repeat(60));
    const large = new Sums();
    expect(large.add('X', most)).toBe(true);
    expect(large.add('X', one)).toBe(false);
    expect(large.toAmounts()).toEqual({ X: '9'.repeat(60) });
  });

  it(`remembers the last ${MAX_ORDERS} of our orders`, () => {
    const orders = new OurOrders();
    for (let id = 0; id <= MAX_ORDERS; id++) orders.add(`ts${id}`);
    expect([orders.has('ts0'), orders.has('ts1'), orders.has(`ts${MAX_ORDERS}`)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it('allows a fifth of the calls as retries, after the first twenty', () => {
    const budget = new RetryBudget();
    const take = (): number => {
      let taken = 0;
      while (budget.take()) taken++;
      return taken;
    };
    expect(take()).toBe(20);
    for (let call = 0; call < 51; call++) budget.earn();
    expect(take()).toBe(10);
    for (let call = 0; call < 1000; call++) budget.earn();
    expect(take()).toBe(20);
  });
});
