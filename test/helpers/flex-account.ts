// An account by the records of its statement alone, in exact decimals: what its cash came to, what its positions are worth;
// and what the statement itself says of the same, read apart from the connector.

import type { Raw } from '../../enclave/connector/raw.ts';
import { at, isRaw, textAt } from '../../enclave/connector/raw.ts';
import type { FlexStatement } from '../../enclave/connector/flex/statement.ts';
import type { Fill, Flow, Position } from '../../enclave/connector/records.ts';
import { absolute, formatFixed, multiplyThree, toFixed, type Fixed } from '../../wire/fixed.ts';

export function fixed(text: string | null): Fixed {
  const value = toFixed(text ?? '0');
  if (value === null) throw new Error(`no amount: ${text ?? ''}`);
  return value;
}

export type Sums = Map<string, Fixed>;

function add(sums: Sums, name: string, amount: Fixed): void {
  sums.set(name, (sums.get(name) ?? 0n) + amount);
}

export function fillsOf({ records }: FlexStatement): readonly Fill[] {
  return records.filter((record) => record.kind === 'fill');
}

export function flowsOf({ records }: FlexStatement): readonly Flow[] {
  return records.filter((record) => record.kind === 'flow');
}

export function signedOf({ direction, amount }: Flow): Fixed {
  return direction === 'in' ? fixed(amount) : -fixed(amount);
}

/** What a fill paid without its fees; negative when it brought something. */
export function paidFor({ side, cost, amount, price, contractSize }: Fill): Fixed {
  const told = cost === null ? null : fixed(cost);
  const paid = told ?? multiplyThree(fixed(amount), fixed(price), fixed(contractSize ?? '1'));
  return side === 'buy' ? absolute(paid) : -absolute(paid);
}

/** Change of each currency, and of each security by its symbol. */
export function changesOf(statement: FlexStatement): Sums {
  const sums: Sums = new Map();
  for (const fill of fillsOf(statement)) {
    const amount = fill.side === 'buy' ? fixed(fill.amount) : -fixed(fill.amount);
    add(sums, fill.market === 'fx' ? (fill.base ?? '') : fill.symbol, amount);
    add(sums, fill.quote ?? '', -paidFor(fill));
    for (const fee of fill.fees ?? []) add(sums, fee.currency, -fixed(fee.amount));
  }
  for (const flow of flowsOf(statement)) add(sums, flow.currency, signedOf(flow));
  return sums;
}

const CENT: Fixed = 10n ** 16n;

/** As statements write what a position is worth: to the cent, halves away from zero. */
function toCents(value: Fixed): Fixed {
  return ((value + CENT / 2n) / CENT) * CENT;
}

/** By the marks. */
export function positionValue({ records }: FlexStatement): Fixed {
  const positions = records.filter((record): record is Position => record.kind === 'position');
  return positions.reduce((sum, { side, contracts, mark, contractSize }) => {
    const value = multiplyThree(fixed(contracts), fixed(mark), fixed(contractSize ?? '1'));
    return sum + (side === 'long' ? toCents(value) : -toCents(value));
  }, 0n);
}

function one(value: unknown): Raw | null {
  const found: unknown = Array.isArray(value) ? value[0] : value;
  return isRaw(found) ? found : null;
}

/** The document's own statements, in its order. */
export function rawStatements(document: Raw): readonly Raw[] {
  const found = at(document, 'FlexQueryResponse', 'FlexStatements', 'FlexStatement');
  return Array.isArray(found) ? found.filter(isRaw) : [];
}

export interface Nav {
  readonly startingValue: Fixed;
  readonly endingValue: Fixed;
  /** What changed it, by the statement's names, without zeros. */
  readonly changes: ReadonlyMap<string, Fixed>;
}

const NO_CHANGES: ReadonlySet<string> = new Set(['startingValue', 'endingValue', 'twr']);

/** Null for a statement without one. */
export function navOf(statement: Raw): Nav | null {
  const nav = one(statement['ChangeInNAV']);
  if (nav === null) return null;
  const numbers = Object.keys(nav).filter(
    (name) => !NO_CHANGES.has(name) && !/date|account|alias|model/iu.test(name),
  );
  const changes = numbers.map((name) => [name, fixed(textAt(nav, name))] as const);
  return {
    startingValue: fixed(textAt(nav, 'startingValue')),
    endingValue: fixed(textAt(nav, 'endingValue')),
    changes: new Map(changes.filter(([, amount]) => amount !== 0n)),
  };
}

/** A column of the equity before the period and at its end. */
export function equityOf(statement: Raw, ...columns: readonly string[]): readonly [Fixed, Fixed] {
  const rows = at(statement, 'EquitySummaryInBase', 'EquitySummaryByReportDateInBase');
  if (!Array.isArray(rows)) throw new Error('no equity summary');
  const sum = (row: unknown): Fixed =>
    columns.reduce((total, column) => total + fixed(textAt(row, column)), 0n);
  return [sum(rows[0]), sum(rows.at(-1))];
}

export interface CashRow {
  readonly currency: string;
  readonly starting: Fixed;
  readonly ending: Fixed;
}

export function cashRows(statement: Raw): readonly CashRow[] {
  const rows = at(statement, 'CashReport', 'CashReportCurrency');
  return (Array.isArray(rows) ? rows.filter(isRaw) : []).map((row) => ({
    currency: textAt(row, 'currency') ?? '',
    starting: fixed(textAt(row, 'startingCash')),
    ending: fixed(textAt(row, 'endingCash')),
  }));
}

export function written(sums: ReadonlyMap<string, Fixed>): Record<string, string> {
  const rows = [...sums].filter(([, amount]) => amount !== 0n).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(rows.map(([name, amount]) => [name, formatFixed(amount)]));
}
