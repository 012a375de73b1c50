// Figures of an hour as they are signed: every amount is the one canonical text of its value, at most 18 digits behind the
// point, and what is not known is null. What is read is exactly what was written; another text of the same value is
// refused, so that two statements with the same figures are the same bytes.
//
//   figures  {1: start ms, 2: equity start, 3: equity end, 4: unrealised end, 5: inflow, 6: outflow, 7: [flow], 8: realised,
//             9: realised by average cost, 10: unrealised change, 11: funding, 12: fees, 13: income, 14: residual, 15: tolerance,
//             16: status, 17: trades, 18: volume, 19: [market], 20: [price source], 21: SHA-256 of the prices, 22: polls,
//             23: complete, 24: [gap], 25: rebuilt}
//   flow     {1: at ms, 2: amount, 3: equity before, 4: reference (16) | null}
//   price source  {1: source, 2: rows, 3: oldest age ms}
//   market   {1: name, 2: trades, 3: volume, 4: fees, 5: funding, 6: realised, 7: equity, 8: outlay, 9: income,
//             10: unrealised}

import type { CborValue } from '../cbor.ts';
import { isCanonicalDecimal } from '../decimal.ts';
import type { Fields } from '../fields.ts';
import type { Fixed } from '../fixed.ts';
import { formatFixed, parseFixed } from '../fixed.ts';
import type { HourFigures, HourFlow, MarketFigures, PriceSource } from './figures.ts';
import { FIGURE_MARKETS, HOUR_STATUSES } from './figures.ts';
import {
  HASH_BYTES,
  HOUR_MS,
  mapFrom1,
  MAX_TRACK_MS,
  readAligned,
  readOneOf,
  readWords,
} from './head.ts';

export const MAX_FIGURES_FLOWS = 256;
export const FLOW_REFERENCE_BYTES = 16;
export const MAX_FIGURES_PRICES = 64;
export const MAX_FIGURES_GAPS = 64;
export const MAX_FIGURES_MARKETS: number = FIGURE_MARKETS.length;
/** Sign, 42 digits and the point: beyond what a ledger takes. */
const MAX_FIXED_CHARACTERS = 62;
const SOURCE = /^[\x21-\x7e]{1,160}$/u;

/** A canonical decimal of any precision: ratios. */
export function isRatio(text: string): boolean {
  return isCanonicalDecimal(text);
}

export function fixedOrNullToCbor(value: Fixed | null): string | null {
  return value === null ? null : formatFixed(value);
}

export function readFixed(fields: Fields, field: number): Fixed {
  return parseFixed(fields.text(field, MAX_FIXED_CHARACTERS)) ?? fields.refuse(field);
}

export function readFixedOrNull(fields: Fields, field: number): Fixed | null {
  return fields.take(field) === null ? null : readFixed(fields, field);
}

function readNotNegative(fields: Fields, field: number): Fixed | null {
  const value = readFixedOrNull(fields, field);
  return value !== null && value < 0n ? fields.refuse(field) : value;
}

export function marketToCbor(market: MarketFigures): CborValue {
  const { trades, volume, fees, funding, realised, equity, outlay, income, unrealised } = market;
  const amounts = [volume, fees, funding, realised, equity, outlay, income, unrealised];
  return mapFrom1([market.market, trades, ...amounts.map(fixedOrNullToCbor)]);
}

export function readMarket(fields: Fields): MarketFigures {
  return {
    market: readOneOf(fields, 1, FIGURE_MARKETS),
    trades: fields.uint(2),
    volume: readFixedOrNull(fields, 3),
    fees: readFixedOrNull(fields, 4),
    funding: readFixedOrNull(fields, 5),
    realised: readFixedOrNull(fields, 6),
    equity: readFixedOrNull(fields, 7),
    outlay: readFixedOrNull(fields, 8),
    income: readFixedOrNull(fields, 9),
    unrealised: readFixedOrNull(fields, 10),
  };
}

