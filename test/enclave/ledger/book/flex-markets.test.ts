// A statement of Interactive Brokers by market: its fills, dividends, taxes, a bond in per cent of its face, a split, a merger
// and shares from elsewhere through the book, against what the statement says of itself. The week is an hour of the book.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseFlexXml, readFlexStatements } from '../../../../enclave/connector/flex/statement.ts';
import type { ConnectorRecord, Position } from '../../../../enclave/connector/records.ts';
import type { BookRecord } from '../../../../enclave/ledger/book/contract.ts';
import { HOUR_MS } from '../../../../wire/track/figures.ts';
import * as account from '../../../helpers/flex-account.ts';
import {
  balance,
  fx,
  MINUTE_MS,
  observation,
  position,
  row,
  T0,
  tell,
  text,
  unexplained,
} from './helpers.ts';

const OWN: URL = new URL('../../../fixtures/connector/flex-own.xml', import.meta.url);
const START_MS: number = T0 + HOUR_MS;
const END_MS: number = T0 + 2 * HOUR_MS;

/** In their order, a minute for each moment. */
function inOneHour(records: readonly ConnectorRecord[]): readonly BookRecord[] {
  const told = records.filter((record) => record.kind === 'fill' || record.kind === 'flow');
  const times = [...new Set(told.map(({ timeMs }) => timeMs))].sort((a, b) => a - b);
  const timeOf = (timeMs: number): number => START_MS + (times.indexOf(timeMs) + 2) * MINUTE_MS;
  return told.map((record) => Object.assign(record, { timeMs: timeOf(record.timeMs) }));
}

function shares(symbol: string, contracts: string): Position {
  return position({ symbol, market: 'stock', contracts, contractSize: null, settle: 'USD' });
}

describe('a statement of Interactive Brokers by market', () => {
  it('comes to its own mark-to-market, commissions, income and fees', () => {
    const document = parseFlexXml(readFileSync(OWN, 'utf8')) ?? {};
    const [statement] = readFlexStatements(document) ?? [];
    const nav = account.navOf(account.rawStatements(document)[0] ?? {});
    if (statement === undefined || nav === null) throw new Error('no statement');
    const { records, accountId } = statement;
    const prices = records.filter((record) => record.kind === 'price');
    const marks = prices.filter(({ of }) => of === 'mark');
    const { figures } = tell({
      options: { pricedIn: 'USD' },
      // What it began with: 5,300 dollars of shares, and ten thousand.
      opening: observation(
        T0,
        [balance('USD', '10000', accountId)],
        [shares('ABC', '100'), shares('DEF', '10')],
      ),
      records: inOneHour(records),
      observations: [
        observation(
          END_MS - 1,
          records.filter((record) => record.kind === 'balance'),
          records.filter((record) => record.kind === 'position'),
        ),
      ],
      prices: [
        ...[T0, START_MS].flatMap((atMs) => [
          row('ABC', atMs, '50', 'mark'),
          row('DEF', atMs, '30', 'mark'),
        ]),
        // What the merger paid, and the transfer was worth.
        row('DEF', START_MS + 1, '32', 'mark'),
        row('GHI', START_MS + 1, '30', 'mark'),
        ...marks.map((one) => row(one.symbol, END_MS, one.price, 'mark')),
      ],
      hours: 2,
    });
    const [before, hour] = figures;
    expect([hour?.status, hour?.residual, hour && unexplained(hour)]).toEqual([
      'reconciled',
      0n,
      0n,
    ]);
    // Accruals are not counted here: income is when it is paid.
    expect(text(before?.equityEnd ?? null)).toBe(text(nav.startingValue - fx('10')));
    expect(text(hour?.equityEnd ?? null)).toBe(text(nav.endingValue));

    const partsOf = (market: string): Record<string, string | null> => {
      const now = hour?.byMarket.find((one) => one.market === market);
      const then = before?.byMarket.find((one) => one.market === market);
      const moved = (now?.equity ?? 0n) - (then?.equity ?? 0n) - (now?.outlay ?? 0n);
      const [fees, income] = [now?.fees ?? null, now?.income ?? null];
      return { moved: text(moved), fees: text(fees), income: text(income) };
    };
    const [stock, option, spot] = ['stock', 'option', 'spot'].map(partsOf);
    // Shares and the bond: 250.50 of it; the option was sold for 235 and is worth 210.
    expect(stock).toEqual({ moved: '250.5', fees: '6', income: '8.61' });
    expect(option).toEqual({ moved: '25', fees: '0.7', income: '0' });
    expect(spot).toMatchObject({ fees: '8.08', income: '1.11' });
    const change = (name: string): bigint => nav.changes.get(name) ?? 0n;
    expect(text(fx(stock?.['moved'] ?? '') + fx(option?.['moved'] ?? ''))).toBe(
      text(change('mtm')),
    );
    expect(text(fx('6.7'))).toBe(text(-change('commissions')));
    expect(text(fx('8.08'))).toBe(text(-change('otherFees') - change('salesTax')));
    const paid = change('dividends') + change('withholdingTax') + change('interest');
    expect(text(fx('8.61') + fx('1.11'))).toBe(text(paid));
  });
});
