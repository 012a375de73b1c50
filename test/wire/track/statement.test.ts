import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHex } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../../wire/cbor.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { MAX_FIGURES_FLOWS } from '../../../wire/track/figures-codec.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { MAX_TRACK_STATEMENT_BYTES } from '../../../wire/track/head.ts';
import { HOUR_DOMAIN } from '../../../wire/track/hour.ts';
import {
  encodeTrackLeaf,
  encodeTrackStatement,
  MAX_LEAF_STATEMENTS,
  parseChainPlace,
  parseChainStatement,
  parseTrackLeaf,
  parseTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../../wire/track/statement.ts';
import {
  Chain,
  FIGURES,
  HOUR,
  hourAt,
  metricsOf,
  trackVectors,
  vectorChain,
} from '../../vectors/track.ts';

const FILE = new URL('../../vectors/track.json', import.meta.url);
const committed = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, string>>;

function vector(name: string): Uint8Array {
  const bytes = parseHex(committed[name] ?? 'none');
  if (bytes === null) throw new Error(`no vector ${name}`);
  return bytes;
}

const fixed: fc.Arbitrary<Fixed> = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n });
const positive: fc.Arbitrary<Fixed> = fc.bigInt({ min: 0n, max: 10n ** 40n });
const figures: fc.Arbitrary<HourFigures> = fc.record({
  startMs: fc.constant(HOUR),
  equityStart: fc.option(fixed),
  equityEnd: fc.option(fixed),
  unrealisedEnd: fc.option(fixed),
  inflow: fc.option(positive),
  outflow: fc.option(positive),
  flows: fc.array(
    fc.record({
      atMs: fc.integer({ min: HOUR, max: HOUR + 3_600_000 }),
      amount: fc.option(fixed),
      equityBefore: fc.option(fixed),
      reference: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 })),
    }),
    { maxLength: 3 },
  ),
  realised: fc.option(fixed),
  realisedAverage: fc.option(fixed),
  unrealisedChange: fc.option(fixed),
  funding: fc.option(fixed),
  fees: fc.option(fixed),
  income: fc.option(fixed),
  residual: fc.option(fixed),
  tolerance: positive,
  status: fc.constantFrom('reconciled', 'beyond', 'unknown'),
  trades: fc.nat(),
  volume: fc.option(fixed),
  byMarket: fc.array(
    fc.record({
      market: fc.constantFrom('spot', 'swap', 'option'),
      trades: fc.nat(),
      volume: fc.option(fixed),
      fees: fc.option(fixed),
      funding: fc.option(fixed),
      realised: fc.option(fixed),
      equity: fc.option(fixed),
      outlay: fc.option(fixed),
      income: fc.option(fixed),
      unrealised: fc.option(fixed),
    }),
    { maxLength: 3 },
  ),
  prices: fc.array(
    fc.record({
      source: fc.constant('api.kraken.com/0/public/OHLC'),
      rows: fc.nat(),
      oldestAgeMs: fc.nat(),
    }),
    { maxLength: 3 },
  ),
  pricesDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  polls: fc.nat(),
  complete: fc.boolean(),
  gaps: fc.array(fc.constantFrom('exchange_network', 'price_missing'), { maxLength: 2 }),
  rebuilt: fc.boolean(),
});

/** The sample hour with one field of the statement changed. */
function changed(field: number, value: CborValue | undefined, bytes = vector('hour')): Uint8Array {
  const map = assertAccepted(parseCbor(bytes, { maxBytes: MAX_TRACK_STATEMENT_BYTES }));
  if (!(map instanceof Map)) throw new Error('not a map');
  const copy = new Map(map as Map<number, CborValue>);
  if (value === undefined) copy.delete(field);
  else copy.set(field, value);
  return encodeCbor(copy);
}

function inner(outer: number, field: number, value: CborValue | undefined): Uint8Array {
  const map = assertAccepted(parseCbor(vector('hour'), { maxBytes: MAX_TRACK_STATEMENT_BYTES }));
  const nested = map instanceof Map ? (map as Map<number, CborValue>).get(outer) : null;
  if (!(nested instanceof Map)) throw new Error('no map');
  const copy = new Map(nested as Map<number, CborValue>);
  if (value === undefined) copy.delete(field);
  else copy.set(field, value);
  return changed(outer, copy);
}