function flowToCbor({ atMs, amount, equityBefore, reference }: HourFlow): CborValue {
  return mapFrom1([atMs, fixedOrNullToCbor(amount), fixedOrNullToCbor(equityBefore), reference]);
}

function priceToCbor({ source, rows, oldestAgeMs }: PriceSource): CborValue {
  return mapFrom1([source, rows, oldestAgeMs]);
}

export function figuresToCbor(figures: HourFigures): CborValue {
  return mapFrom1([
    figures.startMs,
    fixedOrNullToCbor(figures.equityStart),
    fixedOrNullToCbor(figures.equityEnd),
    fixedOrNullToCbor(figures.unrealisedEnd),
    fixedOrNullToCbor(figures.inflow),
    fixedOrNullToCbor(figures.outflow),
    figures.flows.map(flowToCbor),
    fixedOrNullToCbor(figures.realised),
    fixedOrNullToCbor(figures.realisedAverage),
    fixedOrNullToCbor(figures.unrealisedChange),
    fixedOrNullToCbor(figures.funding),
    fixedOrNullToCbor(figures.fees),
    fixedOrNullToCbor(figures.income),
    fixedOrNullToCbor(figures.residual),
    formatFixed(figures.tolerance),
    figures.status,
    figures.trades,
    fixedOrNullToCbor(figures.volume),
    figures.byMarket.map(marketToCbor),
    figures.prices.map(priceToCbor),
    figures.pricesDigest,
    figures.polls,
    figures.complete,
    figures.gaps,
    figures.rebuilt,
  ]);
}

/** Of the hour itself, both ends included. */
function readFlows(fields: Fields, startMs: number): readonly HourFlow[] {
  return fields.maps(7, MAX_FIGURES_FLOWS, (flow) => {
    const atMs = flow.uint(1, startMs + HOUR_MS, startMs);
    const equityBefore = readFixedOrNull(flow, 3);
    const reference = flow.bytesOrNull(4, FLOW_REFERENCE_BYTES);
    return { atMs, amount: readFixedOrNull(flow, 2), equityBefore, reference };
  });
}

function readPrice(fields: Fields): PriceSource {
  const source = fields.text(1, 160);
  return {
    source: SOURCE.test(source) ? source : fields.refuse(1),
    rows: fields.uint(2),
    oldestAgeMs: fields.uint(3, MAX_TRACK_MS),
  };
}

/** Field 1 has to be `startMs`. */
export function readFigures(fields: Fields, startMs: number): HourFigures {
  if (readAligned(fields, 1, HOUR_MS) !== startMs) fields.refuse(1);
  return {
    startMs,
    equityStart: readFixedOrNull(fields, 2),
    equityEnd: readFixedOrNull(fields, 3),
    unrealisedEnd: readFixedOrNull(fields, 4),
    inflow: readNotNegative(fields, 5),
    outflow: readNotNegative(fields, 6),
    flows: readFlows(fields, startMs),
    realised: readFixedOrNull(fields, 8),
    realisedAverage: readFixedOrNull(fields, 9),
    unrealisedChange: readFixedOrNull(fields, 10),
    funding: readFixedOrNull(fields, 11),
    fees: readFixedOrNull(fields, 12),
    income: readFixedOrNull(fields, 13),
    residual: readFixedOrNull(fields, 14),
    tolerance: readFixed(fields, 15),
    status: readOneOf(fields, 16, HOUR_STATUSES),
    trades: fields.uint(17),
    volume: readFixedOrNull(fields, 18),
    byMarket: fields.maps(19, MAX_FIGURES_MARKETS, readMarket),
    prices: fields.maps(20, MAX_FIGURES_PRICES, readPrice),
    pricesDigest: fields.bytes(21, HASH_BYTES),
    polls: fields.uint(22),
    complete: fields.bool(23),
    gaps: readWords(fields, 24, MAX_FIGURES_GAPS),
    rebuilt: fields.bool(25),
  };
}
