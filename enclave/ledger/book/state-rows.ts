// The state after an hour as CBOR, row by row. Amounts are texts of whole numbers of 10^-18.

import type { CborValue } from '../../../wire/cbor.ts';
import type { Fields } from '../../../wire/fields.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import { FIGURE_MARKETS } from '../../../wire/track/figures.ts';
import { mapOf, oneOf } from '../../connector/records.ts';
import type { BasisRow } from './basis.ts';
import { Basis } from './basis.ts';
import { BookState } from './book-state.ts';
import type { Instrument } from './instrument.ts';
import { Ledger, LEDGER_ACCOUNTS } from './ledger.ts';
import { MAX_LOTS } from './lots.ts';

const MAX_ROWS = 65_536;
const MAX_NAME = 128;
const MAX_DIGITS = 80;
const WHOLE = /^-?(?:0|[1-9][0-9]{0,77})$/u;
const STYLES = ['security', 'linear', 'inverse', 'opaque'] as const;

function amounts(numbers: readonly Fixed[]): CborValue {
  return numbers.map((number) => number.toString());
}

function rowsToCbor(rows: readonly (readonly [string, readonly Fixed[]])[]): CborValue {
  return rows.map(([name, numbers]) => mapOf([name, amounts(numbers)]));
}

function instrumentToCbor(instrument: Instrument): CborValue {
  const { symbol, style, market, settle, size, quote } = instrument;
  return mapOf([symbol, style, market, settle, size.toString(), quote]);
}

function byName<T>(all: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1));
}

function pricesToCbor(prices: ReadonlyMap<string, Fixed>): CborValue {
  return rowsToCbor(byName(prices).map(([name, price]) => [name, [price]] as const));
}

export function stateToCbor(state: BookState): CborValue {
  const { ledger, fifo, average, instruments, last, lastMarks, wallets, unbased, excluded } = state;
  return mapOf([
    rowsToCbor(ledger.toRows()),
    rowsToCbor(fifo.toRows('assets')),
    rowsToCbor(fifo.toRows('contracts')),
    rowsToCbor(average.toRows('assets')),
    rowsToCbor(average.toRows('contracts')),
    byName(instruments).map(([, instrument]) => instrumentToCbor(instrument)),
    pricesToCbor(last),
    [...wallets].sort(),
    [...unbased].sort(),
    [...excluded].sort(),
    state.equity?.toString() ?? null,
    state.unrealised?.toString() ?? null,
    pricesToCbor(lastMarks),
  ]);
}

function amount(fields: Fields, field: number): Fixed {
  const text = fields.text(field, MAX_DIGITS);
  return WHOLE.test(text) ? BigInt(text) : fields.refuse(field);
}

function amountOrNull(fields: Fields, field: number): Fixed | null {
  return fields.take(field) === null ? null : amount(fields, field);
}

function rows(fields: Fields, field: number): readonly BasisRow[] {
  return fields.maps(field, MAX_ROWS, (row) => {
    const texts = row.texts(2, 2 * MAX_LOTS + 1, MAX_DIGITS);
    if (!texts.every((text) => WHOLE.test(text))) row.refuse(2);
    return [row.text(1, MAX_NAME), texts.map(BigInt)] as const;
  });
}

function instrument(fields: Fields): Instrument {
  return {
    symbol: fields.text(1, MAX_NAME),
    style: oneOf(fields, 2, STYLES),
    market: oneOf(fields, 3, FIGURE_MARKETS),
    settle: fields.text(4, MAX_NAME, 0),
    size: amount(fields, 5),
    quote: fields.text(6, MAX_NAME, 0),
  };
}

function pricesOf(fields: Fields, field: number): Map<string, Fixed> {
  return new Map(
    rows(fields, field).map(([name, numbers]) => {
      const [price] = numbers;
      if (price === undefined || numbers.length > 1) return fields.refuse(field);
      return [name, price] as const;
    }),
  );
}

export function parseState(fields: Fields): BookState {
  const ledgerRows = rows(fields, 1);
  if (ledgerRows.some(([, numbers]) => numbers.length !== LEDGER_ACCOUNTS.length)) fields.refuse(1);
  const state = new BookState();
  state.ledger = Ledger.of(ledgerRows) ?? fields.refuse(1);
  state.fifo = Basis.of('fifo', rows(fields, 2), rows(fields, 3)) ?? fields.refuse(2);
  state.average = Basis.of('average', rows(fields, 4), rows(fields, 5)) ?? fields.refuse(4);
  const instruments = fields.maps(6, MAX_ROWS, instrument);
  state.instruments = new Map(instruments.map((one) => [one.symbol, one]));
  state.last = pricesOf(fields, 7);
  state.wallets = new Set(fields.texts(8, MAX_ROWS, MAX_NAME));
  state.unbased = new Set(fields.texts(9, MAX_ROWS, MAX_NAME));
  state.excluded = new Set(fields.texts(10, MAX_ROWS, MAX_NAME));
  state.equity = amountOrNull(fields, 11);
  state.unrealised = amountOrNull(fields, 12);
  state.lastMarks = pricesOf(fields, 13);
  return state;
}
