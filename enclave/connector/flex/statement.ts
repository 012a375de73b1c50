// A Flex answer as records: all statements of a query, each with its account. What the query leaves out is named, so that a
// missing section is missing coverage and no empty account; and so is what is in it and not read here.

import { XMLParser } from 'fast-xml-parser';
import { hashId } from '../cursors.ts';
import { nameAt } from '../normalise.ts';
import type { Raw } from '../raw.ts';
import { at, isRaw, textAt } from '../raw.ts';
import type { ConnectorRecord } from '../records.ts';
import { isSound } from '../sound.ts';
import { endOfFlexDay, parseFlexTime } from './dates.ts';
import type { Context, Taken, Untaken } from './elements.ts';
import * as elements from './elements.ts';

/** Rates last, because they are for the currencies of all others. */
export const SECTIONS = [
  'Trades',
  'CashTransactions',
  'SalesTaxes',
  'Transfers',
  'CorporateActions',
  'OpenPositions',
  'CashReport',
  'CFDCharges',
  'ConversionRates',
] as const;
export type Section = (typeof SECTIONS)[number];

type Read = (raw: Raw, context: Context) => Taken;

const READERS: Readonly<Record<Section, readonly [element: string, read: Read]>> = {
  Trades: ['Trade', elements.readTrade],
  CashTransactions: ['CashTransaction', elements.readCash],
  SalesTaxes: ['SalesTax', elements.readSalesTax],
  Transfers: ['Transfer', elements.readTransfer],
  CorporateActions: ['CorporateAction', elements.readCorporateAction],
  OpenPositions: ['OpenPosition', elements.readPosition],
  CashReport: ['CashReportCurrency', elements.readBalance],
  CFDCharges: ['CFDCharge', elements.readCfdCharge],
  ConversionRates: ['ConversionRate', elements.readRate],
};

/** Lists, even with one element or none. */
const LISTS: ReadonlySet<string> = new Set([
  'FlexStatement',
  ...SECTIONS.map((section) => READERS[section][0]),
]);

/** Beside the statement's account and its days: they say again, sum up or explain what the sections above say. */
const REPEATING: ReadonlySet<string> = new Set(
  `AccountInformation EquitySummaryInBase ChangeInNAV FIFOPerformanceSummaryInBase
   MTMPerformanceSummaryInBase MTDYTDPerformanceSummary FdicInsuredDepositsByBank StmtFunds
   ChangeInPositionValues NetStockPositionSummary ComplexPositions FxPositions
   FxTransactions TransactionTaxes OptionEAE PendingExcercises PriorPeriodPositions
   InterestAccruals TierInterestDetails HardToBorrowDetails HardToBorrowMarkupDetails
   IncentiveCouponAccrualDetails ChangeInDividendAccruals DepositsOnHold
   OpenDividendAccruals SecuritiesInfo SLBOpenContracts SLBActivities
   UnbundledCommissionDetails UnsettledTransfers`.split(/\s+/u),
);

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  parseTagValue: false,
  ignoreDeclaration: true,
  // The five of XML itself occur in descriptions, which are not read; a document's own are not expanded.
  processEntities: false,
  isArray: (name) => LISTS.has(name),
});

/** Null when it is no XML of this kind. */
export function parseFlexXml(text: string): Raw | null {
  try {
    const document: unknown = parser.parse(text);
    return isRaw(document) ? document : null;
  } catch {
    return null;
  }
}

/** Elements that gave no record: of a section that is read, or all of one that is not. */
export interface UntakenElements {
  readonly section: string;
  /** `repeats`: what other sections say. `not_supported`: nobody reads it. */
  readonly reason: Untaken | 'repeats' | 'not_supported';
  readonly count: number;
}

export interface FlexStatement {
  readonly accountId: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly records: readonly ConnectorRecord[];
  /** Names of those that had to be left out: the same in every answer that has them, of two that are alike two. */
  readonly malformed: Readonly<Record<Section, readonly string[]>>;
  readonly missing: readonly Section[];
  readonly untaken: readonly UntakenElements[];
  /** End of the day on which a record was booked, where that is known. */
  readonly bookedMs: ReadonlyMap<ConnectorRecord, number>;
}

/** All statements of an answer; null when it is no answer with statements. */
export function readFlexStatements(document: Raw): readonly FlexStatement[] | null {
  const statements = at(document, 'FlexQueryResponse', 'FlexStatements', 'FlexStatement');
  if (!Array.isArray(statements) || statements.length === 0) return null;
  const read = statements.map((statement) => readStatement(statement));
  return read.every((statement) => statement !== null) ? read : null;
}

