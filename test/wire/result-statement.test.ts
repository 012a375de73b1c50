import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { Amounts, ResultStatement } from '../../wire/result-statement.ts';
import {
  encodeResultStatement,
  MAX_RESULT_GAPS,
  MAX_STATEMENT_BYTES,
  parseResultStatement,
} from '../../wire/result-statement.ts';
import { hoursOf, summaryOf } from '../../wire/result-summary.ts';

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat(9))
  .map(([units, tail]) => (tail === 0 ? String(units) : `${units}.${tail}`))
  .filter((text) => text !== '-0');
const amounts: fc.Arbitrary<Amounts> = fc
  .dictionary(fc.stringMatching(/^[A-Z0-9]{1,8}$/u), decimal, { maxKeys: 4 })
  .map((record) => new Map(Object.entries(record)));
const matched = fc.option(fc.record({ trades: fc.nat(), volume: amounts }));
const times = fc
  .tuple(fc.nat(), fc.nat())
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const statement: fc.Arbitrary<ResultStatement> = fc.record({
  origin: fc.constant('log.example/e0000000001'),
  accountCommitment: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  venue: fc.constantFrom('kraken', 'binance'),
  hosts: fc.array(
    fc.record({
      host: fc.constant('api.kraken.com'),
      spkiHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    }),
    { maxLength: 3 },
  ),
  environment: fc.constantFrom('live', 'sandbox'),
  observedSinceNs: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  periodStartNs: fc.constant(5n),
  periodEndNs: fc.constant(7n),
  asOfNs: fc.bigInt({ min: 7n, max: 2n ** 64n - 1n }),
  polls: fc.record({
    scheduled: fc.nat(),
    complete: fc.nat(),
    partial: fc.nat(),
    failed: fc.nat(),
    missed: fc.nat(),
  }),
  coverage: fc.array(
    times.map(([fromMs, toMs]) => ({
      what: 'fills',
      market: null,
      fromMs,
      toMs,
      complete: false,
      reason: 'network',
    })),
    { maxLength: 3 },
  ),
  gaps: fc.array(
    times.map(([fromMs, toMs]) => ({ fromMs, toMs, reason: 'network' })),
    { maxLength: 3 },
  ),
  method: fc.constant('sums/v1'),
  figures: fc.record({
    trades: fc.nat(),
    volume: amounts,
    fees: amounts,
    funding: amounts,
    deposits: amounts,
    withdrawals: amounts,
    balances: fc.option(amounts),
    positions: fc.option(fc.nat()),
    unrealized: fc.option(amounts),
    matched,
    unmatched: matched,
    hours: fc.array(
      fc.record({
        startMs: fc.nat(),
        trades: fc.nat(),
        volume: amounts,
        fees: amounts,
        complete: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  }),
  missing: fc.constant(['returns']),
});

const [sample] = fc.sample(statement, { numRuns: 1, seed: 1 });

function changed(field: number, value: CborValue): Uint8Array {
  if (sample === undefined) throw new Error('no sample');
  const bytes = encodeResultStatement(sample);
  const map = assertAccepted(parseCbor(bytes, { maxBytes: MAX_STATEMENT_BYTES }));
  if (!(map instanceof Map)) throw new Error('not a map');
  return encodeCbor(new Map(map as Map<number, CborValue>).set(field, value));
}

function figuresWith(field: number, value: CborValue): Uint8Array {
  const map = assertAccepted(parseCbor(changed(1, 'x'), { maxBytes: MAX_STATEMENT_BYTES }));
  const figures = map instanceof Map ? (map as Map<number, CborValue>).get(14) : null;
  if (!(figures instanceof Map)) throw new Error('no figures');
  return changed(14, new Map(figures as Map<number, CborValue>).set(field, value));
}

describe('a result statement', () => {
  it('is read as it was written, and its readable form survives JSON', () => {
    fc.assert(
      fc.property(statement, (one) => {
        const read = assertAccepted(parseResultStatement(encodeResultStatement(one)));
        expect(read).toEqual(one);
        const readable = { ...summaryOf(read), metrics: hoursOf(read) };
        expect(JSON.parse(JSON.stringify(readable))).toEqual(readable);
      }),
    );
  });

  it.each<readonly [string, Uint8Array]>([
    ['another domain', changed(1, 'trackseal/result/v2')],
    ['a short commitment', changed(3, new Uint8Array(31))],
    ['an odd venue', changed(4, 'Kraken!')],
    ['another environment', changed(6, 'test')],
    ['a period that ends before it begins', changed(8, [7, 5])],
    ['a period of three times', changed(8, [5, 6, 7])],
    ['a period beyond what was seen', changed(8, [5, 2n ** 64n - 1n])],
    ['a negative time', changed(9, -1)],
    [
      'too many gaps',
      changed(
        12,
        Array.from(
          { length: MAX_RESULT_GAPS + 1 },
          () =>
            new Map<number, CborValue>([
              [1, 1],
              [2, 2],
              [3, 'x'],
            ]),
        ),
      ),
    ],
    [
      'a gap that goes back',
      changed(12, [
        new Map<number, CborValue>([
          [1, 2],
          [2, 1],
          [3, 'x'],
        ]),
      ]),
    ],
    ['a field too many', changed(16, 1)],
    ['an amount as a number', figuresWith(2, new Map([['EUR', 1]]))],
    ['an amount that is not canonical', figuresWith(2, new Map([['EUR', '1.50']]))],
    ['an exponent', figuresWith(3, new Map([['EUR', '1e3']]))],
    ['an odd currency', figuresWith(4, new Map([['E R', '1']]))],
    ['a currency that turns the line', figuresWith(4, new Map([['E\u202eR', '1']]))],
    ['a currency with a control character', figuresWith(4, new Map([['E\u001bR', '1']]))],
    ['a currency that is too long', figuresWith(4, new Map([['\u5e01'.repeat(65), '1']]))],
    ['a currency that is a number', figuresWith(4, new Map([[1, '1']]))],
    ['no amounts where they have to be', figuresWith(5, null)],
  ])('with %s is refused', (_, bytes) => {
    expect(parseResultStatement(bytes).ok).toBe(false);
  });

  it('names currencies in any script, as venues do', () => {
    if (sample === undefined) throw new Error('no sample');
    const volume = new Map([
      ['USDT', '1'],
      ['\u5e01\u5b89\u4eba\u751f', '2.5'],
    ]);
    const statement = { ...sample, figures: { ...sample.figures, volume } };
    const read = assertAccepted(parseResultStatement(encodeResultStatement(statement)));
    expect(summaryOf(read).volume).toEqual({ USDT: '1', 币安人生: '2.5' });
  });

  it('mistake 10 (in part): unknown is null and stays null, never a zero', () => {
    if (sample === undefined) throw new Error('no sample');
    const figures = { ...sample.figures, balances: null, unrealized: null, positions: null };
    const read = assertAccepted(
      parseResultStatement(encodeResultStatement({ ...sample, figures })),
    );
    const { balances, unrealized, positions } = summaryOf(read);
    expect([balances, unrealized, positions]).toEqual([null, null, null]);
  });
});
