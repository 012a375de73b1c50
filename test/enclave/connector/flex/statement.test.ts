// Statements load without loss, and come to what they say themselves: every element is a record, or is named with the
// reason why it is none; cash follows from the records to the last digit, and so does the change of the account's value.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { FlexStatement } from '../../../../enclave/connector/flex/statement.ts';
import { parseFlexXml, readFlexStatements } from '../../../../enclave/connector/flex/statement.ts';
import type { Raw } from '../../../../enclave/connector/raw.ts';
import { formatFixed } from '../../../../wire/fixed.ts';
import type { Nav } from '../../../helpers/flex-account.ts';
import * as account from '../../../helpers/flex-account.ts';

const OWN: URL = new URL('../../../fixtures/connector/flex-own.xml', import.meta.url);
const SHARED: URL = new URL('../../../../../shared/data/ibkr-flex-pp/', import.meta.url);
const FILES: readonly string[] = existsSync(SHARED) ? readdirSync(SHARED).sort() : [];
if (FILES.length === 0) console.log('skipped: no Flex statements in ../shared/data/ibkr-flex-pp');

interface Loaded {
  readonly text: string;
  readonly document: Raw;
  readonly statements: readonly FlexStatement[];
  readonly raws: readonly Raw[];
}

function load(file: URL): Loaded {
  const bytes = readFileSync(file);
  const text = (file.pathname.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const document = parseFlexXml(text) ?? {};
  const statements = readFlexStatements(document) ?? [];
  return { text, document, statements, raws: account.rawStatements(document) };
}

/** Elements that are in sections, by the text alone: no parser of ours looks. */
function elementsIn(text: string): number {
  const body = text.replaceAll(/<\?[^>]*\?>/gu, '');
  let depth = 0;
  let count = 0;
  let inside = -1;
  for (const [tag, name = ''] of body.matchAll(/<\/?([A-Za-z]+)[^>]*>/gu)) {
    const isEnd = tag.startsWith('</');
    const isEmpty = tag.endsWith('/>');
    if (isEnd) depth--;
    if (name === 'FlexStatement' && !isEnd) inside = depth;
    const isSectionless = depth === inside + 1 && isEmpty && /\s\w+="/u.test(tag);
    if (!isEnd && inside >= 0 && (depth === inside + 2 || isSectionless)) count++;
    if (!isEnd && !isEmpty) depth++;
    if (isEnd && name === 'FlexStatement') inside = -1;
  }
  return count;
}

/** One for each element: what comes beside a record, such as a price, is not another one. */
function takenElements({ records }: FlexStatement): number {
  const prices = records.filter((record) => record.kind === 'price' && record.of === 'mark');
  const cash = records.filter((record) => record.kind === 'flow' && record.id.endsWith('-cash'));
  const alone = cash.filter(
    (record) =>
      !records.some((other) => 'id' in other && 'id' in record && `${other.id}-cash` === record.id),
  );
  return records.length - prices.length - cash.length + alone.length;
}

function accountedFor(statement: FlexStatement): number {
  const untaken = statement.untaken.reduce((sum, { count }) => sum + count, 0);
  const malformed = Object.values(statement.malformed).flat().length;
  return takenElements(statement) + untaken + malformed;
}

function checkCash(statement: FlexStatement, raw: Raw): void {
  const changes = account.changesOf(statement);
  const rows = account.cashRows(raw).filter(({ currency }) => currency !== 'BASE_SUMMARY');
  for (const { currency, starting, ending } of rows) {
    const reached = starting + (changes.get(currency) ?? 0n);
    expect([currency, formatFixed(reached)]).toEqual([currency, formatFixed(ending)]);
  }
}

const FLOW_NAMES: Readonly<Record<string, string>> = {
  deposit: 'depositsWithdrawals',
  withdrawal: 'depositsWithdrawals',
  interest: 'interest',
};

/** The statement's own table of changes, from records, equity before, and marks after; all in one currency. */
function changesOfValue(statement: FlexStatement, raw: Raw, currency: string): Map<string, bigint> {
  const changes = new Map<string, bigint>();
  const add = (name: string, amount: bigint): void => {
    changes.set(name, (changes.get(name) ?? 0n) + amount);
  };
  for (const flow of account.flowsOf(statement)) {
    const amount = account.signedOf(flow);
    if (flow.currency !== currency) continue;
    if (flow.type === 'conversion') add('mtm', amount);
    else if (flow.type === 'dividend') add(amount < 0n ? 'withholdingTax' : 'dividends', amount);
    else if (flow.type === 'fee') add(flow.id.includes(':tax-') ? 'salesTax' : 'otherFees', amount);
    else add(FLOW_NAMES[flow.type] ?? flow.type, amount);
  }
  for (const fill of account.fillsOf(statement)) {
    add('mtm', -account.paidFor(fill));
    for (const { amount } of fill.fees ?? []) add('commissions', -account.fixed(amount));
  }
  const [before] = account.equityOf(raw, 'stock', 'options', 'bonds');
  add('mtm', account.positionValue(statement) - before);
  const [accruedBefore, accrued] = account.equityOf(raw, 'dividendAccruals', 'interestAccruals');
  add('changeInDividendAccruals', accrued - accruedBefore);
  return changes;
}

function checkNav(statement: FlexStatement, raw: Raw, nav: Nav, assetTransfers: bigint): void {
  const changes = changesOfValue(statement, raw, 'USD');
  if (assetTransfers !== 0n) {
    changes.set('assetTransfers', assetTransfers);
    changes.set('mtm', (changes.get('mtm') ?? 0n) - assetTransfers);
  }
  expect(account.written(changes)).toEqual(account.written(nav.changes));
  const sum = [...changes.values()].reduce((total, amount) => total + amount, nav.startingValue);
  expect(formatFixed(sum)).toBe(formatFixed(nav.endingValue));
}

describe('a statement of our own, in the shape of Interactive Brokers’', () => {
  const { text, statements, raws } = load(OWN);
  const [first, second] = statements;
  if (first === undefined || second === undefined) throw new Error('two statements');
  const [raw = {}, other = {}] = raws;

  it('is read whole: both accounts, and each element is a record or named', () => {
    expect(statements.map(({ accountId }) => accountId)).toEqual(['U7000001', 'U7000002']);
    const sums = statements.map(accountedFor);
    expect(sums.reduce((total, count) => total + count, 0)).toBe(elementsIn(text));
    expect(first.untaken).toEqual([
      { section: 'Trades', reason: 'level', count: 3 },
      { section: 'CashTransactions', reason: 'level', count: 1 },
      { section: 'Transfers', reason: 'level', count: 1 },
      { section: 'CorporateActions', reason: 'level', count: 1 },
      { section: 'OpenPositions', reason: 'level', count: 1 },
      { section: 'OpenPositions', reason: 'nothing', count: 1 },
      { section: 'CashReport', reason: 'level', count: 1 },
      { section: 'ConversionRates', reason: 'unused', count: 1 },
      { section: 'AccountInformation', reason: 'repeats', count: 1 },
      { section: 'EquitySummaryInBase', reason: 'repeats', count: 2 },
      { section: 'ChangeInNAV', reason: 'repeats', count: 1 },
      { section: 'StmtFunds', reason: 'repeats', count: 2 },
      { section: 'DebitCardActivities', reason: 'not_supported', count: 1 },
    ]);
    expect(second.untaken).toContainEqual({
      section: 'ConversionRates',
      reason: 'unused',
      count: 2,
    });
  });

  it('comes to its own cash, in each currency', () => {
    checkCash(first, raw);
    checkCash(second, other);
    expect(account.cashRows(other).map(({ currency }) => currency)).toContain('USD');
  });

  it('comes to its own ChangeInNAV: start, flows, income, costs and marks make the end', () => {
    const nav = account.navOf(raw);
    expect(nav?.changes.size).toBe(10);
    if (nav === null) return;
    // Shares that came from elsewhere are worth what the transfer says.
    checkNav(first, raw, nav, account.fixed('90'));
  });

  it('comes to its own positions: bought, split, merged away, transferred', () => {
    const changes = account.changesOf(first);
    const held = { ABC: 100n, DEF: 10n };
    const [abc, def, ghi] = ['ABC', 'DEF', 'GHI'].map((symbol) =>
      formatFixed(changes.get(symbol) ?? 0n),
    );
    expect([abc, def, ghi]).toEqual([String(240n - held.ABC), String(-held.DEF), '3']);
  });

  it('counts two fees that are alike as two', () => {
    const alike = account.flowsOf(first).filter(({ amount }) => amount === '1.34');
    expect(new Set(alike.map(({ id }) => id)).size).toBe(2);
  });

  it('has a price for each mark and each rate of its currencies, at the end of their day', () => {
    const prices = first.records.filter((record) => record.kind === 'price');
    expect(prices.map(({ of, symbol, price }) => [of, symbol, price])).toEqual([
      ['mark', 'ABC', '26'],
      ['mark', 'XYZ   260619C00050000', '2.1'],
      ['mark', 'T 4 1/8 02/15/36', '98.75'],
      ['mark', 'GHI', '31'],
    ]);
    const rates = second.records.filter(
      (record) => record.kind === 'price' && record.of === 'spot',
    );
    expect(rates).toEqual([
      expect.objectContaining({ symbol: 'USD/EUR', price: '0.92481' }),
      expect.objectContaining({ symbol: 'USD/EUR', price: '0.9249' }),
    ]);
    expect(prices.map(({ atMs }) => atMs)).toContain(Date.UTC(2026, 2, 7, 5) - 1);
  });

  it('prices what has only a cost by what was paid without the commission', () => {
    const fill = account.fillsOf(second).find(({ symbol }) => symbol === 'IBM');
    expect(fill).toMatchObject({ price: '250.25', cost: '500.5' });
  });

  it('books what is dated before at the day of its report', () => {
    const dividend = account.flowsOf(first).find(({ id }) => id === 'U7000001:103');
    expect(dividend?.timeMs).toBe(Date.UTC(2026, 2, 5, 5));
  });
});

describe('a section without what it is made of', () => {
  it.each([
    ['CashReport', 'sums', /<CashReportCurrency [^>]*levelOfDetail="Currency"[^>]*\/>/gu],
    ['Trades', 'orders', /<Trade [^>]*levelOfDetail="EXECUTION"[^>]*\/>/gu],
    ['CashTransactions', 'sums', /<CashTransaction [^>]*levelOfDetail="DETAIL"[^>]*\/>/gu],
    ['Transfers', 'lots', /<Transfer [^>]*levelOfDetail="TRANSFER"[^>]*\/>/gu],
    ['OpenPositions', 'lots', /<OpenPosition [^>]*levelOfDetail="SUMMARY"[^>]*\/>/gu],
  ])('%s of %s alone is missing, and nothing is not', (section, _what, elements) => {
    const { text } = load(OWN);
    const bare = text.replaceAll(elements, '');
    const [read] = readFlexStatements(parseFlexXml(bare) ?? {}) ?? [];
    expect(read?.missing).toEqual([section]);
    const none = bare.replaceAll(
      new RegExp(`<${section}>.*?</${section}>`, 'gsu'),
      `<${section} />`,
    );
    const [empty] = readFlexStatements(parseFlexXml(none) ?? {}) ?? [];
    expect(empty?.missing).toEqual([]);
  });
});

describe.skipIf(FILES.length === 0)('statements that others recorded', () => {
  it.each(FILES)('%s loads without loss', (name) => {
    const { text, statements } = load(new URL(name, SHARED));
    expect(statements.length).toBeGreaterThan(0);
    const sums = statements.map(accountedFor);
    expect(sums.reduce((total, count) => total + count, 0)).toBe(elementsIn(text));
    for (const { malformed, untaken } of statements) {
      expect(Object.values(malformed).every((names) => names.length === 0)).toBe(true);
      expect(untaken.filter(({ reason }) => reason === 'not_supported')).toEqual([]);
    }
  });

  it('reconcile with their own ChangeInNAV, to the last digit', () => {
    const found = FILES.flatMap((name) => {
      const { statements, raws } = load(new URL(name, SHARED));
      return statements.map((statement, at) => ({ statement, raw: raws[at] ?? {} }));
    });
    const withNav = found.filter(({ raw }) => account.navOf(raw) !== null);
    expect(withNav).toHaveLength(1);
    for (const { statement, raw } of withNav) {
      const nav = account.navOf(raw);
      if (nav !== null) checkNav(statement, raw, nav, 0n);
      // This one has sums of cash alone; all of it is in dollars.
      const [sum] = account.cashRows(raw);
      const change = account.changesOf(statement).get('USD') ?? 0n;
      expect(formatFixed((sum?.starting ?? 0n) + change)).toBe(formatFixed(sum?.ending ?? 0n));
    }
  });

  it('reconcile with their own cash report, in each currency', () => {
    const { statements, raws } = load(new URL('testIBFlexStatementFile18.xml.gz', SHARED));
    const [statement] = statements;
    const [raw = {}] = raws;
    if (statement === undefined) throw new Error('one statement');
    expect(account.cashRows(raw)).toHaveLength(3);
    checkCash(statement, raw);
  });
});
