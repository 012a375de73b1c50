import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchMemory, parseBatch } from '../../wire/batch.ts';
import { concatBytes, parseHex } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import { encodeAgain, fields, forge, TIME_NS, toPlain } from './batch-forge.ts';

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly decoded?: unknown;
  readonly field?: number;
}

function vectors(name: string): Vector[] {
  const url = new URL(`../vectors/batch/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as Vector[];
}

function bytesOf(vector: Vector): Uint8Array {
  const bytes = parseHex(vector.hex);
  if (bytes === null) throw new Error('a vector is not hex');
  return bytes;
}

/** The first field that `parseBatch` refuses, or `accepted`. */
function verdict(bytes: Uint8Array): unknown {
  const result = parseBatch(bytes);
  if (result.ok) return 'accepted';
  return result.refusal.code === 'batch_malformed' ? result.refusal.detail['field'] : result;
}

const safe = (min: number): fc.Arbitrary<number> => fc.maxSafeInteger().filter((n) => n >= min);

const plain = (column: readonly (number | bigint)[]): BigInt64Array =>
  BigInt64Array.from(column, BigInt);

const nines = (length: number): BigInt64Array => new BigInt64Array(length).fill(9n);
const times = (...values: bigint[]): BigInt64Array => BigInt64Array.of(...values);

/** Overrides for a batch without groups, and for one of trades only. */
const GROUPLESS: readonly (readonly [number, unknown])[] = [
  [15, new Uint16Array(0)],
  [16, new Uint16Array(0)],
  [17, new Uint16Array(0)],
  [18, new Uint8Array(0)],
  [19, new BigInt64Array(0)],
  [20, new BigInt64Array(0)],
  [21, new BigInt64Array(0)],
];

function trades(rows: number): Readonly<Record<number, unknown>> {
  return {
    5: rows,
    6: new Uint16Array(rows).fill(1),
    7: new Uint8Array(rows).fill(1),
    8: new Uint8Array(rows).fill(2),
    9: new Uint8Array(rows),
    10: new BigInt64Array(rows),
    11: new BigInt64Array(rows).fill(TIME_NS),
    12: nines(rows),
    13: nines(rows),
    14: nines(rows),
  };
}

/** Each line breaks one rule; the number is the key that is refused. */
const REFUSED: readonly (readonly [string, Readonly<Record<number, unknown>>, number])[] = [
  ['version 0', { 1: 0 }, 1],
  ['version 2', { 1: 2 }, 1],
  ['a field too few', { 21: undefined }, 0],
  ['a field too many', { 22: 0 }, 0],
  ['stream 0, the enclave’s own', { 2: 0 }, 2],
  ['stream 1000, a strategy’s', { 2: 1000 }, 2],
  ['stream as text', { 2: '7' }, 2],
  ['a negative sequence', { 3: -1 }, 3],
  ['sequence 2^53', { 3: 2n ** 53n }, 3],
  ['a sequence in eight bytes that fits one', { 3: 41n }, 3],
  ['time 2^63', { 4: 2n ** 63n }, 4],
  ['time as a float', { 4: 1.5 }, 4],
  ['1,025 rows', { 5: 1025 }, 5],
  ['more rows than there are', { 5: 7 }, 6],
  ['fewer rows than there are', { 5: 5 }, 6],
  ['instruments as uint8', { 6: new Uint8Array(12) }, 6],
  ['kind 0', { 7: Uint8Array.of(3, 3, 2, 2, 0, 4) }, 7],
  ['kind 5', { 7: Uint8Array.of(3, 3, 2, 2, 1, 5) }, 7],
  ['a column too short', { 7: new Uint8Array(5) }, 7],
  ['side 0', { 8: Uint8Array.of(1, 2, 0, 2, 2, 1) }, 8],
  ['side 3', { 8: Uint8Array.of(1, 2, 1, 2, 3, 1) }, 8],
  ['an unknown flag', { 9: Uint8Array.of(0, 0, 1, 1, 2, 0) }, 9],
  ['an exchange time that is not valid and not 0', { 10: times(0n, 1n, 1n, 1n, 1n, 0n) }, 10],
  ['the same, above 32 bits', { 10: times(0n, 2n ** 32n, 1n, 1n, 1n, 0n) }, 10],
  ['a negative exchange time', { 10: times(0n, 0n, -1n, 1n, 1n, 0n) }, 10],
  ['a receive time after the batch time', { 11: times(0n, 0n, 0n, TIME_NS + 1n, 0n, 0n) }, 11],
  ['the same in the high word', { 11: times(0n, 0n, 0n, TIME_NS + 2n ** 32n, 0n, 0n) }, 11],
  ['a negative receive time', { 11: times(0n, 0n, 0n, -1n, 0n, 0n) }, 11],
  ['price 2^53', { 12: nines(6).with(2, 2n ** 53n) }, 12],
  ['price -2^53', { 12: nines(6).with(2, -(2n ** 53n)) }, 12],
  ['a negative quantity', { 13: nines(6).with(2, -1n) }, 13],
  ['quantity 2^53', { 13: nines(6).with(5, 2n ** 53n) }, 13],
  ['a negative id', { 14: nines(6).with(2, -1n) }, 14],
  ['id 2^63-1', { 14: nines(6).with(2, 2n ** 63n - 1n) }, 14],
  ['1,025 groups', { 15: new Uint16Array(1025) }, 15],
  ['half a group', { 15: Uint16Array.of(1, 1) }, 16],
  ['a group of another instrument than its rows', { 15: Uint16Array.of(1, 2, 2) }, 15],
  ['groups that overlap', { 16: Uint16Array.of(0, 1, 5) }, 16],
  ['an empty group inside another', { 16: Uint16Array.of(0, 2, 3) }, 16],
  ['a group beyond the rows', { 16: Uint16Array.of(0, 2, 7) }, 17],
  ['a group longer than the rows', { 17: Uint16Array.of(2, 2, 2) }, 17],
  ['a book row in no group', { 17: Uint16Array.of(2, 1, 0) }, 7],
  ['one behind all groups', { 16: Uint16Array.of(0, 2, 3), 17: Uint16Array.of(2, 1, 0) }, 7],
  [
    'a book row in front of the groups',
    { 16: Uint16Array.of(1, 2, 5), 17: Uint16Array.of(1, 2, 0) },
    7,
  ],
  ['a trade in a group', { 17: Uint16Array.of(2, 3, 0) }, 7],
  ['snapshot rows in an update', { 18: Uint8Array.of(6, 6, 6) }, 7],
  [
    'update rows in a snapshot',
    { 18: Uint8Array.of(7, 7, 6), 19: nines(3), 20: nines(3), 21: times(-1n, -1n, -1n) },
    7,
  ],
  ['an unknown group flag', { 18: Uint8Array.of(7, 6, 8) }, 18],
  ['a first update id below 0', { 19: times(50_093_239_218n, -1n, 10n) }, 19],
  ['a last update id before the first', { 20: times(50_093_239_218n, 50_093_239_218n, 10n) }, 20],
  ['a snapshot with two ids', { 20: times(50_093_239_219n, 50_093_239_222n, 10n) }, 20],
  ['a snapshot with a previous id', { 21: times(0n, -1n, 9n) }, 21],
  ['a previous id below -1', { 21: times(-1n, -2n, 9n) }, 21],
];

describe('batch vectors', () => {
  it.each(vectors('valid'))('$name', (vector) => {
    const batch = assertAccepted(parseBatch(bytesOf(vector), new Set([1, 2])));
    expect(toPlain(batch)).toEqual(vector.decoded);
    expect(Buffer.from(encodeAgain(batch)).toString('hex')).toBe(vector.hex);
  });

  it.each(vectors('refused'))('refuses $name', (vector) => {
    expect(verdict(bytesOf(vector))).toBe(vector.field);
  });
});

describe('batch', () => {
  it('is accepted as forged, so that the refusals below are due to one change', () => {
    expect(verdict(forge())).toBe('accepted');
  });

  it.each(REFUSED)('refuses %s', (_, overrides, field) => {
    expect(verdict(forge(overrides))).toBe(field);
  });

  it('refuses keys in another order', () => {
    const swapped = forge();
    const entries = [...fields()];
    expect(entries[4]).toEqual([5, 6]);
    // Keys 1 and 2 are at bytes 1 and 3.
    [swapped[1], swapped[3]] = [2, 1];
    expect(verdict(swapped)).toBe(1);
  });

  it('refuses trailing bytes, every prefix, and what is too large', () => {
    const bytes = forge();
    expect(verdict(concatBytes(bytes, Uint8Array.of(0)))).toBe(0);
    expect(verdict(bytes.subarray(0, -1))).toBe(21);
    for (let length = 0; length < bytes.length; length++) {
      expect(verdict(bytes.subarray(0, length))).not.toBe('accepted');
    }
    const large = parseBatch(new Uint8Array(256 * 1024 + 1));
    expect(large).toMatchObject({
      refusal: { code: 'batch_malformed', detail: { maximum: 262_144 } },
    });
  });

  it('refuses an instrument that is not known, in rows and in groups', () => {
    const bytes = forge();
    expect(parseBatch(bytes, new Set([1, 2])).ok).toBe(true);
    const refused = { refusal: { code: 'instrument_unknown', detail: { instrument: 2 } } };
    expect(parseBatch(bytes, new Set([1]))).toMatchObject(refused);
    const inGroup = forge({ 6: Uint16Array.of(1, 1, 1, 1, 1, 1) });
    expect(parseBatch(inGroup, new Set([1]))).toMatchObject(refused);
  });

  it('takes 1,024 rows and 1,024 groups', () => {
    const rows = 1024;
    const zeros = new BigInt64Array(rows);
    const bytes = forge({
      5: rows,
      6: new Uint16Array(rows),
      7: new Uint8Array(rows).fill(1),
      8: new Uint8Array(rows).fill(2),
      9: new Uint8Array(rows),
      10: zeros,
      11: zeros,
      12: zeros,
      13: zeros,
      14: zeros,
      15: new Uint16Array(rows),
      16: new Uint16Array(rows).fill(rows),
      17: new Uint16Array(rows),
      18: new Uint8Array(rows).fill(6),
      19: zeros,
      20: zeros,
      21: zeros,
    });
    expect(assertAccepted(parseBatch(bytes))).toMatchObject({ rows, groups: rows });
  });

  it('shares no memory with its input', () => {
    const bytes = forge();
    const batch = assertAccepted(parseBatch(bytes));
    const before = toPlain(batch);
    bytes.fill(0xff);
    expect(toPlain(batch)).toEqual(before);
  });

  it('reads from any alignment', () => {
    const bytes = forge();
    for (let shift = 0; shift < 8; shift++) {
      const shifted = concatBytes(new Uint8Array(shift), bytes).subarray(shift);
      expect(toPlain(assertAccepted(parseBatch(shifted)))).toEqual(
        toPlain(assertAccepted(parseBatch(bytes))),
      );
    }
  });

  it('gives the same in memory that other batches, longer, shorter or refused, have used', () => {
    const memory = new BatchMemory();
    const large = forge({ ...Object.fromEntries(GROUPLESS), ...trades(1024) });
    const inputs = [forge(), large, forge({ 7: Uint8Array.of(3, 3, 2, 2, 0, 4) }), forge()];
    for (const bytes of [...inputs, large.subarray(0, 30_000), forge()]) {
      const [fresh, reused] = [parseBatch(bytes), parseBatch(bytes, null, memory)].map((result) =>
        result.ok ? toPlain(result.value) : result,
      );
      expect(reused).toEqual(fresh);
    }
  });

  it('has exactly one encoding: a changed byte is refused or is another batch', () => {
    const bytes = forge();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
        const changed = new Uint8Array(bytes);
        changed[index] = (changed[index] ?? 0) ^ flip;
        const result = parseBatch(changed);
        const code = result.ok ? 'batch_malformed' : result.refusal.code;
        expect(code).toBe('batch_malformed');
        const again = result.ok ? encodeAgain(result.value) : changed;
        expect(Buffer.compare(again, changed)).toBe(0);
      }),
      { numRuns: 5000 },
    );
  });

  it('round-trips what the host encodes', () => {
    const row = fc.record({
      instrument: fc.nat(0xffff),
      kind: fc.constantFrom(1, 4),
      side: fc.constantFrom(1, 2),
      exchangeTimeNs: fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
      receiveTimeNs: fc.bigInt({ min: 0n, max: TIME_NS }),
      price: safe(Number.MIN_SAFE_INTEGER),
      quantity: safe(0),
      id: safe(0),
    });
    const run = fc.record({
      loose: fc.array(row, { maxLength: 3 }),
      grouped: fc.array(row, { maxLength: 4 }),
      instrument: fc.nat(0xffff),
      snapshot: fc.boolean(),
      ids: fc.tuple(safe(0), safe(0), safe(-1)),
      part: fc.constantFrom(0, 2, 4, 6),
    });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 6 }), safe(0), (runs, sequence) => {
        const rows = [];
        const groups = [];
        for (const { loose, grouped, instrument, snapshot, ids, part } of runs) {
          rows.push(...loose);
          const [a, b, previous] = ids;
          const lastId = Math.max(a, b);
          groups.push({
            instrument,
            firstRow: rows.length,
            rows: grouped.length,
            flags: part + Number(snapshot),
            firstId: snapshot ? lastId : Math.min(a, b),
            lastId,
            previousId: snapshot ? -1 : previous,
          });
          const kind = snapshot ? 3 : 2;
          for (const each of grouped) rows.push(Object.assign(each, { instrument, kind }));
        }
        const bytes = forge({
          3: sequence < 2 ** 32 ? sequence : BigInt(sequence),
          5: rows.length,
          6: Uint16Array.from(rows, (each) => each.instrument),
          7: Uint8Array.from(rows, (each) => each.kind),
          8: Uint8Array.from(rows, (each) => each.side),
          9: Uint8Array.from(rows, (each) => Number(each.exchangeTimeNs !== null)),
          10: plain(rows.map((each) => each.exchangeTimeNs ?? 0n)),
          11: plain(rows.map((each) => each.receiveTimeNs)),
          12: plain(rows.map((each) => each.price)),
          13: plain(rows.map((each) => each.quantity)),
          14: plain(rows.map((each) => each.id)),
          15: Uint16Array.from(groups, (each) => each.instrument),
          16: Uint16Array.from(groups, (each) => each.firstRow),
          17: Uint16Array.from(groups, (each) => each.rows),
          18: Uint8Array.from(groups, (each) => each.flags),
          19: plain(groups.map((each) => each.firstId)),
          20: plain(groups.map((each) => each.lastId)),
          21: plain(groups.map((each) => each.previousId)),
        });
        const batch = assertAccepted(parseBatch(bytes));
        expect(Array.from(batch.price)).toEqual(rows.map((each) => each.price));
        expect(Array.from(batch.receiveTimeNs)).toEqual(rows.map((each) => each.receiveTimeNs));
        expect(Array.from(batch.groupPreviousId)).toEqual(groups.map((each) => each.previousId));
        expect(Buffer.compare(encodeAgain(batch), bytes)).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