class Reading {
  readonly records: ConnectorRecord[] = [];
  readonly malformed: Record<Section, string[]>;
  readonly missing: Section[] = [];
  readonly bookedMs = new Map<ConnectorRecord, number>();
  readonly #untaken = new Map<string, UntakenElements>();
  readonly #names = new Map<string, number>();
  readonly #context: Context;
  readonly #currencies = new Set<string>();

  /** What a statement of one day has was booked on it. */
  readonly #oneDay: string;

  constructor(accountId: string, fromDate: string, toDate: string) {
    this.#oneDay = fromDate === toDate ? toDate : '';
    this.malformed = Object.fromEntries(SECTIONS.map((name) => [name, [] as string[]])) as Record<
      Section,
      string[]
    >;
    const nameOf: Context['nameOf'] = (parts) => {
      const name = parts.join('-');
      const count = (this.#names.get(name) ?? 0) + 1;
      this.#names.set(name, count);
      return count === 1 ? name : `${name}-${count}`;
    };
    this.#context = { accountId, toDate, nameOf, currencies: this.#currencies };
  }

  get untaken(): readonly UntakenElements[] {
    return [...this.#untaken.values()];
  }

  read(section: Section, content: unknown): void {
    const [name, read] = READERS[section];
    let levels = 0;
    let own = 0;
    for (const [other, found] of Object.entries(isRaw(content) ? content : {})) {
      // Orders, lots and sums of trades stand beside the executions.
      if (other === name) continue;
      levels += countOf(found);
      this.pass(section, 'level', countOf(found));
    }
    const raws = at(content, name);
    for (const raw of Array.isArray(raws) ? raws.filter(isRaw) : []) {
      const taken: Taken = read(raw, this.#context);
      if (taken === 'level') levels++;
      else own++;
      if (typeof taken === 'string') this.pass(section, taken, 1);
      else if (!this.#take(taken, raw)) this.malformed[section].push(this.#nameOf(section, raw));
    }
    // Orders, lots or sums, and none of what they are of: that is not known.
    if (levels > 0 && own === 0) this.missing.push(section);
  }

  pass(section: string, reason: UntakenElements['reason'], count: number): void {
    const key = `${section} ${reason}`;
    const known = this.#untaken.get(key)?.count ?? 0;
    if (count > 0) this.#untaken.set(key, { section, reason, count: known + count });
  }

  /** What says no day of its own is another in the statement of another day. */
  #nameOf(section: Section, raw: Raw): string {
    const { nameOf, toDate } = this.#context;
    const day = textAt(raw, 'reportDate') ?? toDate;
    return hashId(section, nameOf([section, day, JSON.stringify(raw)]));
  }

  #take(taken: Exclude<Taken, Untaken>, raw: Raw): boolean {
    const all = taken === null ? [] : 'kind' in taken ? [taken] : taken;
    if (taken === null || !all.every(isSound)) return false;
    const booked = endOfFlexDay(textAt(raw, 'reportDate') ?? this.#oneDay);
    for (const record of all) {
      this.records.push(record);
      if (booked !== null) this.bookedMs.set(record, booked);
      if ('currency' in record) this.#currencies.add(record.currency);
      if ('quote' in record && record.quote !== null) this.#currencies.add(record.quote);
    }
    return true;
  }
}

/** Attributes are texts; elements are not, or have nothing in them. */
function countOf(found: unknown): number {
  if (Array.isArray(found)) return found.length;
  return isRaw(found) ? 1 : 0;
}

function elementsIn(content: unknown): number {
  if (Array.isArray(content)) return content.reduce<number>((sum, one) => sum + elementsIn(one), 0);
  if (!isRaw(content)) return 0;
  const children = Object.values(content).reduce<number>((sum, one) => sum + countOf(one), 0);
  return children > 0 ? children : 1;
}

function readStatement(statement: unknown): FlexStatement | null {
  const accountId = nameAt(statement, 'accountId');
  const toDate = textAt(statement, 'toDate') ?? '';
  const fromDate = textAt(statement, 'fromDate') ?? '';
  const from = parseFlexTime(fromDate);
  const toMs = endOfFlexDay(toDate);
  if (!isRaw(statement) || accountId === null || from === null || toMs === null) return null;
  // Of no time that anybody counts in, or of none.
  if (from.timeMs < 0 || toMs < from.timeMs) return null;
  const reading = new Reading(accountId, fromDate, toDate);
  for (const section of SECTIONS) {
    if (section in statement) reading.read(section, statement[section]);
    else reading.missing.push(section);
  }
  for (const [section, content] of Object.entries(statement)) {
    if (Object.hasOwn(READERS, section)) continue;
    const reason = REPEATING.has(section) ? 'repeats' : 'not_supported';
    reading.pass(section, reason, elementsIn(content));
  }
  const { records, malformed, missing, untaken, bookedMs } = reading;
  const span = { fromMs: from.timeMs, toMs };
  return { accountId, ...span, records, malformed, missing, untaken, bookedMs };
}