describe('test/vectors/track.json', () => {
  it('is what the code makes, byte for byte', () => {
    expect(trackVectors()).toEqual(committed);
  });

  it('reads back what was written, and is signed by the key of RFC 8032', () => {
    for (const bytes of [...vectorChain().statements, vector('metrics')]) {
      const parsed = assertAccepted(parseTrackStatement(bytes));
      expect(encodeTrackStatement(parsed)).toEqual(bytes);
    }
    const spki = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      vector('public key'),
    ]);
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const signed = Buffer.concat([
      Buffer.from('trackseal/hour/v1\0'),
      Buffer.from('000000000000006100000001', 'hex'),
      vector('hour without a return'),
    ]);
    expect(signed.toString('hex')).toBe(committed['signed bytes, leaf 97, position 1']);
    expect(verify(null, signed, key, vector('signature, leaf 97, position 1'))).toBe(true);
  });

  it('has a leaf that gives its statements back, each with its own bytes', () => {
    const leaf = assertAccepted(parseTrackLeaf(vector('leaf')));
    expect(leaf).toEqual([vector('hour'), vector('hour without a return')]);
  });
});

describe('a statement of a track record', () => {
  it('is read as it was written, whatever its figures', () => {
    fc.assert(
      fc.property(figures, (one) => {
        const bytes = new Chain().link(hourAt(HOUR, { figures: one }));
        const parsed = assertAccepted(parseTrackStatement(bytes));
        expect(parsed).toMatchObject({ kind: 'hour', figures: one });
        expect(encodeTrackStatement(parsed)).toEqual(bytes);
      }),
    );
  });

  it('has the place that its first fields say, whatever is behind them', () => {
    for (const bytes of vectorChain().statements) {
      const whole = assertAccepted(parseChainStatement(bytes));
      const place = assertAccepted(parseChainPlace(bytes));
      expect(whole).toMatchObject(place);
      // What is a statement is one by its place as well, and the place is never another than the statement's.
      const others = Array.from(bytes, (_, at) => bytes.with(at, (bytes[at] ?? 0) ^ 1));
      for (const changed of others.filter((one) => parseChainStatement(one).ok)) {
        const read = assertAccepted(parseChainPlace(changed));
        expect(assertAccepted(parseChainStatement(changed))).toMatchObject(read);
      }
      const code = parseChainPlace(bytes.subarray(0, 60));
      expect(code).toMatchObject({ ok: false });
    }
    expect(parseChainPlace(vector('metrics'))).toMatchObject({
      refusal: { code: 'message_malformed' },
    });
  });

  it('has other bytes to sign at every place', () => {
    const bytes = vector('hour');
    const places = [
      [HOUR_DOMAIN, 97, 1],
      [HOUR_DOMAIN, 97, 2],
      [HOUR_DOMAIN, 98, 1],
      ['trackseal/snapshot/v1', 97, 1],
    ] as const;
    const all = places.map(([domain, leaf, at]) =>
      Buffer.from(trackSignedBytes(domain, leaf, at, bytes)).toString('hex'),
    );
    expect(new Set(all).size).toBe(places.length);
  });

  it('is refused with any byte flipped, or says something else', () => {
    const bytes = vector('hour');
    const original = assertAccepted(parseTrackStatement(bytes));
    const same = Array.from(bytes, (_, at) => at).filter((at) => {
      const parsed = parseTrackStatement(bytes.with(at, (bytes[at] ?? 0) ^ 1));
      return parsed.ok && isDeepStrictEqual(parsed.value, original);
    });
    expect(same).toEqual([]);
  });

  const flow = new Map<number, CborValue>([
    [1, HOUR],
    [2, '1'],
    [3, null],
  ]);
  it.each<readonly [string, number, Uint8Array]>([
    ['another domain', 1, changed(1, 'trackseal/hour/v2')],
    ['a short commitment', 3, changed(3, new Uint8Array(31))],
    ['an odd venue', 4, changed(4, 'Kraken!')],
    ['another environment', 5, changed(5, 'test')],
    ['counter 0', 6, changed(6, 0)],
    ['counter 1 with something before it', 7, changed(7, new Uint8Array(32))],
    ['counter 2 with nothing before it', 7, changed(6, 2)],
    [
      'a correction of itself',
      1,
      changed(
        8,
        new Map<number, CborValue>([
          [1, 1],
          [2, 'late_data'],
        ]),
      ),
    ],
    ['an hour that is none', 9, changed(9, HOUR + 1)],
    ['figures of another hour', 1, changed(9, HOUR + 3_600_000)],
    ['another currency', 10, changed(10, 'EUR')],
    ['an amount in another form', 2, inner(11, 2, '25000.0')],
    ['an amount of 19 digits behind the point', 2, inner(11, 2, '0.0000000000000000001')],
    ['a number for an amount', 2, inner(11, 2, 25_000)],
    ['a negative inflow', 5, inner(11, 5, '-1')],
    ['a flow of another hour', 1, inner(11, 7, [new Map(flow).set(1, HOUR - 1)])],
    [
      'too many flows',
      7,
      inner(
        11,
        7,
        Array.from({ length: MAX_FIGURES_FLOWS + 1 }, () => flow),
      ),
    ],
    ['no tolerance', 15, inner(11, 15, undefined)],
    ['a status of another list', 16, inner(11, 16, 'fine')],
    ['a field more in its figures', 26, inner(11, 26, 1)],
    ['a ratio without a method', 2, inner(12, 2, null)],
    ['a ratio that is no decimal', 1, inner(12, 1, '1e5')],
    ['another lot method', 14, changed(14, 'lifo')],
    ['another label', 15, changed(15, 'host')],
    ['a field more', 16, changed(16, 0)],
    ['a field less', 13, changed(13, undefined)],
  ])('is refused with %s', (_, field, bytes) => {
    expect(parseTrackStatement(bytes)).toMatchObject({
      ok: false,
      refusal: { code: 'message_malformed', detail: { field } },
    });
  });

  it.each([
    ['hour', 15, 10],
    ['snapshot', 19, 10],
    ['metrics', 13, null],
  ])('of kind %s has label tls in field %d, and no money but dollars', (name, label, currency) => {
    const bytes = vector(name);
    for (const [field, value] of [
      [label, 'tls'],
      [currency, 'USD'],
    ] as const) {
      if (field === null) continue;
      expect(changed(field, value, bytes)).toEqual(bytes);
      for (const other of ['host', 'EUR', '', value.toUpperCase() + value, null, 1, undefined])
        expect(parseTrackStatement(changed(field, other, bytes))).toMatchObject({
          ok: false,
          refusal: { code: 'message_malformed', detail: { field } },
        });
    }
  });

  it.each([
    [15, false],
    [16, true],
    [17, false],
  ])('a reference of %d bytes: %s', (length, isTaken) => {
    const [flow] = FIGURES.flows;
    if (flow === undefined) throw new Error('no flow');
    const flows = [{ ...flow, reference: new Uint8Array(length) }];
    const bytes = new Chain().link(hourAt(HOUR, { figures: { ...FIGURES, flows } }));
    expect(parseTrackStatement(bytes).ok).toBe(isTaken);
  });

  it('takes 256 flows of an hour, within its size', () => {
    const flows = Array.from({ length: MAX_FIGURES_FLOWS }, () => ({
      atMs: HOUR,
      amount: 10n ** 47n + 1n,
      equityBefore: 10n ** 47n + 1n,
      reference: new Uint8Array(16),
    }));
    const bytes = new Chain().link(hourAt(HOUR, { figures: { ...FIGURES, flows } }));
    expect(bytes.length).toBeLessThan((MAX_TRACK_STATEMENT_BYTES * 5) / 8);
    expect(parseTrackStatement(bytes).ok).toBe(true);
  });

  it('has no return without a reason', () => {
    const none = new Map<number, CborValue>([
      [1, null],
      [2, null],
      [3, null],
    ]);
    expect(parseTrackStatement(changed(12, none))).toMatchObject({
      refusal: { code: 'message_malformed', detail: { field: 3 } },
    });
    expect(parseTrackStatement(changed(12, new Map(none).set(3, 'gap'))).ok).toBe(true);
  });

  it('of metrics rests on a chain and is no part of it', () => {
    const bytes = encodeTrackStatement(metricsOf(vectorChain()));
    expect(trackDomainOf(bytes)).toBe('trackseal/metrics/v1');
    expect(parseChainStatement(bytes).ok).toBe(false);
    // A reason is for what is not known.
    const known = new Map<string, CborValue>([['trades', 'gap']]);
    expect(parseTrackStatement(changed(10, known, bytes)).ok).toBe(false);
    expect(parseTrackStatement(changed(6, [HOUR, HOUR - 1], bytes)).ok).toBe(false);
    expect(parseTrackStatement(changed(9, new Map([['Trades', 1]]), bytes)).ok).toBe(false);
  });

  it('comes in leaves of one statement and more, within bounds', () => {
    const one = encodeCbor(1);
    const many = (count: number): Uint8Array =>
      encodeTrackLeaf(Array.from({ length: count }, () => one));
    expect(parseTrackLeaf(many(0)).ok).toBe(false);
    expect(parseTrackLeaf(many(1)).ok).toBe(true);
    expect(parseTrackLeaf(many(MAX_LEAF_STATEMENTS)).ok).toBe(true);
    expect(parseTrackLeaf(many(MAX_LEAF_STATEMENTS + 1)).ok).toBe(false);
    expect(trackDomainOf(one)).toBeNull();
    expect(trackDomainOf(encodeCbor(new Map([[1, 'trackseal/result/v1']])))).toBeNull();
  });
});
